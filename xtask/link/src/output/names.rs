//! The `name` section.

use std::borrow::Cow;

use rayon::prelude::*;
use wasm_encoder::{NameMap, NameSection, Section};

use crate::indices::functions::DefinedFunction;
use crate::indices::globals::DefinedGlobal;
use crate::input::object::Referent;
use crate::origin::SymbolKind;
use crate::output::parts::Parts;

/// Names of functions, globals and data segments, if they are kept.
pub fn section(parts: &Parts, segments: &[&str], out: &mut Vec<u8>) {
    if !parts.options.keeps("name") {
        return;
    }
    let functions = functions(parts);
    let globals = globals(parts);
    let mut data = NameMap::new();
    for (index, name) in segments.iter().enumerate() {
        data.append(index as u32, name);
    }
    let mut names = NameSection::new();
    if let Some(module) = &parts.options.module_name {
        names.module(module);
    }
    if !functions.is_empty() {
        names.functions(&functions);
    }
    if !globals.is_empty() {
        names.globals(&globals);
    }
    if !data.is_empty() {
        names.data(&data);
    }
    if !functions.is_empty() || !globals.is_empty() || !data.is_empty() {
        names.append_to(out);
    }
}

fn functions(parts: &Parts) -> NameMap {
    let imports = &parts.indices.functions.imports;
    let mut raw: Vec<&str> = imports
        .iter()
        .map(|&id| &*parts.resolution.symbols[id].name)
        .collect();
    raw.extend(defined_functions(parts));
    let shown = |name| parts.options.shown(name);
    let shown: Vec<Cow<'_, str>> = if parts.options.demangle && raw.len() > 512 {
        let raw = raw.into_par_iter().with_min_len(128);
        raw.map(shown).collect()
    } else {
        raw.into_iter().map(shown).collect()
    };
    let mut names = NameMap::new();
    for (index, name) in shown.iter().enumerate() {
        names.append(index as u32, name);
    }
    names
}

/// The names of the functions that the module defines, as the objects have them.
fn defined_functions<'p>(parts: &Parts<'p, '_>) -> Vec<&'p str> {
    let named: Vec<Vec<&str>> = parts
        .resolution
        .all_objects()
        .map(|(_, object)| {
            let mut names = vec![""; object.functions.len()];
            for symbol in &object.symbols {
                if let Referent::Function(function) = symbol.referent {
                    let name = &mut names[crate::index::Index::get(function)];
                    // Of two names for one function the first stays.
                    if name.is_empty() {
                        *name = symbol.name;
                    }
                }
            }
            names
        })
        .collect();
    let name = |function: &DefinedFunction| match *function {
        DefinedFunction::Synthetic(added) => &*parts.synthetics.functions[added].name,
        DefinedFunction::Object(f) => {
            let of = &named[crate::index::Index::get(f.object)];
            of[crate::index::Index::get(f.index)]
        }
    };
    parts.indices.functions.defined.iter().map(name).collect()
}

fn globals(parts: &Parts) -> NameMap {
    let globals = &parts.indices.globals;
    let mut names = NameMap::new();
    let imports = globals.imports.iter();
    let imports = imports.map(|&id| &*parts.resolution.symbols[id].name);
    let got = globals.got_imports.iter();
    let got = got.map(|&entry| parts.got_symbol(entry).1);
    for (index, name) in imports.chain(got).enumerate() {
        names.append(index as u32, &parts.options.shown(name));
    }
    for (position, global) in globals.defined.iter().enumerate() {
        let index = globals.imported_count() + position;
        // Its export names it.
        let is_exported = matches!(global, DefinedGlobal::ExportedData(_));
        if parts.options.lean || !is_exported {
            names.append(index as u32, &global_name(parts, global));
        }
    }
    names
}

fn global_name<'p>(parts: &Parts<'p, '_>, global: &DefinedGlobal) -> Cow<'p, str> {
    match *global {
        DefinedGlobal::Synthetic(global) => global.name().into(),
        DefinedGlobal::InitDone => "__wasm_init_done".into(),
        DefinedGlobal::Object(at) => {
            let symbols = &parts.resolution.object(at.object).symbols;
            let mut symbols = symbols.iter();
            let symbol = symbols.find(|s| s.referent == Referent::Global(at.index));
            parts.options.shown(symbol.map_or("", |symbol| symbol.name))
        }
        DefinedGlobal::Got(entry) => {
            let (kind, name) = parts.got_symbol(entry);
            let kind = match kind {
                SymbolKind::Function => "func",
                _ => "data",
            };
            let name = parts.options.shown(name);
            format!("GOT.{kind}.internal.{name}").into()
        }
        DefinedGlobal::ExportedData(id) => (&*parts.resolution.symbols[id].name).into(),
    }
}
