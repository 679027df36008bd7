//! The code section: the size of every function's body and where it begins, then
//! the bodies with their relocations applied.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::error::Result;
use crate::index::{Address, IndexVec, ObjFunction, ObjectId, Within};
use crate::indices::functions::DefinedFunction;
use crate::input::relocation::{self, Encoding, Relocation};
use crate::output::offsets::FunctionOffsets;
use crate::output::parts::Parts;
use crate::output::relocator::Relocator;
use crate::output::synthetic;
use crate::output::values::{Site, Values};
use crate::parallel;
use crate::resolve::resolution::Resolution;

/// A function of the module, ready to be written.
struct PlannedFunction<'p> {
    relocations: &'p [Relocation],
    /// Of an object's function: which.
    of: Option<Within<ObjFunction>>,
    bytes: Cow<'p, [u8]>,
    /// Bytes of the body in the module, its size not counted.
    size: u32,
}

/// A stretch of bytes in a section's contents.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Its first byte.
    pub offset: u32,
    /// How many there are.
    pub size: u32,
}

/// The code section, ready to be written.
pub struct Code<'p> {
    functions: Vec<PlannedFunction<'p>>,
    /// Bytes of its contents, from the number of functions on.
    pub size: usize,
    /// Where bodies begin, for debug information.
    pub offsets: FunctionOffsets,
    /// Per function of the module, its size's and its body's bytes.
    pub extents: Vec<Extent>,
    parallel: bool,
    compress: bool,
}

/// Decides where every function goes.
///
/// # Errors
///
/// If live code needs what is not in the module.
pub fn plan<'p>(parts: &Parts<'p, '_>, values: &Values) -> Result<Code<'p>> {
    let Parts {
        resolution,
        indices,
        options,
        ..
    } = *parts;
    let compress = options.compress_relocations;
    let prepare = |function: &DefinedFunction| -> Result<PlannedFunction<'p>> {
        match *function {
            DefinedFunction::Object(at) => {
                let object = resolution.object(at.object);
                let relocations = object.function_relocations(at.index)?;
                let bytes = object.body(at.index);
                let saved = match compress {
                    true => saved(at.object, relocations, values)?,
                    false => 0,
                };
                Ok(PlannedFunction {
                    relocations,
                    of: Some(at),
                    bytes: bytes.into(),
                    size: (bytes.len() - saved) as u32,
                })
            }
            DefinedFunction::Synthetic(added) => {
                let bytes = synthetic::body(parts, added)?;
                Ok(PlannedFunction {
                    relocations: &[],
                    of: None,
                    size: bytes.len() as u32,
                    bytes: bytes.into(),
                })
            }
        }
    };
    let total: usize = resolution.all_objects().map(|(_, o)| o.code.len()).sum();
    let parallel = total > parallel::INPUT_BYTES;
    let defined = &indices.functions.defined;
    let functions: Vec<PlannedFunction> = if parallel {
        let defined = defined.par_iter().with_min_len(64);
        defined.map(prepare).collect::<Result<_>>()?
    } else {
        defined.iter().map(prepare).collect::<Result<_>>()?
    };

    let mut at = Encoding::Unsigned.shortest_len(functions.len() as u64);
    let mut extents = Vec::with_capacity(functions.len());
    let mut offsets: FunctionOffsets = resolution
        .all_objects()
        .map(|(_, object)| IndexVec::filled(object.functions.len(), None))
        .collect();
    for function in &functions {
        let prefix = Encoding::Unsigned.shortest_len(function.size.into());
        let start = at + prefix;
        extents.push(Extent {
            offset: at as u32,
            size: prefix as u32 + function.size,
        });
        if let Some(f) = function.of {
            offsets[f.object][f.index] = Some(start as u32);
        }
        at = start + function.size as usize;
    }
    Ok(Code {
        functions,
        size: at,
        offsets,
        extents,
        parallel,
        compress,
    })
}

/// Bytes that the shortest encodings save.
fn saved(id: ObjectId, relocations: &[Relocation], values: &Values) -> Result<usize> {
    let of = values.of(id);
    let mut saved = 0;
    for relocation in relocations {
        let encoding = relocation::encoding(relocation.ty);
        if encoding.is_fixed() {
            continue;
        }
        let value = values.value(id, of, relocation, CODE);
        let value = value.ok_or_else(|| values.absent(id, relocation, "CODE"))?;
        saved += relocation.ty.extent() - encoding.shortest_len(value);
    }
    Ok(saved)
}

