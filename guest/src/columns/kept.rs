//! What the host reads after a call: texts of results and of an error.

use super::batch::{Batch, NO_ROW};
use crate::owned::Owned;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::Display;
use core::mem;

static ERROR: Owned<String> = Owned::new(String::new());

/// The bytes of each result of the last call that had text.
static TEXTS: Owned<Vec<Vec<u8>>> = Owned::new(Vec::new());

/// Fails: the batch says why.
pub(super) fn fail(batch: &mut Batch, row: Option<usize>, error: &dyn Display) -> i32 {
    let text = error.to_string();
    batch.error = text.as_ptr();
    batch.error_len = text.len() as u32;
    batch.error_row = row.map_or(NO_ROW, |row| row as u32);
    // There is one thread, and nobody refers to the text before.
    unsafe { *ERROR.get() = text };
    1
}

/// Empty room for the bytes of result `index`: that of the last call, which the host has
/// copied.
pub(super) fn room(index: usize) -> Vec<u8> {
    // As above.
    let texts = unsafe { &mut *TEXTS.get() };
    let mut room = texts.get_mut(index).map(mem::take).unwrap_or_default();
    room.clear();
    room
}

/// Keeps the bytes of result `index` until the next call, and says where they are.
pub(super) fn keep(index: usize, bytes: Vec<u8>) -> *mut u8 {
    // As above.
    let texts = unsafe { &mut *TEXTS.get() };
    if texts.len() <= index {
        texts.resize_with(index + 1, Vec::new);
    }
    texts[index] = bytes;
    texts[index].as_mut_ptr()
}
