//! Makes the data segments of memory of those of the objects: segments that
//! belong together one after the other, strings merged.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::error::{Damage, Error, MemoryError, Result};
use crate::fold::Folds;
use crate::index::{IndexVec, ObjSegment, ObjectId, OutputSegmentId, Within};
use crate::input::object::{SEGMENT_STRINGS, SEGMENT_TLS, Segment};
use crate::layout::strings::{self, Pieces};
use crate::live::Live;
use crate::options::Options;
use crate::resolve::resolution::{Chunk, Resolution};

/// The segment of thread-local data.
pub const THREAD_LOCAL: &str = ".tdata";
/// The segment of what is zero.
const ZERO: &str = ".bss";

/// Bytes in the module that a loop takes which fills memory, about.
const LOOP: u32 = 48;

/// Addresses are 32 bits wide.
pub const MEMORY_LIMIT: u64 = 1 << 32;

/// A part of a data segment.
#[derive(Debug)]
pub enum Part {
    /// An object's segment, at this offset.
    Segment {
        /// The segment.
        segment: Within<ObjSegment>,
        /// Offset in the output segment.
        offset: u32,
    },
    /// Merged strings, at this offset.
    Strings {
        /// The strings.
        bytes: Vec<u8>,
        /// Offset in the output segment.
        offset: u32,
    },
}

/// A data segment of memory.
#[derive(Debug)]
pub struct OutputSegment<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its size in bytes.
    pub size: u32,
    /// Its alignment, as a power of two.
    pub align: u32,
    /// What it consists of.
    pub parts: Vec<Part>,
    /// All zero: it has no bytes in the module.
    pub is_zero: bool,
    /// `SEGMENT_*` of all parts together.
    pub flags: u32,
}

impl<'a> OutputSegment<'a> {
    fn empty(name: &'a str) -> Self {
        OutputSegment {
            name,
            size: 0,
            align: 0,
            parts: Vec::new(),
            is_zero: name.starts_with(ZERO),
            flags: 0,
        }
    }
}

/// A position in the data.
#[derive(Debug, Clone, Copy)]
pub struct Position {
    /// The output segment.
    pub output: OutputSegmentId,
    /// Offset there.
    pub offset: u32,
}

/// The data segments, without addresses.
#[derive(Debug)]
pub struct Segments<'a> {
    /// In the order in which they came up.
    pub outputs: IndexVec<OutputSegmentId, OutputSegment<'a>>,
    /// Per object and segment, where it went, if it is live.
    pub parts: IndexVec<ObjectId, IndexVec<ObjSegment, Option<Position>>>,
    /// Where the strings went of those that were merged; folded ones share it with
    /// that which is written for them.
    pub merged: HashMap<Within<ObjSegment>, Arc<Pieces>>,
    /// The byte of zero that the linker reserves.
    pub zero_byte: Option<Position>,
    /// Whether what is zero must be filled by a function.
    pub fills_zeros: bool,
}

