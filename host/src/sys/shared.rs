//! A region's bytes, as the host reads and writes them.

use super::pages::whole_pages;
use rustix::mm::{MapFlags, ProtFlags};
use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Mutex;

/// Anonymous shared memory: pages of a sealed memory file, mapped for the host.
///
/// It also keeps count of who uses the bytes, as a `RefCell` does, because a
/// guest that writes while the host holds a `&[u8]` would be a data race.
#[derive(Debug)]
pub(crate) struct SharedBytes {
    file: File,
    base: NonNull<u8>,
    len: usize,
    users: Mutex<Users>,
}

#[derive(Debug, Default)]
struct Users {
    slices: usize,
    slice_mut: bool,
    reading_guests: usize,
    writing_guests: usize,
}

// SAFETY: the pages stay mapped for as long as the value lives, and `users`
// keeps exclusive and shared uses apart, across threads too.
unsafe impl Send for SharedBytes {}
// SAFETY: as above.
unsafe impl Sync for SharedBytes {}

impl SharedBytes {
    /// `len` bytes of zero.
    pub(crate) fn zeroed(len: usize) -> io::Result<Self> {
        let file = memory_file(whole_pages(len))?;
        let base = if len == 0 {
            NonNull::dangling()
        } else {
            // SAFETY: a new mapping at an address of the system's choice.
            let base = unsafe {
                rustix::mm::mmap(
                    std::ptr::null_mut(),
                    len,
                    ProtFlags::READ | ProtFlags::WRITE,
                    MapFlags::SHARED,
                    &file,
                    0,
                )
            }?;
            NonNull::new(base.cast()).expect("mmap gives no null page")
        };
        Ok(Self {
            file,
            base,
            len,
            users: Mutex::default(),
        })
    }

    /// The pages, to be mapped elsewhere as well.
    pub(crate) fn file(&self) -> &File {
        &self.file
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
    }
}

impl Drop for SharedBytes {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: the mapping is this value's own, and no slice outlives it.
            let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) };
            debug_assert!(unmapped.is_ok(), "{unmapped:?}");
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
        unsafe { std::slice::from_raw_parts(self.0.base.as_ptr(), self.0.len) }
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
        unsafe { std::slice::from_raw_parts(self.0.base.as_ptr(), self.0.len) }
    }
}

impl DerefMut for SliceMut<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `Slice`; and `users` gives out one such value, alone.
        unsafe { std::slice::from_raw_parts_mut(self.0.base.as_ptr(), self.0.len) }
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

/// A file in memory that cannot shrink: touching a mapped page beyond a file's
/// end is a SIGBUS.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn memory_file(len: usize) -> io::Result<File> {
    use rustix::fs::{MemfdFlags, SealFlags};
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(rustix::fs::memfd_create("genkan-region", flags)?);
    file.set_len(len as u64)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// Where there are no memory files: a shared memory object without a name.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn memory_file(len: usize) -> io::Result<File> {
    use rustix::fs::Mode;
    use rustix::shm::OFlags;
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("/genkan-{}-{count}", std::process::id());
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
    let file = File::from(rustix::shm::open(&name, flags, Mode::RUSR | Mode::WUSR)?);
    rustix::shm::unlink(&name)?;
    file.set_len(len as u64)?;
    Ok(file)
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

    #[test]
    #[cfg(target_os = "linux")]
    fn nobody_can_shrink_or_grow_it() {
        let bytes = SharedBytes::zeroed(10).unwrap();
        assert!(bytes.file().set_len(0).is_err());
        assert!(bytes.file().set_len(1 << 20).is_err());
    }
}
