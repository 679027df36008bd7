//! Phase 2: symbols. What a symbol that objects share can stand for, and the
//! table of them.

use std::borrow::Cow;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use wasmparser::{GlobalType, SymbolFlags, TableType};

use crate::index::{Index, IndexVec, LazyId, ObjSymbol, ObjectId, SymbolId, SyntheticId, Within};
use crate::origin::{ObjectName, SymbolKind};
use crate::signature::Signature;

/// An address that the layout decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkerAddress {
    /// Lowest byte of the stack.
    StackLow,
    /// One past the stack's highest byte.
    StackHigh,
    /// The first byte of data.
    GlobalBase,
    /// One past the last byte of data.
    DataEnd,
    /// Where a heap may begin.
    HeapBase,
    /// One past the memory's first size.
    HeapEnd,
    /// Index of the first function in the function table.
    TableBase,
    /// The first byte of the data segment of this name.
    SegmentStart(String),
    /// One past the last byte of the data segment of this name.
    SegmentStop(String),
    /// A byte of zero that the linker reserves.
    ZeroByte,
    /// The end of the first page of memory.
    PageSize,
    /// A number from the command line, or one that never changes.
    Absolute(u32),
}

/// A global that the linker defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SyntheticGlobal {
    /// `__stack_pointer`, mutable.
    StackPointer,
    /// `__tls_base`: where the thread's own data begins; mutable in a memory that
    /// is shared.
    TlsBase,
    /// `__tls_size`: bytes of thread-local data.
    TlsSize,
    /// `__tls_align`: its alignment in bytes.
    TlsAlign,
}

impl SyntheticGlobal {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            SyntheticGlobal::StackPointer => "__stack_pointer",
            SyntheticGlobal::TlsBase => "__tls_base",
            SyntheticGlobal::TlsSize => "__tls_size",
            SyntheticGlobal::TlsAlign => "__tls_align",
        }
    }
}

/// What a symbol stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// Nothing yet.
    Undefined,
    /// A member that is not part of the link yet defines it.
    Lazy(LazyId),
    /// An entry of an object's symbol table.
    Object(Within<ObjSymbol>),
    /// A function that the linker defines.
    Synthetic(SyntheticId),
    /// A global that the linker defines.
    Global(SyntheticGlobal),
    /// An address that the layout decides.
    Address(LinkerAddress),
    /// The table of functions.
    FunctionTable,
}

/// A symbol that objects share.
#[derive(Debug, Clone)]
pub struct Symbol<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// What it names; of no meaning while [`Definition::Lazy`].
    pub kind: SymbolKind,
    /// Binding, visibility and the like: the definition's, or those of all
    /// references together while there is none.
    pub flags: SymbolFlags,
    /// What it stands for.
    pub definition: Definition,
    /// What it would be imported as, if it stays undefined.
    pub import: ImportAs<'a>,
    /// The first object that refers to it and does not define it.
    pub wanted_by: Option<ObjectId>,
    /// The host's: an import even if other options forbid undefined symbols.
    pub is_host: bool,
    /// The shared library that has it, of no meaning once it is defined.
    pub library: Option<InLibrary<'a>>,
}

/// A symbol in a shared library.
#[derive(Debug, Clone, Copy)]
pub struct InLibrary<'a> {
    /// The library.
    pub name: ObjectName<'a>,
    /// The type of a function.
    pub signature: Option<Signature<'a>>,
}

/// How objects that do not define a symbol import it: what the first of them
/// says that says anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImportAs<'a> {
    /// Module and name.
    pub name: Option<(&'a str, &'a str)>,
    /// The type of a function or tag.
    pub signature: Option<Signature<'a>>,
    /// The type of a global.
    pub global: Option<GlobalType>,
    /// The type of a table.
    pub table: Option<TableType>,
}

impl<'a> ImportAs<'a> {
    /// What it says already, and else what `other` does.
    pub fn or(self, other: ImportAs<'a>) -> ImportAs<'a> {
        ImportAs {
            name: self.name.or(other.name),
            signature: self.signature.or(other.signature),
            global: self.global.or(other.global),
            table: self.table.or(other.table),
        }
    }
}

impl<'a> Symbol<'a> {
    /// An undefined symbol that nothing refers to yet.
    pub fn new(name: Cow<'a, str>, kind: SymbolKind) -> Self {
        Symbol {
            name,
            kind,
            flags: SymbolFlags::empty(),
            definition: Definition::Undefined,
            import: ImportAs::default(),
            wanted_by: None,
            is_host: false,
            library: None,
        }
    }

    /// Whether something defines it that is part of the link.
    pub fn is_defined(&self) -> bool {
        !matches!(self.definition, Definition::Undefined | Definition::Lazy(_))
    }

    /// Whether a dynamic linker finds it, in a shared library.
    pub fn is_in_library(&self) -> bool {
        self.library.is_some() && !self.is_defined()
    }