/// Collects the live segments.
///
/// # Errors
///
/// If they do not fit into memory, or strings do not end.
pub fn collect<'a>(
    resolution: &Resolution<'a>,
    live: &Live<'a>,
    folds: &Folds,
    options: &Options,
) -> Result<Segments<'a>> {
    let mut by_name: HashMap<&'a str, OutputSegmentId> = HashMap::new();
    let mut outputs: IndexVec<OutputSegmentId, OutputSegment> = IndexVec::new();
    let mut inputs: Vec<Vec<Within<ObjSegment>>> = Vec::new();
    for (id, object) in resolution.all_objects() {
        for index in live.reached.objects[id].segments.marked() {
            if folds.is_folded(Chunk::Segment(Within::new(id, index))) {
                continue;
            }
            let segment = &object.segments[index];
            let mut add = |name| {
                inputs.push(Vec::new());
                outputs.push(OutputSegment::empty(name))
            };
            let output = if options.is_relocatable() {
                // The final link may leave out each of them.
                add(segment.name)
            } else {
                let name = output_name(segment.name, segment.flags, options);
                *by_name.entry(name).or_insert_with(|| add(name))
            };
            inputs[crate::index::Index::get(output)].push(Within::new(id, index));
        }
    }
    let mut filler = Filler {
        resolution,
        options,
        parts: resolution
            .all_objects()
            .map(|(_, object)| IndexVec::filled(object.segments.len(), None))
            .collect(),
        merged: HashMap::new(),
    };
    for (output, inputs) in outputs.indices().zip(&mut inputs) {
        // Less padding between them. Segments that a program walks from
        // `__start_NAME` on keep their order.
        if options.lean && matches!(outputs[output].name, ".rodata" | ".data" | ZERO) {
            inputs.sort_by_key(|segment| std::cmp::Reverse(filler.segment(segment).align));
        }
        filler.fill(output, &mut outputs[output], inputs)?;
    }
    for group in folds.groups() {
        for folded in &group.folded {
            if let (Chunk::Segment(folded), Chunk::Segment(leader)) = (folded, group.leader) {
                filler.parts[folded.object][folded.index] =
                    filler.parts[leader.object][leader.index];
                if let Some(pieces) = filler.merged.get(&leader) {
                    filler.merged.insert(*folded, Arc::clone(pieces));
                }
            }
        }
    }
    let zero_byte = live.reached.zero_byte.then(|| zero_byte(&mut outputs));
    let fills_zeros = zeros(&mut outputs, resolution, options);
    Ok(Segments {
        outputs,
        parts: filler.parts,
        merged: filler.merged,
        zero_byte,
        fills_zeros,
    })
}

struct Filler<'p, 'a> {
    resolution: &'p Resolution<'a>,
    options: &'p Options,
    parts: IndexVec<ObjectId, IndexVec<ObjSegment, Option<Position>>>,
    merged: HashMap<Within<ObjSegment>, Arc<Pieces>>,
}

impl<'p, 'a> Filler<'p, 'a> {
    fn segment(&self, segment: &Within<ObjSegment>) -> &'p Segment<'a> {
        &self.resolution.object(segment.object).segments[segment.index]
    }

    /// Whether the segment's strings are merged with others of its flags. Those of
    /// wider characters are aligned, and have null bytes within.
    fn is_merged(&self, segment: &Segment) -> bool {
        self.options.merge_strings
            && !self.options.is_relocatable()
            && segment.flags & SEGMENT_STRINGS != 0
            && segment.align == 0
            && !segment.data.is_empty()
    }

    /// Puts the inputs into an output segment one after the other, merged
    /// strings in the place of the first of them.
    fn fill(
        &mut self,
        id: OutputSegmentId,
        output: &mut OutputSegment<'a>,
        inputs: &[Within<ObjSegment>],
    ) -> Result<()> {
        let mut pools = self.merge(inputs)?;
        let mut size: u64 = 0;
        for &input in inputs {
            let segment = self.segment(&input);
            let offset = if self.is_merged(segment) {
                let flags = segment.flags;
                let Some(pool) = pools.iter_mut().find(|pool| pool.flags == flags) else {
                    continue;
                };
                if let Some(bytes) = pool.bytes.take() {
                    pool.offset = size as u32;
                    size += bytes.len() as u64;
                    let offset = pool.offset;
                    output.parts.push(Part::Strings { bytes, offset });
                }
                self.merged
                    .extend(pool.pieces.next().map(|it| (input, Arc::new(it))));
                output.is_zero = false;
                pool.offset
            } else {
                size = size.next_multiple_of(1 << segment.align);
                output.align = output.align.max(segment.align);
                output.flags |= segment.flags;
                let offset = size as u32;
                output.parts.push(Part::Segment {
                    segment: input,
                    offset,
                });
                let is_zero = self.options.lean && segment.data.iter().all(|&b| b == 0);
                output.is_zero &= is_zero || output.name.starts_with(ZERO);
                size += segment.data.len() as u64;
                offset
            };
            if size >= MEMORY_LIMIT {
                return Err(too_large(size));
            }
            self.parts[input.object][input.index] = Some(Position { output: id, offset });
        }
        output.size = size as u32;
        Ok(())
    }

