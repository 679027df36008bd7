//! Custom sections that come from the objects: debug information and what
//! authors put there. Takes the objects, gives each section's size, sections of
//! one name joined, and writes them with their relocations applied.

use hashbrown::HashMap;
use rayon::prelude::*;

use super::error::Result;
use super::live::Live;
use super::object::Object;
use super::options::{Options, Strip};
use super::relocate::{self, Relocator, Site};
use super::strings::{self, Pieces};
use super::symbols::Program;

/// Where a custom section of an object went in the module's.
#[derive(Debug)]
pub enum Moved {
    /// It begins at this offset.
    Whole(u32),
    /// Its strings are merged with others.
    Strings(Pieces),
    /// It is left out.
    Dropped,
}

impl Moved {
    /// The offset in the module's section for one in the object's.
    pub fn offset(&self, offset: u32) -> u32 {
        match self {
            Moved::Whole(start) => start.wrapping_add(offset),
            Moved::Strings(pieces) => pieces.output_offset(offset),
            Moved::Dropped => offset,
        }
    }
}

/// Custom sections of one name.
#[derive(Debug)]
pub struct Section<'a> {
    /// Their name.
    pub name: &'a str,
    /// Object, and index among its custom sections.
    inputs: Vec<(u32, u32)>,
    /// The contents where strings are merged; otherwise the size.
    contents: Contents,
}

#[derive(Debug)]
enum Contents {
    Merged(Vec<u8>),
    Joined(usize),
}

/// Decides what goes where; the second list is for [`Relocator::sections`].
pub fn lay_out<'a>(
    program: &Program<'a>,
    live: &Live,
    options: &Options,
) -> Result<(Vec<Section<'a>>, Vec<Vec<Moved>>)> {
    let mut sections: Vec<Section<'a>> = Vec::new();
    let mut by_name: HashMap<&'a str, usize> = HashMap::new();
    let mut moved: Vec<Vec<Moved>> = Vec::with_capacity(program.objects.len());
    for (number, object) in program.objects.iter().enumerate() {
        let live = live.has_part(number);
        for (index, custom) in object.customs.iter().enumerate() {
            let is_debug = custom.name.starts_with(".debug_");
            // Nothing of the module lies in a dead object, so there is nothing
            // to debug in it.
            let drop = custom.data.is_empty()
                || program.is_discarded(number as u32, custom.comdat)
                || (is_debug
                    && (!live || options.strip != Strip::Nothing)
                    && !(live && options.keep_sections.contains(custom.name)));
            if drop {
                continue;
            }
            let at = *by_name.entry(custom.name).or_insert_with(|| {
                sections.push(Section {
                    name: custom.name,
                    inputs: Vec::new(),
                    contents: Contents::Joined(0),
                });
                sections.len() - 1
            });
            sections[at].inputs.push((number as u32, index as u32));
        }
        moved.push(object.customs.iter().map(|_| Moved::Dropped).collect());
    }
    for section in &mut sections {
        let data = |&(object, index): &(u32, u32)| {
            program.objects[object as usize].customs[index as usize].data
        };
        if options.merge_strings && is_strings(section.name) {
            let inputs: Vec<&[u8]> = section.inputs.iter().map(data).collect();
            let (contents, pieces) = strings::merge(&inputs, false).map_err(|at| {
                let object = &program.objects[section.inputs[at.0].0 as usize];
                object.error(format_args!(
                    "{}: a string without its null byte",
                    section.name
                ))
            })?;
            section.contents = Contents::Merged(contents);
            for (&(object, index), pieces) in section.inputs.iter().zip(pieces) {
                moved[object as usize][index as usize] = Moved::Strings(pieces);
            }
        } else {
            let mut size: usize = 0;
            for input in &section.inputs {
                size = size.next_multiple_of(alignment(section.name));
                moved[input.0 as usize][input.1 as usize] = Moved::Whole(size as u32);
                size += data(input).len();
            }
            section.contents = Contents::Joined(size);
        }
    }
    Ok((sections, moved))
}

/// Debug strings; custom sections have no flag that says so.
fn is_strings(name: &str) -> bool {
    matches!(name, ".debug_str" | ".debug_str.dwo" | ".debug_line_str")
}

/// Coverage maps (`llvm-cov`) want 8 bytes; others are joined as they are.
fn alignment(name: &str) -> usize {
    if matches!(name, "__llvm_covfun" | "__llvm_covmap") {
        8
    } else {
        1
    }
}

/// What stands for the address of code or data that is not in the module.
/// DWARF takes -1 for it, and -2 in lists where -1 means something else.
fn tombstone(name: &str) -> Option<u32> {
    match name {
        ".debug_ranges" | ".debug_loc" => Some(u32::MAX - 1),
        _ if name.starts_with(".debug_") || name.starts_with("llvm.func_attr.") => Some(u32::MAX),
        _ => None,
    }
}

impl Section<'_> {
    /// Bytes of the contents.
    pub fn size(&self) -> usize {
        match &self.contents {
            Contents::Merged(contents) => contents.len(),
            Contents::Joined(size) => *size,
        }
    }

    /// Writes the contents, relocated, into `out`, which is [`Section::size`]
    /// bytes long.
    pub fn write(&self, program: &Program, relocator: &Relocator, out: &mut [u8]) -> Result<()> {
        if let Contents::Merged(contents) = &self.contents {
            out.copy_from_slice(contents);
            return Ok(());
        }
        let parallel = out.len() > 1 << 16;
        let mut slots = Vec::with_capacity(self.inputs.len());
        let mut rest = out;
        let mut done = 0;
        for &(object, index) in &self.inputs {
            let len = program.objects[object as usize].customs[index as usize]
                .data
                .len();
            let start = relocator.sections[object as usize][index as usize].offset(0) as usize;
            let (padding, after) = rest.split_at_mut(start - done);
            padding.fill(0);
            let (slot, after) = after.split_at_mut(len);
            slots.push((object, index, slot));
            done = start + len;
            rest = after;
        }
        let fill = |(object, index, slot): (u32, u32, &mut [u8])| {
            let input = &program.objects[object as usize];
            fill(input, object, index, slot, self.name, relocator)
        };
        if parallel {
            slots.into_par_iter().try_for_each(fill)
        } else {
            slots.into_iter().try_for_each(fill)
        }
    }
}

fn fill(
    object: &Object,
    number: u32,
    index: u32,
    slot: &mut [u8],
    name: &str,
    relocator: &Relocator,
) -> Result<()> {
    let custom = &object.customs[index as usize];
    slot.copy_from_slice(custom.data);
    let Some(entries) = &custom.relocations else {
        return Ok(());
    };
    let site = Site {
        start: 0,
        address: 0,
        tombstone: tombstone(name),
    };
    let values = relocator.values(number);
    object.each_entry(entries, custom.data.len(), name, |relocation| {
        let value = relocator.value(values, &relocation, site);
        relocate::write(&relocation, value, site, slot);
    })
}
