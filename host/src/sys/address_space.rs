//! A reserved range of addresses that bytes are mapped into.

use super::fork;
use super::image::Image;
use super::pages::whole_pages;
use super::ranges::RangeMap;
#[cfg(target_os = "linux")]
use super::touched::touched;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::ptr::NonNull;
#[cfg(not(target_os = "linux"))]
use std::sync::atomic::AtomicU8;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};

/// What may be done to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    Read,
    ReadWrite,
    /// For reading, and of a file that others can truncate: touching it may fault,
    /// which a guest survives, and the host must not.
    ReadFile,
    /// Nothing; but something may still be mapped there.
    None,
}

/// A range that may not be touched as wished.
#[derive(Debug)]
pub(crate) struct Inaccessible;

/// A reserved range of addresses. It knows what each page may be used for, so
/// that the host never faults on it: the guest may, and traps.
///
/// Every range is in bytes from the beginning; mapped ones are whole pages.
#[derive(Debug)]
pub(crate) struct AddressSpace {
    base: NonNull<u8>,
    len: usize,
    pages: Mutex<RangeMap<Protection>>,
}

// SAFETY: the addresses stay reserved for as long as the value lives, and all
// that the host does to them happens under the lock.
unsafe impl Send for AddressSpace {}
// SAFETY: as above.
unsafe impl Sync for AddressSpace {}

impl AddressSpace {
    /// Reserves `len` bytes. None can be touched yet, and none uses memory.
    pub(crate) fn reserve(len: usize) -> io::Result<Self> {
        let mut unused = UNUSED.lock();
        let base = match unused.iter().position(|reserved| reserved.1 == len) {
            Some(index) => unused.swap_remove(index).0,
            None => {
                drop(unused);
                reserve_at(std::ptr::null_mut(), len)?
            }
        };
        let base = base as *mut u8;
        Ok(Self {
            base: NonNull::new(base).expect("mmap gives no null page"),
            len,
            pages: Mutex::default(),
        })
    }

    /// The first address.
    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Where an address of this process lies in the space, if it does.
    pub(crate) fn offset_of(&self, address: usize) -> Option<usize> {
        let offset = address.checked_sub(self.base.as_ptr() as usize)?;
        (offset < self.len).then_some(offset)
    }

