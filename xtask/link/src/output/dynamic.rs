//! What a module has for a dynamic linker: the section `dylink.0`, and functions that
//! put addresses into data and globals once the module has its place. As
//! tool-conventions' DynamicLinking.md has it.

use wasm_encoder::{ConstExpr, CustomSection, Encode, InstructionSink, MemArg, Section};
use wasmparser::{RelocationType, SymbolFlags};

use crate::error::Result;
use crate::index::{Address, GlobalIndex, Index, Within};
use crate::indices::globals::DefinedGlobal;
use crate::input::relocation::{self, Relocation};
use crate::live::mark::GotEntry;
use crate::output::parts::Parts;
use crate::output::subsections;
use crate::resolve::resolution::Target;
use crate::symbols::{Definition, LinkerAddress, Symbol, SyntheticGlobal};
use crate::synthetic;

// Subsections of `dylink.0`.
const MEM_INFO: u8 = 1;
const NEEDED: u8 = 2;
const EXPORT_INFO: u8 = 3;
const IMPORT_INFO: u8 = 4;
const RUNTIME_PATH: u8 = 5;

/// Appends the section, if the module is for a dynamic linker.
pub fn section(parts: &Parts, out: &mut Vec<u8>) {
    if !parts.resolution.is_dynamic {
        return;
    }
    let mut data = Vec::new();
    subsections::append(MEM_INFO, &mem_info(parts), &mut data);
    let libraries = &parts.resolution.libraries;
    let needed = strings(libraries.iter().map(|library| file_name(library.file)));
    subsections::append(NEEDED, &needed, &mut data);
    let symbols = &parts.resolution.symbols;
    let exports = parts.live.exports.iter().map(|&id| &symbols[id]);
    // What a thread has a copy of is not counted from `__memory_base`.
    let exports = exports.filter(|symbol| symbol.flags.contains(SymbolFlags::TLS));
    let exports = list(exports, |symbol, out| symbol.name.encode(out));
    subsections::append(EXPORT_INFO, &exports, &mut data);
    let undefined = parts.live.reached.undefined.iter();
    let imports = undefined.map(|&(id, _)| &symbols[id]);
    // Not to be found is no error for these.
    let imports = imports.filter(|symbol| symbol.is_weak() && !symbol.is_in_library());
    let imports = list(imports, |symbol, out| {
        "env".encode(out);
        symbol.name.encode(out);
    });
    subsections::append(IMPORT_INFO, &imports, &mut data);
    let paths = strings(parts.options.runtime_paths.iter().map(String::as_str));
    subsections::append(RUNTIME_PATH, &paths, &mut data);
    CustomSection {
        name: "dylink.0".into(),
        data: data.into(),
    }
    .append_to(out);
}

/// Texts, in their order.
fn strings<'s>(texts: impl Iterator<Item = &'s str>) -> Vec<u8> {
    let (mut count, mut items) = (0, Vec::new());
    for text in texts {
        count += 1;
        text.encode(&mut items);
    }
    subsections::list(count, &items)
}

/// A dynamic linker looks for a library in folders of its own.
fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Symbols, each with its flags after what names it.
fn list<'s>(
    symbols: impl Iterator<Item = &'s Symbol<'s>>,
    name: impl Fn(&Symbol, &mut Vec<u8>),
) -> Vec<u8> {
    let (mut count, mut items) = (0, Vec::new());
    for symbol in symbols {
        count += 1;
        name(symbol, &mut items);
        symbol.flags.bits().encode(&mut items);
    }
    subsections::list(count, &items)
}

/// How much of memory and table the module wants: size and alignment of each.
fn mem_info(parts: &Parts) -> Vec<u8> {
    let segments = parts.layout.segments();
    let align = segments.map(|(segment, _)| segment.align).max();
    let (size, align, slots) = match parts.options.is_pic() {
        true => (
            parts.layout.memory.data_end.0,
            align.unwrap_or(0),
            parts.indices.tables.elements.len() as u32,
        ),
        // It has its own.
        false => (0, 0, 0),
    };
    let mut info = Vec::new();
    for number in [size, align, slots, 0] {
        number.encode(&mut info);
    }
    info
}

/// An address that code computes: the global's value and `offset` bytes more.
#[derive(Debug, Clone, Copy)]
struct Computed {
    global: GlobalIndex,
    offset: i64,
}

impl Computed {
    fn constant(self, parts: &Parts) -> ConstExpr {
        let base = ConstExpr::global_get(self.global.into());
        match (self.offset, parts.resolution.is_64) {
            (0, _) => base,
            (offset, false) => base.with_i32_const(offset as i32).with_i32_add(),
            (offset, true) => base.with_i64_const(offset).with_i64_add(),
        }
    }

