//! What the relocations of live code and data name, in wasm-ld's order: object by
//! object, its functions, then its data, relocation by relocation.

use hashbrown::HashSet;
use rayon::prelude::*;
use wasmparser::RelocationType;

use crate::error::Result;
use crate::index::{IndexVec, ObjSymbol, ObjType, ObjectId, Within};
use crate::input::relocation::{self, Relocation};
use crate::live::mark::{GotEntry, Reached};
use crate::origin::SymbolKind;
use crate::parallel;
use crate::resolve::resolution::{Chunk, FunctionRef, Resolution};
use crate::signature::Signature;

/// What they name, each once.
#[derive(Debug, Default)]
pub struct Named<'a> {
    /// Types of indirect calls.
    pub types: Vec<Signature<'a>>,
    /// Functions whose address is taken.
    pub functions: Vec<FunctionRef>,
    /// Symbols whose address is read from a global.
    pub got: Vec<GotEntry>,
}

/// Calls `take` for each relocation of an object's live parts.
///
/// # Errors
///
/// If relocations are damaged.
pub fn each_relocation(
    resolution: &Resolution,
    reached: &Reached,
    id: ObjectId,
    mut take: impl FnMut(&Relocation),
) -> Result<()> {
    let live = &reached.objects[id];
    let functions = live.functions.marked();
    let functions = functions.map(|index| Chunk::Function(Within::new(id, index)));
    let segments = live.segments.marked();
    let segments = segments.map(|index| Chunk::Segment(Within::new(id, index)));
    for chunk in functions.chain(segments) {
        resolution.relocations(chunk)?.iter().for_each(&mut take);
    }
    Ok(())
}

/// Collects all of it.
///
/// # Errors
///
/// If relocations are damaged.
pub fn named<'a>(resolution: &Resolution<'a>, reached: &Reached) -> Result<Named<'a>> {
    let objects: Vec<ObjectId> = resolution.objects.indices().collect();
    let total: usize = resolution.all_objects().map(|(_, o)| o.code.len()).sum();
    let found: Vec<Named> = if total > parallel::INPUT_BYTES {
        let objects = objects.into_par_iter();
        objects
            .map(|id| of_object(resolution, reached, id))
            .collect::<Result<_>>()?
    } else {
        let objects = objects.into_iter();
        objects
            .map(|id| of_object(resolution, reached, id))
            .collect::<Result<_>>()?
    };
    let mut all = Named::default();
    let (mut types, mut functions, mut got) = (HashSet::new(), HashSet::new(), HashSet::new());
    for object in found {
        let new = object.types.into_iter().filter(|&ty| types.insert(ty));
        all.types.extend(new);
        let new = object.functions.into_iter();
        all.functions.extend(new.filter(|&f| functions.insert(f)));
        let new = object.got.into_iter();
        all.got.extend(new.filter(|&entry| got.insert(entry)));
    }
    Ok(all)
}

fn of_object<'a>(
    resolution: &Resolution<'a>,
    reached: &Reached,
    id: ObjectId,
) -> Result<Named<'a>> {
    use RelocationType::*;
    let mut named = Named::default();
    let object = resolution.object(id);
    let mut seen_types: IndexVec<ObjType, bool> = IndexVec::filled(object.types.len(), false);
    // One symbol may be named as a table slot and as a global.
    let unseen = IndexVec::filled(object.symbols.len(), false);
    let mut seen_slots: IndexVec<ObjSymbol, bool> = unseen.clone();
    let mut seen_globals: IndexVec<ObjSymbol, bool> = unseen;
    each_relocation(resolution, reached, id, |relocation| {
        let is_slot = match relocation.ty {
            TypeIndexLeb => {
                let ty = relocation.type_index();
                if !std::mem::replace(&mut seen_types[ty], true) {
                    named.types.push(object.types[ty]);
                }
                return;
            }
            ty if relocation::is_slot(ty) => true,
            GlobalIndexLeb | GlobalIndexI32 => false,
            _ => return,
        };
        let symbol = relocation.symbol();
        let seen = match is_slot {
            true => &mut seen_slots,
            false => &mut seen_globals,
        };
        if std::mem::replace(&mut seen[symbol], true) {
            return;
        }
        let target = resolution.target(Within::new(id, symbol));
        let is_got = !is_slot && resolution.is_got_entry(target);
        if is_got {
            named.got.push(GotEntry::of(target));
        }
        let is_function = object.symbols[symbol].kind == SymbolKind::Function;
        if (is_slot || (is_got && is_function))
            && let Some(function) = resolution.target_function(target)
            && reached.address_taken.contains(&function)
        {
            named.functions.push(function);
        }
    })?;
    Ok(named)
}