    /// Makes zeroed memory of `range`, which has never been mapped.
    pub(crate) fn commit(&self, range: Range<usize>) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let mut pages = self.lock(&range);
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: `lock` has checked that the range is inside the reservation.
        unsafe { rustix::mm::mprotect(self.address(range.start), range.len(), access) }?;
        pages.set(range, Some(Protection::ReadWrite));
        Ok(())
    }

    /// Maps the whole pages of `file` from `offset` on over `range`, shared.
    pub(crate) fn map(
        &self,
        range: Range<usize>,
        file: &File,
        offset: usize,
        protection: Protection,
    ) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let access = match protection {
            Protection::Read | Protection::ReadFile => ProtFlags::READ,
            Protection::None => ProtFlags::empty(),
            Protection::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
        };
        let mut pages = self.lock(&range);
        // SAFETY: replaces pages inside our reservation, as `lock` has checked.
        // Rust holds no reference into them: `read` and `write` copy.
        unsafe {
            rustix::mm::mmap(
                self.address(range.start),
                range.len(),
                access,
                MapFlags::SHARED | MapFlags::FIXED,
                file,
                offset as u64,
            )
        }?;
        pages.set(range, Some(protection));
        Ok(())
    }

    /// Maps an image's pages over what is committed. What is written there stays in this
    /// space.
    pub(super) fn map_image(&self, image: &Image) -> io::Result<()> {
        let range = image.range.clone();
        if range.is_empty() {
            return Ok(());
        }
        let mut pages = self.lock(&range);
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        let start = self.address(range.start);
        // SAFETY: as for `map`.
        unsafe { rustix::mm::mmap(start, range.len(), access, flags, &image.file, 0) }?;
        pages.set(range, Some(Protection::ReadWrite));
        Ok(())
    }

    /// Makes the first `len` bytes what they were when they were committed, or this image
    /// was mapped, and takes away all that is behind them. `false` if it cannot: the space
    /// may be used no more.
    #[cfg(target_os = "linux")]
    pub(super) fn restore(&mut self, len: usize, image: Option<&Image>) -> bool {
        let mut pages = self.lock(&(0..len));
        let end = pages.end().max(len);
        let writable = |protection| protection == Protection::ReadWrite;
        if !pages.all(0..len, writable) {
            return false;
        }
        if end > len {
            if reserve_at(self.address(len), end - len).is_err() {
                return false;
            }
            pages.set(len..end, None);
        }
        drop(pages);
        self.rewrite(len, image).is_ok() || self.forget(len)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn restore(&mut self, _: usize, _: Option<&Image>) -> bool {
        false
    }

    /// Writes anew what was touched of the first `len` bytes, if it is little: to have the
    /// system take the pages back and make new ones costs ten times as much. All of these
    /// bytes are private, as windows are behind them.
    #[cfg(target_os = "linux")]
    fn rewrite(&mut self, len: usize, image: Option<&Image>) -> io::Result<()> {
        /// The most bytes that are looked through.
        const LONGEST: usize = 4 << 20;
        /// The most pages that are written, and so are kept.
        const MOST: usize = 64;
        if len > LONGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let base = self.base.as_ptr() as usize;
        let touched = touched(base..base + len, MOST)?.ok_or(io::ErrorKind::FileTooLarge)?;
        for range in touched {
            let range = range.start - base..range.end - base;
            // SAFETY: the range is inside the reservation and can be written, and the space
            // is borrowed as a whole: nobody else has these bytes.
            let bytes = unsafe {
                let start = self.base.as_ptr().add(range.start);
                std::slice::from_raw_parts_mut(start, range.len())
            };
            bytes.fill(0);
            if let Some(image) = image {
                image.read(range.start, bytes)?;
            }
        }
        Ok(())
    }

    /// Has the system take back the first `len` bytes' pages.
    #[cfg(target_os = "linux")]
    fn forget(&mut self, len: usize) -> bool {
        let advice = rustix::mm::Advice::LinuxDontNeed;
        // SAFETY: the range is inside the reservation, by `restore`, and Rust holds no
        // reference into it.
        len == 0 || unsafe { rustix::mm::madvise(self.address(0), len, advice) }.is_ok()
    }

    /// Makes `range` a copy of `bytes`, with zeros behind them, for reading.
    pub(crate) fn copy_in(&self, range: Range<usize>, bytes: &[u8]) -> io::Result<()> {
        assert!(bytes.len() <= range.len(), "the bytes fit");
        let mut pages = self.lock(&range);
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        let start = self.address(range.start);
        // SAFETY: replaces pages inside our reservation, as `lock` has checked, and then
        // writes them; Rust holds no reference into them.
        unsafe {
            rustix::mm::mmap_anonymous(start, range.len(), access, flags)?;
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), start.cast(), bytes.len());
            rustix::mm::mprotect(start, range.len(), MprotectFlags::READ)?;
        }
        pages.set(range, Some(Protection::Read));
        Ok(())
    }

    /// The addresses, as the system has them.
    pub(crate) fn addresses(&self) -> Range<usize> {
        let start = self.base.as_ptr() as usize;
        start..start + self.len
    }

    /// Takes away what is mapped at `range`; a guest that touches it traps.
    pub(crate) fn unmap(&self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let mut pages = self.lock(&range);
        if reserve_at(self.address(range.start), range.len()).is_ok() {
            return pages.set(range, None);
        }
        // The process has no mapping left. To forbid what is mapped needs no other.
        // SAFETY: `lock` has checked that the range is inside the reservation.
        let forbid = |start, len| unsafe {
            rustix::mm::mprotect(self.address(start), len, MprotectFlags::empty())
        };
        if forbid(range.start, range.len()).is_err() {
            // It would have to be split: then the guest loses all that it has. Going on
            // would leave revoked bytes in its reach.
            forbid(0, self.len).expect("a whole reservation can be forbidden");
            return pages.set(0..self.len, Some(Protection::None));
        }
        pages.set(range, Some(Protection::None));
    }

    /// Copies bytes out.
    pub(crate) fn read(&self, at: usize, to: &mut [u8]) -> Result<(), Inaccessible> {
        let pages = self.lock(&(0..0));
        let range = at..at.checked_add(to.len()).ok_or(Inaccessible)?;
        if !pages.all(range.clone(), |protection| protection != Protection::None) {
            return Err(Inaccessible);
        }
        if !pages.all(range, |protection| protection != Protection::ReadFile) {
            return self.read_carefully(at, to);
        }
        // SAFETY: the pages can be read and stay so under the lock. A guest on
        // another thread may write them meanwhile: bytes have no invalid values.
        unsafe {
            let from = self.base.as_ptr().add(at);
            std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len());
        }
        Ok(())
    }

    /// Copies values out of any type that has no invalid bytes.
    pub(crate) fn read_vec<T: bytemuck::Pod>(
        &self,
        at: usize,
        len: usize,
    ) -> Result<Vec<T>, Inaccessible> {
        let bytes = len.checked_mul(size_of::<T>()).ok_or(Inaccessible)?;
        let range = at..at.checked_add(bytes).ok_or(Inaccessible)?;
        let pages = self.lock(&(0..0));
        // Before anything is allocated: a guest can claim any length.
        if !pages.all(range.clone(), |protection| protection != Protection::None) {
            return Err(Inaccessible);
        }
        let mut values = Vec::new();
        values.try_reserve_exact(len).map_err(|_| Inaccessible)?;
        if !pages.all(range, |protection| protection != Protection::ReadFile) {
            values.resize(len, T::zeroed());
            self.read_carefully(at, bytemuck::cast_slice_mut(&mut values))?;
            return Ok(values);
        }
        // SAFETY: as for `read`; the vector has room for `len` values, and any bytes
        // are such a value.
        unsafe {
            let from = self.base.as_ptr().add(at);
            std::ptr::copy_nonoverlapping(from, values.as_mut_ptr().cast(), bytes);
            values.set_len(len);
        }
        Ok(values)
    }

    /// Has the system copy the bytes out: where it cannot, it does not signal it.
    #[cfg(target_os = "linux")]
    fn read_carefully(&self, at: usize, to: &mut [u8]) -> Result<(), Inaccessible> {
        let local = libc::iovec {
            iov_base: to.as_mut_ptr().cast(),
            iov_len: to.len(),
        };
        let remote = libc::iovec {
            iov_base: self.address(at),
            iov_len: to.len(),
        };
        // SAFETY: both ranges are of this process, `to` can be written, and the
        // system checks the other.
        let copied = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
        match usize::try_from(copied) {
            Ok(copied) if copied == to.len() => Ok(()),
            _ => Err(Inaccessible),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn read_carefully(&self, _at: usize, _to: &mut [u8]) -> Result<(), Inaccessible> {
        Err(Inaccessible)
    }

    /// Copies bytes in.
    pub(crate) fn write(&self, at: usize, from: &[u8]) -> Result<(), Inaccessible> {
        let _pages = self.writable(at, from.len())?;
        // SAFETY: the pages can be written and stay so under the lock; no Rust
        // reference points into them.
        unsafe {
            let to = self.base.as_ptr().add(at);
            std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len());
        }
        Ok(())
    }

    /// Copies bytes out that other guests and the host may write meanwhile, as atomics. So
    /// the system does it, whose accesses are not Rust's.
    #[cfg(target_os = "linux")]
    pub(crate) fn read_shared(&self, at: usize, to: &mut [u8]) -> Result<(), Inaccessible> {
        let pages = self.lock(&(0..0));
        let range = at..at.checked_add(to.len()).ok_or(Inaccessible)?;
        let readable = |protection| protection != Protection::None;
        match pages.all(range, readable) {
            true => self.read_carefully(at, to),
            false => Err(Inaccessible),
        }
    }

    /// Copies bytes in, likewise.
    #[cfg(target_os = "linux")]
    pub(crate) fn write_shared(&self, at: usize, from: &[u8]) -> Result<(), Inaccessible> {
        let _pages = self.writable(at, from.len())?;
        let local = libc::iovec {
            iov_base: from.as_ptr().cast_mut().cast(),
            iov_len: from.len(),
        };
        let remote = libc::iovec {
            iov_base: self.address(at),
            iov_len: from.len(),
        };
        // SAFETY: both ranges are of this process; `from` is only read, and the system
        // checks the other, which no Rust reference but to atomics points into.
        let copied = unsafe { libc::process_vm_writev(libc::getpid(), &local, 1, &remote, 1, 0) };
        match usize::try_from(copied) {
            Ok(copied) if copied == from.len() => Ok(()),
            _ => Err(Inaccessible),
        }
    }

    /// Copies bytes out that other guests and the host may write meanwhile, as atomics.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn read_shared(&self, at: usize, to: &mut [u8]) -> Result<(), Inaccessible> {
        let pages = self.lock(&(0..0));
        let range = at..at.checked_add(to.len()).ok_or(Inaccessible)?;
        if !pages.all(range, |protection| protection != Protection::None) {
            return Err(Inaccessible);
        }
        for (i, byte) in to.iter_mut().enumerate() {
            // SAFETY: the pages can be read and stay so under the lock; whoever else
            // uses them does so with atomics.
            let there = unsafe { AtomicU8::from_ptr(self.base.as_ptr().add(at + i)) };
            *byte = there.load(Ordering::Relaxed);
        }
        Ok(())
    }

    /// Copies bytes in, likewise.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn write_shared(&self, at: usize, from: &[u8]) -> Result<(), Inaccessible> {
        let _pages = self.writable(at, from.len())?;
        for (i, byte) in from.iter().enumerate() {
            // SAFETY: as there, and they can be written.
            let there = unsafe { AtomicU8::from_ptr(self.base.as_ptr().add(at + i)) };
            there.store(*byte, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Copies bytes in, each part to its place.
    pub(crate) fn write_parts<'a>(
        &self,
        parts: impl Iterator<Item = (u32, &'a [u8])>,
    ) -> Result<(), Inaccessible> {
        let pages = self.lock(&(0..0));
        for (at, from) in parts {
            let at = at as usize;
            let writable = |protection| protection == Protection::ReadWrite;
            if !from.is_empty() && !pages.all(at..at + from.len(), writable) {
                return Err(Inaccessible);
            }
            // SAFETY: as for `write`.
            unsafe {
                let to = self.base.as_ptr().add(at);
                std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len());
            }
        }
        Ok(())
    }

    /// Stores a word, at once for all threads. `at` is a multiple of 4.
    pub(crate) fn store(&self, at: usize, value: u32) -> Result<(), Inaccessible> {
        assert!(at.is_multiple_of(4), "an aligned word");
        let _pages = self.writable(at, 4)?;
        // SAFETY: the word is aligned, as the base is a page's, and its page can
        // be written and stays so under the lock.
        unsafe { AtomicU32::from_ptr(self.base.as_ptr().add(at).cast()) }
            .store(value, Ordering::Release);
        Ok(())
    }

    fn writable(
        &self,
        at: usize,
        len: usize,
    ) -> Result<MutexGuard<'_, RangeMap<Protection>>, Inaccessible> {
        let pages = self.lock(&(0..0));
        let end = at.checked_add(len).ok_or(Inaccessible)?;
        match pages.all(at..end, |protection| protection == Protection::ReadWrite) {
            true => Ok(pages),
            false => Err(Inaccessible),
        }
    }

    fn lock(&self, range: &Range<usize>) -> MutexGuard<'_, RangeMap<Protection>> {
        assert!(
            range.start <= range.end
                && range.end <= self.len
                && range.start == whole_pages(range.start)
                && range.end == whole_pages(range.end),
            "whole pages of the address space"
        );
        self.pages
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn address(&self, at: usize) -> *mut c_void {
        self.base.as_ptr().wrapping_add(at).cast()
    }
}

