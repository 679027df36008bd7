//! A region's bytes, as the host reads and writes them.

use super::arena::Pages;
use super::pages::whole_pages;
use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

/// Anonymous shared memory: pages of a sealed memory file, mapped for the host.
///
/// It also keeps count of who uses the bytes, as a `RefCell` does, because a
/// guest that writes while the host holds a `&[u8]` would be a data race.
#[derive(Debug)]
pub(crate) struct SharedBytes {
    pages: Pages,
    len: usize,
    users: Mutex<Users>,
}

#[derive(Debug, Default)]
struct Users {
    slices: usize,
    slice_mut: bool,
    reading_guests: usize,
    writing_guests: usize,
    /// Whether a guest may have written behind the end, in the last page.
    behind_end: bool,
}

impl SharedBytes {
    /// `len` bytes of zero.
    pub(crate) fn zeroed(len: usize) -> io::Result<Self> {
        Ok(Self {
            pages: Pages::zeroed(len)?,
            len,
            users: Mutex::default(),
        })
    }

    /// The file that its pages are part of, to be mapped elsewhere as well, and where
    /// they begin there.
    pub(crate) fn file(&self) -> (&File, usize) {
        (self.pages.file(), self.pages.offset())
    }

    /// The bytes, unless a guest that may write them is running.
    pub(crate) fn borrow(&self) -> Option<Slice<'_>> {
        let mut users = self.users.lock().expect("no panic under this lock");
        if users.writing_guests > 0 || users.slice_mut {
            return None;
        }
        users.slices += 1;
        Some(Slice(self))
    }

    /// The bytes to write, unless anybody else uses them.
    pub(crate) fn borrow_mut(&self) -> Option<SliceMut<'_>> {
        let mut users = self.users.lock().expect("no panic under this lock");
        if users.writing_guests + users.reading_guests + users.slices > 0 || users.slice_mut {
            return None;
        }
        users.slice_mut = true;
        Some(SliceMut(self))
    }

    /// A guest begins to run; refused while the host holds the bytes.
    pub(crate) fn enter(&self, writes: bool) -> bool {
        let mut users = self.users.lock().expect("no panic under this lock");
        if users.slice_mut || (writes && users.slices > 0) {
            return false;
        }
        if writes {
            users.writing_guests += 1;
        } else {
            users.reading_guests += 1;
        }
        true
    }

    /// The guest that began has ended.
    pub(crate) fn leave(&self, writes: bool) {
        let mut users = self.users.lock().expect("no panic under this lock");
        if writes {
            users.writing_guests -= 1;
        } else {
            users.reading_guests -= 1;
        }
        if writes && users.behind_end {
            let behind = whole_pages(self.len) - self.len;
            // SAFETY: the mapping has whole pages. No slice reaches behind the end, and
            // a guest that still runs may lose there what it should not have.
            unsafe { self.pages.base().add(self.len).write_bytes(0, behind) };
        }
    }

    /// From now on, a guest may write behind the end, in the last page: nobody shall
    /// find it there later.
    pub(crate) fn may_write_behind_end(&self) {
        let mut users = self.users.lock().expect("no panic under this lock");
        users.behind_end = true;
    }
}

/// A region's bytes, for as long as no guest can write them.
#[derive(Debug)]
pub struct Slice<'a>(&'a SharedBytes);

impl Deref for Slice<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes are mapped, the file is sealed against shrinking,
        // and `users` lets nobody write while this value lives.
        unsafe { std::slice::from_raw_parts(self.0.pages.base().as_ptr(), self.0.len) }
    }
}

impl Drop for Slice<'_> {
    fn drop(&mut self) {
        self.0
            .users
            .lock()
            .expect("no panic under this lock")
            .slices -= 1;
    }
}

/// A region's bytes to write, for as long as no guest can touch them.
#[derive(Debug)]
pub struct SliceMut<'a>(&'a SharedBytes);

impl Deref for SliceMut<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: as for `Slice`.
        unsafe { std::slice::from_raw_parts(self.0.pages.base().as_ptr(), self.0.len) }
    }
}

impl DerefMut for SliceMut<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `Slice`; and `users` gives out one such value, alone.
        unsafe { std::slice::from_raw_parts_mut(self.0.pages.base().as_ptr(), self.0.len) }
    }
}

impl Drop for SliceMut<'_> {
    fn drop(&mut self) {
        self.0
            .users
            .lock()
            .expect("no panic under this lock")
            .slice_mut = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_and_guests_take_turns() {
        let bytes = SharedBytes::zeroed(10).unwrap();
        bytes.borrow_mut().unwrap()[9] = 7;
        let first = bytes.borrow().unwrap();
        let second = bytes.borrow().unwrap();
        assert_eq!((first.len(), second[9]), (10, 7));
        assert!(bytes.enter(false));
        assert!(!bytes.enter(true));
        drop((first, second));
        assert!(bytes.enter(true));
        assert!(bytes.borrow().is_none());
        bytes.leave(true);
        assert!(bytes.borrow().is_some());
        assert!(bytes.borrow_mut().is_none());
        bytes.leave(false);
        assert!(bytes.borrow_mut().is_some());
    }
}
