//! Numbers that can be read and written, little endian as all of Wasm is.

use crate::host;

/// A number that can be read from a region and written to it, little endian:
/// the integers up to 64 bits, `f32` and `f64`. Any bytes are such a number.
pub trait Number: Copy + private::Sealed {
    #[doc(hidden)]
    const SIZE: u32;
    #[doc(hidden)]
    unsafe fn read(pointer: u64, offset: u32) -> Self;
    #[doc(hidden)]
    unsafe fn write(self, pointer: u64, offset: u32);
    /// From bytes in the guest's own memory.
    #[doc(hidden)]
    unsafe fn load(at: *const u8) -> Self;
}

/// A [`Number`] that those who share a region change at once: `u32`, `i32`, `u64`, `i64`.
pub trait Atomic: Number + PartialEq {
    #[doc(hidden)]
    unsafe fn compare_exchange(pointer: u64, offset: u32, expected: Self, new: Self) -> Self;
}

macro_rules! atomics {
    ($($number:ty, $wide:ty, $compare_exchange:ident;)*) => {
        $(
            impl Atomic for $number {
                #[inline]
                unsafe fn compare_exchange(at: u64, offset: u32, expected: Self, new: Self) -> Self {
                    host::$compare_exchange(at, offset, expected as $wide, new as $wide) as Self
                }
            }
        )*
    };
}

atomics! {
    u32, u32, compare_exchange_u32;
    i32, u32, compare_exchange_u32;
    u64, u64, compare_exchange_u64;
    i64, u64, compare_exchange_u64;
}

mod private {
    pub trait Sealed {}
}

macro_rules! numbers {
    ($($number:ty, $size:literal, $read:ident, $write:ident, $wide:ty, $from:expr, $to:expr;)*) => {
        $(
            impl private::Sealed for $number {}
            impl Number for $number {
                const SIZE: u32 = $size;
                #[inline]
                unsafe fn read(pointer: u64, offset: u32) -> Self {
                    let from: fn($wide) -> $number = $from;
                    from(host::$read(pointer, offset))
                }
                #[inline]
                unsafe fn write(self, pointer: u64, offset: u32) {
                    let to: fn($number) -> $wide = $to;
                    host::$write(pointer, offset, to(self));
                }
                #[inline]
                unsafe fn load(at: *const u8) -> Self {
                    <$number>::from_le_bytes(*at.cast::<[u8; $size]>())
                }
            }
        )*
    };
}

numbers! {
    u8, 1, read_u8, write_u8, u32, |n| n as u8, u32::from;
    i8, 1, read_u8, write_u8, u32, |n| n as i8, |n| u32::from(n as u8);
    u16, 2, read_u16, write_u16, u32, |n| n as u16, u32::from;
    i16, 2, read_u16, write_u16, u32, |n| n as i16, |n| u32::from(n as u16);
    u32, 4, read_u32, write_u32, u32, |n| n, |n| n;
    i32, 4, read_u32, write_u32, u32, |n| n as i32, |n| n as u32;
    f32, 4, read_u32, write_u32, u32, f32::from_bits, f32::to_bits;
    u64, 8, read_u64, write_u64, u64, |n| n, |n| n;
    i64, 8, read_u64, write_u64, u64, |n| n as i64, |n| n as u64;
    f64, 8, read_u64, write_u64, u64, f64::from_bits, f64::to_bits;
}
