//! Phase 7: synthetic functions. Takes what is live and the layout of the data;
//! gives the functions that the linker adds to the module: those it defines for
//! symbols, those that trap in place of undefined ones, and those that fill
//! memory and run the constructors, and when.

mod host_calls;

use hashbrown::HashMap;

use crate::error::Result;
use crate::index::{IndexVec, SymbolId, SyntheticId, SyntheticIndex};
use crate::layout::Layout;
use crate::live::Live;
use crate::live::undefined::UNDEFINED_STUB;
use crate::options::Options;
use crate::origin::SymbolKind;
use crate::resolve::resolution::{FunctionRef, Resolution};
use crate::signature::Signature;
use crate::symbols::{Action, PanicShape, SyntheticGlobal};

/// A function that the linker adds.
#[derive(Debug)]
pub struct Synthetic<'a> {
    /// Its name in the `name` section.
    pub name: String,
    /// Its type.
    pub signature: Signature<'a>,
    /// What it does.
    pub body: Body,
}

/// What a function that the linker adds does.
#[derive(Debug, Clone, Copy)]
pub enum Body {
    /// Traps.
    Trap,
    /// Returns zero of its result type, if it has one.
    ReturnZero,
    /// Calls the constructors in the order of their priorities.
    CallCtors,
    /// Writes the addresses into data that only the dynamic linker knows.
    ApplyDataRelocs,
    /// Adds to globals with addresses what only the dynamic linker knows.
    ApplyGlobalRelocs,
    /// Hands a panic's location to the host, if the host is to know, then traps.
    Panic(PanicShape),
    /// Makes its parameter the address of the thread's own data, and copies that
    /// there.
    InitTls,
    /// Fills with zeros the data that has no bytes in the module.
    InitMemory,
    /// Copies the data to a memory that is shared, and calls the constructors,
    /// unless another instance does so or has done it.
    InitSharedMemory(Option<SyntheticIndex>),
    /// Calls two functions, one after the other.
    Both(SyntheticIndex, SyntheticIndex),
    /// Calls a function the first time: in this instance, or in all that share
    /// the memory.
    Once(SyntheticIndex),
    /// Calls a function, then another, whose parameters it takes.
    Before(SyntheticIndex, FunctionRef),
    /// Runs a function as a command: a program of its own.
    Command {
        /// What runs the constructors, if there are any to run.
        constructors: Option<SyntheticIndex>,
        /// The function, whose parameters it takes.
        callee: FunctionRef,
        /// libc's `__wasm_call_dtors`, which flushes what is buffered.
        destructors: Option<FunctionRef>,
    },
}

/// The functions that the linker adds, in the order of their names' making.
#[derive(Debug, Default)]
pub struct Synthetics<'a> {
    /// All of them.
    pub functions: IndexVec<SyntheticIndex, Synthetic<'a>>,
    /// Those that it defines for symbols, where they are live.
    pub of_symbols: IndexVec<SyntheticId, Option<SyntheticIndex>>,
    /// Those that trap in place of undefined ones.
    pub traps: HashMap<SymbolId, SyntheticIndex>,
    /// Those that exports of symbols lead to, in place of the functions.
    pub exported: HashMap<SymbolId, SyntheticIndex>,
    /// The one that instantiation runs.
    pub start: Option<SyntheticIndex>,
    /// Whether a global says that the constructors have run; in a memory that is
    /// shared, a word does.
    pub has_init_done: bool,
}

/// Makes them.
///
/// In a lean module constructors run once: at instantiation if they cannot call
/// the host, which may not be ready then, since WASI wants the instance's memory;
/// otherwise each exported function runs them first, the first time. A program's
/// entry runs them before and libc's destructors after, unless its crt1 does so
/// itself.
///
/// wasm-ld takes each exported function for a command, which runs constructors
/// before and destructors after, each time, unless the inputs call the
/// constructors themselves.
///
/// # Errors
///
/// If relocations that constructors reach are damaged.
pub fn make<'a>(
    resolution: &Resolution<'a>,
    live: &Live<'a>,
    layout: &Layout<'a>,
    options: &Options,
) -> Result<Synthetics<'a>> {
    let mut made = Synthetics::default();
    for (id, function) in resolution.synthetic.enumerate() {
        // Something is to call them.
        let has_ctors = id == resolution.call_ctors && !live.constructors.is_empty();
        let index = (live.reached.synthetic[id] || has_ctors).then(|| {
            let body = match function.action {
                Action::Trap => Body::Trap,
                Action::ReturnZero => Body::ReturnZero,
                Action::CallCtors => Body::CallCtors,
                Action::ApplyDataRelocs => Body::ApplyDataRelocs,
                Action::InitTls => Body::InitTls,
                Action::Panic(shape) => Body::Panic(shape),
            };
            made.add(function.name.clone(), function.signature, body)
        });
        made.of_symbols.push(index);
    }
    let mut stubs: HashMap<Signature, SyntheticIndex> = HashMap::new();
    for trap in &live.traps {
        let signature = resolution.symbols[trap.symbol].import.signature;
        let signature = signature.unwrap_or(Signature::NOTHING);
        let is_stub = !options.lean && trap.name == UNDEFINED_STUB;
        let index = match stubs.get(&signature) {
            Some(&stub) if is_stub => stub,
            _ => made.add(trap.name.clone(), signature, Body::Trap),
        };
        if is_stub {
            stubs.insert(signature, index);
        }
        made.traps.insert(trap.symbol, index);
    }
    if options.is_pic() {
        // Whoever loads it calls the constructors.
        let places_globals = live
            .reached
            .synthetic_globals
            .contains(&SyntheticGlobal::TlsBase)
            || live
                .reached
                .got
                .iter()
                .any(|entry| !entry.is_imported(resolution, options));
        if places_globals && !computes_constants(resolution) {
            let name = "__wasm_apply_global_relocs";
            let body = Body::ApplyGlobalRelocs;
            made.start = Some(made.add(name, Signature::NOTHING, body));
        }
    } else if options.lean {
        made.start_up(resolution, live, layout, options)?;
    } else {
        made.prepare_memory(layout, options, None);
        made.wrap_commands(resolution, live);
    }
    Ok(made)
}

