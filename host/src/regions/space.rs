//! What one guest has been granted, and where it finds it: the table of regions
//! and the regions' bytes in its region space, and the windows in its own memory.

use super::region::{Bytes, Holder, Region, Shared};
use super::slots::{self, Moment};
use crate::backtrace::Trace;
use crate::sys::{
    AddressSpace, FreeList, Inaccessible, MemoryCell, MemoryState, Protection, fork, page_size,
    whole_pages,
};
use crate::types::{
    Access, Error, Pointer, PointerError, PointerProblem, TABLE_LEN, Tag, WindowProblem,
};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use wasmer::WASM_PAGE_SIZE;

/// The length of an entry in the table of regions, in bytes.
const ENTRY_LEN: usize = TABLE_LEN >> 16;
/// Where an entry has what.
const TAG: usize = 0;
const BASE: usize = 4;
const READABLE: usize = 8;
const WRITABLE: usize = 12;

/// Writes a word of a region's entry.
fn set_word(regions: &MemoryState, tag: Tag, word: usize, value: u32) {
    let entry = usize::from(tag.slot()) * ENTRY_LEN;
    // Where the table is gone, with all else, nobody finds the region either.
    let _ = regions.space.store(entry + word, value);
}

/// What one guest has been granted.
#[derive(Debug)]
pub(crate) struct Space {
    /// The region space, if the guest imports a function that reads it.
    pub(crate) regions: Option<Arc<MemoryState>>,
    /// The guest's linear memory, if it has one.
    pub(crate) memory: MemoryCell,
    /// Whether all that was granted is in the table before the guest runs.
    complete: bool,
    born: Moment,
    granted: Mutex<Granted>,
    /// What it holds while it runs.
    running: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Granted {
    grants: HashMap<Tag, Grant>,
    /// What is free in the region space.
    free: FreeList,
    /// By the address that the guest has.
    windows: BTreeMap<u32, Window>,
    /// Room for windows in the guest's memory, not mapped.
    holes: FreeList,
}

struct Grant {
    shared: Arc<Shared>,
    access: Access,
    /// Where its bytes are in the region space.
    range: Option<Range<usize>>,
    /// Whether they are mapped there; they are when the guest first uses them, or before it
    /// runs.
    mapped: bool,
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {:?} {:?}",
            self.shared.pointer(),
            self.access,
            self.range
        )
    }
}

#[derive(Debug)]
struct Window {
    range: Range<usize>,
    tag: Tag,
    write: bool,
    /// Whether its region was revoked, and so nothing is mapped any more.
    gone: bool,
}

/// The regions that a running guest holds, each with whether it may write it.
#[derive(Debug, Default)]
struct Held(Vec<(Arc<Shared>, bool)>);

/// A running guest; when it ends, the host may have its regions' bytes again.
pub(crate) struct Running(Arc<Space>);

impl Drop for Running {
    fn drop(&mut self) {
        for (shared, writes) in self.0.running().0.drain(..) {
            shared.leave(writes);
        }
    }
}

impl Space {
    /// With a region space, or without if the guest cannot reach it anyhow; all that was
    /// granted is in its table before the guest runs, if that is to be `complete`.
    pub(crate) fn new(with_regions: bool, complete: bool) -> Result<Arc<Self>, Error> {
        let (regions, free) = match with_regions {
            true => {
                let unused = UNUSED.lock().pop();
                let (regions, free) = unused.map_or_else(new_regions, Ok)?;
                (Some(regions), free)
            }
            false => (None, FreeList::default()),
        };
        Ok(Arc::new(Self {
            regions,
            memory: MemoryCell::default(),
            complete,
            born: slots::now(),
            granted: Mutex::new(Granted {
                free,
                ..Granted::default()
            }),
            running: Mutex::default(),
        }))
    }

