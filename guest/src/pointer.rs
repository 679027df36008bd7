//! Pointers to the host's memory, and slices of it.

use crate::numbers::Numbers;
use crate::window::{SharedWindow, SharedWindowMut, Window, WindowMut};
use crate::{host, Atomic, Number};
use core::convert::TryFrom;
use core::fmt;
use core::ops::{Add, Range};

/// A pointer to a byte of memory that the host granted. It can be a parameter of
/// an exported function, where the host gives it as an `i64`.
///
/// `pointer + 8` is the pointer 8 bytes further on. A pointer that leaves its
/// region is not valid for any access.
///
/// While there is a [`Window`] that shows bytes as a slice, pointers do not contradict it:
/// from its beginning to the region's end they do not write, and do not read either if it
/// is a [`WindowMut`]. What does so traps, or is [`Error::InWindow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct HostPtr(u64);

/// Why the host refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The pointer is not valid: it was never given, or its region was revoked.
    Pointer,
    /// The bytes go beyond the region's end, or the slice's.
    OutOfBounds,
    /// The region was granted for reading.
    ReadOnly,
    /// There is no room for a window in the guest's memory.
    NoRoom,
    /// A window is in the way: see [`Window`].
    InWindow,
    /// The region was granted for sharing, so that it is no slice: see [`SharedWindow`].
    Shared,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Pointer => "the pointer is not valid",
            Error::OutOfBounds => "the bytes go beyond the region's end",
            Error::ReadOnly => "the region was granted for reading only",
            Error::NoRoom => "there is no room for a window",
            Error::InWindow => "a window is in the way",
            Error::Shared => "the region was granted for sharing and is no slice",
        })
    }
}

impl Error {
    fn from_code(code: i64) -> Self {
        match code {
            1 => Error::Pointer,
            2 => Error::OutOfBounds,
            3 => Error::ReadOnly,
            5 => Error::InWindow,
            6 => Error::Shared,
            _ => Error::NoRoom,
        }
    }
}

// Every `unsafe` below is a call of the host's, which checks the pointer; the
// addresses given to it are those of slices, with their lengths.
impl HostPtr {
    /// The pointer with these bits, as the host gave them.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// How many bytes there are from here to the region's end.
    ///
    /// Traps if the pointer is not valid.
    #[allow(clippy::len_without_is_empty)] // a pointer is never empty
    pub fn len(self) -> usize {
        // A region is smaller than the address space.
        unsafe { host::len(self.0) as usize }
    }

    /// As [`HostPtr::len`], with an error instead of a trap.
    pub fn try_len(self) -> Result<usize, Error> {
        self.check(0, 0, false)?;
        Ok(self.len())
    }

    /// `len` bytes from here on. Nothing is checked before they are used.
    pub fn slice(self, len: usize) -> HostSlice {
        HostSlice { start: self, len }
    }

    /// All bytes from here to the region's end.
    ///
    /// Traps if the pointer is not valid.
    pub fn all(self) -> HostSlice {
        self.slice(self.len())
    }

    /// The number `offset` bytes further on.
    ///
    /// Traps if it is not all in the region.
    pub fn read<T: Number>(self, offset: u32) -> T {
        unsafe { T::read(self.0, offset) }
    }

    /// As [`HostPtr::read`], with an error instead of a trap.
    pub fn try_read<T: Number>(self, offset: u32) -> Result<T, Error> {
        self.check(offset, T::SIZE as usize, false)?;
        Ok(self.read(offset))
    }

    /// Writes a number `offset` bytes further on.
    ///
    /// Traps if there is no room for it in the region, or the guest may only read.
    pub fn write<T: Number>(self, offset: u32, number: T) {
        unsafe { number.write(self.0, offset) }
    }

    /// As [`HostPtr::write`], with an error instead of a trap.
    pub fn try_write<T: Number>(self, offset: u32, number: T) -> Result<(), Error> {
        self.check(offset, T::SIZE as usize, true)?;
        self.write(offset, number);
        Ok(())
    }

    /// Writes a number `offset` bytes further on if there is `expected`, at once for all
    /// that share the region, and gives what was there: as `Ok` if it was that. Memory is
    /// ordered as by [`core::sync::atomic::Ordering::SeqCst`].
    ///
    /// Traps also if it is not at a multiple of its size.
    pub fn compare_exchange<T: Atomic>(self, offset: u32, expected: T, new: T) -> Result<T, T> {
        let found = unsafe { T::compare_exchange(self.0, offset, expected, new) };
        if found == expected {
            Ok(found)
        } else {
            Err(found)
        }
    }

