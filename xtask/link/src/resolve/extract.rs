//! Takes the inputs in order and decides which objects are part of the link: an
//! object joins at once, an archive's member when it defines a symbol that is
//! undefined by then or later, at the moment that shows.

use hashbrown::HashMap;
use rayon::prelude::*;

use crate::error::{Result, Unsupported, Warning};
use crate::index::{ArchiveId, Index, IndexVec, LazyId, ObjectId, SymbolId};
use crate::input::archive::{self, Archive, Member};
use crate::input::object::Object;
use crate::input::reader;
use crate::input::shared::{self, SharedLibrary};
use crate::input::stub::{self, Stub};
use crate::options::{Input, Options, Role};
use crate::origin::ObjectName;
use crate::parallel;
use crate::resolve::bind::{Binder, Joining, Joins, Offer, Step, Wanted};
use crate::resolve::resolution::{Extraction, JoinedObject};
use crate::resolve::trace::Event;

/// What WebAssembly begins with.
const WASM: &[u8] = b"\0asm";

/// An object that joins when a symbol needs it.
#[derive(Clone, Copy)]
enum Lazy<'a> {
    /// The member of this archive whose header is at this offset.
    Archived(ArchiveId, u64),
    /// An object, or a member of an archive without an index.
    Member(Member<'a>),
    /// It is part of the link already.
    Joined,
}

/// An archive with an index, whose members join one by one.
struct Library<'a> {
    archive: Archive<'a>,
    /// By the offset of its header, a member that the index names.
    members: HashMap<u64, LazyId>,
}

/// The objects of the link while inputs come in.
pub struct Extractor<'a> {
    /// The shared symbols.
    pub binder: Binder<'a>,
    /// What stub libraries say, until [`crate::resolve::stubs`] takes it.
    pub stubs: Vec<(ObjectName<'a>, Vec<Stub<'a>>)>,
    options: &'a Options,
    extracted: Vec<Extraction>,
    warnings: Vec<Warning>,
    joined: Vec<(ObjectId, JoinedObject<'a>)>,
    libraries: Vec<SharedLibrary<'a>>,
    archives: IndexVec<ArchiveId, Library<'a>>,
    lazies: IndexVec<LazyId, Lazy<'a>>,
}

/// The objects of the link, when all inputs are there.
pub struct Joined<'a> {
    /// The shared symbols.
    pub binder: Binder<'a>,
    /// The objects; what one needs of archives comes before it.
    pub objects: IndexVec<ObjectId, JoinedObject<'a>>,
    /// The shared libraries.
    pub libraries: Vec<SharedLibrary<'a>>,
    /// What came from archives, in order.
    pub extracted: Vec<Extraction>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

impl<'a> Extractor<'a> {
    /// No object yet.
    pub fn new(options: &'a Options) -> Self {
        Extractor {
            binder: Binder::new(options),
            extracted: Vec::new(),
            stubs: Vec::new(),
            options,
            warnings: Vec::new(),
            joined: Vec::new(),
            libraries: Vec::new(),
            archives: IndexVec::new(),
            lazies: IndexVec::new(),
        }
    }

    /// Takes the inputs, and what they want of each other.
    ///
    /// # Errors
    ///
    /// If an input is damaged or of a kind that is not linked.
    pub fn take(&mut self, inputs: &[Input<'a>]) -> Result<()> {
        for (input, read) in inputs.iter().zip(read_ahead(inputs)) {
            self.input(input, read)?;
        }
        Ok(())
    }

    /// How many objects have joined.
    pub fn joined_count(&self) -> usize {
        self.joined.len()
    }

    /// Ends it: the objects in the order in which they joined, their ids by that.
    pub fn finish(mut self) -> Joined<'a> {
        let mut new = IndexVec::filled(self.joined.len(), ObjectId::new(0));
        for (position, (old, _)) in self.joined.iter().enumerate() {
            new[*old] = ObjectId::new(position);
        }
        self.binder.renumber(&new);
        for extraction in &mut self.extracted {
            extraction.object = new[extraction.object];
            extraction.wanted_by = extraction.wanted_by.map(|object| new[object]);
        }
        let objects = self.joined.into_iter().map(|(_, object)| object);
        self.warnings.append(&mut self.binder.warnings);
        Joined {
            binder: self.binder,
            objects: objects.collect(),
            libraries: self.libraries,
            extracted: self.extracted,
            warnings: self.warnings,
        }
    }

