//! The `linking` section of what is linked again or taken apart by tools: symbol
//! table, names of data segments, constructors, comdat groups. As tool-conventions'
//! Linking.md has it.

use wasm_encoder::{CustomSection, Encode, Section};
use wasmparser::SymbolFlags;

use crate::index::{IndexVec, ObjSymbol, ObjectId, SymbolId, Within};
use crate::input::object::Referent;
use crate::origin::SymbolKind;
use crate::output::parts::Parts;
use crate::output::subsections;
use crate::output::values::{Value, Values};
use crate::resolve::resolution::{FunctionRef, Target};
use crate::symbols::Definition;

/// The version of the section.
const VERSION: u32 = 2;

// Subsections.
const SEGMENT_INFO: u8 = 5;
const INIT_FUNCS: u8 = 6;
const COMDAT_INFO: u8 = 7;
const SYMBOL_TABLE: u8 = 8;

// Kinds of a comdat group's members.
const COMDAT_DATA: u8 = 0;
const COMDAT_FUNCTION: u8 = 1;

/// The module's symbol table, and what its numbers are.
pub struct SymbolTable {
    entries: Vec<u8>,
    count: u32,
    shared: IndexVec<SymbolId, Option<u32>>,
    own: IndexVec<ObjectId, IndexVec<ObjSymbol, Option<u32>>>,
}

/// An entry, but for its kind.
struct Entry<'p> {
    flags: SymbolFlags,
    name: &'p str,
    value: Value,
}

impl SymbolTable {
    /// Lists the symbols of all that the module has: shared ones, then the
    /// objects' own.
    pub fn new(parts: &Parts, values: &Values) -> Self {
        let resolution = parts.resolution;
        let mut table = SymbolTable {
            entries: Vec::new(),
            count: 0,
            shared: IndexVec::new(),
            own: IndexVec::new(),
        };
        for id in resolution.symbols.ids() {
            let number = table.add_shared(parts, values, id);
            table.shared.push(number);
        }
        for (id, joined) in resolution.objects.enumerate() {
            let bindings = joined.bindings.enumerate();
            let numbers = bindings.map(|(index, bound)| match bound {
                Some(_) => None,
                None => table.add_own(parts, values, Within::new(id, index)),
            });
            let numbers = numbers.collect();
            table.own.push(numbers);
        }
        table
    }

    /// Adds the symbols of custom sections, of which there are `count`, the first
    /// being the module's section `first`; gives the first one's number.
    pub fn add_sections(&mut self, first: u32, count: usize) -> u32 {
        let number = self.count;
        for section in first..first + count as u32 {
            self.entries.push(kind(SymbolKind::Section));
            SymbolFlags::BINDING_LOCAL.bits().encode(&mut self.entries);
            section.encode(&mut self.entries);
            self.count += 1;
        }
        number
    }

    /// The number of what an object's symbol stands for, if the module has it.
    pub fn number(&self, parts: &Parts, symbol: Within<ObjSymbol>) -> Option<u32> {
        match parts.resolution.objects[symbol.object].bindings[symbol.index] {
            Some(id) => self.shared[id],
            None => self.own[symbol.object][symbol.index],
        }
    }

    fn add_shared(&mut self, parts: &Parts, values: &Values, id: SymbolId) -> Option<u32> {
        let symbol = &parts.resolution.symbols[id];
        let target = parts.resolution.shared_target(id);
        let value = values.target(symbol.kind, target);
        let name = &*symbol.name;
        if symbol.is_defined() {
            let mut flags = symbol.flags - SymbolFlags::UNDEFINED - SymbolFlags::EXPLICIT_NAME;
            // Another object may have one of the same name.
            if parts.options.is_relocatable()
                && matches!(symbol.definition, Definition::Synthetic(_))
            {
                flags = SymbolFlags::BINDING_LOCAL;
            }
            let entry = Entry { flags, name, value };
            return self.define(parts, symbol.kind, entry, target);
        }
        if let Some(trap) = parts.live.traps.iter().find(|trap| trap.symbol == id) {
            let entry = Entry {
                flags: SymbolFlags::BINDING_LOCAL | SymbolFlags::VISIBILITY_HIDDEN,
                name: &trap.name,
                value,
            };
            return self.define(parts, symbol.kind, entry, target);
        }
        let mut flags = symbol.flags | SymbolFlags::UNDEFINED;
        if symbol.is_host || symbol.import.name.is_some_and(|(_, field)| field != name) {
            flags |= SymbolFlags::EXPLICIT_NAME;
        }
        let is_wanted = symbol.kind == SymbolKind::Data
            && symbol.wanted_by.is_some()
            && parts.options.is_relocatable();
        match value {
            Value::Function(..) | Value::Global(_) | Value::Other(_) => {
                let entry = Entry { flags, name, value };
                Some(self.indexed(symbol.kind, entry))
            }
            Value::Absent if is_wanted => {
                self.begin(symbol.kind, flags);
                name.encode(&mut self.entries);
                Some(self.end())
            }
            _ => None,
        }
    }

    fn add_own(&mut self, parts: &Parts, values: &Values, at: Within<ObjSymbol>) -> Option<u32> {
        let symbol = parts.resolution.object_symbol(at);
        let target = Target::Object(at);
        let entry = Entry {
            flags: symbol.flags,
            name: symbol.name,
            value: values.target(symbol.kind, target),
        };
        self.define(parts, symbol.kind, entry, target)
    }

