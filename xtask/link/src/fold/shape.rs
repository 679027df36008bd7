//! What tells functions and constants apart, besides those that they refer to:
//! type, bytes, and what relocations write.

use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use rayon::prelude::*;
use wasmparser::RelocationType;

use crate::error::Result;
use crate::fold::constant;
use crate::fold::partition::Lists;
use crate::index::{ObjGlobal, ObjSegment, ObjTable, ObjTag, SymbolId, Within};
use crate::input::object::Referent;
use crate::input::relocation::{self, Relocation};
use crate::live::Live;
use crate::live::mark::GotEntry;
use crate::origin::SymbolKind;
use crate::parallel;
use crate::resolve::resolution::{Chunk, FunctionRef, Resolution, Target};
use crate::signature::Signature;

/// Functions, or constants, that are the same but for what their relocations
/// refer to.
type Twins = Vec<Vec<Chunk>>;

/// What is live and has a twin, with them; groups in no order, their members in
/// that of the inputs.
///
/// # Errors
///
/// If relocations are damaged.
pub fn alike(resolution: &Resolution, live: &Live) -> Result<Twins> {
    let hasher = DefaultHashBuilder::default();
    let chunks = foldable(resolution, live);
    let hash = |&chunk: &Chunk| Ok(hasher.hash_one(Shape::of(resolution, chunk)?));
    let total: usize = resolution.all_objects().map(|(_, o)| o.code.len()).sum();
    let hashes: Vec<u64> = if total > parallel::INPUT_BYTES {
        let chunks = chunks.par_iter().with_min_len(256);
        chunks.map(hash).collect::<Result<_>>()?
    } else {
        chunks.iter().map(hash).collect::<Result<_>>()?
    };
    let mut by_hash: Vec<(u64, u32)> = hashes.into_iter().zip(0..).collect();
    by_hash.sort_unstable();
    let mut twins: Twins = Vec::new();
    for same_hash in by_hash.chunk_by(|one, other| one.0 == other.0) {
        if same_hash.len() == 1 {
            continue;
        }
        // Nearly always they are the same.
        let mut groups: Vec<(Shape, Vec<Chunk>)> = Vec::new();
        for &(_, at) in same_hash {
            let chunk = chunks[at as usize];
            let shape = Shape::of(resolution, chunk)?;
            match groups.iter_mut().find(|(first, _)| *first == shape) {
                Some((_, group)) => group.push(chunk),
                None => groups.push((shape, vec![chunk])),
            }
        }
        let groups = groups.into_iter().map(|(_, group)| group);
        twins.extend(groups.filter(|group| group.len() > 1));
    }
    Ok(twins)
}

/// All that may fold, in the order of the inputs.
fn foldable(resolution: &Resolution, live: &Live) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    for (id, reached) in live.reached.objects.enumerate() {
        let functions = reached.functions.marked();
        chunks.extend(functions.map(|function| Chunk::Function(Within::new(id, function))));
        if reached.segments.as_slice().contains(&true) {
            let constants = constant::constants(resolution.object(id));
            let segments = reached.segments.marked();
            let segments = segments.filter(|&segment| constants[segment]);
            chunks.extend(segments.map(|segment| Chunk::Segment(Within::new(id, segment))));
        }
    }
    chunks
}

/// What is never the same where it differs.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Kind<'p> {
    Function(Signature<'p>),
    /// Data of this alignment and these flags: strings may be taken apart and merged
    /// with others, what only looks like them may not.
    Constant(u32, u32),
}

/// A function or a constant without what its relocations refer to.
#[derive(Debug)]
struct Shape<'p> {
    kind: Kind<'p>,
    bytes: &'p [u8],
    /// Where the bytes begin in their section.
    start: u32,
    relocations: &'p [Relocation],
}

impl<'p> Shape<'p> {
    fn of(resolution: &'p Resolution, chunk: Chunk) -> Result<Self> {
        let object = resolution.object(chunk.object());
        let (kind, bytes, start) = match chunk {
            Chunk::Function(Within { index, .. }) => (
                Kind::Function(object.function_type(index)),
                object.body(index),
                object.functions[index].start,
            ),
            Chunk::Segment(Within { index, .. }) => {
                let segment = &object.segments[index];
                let kind = Kind::Constant(segment.align, segment.flags);
                (kind, segment.data, segment.start)
            }
        };
        Ok(Shape {
            kind,
            bytes,
            start,
            relocations: resolution.relocations(chunk)?,
        })
    }

    /// The bytes between relocations, and the type of that which follows.
    fn pieces(&self) -> impl Iterator<Item = (&'p [u8], Option<RelocationType>)> {
        let (bytes, start) = (self.bytes, self.start as usize);
        let ends = self.relocations.iter().map(move |it| it.end() - start);
        let starts = std::iter::once(0).chain(ends);
        let stops = self.relocations.iter();
        let stops = stops.map(move |it| (it.offset as usize - start, Some(it.ty)));
        let stops = stops.chain([(bytes.len(), None)]);
        starts
            .zip(stops)
            .map(move |(from, (to, ty))| (&bytes[from..to], ty))
    }
}

