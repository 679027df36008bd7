//! Windows: regions that appear in the guest's own memory.

use crate::{host, Number};
use core::mem::align_of;
use core::ops::{Deref, DerefMut};
use core::{ptr, slice};

/// What `map` gave, until it is dropped.
#[derive(Debug)]
struct Mapped {
    start: *mut u8,
    len: usize,
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if self.len > 0 {
            // It is this value's own, and nothing borrows from it any more.
            unsafe { host::unmap(self.start) }
        }
    }
}

/// Bytes of a region, in the guest's memory without a copy. It derefs to `[u8]`;
/// dropping it gives the addresses back.
///
/// Nobody changes them meanwhile, and the host sees to it: while this guest runs, nobody
/// who may write the region uses it; no [`WindowMut`] of this guest's shows the same bytes;
/// and its [`HostPtr`](crate::HostPtr)s do not write there. It can be kept from one call to
/// the next, for as long as nobody writes the region in between. After that, touching it is a
/// trap, and so it is after the host has revoked the region.
#[derive(Debug)]
pub struct Window(Mapped);

impl Window {
    /// # Safety
    /// `start` must be what `map` gave for a slice of `len` bytes, or `len` be 0.
    pub(crate) unsafe fn new(start: *mut u8, len: usize) -> Self {
        Self(Mapped { start, len })
    }

    /// The bytes as numbers; those behind the last whole number are left out.
    /// `None` if the first is not aligned: a region's beginning always is.
    pub fn numbers<T: Number>(&self) -> Option<&[T]> {
        if self.0.start as usize % align_of::<T>() != 0 {
            return None;
        }
        let count = self.0.len / T::SIZE as usize;
        // Any bytes are a number, the start is aligned, and they are in bounds.
        Some(unsafe { slice::from_raw_parts(self.0.start as *const T, count) })
    }
}

impl Deref for Window {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // The host has mapped them until this value is dropped, and nobody writes them.
        unsafe { slice::from_raw_parts(self.0.start, self.0.len) }
    }
}

/// A [`Window`] that can be written: it derefs to `[u8]`, mutably. No other window shows the
/// same bytes, and [`HostPtr`](crate::HostPtr)s do not read them either.
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
        let len = self.0.numbers::<T>()?.len();
        // As there, and the window can be written and is borrowed mutably.
        Some(unsafe { slice::from_raw_parts_mut(self.0 .0.start as *mut T, len) })
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
        unsafe { slice::from_raw_parts_mut(self.0 .0.start, self.0 .0.len) }
    }
}

/// Bytes of a region that others may write meanwhile, in the guest's memory: numbers that
/// are read one by one. Each is whole if it is aligned; what comes first to others is not
/// said: for that there are [`HostPtr::compare_exchange`](crate::HostPtr::compare_exchange)
/// and `update`.
///
/// Regions that were granted for sharing have such windows only. Dropping it gives the
/// addresses back.
#[derive(Debug)]
pub struct SharedWindow(Mapped);

impl SharedWindow {
    /// # Safety
    /// `start` must be what `map` gave for `len` bytes, or `len` be 0.
    pub(crate) unsafe fn new(start: *mut u8, len: usize) -> Self {
        Self(Mapped { start, len })
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// The number at `offset` bytes, as it is now.
    ///
    /// Panics if it is not all in the window, or not aligned.
    pub fn get<T: Number>(&self, offset: usize) -> T {
        // In bounds and aligned; any bytes are a number.
        unsafe { ptr::read_volatile(self.number(offset)) }
    }

    fn number<T: Number>(&self, offset: usize) -> *mut T {
        let end = offset.checked_add(T::SIZE as usize);
        assert!(
            matches!(end, Some(end) if end <= self.0.len),
            "the number goes beyond the end of the window"
        );
        let number = self.0.start.wrapping_add(offset) as *mut T;
        assert!(
            number as usize % align_of::<T>() == 0,
            "the number is not aligned"
        );
        number
    }
}

/// A [`SharedWindow`] that can be written.
#[derive(Debug)]
pub struct SharedWindowMut(SharedWindow);

impl SharedWindowMut {
    /// # Safety
    /// As for [`SharedWindow::new`], and mapped for writing.
    pub(crate) unsafe fn new(start: *mut u8, len: usize) -> Self {
        Self(SharedWindow::new(start, len))
    }

    /// Sets the number at `offset` bytes.
    ///
    /// Panics if it is not all in the window, or not aligned.
    pub fn set<T: Number>(&self, offset: usize, number: T) {
        // In bounds, aligned, and mapped for writing.
        unsafe { ptr::write_volatile(self.0.number(offset), number) }
    }
}

impl Deref for SharedWindowMut {
    type Target = SharedWindow;

    fn deref(&self) -> &SharedWindow {
        &self.0
    }
}
