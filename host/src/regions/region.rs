//! Regions: bytes that the host grants to guests.

use super::slots::{self, Moment};
use crate::sys::{Atomic, Atomics, Pinned, SharedBytes, Slice, SliceMut, Use, whole_pages};
use crate::types::{Error, MAX_REGION_LEN, Pointer, RegionUser, Tag, file_error};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

/// Bytes that the host grants to guests.
///
/// Dropping it revokes it: at once, for every guest that holds its pointer, also
/// for one that is running on another thread. That guest's next access fails,
/// and so does the access that it is in the middle of.
///
/// ```
/// # fn main() -> Result<(), genkan_host::Error> {
/// let mut region = genkan_host::Region::zeroed(4)?;
/// region.as_mut_slice()?.copy_from_slice(&[0, 1, 2, 3]);
/// assert_eq!(region.as_slice()?[2], 2);
/// # Ok(())
/// # }
/// ```
pub struct Region(Arc<Shared>);

/// What the region and the guests that it was granted to share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) bytes: Bytes,
    pub(super) len: usize,
    tag: Tag,
    /// Who was made before may have an older region's pointer that looks the same.
    pub(super) since: Moment,
    holders: Mutex<Holders>,
    /// Whether a guest may have a window that shows it as a slice.
    pub(super) in_slice: AtomicBool,
}

/// Who was granted a region. While this is locked, nobody else begins to use it.
#[derive(Default)]
struct Holders {
    all: Vec<Weak<dyn Holder>>,
    /// Whether the region was dropped.
    gone: bool,
}

impl fmt::Debug for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} guests", self.all.len())
    }
}

/// Who can be granted a region.
///
/// It keeps a region that it has begun to use, so that its next call need not ask again,
/// until somebody else wants it.
pub(super) trait Holder: Send + Sync {
    /// Takes the region away, at once, also from a guest that is running elsewhere.
    fn revoke(&self, tag: Tag);

    /// Somebody else wants the region: lets go of it unless the guest is running with it,
    /// and if its bytes may change then, takes away the guest's slices. `false` if it is
    /// running.
    fn give_up(&self, tag: Tag, to: Use) -> bool;
}

#[derive(Debug)]
pub(super) enum Bytes {
    Memory(Arc<SharedBytes>),
    File(File, PathBuf),
}

impl Bytes {
    /// The file to map, and where in it they begin.
    pub(super) fn file(&self) -> (&File, usize) {
        match self {
            Self::Memory(bytes) => bytes.file(),
            Self::File(file, _) => (file, 0),
        }
    }
}

impl Region {
    /// `len` bytes of zero, in memory that the host and its guests share.
    ///
    /// # Errors
    /// [`Error::RegionTooLarge`] above [`MAX_REGION_LEN`]; [`Error::Memory`] when
    /// the system has no memory or no file descriptor left.
    pub fn zeroed(len: usize) -> Result<Self, Error> {
        check_len(len as u64)?;
        let bytes = SharedBytes::zeroed(len).map_err(Error::Memory)?;
        Self::new(Bytes::Memory(Arc::new(bytes)), len)
    }

    /// A copy of `bytes`, in memory that the host and its guests share. This is
    /// the one way that copies: fill a [`Region::zeroed`] in place to avoid it.
    ///
    /// # Errors
    /// As for [`Region::zeroed`].
    pub fn copy_of(bytes: &[u8]) -> Result<Self, Error> {
        let mut region = Self::zeroed(bytes.len())?;
        region.as_mut_slice()?.copy_from_slice(bytes);
        Ok(region)
    }

