//! What stub libraries say of the host's functions: they may stay undefined, and
//! what they need of the module is exported.

use wasmparser::SymbolFlags;

use crate::error::{Error, Result};
use crate::options::Options;
use crate::origin::ObjectName;
use crate::resolve::extract::Extractor;
use crate::resolve::trace::Event;

/// Makes undefined functions that a stub library names the host's, and exports
/// what these need; members are extracted for that.
///
/// # Errors
///
/// If a member is damaged.
pub fn apply(extractor: &mut Extractor, options: &Options) -> Result<()> {
    let stubs = std::mem::take(&mut extractor.stubs);
    // What is extracted may want more of the host.
    loop {
        let before = extractor.objects.len();
        for (library, stubs) in &stubs {
            for stub in stubs {
                let found = extractor.binder.symbols.find(stub.symbol);
                let Some(id) = found.filter(|&id| !extractor.binder.symbols[id].is_defined())
                else {
                    continue;
                };
                let symbol = &mut extractor.binder.symbols[id];
                // No library's, even if one offers it for a weak reference.
                if symbol.wanted_by.is_none() || std::mem::replace(&mut symbol.is_host, true) {
                    continue;
                }
                extractor
                    .binder
                    .trace(options, stub.symbol, *library, Event::Import);
                for needed in &stub.needs {
                    export(extractor, options, *library, stub.symbol, needed)?;
                }
            }
        }
        if extractor.objects.len() == before {
            return Ok(());
        }
    }
}

/// Exports what the function `by` of a stub library needs.
fn export(
    extractor: &mut Extractor,
    options: &Options,
    library: ObjectName,
    by: &str,
    needed: &str,
) -> Result<()> {
    let id = extractor.binder.request(needed);
    extractor.extract_wanted()?;
    let binder = &mut extractor.binder;
    match id.filter(|&id| binder.symbols[id].is_defined()) {
        Some(id) => {
            binder.symbols[id].flags |= SymbolFlags::EXPORTED;
            let by = by.to_owned();
            binder.trace(options, needed, library, Event::Export { by });
        }
        None => binder.errors.push(Error::NeededByStub {
            origin: library.into(),
            symbol: needed.to_owned(),
            by: by.to_owned(),
        }),
    }
    Ok(())
}