    fn input(&mut self, input: &Input<'a>, read: Option<Result<Object<'a>>>) -> Result<()> {
        let name = ObjectName::file(input.name);
        if archive::is_archive(input.bytes) {
            return self.archive(input);
        }
        if stub::is_stub_library(input.bytes) {
            self.stubs.push((name, stub::read(name, input.bytes)?));
            return Ok(());
        }
        if !input.bytes.starts_with(WASM) {
            return Err(name.unsupported(match input.bytes {
                [] => Unsupported::Empty,
                _ if reader::is_bitcode(input.bytes) => Unsupported::Bitcode,
                _ => Unsupported::UnknownFile,
            }));
        }
        if shared::is_shared_library(input.bytes) {
            let library = shared::read(name, input.bytes)?;
            for offered in &library.offered {
                self.binder.library(offered, name);
            }
            self.libraries.push(library);
            return Ok(());
        }
        let bytes = input.bytes;
        let member = Member { name, bytes };
        let guest = input.role == Role::Guest;
        match (input.role, read) {
            (_, Some(object)) => self.join(object?, Joins::Itself { guest }),
            (Role::Lazy, None) => self.offer(member),
            (_, None) => self.read_and_join(member, Joins::Itself { guest }),
        }
    }

    fn archive(&mut self, input: &Input<'a>) -> Result<()> {
        let archive = Archive::read(ObjectName::file(input.name), input.bytes)?;
        if input.role == Role::Whole {
            for member in archive.members()? {
                if self.is_linkable(member) {
                    self.read_and_join(member, Joins::Itself { guest: false })?;
                }
            }
            return Ok(());
        }
        let Some(index) = archive.index()? else {
            for member in archive.members()? {
                if self.is_linkable(member) {
                    self.offer(member)?;
                }
            }
            return Ok(());
        };
        let members = HashMap::new();
        let id = self.archives.push(Library { archive, members });
        let mut last = None;
        for entry in index {
            let (name, offset) = entry?;
            // The index lists a member's symbols one after the other.
            let lazy = match last {
                Some((at, lazy)) if at == offset => lazy,
                _ => self.member(id, offset),
            };
            last = Some((offset, lazy));
            match self.binder.offer(name, lazy) {
                Offer::Taken(wanted) => self.extract(wanted)?,
                Offer::Waits if self.options.trace_symbols.contains(name) => {
                    let member = self.archives[id].archive.member(offset)?.name;
                    let event = Event::LazyDefinition;
                    self.binder.trace(self.options, name, member, event);
                }
                Offer::Waits | Offer::Passed => {}
            }
        }
        Ok(())
    }

    /// The member of an archive whose header is at `offset`.
    fn member(&mut self, archive: ArchiveId, offset: u64) -> LazyId {
        let entry = self.archives[archive].members.entry(offset);
        *entry.or_insert_with(|| self.lazies.push(Lazy::Archived(archive, offset)))
    }