    fn running(&self) -> MutexGuard<'_, Held> {
        self.running.lock().expect("no panic under this lock")
    }

    fn lock(&self) -> MutexGuard<'_, Granted> {
        self.granted.lock().expect("no panic under this lock")
    }

    /// Lets the guest at a region. Only while it does not run: the range may have
    /// been another region's.
    pub(crate) fn grant(self: &Arc<Self>, region: &Region, access: Access) -> Result<(), Error> {
        self.grant_shared(region.shared(), access)
    }

    fn grant_shared(self: &Arc<Self>, shared: &Arc<Shared>, access: Access) -> Result<(), Error> {
        if access == Access::ReadWrite && matches!(shared.bytes, Bytes::File(..)) {
            return Err(Error::RegionReadOnly);
        }
        if shared.since > self.born {
            return Err(Error::GuestTooOld);
        }
        let tag = shared.tag();
        self.revoke(tag);
        let mut granted = self.lock();
        let range = match &self.regions {
            None => None,
            Some(_) => {
                let full = || Error::RegionSpaceFull(shared.len);
                let len = shared.mapped_len();
                let start = granted.free.take(len).ok_or_else(full)?;
                Some(start..start + len)
            }
        };
        let grant = Grant {
            shared: Arc::clone(shared),
            access,
            range,
            mapped: false,
        };
        granted.grants.insert(tag, grant);
        drop(granted);
        let holder: Weak<Self> = Arc::downgrade(self);
        shared.granted_to(holder);
        Ok(())
    }

    /// Lets the guest at the regions that another one has, and that are alive.
    pub(crate) fn grant_all_of(self: &Arc<Self>, other: &Self) -> Result<(), Error> {
        let granted = other.lock();
        let grants = granted.grants.values();
        let grants: Vec<_> = grants.map(|g| (Arc::clone(&g.shared), g.access)).collect();
        drop(granted);
        for (shared, access) in grants {
            self.grant_shared(&shared, access)?;
            // If it is dropped from now on, that finds this guest as well.
            if slots::is_stale(shared.tag()) {
                self.revoke(shared.tag());
            }
        }
        Ok(())
    }

    /// Takes a region away from this guest alone.
    pub(crate) fn take_back(&self, region: &Region) {
        self.revoke(region.shared().tag());
    }

    /// Maps the bytes of a pointer's region into the region space, and enters it in
    /// the table; `false` if it was there, or the pointer is not valid.
    pub(crate) fn resolve(&self, pointer: Pointer) -> Result<bool, Error> {
        self.lock().resolve(self, pointer.tag())
    }

    /// The guest begins to run.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Running, Error> {
        let mut granted = self.lock();
        let running = Running(Arc::clone(self));
        if self.complete {
            granted.resolve_all(self)?;
        }
        for grant in granted.grants.values() {
            let writes = grant.access == Access::ReadWrite;
            if !grant.shared.enter(writes) {
                return Err(Error::RegionInUse);
            }
            self.running().0.push((Arc::clone(&grant.shared), writes));
        }
        Ok(running)
    }

    /// Lets a guest at a region that is running, and waits for the host.
    pub(crate) fn grant_running(
        self: &Arc<Self>,
        region: &Region,
        access: Access,
    ) -> Result<(), Error> {
        let shared = region.shared();
        let writes = access == Access::ReadWrite;
        if !shared.enter(writes) {
            return Err(Error::RegionInUse);
        }
        self.running().0.push((Arc::clone(shared), writes));
        self.grant(region, access)?;
        if self.complete {
            self.resolve(shared.pointer())?;
        }
        Ok(())
    }

    /// Copies bytes of a region out, for the host.
    pub(crate) fn read_region(&self, pointer: Pointer, to: &mut [u8]) -> Result<(), Error> {
        self.region_part(pointer, to.len(), false, |regions, at| regions.read(at, to))
    }

    /// Copies bytes into a region, for the host.
    pub(crate) fn write_region(&self, pointer: Pointer, from: &[u8]) -> Result<(), Error> {
        self.region_part(pointer, from.len(), true, |regions, at| {
            regions.write(at, from)
        })
    }

    fn region_part(
        &self,
        pointer: Pointer,
        len: usize,
        write: bool,
        copy: impl FnOnce(&AddressSpace, usize) -> Result<(), Inaccessible>,
    ) -> Result<(), Error> {
        let gone = || Error::RegionGone(Default::default());
        let mut granted = self.lock();
        // A region is shorter than that, so this is out of bounds.
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        granted.check(pointer, 0, len, write)?;
        granted.resolve(self, pointer.tag())?;
        let grant = granted.check(pointer, 0, len, write)?;
        let (Some(regions), Some(range)) = (&self.regions, &grant.range) else {
            return Err(gone());
        };
        let at = range.start + pointer.offset() as usize;
        copy(&regions.space, at).map_err(|_| gone())
    }

    /// Answers an access that the carried modules have not let pass: it is let pass
    /// now, or it is wrong.
    pub(crate) fn admit(
        &self,
        pointer: Pointer,
        offset: u32,
        len: u32,
        write: bool,
    ) -> Result<(), Error> {
        let mut granted = self.lock();
        granted.check(pointer, offset, len, write)?;
        match granted.resolve(self, pointer.tag())? {
            true => Ok(()),
            false => Err(Error::RegionGone(Default::default())),
        }
    }

    /// How many bytes there are from a pointer to its region's end.
    pub(crate) fn len(&self, pointer: Pointer) -> Result<u64, Error> {
        let granted = self.lock();
        let region = &granted.check(pointer, 0, 0, false)?.shared;
        Ok(region.len as u64 - u64::from(pointer.offset()))
    }

    /// Copies bytes of a region into the guest's memory, or from it if `write`:
    /// for guests for which the carried module cannot do it. `before` is asked before
    /// each piece, with its length, whether the guest may go on.
    pub(crate) fn copy(
        &self,
        pointer: Pointer,
        address: u32,
        len: u32,
        write: bool,
        mut before: impl FnMut(u32) -> Result<(), Error>,
    ) -> Result<(), Error> {
        const PIECE: u32 = 256 << 10;
        self.lock().check(pointer, 0, len, write)?;
        for done in (0..len).step_by(PIECE as usize) {
            if done > 0 {
                // Whoever waits to revoke the region comes first.
                std::thread::yield_now();
            }
            let piece = (len - done).min(PIECE);
            before(piece)?;
            self.copy_piece(pointer, address, (done, piece), len, write)?;
        }
        Ok(())
    }

    /// `piece` bytes from `done` on, of a copy of `len` bytes.
    fn copy_piece(
        &self,
        pointer: Pointer,
        address: u32,
        (done, piece): (u32, u32),
        len: u32,
        write: bool,
    ) -> Result<(), Error> {
        let (first, last) = (done as usize, (done + piece) as usize);
        let mut granted = self.lock();
        granted.check(pointer, 0, len, write)?;
        granted.resolve(self, pointer.tag())?;
        let grant = granted.check(pointer, 0, len, write)?;
        let bad_range = || Error::GuestRange {
            function: if write { "write_from" } else { "read_into" },
            write: !write,
            address,
            len,
            trace: Trace::default(),
        };
        let memory = self.memory.get().ok_or_else(bad_range)?;
        let (Some(regions), Some(range)) = (&self.regions, &grant.range) else {
            return Err(Error::RegionGone(Default::default()));
        };
        let mut buffer = [0; 16 << 10];
        let start = range.start + pointer.offset() as usize;
        for done in (first..last).step_by(buffer.len()) {
            let part = (last - done).min(buffer.len());
            let part = &mut buffer[..part];
            let there = address as usize + done;
            let gone = |_| Error::RegionGone(Default::default());
            if write {
                memory.space.read(there, part).map_err(|_| bad_range())?;
                regions.space.write(start + done, part).map_err(gone)?;
            } else {
                regions.space.read(start + done, part).map_err(gone)?;
                memory.space.write(there, part).map_err(|_| bad_range())?;
            }
        }
        Ok(())
    }

    /// Makes `len` bytes at `pointer` appear in the guest's memory, and gives
    /// their address. `grow` makes the memory that many Wasm pages larger.
    pub(crate) fn map(
        &self,
        pointer: Pointer,
        len: u32,
        write: bool,
        grow: impl FnOnce(u32) -> Result<(), Error>,
    ) -> Result<u32, Error> {
        let mut granted = self.lock();
        let shared = Arc::clone(&granted.check(pointer, 0, len, write)?.shared);
        let memory = self.memory.get().ok_or(WindowProblem::NoMemory)?;
        if len == 0 {
            return Err(WindowProblem::Empty.into());
        }
        if granted.windows.len() >= MOST_WINDOWS {
            return Err(WindowProblem::TooMany {
                limit: MOST_WINDOWS,
            }
            .into());
        }
        let offset = pointer.offset() as usize;
        let skipped = offset % page_size();
        let span = whole_pages(skipped + len as usize);
        let start = match granted.holes.take(span) {
            Some(start) => start,
            None => {
                let old = memory.len();
                grow(span.div_ceil(WASM_PAGE_SIZE) as u32)?;
                granted.holes.give(old..memory.len());
                granted.holes.take(span).expect("there is room now")
            }
        };
        let range = start..start + span;
        if write && offset + len as usize > shared.len - shared.len % page_size() {
            shared.may_write_behind_end();
        }
        if let Err(e) = show(
            &shared,
            &memory.space,
            range.clone(),
            offset - skipped,
            write,
        ) {
            memory.space.unmap(range.clone());
            granted.holes.give(range);
            return Err(Error::Memory(e));
        }
        let address = (start + skipped) as u32;
        let window = Window {
            range,
            tag: pointer.tag(),
            write,
            gone: false,
        };
        granted.windows.insert(address, window);
        Ok(address)
    }

    /// Takes the window at `address` away.
    pub(crate) fn unmap(&self, address: u32) -> Result<(), Error> {
        let mut granted = self.lock();
        let window = granted
            .windows
            .remove(&address)
            .ok_or(WindowProblem::NotThere { address })?;
        if let Some(memory) = self.memory.get() {
            memory.space.unmap(window.range.clone());
        }
        granted.holes.give(window.range);
        Ok(())
    }

    /// What a fault at an address of this process was about.
    pub(crate) fn fault(&self, address: usize) -> Option<Fault> {
        if let Some(regions) = &self.regions
            && regions.space.offset_of(address).is_some()
        {
            return Some(Fault::RegionGone);
        }
        let memory = self.memory.get()?;
        let at = memory.space.offset_of(address)?;
        let beyond = Fault::Beyond {
            address: at as u64,
            len: memory.len() as u64,
        };
        let Ok(address) = u32::try_from(at) else {
            return Some(beyond);
        };
        let granted = self.lock();
        let window = granted.windows.values().find(|w| w.range.contains(&at));
        Some(match window {
            Some(window) if window.gone => Fault::RegionGone,
            Some(window) if !window.write => Fault::ReadOnly(address),
            Some(_) => Fault::RegionGone,
            None if at < memory.len() => Fault::Unmapped(address),
            None => beyond,
        })
    }
}

