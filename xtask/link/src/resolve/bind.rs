//! Enters the symbols of objects into the shared table: which of several
//! definitions counts, and what references ask for.
//!
//! Of two definitions a strong one beats a weak one, and the first beats the
//! second. These are wasm-ld's rules; what differs is that a function which the
//! guest declares for the host is never taken from a library.

use std::borrow::Cow;

use hashbrown::{HashMap, HashSet};
use wasmparser::SymbolFlags;

use crate::error::Error;
use crate::index::{IndexVec, LazyId, ObjSymbol, ObjectId, SymbolId, Within};
use crate::input::object::{Object, ObjectSymbol, Referent};
use crate::options::Options;
use crate::origin::{ObjectName, Origin, SymbolKind};
use crate::resolve::resolution::JoinedObject;
use crate::resolve::trace::{Event, Traced};
use crate::signature::Signature;
use crate::symbols::{Definition, ImportAs, Symbol, SymbolTable};

/// How an object comes to be part of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joins {
    /// For its own sake; it is the guest's if `guest`.
    Itself {
        /// Whether it is the guest's own object.
        guest: bool,
    },
    /// For a symbol.
    Extracted,
}

/// A member to be extracted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Which.
    pub lazy: LazyId,
    /// For which symbol.
    pub symbol: SymbolId,
    /// Wanted by whom; `None` for the command line.
    pub by: Option<ObjectId>,
}

/// The import that a function declared for the host is: module, name, type.
type HostImport<'a> = (&'a str, &'a str, Signature<'a>);

/// The shared table while objects join.
pub struct Binder<'a> {
    options: &'a Options,
    /// The symbols so far.
    pub symbols: SymbolTable<'a>,
    /// What is to be extracted because of them.
    pub wanted: Vec<Wanted>,
    /// Symbols that disagree.
    pub errors: Vec<Error>,
    /// Functions declared for the host: no definition of the same name replaces
    /// them.
    pub host: HashMap<HostImport<'a>, SymbolId>,
    /// What happened to symbols that are traced.
    pub traced: Vec<Traced>,
    names: IndexVec<ObjectId, ObjectName<'a>>,
    comdats: HashSet<&'a str>,
}

impl<'a> Binder<'a> {
    /// Knows no symbol yet.
    pub fn new(options: &'a Options) -> Self {
        Binder {
            options,
            symbols: SymbolTable::default(),
            wanted: Vec::new(),
            errors: Vec::new(),
            host: HashMap::new(),
            traced: Vec::new(),
            names: IndexVec::new(),
            comdats: HashSet::new(),
        }
    }

