//! The integration tests: one binary, a module a theme, each driving the real `il`.

mod agents;
mod ask;
mod chroot;
mod cli;
mod completion;
mod export;
mod diff;
mod filters;
mod full_disk;
mod house;
mod places;
mod install;
mod json;
mod man;
mod pick;
mod plain;
mod play;
mod programs;
mod util;
mod vt;
mod why;

mod relay;
mod search;
mod shell_init;
mod resume;
mod stats;
mod store;
mod tail;
mod tidy;
mod agent;
mod archive;
mod store_kill;
mod import;
