//! One file an agent: its transcript's bytes to events.
