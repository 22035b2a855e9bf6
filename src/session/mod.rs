//! The nouns of a recorded session: id, meta, status.
