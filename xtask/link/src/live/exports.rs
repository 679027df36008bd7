//! Which symbols the module exports.

use wasmparser::SymbolFlags;

use crate::error::{Error, Errors, Result};
use crate::index::{IndexVec, SymbolId};
use crate::libraries::Library;
use crate::options::{Exports, Options};
use crate::origin::SymbolKind;
use crate::resolve::resolution::Resolution;
use crate::symbols::{Definition, Symbol, SyntheticGlobal};

/// The shared symbols that the module exports, in the order in which they came up.
///
/// # Errors
///
/// If one that the options name is not defined.
pub fn exports(resolution: &Resolution, options: &Options) -> Result<Vec<SymbolId>> {
    let symbols = &resolution.symbols;
    let mut chosen: IndexVec<SymbolId, bool> = IndexVec::filled(symbols.len(), false);
    let defined = |name: &str| symbols.find(name).filter(|&id| symbols[id].is_defined());
    let mut missing = Vec::new();
    if let Exports::Named(names) = &options.exports {
        for name in names {
            match defined(name) {
                Some(id) => chosen[id] = true,
                None => missing.push(name.as_str()),
            }
        }
    }
    for id in options.export_if_defined.iter().filter_map(|n| defined(n)) {
        chosen[id] = true;
    }
    if let Some(name) = &options.entry {
        match defined(name) {
            Some(id) => chosen[id] = true,
            None => {
                return Err(Error::NoEntry {
                    symbol: name.clone(),
                }
                .into());
            }
        }
    }
    Errors::check(no_exports(resolution, &missing))?;
    if options.exports == Exports::Guest {
        for id in guest_exports(resolution, options) {
            chosen[id] = true;
        }
    }
    let mutable_globals = resolution.features.contains("mutable-globals");
    Ok(symbols
        .enumerate()
        .filter(|&(id, symbol)| {
            let by_flag = symbol.flags.contains(SymbolFlags::EXPORTED);
            let may = !matches!(symbol.definition, Definition::Global(_)) || mutable_globals;
            symbol.is_defined() && (chosen[id] || by_flag || (by_option(symbol, options) && may))
        })
        .map(|(id, _)| id)
        .collect())
}

/// Whether options that name no symbol export this one.
fn by_option(symbol: &Symbol, options: &Options) -> bool {
    match symbol.definition {
        // wasm-ld exports its mutable globals where it may.
        Definition::Global(SyntheticGlobal::StackPointer) => {
            options.export_all || options.export_dynamic
        }
        Definition::Global(_) => false,
        _ => options.export_all || (options.export_dynamic && !symbol.is_hidden()),
    }
}

/// Functions that the guest's own objects define for all to see, under names
/// that its author chose.
fn guest_exports(resolution: &Resolution, options: &Options) -> Vec<SymbolId> {
    let mut ids = Vec::new();
    for joined in resolution.objects.iter().filter(|joined| joined.is_guest) {
        for (index, symbol) in joined.object.symbols.enumerate() {
            let chosen = symbol.kind == SymbolKind::Function
                && !symbol.is_undefined()
                && !symbol.flags.contains(SymbolFlags::VISIBILITY_HIDDEN)
                && Library::leaves_to_author(symbol.name);
            // crt1 calls it; the module exports the entry instead.
            let is_main = options.entry.is_some()
                && matches!(
                    symbol.name,
                    "main" | "__main_void" | "__main_argc_argv" | "__original_main"
                );
            if chosen && !is_main {
                ids.extend(joined.bindings[index]);
            }
        }
    }
    ids
}

/// An error for each missing export, with what could be meant.
fn no_exports(resolution: &Resolution, missing: &[&str]) -> Vec<Error> {
    let is_root = |symbol: &Symbol| match symbol.definition {
        Definition::Object(at) => resolution.objects[at.object].is_root,
        _ => false,
    };
    let symbols = resolution.symbols.enumerate().map(|(_, symbol)| symbol);
    let there: Vec<&str> = symbols
        .filter(|s| is_root(s) && s.kind == SymbolKind::Function)
        .filter(|s| Library::leaves_to_author(&s.name))
        .map(|s| &*s.name)
        .collect();
    let error = |name: &&str| {
        let mut candidates: Vec<String> = there.iter().map(|&name| name.to_owned()).collect();
        candidates.sort_by_cached_key(|other| (strsim::levenshtein(name, other), other.clone()));
        Error::NoExport {
            symbol: (*name).to_owned(),
            candidates,
        }
    };
    missing.iter().map(error).collect()
}
