//! What becomes of live symbols that nothing defines: imports, functions that
//! trap, null addresses, or errors.

use hashbrown::{HashMap, HashSet};

use crate::error::{Error, Result, UndefinedReason, UndefinedSymbol, Warning};
use crate::index::{ObjectId, SymbolId, Within};
use crate::libraries::Library;
use crate::live::mark::Reached;
use crate::live::order;
use crate::options::{Options, Unresolved};
use crate::origin::SymbolKind;
use crate::resolve::resolution::Resolution;
use crate::symbols::Symbol;

/// An undefined function whose calls trap, and whose address is null.
#[derive(Debug, Clone)]
pub struct Trap {
    /// The symbol.
    pub symbol: SymbolId,
    /// The name of the function that traps.
    pub name: String,
}

/// The name of a function that traps in place of undefined ones.
pub const UNDEFINED_STUB: &str = "undefined_stub";

/// What becomes of them.
#[derive(Debug, Default)]
pub struct Settled {
    /// Those that become imports: in wasm-ld's order that of all symbols, else the
    /// order in which they were met.
    pub imports: Vec<SymbolId>,
    /// Symbols that are imported as another of these is.
    pub same_imports: Vec<(SymbolId, SymbolId)>,
    /// Functions whose calls trap.
    pub traps: Vec<Trap>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
    /// Those that none of this is allowed for.
    pub errors: Vec<Error>,
}

/// Makes each live undefined symbol an import, a trap or null, or reports all
/// that none of this is allowed for.
///
/// # Errors
///
/// If relocations are damaged.
pub fn settle(resolution: &Resolution, options: &Options, reached: &Reached) -> Result<Settled> {
    let mut settled = Settled::default();
    for &symbol in &reached.called_weak {
        let name = options.shown(&resolution.symbols[symbol].name);
        let name = format!("undefined_weak:{name}");
        settled.traps.push(Trap { symbol, name });
    }
    let mut imports = Vec::new();
    let mut to_report = HashSet::new();
    for &(id, user) in &reached.undefined {
        let symbol = &resolution.symbols[id];
        if options.is_relocatable() {
            if symbol.kind != SymbolKind::Data {
                imports.push(id);
            }
            continue;
        }
        let is_weak_function = symbol.kind == SymbolKind::Function && symbol.is_weak();
        let is_null = is_weak_function && !options.is_pic();
        let is_looked_for = options.is_dynamic() && is_looked_for(symbol, options) && !is_null;
        if is_looked_for || symbol.is_in_library() {
            // An address that is only pointed to comes from the GOT.
            if symbol.kind != SymbolKind::Data
                && (symbol.kind != SymbolKind::Function || reached.called_undefined.contains(&id))
            {
                imports.push(id);
            }
            continue;
        }
        // Only these have a null.
        let has_null = matches!(symbol.kind, SymbolKind::Function | SymbolKind::Data);
        if symbol.is_weak() && has_null {
            continue;
        }
        if may_be_import(resolution, options, id, user) {
            imports.push(id);
            continue;
        }
        let may_be_null = symbol.kind == SymbolKind::Data
            && (options.unresolved == Unresolved::Allow
                || options.allow_undefined.contains(&*symbol.name));
        if may_be_null {
            continue;
        }
        let is_error = !matches!(options.unresolved, Unresolved::Warn | Unresolved::Ignore);
        if is_error || !has_null || options.unresolved == Unresolved::Warn {
            to_report.insert(id);
        }
        if !is_error && symbol.kind == SymbolKind::Function {
            settled.traps.push(Trap {
                symbol: id,
                name: UNDEFINED_STUB.into(),
            });
        }
    }
    // Calls go to whichever module has the first.
    imports.extend(&reached.replaceable);
    if !options.lean {
        imports.sort_unstable();
    }
    settled.coalesce(resolution, imports);
    settled.report(resolution, options, reached, to_report)?;
    Ok(settled)
}

impl Settled {
    /// Of imports with the same names and type, the first stands for all.
    fn coalesce(&mut self, resolution: &Resolution, imports: Vec<SymbolId>) {
        let mut seen = HashMap::new();
        for id in imports {
            let symbol = &resolution.symbols[id];
            let import = &symbol.import;
            let name = import.name.unwrap_or(("env", &symbol.name));
            let key = (symbol.kind, name, import.signature, import.global);
            let may_be_shared = matches!(symbol.kind, SymbolKind::Function | SymbolKind::Global);
            match seen.get(&key) {
                Some(&first) if may_be_shared => self.same_imports.push((id, first)),
                _ => {
                    seen.insert(key, id);
                    self.imports.push(id);
                }
            }
        }
    }

    /// Reports symbols once for each object that refers to them.
    fn report(
        &mut self,
        resolution: &Resolution,
        options: &Options,
        reached: &Reached,
        mut symbols: HashSet<SymbolId>,
    ) -> Result<()> {
        if symbols.is_empty() {
            return Ok(());
        }
        let mut uses: Vec<(SymbolId, Option<ObjectId>)> = Vec::new();
        let mut seen = HashSet::new();
        for object in resolution.objects.indices() {
            order::each_relocation(resolution, reached, object, |relocation| {
                if relocation.ty == wasmparser::RelocationType::TypeIndexLeb {
                    return;
                }
                let symbol = Within::new(object, relocation.symbol());
                let bound = resolution.objects[object].bindings[symbol.index];
                let bound = bound.filter(|id| symbols.contains(id));
                uses.extend(bound.map(|id| (id, Some(object))));
            })?;
        }
        uses.retain(|&used| seen.insert(used));
        for (id, _) in &uses {
            symbols.remove(id);
        }
        // The rest is named by options alone, or by what needs no relocation.
        let others = reached.undefined.iter();
        uses.extend(others.filter(|(id, _)| symbols.contains(id)));
        for (id, user) in uses {
            let report = undefined(resolution, id, user);
            let has_null = matches!(report.kind, SymbolKind::Function | SymbolKind::Data);
            match options.unresolved {
                Unresolved::Warn if has_null => self.warnings.push(Warning::Undefined(report)),
                _ => self.errors.push(Error::Undefined(report)),
            }
        }
        Ok(())
    }
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
