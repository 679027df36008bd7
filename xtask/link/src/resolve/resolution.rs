//! What resolving gives: the objects that are part of the link, and what each of
//! their symbols stands for.

use std::collections::BTreeSet;

use wasmparser::GlobalType;

use crate::error::{Result, Warning};
use crate::index::{
    Comdat, IndexVec, ObjFunction, ObjSegment, ObjSymbol, ObjectId, SymbolId, SyntheticId, Within,
};
use crate::input::object::{Object, ObjectSymbol, Referent};
use crate::input::relocation::Relocation;
use crate::origin::{ObjectName, SymbolKind};
use crate::resolve::trace::Traced;
use crate::signature::Signature;
use crate::symbols::{Definition, SymbolTable, SyntheticFunction};

/// An object that is part of the link.
#[derive(Debug)]
pub struct JoinedObject<'a> {
    /// Its tables.
    pub object: Object<'a>,
    /// Per symbol, the shared one that it stands for; `None` for its own.
    pub bindings: IndexVec<ObjSymbol, Option<SymbolId>>,
    /// Whether it is linked for its own sake and not for a symbol.
    pub is_root: bool,
    /// Whether it is the guest's own.
    pub is_guest: bool,
    /// Per comdat group, whether this object's copy is the one kept.
    pub kept_comdats: IndexVec<Comdat, bool>,
}

/// Why an object from an archive is part of the link.
#[derive(Debug, Clone, Copy)]
pub struct Extraction {
    /// The object.
    pub object: ObjectId,
    /// The symbol that it was extracted for.
    pub symbol: SymbolId,
    /// Who wanted that; `None` for the command line.
    pub wanted_by: Option<ObjectId>,
}

/// All inputs, resolved: what the later phases borrow.
#[derive(Debug)]
pub struct Resolution<'a> {
    /// The objects that are part of the link, in order: members of archives before
    /// what needed them.
    pub objects: IndexVec<ObjectId, JoinedObject<'a>>,
    /// The shared symbols.
    pub symbols: SymbolTable<'a>,
    /// The functions that the linker defines for symbols.
    pub synthetic: IndexVec<SyntheticId, SyntheticFunction<'a>>,
    /// `__wasm_call_ctors` among them.
    pub call_ctors: SyntheticId,
    /// libc's destructors, where the linker must see to them.
    pub destructors: Option<SymbolId>,
    /// The function that panics are reported to.
    pub panic_report: Option<PanicReport>,
    /// Whether addresses have 64 bits.
    pub is_64: bool,
    /// The features of WebAssembly that the module may use.
    pub features: BTreeSet<&'a str>,
    /// The shared libraries that a dynamic linker is to load with the module.
    pub libraries: Vec<ObjectName<'a>>,
    /// Whether the module is for a dynamic linker.
    pub is_dynamic: bool,
    /// What the user should know.
    pub warnings: Vec<Warning>,
    /// What came from archives, in order.
    pub extracted: Vec<Extraction>,
    /// What happened to symbols that are traced, in order.
    pub traced: Vec<Traced>,
}

/// A definition, seen from an object's symbol or from a shared one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'p> {
    /// An entry of an object's symbol table.
    Object(Within<ObjSymbol>),
    /// A shared symbol that no object defines.
    Shared(SymbolId, &'p Definition),
}

/// A function, wherever it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FunctionRef {
    /// One that nothing defines: an import, or calls of it trap.
    Undefined(SymbolId),
    /// One that the linker defines for a symbol.
    Synthetic(SyntheticId),
    /// An object's.
    Object(Within<ObjFunction>),
}

/// The function that panics are reported to.
#[derive(Debug, Clone, Copy)]
pub struct PanicReport {
    /// Of the function.
    pub symbol: SymbolId,
    /// Whether it is an input's; else it is the host's, and an import.
    pub is_own: bool,
}

/// Something with relocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Chunk {
    /// A function of an object.
    Function(Within<ObjFunction>),
    /// A data segment of an object.
    Segment(Within<ObjSegment>),
}

impl Chunk {
    /// The object that it is of.
    pub fn object(self) -> ObjectId {
        match self {
            Chunk::Function(function) => function.object,
            Chunk::Segment(segment) => segment.object,
        }
    }
}

