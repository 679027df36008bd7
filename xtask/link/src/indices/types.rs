//! The types of the module: each once, in the order of first use; in wasm-ld's,
//! those of indirect calls come first.

use hashbrown::HashMap;

use crate::index::{IndexVec, ObjTag, SymbolId, TypeIndex, Within};
use crate::indices::functions::{DefinedFunction, Functions};
use crate::indices::tags::Tags;
use crate::live::Live;
use crate::options::Options;
use crate::resolve::resolution::Resolution;
use crate::signature::Signature;
use crate::synthetic::Synthetics;

/// The types of the module.
#[derive(Debug, Default)]
pub struct Types<'a> {
    /// All of them.
    pub all: IndexVec<TypeIndex, Signature<'a>>,
    indices: HashMap<Signature<'a>, TypeIndex>,
}

/// Numbers them.
pub fn number<'a>(
    resolution: &Resolution<'a>,
    live: &Live<'a>,
    synthetics: &Synthetics<'a>,
    functions: &Functions,
    tags: &Tags,
    options: &Options,
) -> Types<'a> {
    let mut types = Types::default();
    if !options.lean {
        types.add_all(&live.call_types);
    }
    for &id in functions.imports.iter().chain(&tags.imports) {
        types.add(import_type(resolution, id));
    }
    for &function in &functions.defined {
        types.add(function_type(resolution, synthetics, function));
    }
    for &tag in &tags.defined {
        types.add(tag_type(resolution, tag));
    }
    types.add_all(&live.call_types);
    types
}

impl<'a> Types<'a> {
    fn add(&mut self, signature: Signature<'a>) {
        let all = &mut self.all;
        self.indices
            .entry(signature)
            .or_insert_with(|| all.push(signature));
    }

    fn add_all(&mut self, signatures: &[Signature<'a>]) {
        for &signature in signatures {
            self.add(signature);
        }
    }

    /// The index of a type, if it is the module's.
    pub fn index(&self, signature: Signature) -> Option<TypeIndex> {
        self.indices.get(&signature).copied()
    }
}

/// The type of an imported function or tag. One that is never called has none,
/// so any will do.
pub fn import_type<'a>(resolution: &Resolution<'a>, id: SymbolId) -> Signature<'a> {
    resolution.symbol_type(id).unwrap_or(Signature::NOTHING)
}

/// The type of a function that the module defines.
pub fn function_type<'a>(
    resolution: &Resolution<'a>,
    synthetics: &Synthetics<'a>,
    function: DefinedFunction,
) -> Signature<'a> {
    match function {
        DefinedFunction::Synthetic(added) => synthetics.functions[added].signature,
        DefinedFunction::Object(f) => resolution.object(f.object).function_type(f.index),
    }
}

/// The type of a tag that the module defines.
pub fn tag_type<'a>(resolution: &Resolution<'a>, tag: Within<ObjTag>) -> Signature<'a> {
    let object = resolution.object(tag.object);
    object.types[object.tags[tag.index]]
}
