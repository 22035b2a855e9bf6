//! Checksums: CRC32C (Castagnoli), in portable form.
