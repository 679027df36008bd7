//! Where the values of results go.

use super::batch::Raw;
use super::bits::{pack, WORD};
use super::element::Fixed;
use super::kept;
use alloc::string::String;
use alloc::vec::Vec;

/// Where a result's values go, a chunk of rows at a time, each row once at most.
pub trait Sinks: Sized {
    /// How many rows can be in a chunk.
    const MOST: usize;

    /// For result `index` of a batch.
    ///
    /// # Safety
    /// The host must have made the column, of this type, with this many rows.
    unsafe fn new(column: &Raw, index: usize, rows: usize) -> Self;

    /// Begins a chunk with row `at`.
    ///
    /// # Safety
    /// There must be that row, and it be a multiple of 64.
    unsafe fn begin(&mut self, at: usize);

    /// Makes the chunk's values something, where only some will be.
    ///
    /// # Safety
    /// The chunk must have `n` rows.
    unsafe fn blank(&mut self, n: usize);

    /// The chunk's row has no value.
    ///
    /// # Safety
    /// It must have that row.
    unsafe fn null(&mut self, row: usize);

    /// Ends the chunk.
    ///
    /// # Safety
    /// It must have begun.
    unsafe fn end(&mut self);

    /// After the last chunk: fills in the column.
    ///
    /// # Safety
    /// It must be that of `new`.
    unsafe fn finish(self, column: &mut Raw);
}

/// A sink for values of type `V`.
pub trait Sink<V>: Sinks {
    /// Puts a value into a row of the chunk, behind all others.
    ///
    /// # Safety
    /// The chunk must have that row.
    unsafe fn put(&mut self, row: usize, value: V);
}

/// Values of a fixed width.
pub struct FixedSink<T> {
    start: *mut T,
    chunk: *mut T,
}

impl<T: Fixed> Sinks for FixedSink<T> {
    const MOST: usize = usize::MAX;

    unsafe fn new(column: &Raw, _: usize, _: usize) -> Self {
        let start = column.values as *mut T;
        Self {
            start,
            chunk: start,
        }
    }

    #[inline]
    unsafe fn begin(&mut self, at: usize) {
        self.chunk = self.start.add(at);
    }

    #[inline]
    unsafe fn blank(&mut self, n: usize) {
        self.chunk.write_bytes(0, n);
    }

    #[inline]
    unsafe fn null(&mut self, row: usize) {
        self.chunk.add(row).write(T::default());
    }

    #[inline]
    unsafe fn end(&mut self) {}

    unsafe fn finish(self, _: &mut Raw) {}
}

impl<T: Fixed> Sink<T> for FixedSink<T> {
    #[inline]
    unsafe fn put(&mut self, row: usize, value: T) {
        self.chunk.add(row).write(value);
    }
}

/// A bitmap.
pub struct BitSink {
    words: *mut u64,
    chunk: [u8; WORD],
}

impl Sinks for BitSink {
    const MOST: usize = WORD;

    unsafe fn new(column: &Raw, _: usize, _: usize) -> Self {
        Self {
            words: column.values as *mut u64,
            chunk: [0; WORD],
        }
    }

    #[inline]
    unsafe fn begin(&mut self, _: usize) {}

    #[inline]
    unsafe fn blank(&mut self, _: usize) {
        self.chunk = [0; WORD];
    }

    #[inline]
    unsafe fn null(&mut self, row: usize) {
        *self.chunk.get_unchecked_mut(row) = 0;
    }

    #[inline]
    unsafe fn end(&mut self) {
        self.words.write(pack(&self.chunk).to_le());
        self.words = self.words.add(1);
    }

    unsafe fn finish(self, _: &mut Raw) {}
}

impl Sink<bool> for BitSink {
    #[inline]
    unsafe fn put(&mut self, row: usize, value: bool) {
        *self.chunk.get_unchecked_mut(row) = value.into();
    }
}

/// Bytes, one row behind the other. `S` is what functions can write a row into.
pub struct Rows<S> {
    index: usize,
    bytes: Vec<u8>,
    offsets: *mut i32,
    rows: usize,
    /// The first row whose offset is not there yet.
    next: usize,
    /// The chunk's first row.
    chunk: usize,
    row: S,
}

/// Rows that are UTF-8.
pub type TextSink = Rows<String>;
/// Rows of any bytes.
pub type BytesSink = Rows<Vec<u8>>;

