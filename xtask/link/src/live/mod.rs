//! Phase 4: mark live. Takes what is resolved; gives what the module must hold,
//! starting from its exports, its entry, its constructors and what is always
//! kept.
//!
//! Also decides what becomes of the undefined symbols that are live, since no
//! other undefined symbol matters.

mod constructors;
mod exports;
pub mod mark;
mod order;
mod refused;
pub mod undefined;

use crate::error::{Errors, Result, Warning};
use crate::index::SymbolId;
use crate::live::exports::Exported;
use crate::live::mark::{GotEntry, Reached};
use crate::live::order::Named;
use crate::live::undefined::{Settled, Trap};
use crate::options::Options;
use crate::resolve::resolution::{FunctionRef, Resolution};
use crate::signature::Signature;

/// What the module holds.
#[derive(Debug)]
pub struct Live<'a> {
    /// What is reached of objects and of the linker's own.
    pub reached: Reached<'a>,
    /// Functions whose address is taken, and is not null: in wasm-ld's order, or
    /// that of the inputs.
    pub address_taken: Vec<FunctionRef>,
    /// Types of indirect calls, in wasm-ld's order, or as they were met.
    pub call_types: Vec<Signature<'a>>,
    /// Symbols whose address is read from a global, in wasm-ld's order, or that of
    /// the symbols.
    pub got: Vec<GotEntry>,
    /// Undefined symbols that become imports, in wasm-ld's order, or as they were
    /// met.
    pub imports: Vec<SymbolId>,
    /// Symbols that are imported as another of these is.
    pub same_imports: Vec<(SymbolId, SymbolId)>,
    /// Undefined functions whose calls trap.
    pub traps: Vec<Trap>,
    /// Constructors, in the order in which they run.
    pub constructors: Vec<FunctionRef>,
    /// Whether the inputs see to the constructors themselves, as crt1's `_start`
    /// does.
    pub constructors_called: bool,
    /// Shared symbols to export, in the order in which they came up.
    pub exports: Vec<SymbolId>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

/// Marks what is live.
///
/// # Errors
///
/// If a live symbol is undefined and no option says what to do about it, or an
/// export that the caller names is not there.
pub fn mark<'a>(resolution: &Resolution<'a>, options: &Options) -> Result<Live<'a>> {
    let mut exported = match options.is_relocatable() {
        true => Exported::default(),
        false => exports::exports(resolution, options)?,
    };
    let mut reached = mark::reach(resolution, options, &exported.symbols)?;
    exported.bounds(resolution, options, &reached);
    let Settled {
        imports,
        same_imports,
        traps,
        mut warnings,
        mut errors,
    } = undefined::settle(resolution, options, &reached)?;
    errors.splice(0..0, exported.errors);
    warnings.splice(0..0, exported.warnings);
    let exports = exported.symbols;
    errors.extend(refused::tables(resolution, options, &imports));
    errors.extend(refused::mutable_globals(
        resolution, options, &imports, &exports,
    ));
    Errors::check(errors)?;
    for trap in &traps {
        let function = FunctionRef::Undefined(trap.symbol);
        reached.address_taken.remove(&function);
    }
    let Named {
        types,
        functions,
        got,
    } = match options.lean {
        true => Named {
            types: reached.call_types.clone(),
            functions: reached.address_taken.iter().copied().collect(),
            got: reached.got.iter().copied().collect(),
        },
        false => order::named(resolution, &reached)?,
    };
    let constructors = match options.is_relocatable() {
        // The final link calls them.
        true => Vec::new(),
        false => constructors::in_order(resolution, &reached, &imports, &traps)?,
    };
    Ok(Live {
        address_taken: functions,
        call_types: types,
        got,
        constructors,
        constructors_called: constructors::are_called(resolution, options, &reached, &exports),
        reached,
        imports,
        same_imports,
        traps,
        exports,
        warnings,
    })
}
