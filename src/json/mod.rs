//! JSON values, their reader and their writer.
