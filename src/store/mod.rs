//! memmap_fs: one crash-safe file of self-describing pages.
