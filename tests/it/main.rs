//! The integration tests: one binary, a module a theme, each driving the real `il`.

mod store;
