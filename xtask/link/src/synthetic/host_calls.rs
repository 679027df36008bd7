//! Whether constructors may call the host.

use hashbrown::HashSet;
use wasmparser::RelocationType;

use crate::error::Result;
use crate::index::Within;
use crate::input::object::Referent;
use crate::live::Live;
use crate::origin::SymbolKind;
use crate::resolve::resolution::{Chunk, FunctionRef, Resolution, Target};
use crate::symbols::{Action, Definition};

/// Whether code that starts from the constructors, or data that it uses, may
/// call an import.
///
/// # Errors
///
/// If relocations are damaged.
pub fn reachable(resolution: &Resolution, live: &Live) -> Result<bool> {
    let is_trap = |id| live.traps.iter().any(|trap| trap.symbol == id);
    let mut queue: Vec<Chunk> = Vec::new();
    let mut seen: HashSet<Chunk> = HashSet::new();
    for &function in &live.constructors {
        match function {
            FunctionRef::Object(function) => queue.push(Chunk::Function(function)),
            FunctionRef::Synthetic(_) => {}
            FunctionRef::Undefined(id) if is_trap(id) => {}
            FunctionRef::Undefined(_) => return Ok(true),
        }
    }
    while let Some(chunk) = queue.pop() {
        if !seen.insert(chunk) {
            continue;
        }
        for relocation in resolution.relocations(chunk)? {
            if relocation.ty == RelocationType::TypeIndexLeb {
                continue;
            }
            let symbol = Within::new(chunk.object(), relocation.symbol());
            match resolution.target(symbol) {
                Target::Object(symbol) => match resolution.referent(symbol) {
                    Referent::Function(function) => {
                        queue.push(Chunk::Function(Within::new(symbol.object, function)));
                    }
                    Referent::Data { segment, .. } => {
                        queue.push(Chunk::Segment(Within::new(symbol.object, segment)));
                    }
                    _ => {}
                },
                Target::Shared(id, Definition::Undefined) => {
                    let is_function = resolution.symbols[id].kind == SymbolKind::Function;
                    if is_function && !is_trap(id) {
                        return Ok(true);
                    }
                }
                // It reports to the host.
                Target::Shared(_, &Definition::Synthetic(id))
                    if matches!(resolution.synthetic[id].action, Action::Panic(_)) =>
                {
                    return Ok(true);
                }
                Target::Shared(..) => {}
            }
        }
    }
    Ok(false)
}
