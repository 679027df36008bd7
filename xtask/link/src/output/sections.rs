//! The small sections: types, imports, functions, tables, memory, tags, globals,
//! start, elements.

use wasm_encoder::reencode::{Error as ReencodeError, Reencode, RoundtripReencoder};
use wasm_encoder::{
    ConstExpr, ElementSection, Elements, Encode, EntityType, FunctionSection, GlobalSection,
    GlobalType, ImportSection, MemorySection, MemoryType, RefType, Section, SectionId,
    StartSection, TableSection, TableType, TagKind, TagSection, TagType, ValType,
};

use crate::error::{Error, Result, UndefinedReason, UndefinedSymbol, Unsupported};
use crate::index::{SymbolId, TypeIndex};
use crate::indices::globals::DefinedGlobal;
use crate::indices::types;
use crate::input::object::FUNCTION_TABLE;
use crate::live::mark::GotEntry;
use crate::origin::{ObjectName, SymbolKind};
use crate::output::dynamic;
use crate::output::parts::Parts;
use crate::resolve::resolution::Target;
use crate::signature::Signature;
use crate::symbols::{Symbol, SyntheticGlobal};

/// Types are copied as the objects encode them.
pub fn types(parts: &Parts, out: &mut Vec<u8>) {
    let types = &parts.indices.types.all;
    if types.is_empty() {
        return;
    }
    let mut contents = Vec::new();
    types.len().encode(&mut contents);
    for ty in types {
        contents.extend_from_slice(ty.encoded());
    }
    out.push(SectionId::Type.into());
    contents.len().encode(out);
    out.append(&mut contents);
}

/// The index of a type that `indices` has seen.
fn type_index(parts: &Parts, signature: Signature) -> u32 {
    let index = parts.indices.types.index(signature);
    index.map_or_else(
        || unreachable!("all types in use are numbered"),
        TypeIndex::into,
    )
}

fn memory_type(parts: &Parts) -> MemoryType {
    MemoryType {
        minimum: parts.layout.memory.pages,
        maximum: parts.layout.memory.max_pages,
        memory64: parts.resolution.is_64,
        shared: parts.options.memory.shared,
        page_size_log2: match parts.layout.memory.page_size {
            // What it is without a word.
            65536 => None,
            size => Some(size.trailing_zeros()),
        },
    }
}

fn function_table_type(parts: &Parts) -> TableType {
    let elements = parts.indices.tables.elements.len() as u64;
    let size = u64::from(parts.layout.table_base.0) + elements;
    let table = &parts.options.table;
    let fixed = !table.growable && !table.import && !parts.options.is_relocatable();
    TableType {
        element_type: RefType::FUNCREF,
        table64: parts.resolution.is_64,
        minimum: size,
        maximum: fixed.then_some(size),
        shared: false,
    }
}

/// Imports: the memory, the function table, then functions, then what else there
/// is; in wasm-ld's order these are mixed.
///
/// # Errors
///
/// If no object says of what type one is.
pub fn imports(parts: &Parts, out: &mut Vec<u8>) -> Result<()> {
    let mut imports = ImportSection::new();
    if let Some((module, name)) = &parts.options.memory.import {
        imports.import(module, name, memory_type(parts));
    }
    if parts.options.table.import && parts.indices.tables.function_table.is_some() {
        imports.import("env", FUNCTION_TABLE, function_table_type(parts));
    }
    let mut symbols = parts.live.imports.clone();
    if parts.options.lean {
        let is_function =
            |id: &SymbolId| parts.resolution.symbols[*id].kind == SymbolKind::Function;
        symbols.sort_by_key(|id| !is_function(id));
    }
    for id in symbols {
        let symbol = &parts.resolution.symbols[id];
        let (module, name) = symbol.import.name.unwrap_or(("env", &symbol.name));
        let ty = import_type(parts, id).ok_or_else(|| untyped(symbol))?;
        imports.import(module, name, ty);
    }
    for &entry in &parts.indices.globals.got_imports {
        let (kind, name) = parts.got_symbol(entry);
        let module = match kind {
            SymbolKind::Function => "GOT.func",
            _ => "GOT.mem",
        };
        imports.import(module, name, address_global(parts, true));
    }
    if !imports.is_empty() {
        imports.append_to(out);
    }
    Ok(())
}

