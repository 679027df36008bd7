//! When a second thread is worth its start.

/// Inputs below this many bytes are not.
pub const INPUT_BYTES: usize = 1 << 18;

/// Outputs below this many bytes are not.
pub const OUTPUT_BYTES: usize = 1 << 16;
