//! The types of columns.

use super::batch::Raw;
use super::bits;
use super::types::{
    Date32, Date64, Decimal128, TimestampMicrosecond, TimestampMillisecond, TimestampNanosecond,
    TimestampSecond,
};
use core::slice;

/// What a column has in each row: numbers, `bool`, `str`, `[u8]`.
#[diagnostic::on_unimplemented(
    message = "no column is of `{Self}`",
    note = "there are columns of bool, i8 to i64, u8 to u64, f32, f64, str, [u8], Date32, Date64, \
            TimestampSecond, TimestampMillisecond, TimestampMicrosecond, TimestampNanosecond and \
            Decimal128<P, S>, of genkan_guest::columns"
)]
pub trait Element: 'static {
    /// Its name in the section.
    const NAME: &'static str;
    /// A row's value.
    type Item<'a>: Copy;
    /// That of a row.
    ///
    /// # Safety
    /// The host must have made the column, of this type, and it have that row.
    #[doc(hidden)]
    unsafe fn item(column: &Raw, row: usize) -> Self::Item<'_>;
}

/// An element of a fixed width.
///
/// # Safety
/// Any bytes are a value of it.
pub unsafe trait Fixed: for<'a> Element<Item<'a> = Self> + Copy + Default {}

macro_rules! fixed {
    ($($ty:ty: $name:literal;)*) => {
        $(
            impl Element for $ty {
                const NAME: &'static str = $name;
                type Item<'a> = Self;
                #[inline]
                unsafe fn item(column: &Raw, row: usize) -> Self {
                    *(column.values as *const Self).add(row)
                }
            }
            unsafe impl Fixed for $ty {}
        )*
    };
}

fixed! {
    i8: "Int8";
    i16: "Int16";
    i32: "Int32";
    i64: "Int64";
    u8: "UInt8";
    u16: "UInt16";
    u32: "UInt32";
    u64: "UInt64";
    f32: "Float32";
    f64: "Float64";
    Date32: "Date32";
    Date64: "Date64";
    TimestampSecond: "Timestamp(Second)";
    TimestampMillisecond: "Timestamp(Millisecond)";
    TimestampMicrosecond: "Timestamp(Microsecond)";
    TimestampNanosecond: "Timestamp(Nanosecond)";
}

impl<const P: u8, const S: i8> Element for Decimal128<P, S> {
    const NAME: &'static str = {
        let (text, len) = &Self::TEXT;
        match core::str::from_utf8(text.split_at(*len).0) {
            Ok(name) => name,
            Err(_) => unreachable!(),
        }
    };
    type Item<'a> = Self;
    #[inline]
    unsafe fn item(column: &Raw, row: usize) -> Self {
        *(column.values as *const Self).add(row)
    }
}

unsafe impl<const P: u8, const S: i8> Fixed for Decimal128<P, S> {}

/// Room for `Decimal128(38, -128)`.
const DECIMAL: usize = 20;

impl<const P: u8, const S: i8> Decimal128<P, S> {
    /// Its name, and how long that is.
    const TEXT: ([u8; DECIMAL], usize) = {
        assert!(P >= 1 && P <= 38, "a Decimal128 has 1 to 38 digits");
        assert!(
            S <= P as i8,
            "a Decimal128 has no more digits behind the point than digits"
        );
        let text = append(([0; DECIMAL], 0), b"Decimal128(");
        let text = append_number(text, P);
        let text = append(text, if S < 0 { b", -" } else { b", " });
        append(append_number(text, S.unsigned_abs()), b")")
    };
}

const fn append(text: ([u8; DECIMAL], usize), more: &[u8]) -> ([u8; DECIMAL], usize) {
    let (mut all, mut len) = text;
    let mut i = 0;
    while i < more.len() {
        all[len] = more[i];
        len += 1;
        i += 1;
    }
    (all, len)
}

const fn append_number(text: ([u8; DECIMAL], usize), number: u8) -> ([u8; DECIMAL], usize) {
    let digits = [
        b'0' + number / 100,
        b'0' + number / 10 % 10,
        b'0' + number % 10,
    ];
    let leading = if number >= 100 {
        0
    } else if number >= 10 {
        1
    } else {
        2
    };
    append(text, digits.split_at(leading).1)
}

impl Element for bool {
    const NAME: &'static str = "Boolean";
    type Item<'a> = Self;
    #[inline]
    unsafe fn item(column: &Raw, row: usize) -> Self {
        bits::word(column.values, column.values_bit as usize + row, 1) != 0
    }
}

impl Element for str {
    const NAME: &'static str = "Utf8";
    type Item<'a> = &'a str;
    #[inline]
    unsafe fn item(column: &Raw, row: usize) -> &str {
        // The host has them of a `str`.
        core::str::from_utf8_unchecked(<[u8]>::item(column, row))
    }
}

impl Element for [u8] {
    const NAME: &'static str = "Binary";
    type Item<'a> = &'a [u8];
    #[inline]
    unsafe fn item(column: &Raw, row: usize) -> &[u8] {
        let offsets = column.offsets.add(row);
        let (start, end) = (*offsets as usize, *offsets.add(1) as usize);
        if start == end {
            // There may be no address.
            return &[];
        }
        slice::from_raw_parts(column.values.add(start), end - start)
    }
}
