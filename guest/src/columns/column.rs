//! Functions that are called once for all rows.

use super::batch::{Batch, Raw};
use super::bits::{Validity, WORD};
use super::element::{Element, Fixed};
use super::kept::fail;
use super::output::Output;
use super::result::Updated;
use alloc::borrow::Cow;
use alloc::vec;
use core::marker::PhantomData;
use core::slice;

/// An argument of a function that is called once for all rows of a batch.
///
/// ```ignore
/// #[genkan_guest::column_fn]
/// fn distance(x: Column<f64>, y: Column<f64>, out: &mut Output<f64>) {
///     let (x, y) = (x.values(), y.values());
///     for (out, (x, y)) in out.values_mut().iter_mut().zip(x.iter().zip(&*y)) {
///         *out = (x * x + y * y).sqrt();
///     }
/// }
/// ```
pub struct Column<'a, T: Element + ?Sized> {
    raw: &'a Raw,
    rows: usize,
    validity: Validity,
    element: PhantomData<&'a T>,
}

impl<'a, T: Element + ?Sized> Column<'a, T> {
    /// How many rows it has: as many as the others of the batch.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether there may be a row without a value.
    pub fn has_nulls(&self) -> bool {
        !self.validity.is_all()
    }

    /// The value of all rows, if the query has a constant here: `None` if it has none;
    /// `Some(None)` for null.
    pub fn constant(&self) -> Option<Option<T::Item<'a>>> {
        (self.raw.is_constant() && self.rows > 0).then(|| self.get(0))
    }

    /// A row's value, if it has one.
    ///
    /// Panics if there is no such row.
    pub fn get(&self, row: usize) -> Option<T::Item<'a>> {
        assert!(
            row < self.rows,
            "row {row} of a column of {} rows",
            self.rows
        );
        let of_column = match self.raw.is_constant() {
            true => 0,
            false => row,
        };
        // There is this row, and the host has made the column.
        unsafe {
            match self.validity.word(row, 1) {
                0 => None,
                _ => Some(T::item(self.raw, of_column)),
            }
        }
    }

    /// The rows' values.
    pub fn iter(&self) -> impl Iterator<Item = Option<T::Item<'a>>> + '_ {
        (0..self.rows).map(|row| self.get(row))
    }
}

impl<'a, T: Fixed> Column<'a, T> {
    /// The values of all rows; a row without one has any. A constant is there as often as
    /// there are rows: see [`Column::constant`].
    pub fn values(&self) -> Cow<'a, [T]> {
        let start = self.raw.values as *const T;
        // The host has made the column.
        unsafe {
            match self.rows {
                0 => Cow::Borrowed(&[]),
                rows if self.raw.is_constant() => Cow::Owned(vec![*start; rows]),
                rows => Cow::Borrowed(slice::from_raw_parts(start, rows)),
            }
        }
    }
}

impl Batch {
    /// An argument's column.
    ///
    /// # Safety
    /// The host must have made the batch, with an argument of this type there.
    pub unsafe fn argument<T: Element + ?Sized>(&self, index: usize) -> Column<'_, T> {
        let raw = self.column(index);
        Column {
            raw,
            rows: self.rows(),
            validity: Validity::of(raw),
            element: PhantomData,
        }
    }

    /// Which of the rows have a value in each argument: 64 from row `at` on.
    unsafe fn all_valid(&self, at: usize) -> u64 {
        let n = WORD.min(self.rows() - at);
        (0..self.column_count as usize).fold(super::bits::lowest(n), |valid, index| {
            valid & Validity::of(self.column(index)).word(at, n)
        })
    }
}

/// Fills in a batch's result by one call of `function`.
///
/// # Safety
/// The host must have made the batch, for the arguments that the function takes and a result
/// of type `T`.
pub unsafe fn vectorised<'a, T: Element + ?Sized, R: Updated>(
    batch: &'a mut Batch,
    function: impl FnOnce(&'a Batch, &mut Output<'a, T>) -> R,
) -> i32 {
    let batch: *mut Batch = batch;
    let column = (*batch).result(0);
    let mut output = Output::new(&*column, (*batch).rows(), |at| (*batch).all_valid(at));
    if let Err(error) = function(&*batch, &mut output).updated() {
        return fail(&mut *batch, None, &error);
    }
    match output.finish(column) {
        Ok(()) => 0,
        Err(error) => fail(&mut *batch, None, &error),
    }
}
