//! The symbols of all inputs together, as the phases after reading see them.

use std::borrow::Cow;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use wasmparser::SymbolFlags;

use super::error::Result;
use super::live::{Chunk, FunctionRef};
use super::object::{Kind, Object, Relocation};

/// Index into [`Symbols`].
pub type SymbolId = u32;

/// In an object's bindings: the symbol is the object's own.
pub const LOCAL: SymbolId = u32::MAX;

/// An address that the layout decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
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
    /// A number from the command line, or one that never changes.
    Absolute(u32),
}

/// A global that the linker defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MadeGlobal {
    /// `__stack_pointer`, mutable.
    StackPointer,
    /// `__tls_base`: where thread-local data begins.
    TlsBase,
    /// Whether the constructors have run, mutable.
    InitDone,
}

/// What a symbol stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// Nothing yet.
    Undefined,
    /// A member that is not part of the link yet defines it.
    Lazy(u32),
    /// An entry of an object's symbol table.
    Object {
        /// Index of the object.
        object: u32,
        /// Index into its symbols.
        symbol: u32,
    },
    /// A function that the linker makes.
    Made(u32),
    /// A global that the linker makes.
    Global(MadeGlobal),
    /// An address that the layout decides.
    Address(Address),
    /// The table of functions.
    FunctionTable,
}

/// A symbol that objects share.
#[derive(Debug, Clone)]
pub struct Symbol<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// What it names; of no meaning while [`Definition::Lazy`].
    pub kind: Kind,
    /// Binding, visibility and the like: the definition's, or those of all
    /// references together while there is none.
    pub flags: SymbolFlags,
    /// What it stands for.
    pub definition: Definition,
    /// Type of a function or tag, as encoded.
    pub signature: Option<&'a [u8]>,
    /// Module and name to import it from, if it stays undefined.
    pub import: Option<(&'a str, &'a str)>,
    /// The first object that refers to it and does not define it.
    pub wanted_by: Option<u32>,
    /// Exported by the caller's wish, whatever its flags.
    pub exported: bool,
    /// The host's: an import even if other options forbid undefined symbols.
    pub is_host: bool,
}

impl Symbol<'_> {
    /// Whether something defines it that is part of the link.
    pub fn is_defined(&self) -> bool {
        !matches!(self.definition, Definition::Undefined | Definition::Lazy(_))
    }

    /// Whether it is weak.
    pub fn is_weak(&self) -> bool {
        self.flags.contains(SymbolFlags::BINDING_WEAK)
    }
}

/// The global symbol table.
#[derive(Debug, Default)]
pub struct Symbols<'a> {
    all: Vec<Symbol<'a>>,
    by_name: HashTable<SymbolId>,
    hasher: DefaultHashBuilder,
}

impl<'a> Symbols<'a> {
    /// The symbol of this name.
    pub fn find(&self, name: &str) -> Option<SymbolId> {
        let hash = self.hasher.hash_one(name);
        self.by_name
            .find(hash, |&id| self.all[id as usize].name == name)
            .copied()
    }

    /// The symbol of this name, added as undefined if it is new.
    pub fn entry(&mut self, name: Cow<'a, str>, kind: Kind) -> (SymbolId, bool) {
        let hash = self.hasher.hash_one(&*name);
        let (all, hasher) = (&mut self.all, &self.hasher);
        let found = self
            .by_name
            .find(hash, |&id| all[id as usize].name == name)
            .copied();
        if let Some(id) = found {
            return (id, false);
        }
        let id = all.len() as SymbolId;
        all.push(Symbol {
            name,
            kind,
            flags: SymbolFlags::empty(),
            definition: Definition::Undefined,
            signature: None,
            import: None,
            wanted_by: None,
            exported: false,
            is_host: false,
        });
        self.by_name
            .insert_unique(hash, id, |&id| hasher.hash_one(&*all[id as usize].name));
        (id, true)
    }

