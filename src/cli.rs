//! The flag table: one literal a flag, from which parsing, help and completions follow.
