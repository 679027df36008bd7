//! What a guest may do with a region.

/// What a guest may do with a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Read it.
    Read,
    /// Read and write it.
    ReadWrite,
}
