//! What went into a module: filled by the writer when the caller asks.

/// Where an object came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The input file, as the caller named it.
    pub file: String,
    /// The archive member, for an archive.
    pub member: Option<String>,
}

/// A function or a piece of data in the module.
#[derive(Debug, Clone)]
pub struct Item {
    /// Symbol name, mangled as the object has it.
    pub name: String,
    /// Bytes it takes in the module.
    pub size: u64,
    /// Offset in the module's code section for a function, address in linear
    /// memory for data.
    pub position: u64,
    /// The object it came from; `None` for what the linker made.
    pub origin: Option<Origin>,
    /// The symbol (name) whose use first made it live; `None` for a root:
    /// an export, the entry, a constructor or a section that is always kept.
    pub wanted_by: Option<String>,
}

/// An object that became part of the link because a symbol needed it.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// The object.
    pub origin: Origin,
    /// The symbol that it defines and that was undefined.
    pub symbol: String,
    /// The object that wanted the symbol; `None` for the command line.
    pub wanted_by: Option<Origin>,
}

/// What went into a module, in the module's order.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Functions, imports not counted.
    pub functions: Vec<Item>,
    /// Data symbols.
    pub data: Vec<Item>,
    /// Objects from archives, in the order in which they were pulled.
    pub pulled: Vec<Pulled>,
}

use super::layout::Layout;
use super::live::{Chunk, FunctionRef, Live};
use super::object::{Kind, Object};
use super::symbols::Program;

fn origin(object: &Object) -> Origin {
    Origin {
        file: object.place.file.to_owned(),
        member: object.place.member.map(str::to_owned),
    }
}

/// Fills the report of a link that is done.
pub(super) fn report(
    program: &Program,
    live: &Live,
    layout: &Layout,
    extents: &[(u32, u32)],
) -> Report {
    let functions = layout
        .functions
        .iter()
        .zip(extents)
        .map(|(function, extent)| {
            let (offset, size) = *extent;
            let (name, origin, wanted_by) = match *function {
                FunctionRef::Object(object, index) => {
                    let chunk = Chunk::Function(object, index);
                    let from = live.reached_from.get(&chunk);
                    (
                        chunk_name(program, chunk),
                        Some(origin(&program.objects[object as usize])),
                        from.map(|&chunk| chunk_name(program, chunk)),
                    )
                }
                FunctionRef::Made(made) => (program.made[made as usize].name.clone(), None, None),
                FunctionRef::Import(id) => (program.symbols[id].name.to_string(), None, None),
            };
            Item {
                name,
                size: u64::from(size),
                position: u64::from(offset),
                origin,
                wanted_by,
            }
        });
    let mut data = Vec::new();
    for (number, object) in program.objects.iter().enumerate() {
        for symbol in &object.symbols {
            let defined = symbol.kind == Kind::Data
                && !symbol.is_undefined()
                && !symbol.flags.contains(wasmparser::SymbolFlags::ABSOLUTE);
            if !defined {
                continue;
            }
            let (object_number, segment) = (number as u32, symbol.index);
            let Some(address) = layout.segment_address(object_number, segment, symbol.offset)
            else {
                continue;
            };
            let from = live
                .reached_from
                .get(&Chunk::Segment(object_number, segment));
            data.push(Item {
                name: symbol.name.to_owned(),
                size: u64::from(symbol.size),
                position: u64::from(address),
                origin: Some(origin(object)),
                wanted_by: from.map(|&chunk| chunk_name(program, chunk)),
            });
        }
    }
    data.sort_by_key(|item| item.position);
    let pulled = program
        .pulled
        .iter()
        .map(|&(object, symbol, wanted_by)| Pulled {
            origin: origin(&program.objects[object as usize]),
            symbol: program.symbols[symbol].name.to_string(),
            wanted_by: wanted_by.map(|object| origin(&program.objects[object as usize])),
        });
    Report {
        functions: functions.collect(),
        data,
        pulled: pulled.collect(),
    }
}

fn chunk_name(program: &Program, chunk: Chunk) -> String {
    let (object, kind, index) = match chunk {
        Chunk::Function(object, index) => (object, Kind::Function, index),
        Chunk::Segment(object, index) => (object, Kind::Data, index),
    };
    let object = &program.objects[object as usize];
    let symbol = object
        .symbols
        .iter()
        .find(|s| s.kind == kind && !s.is_undefined() && s.index == index);
    match (symbol, kind) {
        (Some(symbol), _) => symbol.name.to_owned(),
        (None, Kind::Data) => object.segments[index as usize].name.to_owned(),
        (None, _) => String::new(),
    }
}
