//! A result's column, as it is filled: values, and which of them are there.

use super::batch::Raw;
use super::bits::{lowest, pack, WORD};
use super::result::Returned;
use super::sink::Sink;
use core::marker::PhantomData;

/// A column of what functions give that return `R`.
pub struct Writer<R: Returned, S: Sink<R::Value>> {
    pub(super) sink: S,
    /// Which rows of the chunk gave a value: 1, or 0.
    some: [u8; WORD],
    validity: *mut u64,
    nulls: u32,
    result: PhantomData<R>,
}

impl<R: Returned, S: Sink<R::Value>> Writer<R, S> {
    /// # Safety
    /// As for `Sinks::new`.
    pub(super) unsafe fn new(column: &Raw, index: usize, rows: usize) -> Self {
        Self {
            sink: S::new(column, index, rows),
            some: [0; WORD],
            validity: column.validity as *mut u64,
            nulls: 0,
            result: PhantomData,
        }
    }

    /// # Safety
    /// The chunk must have that row.
    #[inline(always)]
    pub(super) unsafe fn put(&mut self, row: usize, result: R) -> Result<(), R::Error> {
        let value = result.outcome()?;
        if R::NULLS {
            *self.some.get_unchecked_mut(row) = value.is_some().into();
        }
        match value {
            Some(value) => self.sink.put(row, value),
            None => self.sink.null(row),
        }
        Ok(())
    }

    /// Ends a chunk of `n` rows, at most 64, of which those with a bit in `called` were put.
    ///
    /// # Safety
    /// It must be so.
    #[inline(always)]
    pub(super) unsafe fn end_with_nulls(&mut self, n: usize, called: u64) {
        self.sink.end();
        let some = match R::NULLS {
            true => called & pack(&self.some),
            false => called,
        };
        self.nulls += (lowest(n) & !some).count_ones();
        self.validity.write(some.to_le());
        self.validity = self.validity.add(1);
    }

    /// After the last chunk: fills in the column.
    ///
    /// # Safety
    /// It must be that of `new`.
    pub(super) unsafe fn finish(self, column: &mut Raw) {
        column.nulls = self.nulls;
        if self.nulls == 0 {
            column.validity = core::ptr::null_mut();
        }
        self.sink.finish(column);
    }
}
