//! The result of a function that is called once for all rows.

use super::batch::Raw;
use super::bits::{lowest, WORD};
use super::element::{Element, Fixed};
use super::kept;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::slice;

/// The result of a function that is called once for all rows of a batch.
///
/// A row has a value at first if all arguments have one there, whatever it is.
pub struct Output<'a, T: Element + ?Sized> {
    rows: usize,
    /// Of numbers and `bool`.
    values: *mut u8,
    validity: &'a mut [u64],
    text: Text<'a>,
    element: PhantomData<&'a mut T>,
}

/// Of text: what was pushed.
struct Text<'a> {
    bytes: Vec<u8>,
    offsets: &'a mut [i32],
    rows: usize,
}

/// # Safety
/// There must be room for that many, which nobody else refers to.
unsafe fn room<'a, T>(start: *mut T, len: usize) -> &'a mut [T] {
    match start.is_null() {
        true => &mut [],
        false => slice::from_raw_parts_mut(start, len),
    }
}

impl<'a, T: Element + ?Sized> Output<'a, T> {
    /// For a batch's only result; `valid` gives 64 rows' bits.
    ///
    /// # Safety
    /// The host must have made the column, of this type, with this many rows.
    pub(super) unsafe fn new(column: &Raw, rows: usize, valid: impl Fn(usize) -> u64) -> Self {
        let validity = room(column.validity as *mut u64, rows.div_ceil(WORD));
        for (index, word) in validity.iter_mut().enumerate() {
            *word = valid(index * WORD);
        }
        let offsets = match column.offsets.is_null() {
            true => &mut [],
            false => room(column.offsets, rows + 1),
        };
        if let Some(first) = offsets.first_mut() {
            *first = 0;
        }
        Self {
            rows,
            values: column.values,
            validity,
            text: Text {
                bytes: kept::room(0),
                offsets,
                rows: 0,
            },
            element: PhantomData,
        }
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// A bit for each row, which is 1 if it has a value: 64 in a word, beginning with the
    /// lowest.
    pub fn validity_mut(&mut self) -> &mut [u64] {
        self.validity
    }

    /// Makes a row null, or not.
    ///
    /// Panics if there is no such row.
    pub fn set_valid(&mut self, row: usize, valid: bool) {
        assert!(
            row < self.rows,
            "row {row} of a result of {} rows",
            self.rows
        );
        set_bit(self.validity, row, valid);
    }

    /// # Safety
    /// The column must be that of `new`.
    pub(super) unsafe fn finish(self, column: &mut Raw) -> Result<(), String> {
        let is_text = !self.text.offsets.is_empty();
        if is_text {
            if self.text.rows != self.rows {
                return Err(format!(
                    "the function pushed {} rows into its result, of {}",
                    self.text.rows, self.rows
                ));
            }
            column.values_len = self.text.bytes.len() as u32;
            column.values = kept::keep(0, self.text.bytes);
        }
        let mut left = self.rows;
        for word in self.validity {
            let n = left.min(WORD);
            column.nulls += (lowest(n) & !*word).count_ones();
            left -= n;
        }
        if column.nulls == 0 {
            column.validity = core::ptr::null_mut();
        }
        Ok(())
    }
}

fn set_bit(words: &mut [u64], row: usize, value: bool) {
    let bit = 1 << (row % WORD);
    match value {
        true => words[row / WORD] |= bit,
        false => words[row / WORD] &= !bit,
    }
}

impl<'a, T: Fixed> Output<'a, T> {
    /// The rows' values, in any state at first. One that stays null need not be written.
    pub fn values_mut(&mut self) -> &mut [T] {
        match self.rows {
            0 => &mut [],
            // The host has made room for them.
            rows => unsafe { slice::from_raw_parts_mut(self.values as *mut T, rows) },
        }
    }

    /// Sets a row to a value, or null.
    ///
    /// Panics if there is no such row.
    pub fn set(&mut self, row: usize, value: impl Into<Option<T>>) {
        let value = value.into();
        self.set_valid(row, value.is_some());
        self.values_mut()[row] = value.unwrap_or_default();
    }
}

impl Output<'_, bool> {
    /// The rows' values, in any state at first: 64 in a word, beginning with the lowest bit.
    pub fn bits_mut(&mut self) -> &mut [u64] {
        match self.rows {
            0 => &mut [],
            // The host has made room for them.
            rows => unsafe {
                slice::from_raw_parts_mut(self.values as *mut u64, rows.div_ceil(WORD))
            },
        }
    }

    /// Sets a row to a value, or null.
    ///
    /// Panics if there is no such row.
    pub fn set(&mut self, row: usize, value: impl Into<Option<bool>>) {
        let value = value.into();
        self.set_valid(row, value.is_some());
        set_bit(self.bits_mut(), row, value.unwrap_or_default());
    }
}

impl Output<'_, str> {
    /// Adds the next row's text, or null. There must be one for each row.
    ///
    /// Panics if there is no row more.
    pub fn push<'t>(&mut self, text: impl Into<Option<&'t str>>) {
        push(self, text.into().map(str::as_bytes));
    }
}

impl Output<'_, [u8]> {
    /// Adds the next row's bytes, or null. There must be one for each row.
    ///
    /// Panics if there is no row more.
    pub fn push<'t>(&mut self, bytes: impl Into<Option<&'t [u8]>>) {
        push(self, bytes.into());
    }
}

fn push<T: Element + ?Sized>(output: &mut Output<T>, bytes: Option<&[u8]>) {
    let row = output.text.rows;
    output.set_valid(row, bytes.is_some());
    let text = &mut output.text;
    text.bytes.extend_from_slice(bytes.unwrap_or_default());
    text.rows += 1;
    let offset = i32::try_from(text.bytes.len());
    text.offsets[text.rows] = offset.expect("a batch of text has more than 2 GiB");
}
