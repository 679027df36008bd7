//! What no engine would take, or take for something else: refused as wasm-ld
//! refuses it.

use crate::error::Error;
use crate::index::SymbolId;
use crate::options::Options;
use crate::origin::SymbolKind;
use crate::resolve::resolution::{Resolution, Target};
use crate::symbols::{Definition, Symbol, SyntheticGlobal};

/// Code that knows of one table alone, as LLVM made it before reference types,
/// calls through the first; an import would be that.
pub fn tables(resolution: &Resolution, options: &Options, imports: &[SymbolId]) -> Option<Error> {
    let mut objects = resolution.objects.iter();
    let legacy = objects.find(|joined| joined.object.legacy_table)?;
    if options.table.import || options.is_relocatable() {
        return None;
    }
    let symbols = imports.iter().map(|&id| &resolution.symbols[id]);
    let mut tables = symbols.filter(|symbol| symbol.kind == SymbolKind::Table);
    let table = tables.next()?;
    let importer = table.wanted_by?;
    Some(Error::TableConflict {
        legacy: legacy.object.name.into(),
        table: table.name.to_string(),
        importer: resolution.object(importer).name.into(),
    })
}

/// Mutable globals that the module imports or exports, though no object uses that
/// feature.
pub fn mutable_globals(
    resolution: &Resolution,
    options: &Options,
    imports: &[SymbolId],
    exports: &[SymbolId],
) -> Vec<Error> {
    let is_used = resolution.features.contains("mutable-globals");
    if !options.check_features || is_used || options.is_relocatable() {
        return Vec::new();
    }
    let symbol = |id: &SymbolId| &resolution.symbols[*id];
    let is_import = |symbol: &&Symbol| symbol.import.global.is_some_and(|ty| ty.mutable);
    let imported = imports.iter().map(symbol).filter(is_import);
    let is_export = |id: &&SymbolId| match resolution.shared_target(**id) {
        Target::Object(at) => {
            resolution.object_symbol(at).kind == SymbolKind::Global
                && resolution.global_type(at).is_some_and(|ty| ty.mutable)
        }
        Target::Shared(_, &Definition::Global(global)) => match global {
            SyntheticGlobal::StackPointer => true,
            SyntheticGlobal::TlsBase => options.memory.shared,
            SyntheticGlobal::TlsSize | SyntheticGlobal::TlsAlign => false,
        },
        Target::Shared(..) => false,
    };
    let exported = exports.iter().filter(is_export).map(symbol);
    let error = |how: &'static str| {
        move |symbol: &Symbol| Error::MutableGlobal {
            symbol: symbol.name.to_string(),
            how,
        }
    };
    let imported = imported.map(error("imported"));
    imported.chain(exported.map(error("exported"))).collect()
}
