//! Bytes that will be a region's: nobody else has them yet.

use super::pages::whole_pages;
use super::shared::SharedBytes;
use std::io;

/// Zeroed pages that their one owner reads and writes.
#[derive(Debug)]
pub(crate) struct Buffer(SharedBytes);

impl Buffer {
    /// At least `len` bytes, as many as whole pages have.
    pub(crate) fn zeroed(len: usize) -> io::Result<Self> {
        SharedBytes::zeroed(whole_pages(len)).map(Self)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: they are mapped for as long as the value lives, and nobody else has it.
        unsafe { std::slice::from_raw_parts(self.0.base().as_ptr(), self.0.len()) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.0.base().as_ptr(), self.0.len()) }
    }

    /// The first `len` bytes, to be shared. What is behind them is zero then.
    pub(crate) fn into_shared(mut self, len: usize) -> SharedBytes {
        self.bytes_mut()[len..].fill(0);
        self.0.cut(len);
        self.0
    }
}
