//! The terminal engine: bytes in, screens and settled text out. No I/O; it cannot fail.