/// Reserves `len` bytes: at `at`, which is ours and loses what is there, or where
/// the system likes if that is null.
fn reserve_at(at: *mut c_void, len: usize) -> io::Result<usize> {
    let fixed = match at.is_null() {
        true => MapFlags::empty(),
        false => MapFlags::FIXED,
    };
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | fixed;
    // SAFETY: the pages are new or ours, by the callers' word, and Rust holds no
    // reference into them.
    let base = unsafe { rustix::mm::mmap_anonymous(at, len, ProtFlags::empty(), flags) }?;
    Ok(base as usize)
}

/// Reserved ranges that nobody uses, by address and length, with nothing mapped:
/// to use one again is cheaper than to have the system reserve 8 GiB.
static UNUSED: fork::Mutex<Vec<(usize, usize)>> = fork::Mutex::new(Vec::new());

/// How many of them are kept.
const MOST_UNUSED: usize = 64;

impl Drop for AddressSpace {
    fn drop(&mut self) {
        let end = self.lock(&(0..0)).end();
        let base = self.address(0);
        if end == 0 || reserve_at(base, end).is_ok() {
            let mut unused = UNUSED.lock();
            if unused.len() < MOST_UNUSED {
                return unused.push((base as usize, self.len));
            }
        }
        // What cannot be unmapped stays reserved, and nobody uses it again.
        // SAFETY: the reservation is this value's own, and nothing outlives it.
        let _ = unsafe { rustix::mm::munmap(base, self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::super::pages::page_size;
    use super::super::shared::SharedBytes;
    use super::*;

    #[test]
    fn what_is_mapped_in_two_places_is_the_same_memory() {
        let page = page_size();
        let bytes = SharedBytes::zeroed(2 * page).unwrap();
        bytes.borrow_mut().unwrap()[page + 3] = 9;
        let one = AddressSpace::reserve(16 * page).unwrap();
        let two = AddressSpace::reserve(16 * page).unwrap();
        let (file, offset) = bytes.file();
        one.map(0..2 * page, file, offset, Protection::ReadWrite)
            .unwrap();
        two.map(page..2 * page, file, offset + page, Protection::Read)
            .unwrap();
        one.write(page, b"hello").unwrap();
        let mut seen = [0; 5];
        two.read(page, &mut seen).unwrap();
        assert_eq!(&seen, b"hello");
        assert_eq!(bytes.borrow().unwrap()[page..page + 5], *b"hello");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_truncated_file_is_refused() {
        let page = page_size();
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &vec![7; 2 * page]).unwrap();
        let space = AddressSpace::reserve(8 * page).unwrap();
        space
            .map(0..2 * page, &file, 0, Protection::ReadFile)
            .unwrap();
        let mut two = [0; 2];
        space.read(page - 1, &mut two).unwrap();
        assert_eq!(two, [7; 2]);
        assert!(space.write(0, &two).is_err());
        file.set_len(page as u64).unwrap();
        assert!(space.read(page, &mut two).is_err());
        assert!(space.read(page - 1, &mut two).is_err());
        space.read(page - 2, &mut two).unwrap();
    }

    #[test]
    fn what_may_not_be_touched_is_refused() {
        let page = page_size();
        let bytes = SharedBytes::zeroed(page).unwrap();
        let space = AddressSpace::reserve(8 * page).unwrap();
        space.commit(0..page).unwrap();
        let (file, offset) = bytes.file();
        space
            .map(page..2 * page, file, offset, Protection::Read)
            .unwrap();
        let mut two = [0; 2];
        assert!(space.read(page - 1, &mut two).is_ok());
        assert!(space.write(page - 1, &two).is_err());
        assert!(space.write(page - 2, &two).is_ok());
        assert!(space.read(2 * page - 1, &mut two).is_err());
        assert!(space.store(page, 1).is_err());
        assert!(space.read(usize::MAX, &mut two).is_err());
        space.unmap(page..2 * page);
        assert!(space.read(page, &mut two).is_err());
    }
}
