//! Takes the inputs in order and decides which objects are part of the link: an
//! object joins at once, an archive's member when it defines a symbol that is
//! undefined by then or later.

use hashbrown::HashMap;
use rayon::prelude::*;

use crate::error::{Result, Unsupported};
use crate::index::{ArchiveId, IndexVec, LazyId, ObjectId};
use crate::input::archive::{self, Archive, Member};
use crate::input::object::Object;
use crate::input::reader;
use crate::input::stub::{self, Stub};
use crate::options::{Input, Options, Role};
use crate::origin::ObjectName;
use crate::parallel;
use crate::resolve::bind::{Binder, Joins};
use crate::resolve::resolution::{Extraction, JoinedObject};
use crate::resolve::trace::Event;

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

/// The objects of the link while inputs come in.
pub struct Extractor<'a> {
    /// The shared symbols.
    pub binder: Binder<'a>,
    /// The objects so far.
    pub objects: IndexVec<ObjectId, JoinedObject<'a>>,
    /// What came from archives, so far.
    pub extracted: Vec<Extraction>,
    /// What stub libraries say, until [`crate::resolve::stubs`] takes it.
    pub stubs: Vec<(ObjectName<'a>, Vec<Stub<'a>>)>,
    options: &'a Options,
    archives: IndexVec<ArchiveId, Archive<'a>>,
    lazies: IndexVec<LazyId, Lazy<'a>>,
}

impl<'a> Extractor<'a> {
    /// No object yet.
    pub fn new(options: &'a Options) -> Self {
        Extractor {
            binder: Binder::new(options),
            objects: IndexVec::new(),
            extracted: Vec::new(),
            stubs: Vec::new(),
            options,
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
            self.extract_wanted()?;
        }
        Ok(())
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
        if !input.bytes.starts_with(b"\0asm") {
            return Err(name.unsupported(match input.bytes {
                [] => Unsupported::Empty,
                _ if reader::is_bitcode(input.bytes) => Unsupported::Bitcode,
                _ => Unsupported::UnknownFile,
            }));
        }
        let bytes = input.bytes;
        let member = Member { name, bytes };
        let guest = input.role == Role::Guest;
        match (input.role, read) {
            (_, Some(object)) => {
                self.join(object?, Joins::Itself { guest });
                Ok(())
            }
            (Role::Lazy, None) => self.offer(member),
            (_, None) => self
                .read_and_join(member, Joins::Itself { guest })
                .map(drop),
        }
    }

    fn archive(&mut self, input: &Input<'a>) -> Result<()> {
        let archive = Archive::read(ObjectName::file(input.name), input.bytes)?;
        if input.role == Role::Whole {
            for member in archive.objects()? {
                self.read_and_join(member, Joins::Itself { guest: false })?;
                self.extract_wanted()?;
            }
            return Ok(());
        }
        let Some(index) = archive.index()? else {
            for member in archive.objects()? {
                self.offer(member)?;
            }
            return Ok(());
        };
        let archive = self.archives.push(archive);
        let mut by_offset: HashMap<u64, LazyId> = HashMap::new();
        let mut last = None;
        for entry in index {
            let (name, offset) = entry?;
            // The index lists a member's symbols one after the other.
            let lazy = match last {
                Some((at, lazy)) if at == offset => lazy,
                _ => *by_offset
                    .entry(offset)
                    .or_insert_with(|| self.lazies.push(Lazy::Archived(archive, offset))),
            };
            last = Some((offset, lazy));
            let waits = self.binder.offer(name, lazy);
            if waits && self.options.trace_symbols.contains(name) {
                let member = self.archives[archive].member(offset)?.name;
                let event = Event::LazyDefinition;
                self.binder.trace(self.options, name, member, event);
            }
        }
        Ok(())
    }

    fn offer(&mut self, member: Member<'a>) -> Result<()> {
        let object = reader::read(member.name, member.bytes)?;
        let lazy = self.lazies.push(Lazy::Member(member));
        for name in object.offered() {
            if self.binder.offer(name, lazy) {
                let event = Event::LazyDefinition;
                self.binder.trace(self.options, name, member.name, event);
            }
        }
        Ok(())
    }

    /// Lets wanted members join. What a member needs comes before what else is
    /// wanted: wasi-libc counts on it, where one member's weak definition makes
    /// another superfluous.
    ///
    /// # Errors
    ///
    /// If a member is damaged.
    pub fn extract_wanted(&mut self) -> Result<()> {
        let mut waiting = std::mem::take(&mut self.binder.wanted);
        waiting.reverse();
        while let Some(wanted) = waiting.pop() {
            if self.binder.symbols[wanted.symbol].is_defined() {
                continue;
            }
            let member = match std::mem::replace(&mut self.lazies[wanted.lazy], Lazy::Joined) {
                Lazy::Joined => continue,
                Lazy::Member(member) => member,
                Lazy::Archived(archive, offset) => self.archives[archive].member(offset)?,
            };
            let object = self.read_and_join(member, Joins::Extracted)?;
            self.extracted.push(Extraction {
                object,
                symbol: wanted.symbol,
                wanted_by: wanted.by,
            });
            waiting.extend(self.binder.wanted.drain(..).rev());
        }
        Ok(())
    }

    fn read_and_join(&mut self, member: Member<'a>, joins: Joins) -> Result<ObjectId> {
        let object = reader::read(member.name, member.bytes)?;
        Ok(self.join(object, joins))
    }

    fn join(&mut self, object: Object<'a>, joins: Joins) -> ObjectId {
        self.objects.push(self.binder.join(object, joins))
    }
}

/// Reads many objects at once, where that is worth a second thread. What is
/// wrong with one is said when its turn comes.
fn read_ahead<'a>(inputs: &[Input<'a>]) -> Vec<Option<Result<Object<'a>>>> {
    let is_object = |input: &Input| input.role != Role::Lazy && input.bytes.starts_with(b"\0asm");
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