    /// Whether it is weak.
    pub fn is_weak(&self) -> bool {
        self.flags.contains(SymbolFlags::BINDING_WEAK)
    }

    /// The data segment of which it is the start or the end, if it is.
    pub fn bounds(&self) -> Option<&str> {
        match &self.definition {
            Definition::Address(
                LinkerAddress::SegmentStart(name) | LinkerAddress::SegmentStop(name),
            ) => Some(name),
            _ => None,
        }
    }

    /// Whether it is not for others than the objects of this link.
    pub fn is_hidden(&self) -> bool {
        self.flags.contains(SymbolFlags::VISIBILITY_HIDDEN)
    }
}

/// The shared symbols, found by their names.
#[derive(Debug, Default)]
pub struct SymbolTable<'a> {
    all: IndexVec<SymbolId, Symbol<'a>>,
    by_name: HashTable<SymbolId>,
    hasher: DefaultHashBuilder,
}

impl<'a> SymbolTable<'a> {
    /// The symbol of this name.
    pub fn find(&self, name: &str) -> Option<SymbolId> {
        let hash = self.hasher.hash_one(name);
        self.by_name
            .find(hash, |&id| self.all[id].name == name)
            .copied()
    }

    /// The symbol of this name, added as undefined if it is new.
    pub fn entry(&mut self, name: Cow<'a, str>, kind: SymbolKind) -> (SymbolId, bool) {
        let hash = self.hasher.hash_one(&*name);
        let (all, hasher) = (&mut self.all, &self.hasher);
        let found = self.by_name.find(hash, |&id| all[id].name == name);
        if let Some(&id) = found {
            return (id, false);
        }
        let id = all.push(Symbol::new(name, kind));
        self.by_name
            .insert_unique(hash, id, |&id| hasher.hash_one(&*all[id].name));
        (id, true)
    }

    /// Adds a symbol that no name finds.
    pub fn push(&mut self, symbol: Symbol<'a>) -> SymbolId {
        self.all.push(symbol)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// All ids, in the order in which the symbols came up.
    pub fn ids(&self) -> impl Iterator<Item = SymbolId> + use<> {
        (0..self.all.len()).map(SymbolId::new)
    }

    /// All symbols, in the order in which they came up, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Symbol<'a>> {
        self.all.iter_mut()
    }

    /// All symbols, in the order in which they came up.
    pub fn enumerate(&self) -> impl Iterator<Item = (SymbolId, &Symbol<'a>)> {
        self.all.enumerate()
    }
}

impl<'a> std::ops::Index<SymbolId> for SymbolTable<'a> {
    type Output = Symbol<'a>;
    fn index(&self, id: SymbolId) -> &Symbol<'a> {
        &self.all[id]
    }
}

impl<'a> std::ops::IndexMut<SymbolId> for SymbolTable<'a> {
    fn index_mut(&mut self, id: SymbolId) -> &mut Symbol<'a> {
        &mut self.all[id]
    }
}

/// A function that the linker defines for a symbol; its body is written when all
/// indices are known.
#[derive(Debug, Clone)]
pub struct SyntheticFunction<'a> {
    /// Its name in the `name` section.
    pub name: String,
    /// Its type.
    pub signature: Signature<'a>,
    /// What it does.
    pub action: Action,
}

/// What a function that the linker defines for a symbol does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Traps.
    Trap,
    /// Returns zero of its result type, if it has one.
    ReturnZero,
    /// Calls the constructors in the order of their priorities.
    CallCtors,
    /// Writes the addresses into data that only the dynamic linker knows.
    ApplyDataRelocs,
    /// Makes its parameter the address of the thread's own data, and copies that
    /// there.
    InitTls,
    /// Hands a panic's location to the host, if the host is to know, then traps.
    Panic(PanicShape),
}

/// What the parameters of a panic entry point are, besides the location, which
/// comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PanicShape {
    /// Only the location, or others that say nothing to a reader.
    Location,
    /// Address and length of a message.
    Message,
    /// Both words of a `core::fmt::Arguments`, which the host knows.
    Format,
    /// An index and the length it exceeds.
    Bounds,
    /// No location either.
    Nothing,
    /// An allocation failed; the location.
    Allocation,
    /// The same, without the location.
    AllocationNowhere,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_symbol() {
        let mut table = SymbolTable::default();
        let (id, is_new) = table.entry("f".into(), SymbolKind::Function);
        assert!(is_new);
        assert_eq!(table.entry("f".into(), SymbolKind::Data), (id, false));
        assert_eq!(table[id].kind, SymbolKind::Function);
        assert_eq!(table.find("f"), Some(id));
        assert_eq!(table.find("g"), None);
        let nameless = table.push(Symbol::new("g".into(), SymbolKind::Function));
        assert_eq!(table.find("g"), None);
        assert_eq!(table.ids().collect::<Vec<_>>(), [id, nameless]);
    }
}