    /// Adds a symbol that no name finds.
    pub fn push(&mut self, symbol: Symbol<'a>) -> SymbolId {
        self.all.push(symbol);
        (self.all.len() - 1) as SymbolId
    }

    /// All ids, in the order in which the symbols came up.
    pub fn ids(&self) -> std::ops::Range<SymbolId> {
        0..self.all.len() as SymbolId
    }
}

impl<'a> std::ops::Index<SymbolId> for Symbols<'a> {
    type Output = Symbol<'a>;
    fn index(&self, id: SymbolId) -> &Symbol<'a> {
        &self.all[id as usize]
    }
}

impl<'a> std::ops::IndexMut<SymbolId> for Symbols<'a> {
    fn index_mut(&mut self, id: SymbolId) -> &mut Symbol<'a> {
        &mut self.all[id as usize]
    }
}

/// A function that the linker makes; its body is written when all indices are
/// known.
#[derive(Debug, Clone)]
pub struct Made<'a> {
    /// Its name in the `name` section.
    pub name: String,
    /// Its type, as encoded.
    pub signature: Cow<'a, [u8]>,
    /// What it does.
    pub body: Body,
}

/// What a function that the linker makes does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Traps.
    Unreachable,
    /// Returns zero of its result type, if it has one.
    Zero,
    /// Calls the constructors in the order of their priorities.
    CallCtors,
    /// Fills with zeros the data that has no bytes in the module.
    InitMemory,
    /// Fills memory, then calls the constructors: the module's start function.
    Start,
    /// Calls the constructors the first time.
    InitOnce,
    /// Calls `InitOnce`, then the function of this symbol.
    Export(SymbolId),
    /// Starts a program: the constructors, the entry, the destructors.
    Entry(Entry),
    /// Hands a panic's location to the host, then traps.
    Panic(PanicShape),
}

/// What starting a program takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What runs the constructors, if there are any to run.
    pub constructors: Option<Constructors>,
    /// The program's entry.
    pub entry: SymbolId,
    /// libc's `__wasm_call_dtors`, which flushes what is buffered.
    pub destructors: Option<SymbolId>,
}

/// How constructors are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constructors {
    /// By `__wasm_call_ctors`.
    Always,
    /// By `InitOnce`, since other exports may have called it.
    Once,
}

/// What the parameters of a panic entry point are, besides the location, which
/// comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PanicShape {
    /// Only the location, or others that say nothing to a reader.
    Location,
    /// Address and length of a message.
    Message,
    /// An index and the length it exceeds.
    Bounds,
    /// No location either.
    Nothing,
}

/// All inputs, resolved: what the phases after [`super::resolve`] share.
pub struct Program<'a> {
    /// The objects that are part of the link, in order.
    pub objects: Vec<Object<'a>>,
    /// Per object and symbol, the shared symbol it stands for or [`LOCAL`].
    pub bindings: Vec<Vec<SymbolId>>,
    /// Per object, whether it is linked for its own sake and not for a symbol.
    pub is_root: Vec<bool>,
    /// Per object, whether it is the guest's own.
    pub is_guest: Vec<bool>,
    /// Per object and comdat group, whether this object's copy is the one kept.
    pub kept_comdats: Vec<Vec<bool>>,
    /// The shared symbols.
    pub symbols: Symbols<'a>,
    /// The functions that the linker makes.
    pub made: Vec<Made<'a>>,
    /// libc's destructors, where the linker must see to them.
    pub destructors: Option<SymbolId>,
    /// The import that panics are reported to.
    pub panic_import: Option<SymbolId>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Per object pulled: object, symbol that pulled it, object that wanted it.
    pub pulled: Vec<(u32, SymbolId, Option<u32>)>,
}

/// A definition, seen from an object's symbol or from a shared one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'p> {
    /// An entry of an object's symbol table.
    Object {
        /// Index of the object.
        object: u32,
        /// Index into its symbols.
        symbol: u32,
    },
    /// A shared symbol that no object defines.
    Shared(SymbolId, &'p Definition),
}

