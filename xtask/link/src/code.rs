//! The code section: takes the layout, gives the size of every function's body
//! and where it begins, and writes the bodies with their relocations applied.

use rayon::prelude::*;

use super::error::Result;
use super::layout::{Layout, NONE};
use super::live::{FunctionRef, Live};
use super::made;
use super::object::Relocation;
use super::options::Options;
use super::relocate::{self, Encoding, Relocator, Site};
use super::symbols::Program;

/// A function of the module, ready to be written.
struct Body<'p> {
    relocations: &'p [Relocation],
    /// Of an object's function: object and index.
    of: Option<(u32, u32)>,
    bytes: std::borrow::Cow<'p, [u8]>,
    /// Bytes of the body in the module, its size not counted.
    size: u32,
}

/// The code section, ready to be written.
pub struct Code<'p> {
    bodies: Vec<Body<'p>>,
    /// Bytes of its contents, from the number of functions on.
    pub size: usize,
    /// Per object and function, where its body begins in the contents.
    pub offsets: Vec<Vec<u32>>,
    /// Per function of the module, its offset and size there.
    pub extents: Vec<(u32, u32)>,
    parallel: bool,
    compress: bool,
}

const NO_SITE: Site = Site {
    start: 0,
    address: 0,
    tombstone: None,
};

/// Inputs below this many bytes are not worth a second thread.
pub const PARALLEL: usize = 1 << 18;

/// Decides where every function goes.
pub fn plan<'p>(
    program: &'p Program,
    live: &Live,
    layout: &Layout,
    relocator: &Relocator,
    options: &Options,
) -> Result<Code<'p>> {
    let compress = options.compress_relocations;
    let prepare = |function: &FunctionRef| -> Result<Body<'p>> {
        match *function {
            FunctionRef::Object(number, index) => {
                let object = &program.objects[number as usize];
                let relocations = object.function_relocations(index as usize)?;
                let bytes = relocate::body(object, index as usize);
                let saved: usize = if compress {
                    let values = relocator.values(number);
                    let saving = |r: &Relocation| {
                        let value = relocator.value(values, r, NO_SITE);
                        r.ty.extent() - relocate::shortest_len(relocate::encoding(r.ty), value)
                    };
                    relocations.iter().map(saving).sum()
                } else {
                    0
                };
                Ok(Body {
                    relocations,
                    of: Some((number, index)),
                    bytes: bytes.into(),
                    size: (bytes.len() - saved) as u32,
                })
            }
            FunctionRef::Made(made) => {
                let bytes = made::body(&program.made[made as usize], program, live, layout);
                Ok(Body {
                    relocations: &[],
                    of: None,
                    size: bytes.len() as u32,
                    bytes: bytes.into(),
                })
            }
            FunctionRef::Import(_) => unreachable!("imports have no bodies"),
        }
    };
    let total: usize = program.objects.iter().map(|o| o.code.len()).sum();
    let parallel = total > PARALLEL;
    let bodies: Vec<Body> = if parallel {
        layout
            .functions
            .par_iter()
            .with_min_len(64)
            .map(prepare)
            .collect::<Result<_>>()?
    } else {
        layout
            .functions
            .iter()
            .map(prepare)
            .collect::<Result<_>>()?
    };

    let mut at = relocate::shortest_len(Encoding::Unsigned, bodies.len() as u32);
    let mut extents = Vec::with_capacity(bodies.len());
    let mut offsets: Vec<Vec<u32>> = program
        .objects
        .iter()
        .map(|o| vec![NONE; o.functions.len()])
        .collect();
    for body in &bodies {
        let prefix = relocate::shortest_len(Encoding::Unsigned, body.size);
        let start = at + prefix;
        extents.push((at as u32, prefix as u32 + body.size));
        if let Some((object, index)) = body.of {
            offsets[object as usize][index as usize] = start as u32;
        }
        at = start + body.size as usize;
    }
    Ok(Code {
        bodies,
        size: at,
        offsets,
        extents,
        parallel,
        compress,
    })
}

impl Code<'_> {
    /// Writes the contents into `out`, which is [`Code::size`] bytes long.
    pub fn write(&self, relocator: &Relocator, out: &mut [u8]) {
        let mut count = Vec::with_capacity(5);
        wasm_encoder::Encode::encode(&(self.bodies.len() as u32), &mut count);
        let (head, mut rest) = out.split_at_mut(count.len());
        head.copy_from_slice(&count);
        let mut slots = Vec::with_capacity(self.bodies.len());
        for (body, &(_, len)) in self.bodies.iter().zip(&self.extents) {
            let (slot, after) = rest.split_at_mut(len as usize);
            slots.push((body, slot));
            rest = after;
        }
        let fill = |(body, slot): (&Body, &mut [u8])| fill(body, slot, relocator, self.compress);
        if self.parallel {
            slots.into_par_iter().with_min_len(64).for_each(fill);
        } else {
            slots.into_iter().for_each(fill);
        }
    }
}

fn fill(body: &Body, slot: &mut [u8], relocator: &Relocator, compress: bool) {
    let prefix = slot.len() - body.size as usize;
    let mut size = Vec::with_capacity(5);
    wasm_encoder::Encode::encode(&body.size, &mut size);
    slot[..prefix].copy_from_slice(&size);
    let target = &mut slot[prefix..];
    let Some((number, index)) = body.of else {
        target.copy_from_slice(&body.bytes);
        return;
    };
    let start = relocator.start_of(number, index);
    let site = Site { start, ..NO_SITE };
    if !compress {
        target.copy_from_slice(&body.bytes);
        relocator.apply(number, body.relocations, site, target);
        return;
    }
    let mut from = 0;
    let mut to = 0;
    let mut short = Vec::with_capacity(5);
    let values = relocator.values(number);
    for relocation in body.relocations {
        let at = (relocation.offset - start) as usize;
        let plain = &body.bytes[from..at];
        target[to..to + plain.len()].copy_from_slice(plain);
        to += plain.len();
        short.clear();
        let value = relocator.value(values, relocation, site);
        relocate::shortest(relocate::encoding(relocation.ty), value, &mut short);
        target[to..to + short.len()].copy_from_slice(&short);
        to += short.len();
        from = at + relocation.ty.extent();
    }
    target[to..].copy_from_slice(&body.bytes[from..]);
}
