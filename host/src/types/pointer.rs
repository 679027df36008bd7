//! Pointers as guests have them, and the layout that they share with the carried
//! modules.

use std::fmt;

/// The table of regions at the region space's beginning, in bytes: an entry of 16 bytes
/// for each of 2^16 slots, and then the lengths of all regions, of 4 bytes each.
/// `engine/carried/access.wat` describes it.
pub(crate) const TABLE_LEN: usize = (16 + 4) << 16;

/// The largest region, in bytes: the region space's 4 GiB without its table.
pub const MAX_REGION_LEN: usize = (4 << 30) - TABLE_LEN;

/// A guest's pointer to a byte of a region: `generation | slot | offset`, in
/// 16, 16 and 32 bits. It is no address.
///
/// Adding to it moves within the region; a pointer beyond the region's end can
/// be made, but not used. It is never 0, and never negative as an `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pointer(u64);

impl Pointer {
    /// The pointer with these bits, as a guest gave it. It may be invalid:
    /// whoever uses it finds out.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits, as a guest gets it.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    pub(crate) fn tag(self) -> Tag {
        Tag((self.0 >> 32) as u32)
    }

    pub(crate) fn offset(self) -> u32 {
        self.0 as u32
    }
}

impl std::ops::Add<u32> for Pointer {
    type Output = Self;

    fn add(self, bytes: u32) -> Self {
        Self(self.0.wrapping_add(bytes.into()))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

/// The upper half of a pointer, which names a region: `generation | slot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tag(u32);

impl Tag {
    pub(crate) fn new(generation: u16, slot: u16) -> Self {
        Self(u32::from(generation) << 16 | u32::from(slot))
    }

    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    pub(crate) fn generation(self) -> u16 {
        (self.0 >> 16) as u16
    }

    pub(crate) fn slot(self) -> u16 {
        self.0 as u16
    }

    /// The pointer to the region's first byte.
    pub(crate) fn pointer(self) -> Pointer {
        Pointer(u64::from(self.0) << 32)
    }
}
