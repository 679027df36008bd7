//! What the options want of archives, though no object refers to it.

use wasmparser::SymbolFlags;

use crate::error::Result;
use crate::index::SymbolId;
use crate::options::{Exports, Options, OutputKind};
use crate::resolve::extract::Extractor;

/// Extracts what `options` name; gives libc's destructors where the linker must
/// see to them.
///
/// # Errors
///
/// If a member is damaged.
pub fn by_options(extractor: &mut Extractor, options: &Options) -> Result<Option<SymbolId>> {
    let targets = options.defsym.iter().map(|(_, target)| target);
    for name in options.undefined.iter().chain(targets) {
        extractor.request(name)?;
    }
    for name in &options.wrap {
        extractor.request(&format!("__wrap_{name}"))?;
        // Uses of `__real_NAME` will be uses of `NAME`.
        let real = format!("__real_{name}");
        if extractor.binder.symbols.find(&real).is_some() {
            extractor.request(name)?;
        }
    }
    if let Exports::Named(names) = &options.exports {
        for name in names {
            extractor.request(name)?;
        }
    }
    for name in &options.export_if_defined {
        extractor.request(name)?;
    }
    let entry = match &options.entry {
        Some(name) => extractor.request(name)?,
        None => None,
    };
    if let Some(id) = entry {
        let flags = &mut extractor.binder.symbols[id].flags;
        flags.remove(SymbolFlags::VISIBILITY_HIDDEN);
    }
    // Whoever loads a library sees to it. In a lean module state outlives a call,
    // hence must not be torn down after it.
    let is_program = options.kind == OutputKind::Module;
    match is_program && (entry.is_some() || !options.lean) {
        true => destructors(extractor, options),
        false => Ok(None),
    }
}

/// Where crt1 does not run constructors and destructors (before wasi-libc of
/// 2023), or there is none, the linker does: around the entry, and around each
/// export where constructors run at each call.
fn destructors(extractor: &mut Extractor, options: &Options) -> Result<Option<SymbolId>> {
    let symbols = &extractor.binder.symbols;
    let name = "__wasm_call_ctors";
    let is_wanted = symbols
        .find(name)
        .is_some_and(|id| symbols[id].wanted_by.is_some());
    let is_exported = options.export_if_defined.contains(name)
        || options.entry.as_deref() == Some(name)
        || matches!(&options.exports, Exports::Named(names) if names.contains(name));
    if is_wanted || is_exported {
        return Ok(None);
    }
    extractor.request("__wasm_call_dtors")
}
