//! Which symbols the module exports.

use wasmparser::SymbolFlags;

use crate::error::{Error, Result, Warning};
use crate::index::{IndexVec, SymbolId};
use crate::libraries::Library;
use crate::live::mark::Reached;
use crate::options::{Exports, Options, Unresolved};
use crate::origin::SymbolKind;
use crate::resolve::resolution::Resolution;
use crate::symbols::{Definition, Symbol, SyntheticGlobal};

/// What the module exports.
#[derive(Debug, Default)]
pub struct Exported {
    /// Shared symbols, in the order in which they came up.
    pub symbols: Vec<SymbolId>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
    /// An error for each that the options name and nothing defines.
    pub errors: Vec<Error>,
}

/// Chooses the symbols that the module exports. Whether those that bound a data
/// segment are among them, [`bounds`] decides when it is known what is live.
///
/// # Errors
///
/// If the entry is not defined.
pub fn exports(resolution: &Resolution, options: &Options) -> Result<Exported> {
    let symbols = &resolution.symbols;
    let mut chosen: IndexVec<SymbolId, bool> = IndexVec::filled(symbols.len(), false);
    let is_there = |id: &SymbolId| match symbols[*id].definition {
        Definition::FunctionTable => !options.table.import,
        _ => symbols[*id].is_defined(),
    };
    let defined = |name: &str| symbols.find(name).filter(is_there);
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
    let mut exported = Exported::default();
    exported.missing(resolution, options, &missing);
    if options.exports == Exports::Guest {
        for id in guest_exports(resolution, options) {
            chosen[id] = true;
        }
    }
    let mutable_globals = resolution.features.contains("mutable-globals");
    let is_exported = |&(id, symbol): &(SymbolId, &Symbol)| {
        let by_flag = symbol.flags.contains(SymbolFlags::EXPORTED);
        let by_option = by_option(symbol, options, mutable_globals);
        is_there(&id) && (chosen[id] || by_flag || by_option)
    };
    let all = symbols.enumerate().filter(is_exported);
    exported.symbols = all.map(|(id, _)| id).collect();
    Ok(exported)
}

/// Whether options that name no symbol export this one.
fn by_option(symbol: &Symbol, options: &Options, mutable_globals: bool) -> bool {
    let all = options.export_all;
    match symbol.definition {
        // wasm-ld exports its mutable globals where it may.
        Definition::Global(SyntheticGlobal::StackPointer) => {
            (all || options.export_dynamic) && mutable_globals
        }
        Definition::Global(SyntheticGlobal::TlsBase) => {
            all && (mutable_globals || !options.memory.shared)
        }
        Definition::FunctionTable => all || options.table.export,
        _ => all || (options.export_dynamic && !symbol.is_hidden()),
    }
}

impl Exported {
    /// Leaves out bounds of data segments that the module does not have.
    pub fn bounds(&mut self, resolution: &Resolution, options: &Options, reached: &Reached) {
        let symbols = &resolution.symbols;
        let mut missing = Vec::new();
        self.symbols.retain(|&id| {
            let symbol = &symbols[id];
            let Some(name) = symbol.bounds() else {
                return true;
            };
            let is_there = reached.has_segment(resolution, name);
            let is_named = matches!(&options.exports, Exports::Named(names)
                if names.contains(&*symbol.name));
            if !is_there && is_named {
                missing.push(&*symbol.name);
            }
            is_there
        });
        self.missing(resolution, options, &missing);
    }

    /// Reports exports that nothing defines, where undefined symbols are reported.
    fn missing(&mut self, resolution: &Resolution, options: &Options, missing: &[&str]) {
        match options.unresolved {
            Unresolved::Error | Unresolved::Import => {
                self.errors.extend(no_exports(resolution, missing));
            }
            Unresolved::Warn => {
                let warning = |name: &&str| Warning::NoExport {
                    symbol: (*name).to_owned(),
                };
                self.warnings.extend(missing.iter().map(warning));
            }
            Unresolved::Ignore | Unresolved::Allow | Unresolved::Dynamic => {}
        }
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