fn untyped(symbol: &Symbol) -> Error {
    Error::Undefined(UndefinedSymbol {
        symbol: symbol.name.to_string(),
        kind: symbol.kind,
        used_by: None,
        reason: UndefinedReason::NoInput,
    })
}

/// The type of an import: as the first object declares it that wants it.
fn import_type(parts: &Parts, id: SymbolId) -> Option<EntityType> {
    let symbol = &parts.resolution.symbols[id];
    let signature = || type_index(parts, types::import_type(parts.resolution, id));
    Some(match symbol.kind {
        SymbolKind::Function => EntityType::Function(signature()),
        SymbolKind::Tag => EntityType::Tag(TagType {
            kind: TagKind::Exception,
            func_type_idx: signature(),
        }),
        SymbolKind::Global => RoundtripReencoder
            .global_type(symbol.import.global?)
            .ok()?
            .into(),
        SymbolKind::Table if parts.indices.tables.is_function_table(id) => {
            function_table_type(parts).into()
        }
        SymbolKind::Table => RoundtripReencoder
            .table_type(symbol.import.table?)
            .ok()?
            .into(),
        SymbolKind::Data | SymbolKind::Section => return None,
    })
}

/// The types of the functions that the module defines.
pub fn functions(parts: &Parts, out: &mut Vec<u8>) {
    let defined = &parts.indices.functions.defined;
    if defined.is_empty() {
        return;
    }
    let mut functions = FunctionSection::new();
    for &function in defined {
        let ty = types::function_type(parts.resolution, parts.synthetics, function);
        functions.function(type_index(parts, ty));
    }
    functions.append_to(out);
}

/// The tables that the module defines.
pub fn tables(parts: &Parts, out: &mut Vec<u8>) -> Result<()> {
    let mut tables = TableSection::new();
    let table = parts.indices.tables.function_table;
    if table.is_some() && !parts.options.table.import && !parts.options.is_relocatable() {
        tables.table(function_table_type(parts));
    }
    for &table in &parts.indices.tables.defined {
        let object = parts.resolution.object(table.object);
        let ty = RoundtripReencoder.table_type(object.tables[table.index]);
        tables.table(ty.map_err(|error| not_encoded(object.name, error, "table"))?);
    }
    if !tables.is_empty() {
        tables.append_to(out);
    }
    Ok(())
}

/// The memory, unless it is imported.
pub fn memory(parts: &Parts, out: &mut Vec<u8>) {
    if parts.options.memory.import.is_none() {
        let mut memories = MemorySection::new();
        memories.memory(memory_type(parts));
        memories.append_to(out);
    }
}

/// The tags that the module defines.
pub fn tags(parts: &Parts, out: &mut Vec<u8>) {
    if parts.indices.tags.defined.is_empty() {
        return;
    }
    let mut tags = TagSection::new();
    for &tag in &parts.indices.tags.defined {
        tags.tag(TagType {
            kind: TagKind::Exception,
            func_type_idx: type_index(parts, types::tag_type(parts.resolution, tag)),
        });
    }
    tags.append_to(out);
}

/// A global that holds an address.
fn address_global(parts: &Parts, mutable: bool) -> GlobalType {
    GlobalType {
        val_type: match parts.resolution.is_64 {
            true => ValType::I64,
            false => ValType::I32,
        },
        mutable,
        shared: false,
    }
}

