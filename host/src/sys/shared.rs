//! A region's bytes, as the host reads and writes them.

use super::arena::Pages;
use super::pages::whole_pages;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

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

/// What somebody does with the bytes: a guest that runs, or the host that holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Reads them, as many others may.
    Read,
    /// Reads and writes them, alone.
    Write,
    /// Reads or writes them, as many others may that see them as atomics or cells only.
    Share,
}

/// All users use them in the same way.
#[derive(Debug, Default)]
struct Users {
    of: Option<Use>,
    count: usize,
    /// How many of them are the host's atomics, and how wide all those are, in bytes.
    atomics: usize,
    width: usize,
}

impl Users {
    fn enter(&mut self, wanted: Use) -> bool {
        let free = match self.of {
            None => true,
            Some(Use::Write) => false,
            Some(of) => of == wanted,
        };
        if free {
            self.of = Some(wanted);
            self.count += 1;
        }
        free
    }

    fn leave(&mut self) {
        self.count -= 1;
        if self.count == 0 {
            self.of = None;
        }
    }
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

    /// Where they are.
    pub(super) fn base(&self) -> NonNull<u8> {
        self.pages.base()
    }

    /// How many they are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Makes them fewer; whoever asks has erased the others.
    pub(super) fn cut(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The file that its pages are part of, to be mapped elsewhere as well, and where
    /// they begin there.
    pub(crate) fn file(&self) -> (&File, usize) {
        (self.pages.file(), self.pages.offset())
    }

    fn users(&self) -> std::sync::MutexGuard<'_, Users> {
        self.users.lock().expect("no panic under this lock")
    }

    /// The bytes, unless somebody may write them.
    pub(crate) fn borrow(&self) -> Option<Slice<'_>> {
        self.enter(Use::Read).then(|| Slice(self))
    }

    /// The bytes, likewise, and kept.
    pub(crate) fn pin(self: &Arc<Self>) -> Option<Pinned> {
        self.enter(Use::Read).then(|| Pinned(Arc::clone(self)))
    }

    /// The bytes to write, unless anybody else uses them.
    pub(crate) fn borrow_mut(&self) -> Option<SliceMut<'_>> {
        self.enter(Use::Write).then(|| SliceMut(self))
    }

    /// The bytes as atomics, unless somebody uses them otherwise, or has them as atomics
    /// of another width.
    pub(crate) fn atomics<T: Atomic>(&self) -> Option<Atomics<'_, T>> {
        let mut users = self.users();
        let width = size_of::<T>();
        if (users.atomics > 0 && users.width != width) || !users.enter(Use::Share) {
            return None;
        }
        users.atomics += 1;
        users.width = width;
        Some(Atomics(self, PhantomData))
    }

    /// A guest wants them so, until [`SharedBytes::leave`]; `false` if others use them
    /// otherwise.
    pub(crate) fn enter(&self, wanted: Use) -> bool {
        self.users().enter(wanted)
    }

    /// Who entered has ended.
    pub(crate) fn leave(&self) {
        self.users().leave();
    }

    /// Erases what a guest wrote behind the end, in the last page: nobody shall find it.
    pub(crate) fn erase_behind_end(&self) {
        for at in self.len..whole_pages(self.len) {
            // SAFETY: the mapping has whole pages. No slice reaches behind the end, and
            // what erases there on another thread does so in the same way.
            let byte = unsafe { AtomicU8::from_ptr(self.pages.base().add(at).as_ptr()) };
            byte.store(0, Ordering::Relaxed);
        }
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
        self.0.leave();
    }
}

/// A region's bytes, kept for as long as no guest can write them: also when the region is
/// gone.
#[derive(Debug)]
pub struct Pinned(Arc<SharedBytes>);

impl Deref for Pinned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: as for `Slice`; they are mapped for as long as `SharedBytes` lives.
        unsafe { std::slice::from_raw_parts(self.0.pages.base().as_ptr(), self.0.len) }
    }
}

impl AsRef<[u8]> for Pinned {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.0.leave();
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
        self.0.leave();
    }
}

/// An atomic that a region's bytes can be seen as, by [`crate::Region::as_atomics`].
pub trait Atomic: private::Sealed {}

mod private {
    pub trait Sealed {}
}

macro_rules! atomics {
    ($($atomic:ty)*) => {
        $(
            impl private::Sealed for $atomic {}
            impl Atomic for $atomic {}
        )*
    };
}

atomics! { AtomicU8 AtomicU32 AtomicU64 }

/// A region's bytes as atomics, which guests that share it may read and write meanwhile.
/// Those behind the last whole number are left out.
pub struct Atomics<'a, T>(&'a SharedBytes, PhantomData<&'a [T]>);

impl<T> std::fmt::Debug for Atomics<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Atomics").field(self.0).finish()
    }
}

impl<T: Atomic> Deref for Atomics<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let count = self.0.len / size_of::<T>();
        // SAFETY: so many are mapped, from a page's beginning on; any bytes are one. `users`
        // lets nobody have the bytes meanwhile but as atomics of this width, and guests,
        // whose accesses are the processor's own.
        unsafe { std::slice::from_raw_parts(self.0.pages.base().as_ptr().cast(), count) }
    }
}

impl<T> Drop for Atomics<'_, T> {
    fn drop(&mut self) {
        let mut users = self.0.users();
        users.atomics -= 1;
        users.leave();
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
        assert!(bytes.enter(Use::Read));
        assert!(!bytes.enter(Use::Write) && !bytes.enter(Use::Share));
        drop((first, second));
        bytes.leave();
        assert!(bytes.enter(Use::Write));
        assert!(bytes.borrow().is_none() && !bytes.enter(Use::Write));
        assert!(bytes.atomics::<AtomicU8>().is_none());
        bytes.leave();
        assert!(bytes.enter(Use::Share) && bytes.enter(Use::Share));
        assert!(bytes.borrow().is_none() && bytes.borrow_mut().is_none());
        let words = bytes.atomics::<AtomicU32>().unwrap();
        assert_eq!(words.len(), 2);
        assert!(bytes.atomics::<AtomicU8>().is_none());
        assert!(bytes.atomics::<AtomicU32>().is_some());
        drop(words);
        assert_eq!(bytes.atomics::<AtomicU64>().unwrap().len(), 1);
        bytes.leave();
        bytes.leave();
        assert!(bytes.borrow_mut().is_some());
    }
}