impl Holder for Space {
    fn revoke(&self, tag: Tag) {
        let mut granted = self.lock();
        let Some(grant) = granted.grants.remove(&tag) else {
            return;
        };
        if let (Some(regions), Some(range)) = (&self.regions, grant.range) {
            if grant.mapped {
                // Where the bytes were stays: a guest that has passed the check already
                // finds nothing mapped there, and traps.
                for word in [TAG, READABLE, WRITABLE] {
                    set_word(regions, tag, word, 0);
                }
                regions.space.unmap(range.clone());
            }
            granted.free.give(range);
        }
        for window in granted.windows.values_mut().filter(|w| w.tag == tag) {
            if let Some(memory) = self.memory.get() {
                memory.space.unmap(window.range.clone());
            }
            window.gone = true;
        }
    }
}

/// How many windows a guest may have at a time: each may cost two of the system's
/// mappings, and all guests together have some 65,000.
const MOST_WINDOWS: usize = 1000;

/// Maps a region's pages from `offset` on over `range` of a guest's memory.
///
/// What is behind a file's end now is zero, even if the file grows later: so its last
/// page, if it is not a whole one, is a copy.
fn show(
    shared: &Shared,
    space: &AddressSpace,
    range: Range<usize>,
    offset: usize,
    write: bool,
) -> io::Result<()> {
    let whole_file = shared.len - shared.len % page_size();
    let whole = match &shared.bytes {
        Bytes::Memory(_) => range.len(),
        Bytes::File(..) => range.len().min(whole_file.saturating_sub(offset)),
    };
    let split = range.start + whole;
    let protection = protection(&shared.bytes, write);
    let (file, begin) = shared.bytes.file();
    space.map(range.start..split, file, begin + offset, protection)?;
    if split < range.end {
        let start = offset + whole;
        let mut tail = vec![0; shared.len - start];
        file.read_exact_at(&mut tail, start as u64)?;
        space.copy_in(split..range.end, &tail)?;
    }
    Ok(())
}