/// Code has no address; where it begins does not matter to what it refers to.
const CODE: Site = Site {
    start: 0,
    address: Address(0),
};

impl Code<'_> {
    /// The object's function that the module's function `number` is, and how far into
    /// its body there `offset` bytes into its body in the module, `body`, are. `None`
    /// for one of the linker's.
    pub fn origin(
        &self,
        resolution: &Resolution,
        number: usize,
        body: &[u8],
        offset: usize,
    ) -> Option<(Within<ObjFunction>, usize)> {
        let function = &self.functions[number];
        let of = function.of?;
        let start = resolution.object(of.object).functions[of.index].start;
        // What shorter encodings saved before it.
        let mut saved = 0;
        for relocation in function.relocations {
            let at = (relocation.offset - start) as usize - saved;
            if at >= offset {
                break;
            }
            if !relocation::encoding(relocation.ty).is_fixed() {
                let is_last = |byte: &u8| byte & 0x80 == 0;
                let len = body[at..].iter().position(is_last).map_or(0, |it| it + 1);
                saved += relocation.ty.extent().saturating_sub(len);
            }
        }
        Some((of, offset + saved))
    }

    /// Writes the contents into `out`, which is [`Code::size`] bytes long.
    ///
    /// # Errors
    ///
    /// If live code needs what is not in the module.
    pub fn write(&self, relocator: &Relocator, out: &mut [u8]) -> Result<()> {
        let mut count = Vec::with_capacity(5);
        Encoding::Unsigned.write_shortest(self.functions.len() as u64, &mut count);
        let (head, mut rest) = out.split_at_mut(count.len());
        head.copy_from_slice(&count);
        let mut slots = Vec::with_capacity(self.functions.len());
        for (function, extent) in self.functions.iter().zip(&self.extents) {
            let (slot, after) = rest.split_at_mut(extent.size as usize);
            slots.push((function, slot));
            rest = after;
        }
        let fill = |(function, slot): (&PlannedFunction, &mut [u8])| {
            function.write(slot, relocator, self.compress)
        };
        if self.parallel {
            slots.into_par_iter().with_min_len(64).try_for_each(fill)
        } else {
            slots.into_iter().try_for_each(fill)
        }
    }
}

impl PlannedFunction<'_> {
    fn write(&self, slot: &mut [u8], relocator: &Relocator, compress: bool) -> Result<()> {
        let prefix = slot.len() - self.size as usize;
        let mut size = Vec::with_capacity(5);
        Encoding::Unsigned.write_shortest(self.size.into(), &mut size);
        slot[..prefix].copy_from_slice(&size);
        let target = &mut slot[prefix..];
        let Some(of) = self.of else {
            target.copy_from_slice(&self.bytes);
            return Ok(());
        };
        let start = relocator.function_start(of);
        let site = Site { start, ..CODE };
        if compress {
            return self.write_compressed(of.object, target, relocator, site);
        }
        target.copy_from_slice(&self.bytes);
        relocator.apply(of.object, self.relocations, site, target, "CODE")
    }

    fn write_compressed(
        &self,
        id: ObjectId,
        target: &mut [u8],
        relocator: &Relocator,
        site: Site,
    ) -> Result<()> {
        let mut from = 0;
        let mut to = 0;
        let mut short = Vec::with_capacity(5);
        let of = relocator.values(id);
        for relocation in self.relocations {
            let at = (relocation.offset - site.start) as usize;
            let plain = &self.bytes[from..at];
            target[to..to + plain.len()].copy_from_slice(plain);
            to += plain.len();
            short.clear();
            let value = relocator.value(id, of, relocation, site, "CODE")?;
            relocation::encoding(relocation.ty).write_shortest(value, &mut short);
            target[to..to + short.len()].copy_from_slice(&short);
            to += short.len();
            from = at + relocation.ty.extent();
        }
        target[to..].copy_from_slice(&self.bytes[from..]);
        Ok(())
    }
}
