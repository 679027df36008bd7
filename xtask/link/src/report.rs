//! What went into a module, and why: made when the caller asks.

use hashbrown::HashMap;

use crate::index::Within;
use crate::indices::functions::DefinedFunction;
use crate::input::object::Referent;
use crate::origin::Origin;
use crate::output::Extent;
use crate::output::parts::Parts;
use crate::resolve::resolution::Chunk;
use crate::resolve::trace::Traced;

/// A function or a piece of data in the module.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Item {
    /// Symbol name, mangled as the object has it.
    pub name: String,
    /// Bytes it takes in the module.
    pub size: u64,
    /// Offset in the module's code section for a function, address in linear
    /// memory for data.
    pub position: u64,
    /// The object it came from; `None` for what the linker adds.
    pub origin: Option<Origin>,
    /// The symbol (name) whose use first made it live; `None` for a root:
    /// an export, the entry, a constructor or a section that is always kept.
    pub wanted_by: Option<String>,
    /// What is the same: this is written for them, too.
    pub folded: Vec<Folded>,
}

/// A function or a constant for which another is written, since they are the same.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Folded {
    /// Symbol name, mangled as the object has it.
    pub name: String,
    /// The object that it came from.
    pub origin: Origin,
}

/// An object that became part of the link because a symbol needed it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Extracted {
    /// The object.
    pub origin: Origin,
    /// The symbol that it defines and that was undefined.
    pub symbol: String,
    /// The object that wanted the symbol; `None` for the command line.
    pub wanted_by: Option<Origin>,
}

/// What went into a module, in the module's order.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// Functions, imports not counted.
    pub functions: Vec<Item>,
    /// Data symbols.
    pub data: Vec<Item>,
    /// Objects from archives, in the order in which they were extracted.
    pub extracted: Vec<Extracted>,
    /// What of the objects is not in the module.
    pub removed: Vec<Removed>,
    /// What happened to the symbols that [`crate::Options::trace_symbols`] names.
    pub traced: Vec<Traced>,
}

/// A function or data segment that is not in the module, since nothing reaches it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Removed {
    /// The function's symbol name, mangled; or the data segment's name.
    pub name: String,
    /// The object that has it; `None` for the linker.
    pub origin: Option<Origin>,
}

/// The report of a link that is done; `extents` is where each function is.
pub(crate) fn report(parts: &Parts, extents: &[Extent]) -> Report {
    let origin = |object| Origin::from(parts.resolution.object(object).name);
    let extracted = parts.resolution.extracted.iter().map(|it| Extracted {
        origin: origin(it.object),
        symbol: parts.resolution.symbols[it.symbol].name.to_string(),
        wanted_by: it.wanted_by.map(origin),
    });
    let mut folded = folded(parts);
    Report {
        functions: functions(parts, extents, &mut folded),
        data: data(parts, &mut folded),
        extracted: extracted.collect(),
        removed: removed(parts),
        traced: parts.resolution.traced.clone(),
    }
}

/// What is not live, object by object.
fn removed(parts: &Parts) -> Vec<Removed> {
    let mut removed = Vec::new();
    for (id, object) in parts.resolution.all_objects() {
        let reached = &parts.live.reached.objects[id];
        let mut remove = |name: &str| {
            removed.push(Removed {
                name: name.to_owned(),
                origin: Some(object.name.into()),
            });
        };
        for (index, &is_live) in reached.functions.enumerate() {
            if !is_live {
                remove(&chunk_name(parts, Chunk::Function(Within::new(id, index))));
            }
        }
        for (segment, &is_live) in object.segments.iter().zip(&reached.segments) {
            if !is_live {
                remove(segment.name);
            }
        }
        for (index, &is_live) in reached.globals.enumerate() {
            let mut symbols = object.symbols.iter();
            let named = symbols.find(|symbol| symbol.referent == Referent::Global(index));
            if let (Some(symbol), false) = (named, is_live) {
                remove(symbol.name);
            }
        }
    }
    let synthetic = parts.resolution.synthetic.iter();
    for (function, &is_live) in synthetic.zip(&parts.live.reached.synthetic) {
        if !is_live {
            removed.push(Removed {
                name: function.name.clone(),
                origin: None,
            });
        }
    }
    removed
}

fn functions(
    parts: &Parts,
    extents: &[Extent],
    folded: &mut HashMap<Chunk, Vec<Folded>>,
) -> Vec<Item> {
    let functions = parts.indices.functions.defined.iter().zip(extents);
    let item = |(function, extent): (&DefinedFunction, &Extent)| {
        let (name, origin, wanted_by, folded) = match *function {
            DefinedFunction::Object(f) => {
                let chunk = Chunk::Function(f);
                let object = parts.resolution.object(f.object);
                (
                    chunk_name(parts, chunk),
                    Some(object.name.into()),
                    wanted_by(parts, chunk),
                    folded.remove(&chunk).unwrap_or_default(),
                )
            }
            DefinedFunction::Synthetic(added) => {
                let name = parts.synthetics.functions[added].name.clone();
                (name, None, None, Vec::new())
            }
        };
        Item {
            name,
            size: u64::from(extent.size),
            position: u64::from(extent.offset),
            origin,
            wanted_by,
            folded,
        }
    };
    functions.map(item).collect()
}

/// What is folded, by that which is written for it.
fn folded(parts: &Parts) -> HashMap<Chunk, Vec<Folded>> {
    let folded = |&chunk: &Chunk| Folded {
        name: chunk_name(parts, chunk),
        origin: parts.resolution.object(chunk.object()).name.into(),
    };
    let groups = parts.folds.groups().iter();
    let of_leaders = groups.map(|group| (group.leader, group.folded.iter().map(folded).collect()));
    of_leaders.collect()
}

fn data(parts: &Parts, folded: &mut HashMap<Chunk, Vec<Folded>>) -> Vec<Item> {
    let mut data = Vec::new();
    for (id, object) in parts.resolution.all_objects() {
        for symbol in &object.symbols {
            let Referent::Data {
                segment,
                offset,
                size,
            } = symbol.referent
            else {
                continue;
            };
            let segment = Within::new(id, segment);
            let chunk = Chunk::Segment(segment);
            if parts.folds.is_folded(chunk) {
                continue;
            }
            let Some(address) = parts.layout.segment_address(segment, offset) else {
                continue;
            };
            data.push(Item {
                name: symbol.name.to_owned(),
                size: u64::from(size),
                position: u64::from(address.0),
                origin: Some(object.name.into()),
                wanted_by: wanted_by(parts, chunk),
                folded: folded.remove(&chunk).unwrap_or_default(),
            });
        }
    }
    data.sort_by_key(|item| item.position);
    data
}

/// What first reached a chunk.
fn wanted_by(parts: &Parts, chunk: Chunk) -> Option<String> {
    let from = parts.live.reached.reached_from.get(&chunk);
    from.map(|&chunk| chunk_name(parts, chunk))
}

fn chunk_name(parts: &Parts, chunk: Chunk) -> String {
    let object = parts.resolution.object(chunk.object());
    let is_it = |referent| match (chunk, referent) {
        (Chunk::Function(f), Referent::Function(index)) => f.index == index,
        (Chunk::Segment(s), Referent::Data { segment, .. }) => s.index == segment,
        _ => false,
    };
    match (object.symbols.iter().find(|s| is_it(s.referent)), chunk) {
        (Some(symbol), _) => symbol.name.to_owned(),
        (None, Chunk::Segment(s)) => object.segments[s.index].name.to_owned(),
        (None, Chunk::Function(_)) => String::new(),
    }
}
