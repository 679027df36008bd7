//! What one guest has been granted, and where it finds it: the table of regions
//! and the regions' bytes in its region space, and the windows in its own memory.

use super::region::{Bytes, Holder, Region, Shared};
use super::slots::{self, Moment};
use crate::backtrace::Trace;
use crate::sys::{
    AddressSpace, FreeList, Inaccessible, MemoryCell, MemoryState, Protection, Use, fork,
    page_size, whole_pages,
};
use crate::types::{
    Access, Error, Pointer, PointerError, PointerProblem, TABLE_LEN, Tag, WindowProblem,
};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use wasmer::WASM_PAGE_SIZE;

/// The length of an entry in the table of regions, in bytes.
const ENTRY_LEN: usize = 16;
/// Where an entry has what.
const TAG: usize = 0;
const BASE: usize = 4;
const READABLE: usize = 8;
const WRITABLE: usize = 12;
/// Where the regions' lengths are, behind all entries.
const LENGTHS: usize = ENTRY_LEN << 16;

/// Writes a word of a region's entry.
fn set_word(regions: &MemoryState, tag: Tag, word: usize, value: u32) {
    let entry = usize::from(tag.slot()) * ENTRY_LEN;
    // Where the table is gone, with all else, nobody finds the region either.
    let _ = regions.space.store(entry + word, value);
}

/// Writes a region's length.
fn set_len(regions: &MemoryState, tag: Tag, len: u32) {
    let _ = regions
        .space
        .store(LENGTHS + usize::from(tag.slot()) * 4, len);
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
    /// Locked last, and for a moment.
    held: Mutex<Held>,
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
    /// Whether the guest may use its pointer. If not, there are only the windows that the
    /// host has made.
    by_pointer: bool,
    /// Where its bytes are in the region space.
    range: Option<Range<usize>>,
    /// Whether they are mapped there; they are when the guest first uses them, or before it
    /// runs.
    mapped: bool,
    /// How many bytes can be read and written by pointers: all of them, but for those
    /// that a window may show as a slice.
    readable: u32,
    writable: u32,
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
    /// Where its bytes begin in the region, and how many there are.
    offset: u32,
    len: u32,
    kind: WindowKind,
    /// Whether its region was revoked, and so nothing is mapped any more.
    gone: bool,
}

/// What a window is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowKind {
    /// Whether it can be written.
    pub(crate) write: bool,
    /// Whether the guest sees it as a slice of its language's, which does not change but by
    /// itself.
    pub(crate) slice: bool,
}

/// The regions that a guest uses.
#[derive(Debug, Default)]
struct Held {
    /// Whether it is running. If not, others may take what they want of the regions.
    running: bool,
    regions: HashMap<Tag, (Arc<Shared>, Use)>,
    /// Those that it must have before it runs, and has not.
    missing: Vec<(Arc<Shared>, Use)>,
    /// Those behind whose end it may write.
    behind_end: HashMap<Tag, Arc<Shared>>,
}

impl Held {
    /// Forgets a region.
    fn release(&mut self, tag: Tag) {
        if let Some((shared, _)) = self.regions.remove(&tag) {
            shared.leave();
        }
        self.missing.retain(|(shared, _)| shared.tag() != tag);
        self.behind_end.remove(&tag);
    }
}

/// A running guest; when it ends, others may have its regions' bytes again.
pub(crate) struct Running(Arc<Space>);

impl Drop for Running {
    fn drop(&mut self) {
        let mut held = self.0.held();
        for shared in held.behind_end.values() {
            shared.erase_behind_end();
        }
        held.running = false;
    }
}