    /// Lets an object join: the next one.
    pub fn join(&mut self, object: Object<'a>, joins: Joins) -> JoinedObject<'a> {
        let id = self.names.push(object.name);
        let kept = object.comdats.iter();
        let kept_comdats = kept.map(|name| self.comdats.insert(name)).collect();
        let mut joined = JoinedObject {
            bindings: IndexVec::new(),
            is_root: joins != Joins::Extracted,
            is_guest: joins == Joins::Itself { guest: true },
            kept_comdats,
            object,
        };
        let symbols = joined.object.symbols.indices();
        joined.bindings = symbols
            .map(|symbol| self.bind(id, &joined, symbol))
            .collect();
        joined
    }

    /// Enters a symbol of an object; `None` if it is the object's own.
    fn bind(
        &mut self,
        id: ObjectId,
        joined: &JoinedObject<'a>,
        index: ObjSymbol,
    ) -> Option<SymbolId> {
        let symbol = joined.object.symbols[index];
        if symbol.kind == SymbolKind::Section || (symbol.is_local() && !symbol.is_undefined()) {
            return None;
        }
        if !self.options.trace_symbols.is_empty() {
            let event = match symbol.is_undefined() {
                true => Event::Reference,
                false => Event::Definition,
            };
            self.trace(self.options, symbol.name, joined.object.name, event);
        }
        let comdat = joined.object.comdat(index);
        let discarded = comdat.is_some_and(|comdat| !joined.kept_comdats[comdat]);
        Some(if symbol.is_undefined() || discarded {
            self.reference(id, joined, symbol)
        } else {
            self.define(Within::new(id, index), symbol)
        })
    }

    fn define(&mut self, at: Within<ObjSymbol>, new: ObjectSymbol<'a>) -> SymbolId {
        let (id, is_new) = self.symbols.entry(Cow::Borrowed(new.name), new.kind);
        let old = &self.symbols[id];
        if !is_new && !matches!(old.definition, Definition::Lazy(_)) && old.kind != new.kind {
            self.kinds_disagree(id, at.object, new.kind);
            return id;
        }
        if old.is_defined() {
            if new.is_weak() {
                return id;
            }
            if !old.is_weak() {
                if !self.options.allow_multiple_definition {
                    self.duplicate(id, at.object);
                }
                return id;
            }
        }
        let no_strip = old.flags & SymbolFlags::NO_STRIP;
        let symbol = &mut self.symbols[id];
        symbol.kind = new.kind;
        symbol.flags = new.flags | no_strip;
        symbol.definition = Definition::Object(at);
        id
    }

    fn reference(
        &mut self,
        object: ObjectId,
        joined: &JoinedObject<'a>,
        new: ObjectSymbol<'a>,
    ) -> SymbolId {
        let import = import_as(&joined.object, &new);
        if let (SymbolKind::Function, Some((module, name)), Some(signature)) =
            (new.kind, import.name, import.signature)
        {
            let declared = joined.is_root && self.options.host_functions.contains(new.name);
            // With `wasm_import_module` the compiler names the import itself.
            let explicit = new.flags.contains(SymbolFlags::EXPLICIT_NAME) || module != "env";
            if (declared || explicit) && !new.is_weak() {
                return self.host_function(object, new.name, (module, name, signature));
            }
        }
        let (id, is_new) = self.symbols.entry(Cow::Borrowed(new.name), new.kind);
        let strong = !new.is_weak();
        let symbol = &mut self.symbols[id];
        if is_new {
            symbol.flags = new.flags;
        }
        symbol.wanted_by.get_or_insert(object);
        match symbol.definition {
            Definition::Lazy(lazy) => {
                symbol.kind = new.kind;
                symbol.import = symbol.import.or(import);
                symbol.flags = new.flags;
                if strong {
                    symbol.definition = Definition::Undefined;
                    self.wanted.push(Wanted {
                        lazy,
                        symbol: id,
                        by: Some(object),
                    });
                }
            }
            Definition::Undefined => {
                if symbol.kind != new.kind {
                    self.kinds_disagree(id, object, new.kind);
                    return id;
                }
                symbol.import = symbol.import.or(import);
                if strong {
                    symbol.flags.remove(SymbolFlags::BINDING_WEAK);
                }
                symbol.flags |= new.flags & SymbolFlags::NO_STRIP;
            }
            _ if symbol.kind != new.kind => self.kinds_disagree(id, object, new.kind),
            _ => {}
        }
        id
    }

    /// The import that a function which is declared for the host stands for.
    fn host_function(
        &mut self,
        object: ObjectId,
        name: &'a str,
        import: HostImport<'a>,
    ) -> SymbolId {
        if let Some(&id) = self.host.get(&import) {
            return id;
        }
        let mut symbol = Symbol::new(Cow::Borrowed(name), SymbolKind::Function);
        symbol.flags = SymbolFlags::UNDEFINED;
        symbol.import.name = Some((import.0, import.1));
        symbol.import.signature = Some(import.2);
        symbol.wanted_by = Some(object);
        symbol.is_host = true;
        let id = self.symbols.push(symbol);
        self.host.insert(import, id);
        id
    }

    /// A member, not part of the link yet, offers a symbol; whether the symbol waits
    /// for somebody to want it.
    pub fn offer(&mut self, name: &'a str, lazy: LazyId) -> bool {
        let (id, is_new) = self
            .symbols
            .entry(Cow::Borrowed(name), SymbolKind::Function);
        let symbol = &mut self.symbols[id];
        if is_new || (symbol.definition == Definition::Undefined && symbol.is_weak()) {
            symbol.definition = Definition::Lazy(lazy);
            return true;
        }
        if symbol.definition == Definition::Undefined {
            let by = symbol.wanted_by;
            self.wanted.push(Wanted {
                lazy,
                symbol: id,
                by,
            });
        }
        false
    }

    /// Wants what defines `name`, as if an object referred to it.
    pub fn request(&mut self, name: &str) -> Option<SymbolId> {
        let id = self.symbols.find(name)?;
        let symbol = &mut self.symbols[id];
        if let Definition::Lazy(lazy) = symbol.definition {
            symbol.definition = Definition::Undefined;
            self.wanted.push(Wanted {
                lazy,
                symbol: id,
                by: None,
            });
        }
        Some(id)
    }

    /// Notes what happens to a symbol, if the options want to hear of it.
    pub fn trace(&mut self, options: &Options, symbol: &str, file: ObjectName, event: Event) {
        if options.trace_symbols.contains(symbol) {
            self.traced.push(Traced::new(symbol, file.into(), event));
        }
    }

    /// The object that defines a symbol; `None` for the linker.
    pub fn definer(&self, id: SymbolId) -> Option<Origin> {
        match self.symbols[id].definition {
            Definition::Object(symbol) => Some(self.names[symbol.object].into()),
            _ => None,
        }
    }

    fn duplicate(&mut self, id: SymbolId, object: ObjectId) {
        self.errors.push(Error::Duplicate {
            symbol: self.symbols[id].name.to_string(),
            first: self.definer(id),
            second: self.names[object].into(),
        });
    }

    fn kinds_disagree(&mut self, id: SymbolId, object: ObjectId, kind: SymbolKind) {
        let symbol = &self.symbols[id];
        let first = match symbol.wanted_by {
            Some(first) if !symbol.is_defined() => Some(self.names[first].into()),
            _ => self.definer(id),
        };
        self.errors.push(Error::KindMismatch {
            symbol: symbol.name.to_string(),
            first_kind: symbol.kind,
            first,
            second_kind: kind,
            second: self.names[object].into(),
        });
    }
}

/// What an object says about a symbol that it does not define, or not for all.
fn import_as<'a>(object: &Object<'a>, symbol: &ObjectSymbol<'a>) -> ImportAs<'a> {
    let mut found = ImportAs {
        signature: object.symbol_type(symbol),
        ..ImportAs::default()
    };
    let Referent::Import(index) = symbol.referent else {
        return found;
    };
    match symbol.kind {
        SymbolKind::Function => {
            let import = object.function_imports[index];
            found.name = Some((import.module, import.name));
        }
        SymbolKind::Tag => {
            let import = object.tag_imports[index];
            found.name = Some((import.module, import.name));
            found.signature = Some(object.types[import.ty]);
        }
        SymbolKind::Global => {
            let import = object.global_imports[index];
            found.name = Some((import.module, import.name));
            found.global = Some(import.ty);
        }
        _ => {
            let import = object.table_imports[index];
            found.name = Some((import.module, import.name));
            found.table = Some(import.ty);
        }
    }
    found
}
