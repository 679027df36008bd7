//! What runs before a module's first exported function: takes the live
//! constructors and the layout of the data, makes the functions that fill
//! memory with zeros and run the constructors, once, and decides when.

use std::borrow::Cow;

use hashbrown::HashSet;

use super::error::Result;
use super::features;
use super::layout::Layout;
use super::live::{Chunk, FunctionRef, Live};
use super::object::Kind;
use super::options::Options;
use super::symbols::{Body, Constructors, Definition, Entry, Made, Program, SymbolId, Target};
use super::types;

/// Makes those functions; gives the one that instantiation runs.
///
/// Constructors run at instantiation if they cannot call the host, which may
/// not be ready then: WASI wants the instance's memory. Otherwise each exported
/// function runs them first, the first time. A program's entry runs them before
/// and libc's destructors after, unless its crt1 does so itself.
pub fn make_start_functions<'a>(
    program: &mut Program<'a>,
    live: &mut Live<'a>,
    layout: &mut Layout<'a>,
    options: &Options,
) -> Result<Option<u32>> {
    let fill = must_fill(program, layout, options).then(|| {
        make(
            program,
            live,
            "__wasm_init_memory".into(),
            types::NOTHING.into(),
            Body::InitMemory,
        )
    });
    let pending = !live.constructors.is_empty() && !live.constructors_called;
    let at_start = pending && !reach_import(program, &live.constructors)?;
    let start = match (at_start, fill) {
        (true, Some(_)) => Some(make(
            program,
            live,
            "__wasm_start".into(),
            types::NOTHING.into(),
            Body::Start,
        )),
        // `__wasm_call_ctors`, the first function that the linker makes.
        (true, None) => Some(0),
        (false, fill) => fill,
    };
    let pending = pending && !at_start;
    let exported: Vec<SymbolId> = live
        .exports
        .iter()
        .copied()
        .filter(|&id| program.symbols[id].kind == Kind::Function)
        .collect();
    let entry = options
        .entry
        .as_deref()
        .and_then(|name| program.symbols.find(name));
    let only_entry = exported.iter().all(|&id| Some(id) == entry);
    layout.runs_once = pending && !only_entry;
    if layout.runs_once {
        make(
            program,
            live,
            "__wasm_init_once".into(),
            types::NOTHING.into(),
            Body::InitOnce,
        );
    }
    for id in exported {
        let body = if Some(id) == entry {
            let constructors = match (pending, only_entry) {
                (false, _) => None,
                (true, true) => Some(Constructors::Always),
                (true, false) => Some(Constructors::Once),
            };
            let destructors = program.destructors;
            (constructors.is_some() || destructors.is_some()).then_some(Body::Entry(Entry {
                constructors,
                entry: id,
                destructors,
            }))
        } else {
            pending.then_some(Body::Export(id))
        };
        if let (Some(body), Some(signature)) = (body, program.signature(id).map(<[u8]>::to_vec)) {
            let name = format!("{}.command_export", program.symbols[id].name);
            make(program, live, name, signature.into(), body);
        }
    }
    Ok(start)
}

fn make<'a>(
    program: &mut Program<'a>,
    live: &mut Live<'a>,
    name: String,
    signature: Cow<'a, [u8]>,
    body: Body,
) -> u32 {
    live.made.push(true);
    program.make(Made {
        name,
        signature,
        body,
    })
}

/// Data that is all zero has no bytes in the module. A memory that the module
/// defines is zero; one that it imports is filled, if the objects allow
/// `memory.fill`, and otherwise gets bytes after all.
fn must_fill(program: &Program, layout: &mut Layout, options: &Options) -> bool {
    if options.memory.import.is_none() {
        return false;
    }
    let has_zeros = layout.segments.iter().any(|s| s.is_bss && s.size > 0);
    if !has_zeros {
        return false;
    }
    if features::allowed(program, options).contains("bulk-memory") {
        return true;
    }
    for segment in &mut layout.segments {
        segment.is_bss = false;
    }
    false
}

/// Whether code that starts from these functions may call the host.
fn reach_import(program: &Program, from: &[FunctionRef]) -> Result<bool> {
    let mut queue: Vec<Chunk> = Vec::new();
    let mut seen: HashSet<Chunk> = HashSet::new();
    for &function in from {
        match function {
            FunctionRef::Object(object, index) => queue.push(Chunk::Function(object, index)),
            FunctionRef::Made(_) => {}
            FunctionRef::Import(_) => return Ok(true),
        }
    }
    while let Some(chunk) = queue.pop() {
        if !seen.insert(chunk) {
            continue;
        }
        let (number, relocations) = program.relocations(chunk)?;
        for relocation in relocations {
            if relocation.ty == wasmparser::RelocationType::TypeIndexLeb {
                continue;
            }
            match program.target(number, relocation.index) {
                Target::Object { object, symbol } => {
                    let symbol = &program.objects[object as usize].symbols[symbol as usize];
                    match symbol.kind {
                        Kind::Function => queue.push(Chunk::Function(object, symbol.index)),
                        Kind::Data if !symbol.flags.contains(wasmparser::SymbolFlags::ABSOLUTE) => {
                            queue.push(Chunk::Segment(object, symbol.index));
                        }
                        _ => {}
                    }
                }
                Target::Shared(id, Definition::Undefined)
                    if program.symbols[id].kind == Kind::Function =>
                {
                    return Ok(true);
                }
                // It reports to the host.
                Target::Shared(_, &Definition::Made(made))
                    if matches!(program.made[made as usize].body, Body::Panic(_)) =>
                {
                    return Ok(true);
                }
                Target::Shared(..) => {}
            }
        }
    }
    Ok(false)
}
