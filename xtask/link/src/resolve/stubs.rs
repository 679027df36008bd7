//! What stub libraries say of the host's functions: they may stay undefined, and
//! what they need of the module is exported.

use hashbrown::HashSet;
use wasmparser::SymbolFlags;

use crate::error::{Error, Result};
use crate::index::SymbolId;
use crate::options::Options;
use crate::origin::ObjectName;
use crate::resolve::extract::Extractor;
use crate::resolve::trace::Event;
use crate::symbols::SymbolTable;

/// Makes undefined functions that a stub library names the host's, and exports
/// what these need; members are extracted for that.
///
/// # Errors
///
/// If a member is damaged.
pub fn apply(extractor: &mut Extractor, options: &Options) -> Result<()> {
    let stubs = std::mem::take(&mut extractor.stubs);
    let mut seen: HashSet<SymbolId> = HashSet::new();
    // What is extracted may want more of the host.
    loop {
        let before = extractor.joined_count();
        let symbols = extractor.binder.symbols.enumerate();
        let hosts = symbols.filter(|(_, symbol)| symbol.is_host && !symbol.is_defined());
        let hosts: Vec<SymbolId> = hosts.map(|(id, _)| id).collect();
        for (library, stubs) in &stubs {
            for stub in stubs {
                for id in wanted(&extractor.binder.symbols, &hosts, stub.symbol) {
                    if !seen.insert(id) {
                        continue;
                    }
                    // No library's, even if one offers it for a weak reference.
                    extractor.binder.symbols[id].is_host = true;
                    let event = Event::Import;
                    extractor
                        .binder
                        .trace(options, stub.symbol, *library, event);
                    for needed in &stub.needs {
                        export(extractor, options, *library, stub.symbol, needed)?;
                    }
                }
            }
        }
        if extractor.joined_count() == before {
            return Ok(());
        }
    }
}

/// The undefined symbols that a stub library means by `name`: that of the name, and
/// functions of `hosts` that objects call or import by it.
fn wanted(symbols: &SymbolTable, hosts: &[SymbolId], name: &str) -> Vec<SymbolId> {
    let is_wanted = |id: &SymbolId| {
        let symbol = &symbols[*id];
        !symbol.is_defined() && symbol.wanted_by.is_some()
    };
    let imports = |id: &&SymbolId| {
        let symbol = &symbols[**id];
        symbol.name == name || symbol.import.name.is_some_and(|(_, field)| field == name)
    };
    let mut found: Vec<SymbolId> = symbols.find(name).into_iter().collect();
    found.extend(hosts.iter().filter(imports));
    found.retain(is_wanted);
    found
}

/// Exports what the function `by` of a stub library needs.
fn export(
    extractor: &mut Extractor,
    options: &Options,
    library: ObjectName,
    by: &str,
    needed: &str,
) -> Result<()> {
    let id = extractor.request(needed)?;
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