    /// Replaces a number `offset` bytes further on by what `change` makes of it, at once
    /// for all that share the region, and gives what was there. `change` is called again
    /// if another was faster.
    ///
    /// Traps as [`HostPtr::compare_exchange`].
    pub fn update<T: Atomic>(self, offset: u32, mut change: impl FnMut(T) -> T) -> T {
        let mut seen = self.read(offset);
        loop {
            match self.compare_exchange(offset, seen, change(seen)) {
                Ok(found) => return found,
                Err(found) => seen = found,
            }
        }
    }

    /// Copies as many bytes as `target` has into it.
    ///
    /// Traps if the region has fewer.
    pub fn read_into(self, target: &mut [u8]) {
        unsafe { host::read_into(self.0, target.as_mut_ptr(), target.len()) }
    }

    /// As [`HostPtr::read_into`], with an error instead of a trap.
    pub fn try_read_into(self, target: &mut [u8]) -> Result<(), Error> {
        self.check(0, target.len(), false)?;
        self.read_into(target);
        Ok(())
    }

    /// Copies all bytes of `source` to here.
    ///
    /// Traps if the region has fewer, or the guest may only read.
    pub fn write_from(self, source: &[u8]) {
        unsafe { host::write_from(self.0, source.as_ptr(), source.len()) }
    }

    /// As [`HostPtr::write_from`], with an error instead of a trap.
    pub fn try_write_from(self, source: &[u8]) -> Result<(), Error> {
        self.check(0, source.len(), true)?;
        self.write_from(source);
        Ok(())
    }

    fn check(self, offset: u32, len: usize, write: bool) -> Result<(), Error> {
        let len = u64::from(offset) + len as u64;
        match unsafe { host::check(self.0, len, write.into()) } {
            0 => Ok(()),
            code => Err(Error::from_code(code.into())),
        }
    }

    fn try_map(self, len: usize, kind: i32) -> Result<*mut u8, Error> {
        let address = unsafe { host::try_map(self.0, len, kind) };
        match u32::try_from(address) {
            Ok(address) => Ok(address as usize as *mut u8),
            Err(_) => Err(Error::from_code(-address)),
        }
    }
}

impl Add<u32> for HostPtr {
    type Output = Self;

    fn add(self, bytes: u32) -> Self {
        let offset = self.0 as u32;
        match offset.checked_add(bytes) {
            Some(_) => HostPtr(self.0 + u64::from(bytes)),
            // Beyond any region: 0 is never valid.
            None => HostPtr(0),
        }
    }
}

/// Bytes of the host's: a pointer and a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostSlice {
    start: HostPtr,
    len: usize,
}

impl HostSlice {
    /// The pointer to its first byte.
    pub const fn pointer(self) -> HostPtr {
        self.start
    }

