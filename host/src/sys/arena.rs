//! Pages of memory that are mapped in several places.
//!
//! A process has few file descriptors and mappings. So small runs of pages share a
//! memory file, which is mapped once for the host; each run has pages of its own.

use super::fork;
use super::memory_file::memory_file;
use super::pages::{page_size, whole_pages};
use rustix::mm::{MapFlags, ProtFlags};
use std::fs::File;
use std::io;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard};

/// Runs of 1, 2, 4, 8 and 16 pages share files, each length its own.
const LENGTHS: usize = 5;
/// How many runs share a file.
const SHARING: usize = 256;

/// Zeroed pages, until they are dropped.
#[derive(Debug)]
pub(super) struct Pages {
    file: Arc<MemoryFile>,
    /// Where they begin in the file.
    offset: usize,
    /// Their length in bytes.
    len: usize,
}

/// A memory file, mapped for the host as a whole.
#[derive(Debug)]
struct MemoryFile {
    file: File,
    base: NonNull<u8>,
    len: usize,
    sharing: Option<Sharing>,
}

#[derive(Debug)]
struct Sharing {
    /// Each run has that many pages, as a power of two.
    order: usize,
    /// The free runs, whose pages are zero.
    free: Mutex<Vec<u16>>,
    /// How often the process had forked: after the next, another process has it too.
    forks: u64,
}

/// The shared files that have free runs, by the length of the runs.
static ROOM: fork::Mutex<[Vec<Arc<MemoryFile>>; LENGTHS]> =
    fork::Mutex::new([const { Vec::new() }; LENGTHS]);

// SAFETY: the mapping belongs to the value, and whoever uses it keeps to its own pages.
unsafe impl Send for MemoryFile {}
// SAFETY: as above.
unsafe impl Sync for MemoryFile {}

impl Pages {
    /// As many as `len` bytes need.
    pub(super) fn zeroed(len: usize) -> io::Result<Self> {
        let len = whole_pages(len);
        let order = (len / page_size()).next_power_of_two().trailing_zeros() as usize;
        if order >= LENGTHS {
            let file = Arc::new(MemoryFile::new(len, None)?);
            return Ok(Self {
                file,
                offset: 0,
                len,
            });
        }
        let room = &mut ROOM.lock()[order];
        // The other process may give what is free now, too.
        room.retain(|file| file.sharing().is_some_and(Sharing::is_ours));
        if room.is_empty() {
            let sharing = Sharing {
                order,
                free: Mutex::new((0..SHARING as u16).rev().collect()),
                forks: fork::count(),
            };
            let len = (page_size() << order) * SHARING;
            room.push(Arc::new(MemoryFile::new(len, Some(sharing))?));
        }
        let file = Arc::clone(room.last().expect("one has room"));
        let mut free = file.sharing().expect("it is shared").free();
        let run = free.pop().expect("it has room");
        if free.is_empty() {
            room.pop();
        }
        drop(free);
        Ok(Self {
            offset: usize::from(run) * (page_size() << order),
            file,
            len,
        })
    }

    /// The file that they are part of, to be mapped elsewhere as well.
    pub(super) fn file(&self) -> &File {
        &self.file.file
    }

    /// Where they begin in the file.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// Where the host has them.
    pub(super) fn base(&self) -> NonNull<u8> {
        // SAFETY: the offset is inside the mapping.
        unsafe { self.file.base.add(self.offset) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let Some(sharing) = self.file.sharing() else {
            return;
        };
        if !sharing.is_ours() {
            return;
        }
        // SAFETY: the pages are mapped and this value's own. No guest has them any more.
        unsafe { self.base().write_bytes(0, self.len) };
        let room = &mut ROOM.lock()[sharing.order];
        if !sharing.is_ours() {
            return;
        }
        let mut free = sharing.free();
        free.push((self.offset / (page_size() << sharing.order)) as u16);
        match free.len() {
            1 => room.push(Arc::clone(&self.file)),
            SHARING if room.len() > 1 => room.retain(|file| !Arc::ptr_eq(file, &self.file)),
            _ => {}
        }
    }
}

impl Sharing {
    fn free(&self) -> MutexGuard<'_, Vec<u16>> {
        self.free.lock().expect("no panic under this lock")
    }

    /// Whether no other process has it.
    fn is_ours(&self) -> bool {
        self.forks == fork::count()
    }
}

impl MemoryFile {
    fn new(len: usize, sharing: Option<Sharing>) -> io::Result<Self> {
        let file = memory_file(len)?;
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
        Ok(Self {
            file,
            base: NonNull::new(base.cast()).expect("mmap gives no null page"),
            len,
            sharing,
        })
    }

    fn sharing(&self) -> Option<&Sharing> {
        self.sharing.as_ref()
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and no pages outlive it.
        let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_runs_share_a_file_and_no_page() {
        let page = page_size();
        let lens = [0, 1, page, page + 1, 5 * page, 16 * page, 17 * page];
        let pages = lens.map(|len| Pages::zeroed(len).unwrap());
        let mut places: Vec<_> = pages
            .iter()
            .map(|p| (p.base().addr().get(), p.len))
            .collect();
        places.sort_unstable();
        assert!(places.windows(2).all(|two| two[0].0 + two[0].1 <= two[1].0));
        assert_eq!(pages[1].file.base, pages[2].file.base);
        assert!(pages[6].file.sharing.is_none());
    }

    #[test]
    fn what_was_written_is_gone() {
        let place = {
            let pages = Pages::zeroed(1).unwrap();
            // SAFETY: the page is this test's.
            unsafe { pages.base().write_bytes(7, page_size()) };
            pages.base()
        };
        // The tests of other threads take and give some, too: what matters is the bytes.
        for _ in 0..2 * SHARING {
            let pages = Pages::zeroed(1).unwrap();
            // SAFETY: as above.
            assert_eq!(unsafe { pages.base().read() }, 0);
            if pages.base() == place {
                break;
            }
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn nobody_can_shrink_or_grow_it() {
        for len in [10, 100 * page_size()] {
            let pages = Pages::zeroed(len).unwrap();
            assert!(pages.file().set_len(0).is_err());
            assert!(pages.file().set_len(1 << 30).is_err());
        }
    }
}
