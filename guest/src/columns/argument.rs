//! Arguments of a function that is called for each row.

use super::batch::{Batch, Raw};
use super::bits::{self, Validity, WORD};
use super::element::{Element, Fixed};
use alloc::vec;
use alloc::vec::Vec;
use core::slice;

/// What a row has of a column that may not be null: a number, `bool`, `&str`, `&[u8]`.
pub trait Value<'a>: Copy {
    /// Its name in the section.
    const NAME: &'static str;
    /// The column's values.
    type Values;
    /// The values of a few rows.
    type Chunk: Copy;

    /// # Safety
    /// The host must have made the column, of this type.
    unsafe fn values(column: &'a Raw) -> Self::Values;

    /// How many rows can be in a chunk: a word's, or all.
    fn most(values: &Self::Values) -> usize;

    /// Those of `n` rows from row `at` on. Only as long as the values stay where they are.
    ///
    /// # Safety
    /// There must be those rows, and no more of them than `most`.
    unsafe fn chunk(values: &Self::Values, at: usize, n: usize) -> Self::Chunk;

    /// # Safety
    /// The chunk must have that row, with a value.
    unsafe fn get(chunk: Self::Chunk, row: usize) -> Self;
}

/// A type of an argument: a value of a row, or an `Option` of one.
#[diagnostic::on_unimplemented(
    message = "a function over columns has no arguments of type `{Self}`",
    note = "there are bool, i8 to i64, u8 to u64, f32, f64, &str, &[u8], Date32, Date64, \
            TimestampSecond, TimestampMillisecond, TimestampMicrosecond, TimestampNanosecond and \
            Decimal128<P, S>, of genkan_guest::columns; Option of each; and Column<T> of each, \
            with &mut Output<T> as the last one"
)]
pub trait Argument<'a>: Sized {
    /// Its name in the section.
    const NAME: &'static str;
    /// Whether it takes nulls.
    const NULLS: bool;
    #[doc(hidden)]
    type Column;
    #[doc(hidden)]
    type Chunk: Copy;
    #[doc(hidden)]
    unsafe fn column(column: &'a Raw) -> Self::Column;
    #[doc(hidden)]
    fn most(column: &Self::Column) -> usize;
    /// Which rows there is a call for.
    #[doc(hidden)]
    fn called(column: &Self::Column) -> Validity;
    #[doc(hidden)]
    unsafe fn chunk(column: &Self::Column, at: usize, n: usize) -> Self::Chunk;
    #[doc(hidden)]
    unsafe fn get(chunk: Self::Chunk, row: usize) -> Self;
}

/// A column, and which of its rows have a value.
pub struct Checked<V> {
    values: V,
    validity: Validity,
}

impl<'a, T: Value<'a>> Argument<'a> for T {
    const NAME: &'static str = T::NAME;
    const NULLS: bool = false;
    type Column = Checked<T::Values>;
    type Chunk = T::Chunk;

    unsafe fn column(column: &'a Raw) -> Self::Column {
        Checked {
            values: T::values(column),
            validity: Validity::of(column),
        }
    }

    fn most(column: &Self::Column) -> usize {
        T::most(&column.values)
    }

    fn called(column: &Self::Column) -> Validity {
        column.validity
    }

    #[inline]
    unsafe fn chunk(column: &Self::Column, at: usize, n: usize) -> Self::Chunk {
        T::chunk(&column.values, at, n)
    }

    #[inline]
    unsafe fn get(chunk: Self::Chunk, row: usize) -> Self {
        T::get(chunk, row)
    }
}

