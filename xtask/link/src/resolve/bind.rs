//! Enters the symbols of objects into the shared table: which of several
//! definitions counts, and what references ask for. One symbol at a time: the
//! member that a reference asks for joins before the next symbol is looked at.
//!
//! Of two definitions a strong one beats a weak one, and the first beats the
//! second. These are wasm-ld's rules; what differs is that a function which the
//! guest declares for the host is never taken from a library.

use std::borrow::Cow;

use hashbrown::{HashMap, HashSet};
use wasmparser::SymbolFlags;

use crate::error::{DuplicateSymbol, Error, Warning};
use crate::index::{IndexVec, LazyId, ObjSymbol, ObjectId, SymbolId, Within};
use crate::input::object::{Object, ObjectSymbol, Referent};
use crate::input::shared::Offered;
use crate::options::{Duplicates, Options};
use crate::origin::{ObjectName, Origin, SymbolKind};
use crate::resolve::resolution::JoinedObject;
use crate::resolve::trace::{Event, Traced};
use crate::signature::Signature;
use crate::symbols::{Definition, ImportAs, InLibrary, Symbol, SymbolTable};

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

/// An object whose symbols are being entered. Until all objects have joined, its
/// id is its place in the order in which they began to.
pub struct Joining<'a> {
    id: ObjectId,
    joined: JoinedObject<'a>,
}

impl Joining<'_> {
    /// Which object it will be.
    pub fn id(&self) -> ObjectId {
        self.id
    }
}