    /// Whether a member is for this linker. wasm-ld passes over others, such as
    /// those of another machine, with a warning.
    fn is_linkable(&mut self, member: Member<'a>) -> bool {
        let is_linkable = member.bytes.starts_with(WASM) || reader::is_bitcode(member.bytes);
        if !is_linkable {
            let origin = member.name.into();
            let warning = Warning::ForeignMember { origin };
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        is_linkable
    }

    fn offer(&mut self, member: Member<'a>) -> Result<()> {
        let object = reader::read(member.name, member.bytes)?;
        let lazy = self.lazies.push(Lazy::Member(member));
        for name in object.offered() {
            match self.binder.offer(name, lazy) {
                Offer::Taken(wanted) => self.extract(wanted)?,
                Offer::Waits => {
                    let event = Event::LazyDefinition;
                    self.binder.trace(self.options, name, member.name, event);
                }
                Offer::Passed => {}
            }
        }
        Ok(())
    }

    /// Resolves `name` as if an object referred to it; gives its symbol, if an
    /// input has it.
    ///
    /// # Errors
    ///
    /// If a member is damaged.
    pub fn request(&mut self, name: &str) -> Result<Option<SymbolId>> {
        let Some(id) = self.binder.symbols.find(name) else {
            return Ok(None);
        };
        if let Some(wanted) = self.binder.request(id) {
            self.extract(wanted)?;
        }
        Ok(Some(id))
    }

    /// Lets a wanted member join, and what it needs.
    fn extract(&mut self, wanted: Wanted) -> Result<()> {
        match self.open(wanted)? {
            Some(member) => self.complete(member),
            None => Ok(()),
        }
    }

    fn read_and_join(&mut self, member: Member<'a>, joins: Joins) -> Result<()> {
        let object = reader::read(member.name, member.bytes)?;
        self.join(object, joins)
    }

    fn join(&mut self, object: Object<'a>, joins: Joins) -> Result<()> {
        let joining = self.binder.begin(object, joins);
        self.complete(joining)
    }

    /// Lets an object join. A member that one of its symbols needs joins before
    /// its next symbol is entered: wasi-libc counts on it, where one member's weak
    /// definition makes another superfluous. How deep that goes is up to the
    /// archive, hence no recursion.
    fn complete(&mut self, joining: Joining<'a>) -> Result<()> {
        let mut open = vec![joining];
        while let Some(joining) = open.pop() {
            match self.binder.advance(joining) {
                Step::Joined(id, object) => self.joined.push((id, object)),
                Step::Wants(joining, wanted) => {
                    open.push(joining);
                    open.extend(self.open(wanted)?);
                }
            }
        }
        Ok(())
    }

    /// Opens a wanted member, unless it has joined already.
    fn open(&mut self, wanted: Wanted) -> Result<Option<Joining<'a>>> {
        let mut lazy = wanted.lazy;
        let member = loop {
            let (archive, member) = match self.lazies[lazy] {
                Lazy::Joined => return Ok(None),
                Lazy::Member(member) => break member,
                Lazy::Archived(id, offset) => (id, self.archives[id].archive.member(offset)?),
            };
            if self.is_linkable(member) {
                break member;
            }
            match self.next_offer(wanted.symbol, archive)? {
                Some(next) => lazy = next,
                None => return Ok(None),
            }
        };
        self.lazies[lazy] = Lazy::Joined;
        let object = reader::read(member.name, member.bytes)?;
        let joining = self.binder.begin(object, Joins::Extracted);
        self.extracted.push(Extraction {
            object: joining.id(),
            symbol: wanted.symbol,
            wanted_by: wanted.by,
        });
        Ok(Some(joining))
    }

    /// The member by which an archive after this one, so far, defines a symbol.
    fn next_offer(&mut self, symbol: SymbolId, archive: ArchiveId) -> Result<Option<LazyId>> {
        let name = &self.binder.symbols[symbol].name;
        let later = self.archives.enumerate().filter(|&(id, _)| id > archive);
        let mut found = None;
        'search: for (id, library) in later {
            for entry in library.archive.index()?.into_iter().flatten() {
                let (offered, offset) = entry?;
                if offered == name {
                    found = Some((id, offset));
                    break 'search;
                }
            }
        }
        Ok(found.map(|(id, offset)| self.member(id, offset)))
    }
}

/// Reads many objects at once, where that is worth a second thread. What is
/// wrong with one is said when its turn comes.
fn read_ahead<'a>(inputs: &[Input<'a>]) -> Vec<Option<Result<Object<'a>>>> {
    let is_object = |input: &Input| {
        input.role != Role::Lazy
            && input.bytes.starts_with(WASM)
            && !shared::is_shared_library(input.bytes)
    };
    let objects = inputs.iter().filter(|i| is_object(i));
    if objects.map(|i| i.bytes.len()).sum::<usize>() < parallel::INPUT_BYTES {
        return inputs.iter().map(|_| None).collect();
    }
    let read = |input: &Input<'a>| {
        let object = reader::read(ObjectName::file(input.name), input.bytes);
        if let Ok(object) = &object {
            // Most of an object that is linked for its own sake is live. What is
            // wrong with its relocations is said when they are asked for.
            let _ = object.code_relocations();
        }
        object
    };
    inputs
        .par_iter()
        .map(|input| is_object(input).then(|| read(input)))
        .collect()
}