/// The globals that the module defines.
pub fn globals(parts: &Parts, out: &mut Vec<u8>) -> Result<()> {
    if parts.indices.globals.defined.is_empty() {
        return Ok(());
    }
    let memory = &parts.layout.memory;
    let is_pic = parts.options.is_pic();
    let mut globals = GlobalSection::new();
    for global in &parts.indices.globals.defined {
        if let Some(value) = dynamic::initial_address(parts, global) {
            globals.global(address_global(parts, false), &value);
            continue;
        }
        let (mutable, value) = match *global {
            DefinedGlobal::Synthetic(SyntheticGlobal::StackPointer) => (true, memory.stack_high.0),
            // Each thread sets its own.
            DefinedGlobal::Synthetic(SyntheticGlobal::TlsBase) if parts.options.memory.shared => {
                (true, 0)
            }
            // A start function adds where a dynamic linker puts them.
            DefinedGlobal::Synthetic(SyntheticGlobal::TlsBase) => (is_pic, memory.tls.base.0),
            DefinedGlobal::Synthetic(SyntheticGlobal::TlsSize) => (false, memory.tls.size),
            DefinedGlobal::Synthetic(SyntheticGlobal::TlsAlign) => (false, memory.tls.align),
            DefinedGlobal::InitDone => {
                let flag = GlobalType {
                    val_type: ValType::I32,
                    mutable: true,
                    shared: false,
                };
                globals.global(flag, &ConstExpr::i32_const(0));
                continue;
            }
            DefinedGlobal::Got(entry) => (is_pic, got_value(parts, entry)),
            DefinedGlobal::ExportedData(id) => {
                let target = parts.resolution.shared_target(id);
                (false, address_or_null(parts, target))
            }
            DefinedGlobal::Object(at) => {
                let object = parts.resolution.object(at.object);
                let global = &object.globals[at.index];
                let ty = RoundtripReencoder.global_type(global.ty);
                let ty = ty.map_err(|error| not_encoded(object.name, error, "global"))?;
                // The encoder adds the `end`.
                let end = global.init.len().saturating_sub(1);
                globals.global(ty, &ConstExpr::raw(global.init[..end].iter().copied()));
                continue;
            }
        };
        globals.global(address_global(parts, mutable), &parts.address(value));
    }
    globals.append_to(out);
    Ok(())
}

/// The address or table slot that a GOT entry holds.
fn got_value(parts: &Parts, entry: GotEntry) -> u32 {
    let target = match entry {
        GotEntry::Shared(id) => parts.resolution.shared_target(id),
        GotEntry::Local(symbol) => Target::Object(symbol),
    };
    match parts.resolution.target_function(target) {
        // A weak function that nothing defines has no slot: its address is null.
        Some(function) => parts.indices.tables.slot(function).map_or(0, |slot| slot.0),
        None => address_or_null(parts, target),
    }
}

/// The address of data; weak data that nothing defines has none, hence null.
fn address_or_null(parts: &Parts, target: Target) -> u32 {
    let address = parts.layout.symbol_address(parts.resolution, target);
    address.map_or(0, |address| address.0)
}

fn not_encoded(
    name: ObjectName,
    _: ReencodeError<std::convert::Infallible>,
    what: &'static str,
) -> crate::error::Errors {
    name.unsupported(Unsupported::TypedReference { what })
}

/// The function that instantiation runs.
pub fn start(parts: &Parts, out: &mut Vec<u8>) {
    if let Some(start) = parts.synthetics.start {
        let function_index = parts.indices.functions.synthetic(start).into();
        StartSection { function_index }.append_to(out);
    }
}

/// The functions in the function table.
pub fn elements(parts: &Parts, out: &mut Vec<u8>) {
    let tables = &parts.indices.tables;
    if tables.elements.is_empty() || tables.function_table.is_none() {
        return;
    }
    let index = |&function| parts.indices.functions.index(function);
    let functions: Vec<u32> = tables
        .elements
        .iter()
        .filter_map(index)
        .map(u32::from)
        .collect();
    let mut elements = ElementSection::new();
    elements.active(
        tables
            .function_table
            .map(u32::from)
            .filter(|&table| table != 0),
        &match parts.place("__table_base") {
            Some(base) => ConstExpr::global_get(base.into()),
            None => parts.address(parts.layout.table_base.0),
        },
        Elements::Functions(functions.into()),
    );
    elements.append_to(out);
}
