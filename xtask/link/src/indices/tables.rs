//! The indices of tables, the function table among them, and the slots of that.

use hashbrown::HashMap;

use crate::index::{Index, IndexVec, ObjTable, ObjectId, SymbolId, TableIndex, TableSlot, Within};
use crate::indices::functions::Functions;
use crate::input::object::FUNCTION_TABLE;
use crate::layout::Layout;
use crate::live::Live;
use crate::options::Options;
use crate::origin::SymbolKind;
use crate::resolve::resolution::{FunctionRef, Resolution};

/// The tables of the module.
#[derive(Debug, Default)]
pub struct Tables {
    /// The table of functions, if there is one.
    pub function_table: Option<TableIndex>,
    /// Tables of objects that the module defines, after the table of functions.
    pub defined: Vec<Within<ObjTable>>,
    /// Functions whose address is taken, in the order of their slots.
    pub elements: Vec<FunctionRef>,
    imported: HashMap<SymbolId, TableIndex>,
    objects: IndexVec<ObjectId, IndexVec<ObjTable, Option<TableIndex>>>,
    slots: HashMap<FunctionRef, TableSlot>,
}

/// Numbers them.
pub fn number(
    resolution: &Resolution,
    live: &Live,
    layout: &Layout,
    functions: &Functions,
    options: &Options,
) -> Tables {
    let mut tables = Tables::default();
    let mut count = 0;
    let mut next = || {
        count += 1;
        TableIndex::new(count - 1)
    };
    let wanted =
        live.reached.function_table || !live.address_taken.is_empty() || options.table.export;
    if wanted && options.table.import {
        tables.function_table = Some(next());
    }
    for &id in &live.imports {
        let symbol = &resolution.symbols[id];
        if symbol.kind == SymbolKind::Table {
            let index = next();
            tables.imported.insert(id, index);
            // An object imports it as any other.
            if options.is_relocatable() && symbol.name == FUNCTION_TABLE {
                tables.function_table = Some(index);
            }
        }
    }
    let mut elements = live.address_taken.clone();
    if options.lean {
        elements.sort_by_key(|&function| functions.index(function));
    }
    for (position, &function) in elements.iter().enumerate() {
        let slot = TableSlot(layout.table_base.0 + position as u32);
        tables.slots.insert(function, slot);
    }
    if tables.function_table.is_none() && wanted && !options.is_relocatable() {
        tables.function_table = Some(next());
    }
    tables.elements = elements;
    for (id, reached) in live.reached.objects.enumerate() {
        let mut indices = IndexVec::filled(reached.tables.len(), None);
        for table in reached.tables.marked() {
            indices[table] = Some(next());
            tables.defined.push(Within::new(id, table));
        }
        tables.objects.push(indices);
    }
    tables
}

impl Tables {
    /// The slot of a function whose address is taken.
    pub fn slot(&self, function: FunctionRef) -> Option<TableSlot> {
        self.slots.get(&function).copied()
    }

    /// Whether an imported table is the table of functions.
    pub fn is_function_table(&self, id: SymbolId) -> bool {
        self.function_table.is_some() && self.imported(id) == self.function_table
    }

    /// The index of an imported table.
    pub fn imported(&self, id: SymbolId) -> Option<TableIndex> {
        self.imported.get(&id).copied()
    }

    /// The index of an object's table, if it is live.
    pub fn object(&self, table: Within<ObjTable>) -> Option<TableIndex> {
        self.objects[table.object][table.index]
    }
}