    /// How many bytes it has.
    pub const fn len(self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// A part of it.
    ///
    /// Panics if `range` goes beyond its end.
    pub fn slice(self, range: Range<usize>) -> HostSlice {
        match self.try_slice(range) {
            Ok(part) => part,
            Err(_) => panic!("the range goes beyond the end of the host's slice"),
        }
    }

    /// As [`HostSlice::slice`], with an error instead of a panic.
    pub fn try_slice(self, range: Range<usize>) -> Result<HostSlice, Error> {
        match range.end.checked_sub(range.start) {
            Some(len) if range.end <= self.len => Ok((self.start + range.start as u32).slice(len)),
            _ => Err(Error::OutOfBounds),
        }
    }

    /// The number at `offset` bytes.
    ///
    /// Panics if it is not all in the slice; traps if it is not all in the region.
    pub fn read<T: Number>(self, offset: usize) -> T {
        self.number::<T>(offset).start.read(0)
    }

    /// As [`HostSlice::read`], with an error instead.
    pub fn try_read<T: Number>(self, offset: usize) -> Result<T, Error> {
        self.try_number::<T>(offset)?.start.try_read(0)
    }

    /// Writes a number at `offset` bytes.
    ///
    /// Panics if there is no room for it in the slice; traps if there is none in
    /// the region, or the guest may only read.
    pub fn write<T: Number>(self, offset: usize, number: T) {
        self.number::<T>(offset).start.write(0, number)
    }

    /// As [`HostSlice::write`], with an error instead.
    pub fn try_write<T: Number>(self, offset: usize, number: T) -> Result<(), Error> {
        self.try_number::<T>(offset)?.start.try_write(0, number)
    }

    /// Its numbers, one after the other from its beginning; bytes at its end that are too few
    /// for one are left out. Much faster than [`HostSlice::read`] for each: they are copied
    /// in chunks, each of which is checked once.
    ///
    /// The iterator traps where a chunk is not all in the region.
    pub fn numbers<T: Number>(self) -> Numbers<T> {
        Numbers::new(self)
    }

    /// Copies its first `len` bytes, which it has, to the guest's own memory.
    pub(crate) unsafe fn copy_to(self, target: *mut u8, len: usize) {
        host::read_into(self.start.0, target, len);
    }

    /// Copies as many of its first bytes as `target` has into it.
    ///
    /// Panics if it has fewer; traps if the region has.
    pub fn read_into(self, target: &mut [u8]) {
        self.slice(0..target.len()).start.read_into(target)
    }

    /// As [`HostSlice::read_into`], with an error instead.
    pub fn try_read_into(self, target: &mut [u8]) -> Result<(), Error> {
        let part = self.try_slice(0..target.len())?;
        part.start.try_read_into(target)
    }

    /// Copies all bytes of `source` to its beginning.
    ///
    /// Panics if it has fewer; traps if the region has, or the guest may only read.
    pub fn write_from(self, source: &[u8]) {
        self.slice(0..source.len()).start.write_from(source)
    }

    /// As [`HostSlice::write_from`], with an error instead.
    pub fn try_write_from(self, source: &[u8]) -> Result<(), Error> {
        let part = self.try_slice(0..source.len())?;
        part.start.try_write_from(source)
    }

    /// Makes its bytes appear in the guest's memory, without a copy.
    ///
    /// Traps if they are not all in the region, there is no room, a [`WindowMut`] shows
    /// some of them, or the region is shared.
    pub fn map(self) -> Window {
        unsafe { Window::new(self.mapped(SLICE), self.len) }
    }

    /// As [`HostSlice::map`], with an error instead of a trap.
    pub fn try_map(self) -> Result<Window, Error> {
        let start = self.try_mapped(SLICE)?;
        Ok(unsafe { Window::new(start, self.len) })
    }

    /// As [`HostSlice::map`], to write: what is written is in the region at once.
    ///
    /// Traps also if the guest may only read, or any window shows some of them.
    pub fn map_mut(self) -> WindowMut {
        unsafe { WindowMut::new(self.mapped(SLICE | WRITE), self.len) }
    }

    /// As [`HostSlice::map_mut`], with an error instead of a trap.
    pub fn try_map_mut(self) -> Result<WindowMut, Error> {
        let start = self.try_mapped(SLICE | WRITE)?;
        Ok(unsafe { WindowMut::new(start, self.len) })
    }

    /// As [`HostSlice::map`], as numbers that others may change at any time, if the region
    /// was granted for sharing.
    ///
    /// Traps if they are not all in the region, or there is no room.
    pub fn map_shared(self) -> SharedWindow {
        unsafe { SharedWindow::new(self.mapped(0), self.len) }
    }

    /// As [`HostSlice::map_shared`], with an error instead of a trap.
    pub fn try_map_shared(self) -> Result<SharedWindow, Error> {
        let start = self.try_mapped(0)?;
        Ok(unsafe { SharedWindow::new(start, self.len) })
    }

    /// As [`HostSlice::map_shared`], to write.
    ///
    /// Traps also if the guest may only read.
    pub fn map_shared_mut(self) -> SharedWindowMut {
        unsafe { SharedWindowMut::new(self.mapped(WRITE), self.len) }
    }

    /// As [`HostSlice::map_shared_mut`], with an error instead of a trap.
    pub fn try_map_shared_mut(self) -> Result<SharedWindowMut, Error> {
        let start = self.try_mapped(WRITE)?;
        Ok(unsafe { SharedWindowMut::new(start, self.len) })
    }

    fn mapped(self, kind: i32) -> *mut u8 {
        if self.is_empty() {
            return EMPTY;
        }
        unsafe { host::map(self.start.0, self.len, kind) }
    }

    fn try_mapped(self, kind: i32) -> Result<*mut u8, Error> {
        if self.is_empty() {
            return Ok(EMPTY);
        }
        self.start.try_map(self.len, kind)
    }

    fn number<T: Number>(self, offset: usize) -> HostSlice {
        match self.try_number::<T>(offset) {
            Ok(part) => part,
            Err(_) => panic!("the number goes beyond the end of the host's slice"),
        }
    }

    fn try_number<T: Number>(self, offset: usize) -> Result<HostSlice, Error> {
        let end = offset
            .checked_add(T::SIZE as usize)
            .ok_or(Error::OutOfBounds)?;
        self.try_slice(offset..end)
    }
}

/// Where a window without bytes begins: aligned for every number.
const EMPTY: *mut u8 = 8 as *mut u8;

/// What `map` is asked for: a window to write; and one that is a slice.
const WRITE: i32 = 1;
const SLICE: i32 = 2;
