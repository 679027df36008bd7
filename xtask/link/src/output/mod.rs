//! Phase 9: output. Takes what all phases before made; gives the module's bytes,
//! section by section: sizes first, then the bytes into the slot that each has,
//! many at once.

mod build_id;
mod code;
mod custom;
mod data;
mod dynamic;
mod exports;
mod linking;
mod names;
mod offsets;
pub mod parts;
mod producers;
mod relocations;
mod relocator;
mod sections;
mod subsections;
mod synthetic;
mod validate;
mod values;

use wasm_encoder::{DataCountSection, Encode, Section, SectionId};

use crate::error::{Error, Result};
use crate::input::relocation::Encoding;
use crate::output::code::Code;
use crate::output::custom::CustomSection;
use crate::output::data::DataSegment;
use crate::output::linking::SymbolTable;
use crate::output::offsets::CustomOffsets;
use crate::output::parts::Parts;
use crate::output::relocations::SectionNumbers;
use crate::output::relocator::Relocator;
use crate::output::values::Values;

pub use crate::output::code::Extent;

/// Where the module goes: asked once, when its size is known.
pub trait Output {
    /// Space for `len` bytes, all zero.
    ///
    /// # Errors
    ///
    /// If there is none.
    fn space(&mut self, len: usize) -> std::io::Result<&mut [u8]>;
}

impl Output for Vec<u8> {
    fn space(&mut self, len: usize) -> std::io::Result<&mut [u8]> {
        self.clear();
        self.resize(len, 0);
        Ok(self)
    }
}

/// A stretch of the module.
enum Stretch<'p> {
    Bytes(Vec<u8>),
    Code(&'p Code<'p>),
    Data(DataSegment<'p>),
    Custom(&'p CustomSection<'p>),
}

impl Stretch<'_> {
    fn size(&self) -> usize {
        match self {
            Stretch::Bytes(bytes) => bytes.len(),
            Stretch::Code(code) => code.size,
            Stretch::Data(segment) => segment.size(),
            Stretch::Custom(section) => section.size(),
        }
    }
}

/// Writes the module to `output`; gives where each function is in the code
/// section's contents.
///
/// # Errors
///
/// If two exports have one name, a relocation is damaged or needs what is not in
/// the module, there is no space, or the module is to be validated and is not valid.
pub fn write(parts: &Parts, output: &mut dyn Output) -> Result<Vec<Extent>> {
    let values = Values::new(parts.resolution, parts.layout, parts.indices);
    let code = code::plan(parts, &values)?;
    let (customs, offsets) = custom::lay_out(parts.resolution, parts.live, parts.options)?;
    let relocator = Relocator::new(parts.resolution, &values, &code.offsets, &offsets);
    let stretches = stretches(parts, &values, &code, (&customs, &offsets))?;

    let size: usize = stretches.iter().map(Stretch::size).sum();
    let build_id = build_id::size(&parts.options.build_id);
    let space = output.space(size + build_id);
    let whole = space.map_err(|source| Error::Output { size, source })?;
    let mut rest = &mut whole[..size];
    for stretch in &stretches {
        let (here, after) = rest.split_at_mut(stretch.size());
        match stretch {
            Stretch::Bytes(bytes) => here.copy_from_slice(bytes),
            Stretch::Code(code) => code.write(&relocator, here)?,
            Stretch::Data(segment) => segment.write(parts, &relocator, here)?,
            Stretch::Custom(section) => section.write(parts.resolution, &relocator, here)?,
        }
        rest = after;
    }
    build_id::write(&parts.options.build_id, whole);
    if parts.options.validate {
        validate::validate(parts, &code, whole)?;
    }
    Ok(code.extents)
}

