//! The export section.

use std::collections::BTreeSet;

use wasm_encoder::{ExportKind, ExportSection, Section};

use crate::error::{Error, Result};
use crate::index::{SymbolId, Within};
use crate::input::object::{FUNCTION_TABLE, Referent};
use crate::origin::SymbolKind;
use crate::output::parts::Parts;
use crate::resolve::resolution::{FunctionRef, Target};
use crate::symbols::Definition;

/// The exports: the memory, symbols in their order, the function table where no
/// symbol names it. In wasm-ld's order functions that are exported in place of
/// others come last.
///
/// # Errors
///
/// If two have one name.
pub fn section(parts: &Parts, out: &mut Vec<u8>) -> Result<()> {
    let mut exports = Exports {
        section: ExportSection::new(),
        names: BTreeSet::new(),
    };
    if parts.options.is_relocatable() {
        exports.names_of_objects(parts)?;
        return exports.finish(out);
    }
    let imports = &parts.indices.functions.imports;
    let wasi = parts.options.memory.export_for_wasi
        && imports.iter().any(|&id| {
            let import = parts.resolution.symbols[id].import.name;
            import.is_some_and(|(module, _)| module.starts_with("wasi"))
        });
    match &parts.options.memory.export {
        Some(name) => exports.add(name, ExportKind::Memory, 0)?,
        None if wasi => exports.add("memory", ExportKind::Memory, 0)?,
        None => {}
    }
    let mut symbols = parts.live.exports.clone();
    if !parts.options.lean {
        symbols.sort_by_key(|id| parts.synthetics.exported.contains_key(id));
    }
    for id in symbols {
        if let Some((name, kind, index)) = export(parts, id) {
            exports.add(name, kind, index)?;
        }
    }
    let table = parts.indices.tables.function_table;
    let wanted = parts.options.table.export && !exports.names.contains(FUNCTION_TABLE);
    if let (true, Some(table)) = (wanted, table) {
        exports.add(FUNCTION_TABLE, ExportKind::Table, table.into())?;
    }
    exports.finish(out)
}

struct Exports<'p> {
    section: ExportSection,
    names: BTreeSet<&'p str>,
}

impl<'p> Exports<'p> {
    /// The names under which the final link will export functions.
    fn names_of_objects(&mut self, parts: &Parts<'p, '_>) -> Result<()> {
        for (id, object) in parts.resolution.all_objects() {
            for &(function, name) in &object.export_names {
                let function = FunctionRef::Object(Within::new(id, function));
                if let Some(index) = parts.indices.functions.index(function) {
                    self.add(name, ExportKind::Func, index.into())?;
                }
            }
        }
        Ok(())
    }

    fn finish(self, out: &mut Vec<u8>) -> Result<()> {
        if !self.section.is_empty() {
            self.section.append_to(out);
        }
        Ok(())
    }

    fn add(&mut self, name: &'p str, kind: ExportKind, index: u32) -> Result<()> {
        self.section.export(name, kind, index);
        if self.names.insert(name) {
            Ok(())
        } else {
            let name = name.to_owned();
            Err(Error::DuplicateExport { name }.into())
        }
    }
}

/// The name, kind and index that a symbol is exported as, if it can be.
fn export<'p>(parts: &Parts<'p, '_>, id: SymbolId) -> Option<(&'p str, ExportKind, u32)> {
    let symbol = &parts.resolution.symbols[id];
    let target = parts.resolution.shared_target(id);
    let indices = parts.indices;
    let (kind, index) = match (symbol.kind, target) {
        (SymbolKind::Function, _) => return exported_function(parts, id, target),
        (SymbolKind::Data, _) => {
            let index = indices.globals.exported_data(id)?;
            (ExportKind::Global, index.into())
        }
        (SymbolKind::Global, Target::Shared(_, &Definition::Global(global))) => {
            let index = indices.globals.synthetic(global)?;
            (ExportKind::Global, index.into())
        }
        (SymbolKind::Table, Target::Shared(_, Definition::FunctionTable)) => {
            let index = indices.tables.function_table?;
            (ExportKind::Table, index.into())
        }
        (_, Target::Object(at)) => match parts.resolution.referent(at) {
            Referent::Global(global) => {
                let index = indices.globals.object(Within::new(at.object, global))?;
                (ExportKind::Global, index.into())
            }
            Referent::Tag(tag) => {
                let index = indices.tags.object(Within::new(at.object, tag))?;
                (ExportKind::Tag, index.into())
            }
            Referent::Table(table) => {
                let index = indices.tables.object(Within::new(at.object, table))?;
                (ExportKind::Table, index.into())
            }
            _ => return None,
        },
        _ => return None,
    };
    Some((&symbol.name, kind, index))
}

fn exported_function<'p>(
    parts: &Parts<'p, '_>,
    id: SymbolId,
    target: Target,
) -> Option<(&'p str, ExportKind, u32)> {
    let function = parts.resolution.target_function(target)?;
    let named = match function {
        FunctionRef::Object(f) => {
            let names = &parts.resolution.object(f.object).export_names;
            let found = names.iter().find(|(function, _)| *function == f.index);
            found.map(|(_, name)| *name)
        }
        _ => None,
    };
    let functions = &parts.indices.functions;
    let index = match parts.synthetics.exported.get(&id) {
        Some(&wrapper) => functions.synthetic(wrapper),
        None => functions.index(function)?,
    };
    let name = named.unwrap_or(&parts.resolution.symbols[id].name);
    Some((name, ExportKind::Func, index.into()))
}