/// What became of an object that joins.
pub enum Step<'a> {
    /// A symbol asks for a member, whose symbols come before those that are left.
    Wants(Joining<'a>, Wanted),
    /// All its symbols are entered: it is part of the link.
    Joined(ObjectId, JoinedObject<'a>),
}

/// What becomes of a symbol that a member offers.
pub enum Offer {
    /// It waits for somebody to want it.
    Waits,
    /// It is wanted already.
    Taken(Wanted),
    /// There is another definition.
    Passed,
}

/// The import that a function declared for the host is: its symbol's name, then
/// module, name, type.
type HostImport<'a> = (&'a str, &'a str, &'a str, Signature<'a>);

/// The shared table while objects join.
pub struct Binder<'a> {
    options: &'a Options,
    /// The symbols so far.
    pub symbols: SymbolTable<'a>,
    /// The member that the symbol which was entered last asks for.
    wanted: Option<Wanted>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
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
            wanted: None,
            warnings: Vec::new(),
            errors: Vec::new(),
            host: HashMap::new(),
            traced: Vec::new(),
            names: IndexVec::new(),
            comdats: HashSet::new(),
        }
    }

    /// Begins to let an object join: the next one.
    pub fn begin(&mut self, object: Object<'a>, joins: Joins) -> Joining<'a> {
        let kept = object.comdats.iter();
        Joining {
            id: self.names.push(object.name),
            joined: JoinedObject {
                bindings: IndexVec::with_capacity(object.symbols.len()),
                is_root: joins != Joins::Extracted,
                is_guest: joins == Joins::Itself { guest: true },
                kept_comdats: kept.map(|name| self.comdats.insert(name)).collect(),
                object,
            },
        }
    }

    /// Enters symbols of the object up to one that asks for a member.
    pub fn advance(&mut self, mut joining: Joining<'a>) -> Step<'a> {
        let Joining { id, joined } = &mut joining;
        while let Some(next) = joined.object.symbols.index_at(joined.bindings.len() as u32) {
            let bound = self.bind(*id, joined, next);
            joined.bindings.push(bound);
            if let Some(wanted) = self.wanted.take() {
                return Step::Wants(joining, wanted);
            }
        }
        Step::Joined(joining.id, joining.joined)
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
                match self.options.duplicates {
                    Duplicates::First => return id,
                    Duplicates::Warn => {
                        let duplicate = self.duplicate(id, at.object);
                        self.warnings.push(duplicate.into());
                    }
                    Duplicates::Error => {
                        let duplicate = self.duplicate(id, at.object);
                        self.errors.push(duplicate.into());
                        return id;
                    }
                }
            }
        }
        let no_strip = self.symbols[id].flags & SymbolFlags::NO_STRIP;
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
                return self.host_function(object, (new.name, module, name, signature));
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
                    self.wanted = Some(Wanted {
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
    fn host_function(&mut self, object: ObjectId, import: HostImport<'a>) -> SymbolId {
        if let Some(&id) = self.host.get(&import) {
            return id;
        }
        let (symbol, module, name, signature) = import;
        let mut symbol = Symbol::new(Cow::Borrowed(symbol), SymbolKind::Function);
        symbol.flags = SymbolFlags::UNDEFINED;
        symbol.import.name = Some((module, name));
        symbol.import.signature = Some(signature);
        symbol.wanted_by = Some(object);
        symbol.is_host = true;
        let id = self.symbols.push(symbol);
        self.host.insert(import, id);
        id
    }

    /// A member, not part of the link yet, offers a symbol; gives what becomes of
    /// the offer.
    pub fn offer(&mut self, name: &'a str, lazy: LazyId) -> Offer {
        let (id, is_new) = self
            .symbols
            .entry(Cow::Borrowed(name), SymbolKind::Function);
        let symbol = &mut self.symbols[id];
        if symbol.is_in_library() {
            return Offer::Passed;
        }
        if is_new || (symbol.definition == Definition::Undefined && symbol.is_weak()) {
            symbol.definition = Definition::Lazy(lazy);
            return Offer::Waits;
        }
        match symbol.definition {
            Definition::Undefined => Offer::Taken(Wanted {
                lazy,
                symbol: id,
                by: symbol.wanted_by,
            }),
            _ => Offer::Passed,
        }
    }

    /// A shared library has a symbol, which is its unless something else defines it.
    pub fn library(&mut self, offered: &Offered<'a>, name: ObjectName<'a>) {
        let &Offered {
            name: symbol,
            kind,
            flags,
            signature,
        } = offered;
        self.trace(self.options, symbol, name, Event::Definition);
        let (id, _) = self.symbols.entry(Cow::Borrowed(symbol), kind);
        let symbol = &mut self.symbols[id];
        if symbol.is_defined() {
            return;
        }
        let is_referred_to = symbol.wanted_by.is_some();
        let other = symbol.kind;
        symbol.library.get_or_insert(InLibrary { name, signature });
        if !is_referred_to || matches!(symbol.definition, Definition::Lazy(_)) {
            symbol.definition = Definition::Undefined;
            symbol.kind = kind;
            symbol.flags = flags;
        } else if other != kind {
            let error = self.kind_mismatch(id, kind, name);
            self.errors.push(error);
        }
    }

    /// Wants what defines a symbol, as if an object referred to it.
    pub fn request(&mut self, id: SymbolId) -> Option<Wanted> {
        let symbol = &mut self.symbols[id];
        let Definition::Lazy(lazy) = symbol.definition else {
            return None;
        };
        symbol.definition = Definition::Undefined;
        Some(Wanted {
            lazy,
            symbol: id,
            by: None,
        })
    }

    /// Gives each object the id that `new` has for it.
    pub fn renumber(&mut self, new: &IndexVec<ObjectId, ObjectId>) {
        for symbol in self.symbols.iter_mut() {
            if let Definition::Object(at) = &mut symbol.definition {
                at.object = new[at.object];
            }
            if let Some(object) = &mut symbol.wanted_by {
                *object = new[*object];
            }
        }
    }

    /// Notes what happens to a symbol, if the options want to hear of it.
    pub fn trace(&mut self, options: &Options, symbol: &str, file: ObjectName, event: Event) {
        if options.trace_symbols.contains(symbol) {
            self.traced.push(Traced::new(symbol, file.into(), event));
        }
    }

    /// The object or shared library that defines a symbol; `None` for the linker.
    pub fn definer(&self, id: SymbolId) -> Option<Origin> {
        let symbol = &self.symbols[id];
        match symbol.definition {
            Definition::Object(symbol) => Some(self.names[symbol.object].into()),
            _ if symbol.is_in_library() => symbol.library.map(|it| it.name.into()),
            _ => None,
        }
    }

    fn duplicate(&self, id: SymbolId, object: ObjectId) -> DuplicateSymbol {
        DuplicateSymbol {
            symbol: self.symbols[id].name.to_string(),
            first: self.definer(id),
            second: self.names[object].into(),
        }
    }

    fn kinds_disagree(&mut self, id: SymbolId, object: ObjectId, kind: SymbolKind) {
        let error = self.kind_mismatch(id, kind, self.names[object]);
        self.errors.push(error);
    }

    /// A symbol is of another kind in a file that comes later.
    fn kind_mismatch(&self, id: SymbolId, kind: SymbolKind, other: ObjectName) -> Error {
        let symbol = &self.symbols[id];
        let first = match symbol.wanted_by {
            Some(first) if !symbol.is_defined() => Some(self.names[first].into()),
            _ => self.definer(id),
        };
        Error::KindMismatch {
            symbol: symbol.name.to_string(),
            first_kind: symbol.kind,
            first,
            second_kind: kind,
            second: other.into(),
        }
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