    /// The strings among `inputs`, those of segments with the same flags together.
    fn merge(&self, inputs: &[Within<ObjSegment>]) -> Result<Vec<Pool>> {
        let mut pools: Vec<(u32, Vec<Within<ObjSegment>>)> = Vec::new();
        for &input in inputs {
            let segment = self.segment(&input);
            if !self.is_merged(segment) {
                continue;
            }
            match pools.iter_mut().find(|(flags, _)| *flags == segment.flags) {
                Some((_, inputs)) => inputs.push(input),
                None => pools.push((segment.flags, vec![input])),
            }
        }
        let merge = |(flags, inputs): (u32, Vec<Within<ObjSegment>>)| {
            let bytes: Vec<&[u8]> = inputs.iter().map(|i| self.segment(i).data).collect();
            let merged = strings::merge(&bytes, true).map_err(|at| {
                let segment = &inputs[at.0];
                let object = self.resolution.object(segment.object);
                object.name.damaged(Damage::StringWithoutEnd {
                    section: self.segment(segment).name.to_owned(),
                    is_segment: true,
                })
            });
            merged.map(|(bytes, pieces)| Pool {
                flags,
                bytes: Some(bytes),
                offset: 0,
                pieces: pieces.into_iter(),
            })
        };
        pools.into_iter().map(merge).collect()
    }
}

/// Merged strings of segments whose flags agree.
struct Pool {
    flags: u32,
    /// Until they have their place.
    bytes: Option<Vec<u8>>,
    /// Where that is in the output segment.
    offset: u32,
    /// Where the strings of each input went, in order.
    pieces: std::vec::IntoIter<Pieces>,
}

/// Reserves a byte of zero.
fn zero_byte(outputs: &mut IndexVec<OutputSegmentId, OutputSegment>) -> Position {
    let found = outputs.enumerate().find(|(_, s)| s.name == ZERO);
    let output = match found.map(|(id, _)| id) {
        Some(id) => id,
        None => outputs.push(OutputSegment::empty(ZERO)),
    };
    let offset = outputs[output].size;
    outputs[output].size += 1;
    Position { output, offset }
}

/// Data that is all zero has no bytes in the module. A memory that the module
/// defines is zero; one that it imports is filled. Without `memory.fill` that
/// takes a loop, which wasm-ld does not know: there the zeros get bytes after all,
/// as few zeros do that are smaller than the loop.
fn zeros(
    outputs: &mut IndexVec<OutputSegmentId, OutputSegment>,
    resolution: &Resolution,
    options: &Options,
) -> bool {
    let has_zeros = outputs.iter().any(|s| s.is_zero && s.size > 0);
    // Symbols lie in segments that are in the file; all data of a module that is
    // placed by a dynamic linker is one segment.
    let is_written = options.keeps_relocations() || options.is_pic();
    if !has_zeros || (options.memory.import.is_none() && !is_written) {
        return false;
    }
    let zeros = outputs.iter().filter(|s| s.is_zero);
    let zeros: u64 = zeros.map(|s| u64::from(s.size)).sum();
    let may_loop = options.lean && !resolution.is_64 && zeros > u64::from(LOOP);
    let may_fill = resolution.features.contains("bulk-memory") || may_loop;
    let can_fill = may_fill && !is_written;
    if !can_fill {
        for output in outputs.iter_mut() {
            output.is_zero = false;
        }
    }
    can_fill
}

/// An error about data that ends after memory does.
pub fn too_large(end: u64) -> crate::error::Errors {
    Error::from(MemoryError::DataTooLarge {
        end,
        limit: MEMORY_LIMIT,
    })
    .into()
}

/// The name of the output segment that takes an object's segment.
fn output_name<'n>(name: &'n str, flags: u32, options: &Options) -> &'n str {
    if flags & SEGMENT_TLS != 0 {
        return THREAD_LOCAL;
    }
    if options.merge_data_segments {
        for prefix in [".text", ".data", ZERO, ".rodata"] {
            let rest = name.strip_prefix(prefix);
            if rest.is_some_and(|rest| rest.starts_with('.')) {
                return prefix;
            }
        }
    }
    name
}

/// The place of an output segment among the others: thread-local, read-only,
/// read-write, others, zero, as wasm-ld has them.
pub fn class(name: &str) -> u8 {
    match name {
        n if n.starts_with(THREAD_LOCAL) => 0,
        n if n.starts_with(".rodata") => 1,
        n if n.starts_with(".data") => 2,
        n if n.starts_with(ZERO) => 4,
        _ => 3,
    }
}