impl<S> Rows<S> {
    /// Gives the rows before `end` that have no offset yet one: they are empty, and the
    /// last one begins here.
    #[inline]
    unsafe fn offsets_before(&mut self, end: usize) {
        let offset = i32::try_from(self.bytes.len());
        let offset = offset.expect("a batch of text has more than 2 GiB");
        while self.next < end {
            self.offsets.add(self.next).write(offset);
            self.next += 1;
        }
    }

    #[inline]
    unsafe fn put_bytes(&mut self, row: usize, bytes: &[u8]) {
        self.offsets_before(self.chunk + row + 1);
        append(&mut self.bytes, bytes);
    }
}

/// As `extend_from_slice`, which is a call of the engine's for each row. Most text is short.
#[inline]
fn append(all: &mut Vec<u8>, bytes: &[u8]) {
    let (len, more) = (all.len(), bytes.len());
    if more > SHORT {
        return all.extend_from_slice(bytes);
    }
    all.reserve(SHORT);
    // There is room for them now, which the slice is no part of.
    unsafe {
        copy_short(bytes, all.as_mut_ptr().add(len));
        all.set_len(len + more);
    }
}

/// How many bytes are short.
const SHORT: usize = 64;

/// Copies a short slice in one or two steps from its beginning, and as many from its end.
///
/// # Safety
/// There must be room for it, elsewhere.
#[inline]
unsafe fn copy_short(bytes: &[u8], to: *mut u8) {
    #[inline]
    unsafe fn step<const N: usize>(from: *const u8, to: *mut u8, at: usize) {
        let step = from.add(at).cast::<[u8; N]>().read();
        to.add(at).cast::<[u8; N]>().write(step);
    }
    let (from, len) = (bytes.as_ptr(), bytes.len());
    debug_assert!(len <= SHORT);
    match len {
        0 => {}
        1..=3 => {
            for at in [0, len / 2, len - 1] {
                step::<1>(from, to, at);
            }
        }
        4..=7 => {
            step::<4>(from, to, 0);
            step::<4>(from, to, len - 4);
        }
        8..=15 => {
            step::<8>(from, to, 0);
            step::<8>(from, to, len - 8);
        }
        16..=31 => {
            step::<16>(from, to, 0);
            step::<16>(from, to, len - 16);
        }
        _ => {
            for at in [0, 16, len - 32, len - 16] {
                step::<16>(from, to, at);
            }
        }
    }
}

impl<S: Default> Sinks for Rows<S> {
    const MOST: usize = usize::MAX;

    unsafe fn new(column: &Raw, index: usize, rows: usize) -> Self {
        Self {
            index,
            bytes: kept::room(index),
            offsets: column.offsets,
            rows,
            next: 0,
            chunk: 0,
            row: S::default(),
        }
    }

    #[inline]
    unsafe fn begin(&mut self, at: usize) {
        self.chunk = at;
    }

    #[inline]
    unsafe fn blank(&mut self, _: usize) {}

    #[inline]
    unsafe fn null(&mut self, _: usize) {}

    #[inline]
    unsafe fn end(&mut self) {}

    unsafe fn finish(mut self, column: &mut Raw) {
        self.offsets_before(self.rows + 1);
        column.values_len = self.bytes.len() as u32;
        column.values = kept::keep(self.index, self.bytes);
    }
}

impl TextSink {
    /// Room for a row's text, which is empty.
    #[inline]
    pub fn row(&mut self) -> &mut String {
        self.row.clear();
        &mut self.row
    }
}

impl BytesSink {
    /// Room for a row's bytes, which is empty.
    #[inline]
    pub fn row(&mut self) -> &mut Vec<u8> {
        self.row.clear();
        &mut self.row
    }
}

/// What was written into the room for a row.
impl Sink<()> for TextSink {
    #[inline]
    unsafe fn put(&mut self, row: usize, (): ()) {
        let text = core::mem::take(&mut self.row);
        self.put_bytes(row, text.as_bytes());
        self.row = text;
    }
}

impl Sink<()> for BytesSink {
    #[inline]
    unsafe fn put(&mut self, row: usize, (): ()) {
        let bytes = core::mem::take(&mut self.row);
        self.put_bytes(row, &bytes);
        self.row = bytes;
    }
}

macro_rules! puts {
    ($($sink:ty: $($value:ty),*;)*) => {
        $($(
            impl Sink<$value> for $sink {
                #[inline]
                unsafe fn put(&mut self, row: usize, value: $value) {
                    self.put_bytes(row, value.as_ref());
                }
            }
        )*)*
    };
}

puts! {
    TextSink: &str, String;
    BytesSink: &[u8], Vec<u8>;
}