/// How a guest uses a region that it was granted.
fn use_of(access: Access) -> Use {
    match access {
        Access::Read => Use::Read,
        Access::ReadWrite => Use::Write,
        Access::SharedRead | Access::SharedReadWrite => Use::Share,
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
            held: Mutex::default(),
        }))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("no panic under this lock")
    }

    fn lock(&self) -> MutexGuard<'_, Granted> {
        self.granted.lock().expect("no panic under this lock")
    }

    /// Lets the guest at a region. Only while it does not run: the range may have
    /// been another region's.
    pub(crate) fn grant(self: &Arc<Self>, region: &Region, access: Access) -> Result<(), Error> {
        let shared = region.shared();
        self.held().release(shared.tag());
        self.grant_shared(shared, access, true)?;
        let missing = (Arc::clone(shared), use_of(access));
        self.held().missing.push(missing);
        Ok(())
    }

    fn grant_shared(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        access: Access,
        by_pointer: bool,
    ) -> Result<(), Error> {
        if access != Access::Read && matches!(shared.bytes, Bytes::File(..)) {
            return Err(Error::RegionReadOnly);
        }
        if shared.since > self.born {
            return Err(Error::GuestTooOld);
        }
        let tag = shared.tag();
        self.take_away(tag);
        let mut granted = self.lock();
        let range = match &self.regions {
            Some(_) if by_pointer => {
                let full = || Error::RegionSpaceFull(shared.len);
                let len = shared.mapped_len();
                let start = granted.free.take(len).ok_or_else(full)?;
                Some(start..start + len)
            }
            _ => None,
        };
        let len = shared.len as u32;
        let grant = Grant {
            shared: Arc::clone(shared),
            access,
            by_pointer,
            range,
            mapped: false,
            readable: len,
            writable: if access.writes() { len } else { 0 },
        };
        granted.grants.insert(tag, grant);
        drop(granted);
        shared.granted_to(self.holder());
        Ok(())
    }

    fn holder(self: &Arc<Self>) -> Weak<dyn Holder> {
        let holder: Weak<Self> = Arc::downgrade(self);
        holder
    }

    /// Lets the guest at the regions that another one has, and that are alive.
    pub(crate) fn grant_all_of(self: &Arc<Self>, other: &Self) -> Result<(), Error> {
        let granted = other.lock();
        // What was only shown was shown in a memory that is gone.
        let grants = granted.grants.values().filter(|grant| grant.by_pointer);
        let grants: Vec<_> = grants.map(|g| (Arc::clone(&g.shared), g.access)).collect();
        drop(granted);
        for (shared, access) in grants {
            self.grant_shared(&shared, access, true)?;
            let missing = (Arc::clone(&shared), use_of(access));
            self.held().missing.push(missing);
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

    /// The guest begins to run, with all regions that it was granted. It costs something
    /// only for those that are new, or that others have used since.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Running, Error> {
        let missing = {
            let mut held = self.held();
            held.running = true;
            std::mem::take(&mut held.missing)
        };
        let running = Running(Arc::clone(self));
        let mut missing = missing.into_iter();
        while let Some((shared, wanted)) = missing.next() {
            let entered = self.begin_to_use(&shared, wanted);
            if let Err(error) = entered.and_then(|()| self.complete(shared.tag())) {
                let mut held = self.held();
                held.missing.push((shared, wanted));
                held.missing.extend(missing);
                return Err(error);
            }
        }
        Ok(running)
    }

    /// Enters a region in the table, if all of them have to be.
    fn complete(&self, tag: Tag) -> Result<(), Error> {
        match self.complete {
            true => self.lock().resolve(self, tag).map(drop),
            false => Ok(()),
        }
    }

    fn begin_to_use(self: &Arc<Self>, shared: &Arc<Shared>, wanted: Use) -> Result<(), Error> {
        let tag = shared.tag();
        let own = || self.held().regions.remove(&tag).map(|(_, own)| own);
        let note = |used| {
            let used = (Arc::clone(shared), used);
            self.held().regions.insert(tag, used);
        };
        shared.enter(&self.holder(), own, wanted, note)
    }

    /// Lets a guest at a region that is running.
    pub(crate) fn grant_running(
        self: &Arc<Self>,
        region: &Region,
        access: Access,
    ) -> Result<(), Error> {
        let shared = region.shared();
        self.begin_to_use(shared, use_of(access))?;
        let granted = self.grant_shared(shared, access, true);
        granted
            .and_then(|()| self.complete(shared.tag()))
            .inspect_err(|_| self.revoke(shared.tag()))
    }

    /// Copies bytes of a region out, for the host.
    pub(crate) fn read_region(&self, pointer: Pointer, to: &mut [u8]) -> Result<(), Error> {
        self.region_part(
            pointer,
            to.len(),
            false,
            |regions, at, shared| match shared {
                true => regions.read_shared(at, to),
                false => regions.read(at, to),
            },
        )
    }

    /// Copies bytes into a region, for the host.
    pub(crate) fn write_region(&self, pointer: Pointer, from: &[u8]) -> Result<(), Error> {
        self.region_part(
            pointer,
            from.len(),
            true,
            |regions, at, shared| match shared {
                true => regions.write_shared(at, from),
                false => regions.write(at, from),
            },
        )
    }

    fn region_part(
        &self,
        pointer: Pointer,
        len: usize,
        write: bool,
        copy: impl FnOnce(&AddressSpace, usize, bool) -> Result<(), Inaccessible>,
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
        copy(&regions.space, at, grant.access.is_shared()).map_err(|_| gone())
    }

    /// Answers an access that the carried modules have not let pass: it is let pass
    /// now, or it is wrong. One of no bytes need not pass.
    pub(crate) fn admit(
        &self,
        pointer: Pointer,
        (offset, len, write): (u32, u32, bool),
        aligned: bool,
    ) -> Result<(), Error> {
        let mut granted = self.lock();
        let grant = granted.check(pointer, offset, len, write)?;
        if aligned && !pointer.offset().wrapping_add(offset).is_multiple_of(len) {
            let problem = PointerProblem::Unaligned;
            return Err(wrong(pointer, (offset, len), write, problem).into());
        }
        let end = u64::from(pointer.offset()) + u64::from(offset);
        let in_window = len == 0 && end > u64::from(grant.limit(write));
        match granted.resolve(self, pointer.tag())? || in_window {
            true => Ok(()),
            false => Err(Error::RegionGone(Default::default())),
        }
    }

    /// What would be wrong with an access; if nothing is, the region is entered in the table.
    pub(crate) fn problem(
        &self,
        pointer: Pointer,
        len: u64,
        write: bool,
    ) -> Result<Option<PointerProblem>, Error> {
        let mut granted = self.lock();
        // A region is shorter than that, so this is out of bounds.
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        match granted.check(pointer, 0, len, write) {
            Err(error) => Ok(Some(error.problem)),
            Ok(_) => granted.resolve(self, pointer.tag()).map(|_| None),
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
        let shared = grant.access.is_shared();
        let start = range.start + pointer.offset() as usize;
        for done in (first..last).step_by(buffer.len()) {
            let part = (last - done).min(buffer.len());
            let part = &mut buffer[..part];
            let there = address as usize + done;
            let gone = |_| Error::RegionGone(Default::default());
            if write {
                memory.space.read(there, part).map_err(|_| bad_range())?;
                let written = match shared {
                    true => regions.space.write_shared(start + done, part),
                    false => regions.space.write(start + done, part),
                };
                written.map_err(gone)?;
            } else {
                let read = match shared {
                    true => regions.space.read_shared(start + done, part),
                    false => regions.space.read(start + done, part),
                };
                read.map_err(gone)?;
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
        kind: WindowKind,
        grow: impl FnOnce(u32) -> Result<(), Error>,
    ) -> Result<u32, Error> {
        let mut granted = self.lock();
        granted.check_grant(pointer, 0, len, kind.write)?;
        self.map_granted(&mut granted, pointer, len, kind, grow)
    }

    /// The same for the host: the region need not be granted, and if it is not, it is for
    /// this and other windows of the host's only.
    pub(crate) fn show(
        self: &Arc<Self>,
        region: &Region,
        (offset, len): (u32, u32),
        access: Access,
        grow: impl FnOnce(u32) -> Result<(), Error>,
    ) -> Result<u32, Error> {
        let shared = region.shared();
        let tag = shared.tag();
        if !self.lock().grants.contains_key(&tag) {
            self.grant_shared(shared, access, false)?;
            self.held()
                .missing
                .push((Arc::clone(shared), use_of(access)));
        }
        let pointer = region.pointer() + offset;
        let kind = WindowKind {
            write: access.writes(),
            slice: !access.is_shared(),
        };
        let mut granted = self.lock();
        if let Some(grant) = granted.grants.get(&tag) {
            let problem = grant.problem((offset, 0), len, kind.write);
            let problem = problem.map(|problem| wrong(pointer, (0, len), kind.write, problem));
            problem.map_or(Ok(()), Err)?;
        }
        self.map_granted(&mut granted, pointer, len, kind, grow)
    }

    /// Takes a window of the host's away, and its region with the last one.
    pub(crate) fn hide(&self, address: u32) -> Result<(), Error> {
        let tag = self.unmap(address)?;
        let granted = self.lock();
        let only_shown = granted.grants.get(&tag).is_some_and(|it| !it.by_pointer);
        let unused = only_shown && granted.windows.values().all(|window| window.tag != tag);
        drop(granted);
        if unused {
            self.revoke(tag);
        }
        Ok(())
    }

    /// Makes a window of a region that was granted for that.
    fn map_granted(
        &self,
        granted: &mut Granted,
        pointer: Pointer,
        len: u32,
        kind: WindowKind,
        grow: impl FnOnce(u32) -> Result<(), Error>,
    ) -> Result<u32, Error> {
        let grant = granted.grants.get(&pointer.tag());
        let grant = grant.ok_or_else(|| Error::RegionGone(Trace::default()))?;
        let shared = Arc::clone(&grant.shared);
        granted.check_window(grant, pointer.offset(), len, kind)?;
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
        if kind.write && offset + len as usize > shared.len - shared.len % page_size() {
            let behind_end = &mut self.held().behind_end;
            behind_end.insert(pointer.tag(), Arc::clone(&shared));
        }
        if let Err(e) = show(
            &shared,
            &memory.space,
            range.clone(),
            offset - skipped,
            kind.write,
        ) {
            memory.space.unmap(range.clone());
            granted.holes.give(range);
            return Err(Error::Memory(e));
        }
        let address = (start + skipped) as u32;
        let window = Window {
            range,
            tag: pointer.tag(),
            offset: pointer.offset(),
            len,
            kind,
            gone: false,
        };
        granted.windows.insert(address, window);
        if kind.slice {
            shared.in_slice.store(true, Ordering::Relaxed);
            granted.set_limits(self, pointer.tag());
        }
        Ok(address)
    }

    /// Takes the window at `address` away, and says whose it was.
    pub(crate) fn unmap(&self, address: u32) -> Result<Tag, Error> {
        let mut granted = self.lock();
        let window = granted
            .windows
            .remove(&address)
            .ok_or(WindowProblem::NotThere { address })?;
        if let Some(memory) = self.memory.get() {
            memory.space.unmap(window.range.clone());
        }
        granted.holes.give(window.range);
        if window.kind.slice {
            granted.set_limits(self, window.tag);
        }
        Ok(window.tag)
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
            Some(window) if !window.kind.write => Fault::ReadOnly(address),
            Some(_) => Fault::RegionGone,
            None if at < memory.len() => Fault::Unmapped(address),
            None => beyond,
        })
    }
}

impl Space {
    /// Takes away where the guest finds a region.
    fn take_away(&self, tag: Tag) {
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
                set_len(regions, tag, 0);
                regions.space.unmap(range.clone());
            }
            granted.free.give(range);
        }
        granted.end_windows(self, |window| window.tag == tag);
    }
}

