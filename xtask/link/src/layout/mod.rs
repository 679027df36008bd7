//! Phase 6: memory layout. Takes what is live; gives every byte of data its
//! address, and the memory its size.

pub mod memory;
pub mod segments;
pub mod strings;

use crate::error::{Error, Errors, Result, UndefinedReason, UndefinedSymbol};
use crate::fold::Folds;
use crate::index::{Address, IndexVec, ObjSegment, OutputSegmentId, TableSlot, Within};
use crate::input::object::Referent;
use crate::layout::memory::{Memory, Placement};
use crate::layout::segments::{OutputSegment, Position, Segments};
use crate::live::Live;
use crate::options::Options;
use crate::resolve::resolution::{Resolution, Target};
use crate::symbols::{Definition, LinkerAddress};

/// What lies where in memory.
#[derive(Debug)]
pub struct Layout<'a> {
    segments: Segments<'a>,
    addresses: IndexVec<OutputSegmentId, Address>,
    order: Vec<OutputSegmentId>,
    /// Where each is in `order`.
    numbers: IndexVec<OutputSegmentId, u32>,
    /// The memory and its parts.
    pub memory: Memory,
    /// The table slot of the first function.
    pub table_base: TableSlot,
}

/// Lays out what is live.
///
/// # Errors
///
/// If the data does not fit into memory, or an option about it is impossible.
pub fn lay_out<'a>(
    resolution: &Resolution<'a>,
    live: &Live<'a>,
    folds: &Folds,
    options: &Options,
) -> Result<Layout<'a>> {
    let segments = segments::collect(resolution, live, folds, options)?;
    let Placement {
        addresses,
        order,
        memory,
    } = memory::place(resolution, live, options, &segments)?;
    let mut numbers = IndexVec::filled(order.len(), 0);
    for (number, &id) in order.iter().enumerate() {
        numbers[id] = number as u32;
    }
    let layout = Layout {
        segments,
        numbers,
        addresses,
        order,
        memory,
        // 0 is the null pointer, unless a dynamic linker has the table.
        table_base: TableSlot(options.table.base.unwrap_or(!options.is_pic() as u32)),
    };
    layout.check_bounds(resolution, live)?;
    Ok(layout)
}

impl<'a> Layout<'a> {
    /// The data segments in the order of their addresses, and those.
    pub fn segments(&self) -> impl Iterator<Item = (&OutputSegment<'a>, Address)> {
        let order = self.order.iter();
        order.map(|&id| (&self.segments.outputs[id], self.addresses[id]))
    }

    /// Whether a function must fill what is zero: memory comes from elsewhere.
    pub fn fills_zeros(&self) -> bool {
        self.segments.fills_zeros
    }

    /// Whether there is thread-local data.
    pub fn has_thread_local(&self) -> bool {
        self.find(segments::THREAD_LOCAL).is_some()
    }

    fn find(&self, name: &str) -> Option<OutputSegmentId> {
        let mut outputs = self.segments.outputs.enumerate();
        outputs.find(|(_, s)| s.name == name).map(|(id, _)| id)
    }

    /// Where `offset` in an object's segment is among the data segments, if that
    /// is live.
    fn position(&self, segment: Within<ObjSegment>, offset: u32) -> Option<Position> {
        let part = self.segments.parts[segment.object][segment.index]?;
        let offset = match self.segments.merged.get(&segment) {
            Some(pieces) => pieces.output_offset(offset),
            None => offset,
        };
        Some(Position {
            output: part.output,
            offset: part.offset.wrapping_add(offset),
        })
    }

    /// Address of `offset` in an object's segment, if that is live.
    pub fn segment_address(&self, segment: Within<ObjSegment>, offset: u32) -> Option<Address> {
        let at = self.position(segment, offset)?;
        Some(self.addresses[at.output].plus(at.offset))
    }

    /// For `offset` in an object's segment, if that is live: which of
    /// [`Layout::segments`] has it, and the offset there.
    pub fn within_segments(&self, segment: Within<ObjSegment>, offset: u32) -> Option<(u32, u32)> {
        let at = self.position(segment, offset)?;
        Some((self.numbers[at.output], at.offset))
    }

    /// The address of a data symbol that the linker defines.
    fn linker_address(&self, address: &LinkerAddress) -> Option<Address> {
        let memory = &self.memory;
        Some(match address {
            LinkerAddress::StackLow => memory.stack_low,
            LinkerAddress::StackHigh => memory.stack_high,
            LinkerAddress::GlobalBase => memory.global_base,
            LinkerAddress::DataEnd => memory.data_end,
            LinkerAddress::HeapBase => memory.heap_base,
            // A memory of 4 GiB ends where 32 bits do.
            LinkerAddress::HeapEnd => Address(u32::try_from(memory.end).unwrap_or(u32::MAX)),
            LinkerAddress::TableBase => Address(self.table_base.0),
            LinkerAddress::ZeroByte => {
                let part = self.segments.zero_byte?;
                self.addresses[part.output].plus(part.offset)
            }
            LinkerAddress::PageSize => Address(memory.page_size as u32),
            LinkerAddress::Absolute(address) => Address(*address),
            LinkerAddress::SegmentStart(name) => self.addresses[self.find(name)?],
            LinkerAddress::SegmentStop(name) => {
                let id = self.find(name)?;
                self.addresses[id].plus(self.segments.outputs[id].size)
            }
        })
    }

    /// The address of an object's data symbol or a shared one, if it is live.
    pub fn symbol_address(&self, resolution: &Resolution, target: Target) -> Option<Address> {
        match target {
            Target::Object(symbol) => match resolution.referent(symbol) {
                Referent::Absolute(address) => Some(Address(address)),
                Referent::Data {
                    segment, offset, ..
                } => self.segment_address(Within::new(symbol.object, segment), offset),
                _ => None,
            },
            Target::Shared(_, Definition::Address(address)) => self.linker_address(address),
            Target::Shared(..) => None,
        }
    }

    /// A segment that `__start_NAME` or `__stop_NAME` names must be there.
    fn check_bounds(&self, resolution: &Resolution<'a>, live: &Live<'a>) -> Result<()> {
        let mut errors = Vec::new();
        for &id in &live.reached.bounds {
            let symbol = &resolution.symbols[id];
            let target = resolution.shared_target(id);
            if symbol.is_weak() || self.symbol_address(resolution, target).is_some() {
                continue;
            }
            let user = symbol.wanted_by;
            errors.push(Error::Undefined(UndefinedSymbol {
                symbol: symbol.name.to_string(),
                kind: symbol.kind,
                used_by: user.map(|user| resolution.object(user).name.into()),
                reason: UndefinedReason::NoSegment,
            }));
        }
        Errors::check(errors)
    }
}