impl<'a> Program<'a> {
    /// What a symbol of an object stands for.
    pub fn target(&self, object: u32, symbol: u32) -> Target<'_> {
        match self.bindings[object as usize][symbol as usize] {
            LOCAL => Target::Object { object, symbol },
            id => self.shared_target(id),
        }
    }

    /// Whether a global that code reads is one of the linker's, which holds
    /// the address of data or the table index of a function.
    pub fn is_slot(&self, object: u32, symbol: u32) -> bool {
        match self.target(object, symbol) {
            Target::Object { object, symbol } => {
                self.objects[object as usize].symbols[symbol as usize].kind != Kind::Global
            }
            Target::Shared(id, _) => self.symbols[id].kind != Kind::Global,
        }
    }

    /// What a shared symbol stands for.
    pub fn shared_target(&self, id: SymbolId) -> Target<'_> {
        match &self.symbols[id].definition {
            &Definition::Object { object, symbol } => Target::Object { object, symbol },
            other => Target::Shared(id, other),
        }
    }

    /// Whether the object's copy of this comdat group is left out.
    pub fn is_discarded(&self, object: u32, comdat: u32) -> bool {
        comdat != super::object::NO_COMDAT && !self.kept_comdats[object as usize][comdat as usize]
    }

    /// The relocations of a chunk, and the object that they are of.
    pub fn relocations(&self, chunk: Chunk) -> Result<(u32, &[Relocation])> {
        Ok(match chunk {
            Chunk::Function(object, index) => {
                let o = &self.objects[object as usize];
                (object, o.function_relocations(index as usize)?)
            }
            Chunk::Segment(object, index) => {
                let o = &self.objects[object as usize];
                (object, o.segment_relocations(index as usize)?)
            }
        })
    }

    /// The function that a symbol stands for, if it is one.
    pub fn target_function(&self, target: Target) -> Option<FunctionRef> {
        match target {
            Target::Object { object, symbol } => {
                let symbol = &self.objects[object as usize].symbols[symbol as usize];
                (symbol.kind == Kind::Function).then_some(FunctionRef::Object(object, symbol.index))
            }
            Target::Shared(_, &Definition::Made(made)) => Some(FunctionRef::Made(made)),
            Target::Shared(id, _) => {
                let symbol = &self.symbols[id];
                (symbol.kind == Kind::Function && !symbol.is_defined())
                    .then_some(FunctionRef::Import(id))
            }
        }
    }

    /// The function that a shared symbol stands for.
    pub fn function(&self, id: SymbolId) -> FunctionRef {
        match self.symbols[id].definition {
            Definition::Object { object, symbol } => {
                let symbol = &self.objects[object as usize].symbols[symbol as usize];
                FunctionRef::Object(object, symbol.index)
            }
            Definition::Made(made) => FunctionRef::Made(made),
            _ => FunctionRef::Import(id),
        }
    }

    /// The type of a function symbol, as encoded.
    pub fn signature(&self, id: SymbolId) -> Option<&[u8]> {
        match &self.symbols[id].definition {
            &Definition::Object { object, symbol } => {
                let object = &self.objects[object as usize];
                let symbol = &object.symbols[symbol as usize];
                (symbol.kind == Kind::Function).then(|| object.function_type(symbol))
            }
            Definition::Made(made) => Some(&self.made[*made as usize].signature),
            _ => self.symbols[id].signature,
        }
    }

    /// The type of a function, as encoded; `None` for an import that nothing
    /// has called yet.
    pub fn function_type(&self, function: FunctionRef) -> Option<&[u8]> {
        match function {
            FunctionRef::Import(id) => self.symbols[id].signature,
            FunctionRef::Made(made) => Some(&self.made[made as usize].signature),
            FunctionRef::Object(object, index) => {
                let object = &self.objects[object as usize];
                Some(object.types[object.functions[index as usize].ty as usize])
            }
        }
    }

    /// Adds a function that the linker makes.
    pub fn make(&mut self, made: Made<'a>) -> u32 {
        self.made.push(made);
        (self.made.len() - 1) as u32
    }
}