/// All sections in their order, those that are large not written yet.
fn stretches<'p>(
    parts: &Parts<'p, 'p>,
    values: &Values,
    code: &'p Code<'p>,
    (customs, offsets): (&'p [CustomSection<'p>], &CustomOffsets),
) -> Result<Vec<Stretch<'p>>> {
    let mut stretches = Vec::new();
    let mut out = wasm_encoder::Module::HEADER.to_vec();
    dynamic::section(parts, &mut out);
    sections::types(parts, &mut out);
    sections::imports(parts, &mut out)?;
    sections::functions(parts, &mut out);
    sections::tables(parts, &mut out)?;
    sections::memory(parts, &mut out);
    sections::tags(parts, &mut out);
    sections::globals(parts, &mut out)?;
    exports::section(parts, &mut out)?;
    sections::start(parts, &mut out);
    sections::elements(parts, &mut out);
    let segments = data::segments(parts);
    let passive = parts.options.memory.shared;
    if passive && !segments.is_empty() {
        // Code that names data segments comes before them.
        let count = segments.len() as u32;
        DataCountSection { count }.append_to(&mut out);
    }
    let relocations = match parts.options.keeps_relocations() {
        true => linking_sections(parts, values, code, (customs, offsets), &segments, &out)?,
        false => Vec::new(),
    };
    if !parts.indices.functions.defined.is_empty() {
        out.push(SectionId::Code.into());
        code.size.encode(&mut out);
        stretches.push(Stretch::Bytes(std::mem::take(&mut out)));
        stretches.push(Stretch::Code(code));
    }
    let segment_names: Vec<&str> = segments.iter().map(DataSegment::name).collect();
    data_section(parts, segments, &mut out, &mut stretches);
    for section in customs {
        out.push(SectionId::Custom.into());
        let mut name = Vec::new();
        section.name.encode(&mut name);
        (name.len() + section.size()).encode(&mut out);
        out.append(&mut name);
        stretches.push(Stretch::Bytes(std::mem::take(&mut out)));
        stretches.push(Stretch::Custom(section));
    }
    out.extend(relocations);
    names::section(parts, &segment_names, &mut out);
    producers::producers(parts, &mut out);
    producers::target_features(parts, &mut out);
    stretches.push(Stretch::Bytes(out));
    Ok(stretches)
}

/// The sections `linking` and `reloc.*`; `before` is the module up to its code.
fn linking_sections<'p>(
    parts: &Parts<'p, 'p>,
    values: &Values,
    code: &Code,
    customs: (&[CustomSection], &CustomOffsets),
    segments: &[DataSegment],
    before: &[u8],
) -> Result<Vec<u8>> {
    let code_number = section_count(before);
    let has_code = !parts.indices.functions.defined.is_empty();
    let data_number = code_number + u32::from(has_code);
    let numbers = SectionNumbers {
        code: code_number,
        data: data_number,
        customs: data_number + u32::from(!segments.is_empty()),
    };
    let mut symbols = SymbolTable::new(parts, values);
    let first_symbol = symbols.add_sections(numbers.customs, customs.0.len());
    let mut out = Vec::new();
    linking::section(parts, &symbols, &mut out);
    let writer = relocations::Writer::new(parts, &symbols, first_symbol, customs, numbers);
    writer.code(code, &mut out)?;
    writer.data(&placed(parts, segments), &mut out)?;
    writer.customs(&mut out)?;
    Ok(out)
}

/// How many sections a module has, all of them whole.
fn section_count(module: &[u8]) -> u32 {
    let parser = wasmparser::Parser::new(0).parse_all(module);
    let sections = parser.flatten().filter(|it| it.as_section().is_some());
    sections.count() as u32
}

/// The data segments, each with where its bytes begin in the section's contents.
fn placed<'s, 'p>(
    parts: &Parts,
    segments: &'s [DataSegment<'p>],
) -> Vec<(&'s DataSegment<'p>, u32)> {
    let mut at = Encoding::Unsigned.shortest_len(segments.len() as u64);
    let place = |segment: &'s DataSegment<'p>| {
        let start = at + head(parts, segment).len();
        at = start + segment.size();
        (segment, start as u32)
    };
    segments.iter().map(place).collect()
}

/// What comes before a segment's bytes.
fn head(parts: &Parts, segment: &DataSegment) -> Vec<u8> {
    segment.head(parts)
}

fn data_section<'p>(
    parts: &Parts,
    segments: Vec<DataSegment<'p>>,
    out: &mut Vec<u8>,
    stretches: &mut Vec<Stretch<'p>>,
) {
    if segments.is_empty() {
        return;
    }
    let heads: Vec<Vec<u8>> = segments.iter().map(|s| head(parts, s)).collect();
    let mut count = Vec::new();
    segments.len().encode(&mut count);
    let bytes: usize = segments.iter().map(DataSegment::size).sum();
    let size = count.len() + heads.iter().map(Vec::len).sum::<usize>() + bytes;
    out.push(SectionId::Data.into());
    size.encode(out);
    out.append(&mut count);
    for (mut head, segment) in heads.into_iter().zip(segments) {
        out.append(&mut head);
        stretches.push(Stretch::Bytes(std::mem::take(out)));
        stretches.push(Stretch::Data(segment));
    }
}
