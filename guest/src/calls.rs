//! What `export` and `import` expand to uses. `CALLS.md` describes what lies in
//! memory: records of arguments, and answers.

mod answer;
mod argument;
mod codec;
mod import;

pub use answer::{answer, Answer, Give, FAILED};
pub use argument::{Argument, Arguments, Param, Slots};
pub use codec::{encoded, Codec, Encoded};
pub use import::{ask, Receive};

#[cfg(feature = "json")]
pub use codec::Json;
#[cfg(feature = "postcard")]
pub use codec::Postcard;

use alloc::alloc::{alloc, dealloc};
use core::alloc::Layout;

/// The alignment of what [`genkan_alloc`] gives, in bytes.
const ALIGN: usize = 16;

/// Room for `len` bytes of arguments, for the host; null if there is none.
#[cfg_attr(target_family = "wasm", no_mangle)]
pub extern "C" fn genkan_alloc(len: usize) -> *mut u8 {
    match Layout::from_size_align(len, ALIGN) {
        Ok(layout) if len > 0 => unsafe { alloc(layout) },
        _ => core::ptr::null_mut(),
    }
}

/// Gives back what [`genkan_alloc`] gave for `len` bytes.
///
/// # Safety
/// It must be so, and no function that was called with them may be running.
#[cfg_attr(target_family = "wasm", no_mangle)]
pub unsafe extern "C" fn genkan_free(start: *mut u8, len: usize) {
    if let Ok(layout) = Layout::from_size_align(len, ALIGN) {
        dealloc(start, layout);
    }
}

/// How long `parts` are together.
pub const fn joined_len(parts: &[&str]) -> usize {
    let (mut len, mut i) = (0, 0);
    while i < parts.len() {
        len += parts[i].len();
        i += 1;
    }
    len
}

/// `parts`, one behind the other.
pub const fn joined<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut all = [0; N];
    let (mut at, mut i) = (0, 0);
    while i < parts.len() {
        let part = parts[i].as_bytes();
        let mut j = 0;
        while j < part.len() {
            all[at] = part[j];
            at += 1;
            j += 1;
        }
        i += 1;
    }
    all
}
