//! Windows: regions that appear in the guest's own memory.

use crate::{host, Number};
use core::mem::align_of;
use core::ops::{Deref, DerefMut};
use core::slice;

/// Bytes of a region, in the guest's memory without a copy. It derefs to `[u8]`;
/// dropping it gives the addresses back.
///
/// The host can revoke the region at any time; touching the window then is a
/// trap. Other guests that may write the region can change what it shows.
#[derive(Debug)]
pub struct Window {
    start: *const u8,
    len: usize,
}

impl Window {
    /// # Safety
    /// `start` must be what `map` gave for `len` bytes, or `len` be 0.
    pub(crate) unsafe fn new(start: *const u8, len: usize) -> Self {
        Self { start, len }
    }

    /// The bytes as numbers; those behind the last whole number are left out.
    /// `None` if the first is not aligned: a region's beginning always is.
    pub fn numbers<T: Number>(&self) -> Option<&[T]> {
        if self.start as usize % align_of::<T>() != 0 {
            return None;
        }
        let count = self.len / T::SIZE as usize;
        // Any bytes are a number, the start is aligned, and they are in bounds.
        Some(unsafe { slice::from_raw_parts(self.start.cast(), count) })
    }
}

impl Deref for Window {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // The host has mapped them, until this value is dropped.
        unsafe { slice::from_raw_parts(self.start, self.len) }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        if self.len > 0 {
            // It is this value's own, and nothing borrows from it any more.
            unsafe { host::unmap(self.start) }
        }
    }
}

/// A [`Window`] that can be written: it derefs to `[u8]`, mutably.
#[derive(Debug)]
pub struct WindowMut(Window);

impl WindowMut {
    /// # Safety
    /// As for [`Window::new`], and mapped for writing.
    pub(crate) unsafe fn new(start: *mut u8, len: usize) -> Self {
        Self(Window::new(start, len))
    }

    /// As [`Window::numbers`].
    pub fn numbers<T: Number>(&self) -> Option<&[T]> {
        self.0.numbers()
    }

    /// As [`Window::numbers`], to write.
    pub fn numbers_mut<T: Number>(&mut self) -> Option<&mut [T]> {
        let numbers = self.0.numbers::<T>()?;
        let (start, len) = (numbers.as_ptr() as *mut T, numbers.len());
        // As there, and the window can be written and is borrowed mutably.
        Some(unsafe { slice::from_raw_parts_mut(start, len) })
    }
}

impl Deref for WindowMut {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for WindowMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        // As for `Window`, and the window can be written.
        unsafe { slice::from_raw_parts_mut(self.0.start as *mut u8, self.0.len) }
    }
}