    /// Adds what the module defines, if it does.
    fn define(
        &mut self,
        parts: &Parts,
        kind: SymbolKind,
        entry: Entry,
        target: Target,
    ) -> Option<u32> {
        let address = match entry.value {
            Value::Absent | Value::Section(_) => return None,
            Value::Data(address) => address,
            Value::Function(..) | Value::Global(_) | Value::Other(_) => {
                return Some(self.indexed(kind, entry));
            }
        };
        let (place, size) = match target {
            Target::Object(at) => match parts.resolution.referent(at) {
                Referent::Data {
                    segment,
                    offset,
                    size,
                } => {
                    let segment = Within::new(at.object, segment);
                    (parts.layout.within_segments(segment, offset), size)
                }
                _ => (None, 0),
            },
            Target::Shared(..) => (None, 0),
        };
        let mut flags = entry.flags;
        flags.set(SymbolFlags::ABSOLUTE, place.is_none());
        let (segment, offset) = place.unwrap_or((0, address.0));
        self.begin(kind, flags);
        entry.name.encode(&mut self.entries);
        segment.encode(&mut self.entries);
        offset.encode(&mut self.entries);
        size.encode(&mut self.entries);
        Some(self.end())
    }

    /// Adds a function, global, tag or table: its index, and its name unless that
    /// is its import's.
    fn indexed(&mut self, kind: SymbolKind, entry: Entry) -> u32 {
        let index = match entry.value {
            Value::Function(index, _) => index.into(),
            Value::Global(index) => index.into(),
            Value::Other(index) => index,
            Value::Absent | Value::Data(_) | Value::Section(_) => 0,
        };
        self.begin(kind, entry.flags);
        index.encode(&mut self.entries);
        let named = SymbolFlags::EXPLICIT_NAME;
        if !entry.flags.contains(SymbolFlags::UNDEFINED) || entry.flags.contains(named) {
            entry.name.encode(&mut self.entries);
        }
        self.end()
    }

    fn begin(&mut self, of: SymbolKind, flags: SymbolFlags) {
        self.entries.push(kind(of));
        flags.bits().encode(&mut self.entries);
    }

    fn end(&mut self) -> u32 {
        self.count += 1;
        self.count - 1
    }
}

/// The number by which the format knows a kind of symbol.
fn kind(kind: SymbolKind) -> u8 {
    match kind {
        SymbolKind::Function => 0,
        SymbolKind::Data => 1,
        SymbolKind::Global => 2,
        SymbolKind::Section => 3,
        SymbolKind::Tag => 4,
        SymbolKind::Table => 5,
    }
}

/// Appends the section.
pub fn section(parts: &Parts, symbols: &SymbolTable, out: &mut Vec<u8>) {
    let mut data = Vec::new();
    VERSION.encode(&mut data);
    let mut table = Vec::new();
    symbols.count.encode(&mut table);
    table.extend_from_slice(&symbols.entries);
    subsections::append(SYMBOL_TABLE, &table, &mut data);
    subsections::append(SEGMENT_INFO, &segment_info(parts), &mut data);
    subsections::append(INIT_FUNCS, &init_funcs(parts, symbols), &mut data);
    if parts.options.is_relocatable() {
        subsections::append(COMDAT_INFO, &comdats(parts), &mut data);
    }
    CustomSection {
        name: "linking".into(),
        data: data.into(),
    }
    .append_to(out);
}

fn segment_info(parts: &Parts) -> Vec<u8> {
    let (mut count, mut items) = (0, Vec::new());
    for (segment, _) in parts.layout.segments() {
        count += 1;
        segment.name.encode(&mut items);
        segment.align.encode(&mut items);
        segment.flags.encode(&mut items);
    }
    subsections::list(count, &items)
}

/// The constructors that are in the module, by priority.
fn init_funcs(parts: &Parts, symbols: &SymbolTable) -> Vec<u8> {
    let mut all: Vec<(u32, u32)> = Vec::new();
    for (id, object) in parts.resolution.all_objects() {
        for &(priority, symbol) in &object.init_functions {
            let number = symbols.number(parts, Within::new(id, symbol));
            all.extend(number.map(|number| (priority, number)));
        }
    }
    all.sort_by_key(|&(priority, _)| priority);
    let mut items = Vec::new();
    for (priority, number) in &all {
        priority.encode(&mut items);
        number.encode(&mut items);
    }
    subsections::list(all.len(), &items)
}

/// The comdat groups that are kept, each of one object.
fn comdats(parts: &Parts) -> Vec<u8> {
    let (mut count, mut items) = (0, Vec::new());
    for (id, joined) in parts.resolution.objects.enumerate() {
        let object = &joined.object;
        let mut members = IndexVec::filled(object.comdats.len(), (0, Vec::new()));
        let mut add = |comdat, kind: u8, index: Option<u32>| {
            if let (Some(comdat), Some(index)) = (comdat, index) {
                let (count, members): &mut (usize, Vec<u8>) = &mut members[comdat];
                *count += 1;
                members.push(kind);
                index.encode(members);
            }
        };
        for (index, segment) in object.segments.enumerate() {
            let place = parts.layout.within_segments(Within::new(id, index), 0);
            add(
                segment.comdat,
                COMDAT_DATA,
                place.map(|(segment, _)| segment),
            );
        }
        for (index, function) in object.functions.enumerate() {
            let of = FunctionRef::Object(Within::new(id, index));
            let index = parts.indices.functions.index(of);
            add(function.comdat, COMDAT_FUNCTION, index.map(u32::from));
        }
        for (comdat, (members, bytes)) in members.enumerate() {
            if *members > 0 {
                count += 1;
                object.comdats[comdat].encode(&mut items);
                // No flags are defined.
                0u32.encode(&mut items);
                members.encode(&mut items);
                items.extend_from_slice(bytes);
            }
        }
    }
    subsections::list(count, &items)
}
