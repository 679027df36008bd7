//! What becomes of live symbols that nothing defines: imports, functions that
//! trap, null addresses, or errors.

use crate::error::{Error, Errors, Result, UndefinedReason, UndefinedSymbol, Warning};
use crate::index::{ObjectId, SymbolId};
use crate::libraries::Library;
use crate::live::mark::Reached;
use crate::options::{Options, Unresolved};
use crate::origin::SymbolKind;
use crate::resolve::resolution::Resolution;
use crate::signature::demangle;
use crate::symbols::Symbol;

/// An undefined function whose calls trap, and whose address is null.
#[derive(Debug, Clone)]
pub struct Trap {
    /// The symbol.
    pub symbol: SymbolId,
    /// The name of the function that traps.
    pub name: String,
}

/// What becomes of them.
#[derive(Debug, Default)]
pub struct Settled {
    /// Those that become imports, in the order they were met.
    pub imports: Vec<SymbolId>,
    /// Functions whose calls trap.
    pub traps: Vec<Trap>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

/// Makes each live undefined symbol an import, a trap or null, or reports all
/// that none of this is allowed for.
///
/// # Errors
///
/// If there are any of those.
pub fn settle(resolution: &Resolution, options: &Options, reached: &Reached) -> Result<Settled> {
    let mut settled = Settled::default();
    for &symbol in &reached.called_weak {
        let name = demangle(&resolution.symbols[symbol].name);
        let name = format!("undefined_weak:{name}");
        settled.traps.push(Trap { symbol, name });
    }
    let mut errors = Vec::new();
    for &(id, user) in &reached.undefined {
        let symbol = &resolution.symbols[id];
        if options.is_relocatable() {
            if symbol.kind != SymbolKind::Data {
                settled.imports.push(id);
            }
            continue;
        }
        let is_weak_function = symbol.kind == SymbolKind::Function && symbol.is_weak();
        let is_null = is_weak_function && !options.is_pic();
        if options.is_dynamic() && is_looked_for(symbol, options) && !is_null {
            // An address that is only pointed to comes from the GOT.
            if symbol.kind != SymbolKind::Data
                && (symbol.kind != SymbolKind::Function || reached.called_undefined.contains(&id))
            {
                settled.imports.push(id);
            }
            continue;
        }
        // Only these have a null.
        let has_null = matches!(symbol.kind, SymbolKind::Function | SymbolKind::Data);
        if symbol.is_weak() && has_null {
            continue;
        }
        if may_be_import(resolution, options, id, user) {
            settled.imports.push(id);
            continue;
        }
        let may_be_null = symbol.kind == SymbolKind::Data
            && (options.unresolved == Unresolved::Allow
                || options.allow_undefined.contains(&*symbol.name));
        if may_be_null {
            continue;
        }
        match options.unresolved {
            Unresolved::Warn if has_null => {
                let warning = undefined(resolution, id, user);
                settled.warnings.push(Warning::Undefined(warning));
            }
            Unresolved::Ignore if has_null => {}
            _ => {
                errors.push(Error::Undefined(undefined(resolution, id, user)));
                continue;
            }
        }
        if symbol.kind == SymbolKind::Function {
            settled.traps.push(Trap {
                symbol: id,
                name: "undefined_stub".into(),
            });
        }
    }
    // Calls go to whichever module has the first.
    settled.imports.extend(&reached.replaceable);
    Errors::check(errors)?;
    Ok(settled)
}

/// Whether a dynamic linker is to find an undefined symbol; it has to be no error if
/// it does not find a weak one.
fn is_looked_for(symbol: &Symbol, options: &Options) -> bool {
    options.unresolved == Unresolved::Dynamic || symbol.is_weak() || symbol.is_host
}

fn may_be_import(
    resolution: &Resolution,
    options: &Options,
    id: SymbolId,
    user: Option<ObjectId>,
) -> bool {
    let symbol = &resolution.symbols[id];
    let by_option = matches!(options.unresolved, Unresolved::Import | Unresolved::Allow)
        || options.allow_undefined.contains(&*symbol.name);
    // `wasm_import_module` and its like name the import.
    let explicit = symbol
        .flags
        .contains(wasmparser::SymbolFlags::EXPLICIT_NAME);
    let by_guest = symbol.kind == SymbolKind::Function
        && user.is_some_and(|user| resolution.objects[user].is_guest)
        && Library::missing(&symbol.name).is_none();
    symbol.kind != SymbolKind::Data && (symbol.is_host || explicit || by_option || by_guest)
}

fn undefined(resolution: &Resolution, id: SymbolId, user: Option<ObjectId>) -> UndefinedSymbol {
    let symbol = &resolution.symbols[id];
    UndefinedSymbol {
        symbol: symbol.name.to_string(),
        kind: symbol.kind,
        used_by: user.map(|user| resolution.object(user).name.into()),
        reason: match Library::missing(&symbol.name) {
            Some(library) => UndefinedReason::NotLinked(library),
            None => UndefinedReason::NoInput,
        },
    }
}