/// Region spaces of guests that are gone, with nothing mapped but their empty
/// tables, to be used again.
static UNUSED: fork::Mutex<Vec<(Arc<MemoryState>, FreeList)>> = fork::Mutex::new(Vec::new());

/// How many of them are kept.
const MOST_UNUSED: usize = 64;

fn new_regions() -> Result<(Arc<MemoryState>, FreeList), Error> {
    let regions = MemoryState::region_space().map_err(Error::Memory)?;
    regions.space.commit(0..TABLE_LEN).map_err(Error::Memory)?;
    // The entry of slot 0 fits no pointer.
    regions.space.store(0, u32::MAX).expect("just committed");
    let mut free = FreeList::default();
    free.give(TABLE_LEN..regions.len());
    Ok((regions, free))
}

impl Drop for Space {
    fn drop(&mut self) {
        let tags: Vec<Tag> = self.lock().grants.keys().copied().collect();
        for tag in tags {
            self.revoke(tag);
        }
        let free = std::mem::take(&mut self.lock().free);
        // Nobody else may have it: the guest's store is gone.
        if let Some(regions) = self.regions.take()
            && Arc::strong_count(&regions) == 1
        {
            let mut unused = UNUSED.lock();
            if unused.len() < MOST_UNUSED {
                unused.push((regions, free));
            }
        }
    }
}

