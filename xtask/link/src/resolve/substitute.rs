//! One symbol in place of another: `--defsym`, `--wrap`, and functions that are
//! declared for the host, but that an object defines.

use std::borrow::Cow;

use hashbrown::HashMap;
use wasmparser::SymbolFlags;

use crate::error::{Error, Result};
use crate::index::SymbolId;
use crate::options::Options;
use crate::origin::SymbolKind;
use crate::resolve::resolution::Resolution;
use crate::symbols::{Definition, LinkerAddress, SymbolTable};

/// `--defsym=NAME=SYMBOL`, or a number in place of the symbol.
///
/// # Errors
///
/// If the symbol is not defined.
pub fn defsym<'a>(symbols: &mut SymbolTable<'a>, options: &'a Options) -> Result<()> {
    for (name, target) in &options.defsym {
        let number = match target.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => target.parse().ok(),
        };
        let found = symbols.find(target).filter(|&id| symbols[id].is_defined());
        let (definition, kind, flags) = match (number, found) {
            (Some(number), _) => (
                Definition::Address(LinkerAddress::Absolute(number)),
                SymbolKind::Data,
                SymbolFlags::empty(),
            ),
            (None, Some(id)) => {
                let symbol = &symbols[id];
                (symbol.definition.clone(), symbol.kind, symbol.flags)
            }
            (None, None) => {
                return Err(Error::NoDefsymTarget {
                    name: name.clone(),
                    target: target.clone(),
                }
                .into());
            }
        };
        let (id, _) = symbols.entry(Cow::Borrowed(name), kind);
        let symbol = &mut symbols[id];
        symbol.definition = definition;
        symbol.kind = kind;
        symbol.flags = flags;
    }
    Ok(())
}

/// A function of `hosts`, declared for the host, that an object defines which is
/// linked for its own sake is that object's after all.
pub fn hosts_by_objects(resolution: &mut Resolution, hosts: Vec<SymbolId>) {
    for id in hosts {
        let symbols = &resolution.symbols;
        let Some(other) = symbols.find(&symbols[id].name) else {
            continue;
        };
        if let Definition::Object(definition) = symbols[other].definition
            && resolution.objects[definition.object].is_root
        {
            let kind = symbols[other].kind;
            let symbol = &mut resolution.symbols[id];
            symbol.definition = Definition::Object(definition);
            symbol.is_host = false;
            symbol.kind = kind;
        }
    }
}

/// `--wrap=f`: uses of `f` become `__wrap_f`, those of `__real_f` become `f`.
pub fn wrap(resolution: &mut Resolution, options: &Options) {
    let symbols = &mut resolution.symbols;
    let mut moved: HashMap<SymbolId, SymbolId> = HashMap::new();
    for name in &options.wrap {
        let Some(id) = symbols.find(name) else {
            continue;
        };
        let mut entry = |name: String| symbols.entry(Cow::Owned(name), SymbolKind::Function).0;
        let wrap = entry(format!("__wrap_{name}"));
        let real = entry(format!("__real_{name}"));
        moved.insert(id, wrap);
        moved.insert(real, id);
    }
    if moved.is_empty() {
        return;
    }
    for joined in resolution.objects.iter_mut() {
        for id in joined.bindings.iter_mut().flatten() {
            *id = moved.get(id).copied().unwrap_or(*id);
        }
    }
}
