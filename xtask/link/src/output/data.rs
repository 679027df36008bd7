//! The data section: which bytes of memory have bytes in the module, and those
//! bytes, relocated.

use rayon::prelude::*;
use wasm_encoder::{ConstExpr, Encode};

use crate::error::Result;
use crate::index::Address;
use crate::layout::segments::{OutputSegment, Part, THREAD_LOCAL};
use crate::output::parts::Parts;
use crate::output::relocator::Relocator;
use crate::output::values::Site;
use crate::parallel;

/// A gap in the data that is longer than this ends a data segment: the gap has
/// no bytes in the module, however large an alignment made it.
const LONGEST_PADDING: u32 = 64;

/// A data segment of the module: bytes that lie together in memory.
pub struct DataSegment<'p> {
    output: &'p OutputSegment<'p>,
    parts: Vec<PlacedPart<'p>>,
    address: Address,
    size: u32,
}

/// A part of an output segment, and where it lies.
#[derive(Clone, Copy)]
pub struct PlacedPart<'p> {
    /// The part.
    pub part: &'p Part,
    /// The address of its first byte.
    pub address: Address,
    len: u32,
}

/// The data segments of the module, in the order of their addresses.
pub fn segments<'p>(parts: &Parts<'p, '_>) -> Vec<DataSegment<'p>> {
    let all = parts.layout.segments();
    let segments = all.flat_map(|(output, base)| {
        let placed: Vec<PlacedPart> = output
            .parts
            .iter()
            .map(|part| place(parts, part, base))
            .collect();
        let end = base.plus(output.size);
        // Symbols are counted from the segments as they are in memory.
        if parts.options.keeps_relocations() || parts.options.is_pic() {
            return vec![DataSegment::new(output, placed, base, end)];
        }
        if output.is_zero || output.size == 0 {
            return Vec::new();
        }
        match parts.options.lean {
            true => split(output, placed, base, end),
            false => vec![DataSegment::new(output, placed, base, end)],
        }
    });
    match parts.options.is_pic() {
        // One address is all that the dynamic linker tells.
        true => join(segments.collect()).into_iter().collect(),
        false => segments.collect(),
    }
}

/// The stretches of an output segment between gaps that are worth a segment.
fn split<'p>(
    output: &'p OutputSegment<'p>,
    placed: Vec<PlacedPart<'p>>,
    base: Address,
    end: Address,
) -> Vec<DataSegment<'p>> {
    let mut segments = Vec::new();
    let mut run: Vec<PlacedPart> = Vec::new();
    let mut done = base;
    for part in placed {
        // Thread-local data is copied to where anything may have been before.
        let may_split = output.name != THREAD_LOCAL;
        let is_far = may_split && part.address.0 - done.0 > LONGEST_PADDING;
        if is_far && !run.is_empty() {
            let from = run[0].address;
            segments.push(DataSegment::new(
                output,
                std::mem::take(&mut run),
                from,
                done,
            ));
        }
        done = part.address.plus(part.len);
        run.push(part);
    }
    let from = run.first().map_or(base, |part| part.address);
    segments.push(DataSegment::new(output, run, from, end));
    segments
}

/// One segment of all, which follow each other; `None` if all are empty.
fn join(segments: Vec<DataSegment<'_>>) -> Option<DataSegment<'_>> {
    let mut segments = segments.into_iter().filter(|it| it.size > 0);
    let mut joined = segments.next()?;
    for next in segments {
        joined.size = next.address.0 - joined.address.0 + next.size;
        joined.parts.extend(next.parts);
    }
    Some(joined)
}

fn place<'p>(parts: &Parts, part: &'p Part, base: Address) -> PlacedPart<'p> {
    let (offset, len) = match part {
        Part::Strings { bytes, offset } => (*offset, bytes.len() as u32),
        Part::Segment { segment, offset } => {
            let segments = &parts.resolution.object(segment.object).segments;
            (*offset, segments[segment.index].data.len() as u32)
        }
    };
    PlacedPart {
        part,
        address: base.plus(offset),
        len,
    }
}

impl<'p> DataSegment<'p> {
    fn new(
        output: &'p OutputSegment<'p>,
        parts: Vec<PlacedPart<'p>>,
        from: Address,
        to: Address,
    ) -> Self {
        DataSegment {
            output,
            parts,
            address: from,
            size: to.0.wrapping_sub(from.0),
        }
    }

    /// The name of the output segment, the first of them if there are several.
    pub fn name(&self) -> &'p str {
        self.output.name
    }

    /// Bytes of the data.
    pub fn size(&self) -> usize {
        self.size as usize
    }

    /// What it consists of.
    pub fn parts(&self) -> &[PlacedPart<'p>] {
        &self.parts
    }

    /// Where its first byte belongs.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Whether each thread has a copy of it.
    pub fn is_thread_local(&self) -> bool {
        self.output.name == THREAD_LOCAL
    }

    /// What comes before the data in the section; a passive segment waits to be
    /// copied by code, and one that a dynamic linker places follows its base.
    pub fn head(&self, parts: &Parts) -> Vec<u8> {
        let mut head = Vec::new();
        if parts.options.memory.shared {
            1u32.encode(&mut head);
        } else {
            // Active, in memory 0.
            0u32.encode(&mut head);
            match parts.place("__memory_base") {
                Some(base) => ConstExpr::global_get(base.into()),
                None => parts.address(self.address().0),
            }
            .encode(&mut head);
        }
        self.size().encode(&mut head);
        head
    }

    /// Writes the data, relocated, into `bytes`, which are zero.
    ///
    /// # Errors
    ///
    /// If live data needs what is not in the module.
    pub fn write(&self, parts: &Parts, relocator: &Relocator, bytes: &mut [u8]) -> Result<()> {
        let parallel = bytes.len() > parallel::OUTPUT_BYTES;
        let mut slots = Vec::with_capacity(self.parts.len());
        let mut rest = bytes;
        let mut done = self.address;
        for placed in &self.parts {
            let (_, after) = rest.split_at_mut((placed.address.0 - done.0) as usize);
            let (slot, after) = after.split_at_mut(placed.len as usize);
            slots.push((placed, slot));
            done = placed.address.plus(placed.len);
            rest = after;
        }
        let fill = |(placed, slot): (&PlacedPart, &mut [u8])| placed.write(parts, relocator, slot);
        if parallel {
            slots.into_par_iter().with_min_len(256).try_for_each(fill)
        } else {
            slots.into_iter().try_for_each(fill)
        }
    }
}

impl PlacedPart<'_> {
    fn write(&self, parts: &Parts, relocator: &Relocator, slot: &mut [u8]) -> Result<()> {
        match self.part {
            Part::Strings { bytes, .. } => slot.copy_from_slice(bytes),
            Part::Segment { segment, .. } => {
                let object = parts.resolution.object(segment.object);
                let from = &object.segments[segment.index];
                slot.copy_from_slice(from.data);
                let site = Site {
                    start: from.start,
                    address: self.address,
                };
                let relocations = object.segment_relocations(segment.index)?;
                relocator.apply(segment.object, relocations, site, slot, "DATA")?;
            }
        }
        Ok(())
    }
}