/// Why a guest faulted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The region was revoked, or its file truncated.
    RegionGone,
    /// A write into a window for reading.
    ReadOnly(u32),
    /// An address where there was a window, or will be one.
    Unmapped(u32),
    /// Beyond the end of the guest's memory.
    Beyond { address: u64, len: u64 },
}

impl Granted {
    fn resolve_all(&mut self, space: &Space) -> Result<(), Error> {
        let missing = self.grants.iter().filter(|(_, grant)| !grant.mapped);
        let missing: Vec<Tag> = missing.map(|(tag, _)| *tag).collect();
        for tag in missing {
            self.resolve(space, tag)?;
        }
        Ok(())
    }

    fn resolve(&mut self, space: &Space, tag: Tag) -> Result<bool, Error> {
        let Some(grant) = self.grants.get_mut(&tag).filter(|grant| !grant.mapped) else {
            return Ok(false);
        };
        let (Some(regions), Some(range)) = (&space.regions, &grant.range) else {
            return Ok(false);
        };
        let (bytes, write) = (&grant.shared.bytes, grant.access == Access::ReadWrite);
        let protection = protection(bytes, write);
        let (file, begin) = bytes.file();
        let map = regions.space.map(range.clone(), file, begin, protection);
        map.map_err(Error::Memory)?;
        let len = grant.shared.len as u32;
        set_word(regions, tag, BASE, range.start as u32);
        set_word(regions, tag, READABLE, len);
        set_word(regions, tag, WRITABLE, if write { len } else { 0 });
        set_word(regions, tag, TAG, tag.bits());
        grant.mapped = true;
        Ok(true)
    }

    fn check(
        &self,
        pointer: Pointer,
        offset: u32,
        len: u32,
        write: bool,
    ) -> Result<&Grant, PointerError> {
        let problem = match self.grants.get(&pointer.tag()) {
            Some(grant) => {
                let end = u64::from(pointer.offset()) + u64::from(offset) + u64::from(len);
                let region = grant.shared.pointer();
                let region_len = grant.shared.len;
                if end > region_len as u64 {
                    PointerProblem::OutOfBounds {
                        region,
                        len: region_len,
                    }
                } else if write && grant.access == Access::Read && end > 0 {
                    // Of such a region, 0 bytes can be written, as in the table.
                    PointerProblem::ReadOnly {
                        region,
                        len: region_len,
                    }
                } else {
                    return Ok(grant);
                }
            }
            None if pointer.to_bits() == 0 => PointerProblem::Null,
            None if slots::is_stale(pointer.tag()) => PointerProblem::Revoked,
            None => PointerProblem::Unknown,
        };
        Err(PointerError {
            pointer,
            offset,
            len,
            write,
            problem,
            trace: Trace::default(),
        })
    }
}

fn protection(bytes: &Bytes, write: bool) -> Protection {
    match bytes {
        Bytes::File(..) => Protection::ReadFile,
        Bytes::Memory(_) if write => Protection::ReadWrite,
        Bytes::Memory(_) => Protection::Read,
    }
}
