//! The indices of functions: imports, then synthetic ones, then the objects',
//! those first that are called most where that makes the module smaller. One that
//! is folded has the index of that which is written for it. In wasm-ld's order
//! those that wrap exports come last.

use hashbrown::HashMap;

use crate::error::Result;
use crate::fold::Folds;
use crate::index::{
    FunctionIndex, Index, IndexVec, ObjFunction, ObjectId, SymbolId, SyntheticId, SyntheticIndex,
    Within,
};
use crate::live::Live;
use crate::options::Options;
use crate::origin::SymbolKind;
use crate::resolve::resolution::{Chunk, FunctionRef, Resolution};
use crate::synthetic::Synthetics;

/// A function that the module defines.
#[derive(Debug, Clone, Copy)]
pub enum DefinedFunction {
    /// One that the linker adds.
    Synthetic(SyntheticIndex),
    /// An object's.
    Object(Within<ObjFunction>),
}

/// The functions of the module.
#[derive(Debug)]
pub struct Functions {
    /// Those it imports.
    pub imports: Vec<SymbolId>,
    /// Those it defines; their indices go on from the imports'.
    pub defined: Vec<DefinedFunction>,
    objects: IndexVec<ObjectId, IndexVec<ObjFunction, Option<FunctionIndex>>>,
    synthetic: IndexVec<SyntheticIndex, FunctionIndex>,
    of_symbols: IndexVec<SyntheticId, Option<FunctionIndex>>,
    undefined: HashMap<SymbolId, FunctionIndex>,
}

/// Numbers them.
///
/// # Errors
///
/// If relocations are damaged.
pub fn number(
    resolution: &Resolution,
    live: &Live,
    folds: &Folds,
    synthetics: &Synthetics,
    options: &Options,
) -> Result<Functions> {
    let is_function = |id: &SymbolId| resolution.symbols[*id].kind == SymbolKind::Function;
    let imports: Vec<SymbolId> = live.imports.iter().copied().filter(is_function).collect();
    let mut defined: Vec<DefinedFunction> = Vec::new();
    let is_last = |added: &SyntheticIndex| !options.lean && synthetics.wraps(*added);
    let added = synthetics.functions.indices();
    let first = added.filter(|added| !is_last(added));
    defined.extend(first.map(DefinedFunction::Synthetic));
    for (id, reached) in live.reached.objects.enumerate() {
        let functions = reached.functions.marked().map(|f| Within::new(id, f));
        let written = functions.filter(|&f| !folds.is_folded(Chunk::Function(f)));
        defined.extend(written.map(DefinedFunction::Object));
    }
    let added = synthetics.functions.indices();
    defined.extend(added.filter(is_last).map(DefinedFunction::Synthetic));
    if options.lean && options.compress_relocations {
        // What is called most gets the indices that take one byte.
        let calls = folds.calls(resolution, live)?;
        defined.sort_by_key(|function| {
            std::cmp::Reverse(match *function {
                DefinedFunction::Object(f) => calls[f.object][f.index],
                DefinedFunction::Synthetic(_) => 0,
            })
        });
    }

    let none =
        |object: &crate::input::object::Object| IndexVec::filled(object.functions.len(), None);
    let mut objects: IndexVec<ObjectId, IndexVec<ObjFunction, Option<FunctionIndex>>> =
        resolution.all_objects().map(|(_, o)| none(o)).collect();
    let first = FunctionIndex::new(imports.len());
    let mut synthetic = IndexVec::filled(synthetics.functions.len(), first);
    for (position, &function) in defined.iter().enumerate() {
        let index = FunctionIndex::new(imports.len() + position);
        match function {
            DefinedFunction::Synthetic(added) => synthetic[added] = index,
            DefinedFunction::Object(f) => objects[f.object][f.index] = Some(index),
        }
    }
    for group in folds.groups() {
        let Chunk::Function(leader) = group.leader else {
            continue;
        };
        for folded in &group.folded {
            if let Chunk::Function(folded) = folded {
                objects[folded.object][folded.index] = objects[leader.object][leader.index];
            }
        }
    }
    let of_symbols = synthetics.of_symbols.iter();
    let of_symbols = of_symbols.map(|added| added.map(|added| synthetic[added]));
    let imported = imports.iter().enumerate();
    let imported = imported.map(|(position, &id)| (id, FunctionIndex::new(position)));
    let traps = synthetics.traps.iter();
    let traps = traps.map(|(&id, &added)| (id, synthetic[added]));
    let mut undefined: HashMap<SymbolId, FunctionIndex> = imported.chain(traps).collect();
    for (alias, id) in &live.same_imports {
        if let Some(&index) = undefined.get(id) {
            undefined.insert(*alias, index);
        }
    }
    Ok(Functions {
        undefined,
        of_symbols: of_symbols.collect(),
        imports,
        defined,
        objects,
        synthetic,
    })
}

impl Functions {
    /// The index of a function, if it is live.
    pub fn index(&self, function: FunctionRef) -> Option<FunctionIndex> {
        match function {
            FunctionRef::Undefined(id) => self.undefined.get(&id).copied(),
            FunctionRef::Synthetic(id) => self.of_symbols[id],
            FunctionRef::Object(f) => self.objects[f.object][f.index],
        }
    }

    /// The index of a function that the linker adds.
    pub fn synthetic(&self, added: SyntheticIndex) -> FunctionIndex {
        self.synthetic[added]
    }
}
