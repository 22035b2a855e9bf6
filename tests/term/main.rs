//! The terminal engine against tables of cases, recordings, other engines and properties. Data
//! lies beside this file. Everything goes through the library's public interface.

mod notation;
mod agents;
mod engines;
mod noise;
mod oracles;
mod policy;
mod property;
mod seek;
mod settled;
mod tmux;
