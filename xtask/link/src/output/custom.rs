//! Custom sections that come from the objects: debug information and what
//! authors put there. Each section's size first, sections of one name joined;
//! then they are written with their relocations applied.

use hashbrown::HashMap;
use rayon::prelude::*;

use crate::error::{Damage, Result};
use crate::index::{Address, ObjCustom, Within};
use crate::layout::strings;
use crate::live::Live;
use crate::options::{Options, Strip};
use crate::output::offsets::{CustomOffset, CustomOffsets};
use crate::output::relocator::{self, Relocator};
use crate::output::values::Site;
use crate::parallel;
use crate::resolve::resolution::Resolution;

/// Custom sections of one name.
#[derive(Debug)]
pub struct CustomSection<'a> {
    /// Their name.
    pub name: &'a str,
    contents: Contents,
}

#[derive(Debug)]
enum Contents {
    /// Strings.
    Merged(Vec<u8>),
    /// The objects' sections one after the other.
    Joined {
        inputs: Vec<(Within<ObjCustom>, usize)>,
        size: usize,
    },
}

/// Decides what goes where.
///
/// # Errors
///
/// If strings do not end.
pub fn lay_out<'a>(
    resolution: &Resolution<'a>,
    live: &Live,
    options: &Options,
) -> Result<(Vec<CustomSection<'a>>, CustomOffsets)> {
    let dropped = |count: usize| (0..count).map(|_| CustomOffset::Dropped).collect();
    let mut offsets: CustomOffsets = resolution
        .all_objects()
        .map(|(_, object)| dropped(object.customs.len()))
        .collect();
    let mut sections = Vec::new();
    for (name, inputs) in by_name(resolution, live, options) {
        let data = |at: &Within<ObjCustom>| resolution.object(at.object).customs[at.index].data;
        let contents = if options.merge_strings && is_strings(name) {
            let bytes: Vec<&[u8]> = inputs.iter().map(data).collect();
            // It takes time, and saves little.
            let tails = !options.lean;
            let (contents, pieces) = strings::merge(&bytes, tails).map_err(|at| {
                let object = resolution.object(inputs[at.0].object);
                object.name.damaged(Damage::StringWithoutEnd {
                    section: name.to_owned(),
                    is_segment: false,
                })
            })?;
            for (at, pieces) in inputs.iter().zip(pieces) {
                offsets[at.object][at.index] = CustomOffset::Strings(pieces);
            }
            Contents::Merged(contents)
        } else {
            let mut size: usize = 0;
            let mut placed = Vec::with_capacity(inputs.len());
            for at in inputs {
                size = size.next_multiple_of(alignment(name));
                offsets[at.object][at.index] = CustomOffset::Whole(size as u32);
                placed.push((at, size));
                size += data(&at).len();
            }
            Contents::Joined {
                inputs: placed,
                size,
            }
        };
        sections.push(CustomSection { name, contents });
    }
    Ok((sections, offsets))
}

/// The sections that the module keeps, those of one name together, in the order
/// of first mention.
fn by_name<'a>(
    resolution: &Resolution<'a>,
    live: &Live,
    options: &Options,
) -> Vec<(&'a str, Vec<Within<ObjCustom>>)> {
    let mut sections: Vec<(&'a str, Vec<Within<ObjCustom>>)> = Vec::new();
    let mut positions: HashMap<&'a str, usize> = HashMap::new();
    for (id, object) in resolution.all_objects() {
        let is_live = options.is_relocatable() || live.reached.objects[id].has_part();
        for (index, custom) in object.customs.enumerate() {
            let is_debug = custom.name.starts_with(".debug_");
            // Nothing of the module lies in a dead object, so there is nothing
            // to debug in it; wasm-ld keeps that all the same.
            let is_of_use = is_live || !options.lean;
            let drop = custom.data.is_empty()
                || resolution.is_discarded(id, custom.comdat)
                || (is_debug
                    && (!is_of_use || options.strip != Strip::Nothing)
                    && !(is_of_use && options.keep_sections.contains(custom.name)));
            if drop {
                continue;
            }
            let position = *positions.entry(custom.name).or_insert_with(|| {
                sections.push((custom.name, Vec::new()));
                sections.len() - 1
            });
            sections[position].1.push(Within::new(id, index));
        }
    }
    sections
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
fn tombstone(name: &str) -> Option<u64> {
    match name {
        ".debug_ranges" | ".debug_loc" => Some(u64::MAX - 1),
        _ if name.starts_with(".debug_") || name.starts_with("llvm.func_attr.") => Some(u64::MAX),
        _ => None,
    }
}

impl CustomSection<'_> {
    /// The objects' sections and where each begins, unless they are merged: then
    /// they have no relocations.
    pub fn inputs(&self) -> &[(Within<ObjCustom>, usize)] {
        match &self.contents {
            Contents::Merged(_) => &[],
            Contents::Joined { inputs, .. } => inputs,
        }
    }

    /// Bytes of the contents.
    pub fn size(&self) -> usize {
        match &self.contents {
            Contents::Merged(contents) => contents.len(),
            Contents::Joined { size, .. } => *size,
        }
    }

    /// Writes the contents, relocated, into `out`, which is
    /// [`CustomSection::size`] bytes long.
    ///
    /// # Errors
    ///
    /// If relocations are damaged.
    pub fn write(
        &self,
        resolution: &Resolution,
        relocator: &Relocator,
        out: &mut [u8],
    ) -> Result<()> {
        let inputs = match &self.contents {
            Contents::Merged(contents) => {
                out.copy_from_slice(contents);
                return Ok(());
            }
            Contents::Joined { inputs, .. } => inputs,
        };
        let parallel = out.len() > parallel::OUTPUT_BYTES;
        let mut slots = Vec::with_capacity(inputs.len());
        let mut rest = out;
        let mut done = 0;
        for &(at, start) in inputs {
            let len = resolution.object(at.object).customs[at.index].data.len();
            let (padding, after) = rest.split_at_mut(start - done);
            padding.fill(0);
            let (slot, after) = after.split_at_mut(len);
            slots.push((at, slot));
            done = start + len;
            rest = after;
        }
        let fill =
            |(at, slot): (Within<ObjCustom>, &mut [u8])| self.fill(at, slot, resolution, relocator);
        if parallel {
            slots.into_par_iter().try_for_each(fill)
        } else {
            slots.into_iter().try_for_each(fill)
        }
    }

    fn fill(
        &self,
        at: Within<ObjCustom>,
        slot: &mut [u8],
        resolution: &Resolution,
        relocator: &Relocator,
    ) -> Result<()> {
        let object = resolution.object(at.object);
        let custom = &object.customs[at.index];
        slot.copy_from_slice(custom.data);
        let Some(entries) = &custom.relocations else {
            return Ok(());
        };
        let site = Site {
            start: 0,
            address: Address(0),
        };
        let tombstone = tombstone(self.name);
        let of = relocator.values(at.object);
        object.each_relocation(entries, custom.data.len(), self.name, |relocation| {
            let value = relocator.debug_value(at.object, of, &relocation, site, tombstone);
            relocator::write(&relocation, value, site, slot);
            Ok(())
        })
    }
}