impl<'a, T: Value<'a>> Argument<'a> for Option<T> {
    const NAME: &'static str = T::NAME;
    const NULLS: bool = true;
    type Column = Checked<T::Values>;
    type Chunk = (T::Chunk, u64);

    unsafe fn column(column: &'a Raw) -> Self::Column {
        <T as Argument>::column(column)
    }

    fn most(_: &Self::Column) -> usize {
        WORD
    }

    fn called(_: &Self::Column) -> Validity {
        Validity::All
    }

    #[inline]
    unsafe fn chunk(column: &Self::Column, at: usize, n: usize) -> Self::Chunk {
        let values = T::chunk(&column.values, at, n);
        (values, column.validity.word(at, n))
    }

    #[inline]
    unsafe fn get((values, valid): Self::Chunk, row: usize) -> Self {
        match valid >> row & 1 {
            0 => None,
            _ => Some(T::get(values, row)),
        }
    }
}

/// What to take of a row's number.
fn mask(column: &Raw) -> usize {
    match column.is_constant() {
        true => 0,
        false => usize::MAX,
    }
}

/// Values of a fixed width.
pub struct FixedValues<T> {
    start: *const T,
    /// All bits; none if one row stands for all.
    mask: usize,
    /// That row's value, as often as a word has rows: so that loops know of no such columns.
    constant: Option<Vec<T>>,
}

impl<'a, T: Fixed> Value<'a> for T {
    const NAME: &'static str = <T as Element>::NAME;
    type Values = FixedValues<T>;
    type Chunk = *const T;

    unsafe fn values(column: &'a Raw) -> Self::Values {
        let start = column.values as *const T;
        let constant = column.is_constant().then(|| vec![*start; WORD]);
        FixedValues {
            start: constant.as_ref().map_or(start, |values| values.as_ptr()),
            mask: mask(column),
            constant,
        }
    }

    fn most(values: &Self::Values) -> usize {
        match values.constant {
            Some(_) => WORD,
            None => usize::MAX,
        }
    }

    #[inline]
    unsafe fn chunk(values: &Self::Values, at: usize, _: usize) -> Self::Chunk {
        values.start.add(at & values.mask)
    }

    #[inline]
    unsafe fn get(chunk: Self::Chunk, row: usize) -> Self {
        *chunk.add(row)
    }
}

/// A bitmap of values.
pub struct Bits {
    start: *const u8,
    first: usize,
    constant: bool,
}

impl<'a> Value<'a> for bool {
    const NAME: &'static str = <bool as Element>::NAME;
    type Values = Bits;
    type Chunk = u64;

    unsafe fn values(column: &'a Raw) -> Self::Values {
        Bits {
            start: column.values,
            first: column.values_bit as usize,
            constant: column.is_constant(),
        }
    }

    fn most(_: &Self::Values) -> usize {
        WORD
    }

    #[inline]
    unsafe fn chunk(values: &Self::Values, at: usize, n: usize) -> Self::Chunk {
        match values.constant {
            true => bits::word(values.start, values.first, 1).wrapping_neg(),
            false => bits::word(values.start, values.first + at, n),
        }
    }

    #[inline]
    unsafe fn get(chunk: Self::Chunk, row: usize) -> Self {
        chunk >> row & 1 != 0
    }
}

/// Bytes, and where each row's begin.
#[derive(Clone, Copy)]
pub struct Offsets {
    bytes: *const u8,
    offsets: *const i32,
    /// All bits; none if one row stands for all.
    mask: usize,
}

impl Offsets {
    #[inline]
    unsafe fn row<'a>(self, row: usize) -> &'a [u8] {
        let offsets = self.offsets.add(row & self.mask);
        let (start, end) = (*offsets as usize, *offsets.add(1) as usize);
        slice::from_raw_parts(self.bytes.add(start), end - start)
    }
}

impl<'a> Value<'a> for &'a [u8] {
    const NAME: &'static str = <[u8] as Element>::NAME;
    type Values = Offsets;
    type Chunk = Offsets;

    unsafe fn values(column: &'a Raw) -> Self::Values {
        let bytes = match column.values_len {
            // There may be no address.
            0 => [].as_ptr(),
            _ => column.values as *const u8,
        };
        Offsets {
            bytes,
            offsets: column.offsets,
            mask: mask(column),
        }
    }

    fn most(_: &Self::Values) -> usize {
        usize::MAX
    }

    #[inline]
    unsafe fn chunk(values: &Self::Values, at: usize, _: usize) -> Self::Chunk {
        Offsets {
            offsets: values.offsets.add(at & values.mask),
            ..*values
        }
    }

    #[inline]
    unsafe fn get(chunk: Self::Chunk, row: usize) -> Self {
        chunk.row(row)
    }
}