impl<'a> Resolution<'a> {
    /// An object's tables.
    #[inline]
    pub fn object(&self, id: ObjectId) -> &Object<'a> {
        &self.objects[id].object
    }

    /// All objects' tables, in order.
    pub fn all_objects(&self) -> impl Iterator<Item = (ObjectId, &Object<'a>)> {
        let all = self.objects.enumerate();
        all.map(|(id, joined)| (id, &joined.object))
    }

    /// An entry of an object's symbol table.
    pub fn object_symbol(&self, symbol: Within<ObjSymbol>) -> &ObjectSymbol<'a> {
        &self.object(symbol.object).symbols[symbol.index]
    }

    /// What a symbol of an object stands for.
    pub fn target(&self, symbol: Within<ObjSymbol>) -> Target<'_> {
        match self.objects[symbol.object].bindings[symbol.index] {
            None => Target::Object(symbol),
            Some(id) => self.shared_target(id),
        }
    }

    /// What a shared symbol stands for.
    pub fn shared_target(&self, id: SymbolId) -> Target<'_> {
        match &self.symbols[id].definition {
            &Definition::Object(symbol) => Target::Object(symbol),
            other => Target::Shared(id, other),
        }
    }

    /// Whether a global that code reads is a GOT entry: one of the linker's,
    /// which holds the address of data or the table slot of a function.
    pub fn is_got_entry(&self, target: Target) -> bool {
        let kind = match target {
            Target::Object(symbol) => self.object_symbol(symbol).kind,
            Target::Shared(id, _) => self.symbols[id].kind,
        };
        kind != SymbolKind::Global
    }

    /// Whether the object's copy of this comdat group is left out.
    pub fn is_discarded(&self, object: ObjectId, comdat: Option<Comdat>) -> bool {
        comdat.is_some_and(|comdat| !self.objects[object].kept_comdats[comdat])
    }

    /// The relocations of a chunk.
    pub fn relocations(&self, chunk: Chunk) -> Result<&[Relocation]> {
        match chunk {
            Chunk::Function(f) => self.object(f.object).function_relocations(f.index),
            Chunk::Segment(s) => self.object(s.object).segment_relocations(s.index),
        }
    }

    /// The function that a target is, if it is one.
    pub fn target_function(&self, target: Target) -> Option<FunctionRef> {
        match target {
            Target::Object(symbol) => {
                let function = self.object(symbol.object).defined_function(symbol.index)?;
                Some(FunctionRef::Object(Within::new(symbol.object, function)))
            }
            Target::Shared(_, &Definition::Synthetic(id)) => Some(FunctionRef::Synthetic(id)),
            Target::Shared(id, _) => {
                let symbol = &self.symbols[id];
                (symbol.kind == SymbolKind::Function && !symbol.is_defined())
                    .then_some(FunctionRef::Undefined(id))
            }
        }
    }

    /// The type of a function symbol; `None` for what is none, and for an import
    /// that nothing has called yet.
    pub fn symbol_type(&self, id: SymbolId) -> Option<Signature<'a>> {
        match self.symbols[id].definition {
            Definition::Object(symbol) => {
                let object = self.object(symbol.object);
                object.symbol_type(&object.symbols[symbol.index])
            }
            Definition::Synthetic(id) => Some(self.synthetic[id].signature),
            _ => self.symbols[id].import.signature,
        }
    }

    /// The type of a function; `None` for an import that nothing has called yet.
    pub fn function_type(&self, function: FunctionRef) -> Option<Signature<'a>> {
        match function {
            FunctionRef::Undefined(id) => self.symbols[id].import.signature,
            FunctionRef::Synthetic(id) => Some(self.synthetic[id].signature),
            FunctionRef::Object(f) => Some(self.object(f.object).function_type(f.index)),
        }
    }

    /// The comdat group that a symbol is part of, if another copy of it is kept.
    pub fn discarded_group(&self, target: Target) -> Option<&'a str> {
        let Target::Object(symbol) = target else {
            return None;
        };
        let object = self.object(symbol.object);
        let comdat = object.comdat(symbol.index);
        let is_discarded = self.is_discarded(symbol.object, comdat);
        comdat
            .filter(|_| is_discarded)
            .map(|comdat| object.comdats[comdat])
    }

    /// The type of a global that an object defines.
    pub fn global_type(&self, symbol: Within<ObjSymbol>) -> Option<GlobalType> {
        match self.referent(symbol) {
            Referent::Global(index) => Some(self.object(symbol.object).globals[index].ty),
            _ => None,
        }
    }

    /// What a global or a table that a symbol stands for is in its object.
    pub fn referent(&self, symbol: Within<ObjSymbol>) -> Referent {
        self.object_symbol(symbol).referent
    }
}