    /// A file's bytes, mapped and not read: only the pages that a guest touches
    /// are loaded. It can be granted for reading alone.
    ///
    /// The length is the file's length now. If somebody truncates the file later,
    /// a guest that reads beyond its new end fails with
    /// [`Error::RegionGone`]; on other systems than Linux that ends the process.
    /// For a file that others may change, [`Region::copy_of_file`] is safe.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be opened; [`Error::RegionTooLarge`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let (file, len) = open(path.as_ref())?;
        Self::new(Bytes::File(file, path.as_ref().into()), len)
    }

    /// A copy of a file's bytes, which nobody can change.
    ///
    /// # Errors
    /// As for [`Region::from_file`] and [`Region::zeroed`].
    pub fn copy_of_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let (mut file, len) = open(path)?;
        let mut region = Self::zeroed(len)?;
        std::io::Read::read_exact(&mut file, &mut region.as_mut_slice()?)
            .map_err(|e| file_error(path, e))?;
        Ok(region)
    }

    pub(super) fn new(bytes: Bytes, len: usize) -> Result<Self, Error> {
        let given = slots::take().ok_or(Error::NoMoreRegions)?;
        Ok(Self(Arc::new(Shared {
            bytes,
            len,
            tag: given.tag,
            since: given.since,
            holders: Mutex::default(),
            in_slice: AtomicBool::default(),
        })))
    }

    /// The pointer to its first byte. It is the same for every guest, but it is
    /// of use only to those that the region is granted to.
    pub fn pointer(&self) -> Pointer {
        self.0.pointer()
    }

    /// Its length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Its bytes.
    ///
    /// A slice that is forgotten (`mem::forget`) is never given back: no guest that
    /// may write the region runs again. Dropping the region still revokes it.
    ///
    /// # Errors
    /// [`Error::RegionInUse`] while a guest is running that may write it, or that shares
    /// it; [`Error::RegionIsFile`] for a mapped file, which others may change: read
    /// the file instead.
    pub fn as_slice(&self) -> Result<Slice<'_>, Error> {
        self.take(Use::Read, |bytes| bytes.borrow())
    }

    /// Its bytes, in a value that can be kept for as long as one likes: also when the region
    /// is dropped, which revokes it as ever.
    ///
    /// Until then, no guest that may write the region runs; take it
    /// [back](crate::Guest::revoke) from one that is to run.
    ///
    /// # Errors
    /// As for [`Region::as_slice`].
    pub fn pin(&self) -> Result<Pinned, Error> {
        self.take(Use::Read, SharedBytes::pin)
    }

    /// Its bytes, to write.
    ///
    /// # Errors
    /// [`Error::RegionInUse`] while a guest is running that it is granted to;
    /// [`Error::RegionIsFile`] for a mapped file.
    pub fn as_mut_slice(&mut self) -> Result<SliceMut<'_>, Error> {
        self.take(Use::Write, |bytes| bytes.borrow_mut())
    }

    /// Its bytes as atomics ([`AtomicU8`](std::sync::atomic::AtomicU8), `AtomicU32` or
    /// `AtomicU64`), which guests may use meanwhile that it was granted to for sharing:
    /// [`crate::Access::SharedReadWrite`].
    ///
    /// A guest's own reads and writes are as relaxed ones; those of aligned numbers are
    /// never seen in part.
    ///
    /// ```
    /// # fn main() -> Result<(), genkan_host::Error> {
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// let region = genkan_host::Region::zeroed(64)?;
    /// let words = region.as_atomics::<AtomicU32>()?;
    /// words[3].fetch_add(1, Ordering::Relaxed);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::RegionInUse`] while a guest is running that has it for itself, while the
    /// host holds a slice, or while it holds atomics of another width;
    /// [`Error::RegionIsFile`] for a mapped file.
    pub fn as_atomics<T: Atomic>(&self) -> Result<Atomics<'_, T>, Error> {
        self.take(Use::Share, |bytes| bytes.atomics::<T>())
    }

    fn take<'a, T>(
        &'a self,
        wanted: Use,
        enter: impl Fn(&'a Arc<SharedBytes>) -> Option<T>,
    ) -> Result<T, Error> {
        match &self.0.bytes {
            Bytes::Memory(bytes) => self
                .0
                .occupy(&self.0.holders(), None, wanted, || enter(bytes)),
            Bytes::File(_, path) => Err(Error::RegionIsFile(path.clone())),
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({}, {} bytes)", self.pointer(), self.len())
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        slots::end(self.0.tag);
        let mut holders = self.0.holders();
        holders.gone = true;
        for holder in holders.all.iter().filter_map(Weak::upgrade) {
            holder.revoke(self.0.tag);
        }
        drop(holders);
        // Only now may the slot have its next pointer.
        slots::give_back(self.0.tag);
    }
}

impl Shared {
    pub(super) fn pointer(&self) -> Pointer {
        self.tag.pointer()
    }

    pub(super) fn tag(&self) -> Tag {
        self.tag
    }

    /// How many bytes its pages have.
    pub(super) fn mapped_len(&self) -> usize {
        whole_pages(self.len)
    }

