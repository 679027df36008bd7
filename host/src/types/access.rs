//! What a guest may do with a region.

/// What a guest may do with a region.
///
/// While a guest runs that may write a region, no other guest runs with that region, and
/// the host holds no slice of it; this is checked when a call begins. Where that is too
/// strict, those that use the region at the same time are all granted it for sharing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Read it, as others may that it is granted to for reading.
    Read,
    /// Read and write it. While the guest runs, nobody else uses the region.
    ReadWrite,
    /// Read it while others write it that it is granted to for sharing, and the host
    /// ([`crate::Region::as_atomics`]). No slice shows such bytes, neither the host's nor a
    /// guest's: they are numbers that others may change at any time.
    SharedRead,
    /// The same, and write it.
    SharedReadWrite,
}

impl Access {
    /// Whether the guest may write.
    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::ReadWrite | Self::SharedReadWrite)
    }

    /// Whether others may write meanwhile.
    pub(crate) fn is_shared(self) -> bool {
        matches!(self, Self::SharedRead | Self::SharedReadWrite)
    }
}
