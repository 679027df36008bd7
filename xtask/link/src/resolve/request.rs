//! What the options want of archives, though no object refers to it.

use crate::error::Result;
use crate::index::SymbolId;
use crate::options::{Exports, Options};
use crate::resolve::extract::Extractor;

/// Extracts what `options` name; gives libc's destructors where the linker must
/// see to them.
///
/// # Errors
///
/// If a member is damaged.
pub fn by_options(extractor: &mut Extractor, options: &Options) -> Result<Option<SymbolId>> {
    let binder = &mut extractor.binder;
    let targets = options.defsym.iter().map(|(_, target)| target);
    for name in options.undefined.iter().chain(targets) {
        binder.request(name);
    }
    for name in &options.wrap {
        binder.request(&format!("__wrap_{name}"));
        // Uses of `__real_NAME` will be uses of `NAME`.
        if binder.symbols.find(&format!("__real_{name}")).is_some() {
            binder.request(name);
        }
    }
    if let Exports::Named(names) = &options.exports {
        for name in names {
            binder.request(name);
        }
    }
    for name in &options.export_if_defined {
        binder.request(name);
    }
    let entry = options.entry.as_deref();
    let entry = entry.and_then(|name| binder.request(name));
    extractor.extract_wanted()?;
    let Some(id) = entry else { return Ok(None) };
    let flags = &mut extractor.binder.symbols[id].flags;
    flags.remove(wasmparser::SymbolFlags::VISIBILITY_HIDDEN);
    destructors(extractor)
}

/// Where crt1 does not run constructors and destructors (before wasi-libc of
/// 2023), the linker does, around the entry.
fn destructors(extractor: &mut Extractor) -> Result<Option<SymbolId>> {
    let symbols = &extractor.binder.symbols;
    let constructors = symbols.find("__wasm_call_ctors");
    if constructors.is_some_and(|id| symbols[id].wanted_by.is_some()) {
        return Ok(None);
    }
    let destructors = extractor.binder.request("__wasm_call_dtors");
    extractor.extract_wanted()?;
    Ok(destructors)
}
