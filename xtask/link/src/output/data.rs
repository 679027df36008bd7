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
    /// Where the output segment lies.
    base: Address,
    parts: &'p [Part],
    /// Offset of the first byte in the output segment.
    start: u32,
    /// One past the last.
    end: u32,
}

/// The data segments of the module, in the order of their addresses.
pub fn segments<'p>(parts: &Parts<'p, '_>) -> Vec<DataSegment<'p>> {
    let mut segments = Vec::new();
    for (output, base) in parts.layout.segments() {
        let segment = |run: &'p [Part], end| DataSegment {
            output,
            base,
            parts: run,
            start: run.first().map_or(0, |part| extent(parts, part).0),
            end,
        };
        // Symbols are counted from the segments as they are in memory.
        if parts.options.keeps_relocations() {
            segments.push(segment(&output.parts, output.size));
            continue;
        }
        if output.is_zero || output.size == 0 {
            continue;
        }
        let mut from = 0;
        let mut end = 0;
        for (index, part) in output.parts.iter().enumerate() {
            let (offset, len) = extent(parts, part);
            // Thread-local data is copied to where anything may have been before.
            if offset - end > LONGEST_PADDING && output.name != THREAD_LOCAL {
                if from < index {
                    segments.push(segment(&output.parts[from..index], end));
                }
                from = index;
            }
            end = offset + len;
        }
        segments.push(segment(&output.parts[from..], output.size));
    }
    segments
}

/// Offset and size of a part in its output segment.
fn extent(parts: &Parts, part: &Part) -> (u32, u32) {
    match part {
        Part::Strings { bytes, offset } => (*offset, bytes.len() as u32),
        Part::Segment { segment, offset } => {
            let segments = &parts.resolution.object(segment.object).segments;
            (*offset, segments[segment.index].data.len() as u32)
        }
    }
}

impl<'p> DataSegment<'p> {
    /// The name of the output segment.
    pub fn name(&self) -> &'p str {
        self.output.name
    }

    /// Bytes of the data.
    pub fn size(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Offset of its first byte in the output segment.
    pub fn start(&self) -> u32 {
        self.start
    }

    /// What it consists of.
    pub fn parts(&self) -> &'p [Part] {
        self.parts
    }

    /// Where its first byte belongs.
    pub fn address(&self) -> Address {
        self.base.plus(self.start)
    }

    /// Whether each thread has a copy of it.
    pub fn is_thread_local(&self) -> bool {
        self.output.name == THREAD_LOCAL
    }

    /// What comes before the data in the section; a passive segment waits to be
    /// copied by code.
    pub fn head(&self, passive: bool) -> Vec<u8> {
        let mut head = Vec::new();
        if passive {
            1u32.encode(&mut head);
        } else {
            // Active, in memory 0.
            0u32.encode(&mut head);
            ConstExpr::i32_const(self.address().0 as i32).encode(&mut head);
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
        let mut done = self.start;
        for part in self.parts {
            let (offset, len) = extent(parts, part);
            let (_, after) = rest.split_at_mut((offset - done) as usize);
            let (slot, after) = after.split_at_mut(len as usize);
            slots.push((part, slot));
            done = offset + len;
            rest = after;
        }
        let fill = |(part, slot): (&Part, &mut [u8])| self.write_part(parts, relocator, part, slot);
        if parallel {
            slots.into_par_iter().with_min_len(256).try_for_each(fill)
        } else {
            slots.into_iter().try_for_each(fill)
        }
    }

    fn write_part(
        &self,
        parts: &Parts,
        relocator: &Relocator,
        part: &Part,
        slot: &mut [u8],
    ) -> Result<()> {
        match part {
            Part::Strings { bytes, .. } => slot.copy_from_slice(bytes),
            Part::Segment { segment, offset } => {
                let object = parts.resolution.object(segment.object);
                let from = &object.segments[segment.index];
                slot.copy_from_slice(from.data);
                let site = Site {
                    start: from.start,
                    address: self.base.plus(*offset),
                };
                let relocations = object.segment_relocations(segment.index)?;
                relocator.apply(segment.object, relocations, site, slot, "DATA")?;
            }
        }
        Ok(())
    }
}
