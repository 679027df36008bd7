//! The `reloc.*` sections of what is linked again or taken apart by tools: the
//! objects' relocations where they apply now, of the symbols in `linking`.

use hashbrown::HashMap;
use wasm_encoder::{CustomSection as Encoded, Encode, Section};
use wasmparser::{RelocAddendKind, RelocationType};

use crate::error::Result;
use crate::index::{ObjectId, Within};
use crate::indices::functions::DefinedFunction;
use crate::input::object::Referent;
use crate::input::relocation::Relocation;
use crate::layout::segments::Part;
use crate::output::code::Code;
use crate::output::custom::CustomSection;
use crate::output::data::DataSegment;
use crate::output::linking::SymbolTable;
use crate::output::offsets::{CustomOffset, CustomOffsets};
use crate::output::parts::Parts;

/// The numbers of the module's sections.
#[derive(Debug, Clone, Copy)]
pub struct SectionNumbers {
    /// The code section.
    pub code: u32,
    /// The data section.
    pub data: u32,
    /// The first of the objects' custom sections.
    pub customs: u32,
}

/// Makes the sections.
pub struct Writer<'p, 'a> {
    parts: &'p Parts<'p, 'a>,
    symbols: &'p SymbolTable,
    offsets: &'p CustomOffsets,
    numbers: SectionNumbers,
    customs: &'p [CustomSection<'p>],
    /// Per name of a custom section, the number of its symbol.
    section_symbols: HashMap<&'p str, u32>,
}

impl<'p, 'a> Writer<'p, 'a> {
    /// Knows what goes where; `first` is the number of the first custom section's
    /// symbol.
    pub fn new(
        parts: &'p Parts<'p, 'a>,
        symbols: &'p SymbolTable,
        first: u32,
        (customs, offsets): (&'p [CustomSection<'p>], &'p CustomOffsets),
        numbers: SectionNumbers,
    ) -> Self {
        Writer {
            parts,
            symbols,
            offsets,
            numbers,
            customs,
            section_symbols: customs.iter().map(|it| it.name).zip(first..).collect(),
        }
    }

    /// Appends the relocations of the code.
    ///
    /// # Errors
    ///
    /// If relocations are damaged.
    pub fn code(&self, code: &Code, out: &mut Vec<u8>) -> Result<()> {
        let mut entries = Entries::default();
        for function in &self.parts.indices.functions.defined {
            let DefinedFunction::Object(at) = *function else {
                continue;
            };
            let object = self.parts.resolution.object(at.object);
            let from = object.functions[at.index].start;
            let Some(to) = code.offsets[at.object][at.index] else {
                continue;
            };
            for relocation in object.function_relocations(at.index)? {
                self.add(&mut entries, at.object, relocation, to.wrapping_sub(from));
            }
        }
        entries.append("CODE", self.numbers.code, out);
        Ok(())
    }

    /// Appends the relocations of the data: of its segments, each with the offset
    /// of its bytes in the section's contents.
    ///
    /// # Errors
    ///
    /// If relocations are damaged.
    pub fn data(&self, segments: &[(&DataSegment, u32)], out: &mut Vec<u8>) -> Result<()> {
        let mut entries = Entries::default();
        for (data, start) in segments {
            for placed in data.parts() {
                let Part::Segment { segment, .. } = placed.part else {
                    continue;
                };
                let object = self.parts.resolution.object(segment.object);
                let from = object.segments[segment.index].start;
                let offset = placed.address.0 - data.address().0;
                let shift = (start + offset).wrapping_sub(from);
                for relocation in object.segment_relocations(segment.index)? {
                    self.add(&mut entries, segment.object, relocation, shift);
                }
            }
        }
        entries.append("DATA", self.numbers.data, out);
        Ok(())
    }

    /// Appends the relocations of the custom sections.
    ///
    /// # Errors
    ///
    /// If relocations are damaged.
    pub fn customs(&self, out: &mut Vec<u8>) -> Result<()> {
        for (section, number) in self.customs.iter().zip(self.numbers.customs..) {
            let mut entries = Entries::default();
            for &(at, start) in section.inputs() {
                let object = self.parts.resolution.object(at.object);
                let custom = &object.customs[at.index];
                let Some(relocations) = &custom.relocations else {
                    continue;
                };
                let size = custom.data.len();
                object.each_relocation(relocations, size, section.name, |relocation| {
                    self.add(&mut entries, at.object, &relocation, start as u32);
                    Ok(())
                })?;
            }
            entries.append(section.name, number, out);
        }
        Ok(())
    }

    /// Adds a relocation of an object, `shift` bytes further on, unless it refers
    /// to what is not in the module: its value never changes again.
    fn add(&self, entries: &mut Entries, id: ObjectId, relocation: &Relocation, shift: u32) {
        let resolution = self.parts.resolution;
        let mut addend = relocation.addend;
        let index = if relocation.ty == RelocationType::TypeIndexLeb {
            let ty = resolution.object(id).types[relocation.type_index()];
            self.parts.indices.types.index(ty).map(u32::from)
        } else {
            let symbol = Within::new(id, relocation.symbol());
            match resolution.referent(symbol) {
                Referent::Section(None) => None,
                Referent::Section(Some(custom)) => {
                    let place = &self.offsets[id][custom];
                    addend = place.offset(addend as u32) as i32;
                    let name = resolution.object(id).customs[custom].name;
                    match place {
                        CustomOffset::Dropped => None,
                        _ => self.section_symbols.get(name).copied(),
                    }
                }
                _ => self.symbols.number(self.parts, symbol),
            }
        };
        if let Some(index) = index {
            let offset = relocation.offset.wrapping_add(shift);
            entries.push(relocation.ty, offset, index, addend);
        }
    }
}

/// The entries of a section.
#[derive(Default)]
struct Entries {
    count: u32,
    bytes: Vec<u8>,
}

impl Entries {
    fn push(&mut self, ty: RelocationType, offset: u32, index: u32, addend: i32) {
        self.count += 1;
        self.bytes.push(ty as u8);
        offset.encode(&mut self.bytes);
        index.encode(&mut self.bytes);
        if ty.addend_kind() != RelocAddendKind::None {
            addend.encode(&mut self.bytes);
        }
    }

    /// Appends the section, unless it has no entry, for the section `number`.
    fn append(self, name: &str, number: u32, out: &mut Vec<u8>) {
        if self.count == 0 {
            return;
        }
        let mut data = Vec::with_capacity(self.bytes.len() + 10);
        number.encode(&mut data);
        self.count.encode(&mut data);
        data.extend_from_slice(&self.bytes);
        Encoded {
            name: format!("reloc.{name}").into(),
            data: data.into(),
        }
        .append_to(out);
    }
}