impl PartialEq for Shape<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.bytes.len() == other.bytes.len()
            && self.relocations.len() == other.relocations.len()
            && match self.relocations {
                [] => self.bytes == other.bytes,
                _ => self.pieces().eq(other.pieces()),
            }
    }
}

impl Hash for Shape<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
        self.bytes.len().hash(state);
        match self.relocations {
            [] => state.write(self.bytes),
            _ => self.pieces().for_each(|(bytes, _)| state.write(bytes)),
        }
    }
}

/// What a relocation writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Written<'p> {
    /// The index of a type.
    Type(Signature<'p>),
    /// What stands for a byte of a function or constant that has a twin: one of
    /// the references.
    Twin(u32),
    /// The index of another function.
    Function(FunctionRef),
    /// The slot of a function: each has its own.
    Slot(FunctionRef),
    /// The address of a byte in a data segment.
    Data(Within<ObjSegment>, u32),
    /// An address that is no segment's.
    Absolute(u32),
    /// The index of a global with an address.
    Got(GotEntry),
    Global(Within<ObjGlobal>),
    Tag(Within<ObjTag>),
    Table(Within<ObjTable>),
    /// What no object defines, and an addend.
    Shared(SymbolId, i32),
    /// Nothing that another's could be the same as.
    Unique(Chunk),
}

impl Written<'_> {
    /// The function, or the byte of a constant, that is written.
    fn chunk(self) -> Option<(Chunk, u32)> {
        match self {
            Written::Function(FunctionRef::Object(function)) => {
                Some((Chunk::Function(function), 0))
            }
            Written::Data(segment, offset) => Some((Chunk::Segment(segment), offset)),
            _ => None,
        }
    }
}

/// The class of each, numbered through all `twins`, and what it refers to of
/// those: what is of one class writes the same, but for that.
///
/// # Errors
///
/// If relocations are damaged.
pub fn split(
    resolution: &Resolution,
    twins: &Twins,
    positions: &HashMap<Chunk, u32>,
) -> Result<(Vec<u32>, Lists)> {
    let hasher = DefaultHashBuilder::default();
    let mut classes: Vec<u32> = Vec::with_capacity(positions.len());
    let mut references = Lists::default();
    let mut count = 0;
    let mut written: Vec<Written> = Vec::new();
    let mut known: HashTable<(usize, u32)> = HashTable::new();
    for group in twins {
        written.clear();
        known.clear();
        for &chunk in group {
            let start = written.len();
            for relocation in resolution.relocations(chunk)? {
                let what = written_by(resolution, chunk, relocation);
                let twin = what.chunk().and_then(|(chunk, offset)| {
                    references.items.push(*positions.get(&chunk)?);
                    Some(Written::Twin(offset))
                });
                written.push(twin.unwrap_or(what));
            }
            references.end();
            // Twins have as many relocations, each.
            let (before, this) = written.split_at(start);
            let of = |at: usize| before.get(at..at + this.len()).unwrap_or(this);
            let hash = hasher.hash_one(this);
            let entry = known.entry(
                hash,
                |&(at, _)| of(at) == this,
                |&(at, _)| hasher.hash_one(of(at)),
            );
            let (_, class) = *entry
                .or_insert_with(|| {
                    count += 1;
                    (start, count - 1)
                })
                .get();
            classes.push(class);
        }
    }
    Ok((classes, references))
}

fn written_by<'p>(
    resolution: &'p Resolution,
    chunk: Chunk,
    relocation: &Relocation,
) -> Written<'p> {
    use RelocationType::*;
    let id = chunk.object();
    if relocation.ty == TypeIndexLeb {
        return Written::Type(resolution.object(id).types[relocation.type_index()]);
    }
    let symbol = Within::new(id, relocation.symbol());
    let target = resolution.target(symbol);
    let is_address = relocation::is_slot(relocation.ty);
    match (relocation.ty, resolution.target_function(target)) {
        (GlobalIndexLeb | GlobalIndexI32, _) if resolution.is_got_entry(target) => {
            return Written::Got(GotEntry::of(target));
        }
        (_, Some(called)) if is_address => return Written::Slot(called),
        (FunctionIndexLeb | FunctionIndexI32, Some(called)) => return Written::Function(called),
        // The distance from the place itself.
        (MemoryAddrLocrelI32, _) => return Written::Unique(chunk),
        _ => {}
    }
    let at = match target {
        Target::Shared(id, _) => return Written::Shared(id, relocation.addend),
        Target::Object(at) => at,
    };
    let addend = relocation.addend as u32;
    match (resolution.object_symbol(at).kind, resolution.referent(at)) {
        (
            SymbolKind::Data,
            Referent::Data {
                segment, offset, ..
            },
        ) => Written::Data(Within::new(at.object, segment), offset.wrapping_add(addend)),
        (SymbolKind::Data, Referent::Absolute(address)) => {
            Written::Absolute(address.wrapping_add(addend))
        }
        (SymbolKind::Global, Referent::Global(global)) => {
            Written::Global(Within::new(at.object, global))
        }
        (SymbolKind::Tag, Referent::Tag(tag)) => Written::Tag(Within::new(at.object, tag)),
        (SymbolKind::Table, Referent::Table(table)) => {
            Written::Table(Within::new(at.object, table))
        }
        _ => Written::Unique(chunk),
    }
}
