//! What relocations write: the number that stands for each symbol in the module.

use std::sync::OnceLock;

use wasmparser::RelocationType;

use crate::error::{Errors, RelocationMisfit};
use crate::index::{
    Address, FunctionIndex, GlobalIndex, IndexVec, ObjCustom, ObjSymbol, ObjType, ObjectId,
    TableSlot, TypeIndex, Within,
};
use crate::indices::IndexSpaces;
use crate::input::object::Referent;
use crate::input::relocation::Relocation;
use crate::layout::Layout;
use crate::live::mark::GotEntry;
use crate::origin::SymbolKind;
use crate::resolve::resolution::{FunctionRef, Resolution, Target};
use crate::symbols::Definition;

/// What a symbol is in the module.
#[derive(Debug, Clone, Copy)]
pub enum Value {
    /// Not there: undefined, weak or dead.
    Absent,
    /// A function, and its slot in the table, if its address is taken.
    Function(FunctionIndex, Option<TableSlot>),
    /// Data.
    Data(Address),
    /// A global.
    Global(GlobalIndex),
    /// A tag or a table.
    Other(u32),
    /// A custom section of the object's.
    Section(Option<ObjCustom>),
}

/// The values of one object's symbols and types.
#[derive(Debug)]
pub struct ObjectValues {
    /// Per symbol.
    pub symbols: IndexVec<ObjSymbol, Value>,
    /// Per type, if the module has it.
    pub types: IndexVec<ObjType, Option<TypeIndex>>,
}

/// Where the bytes that are relocated will be.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// Offset of the first byte in the section's contents of the object.
    pub start: u32,
    /// Its address in linear memory, for data.
    pub address: Address,
}

/// Knows the values of all symbols; computed per object when first needed.
pub struct Values<'p, 'a> {
    resolution: &'p Resolution<'a>,
    layout: &'p Layout<'a>,
    indices: &'p IndexSpaces<'a>,
    objects: IndexVec<ObjectId, OnceLock<ObjectValues>>,
}

