//! The door to the operating system, and the only room with `unsafe`. Rust types come out of it;
//! C types stay inside.