impl<'a> Value<'a> for &'a str {
    const NAME: &'static str = <str as Element>::NAME;
    type Values = Offsets;
    type Chunk = Offsets;

    unsafe fn values(column: &'a Raw) -> Self::Values {
        <&[u8] as Value>::values(column)
    }

    fn most(values: &Self::Values) -> usize {
        <&[u8] as Value>::most(values)
    }

    #[inline]
    unsafe fn chunk(values: &Self::Values, at: usize, n: usize) -> Self::Chunk {
        <&[u8] as Value>::chunk(values, at, n)
    }

    #[inline]
    unsafe fn get(chunk: Self::Chunk, row: usize) -> Self {
        // The host has them of a `str`.
        core::str::from_utf8_unchecked(chunk.row(row))
    }
}

/// All of a function's arguments.
pub trait Arguments<'a>: Sized {
    #[doc(hidden)]
    type Columns;
    #[doc(hidden)]
    type Chunks: Copy;
    #[doc(hidden)]
    unsafe fn columns(batch: &'a Batch) -> Self::Columns;
    #[doc(hidden)]
    fn most(columns: &Self::Columns) -> usize;
    /// Whether there is a call for each row.
    #[doc(hidden)]
    fn all_called(columns: &Self::Columns) -> bool;
    #[doc(hidden)]
    unsafe fn called(columns: &Self::Columns, at: usize, n: usize) -> u64;
    #[doc(hidden)]
    unsafe fn chunks(columns: &Self::Columns, at: usize, n: usize) -> Self::Chunks;
    #[doc(hidden)]
    unsafe fn get(chunks: Self::Chunks, row: usize) -> Self;
}

macro_rules! arguments {
    ($($argument:ident $index:tt)*) => {
        #[allow(unused_variables, clippy::unused_unit)]
        impl<'a, $($argument: Argument<'a>),*> Arguments<'a> for ($($argument,)*) {
            type Columns = ($($argument::Column,)*);
            type Chunks = ($($argument::Chunk,)*);

            unsafe fn columns(batch: &'a Batch) -> Self::Columns {
                ($($argument::column(batch.column($index)),)*)
            }

            fn most(columns: &Self::Columns) -> usize {
                usize::MAX$(.min($argument::most(&columns.$index)))*
            }

            fn all_called(columns: &Self::Columns) -> bool {
                true $(&& $argument::called(&columns.$index).is_all())*
            }

            #[inline]
            unsafe fn called(columns: &Self::Columns, at: usize, n: usize) -> u64 {
                bits::lowest(n) $(& $argument::called(&columns.$index).word(at, n))*
            }

            #[inline]
            unsafe fn chunks(columns: &Self::Columns, at: usize, n: usize) -> Self::Chunks {
                ($($argument::chunk(&columns.$index, at, n),)*)
            }

            #[inline]
            unsafe fn get(chunks: Self::Chunks, row: usize) -> Self {
                ($($argument::get(chunks.$index, row),)*)
            }
        }
    };
}

arguments!();
arguments!(A 0);
arguments!(A 0 B 1);
arguments!(A 0 B 1 C 2);
arguments!(A 0 B 1 C 2 D 3);
arguments!(A 0 B 1 C 2 D 3 E 4);
arguments!(A 0 B 1 C 2 D 3 E 4 F 5);
arguments!(A 0 B 1 C 2 D 3 E 4 F 5 G 6);
arguments!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7);
arguments!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8);
arguments!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9);
arguments!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10);
arguments!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11);
