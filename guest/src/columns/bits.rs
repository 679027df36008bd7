//! Bitmaps, 64 rows at a time: bit `i` is bit `i % 8` of byte `i / 8`.

use super::batch::Raw;

/// How many rows a word is of.
pub(super) const WORD: usize = 64;

/// The lowest `n` bits, of at most 64.
pub(super) fn lowest(n: usize) -> u64 {
    match n {
        0 => 0,
        n => u64::MAX >> (WORD - n),
    }
}

/// `n` bits from bit `at` of a bitmap, of at most 64: the first is the lowest.
///
/// # Safety
/// The bitmap must have them. No other byte is read.
pub(super) unsafe fn word(bits: *const u8, at: usize, n: usize) -> u64 {
    let (start, shift) = (bits.add(at / 8), at % 8);
    let bytes = (shift + n).div_ceil(8);
    let mut word = if bytes >= 8 {
        u64::from_le(start.cast::<u64>().read_unaligned())
    } else {
        (0..bytes).fold(0, |word, byte| {
            word | u64::from(*start.add(byte)) << (8 * byte)
        })
    };
    word >>= shift;
    if bytes > 8 {
        word |= u64::from(*start.add(8)) << (WORD - shift);
    }
    word & lowest(n)
}

/// Which of a column's rows have a value.
#[derive(Clone, Copy)]
pub enum Validity {
    All,
    None,
    Some { bits: *const u8, at: usize },
}

impl Validity {
    /// # Safety
    /// The host must have made the column.
    pub(super) unsafe fn of(column: &Raw) -> Self {
        let (bits, at) = (column.validity, column.validity_bit as usize);
        if bits.is_null() || column.nulls == 0 {
            Self::All
        } else if !column.is_constant() {
            Self::Some { bits, at }
        } else if word(bits, at, 1) == 0 {
            Self::None
        } else {
            Self::All
        }
    }

    pub(super) fn is_all(self) -> bool {
        matches!(self, Self::All)
    }

    /// A bit for each of `n` rows from row `at` on, at most 64.
    ///
    /// # Safety
    /// The column must have them.
    #[inline]
    pub(super) unsafe fn word(self, at: usize, n: usize) -> u64 {
        match self {
            Self::All => lowest(n),
            Self::None => 0,
            Self::Some { bits, at: first } => word(bits, first + at, n),
        }
    }
}

/// A bit for each byte that is 1, of bytes that are 0 or 1.
#[cfg_attr(target_family = "wasm", target_feature(enable = "simd128"))]
pub(super) fn pack(bytes: &[u8; WORD]) -> u64 {
    #[cfg(target_family = "wasm")]
    {
        use core::arch::wasm32::{i8x16_bitmask, i8x16_neg, v128_load};
        let mut word = 0;
        for (index, part) in bytes.chunks_exact(16).enumerate() {
            // SAFETY: a chunk has 16 bytes.
            let part = unsafe { v128_load(part.as_ptr().cast()) };
            word |= u64::from(i8x16_bitmask(i8x16_neg(part))) << (16 * index);
        }
        word
    }
    #[cfg(not(target_family = "wasm"))]
    bytes
        .iter()
        .rev()
        .fold(0, |word, byte| word << 1 | u64::from(*byte))
}
