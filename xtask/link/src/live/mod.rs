//! Phase 4: mark live. Takes what is resolved; gives what the module must hold,
//! starting from its exports, its entry, its constructors and what is always
//! kept.
//!
//! Also decides what becomes of the undefined symbols that are live, since no
//! other undefined symbol matters.

mod constructors;
mod exports;
pub mod mark;
mod undefined;

use std::collections::BTreeSet;

use crate::error::{Result, Warning};
use crate::index::SymbolId;
use crate::live::mark::Reached;
use crate::live::undefined::{Settled, Trap};
use crate::options::Options;
use crate::resolve::resolution::{FunctionRef, Resolution};

/// What the module holds.
#[derive(Debug)]
pub struct Live<'a> {
    /// What is reached of objects and of the linker's own.
    pub reached: Reached<'a>,
    /// Functions whose address is taken, and is not null.
    pub address_taken: BTreeSet<FunctionRef>,
    /// Undefined symbols that become imports, in the order they were met.
    pub imports: Vec<SymbolId>,
    /// Undefined functions whose calls trap.
    pub traps: Vec<Trap>,
    /// Constructors, in the order in which they run.
    pub constructors: Vec<FunctionRef>,
    /// Whether live code calls the constructors itself, as `_start` does.
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
    let exports = match options.is_relocatable() {
        true => Vec::new(),
        false => exports::exports(resolution, options)?,
    };
    let reached = mark::reach(resolution, options, &exports)?;
    let Settled {
        imports,
        traps,
        warnings,
    } = undefined::settle(resolution, options, &reached)?;
    let mut address_taken = reached.address_taken.clone();
    for trap in &traps {
        address_taken.remove(&FunctionRef::Undefined(trap.symbol));
    }
    let constructors = match options.is_relocatable() {
        // The final link calls them.
        true => Vec::new(),
        false => constructors::in_order(resolution, &reached, &imports, &traps)?,
    };
    Ok(Live {
        address_taken,
        constructors,
        constructors_called: reached.synthetic[resolution.call_ctors],
        reached,
        imports,
        traps,
        exports,
        warnings,
    })
}