/// Whether a global's first value may be a sum, so that no function has to set it.
pub fn computes_constants(resolution: &Resolution) -> bool {
    resolution.features.contains("extended-const")
}

impl<'a> Synthetics<'a> {
    fn add(
        &mut self,
        name: impl Into<String>,
        signature: Signature<'a>,
        body: Body,
    ) -> SyntheticIndex {
        self.functions.push(Synthetic {
            name: name.into(),
            signature,
            body,
        })
    }

    /// Whether a function is exported in place of another.
    pub fn wraps(&self, added: SyntheticIndex) -> bool {
        let body = self.functions[added].body;
        matches!(body, Body::Before(..) | Body::Command { .. })
    }

    /// Adds what fills memory before the first data is looked at, and calls
    /// `at_start` then.
    fn prepare_memory(
        &mut self,
        layout: &Layout,
        options: &Options,
        at_start: Option<SyntheticIndex>,
    ) {
        let nothing = Signature::NOTHING;
        self.start = if options.memory.shared {
            let has_data = layout.segments().next().is_some();
            let body = Body::InitSharedMemory(at_start);
            (has_data || at_start.is_some()).then(|| self.add("__wasm_init_memory", nothing, body))
        } else {
            let fill = layout
                .fills_zeros()
                .then(|| self.add("__wasm_init_memory", nothing, Body::InitMemory));
            match (fill, at_start) {
                (Some(fill), Some(ctors)) => {
                    let both = Body::Both(fill, ctors);
                    Some(self.add("__wasm_start", nothing, both))
                }
                (fill, ctors) => fill.or(ctors),
            }
        };
    }

    /// Adds wasm-ld's wrappers of exported functions.
    fn wrap_commands(&mut self, resolution: &Resolution<'a>, live: &Live<'a>) {
        let function = |id| resolution.target_function(resolution.shared_target(id));
        let destructors = resolution.destructors.and_then(function);
        if live.constructors_called || (live.constructors.is_empty() && destructors.is_none()) {
            return;
        }
        let constructors = self.of_symbols[resolution.call_ctors];
        for &id in &live.exports {
            let symbol = &resolution.symbols[id];
            if symbol.kind != SymbolKind::Function {
                continue;
            }
            let (Some(callee), Some(signature)) = (function(id), resolution.symbol_type(id)) else {
                continue;
            };
            let body = Body::Command {
                constructors,
                callee,
                destructors,
            };
            let index = self.add(format!("{}.command_export", symbol.name), signature, body);
            self.exported.insert(id, index);
        }
    }

    /// Adds what runs before the first exported function, and around the entry.
    fn start_up(
        &mut self,
        resolution: &Resolution<'a>,
        live: &Live<'a>,
        layout: &Layout<'a>,
        options: &Options,
    ) -> Result<()> {
        let to_call = !live.constructors.is_empty() && !live.constructors_called;
        let call_ctors = self.of_symbols[resolution.call_ctors].filter(|_| to_call);
        let at_start = to_call && !host_calls::reachable(resolution, live)?;
        let (at_start, later) = match at_start {
            true => (call_ctors, None),
            false => (None, call_ctors),
        };
        self.prepare_memory(layout, options, at_start);
        self.wrap_exports(resolution, live, options, later);
        Ok(())
    }

    /// Adds the functions that are exported in place of others, where these must
    /// run `constructors` first.
    fn wrap_exports(
        &mut self,
        resolution: &Resolution<'a>,
        live: &Live<'a>,
        options: &Options,
        constructors: Option<SyntheticIndex>,
    ) {
        let symbols = &resolution.symbols;
        let is_function = |id: &SymbolId| symbols[*id].kind == SymbolKind::Function;
        let exported: Vec<SymbolId> = live.exports.iter().copied().filter(is_function).collect();
        let entry = options.entry.as_deref().and_then(|name| symbols.find(name));
        let only_entry = exported.iter().all(|&id| Some(id) == entry);
        let constructors = match constructors {
            Some(ctors) if !only_entry => {
                self.has_init_done = !options.memory.shared;
                Some(self.add("__wasm_init_once", Signature::NOTHING, Body::Once(ctors)))
            }
            other => other,
        };
        let function = |id| resolution.target_function(resolution.shared_target(id));
        for id in exported {
            let (Some(callee), Some(signature)) = (function(id), resolution.symbol_type(id)) else {
                continue;
            };
            let body = if Some(id) == entry {
                let destructors = resolution.destructors.and_then(function);
                let entry = Body::Command {
                    constructors,
                    callee,
                    destructors,
                };
                (constructors.is_some() || destructors.is_some()).then_some(entry)
            } else {
                constructors.map(|once| Body::Before(once, callee))
            };
            if let Some(body) = body {
                let name = format!("{}.command_export", symbols[id].name);
                let index = self.add(name, signature, body);
                self.exported.insert(id, index);
            }
        }
    }
}