    fn holders(&self) -> MutexGuard<'_, Holders> {
        self.holders.lock().expect("no panic under this lock")
    }

    /// Notes who was granted it, from whom dropping it must take it.
    pub(super) fn granted_to(&self, holder: Weak<dyn Holder>) {
        let all = &mut self.holders().all;
        all.retain(|known| known.strong_count() > 0 && !known.ptr_eq(&holder));
        all.push(holder);
    }

    /// A guest begins to use it, which used it as `own` until now; `note` is told, unless
    /// the region is going.
    pub(super) fn enter(
        &self,
        guest: &Weak<dyn Holder>,
        own: impl FnOnce() -> Option<Use>,
        wanted: Use,
        note: impl Fn(Use),
    ) -> Result<(), Error> {
        let Bytes::Memory(bytes) = &self.bytes else {
            return Ok(());
        };
        let holders = self.holders();
        if holders.gone {
            return Ok(());
        }
        let own = own();
        if own.is_some() {
            bytes.leave();
        }
        let entered = self.occupy(&holders, Some(guest), wanted, || {
            bytes.enter(wanted).then_some(())
        });
        match (&entered, own) {
            (Ok(()), _) => note(wanted),
            (Err(_), Some(own)) => {
                // Nobody else can have begun to use it.
                assert!(bytes.enter(own), "it was so a moment ago");
                note(own);
            }
            (Err(_), None) => {}
        }
        entered
    }

    /// Begins to use it, after those have given it up that could be in the way.
    fn occupy<T>(
        &self,
        holders: &Holders,
        guest: Option<&Weak<dyn Holder>>,
        wanted: Use,
        enter: impl Fn() -> Option<T>,
    ) -> Result<T, Error> {
        let may_change = wanted != Use::Read;
        let sliced = may_change && self.in_slice.load(Ordering::Relaxed);
        if !sliced && let Some(entered) = enter() {
            return Ok(entered);
        }
        let others = holders.all.iter();
        let others = others.filter(|other| guest.is_none_or(|guest| !guest.ptr_eq(other)));
        let mut running = false;
        for other in others.filter_map(Weak::upgrade) {
            running |= !other.give_up(self.tag, wanted);
        }
        let entered = enter().ok_or(Error::RegionInUse {
            region: self.pointer(),
            by: match running {
                true => RegionUser::Guest,
                false => RegionUser::Host,
            },
        })?;
        if sliced {
            // The guest itself may have some.
            self.in_slice.store(guest.is_some(), Ordering::Relaxed);
        }
        Ok(entered)
    }

    /// A guest uses it no more.
    pub(super) fn leave(&self) {
        if let Bytes::Memory(bytes) = &self.bytes {
            bytes.leave();
        }
    }

    /// Erases what a guest may have written behind the end, in the last page.
    pub(super) fn erase_behind_end(&self) {
        if let Bytes::Memory(bytes) = &self.bytes {
            bytes.erase_behind_end();
        }
    }
}

pub(super) fn check_len(len: u64) -> Result<usize, Error> {
    usize::try_from(len)
        .ok()
        .filter(|len| *len <= MAX_REGION_LEN)
        .ok_or(Error::RegionTooLarge(len))
}

fn open(path: &Path) -> Result<(File, usize), Error> {
    let attempt = || {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(std::io::Error::other("it is not a regular file"));
        }
        Ok((file, metadata.len()))
    };
    let (file, len) = attempt().map_err(|e| file_error(path, e))?;
    Ok((file, check_len(len)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_positive_and_differ() {
        let (a, b) = (Region::zeroed(1).unwrap(), Region::zeroed(1).unwrap());
        assert_ne!(a.pointer(), b.pointer());
        assert!(a.pointer().to_bits() as i64 > 0);
        let old = a.pointer();
        drop(a);
        assert!(slots::is_stale(old.tag()));
        assert!(!slots::is_stale(b.pointer().tag()));
    }

    #[test]
    fn a_file_is_not_a_slice() {
        let region = Region::from_file(file!().strip_prefix("host/").unwrap()).unwrap();
        assert!(matches!(region.as_slice(), Err(Error::RegionIsFile(_))));
        assert!(matches!(
            Region::from_file("/nowhere"),
            Err(Error::File { .. })
        ));
        assert!(matches!(Region::from_file("/"), Err(Error::File { .. })));
        assert!(matches!(
            Region::zeroed(MAX_REGION_LEN + 1),
            Err(Error::RegionTooLarge(_))
        ));
    }
}
