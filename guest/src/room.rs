//! Memory that the host asks for.

use alloc::alloc::{alloc, dealloc};
use core::alloc::Layout;

/// The alignment of what [`genkan_alloc`] gives, in bytes.
const ALIGN: usize = 16;

/// Room for `len` bytes, for the host; null if there is none.
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
