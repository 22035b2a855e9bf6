//! The integration tests: one binary, a module a theme, each driving the real `il`.

mod cli;
mod completion;
mod plain;
mod store;