    fn push(self, parts: &Parts, code: &mut InstructionSink) {
        code.global_get(self.global.into());
        match (self.offset, parts.resolution.is_64) {
            (0, _) => code,
            (offset, false) => code.i32_const(offset as i32).i32_add(),
            (offset, true) => code.i64_const(offset).i64_add(),
        };
    }
}

/// The body of `__wasm_apply_data_relocs`: stores the addresses in live data that the
/// dynamic linker decides.
///
/// # Errors
///
/// If relocations are damaged.
pub fn apply_data_relocs(code: &mut InstructionSink, parts: &Parts) -> Result<()> {
    let base = parts.place("__memory_base");
    for (id, object) in parts.resolution.all_objects() {
        for index in parts.live.reached.objects[id].segments.marked() {
            let segment = Within::new(id, index);
            let start = object.segments[index].start;
            for relocation in object.segment_relocations(index)? {
                let symbol = Within::new(id, relocation.symbol());
                let target = parts.resolution.target(symbol);
                let place = parts
                    .layout
                    .segment_address(segment, relocation.offset - start);
                if let (Some(value), Some(place)) = (value(parts, relocation, target), place) {
                    store(parts, code, (base, place), (value, relocation.ty));
                }
            }
        }
    }
    Ok(())
}

/// Stores a value at a place, counted from a base, as wide as a relocation of this
/// type has it.
fn store(
    parts: &Parts,
    code: &mut InstructionSink,
    (base, place): (Option<GlobalIndex>, Address),
    (value, ty): (Computed, RelocationType),
) {
    match base {
        Some(base) => code.global_get(base.into()),
        None => parts.push_address(code, 0),
    };
    value.push(parts, code);
    let to = MemArg {
        offset: place.0.into(),
        // Data may be packed.
        align: 0,
        target: wasm_encoder::MemArgTarget::Memory(0),
        ordering: None,
    };
    let is_wide = matches!(
        ty,
        RelocationType::TableIndexI64 | RelocationType::MemoryAddrI64
    );
    match (parts.resolution.is_64, is_wide) {
        (true, true) => code.i64_store(to),
        (true, false) => code.i32_wrap_i64().i32_store(to),
        (false, true) => code.i64_extend_i32_u().i64_store(to),
        (false, false) => code.i32_store(to),
    };
}

/// What a relocation of data writes, if that is not known before the module has its
/// place.
fn value(parts: &Parts, relocation: &Relocation, target: Target) -> Option<Computed> {
    if !relocation::is_address_in_data(relocation.ty) {
        return None;
    }
    let addend = i64::from(relocation.addend);
    let entry = GotEntry::of(target);
    if entry.is_imported(parts.resolution, parts.options) {
        let global = parts.indices.globals.got(entry)?;
        let offset = addend;
        return Some(Computed { global, offset });
    }
    placed(parts, target, addend)
}

/// The address or table slot of what the module itself has, once it has its place.
fn placed(parts: &Parts, target: Target, addend: i64) -> Option<Computed> {
    if let Target::Shared(_, Definition::Address(LinkerAddress::Absolute(_))) = target {
        return None;
    }
    if let Some(function) = parts.resolution.target_function(target) {
        return Some(Computed {
            global: parts.place("__table_base")?,
            offset: parts.indices.tables.slot(function)?.0.into(),
        });
    }
    let address = parts.layout.symbol_address(parts.resolution, target)?;
    Some(Computed {
        global: parts.place("__memory_base")?,
        offset: i64::from(address.0) + addend,
    })
}

/// The address that a global of the module holds, once that has its place; `None`
/// for other globals.
fn address_in(parts: &Parts, global: &DefinedGlobal) -> Option<Computed> {
    match *global {
        DefinedGlobal::Got(GotEntry::Shared(id)) => {
            placed(parts, parts.resolution.shared_target(id), 0)
        }
        DefinedGlobal::Got(GotEntry::Local(symbol)) => placed(parts, Target::Object(symbol), 0),
        DefinedGlobal::Synthetic(SyntheticGlobal::TlsBase) => Some(Computed {
            global: parts.place("__memory_base")?,
            offset: parts.layout.memory.tls.base.0.into(),
        }),
        _ => None,
    }
}

/// The first value of a global with an address, where constants may be computed.
pub fn initial_address(parts: &Parts, global: &DefinedGlobal) -> Option<ConstExpr> {
    let may = synthetic::computes_constants(parts.resolution);
    address_in(parts, global)
        .filter(|_| may)
        .map(|address| address.constant(parts))
}

/// The body of `__wasm_apply_global_relocs`: sets the globals that hold addresses.
pub fn apply_global_relocs(code: &mut InstructionSink, parts: &Parts) {
    let globals = &parts.indices.globals;
    for (position, global) in globals.defined.iter().enumerate() {
        if let Some(value) = address_in(parts, global) {
            let index = GlobalIndex::new(globals.imported_count() + position);
            value.push(parts, code);
            code.global_set(index.into());
        }
    }
}
