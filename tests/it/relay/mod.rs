//! What an expert checks about `il run` as a PTY relay. Each file opens with what it is about;
//! what a bare terminal does is the oracle wherever it can be asked.

mod clock;
mod content;
mod descriptors;
mod end;
mod environment;
mod flow;
mod jobs;
mod matrix;
mod modes;
mod secrets;
mod signals;
mod store_failure;
