//! The constructors that are live, in the order in which they run.

use crate::error::{Error, Result};
use crate::index::{SymbolId, Within};
use crate::live::mark::Reached;
use crate::live::undefined::Trap;
use crate::options::Options;
use crate::resolve::resolution::{FunctionRef, Resolution};
use crate::signature::Signature;

/// Whether the inputs see to the constructors themselves. wasm-ld takes any
/// mention of `__wasm_call_ctors` for that, be it dead code's.
pub fn are_called(
    resolution: &Resolution,
    options: &Options,
    reached: &Reached,
    exports: &[SymbolId],
) -> bool {
    if options.lean {
        return reached.synthetic[resolution.call_ctors];
    }
    let symbols = &resolution.symbols;
    let call_ctors = symbols.find("__wasm_call_ctors");
    call_ctors.is_some_and(|id| symbols[id].wanted_by.is_some() || exports.contains(&id))
}

/// The live constructors by priority, then in the order of the objects.
///
/// # Errors
///
/// If one takes arguments.
pub fn in_order(
    resolution: &Resolution,
    reached: &Reached,
    imports: &[SymbolId],
    traps: &[Trap],
) -> Result<Vec<FunctionRef>> {
    let mut all = Vec::new();
    for (number, object) in resolution.all_objects() {
        for &(priority, symbol) in &object.init_functions {
            let target = resolution.target(Within::new(number, symbol));
            let Some(function) = resolution.target_function(target) else {
                continue;
            };
            let is_trap = |id| traps.iter().any(|trap| trap.symbol == id);
            let (is_live, ty) = match function {
                FunctionRef::Object(f) => (reached.objects[f.object].functions[f.index], None),
                FunctionRef::Synthetic(id) => (reached.synthetic[id], None),
                FunctionRef::Undefined(id) if is_trap(id) => (true, Some(Signature::NOTHING)),
                FunctionRef::Undefined(id) => (imports.contains(&id), None),
            };
            if !is_live {
                continue;
            }
            let ty = resolution.function_type(function).or(ty);
            if ty.is_none_or(|ty| !ty.decode().params().is_empty()) {
                return Err(Error::ConstructorTakesArguments {
                    origin: object.name.into(),
                    symbol: object.symbols[symbol].name.to_owned(),
                }
                .into());
            }
            all.push((priority, function));
        }
    }
    all.sort_by_key(|&(priority, _)| priority);
    Ok(all.into_iter().map(|(_, function)| function).collect())
}