impl<'p, 'a> Values<'p, 'a> {
    /// Knows none yet.
    pub fn new(
        resolution: &'p Resolution<'a>,
        layout: &'p Layout<'a>,
        indices: &'p IndexSpaces<'a>,
    ) -> Self {
        Values {
            resolution,
            layout,
            indices,
            objects: resolution.objects.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    /// The values of the symbols and types of one object.
    pub fn of(&self, id: ObjectId) -> &ObjectValues {
        self.objects[id].get_or_init(|| {
            let object = self.resolution.object(id);
            let symbols = object.symbols.indices();
            let types = object.types.iter();
            ObjectValues {
                symbols: symbols
                    .map(|symbol| self.symbol(Within::new(id, symbol)))
                    .collect(),
                types: types.map(|&ty| self.indices.types.index(ty)).collect(),
            }
        })
    }

    fn symbol(&self, symbol: Within<ObjSymbol>) -> Value {
        let declared = self.resolution.object_symbol(symbol);
        if let Referent::Section(custom) = declared.referent {
            return Value::Section(custom);
        }
        let value = self.target(declared.kind, self.resolution.target(symbol));
        // Calls of what other modules may replace go to an import.
        let bound = self.resolution.objects[symbol.object].bindings[symbol.index];
        let import = bound.map(FunctionRef::Undefined);
        match (
            value,
            import.and_then(|it| self.indices.functions.index(it)),
        ) {
            (Value::Function(_, slot), Some(import)) => Value::Function(import, slot),
            _ => value,
        }
    }

    /// What a symbol of this kind that stands for `target` is in the module.
    pub fn target(&self, kind: SymbolKind, target: Target) -> Value {
        let IndexSpaces {
            functions,
            globals,
            tables,
            tags,
            ..
        } = self.indices;
        let found = match kind {
            SymbolKind::Function => {
                let function = self.resolution.target_function(target);
                function.and_then(|function| {
                    let index = functions.index(function)?;
                    Some(Value::Function(index, tables.slot(function)))
                })
            }
            SymbolKind::Data => {
                let address = self.layout.symbol_address(self.resolution, target);
                address.map(Value::Data)
            }
            SymbolKind::Global if self.resolution.is_got_entry(target) => {
                globals.got(GotEntry::of(target)).map(Value::Global)
            }
            SymbolKind::Global => match target {
                Target::Object(at) => match self.resolution.referent(at) {
                    Referent::Global(index) => globals.object(Within::new(at.object, index)),
                    _ => None,
                },
                Target::Shared(_, &Definition::Global(global)) => globals.synthetic(global),
                Target::Shared(id, _) => globals.imported(id),
            }
            .map(Value::Global),
            SymbolKind::Tag => match target {
                Target::Object(at) => match self.resolution.referent(at) {
                    Referent::Tag(index) => tags.object(Within::new(at.object, index)),
                    _ => None,
                },
                Target::Shared(id, _) => tags.imported(id),
            }
            .map(|index| Value::Other(index.into())),
            SymbolKind::Table => match target {
                Target::Object(at) => match self.resolution.referent(at) {
                    Referent::Table(index) => tables.object(Within::new(at.object, index)),
                    _ => None,
                },
                Target::Shared(_, Definition::FunctionTable) => tables.function_table,
                Target::Shared(id, _) => tables.imported(id),
            }
            .map(|index| Value::Other(index.into())),
            SymbolKind::Section => None,
        };
        found.unwrap_or(Value::Absent)
    }

    /// The value that a relocation of an object, whose values are `of`, writes;
    /// `None` if it needs what is not in the module. Of the value, 32-bit types take
    /// the lower half.
    #[inline]
    pub fn value(
        &self,
        id: ObjectId,
        of: &ObjectValues,
        relocation: &Relocation,
        site: Site,
    ) -> Option<u64> {
        use RelocationType::*;
        if relocation.ty == TypeIndexLeb {
            return of.types[relocation.type_index()].map(|ty| u32::from(ty).into());
        }
        let value = of.symbols[relocation.symbol()];
        let address = |Address(address)| {
            let address = i64::from(address) + i64::from(relocation.addend);
            address as u64
        };
        let index = |index: u32| u64::from(index);
        let TableSlot(table_base) = self.layout.table_base;
        Some(match (relocation.ty, value) {
            (FunctionIndexLeb | FunctionIndexI32, Value::Function(at, _)) => index(at.into()),
            (EventIndexLeb | TableNumberLeb, Value::Other(at)) => index(at),
            (GlobalIndexLeb | GlobalIndexI32, Value::Global(at)) => index(at.into()),
            // Position-independent code, which takes addresses from globals.
            (GlobalIndexLeb | GlobalIndexI32, _) => {
                let target = self.resolution.target(Within::new(id, relocation.symbol()));
                index(self.indices.globals.got(GotEntry::of(target))?.into())
            }
            // The slot of a weak function that nothing defines is the null pointer.
            (
                TableIndexSleb | TableIndexI32 | TableIndexSleb64 | TableIndexI64,
                Value::Function(_, Some(TableSlot(slot))),
            ) => index(slot),
            (TableIndexSleb | TableIndexI32 | TableIndexSleb64 | TableIndexI64, _) => 0,
            (
                TableIndexRelSleb | TableIndexRelSleb64,
                Value::Function(_, Some(TableSlot(slot))),
            ) => index(slot).wrapping_sub(table_base.into()),
            (TableIndexRelSleb | TableIndexRelSleb64, _) => 0u64.wrapping_sub(table_base.into()),
            (
                MemoryAddrLeb | MemoryAddrSleb | MemoryAddrI32 | MemoryAddrRelSleb
                | MemoryAddrLeb64 | MemoryAddrSleb64 | MemoryAddrI64 | MemoryAddrRelSleb64,
                value,
            ) => match value {
                Value::Data(data) => address(data),
                // Weak data that nothing defines: the null pointer, whatever the
                // addend.
                _ => 0,
            },
            (MemoryAddrTlsSleb | MemoryAddrTlsSleb64 | MemoryAddrLocrelI32, value) => {
                let data = match value {
                    Value::Data(data) => data,
                    _ => Address(0),
                };
                let Address(base) = match relocation.ty {
                    MemoryAddrLocrelI32 => site.address.plus(relocation.offset - site.start),
                    _ => self.layout.memory.tls.base,
                };
                address(data).wrapping_sub(base.into())
            }
            _ => return None,
        })
    }

    /// An error about a relocation without a value.
    #[cold]
    pub fn absent(&self, id: ObjectId, relocation: &Relocation, section: &str) -> Errors {
        let object = self.resolution.object(id);
        let misfit = if relocation.ty == RelocationType::TypeIndexLeb {
            let ty = crate::index::Index::get(relocation.type_index()) as u32;
            RelocationMisfit::NoType { ty }
        } else {
            let symbol = object.symbols[relocation.symbol()];
            RelocationMisfit::NotInModule {
                symbol: symbol.name.to_owned(),
                kind: symbol.kind,
            }
        };
        object.misfit(section, relocation, misfit)
    }
}
