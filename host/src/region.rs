//! Regions: bytes that the host grants to guests, and the pointers to them.

use crate::Error;
use crate::error::file_error;
use crate::map::{SharedBytes, Slice, SliceMut, whole_pages};
use crate::space::Space;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

/// The largest region, in bytes: the region space's 4 GiB without its table.
pub const MAX_REGION_LEN: usize = (4 << 30) - crate::space::TABLE_LEN;

/// A guest's pointer to a byte of a region: `generation | slot | offset`, in
/// 16, 16 and 32 bits. It is no address.
///
/// Adding to it moves within the region; a pointer beyond the region's end can
/// be made, but not used. It is never 0, and never negative as an `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pointer(u64);

impl Pointer {
    /// The pointer with these bits, as a guest gave it. It may be invalid:
    /// whoever uses it finds out.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits, as a guest gets it.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    pub(crate) fn tag(self) -> Tag {
        Tag((self.0 >> 32) as u32)
    }

    pub(crate) fn offset(self) -> u32 {
        self.0 as u32
    }
}

impl std::ops::Add<u32> for Pointer {
    type Output = Self;

    fn add(self, bytes: u32) -> Self {
        Self(self.0.wrapping_add(bytes.into()))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

/// What a guest may do with a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read it.
    Read,
    /// Read and write it.
    ReadWrite,
}

/// Bytes that the host grants to guests.
///
/// Dropping it revokes it: at once, for every guest that holds its pointer, also
/// for one that is running on another thread. That guest's next access fails,
/// and so does the access that it is in the middle of.
///
/// ```
/// # fn main() -> Result<(), host::Error> {
/// let mut region = host::Region::zeroed(4)?;
/// region.as_mut_slice()?.copy_from_slice(&[0, 1, 2, 3]);
/// assert_eq!(region.as_slice()?[2], 2);
/// # Ok(())
/// # }
/// ```
pub struct Region(Arc<Shared>);

/// What the region and the guests that it was granted to share.
pub(crate) struct Shared {
    pub(crate) bytes: Bytes,
    pub(crate) len: usize,
    tag: Tag,
    /// The spaces that it is granted to.
    spaces: Mutex<Vec<Weak<Space>>>,
}

pub(crate) enum Bytes {
    Memory(SharedBytes),
    File(File, PathBuf),
}

impl Bytes {
    pub(crate) fn file(&self) -> &File {
        match self {
            Self::Memory(bytes) => bytes.file(),
            Self::File(file, _) => file,
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
        Self::new(Bytes::Memory(bytes), len)
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

    fn new(bytes: Bytes, len: usize) -> Result<Self, Error> {
        Ok(Self(Arc::new(Shared {
            bytes,
            len,
            tag: Tag::take().ok_or(Error::NoMoreRegions)?,
            spaces: Mutex::default(),
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
    /// # Errors
    /// [`Error::RegionInUse`] while a guest is running that may write it;
    /// [`Error::RegionIsFile`] for a mapped file, which others may change: read
    /// the file instead.
    pub fn as_slice(&self) -> Result<Slice<'_>, Error> {
        self.memory()?.borrow().ok_or(Error::RegionInUse)
    }

    /// Its bytes, to write.
    ///
    /// # Errors
    /// [`Error::RegionInUse`] while a guest is running that it is granted to;
    /// [`Error::RegionIsFile`] for a mapped file.
    pub fn as_mut_slice(&mut self) -> Result<SliceMut<'_>, Error> {
        self.memory()?.borrow_mut().ok_or(Error::RegionInUse)
    }

    fn memory(&self) -> Result<&SharedBytes, Error> {
        match &self.0.bytes {
            Bytes::Memory(bytes) => Ok(bytes),
            Bytes::File(_, path) => Err(Error::RegionIsFile(path.clone())),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
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
        self.0.tag.end();
        let spaces = self.0.spaces.lock().expect("no panic under this lock");
        for space in spaces.iter().filter_map(Weak::upgrade) {
            space.revoke(self.0.tag);
        }
        // Only now may the slot have its next pointer.
        self.0.tag.give_back();
    }
}

impl Shared {
    pub(crate) fn pointer(&self) -> Pointer {
        Pointer(u64::from(self.tag.0) << 32)
    }

    pub(crate) fn tag(&self) -> Tag {
        self.tag
    }

    /// How many bytes its pages have.
    pub(crate) fn mapped_len(&self) -> usize {
        whole_pages(self.len)
    }

    /// Notes that it is granted to `space`, where dropping it must revoke it.
    pub(crate) fn granted_to(&self, space: &Arc<Space>) {
        let mut spaces = self.spaces.lock().expect("no panic under this lock");
        spaces.retain(|space| space.strong_count() > 0);
        spaces.push(Arc::downgrade(space));
    }

    pub(crate) fn enter(&self, writes: bool) -> bool {
        match &self.bytes {
            Bytes::Memory(bytes) => bytes.enter(writes),
            Bytes::File(..) => true,
        }
    }

    pub(crate) fn leave(&self, writes: bool) {
        if let Bytes::Memory(bytes) = &self.bytes {
            bytes.leave(writes);
        }
    }
}

fn check_len(len: u64) -> Result<usize, Error> {
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

/// The upper half of a pointer: `generation | slot`.
///
/// Each slot counts through its own generations, and is retired after the last:
/// so no pointer comes alive a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tag(u32);

/// Generations are 1 to this: 0 would allow the pointer 0, and more would make
/// pointers negative.
const GENERATIONS: u16 = 0x7fff;

#[derive(Default)]
struct Slots {
    /// How many generations each slot has had, the first being slot 1.
    used: Vec<u16>,
    /// How many of them are over.
    over: Vec<u16>,
    free: Vec<u16>,
}

static SLOTS: Mutex<Slots> = Mutex::new(Slots {
    used: Vec::new(),
    over: Vec::new(),
    free: Vec::new(),
});

impl Tag {
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    pub(crate) fn slot(self) -> u16 {
        self.0 as u16
    }

    fn take() -> Option<Self> {
        let mut slots = SLOTS.lock().expect("no panic under this lock");
        slots.take()
    }

    /// Its region is going.
    fn end(self) {
        let mut slots = SLOTS.lock().expect("no panic under this lock");
        slots.over[usize::from(self.slot()) - 1] += 1;
    }

    /// Its region is gone, and the slot may have the next.
    fn give_back(self) {
        let mut slots = SLOTS.lock().expect("no panic under this lock");
        slots.give_back(self.slot());
    }

    /// Whether a region had this tag that is gone, or going.
    pub(crate) fn is_stale(self) -> bool {
        let slots = SLOTS.lock().expect("no panic under this lock");
        let slot = self.slot();
        let over = slots.over.get(usize::from(slot).wrapping_sub(1));
        let generation = (self.0 >> 16) as u16;
        (1..=*over.unwrap_or(&0)).any(|n| generation_of(slot, n) == generation)
    }
}

impl Slots {
    fn take(&mut self) -> Option<Tag> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                // Slot 0 is nobody's: no pointer may be 0.
                let slot = u16::try_from(self.used.len() + 1).ok()?;
                self.used.push(0);
                self.over.push(0);
                slot
            }
        };
        let used = &mut self.used[usize::from(slot) - 1];
        *used += 1;
        let generation = generation_of(slot, *used);
        Some(Tag(u32::from(generation) << 16 | u32::from(slot)))
    }

    fn give_back(&mut self, slot: u16) {
        if self.used[usize::from(slot) - 1] < GENERATIONS {
            self.free.push(slot);
        }
    }
}

/// The `n`th generation of a slot, from 1. Slots begin at different ones, so
/// that a pointer which runs into the next slot meets another generation.
fn generation_of(slot: u16, n: u16) -> u16 {
    let start = u32::from(slot) * 0x2545;
    ((start + u32::from(n) - 1) % u32::from(GENERATIONS)) as u16 + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_tag_is_given_twice_and_slots_retire() {
        let mut slots = Slots::default();
        let mut seen = HashSet::new();
        for _ in 0..u32::from(GENERATIONS) * 2 {
            let tag = slots.take().unwrap();
            assert!(tag.0 >> 16 != 0 && tag.0 >> 31 == 0);
            assert!(seen.insert(tag.0));
            slots.give_back(tag.slot());
        }
        assert_eq!(slots.used, [GENERATIONS, GENERATIONS]);
        assert_eq!(slots.take().unwrap().slot(), 3);
    }

    #[test]
    fn slots_run_out() {
        let mut slots = Slots::default();
        for _ in 0..u16::MAX {
            slots.take().unwrap();
        }
        assert!(slots.take().is_none());
    }

    #[test]
    fn pointers_are_positive_and_differ() {
        let (a, b) = (Region::zeroed(1).unwrap(), Region::zeroed(1).unwrap());
        assert_ne!(a.pointer(), b.pointer());
        assert!(a.pointer().to_bits() as i64 > 0);
        let old = a.pointer();
        drop(a);
        assert!(old.tag().is_stale());
        assert!(!b.pointer().tag().is_stale());
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