impl Holder for Space {
    fn revoke(&self, tag: Tag) {
        self.take_away(tag);
        self.held().release(tag);
    }

    fn give_up(&self, tag: Tag, to: Use) -> bool {
        {
            let mut held = self.held();
            if held.running && held.regions.contains_key(&tag) {
                return false;
            }
            if let Some((shared, used)) = held.regions.remove(&tag) {
                shared.leave();
                held.missing.push((shared, used));
            }
        }
        if to != Use::Read {
            // What the guest may keep of a slice would change.
            let mut granted = self.lock();
            granted.end_windows(self, |window| window.tag == tag && window.kind.slice);
            granted.set_limits(self, tag);
        }
        true
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

impl Grant {
    /// How many bytes can be read or written by pointers.
    fn limit(&self, write: bool) -> u32 {
        match write {
            true => self.writable,
            false => self.readable,
        }
    }

    /// What is wrong with an access to `len` bytes, whatever windows there are.
    fn problem(&self, at: (u32, u32), len: u32, write: bool) -> Option<PointerProblem> {
        let end = u64::from(at.0) + u64::from(at.1) + u64::from(len);
        let region = self.shared.pointer();
        let region_len = self.shared.len;
        if end > region_len as u64 {
            return Some(PointerProblem::OutOfBounds {
                region,
                len: region_len,
            });
        }
        // Of a region for reading, 0 bytes can be written, as in the table.
        (write && !self.access.writes() && end > 0).then_some(PointerProblem::ReadOnly {
            region,
            len: region_len,
        })
    }

    /// Writes that into the table.
    fn enter_limits(&self, regions: &MemoryState) {
        let tag = self.shared.tag();
        set_word(regions, tag, READABLE, self.readable);
        set_word(regions, tag, WRITABLE, self.writable);
    }
}

impl Granted {
    /// Leaves nothing mapped at some windows.
    fn end_windows(&mut self, space: &Space, which: impl Fn(&Window) -> bool) {
        for window in self.windows.values_mut().filter(|window| which(window)) {
            if let Some(memory) = space.memory.get() {
                memory.space.unmap(window.range.clone());
            }
            window.gone = true;
        }
    }

    /// The windows that a region has.
    fn windows_of(&self, tag: Tag) -> impl Iterator<Item = &Window> {
        let windows = self.windows.values();
        windows.filter(move |window| window.tag == tag && !window.gone)
    }

    /// Whether there may be such a window beside those that there are.
    fn check_window(
        &self,
        grant: &Grant,
        offset: u32,
        len: u32,
        kind: WindowKind,
    ) -> Result<(), WindowProblem> {
        let region = grant.shared.pointer();
        if grant.access.is_shared() {
            return match kind.slice {
                true => Err(WindowProblem::Shared { region }),
                false => Ok(()),
            };
        }
        // They are within the region.
        let end = offset + len;
        let overlaps = |other: &Window| {
            (kind.write || other.kind.write)
                && offset < other.offset + other.len
                && other.offset < end
        };
        match self.windows_of(grant.shared.tag()).any(overlaps) {
            true => Err(WindowProblem::Overlaps { region }),
            false => Ok(()),
        }
    }

    /// Keeps pointers away from what windows show as slices: the table has one limit for
    /// reading and one for writing, so they are where the first such window begins.
    fn set_limits(&mut self, space: &Space, tag: Tag) {
        let first = |write_only: bool| {
            let windows = self.windows_of(tag);
            let slices = windows.filter(|window| window.kind.slice);
            let those = slices.filter(|window| window.kind.write || !write_only);
            those.map(|window| window.offset).min().unwrap_or(u32::MAX)
        };
        let (reading, writing) = (first(true), first(false));
        let Some(grant) = self.grants.get_mut(&tag) else {
            return;
        };
        let len = grant.shared.len as u32;
        grant.readable = len.min(reading);
        if grant.access.writes() {
            grant.writable = len.min(writing);
        }
        if let (true, Some(regions)) = (grant.mapped, &space.regions) {
            grant.enter_limits(regions);
        }
    }

    fn resolve(&mut self, space: &Space, tag: Tag) -> Result<bool, Error> {
        let Some(grant) = self.grants.get_mut(&tag).filter(|grant| !grant.mapped) else {
            return Ok(false);
        };
        let (Some(regions), Some(range)) = (&space.regions, &grant.range) else {
            return Ok(false);
        };
        let (bytes, write) = (&grant.shared.bytes, grant.access.writes());
        let protection = protection(bytes, write);
        let (file, begin) = bytes.file();
        let map = regions.space.map(range.clone(), file, begin, protection);
        map.map_err(Error::Memory)?;
        set_word(regions, tag, BASE, range.start as u32);
        set_len(regions, tag, grant.shared.len as u32);
        grant.enter_limits(regions);
        set_word(regions, tag, TAG, tag.bits());
        grant.mapped = true;
        Ok(true)
    }

    /// The grant that an access by pointer is to, if it is right.
    fn check(
        &self,
        pointer: Pointer,
        offset: u32,
        len: u32,
        write: bool,
    ) -> Result<&Grant, PointerError> {
        let grant = self.check_grant(pointer, offset, len, write)?;
        let end = u64::from(pointer.offset()) + u64::from(offset) + u64::from(len);
        let start = grant.limit(write);
        if len == 0 || end <= u64::from(start) {
            return Ok(grant);
        }
        let problem = PointerProblem::InWindow {
            region: grant.shared.pointer(),
            start,
        };
        Err(wrong(pointer, (offset, len), write, problem))
    }

    /// The same, whatever windows there are.
    fn check_grant(
        &self,
        pointer: Pointer,
        offset: u32,
        len: u32,
        write: bool,
    ) -> Result<&Grant, PointerError> {
        let grant = self.grants.get(&pointer.tag());
        let problem = match grant.filter(|grant| grant.by_pointer) {
            Some(grant) => match grant.problem((pointer.offset(), offset), len, write) {
                Some(problem) => problem,
                None => return Ok(grant),
            },
            None if pointer.to_bits() == 0 => PointerProblem::Null,
            None if slots::is_stale(pointer.tag()) => PointerProblem::Revoked,
            None => PointerProblem::Unknown,
        };
        Err(wrong(pointer, (offset, len), write, problem))
    }
}

/// What is wrong with an access of so many bytes.
fn wrong(
    pointer: Pointer,
    (offset, len): (u32, u32),
    write: bool,
    problem: PointerProblem,
) -> PointerError {
    PointerError {
        pointer,
        offset,
        len,
        write,
        problem,
        trace: Trace::default(),
    }
}

fn protection(bytes: &Bytes, write: bool) -> Protection {
    match bytes {
        Bytes::File(..) => Protection::ReadFile,
        Bytes::Memory(_) if write => Protection::ReadWrite,
        Bytes::Memory(_) => Protection::Read,
    }
}
