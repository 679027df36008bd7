//! Marks what is live: takes the resolved program, gives what the module must
//! hold, starting from its exports, its entry, its constructors and what is
//! always kept.
//!
//! Also decides what becomes of the undefined symbols that are live, since no
//! other undefined symbol matters.

use std::borrow::Cow;
use std::collections::BTreeSet;

use hashbrown::{HashMap, HashSet};
use wasmparser::{RelocationType, SymbolFlags};

use super::error::{Error, Result};
use super::features;
use super::object::{Kind, Object, Relocation, SEGMENT_RETAIN};
use super::options::{Exports, Options, Unresolved};
use super::runtime;
use super::symbols::{Body, Definition, Made, MadeGlobal, Program, SymbolId, Target};
use super::types;

/// A function: an object's, the linker's or an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FunctionRef {
    /// An import.
    Import(SymbolId),
    /// A function that the linker makes.
    Made(u32),
    /// An object's: object, index among its functions.
    Object(u32, u32),
}

/// A symbol whose address or table index code reads from a global
/// (position-independent code).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// A shared symbol.
    Shared(SymbolId),
    /// An object's own symbol.
    Local(u32, u32),
}

/// Something with relocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chunk {
    /// Object, index among its functions.
    Function(u32, u32),
    /// Object, index among its segments.
    Segment(u32, u32),
}

/// What the module holds.
#[derive(Debug, Default)]
pub struct Live<'a> {
    /// Per object, per function it defines.
    pub functions: Vec<Vec<bool>>,
    /// Per object, per function, how often live code calls it.
    pub calls: Vec<Vec<u32>>,
    /// Per object, per data segment.
    pub segments: Vec<Vec<bool>>,
    /// Per object, per global it defines.
    pub globals: Vec<Vec<bool>>,
    /// Per object, per tag it defines.
    pub tags: Vec<Vec<bool>>,
    /// Per object, per table it defines.
    pub tables: Vec<Vec<bool>>,
    /// Per function that the linker makes.
    pub made: Vec<bool>,
    /// Undefined symbols that become imports, in the order they were met.
    pub imports: Vec<SymbolId>,
    /// Whether `__stack_pointer` is used.
    pub stack_pointer: bool,
    /// Whether `__tls_base` is used.
    pub tls_base: bool,
    /// Whether the function table is used, be it empty.
    pub function_table: bool,
    /// Whether a zero byte for the allocator shim is needed.
    pub zero_byte: bool,
    /// Functions whose address is taken.
    pub address_taken: BTreeSet<FunctionRef>,
    /// Symbols whose address is read from a global.
    pub slots: BTreeSet<Slot>,
    /// Types of indirect calls.
    pub call_types: Vec<&'a [u8]>,
    /// Constructors, in the order in which they run.
    pub constructors: Vec<FunctionRef>,
    /// Shared symbols to export, in the order in which they came up.
    pub exports: Vec<SymbolId>,
    /// Whether live code calls the constructors itself, as `_start` does.
    pub constructors_called: bool,
    /// `__start_NAME` and `__stop_NAME` symbols.
    pub bounds: Vec<SymbolId>,
    /// For the report: what first reached a chunk.
    pub reached_from: HashMap<Chunk, Chunk>,
}

impl Live<'_> {
    /// Whether an object has any code or data in the module.
    pub fn has_part(&self, object: usize) -> bool {
        self.functions[object].contains(&true) || self.segments[object].contains(&true)
    }
}

/// Marks what is live.
///
/// # Errors
///
/// If a live symbol is undefined and no option says what to do about it, or an
/// export that the caller names is not there.
pub fn mark<'a>(program: &mut Program<'a>, options: &Options) -> Result<Live<'a>> {
    let exports = exports(program, options)?;
    let mut marker = Marker::new(program, options);
    marker.live.exports = exports;
    marker.roots();
    marker.run()?;
    marker.keep_everything_if_asked()?;
    let Marker {
        mut live,
        undefined,
        errors,
        stubs,
        ..
    } = marker;
    if !errors.is_empty() {
        return Err(Error::all(errors));
    }
    // The first function that the linker makes is `__wasm_call_ctors`.
    live.constructors_called = live.made[0];
    settle_undefined(program, &mut live, options, undefined, stubs)?;
    live.constructors = constructors(program, &live)?;
    if !live.constructors.is_empty() {
        live.made[0] = true;
    }
    Ok(live)
}

/// Why an undefined symbol is live: the object that uses it.
type Undefined = (SymbolId, u32);

struct Marker<'p, 'a> {
    program: &'p Program<'a>,
    options: &'p Options,
    live: Live<'a>,
    queue: Vec<Chunk>,
    /// Per object: its constructors and retained segments are marked.
    entered: Vec<bool>,
    seen_shared: HashSet<SymbolId>,
    seen_types: HashSet<&'a [u8]>,
    undefined: Vec<Undefined>,
    errors: Vec<String>,
    /// Undefined weak functions that are called.
    stubs: Vec<SymbolId>,
    current: Option<Chunk>,
}

impl<'p, 'a> Marker<'p, 'a> {
    fn new(program: &'p Program<'a>, options: &'p Options) -> Self {
        let dead = |count: fn(&Object) -> usize| {
            program
                .objects
                .iter()
                .map(|o| vec![false; count(o)])
                .collect()
        };
        Marker {
            program,
            options,
            live: Live {
                functions: dead(|o| o.functions.len()),
                calls: program
                    .objects
                    .iter()
                    .map(|o| vec![0; o.functions.len()])
                    .collect(),
                segments: dead(|o| o.segments.len()),
                globals: dead(|o| o.globals.len()),
                tags: dead(|o| o.tags.len()),
                tables: dead(|o| o.tables.len()),
                made: vec![false; program.made.len()],
                ..Live::default()
            },
            queue: Vec::new(),
            entered: vec![false; program.objects.len()],
            seen_shared: HashSet::new(),
            seen_types: HashSet::new(),
            undefined: Vec::new(),
            errors: Vec::new(),
            stubs: Vec::new(),
            current: None,
        }
    }

    fn roots(&mut self) {
        let program = self.program;
        let entry = self
            .options
            .entry
            .as_deref()
            .and_then(|e| program.symbols.find(e));
        let roots = self.live.exports.clone().into_iter().chain(entry);
        for id in roots.chain(program.destructors) {
            self.symbol(program.shared_target(id), 0);
        }
        for id in program.symbols.ids() {
            let symbol = &program.symbols[id];
            // The table of functions is needed when something uses it; LLVM
            // marks it in every object.
            let kept = symbol.flags.contains(SymbolFlags::NO_STRIP)
                && symbol.definition != Definition::FunctionTable;
            if kept && symbol.is_defined() {
                self.symbol(program.shared_target(id), 0);
            }
        }
        for object in 0..program.objects.len() as u32 {
            if program.is_root[object as usize] {
                self.enter(object);
            }
        }
        if self.options.table.export || self.options.table.import {
            self.live.function_table |= self.options.table.export
                || program
                    .symbols
                    .find(super::object::FUNCTION_TABLE)
                    .is_some();
        }
    }

    /// Marks what an object brings along as soon as it is part of the module.
    fn enter(&mut self, object: u32) {
        if std::mem::replace(&mut self.entered[object as usize], true) {
            return;
        }
        let o = &self.program.objects[object as usize];
        if o.legacy_table {
            self.live.function_table = true;
        }
        for &(_, symbol) in &o.init_functions {
            self.symbol(self.program.target(object, symbol), object);
        }
        for index in 0..o.segments.len() {
            if o.segments[index].flags & SEGMENT_RETAIN != 0 {
                self.segment(object, index as u32);
            }
        }
    }

    fn reach(&mut self, chunk: Chunk) {
        self.queue.push(chunk);
        if self.options.report
            && let Some(current) = self.current
        {
            self.live.reached_from.insert(chunk, current);
        }
    }

    fn function(&mut self, object: u32, index: u32) {
        let comdat = self.program.objects[object as usize].functions[index as usize].comdat;
        let live = &mut self.live.functions[object as usize][index as usize];
        if !*live && !self.program.is_discarded(object, comdat) {
            *live = true;
            self.reach(Chunk::Function(object, index));
            self.enter(object);
        }
    }

    fn segment(&mut self, object: u32, index: u32) {
        let comdat = self.program.objects[object as usize].segments[index as usize].comdat;
        let live = &mut self.live.segments[object as usize][index as usize];
        if !*live && !self.program.is_discarded(object, comdat) {
            *live = true;
            self.reach(Chunk::Segment(object, index));
            self.enter(object);
        }
    }

    /// Marks what a symbol stands for; `user` is the object that refers to it.
    fn symbol(&mut self, target: Target<'p>, user: u32) {
        match target {
            Target::Object { object, symbol } => {
                let symbol = &self.program.objects[object as usize].symbols[symbol as usize];
                match symbol.kind {
                    Kind::Function => self.function(object, symbol.index),
                    Kind::Data if symbol.flags.contains(SymbolFlags::ABSOLUTE) => {}
                    Kind::Data => self.segment(object, symbol.index),
                    Kind::Global => {
                        self.live.globals[object as usize][symbol.index as usize] = true;
                    }
                    Kind::Tag => self.live.tags[object as usize][symbol.index as usize] = true,
                    Kind::Table => self.live.tables[object as usize][symbol.index as usize] = true,
                    Kind::Section => {}
                }
            }
            Target::Shared(id, definition) => {
                if !self.seen_shared.insert(id) {
                    return;
                }
                match definition {
                    Definition::Made(made) => self.made(*made),
                    Definition::Global(MadeGlobal::StackPointer) => {
                        self.live.stack_pointer = true;
                    }
                    Definition::Global(MadeGlobal::TlsBase) => {
                        self.live.tls_base = true;
                    }
                    Definition::Global(MadeGlobal::InitDone) => {}
                    Definition::FunctionTable => self.live.function_table = true,
                    Definition::Address(super::symbols::Address::ZeroByte) => {
                        self.live.zero_byte = true;
                    }
                    Definition::Address(
                        super::symbols::Address::SegmentStart(_)
                        | super::symbols::Address::SegmentStop(_),
                    ) => self.live.bounds.push(id),
                    Definition::Address(_) => {}
                    // A weak reference to a member that nothing else wants.
                    Definition::Lazy(_) | Definition::Undefined => self.undefined.push((id, user)),
                    Definition::Object { .. } => unreachable!("shared_target looks through it"),
                }
            }
        }
    }

    fn made(&mut self, made: u32) {
        self.live.made[made as usize] = true;
        match self.program.made[made as usize].body {
            Body::Export(id) => self.symbol(self.program.shared_target(id), 0),
            Body::Panic(_) => {
                if let Some(id) = self.program.panic_import {
                    self.symbol(self.program.shared_target(id), 0);
                }
            }
            _ => {}
        }
    }

    fn run(&mut self) -> Result<()> {
        let program = self.program;
        while let Some(chunk) = self.queue.pop() {
            self.current = Some(chunk);
            let (number, relocations) = program.relocations(chunk)?;
            for relocation in relocations {
                self.relocation(number, relocation);
            }
        }
        self.current = None;
        Ok(())
    }

    fn relocation(&mut self, number: u32, relocation: &Relocation) {
        use RelocationType::*;
        let program = self.program;
        let object = &program.objects[number as usize];
        if relocation.ty == TypeIndexLeb {
            let ty = object.types[relocation.index as usize];
            if self.seen_types.insert(ty) {
                self.live.call_types.push(ty);
            }
            return;
        }
        let target = program.target(number, relocation.index);
        if let Some(group) = discarded_group(program, target) {
            self.errors.push(format!(
                "{}: undefined symbol: {}; it is local to the comdat group `{group}`, of which \
                 another object's copy is linked",
                object.place,
                types::demangle(object.symbols[relocation.index as usize].name),
            ));
            return;
        }
        match relocation.ty {
            TableIndexSleb | TableIndexI32 | TableIndexRelSleb => {
                if let Some(function) = self.address(target) {
                    self.live.address_taken.insert(function);
                } else {
                    // A weak function that nothing defines: its address is 0.
                    return;
                }
            }
            FunctionIndexLeb => {
                if let Target::Object { object, symbol } = target {
                    let index = program.objects[object as usize].symbols[symbol as usize].index;
                    self.live.calls[object as usize][index as usize] += 1;
                }
                if let Target::Shared(id, Definition::Undefined | Definition::Lazy(_)) = target
                    && program.symbols[id].is_weak()
                {
                    self.stubs.push(id);
                    return;
                }
            }
            GlobalIndexLeb | GlobalIndexI32 if program.is_slot(number, relocation.index) => {
                self.live.slots.insert(match target {
                    Target::Shared(id, _) => Slot::Shared(id),
                    Target::Object { object, symbol } => Slot::Local(object, symbol),
                });
                if object.symbols[relocation.index as usize].kind == Kind::Function {
                    match self.address(target) {
                        Some(function) => {
                            self.live.address_taken.insert(function);
                        }
                        None => return,
                    }
                }
            }
            _ => {}
        }
        self.symbol(target, number);
    }

    /// The function whose address a symbol stands for; `None` if that is null.
    fn address(&self, target: Target) -> Option<FunctionRef> {
        match target {
            Target::Object { object, symbol } => {
                let symbol = &self.program.objects[object as usize].symbols[symbol as usize];
                let comdat =
                    self.program.objects[object as usize].functions[symbol.index as usize].comdat;
                (!self.program.is_discarded(object, comdat))
                    .then_some(FunctionRef::Object(object, symbol.index))
            }
            Target::Shared(_, &Definition::Made(made)) => {
                let stub = self.program.made[made as usize].body == Body::Unreachable;
                (!stub).then_some(FunctionRef::Made(made))
            }
            Target::Shared(id, _) => {
                (!self.program.symbols[id].is_weak()).then_some(FunctionRef::Import(id))
            }
        }
    }

    fn keep_everything_if_asked(&mut self) -> Result<()> {
        if self.options.gc_sections {
            return Ok(());
        }
        for object in 0..self.program.objects.len() as u32 {
            let o = &self.program.objects[object as usize];
            self.enter(object);
            for index in 0..o.functions.len() as u32 {
                self.function(object, index);
            }
            for index in 0..o.segments.len() as u32 {
                self.segment(object, index);
            }
            self.live.globals[object as usize].fill(true);
            self.live.tags[object as usize].fill(true);
            self.live.tables[object as usize].fill(true);
        }
        self.live.stack_pointer = true;
        self.run()
    }
}

/// The comdat group that a symbol is part of, if another copy of it is kept.
fn discarded_group<'p>(program: &'p Program, target: Target) -> Option<&'p str> {
    let Target::Object { object, symbol } = target else {
        return None;
    };
    let o = &program.objects[object as usize];
    let symbol = &o.symbols[symbol as usize];
    let comdat = match symbol.kind {
        Kind::Function => o.functions[symbol.index as usize].comdat,
        Kind::Data if !symbol.flags.contains(SymbolFlags::ABSOLUTE) => {
            o.segments[symbol.index as usize].comdat
        }
        _ => return None,
    };
    program
        .is_discarded(object, comdat)
        .then(|| o.comdats[comdat as usize])
}

/// The shared symbols that the module exports.
fn exports(program: &mut Program, options: &Options) -> Result<Vec<SymbolId>> {
    let mut missing = Vec::new();
    let mut wanted: Vec<SymbolId> = Vec::new();
    let named = match &options.exports {
        Exports::Named(names) => Some(names),
        Exports::Guest => None,
    };
    for name in named.into_iter().flatten() {
        match program.symbols.find(name) {
            Some(id) if program.symbols[id].is_defined() => wanted.push(id),
            _ => missing.push(name.as_str()),
        }
    }
    for name in &options.export_if_defined {
        wanted.extend(
            program
                .symbols
                .find(name)
                .filter(|&id| program.symbols[id].is_defined()),
        );
    }
    if let Some(name) = &options.entry {
        match program.symbols.find(name) {
            Some(id) if program.symbols[id].is_defined() => wanted.push(id),
            _ => {
                return Err(Error::new(format!(
                    "entry symbol not defined (pass --no-entry to suppress): {name}"
                )));
            }
        }
    }
    for id in wanted {
        program.symbols[id].exported = true;
    }
    if !missing.is_empty() {
        return Err(missing_exports(program, &missing));
    }
    let guests = (options.exports == Exports::Guest).then(|| guest_exports(program, options));
    for id in guests.into_iter().flatten() {
        program.symbols[id].exported = true;
    }
    let mutable_globals = features::allowed(program, options).contains("mutable-globals");
    Ok(program
        .symbols
        .ids()
        .filter(|&id| {
            let symbol = &program.symbols[id];
            if !symbol.is_defined() {
                return false;
            }
            let visible = !symbol.flags.contains(SymbolFlags::VISIBILITY_HIDDEN);
            let by_option = match symbol.definition {
                // wasm-ld exports its mutable globals where it may.
                Definition::Global(MadeGlobal::StackPointer) => {
                    options.export_all || options.export_dynamic
                }
                Definition::Global(_) => false,
                _ => options.export_all || (options.export_dynamic && visible),
            };
            let may = !matches!(symbol.definition, Definition::Global(_)) || mutable_globals;
            symbol.exported || symbol.flags.contains(SymbolFlags::EXPORTED) || (by_option && may)
        })
        .collect())
}

/// Functions that the guest's own objects define for all to see, under names
/// that its author chose.
fn guest_exports(program: &Program, options: &Options) -> Vec<SymbolId> {
    let mut ids = Vec::new();
    for number in 0..program.objects.len() {
        if !program.is_guest[number] {
            continue;
        }
        for (index, symbol) in program.objects[number].symbols.iter().enumerate() {
            let chosen = symbol.kind == Kind::Function
                && !symbol.is_undefined()
                && !symbol.is_local()
                && !symbol.flags.contains(SymbolFlags::VISIBILITY_HIDDEN)
                && runtime::library(symbol.name).is_none();
            // crt1 calls it; the module exports the entry instead.
            let is_main = options.entry.is_some()
                && matches!(
                    symbol.name,
                    "main" | "__main_void" | "__main_argc_argv" | "__original_main"
                );
            if chosen && !is_main {
                ids.push(program.bindings[number][index]);
            }
        }
    }
    ids
}

fn missing_exports(program: &Program, missing: &[&str]) -> Error {
    let mut there: Vec<&str> = program
        .symbols
        .ids()
        .map(|id| &program.symbols[id])
        .filter(|s| {
            let from_root = matches!(s.definition, Definition::Object { object, .. }
                if program.is_root[object as usize]);
            from_root && s.kind == Kind::Function && runtime::library(&s.name).is_none()
        })
        .map(|s| &*s.name)
        .collect();
    let messages = missing
        .iter()
        .map(|name| {
            there.sort_by_key(|other| (distance(name, other), other.to_string()));
            let list = if there.is_empty() {
                "the inputs define no function that could be exported".to_owned()
            } else {
                let shown: Vec<_> = there.iter().take(20).map(|n| format!("`{n}`")).collect();
                let more = there.len() - shown.len();
                let more = if more > 0 {
                    format!(" and {more} more")
                } else {
                    String::new()
                };
                format!("the inputs define {}{more}", shown.join(", "))
            };
            format!("symbol exported via --export not found: {name}; {list}")
        })
        .collect();
    Error::all(messages)
}

/// How many characters must change to make one name of the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let here = if x == y {
                corner
            } else {
                1 + corner.min(row[j]).min(row[j + 1])
            };
            corner = std::mem::replace(&mut row[j + 1], here);
        }
    }
    row[b.chars().count()]
}

/// The live constructors by priority, then in the order of the inputs.
fn constructors(program: &Program, live: &Live) -> Result<Vec<FunctionRef>> {
    let mut all = Vec::new();
    for (number, object) in program.objects.iter().enumerate() {
        for &(priority, symbol) in &object.init_functions {
            let name = object.symbols[symbol as usize].name;
            let (function, is_live) = match program.target(number as u32, symbol) {
                Target::Object { object, symbol } => {
                    let defined = &program.objects[object as usize].symbols[symbol as usize];
                    let live = &live.functions[object as usize];
                    let is_live = live.get(defined.index as usize) == Some(&true);
                    (FunctionRef::Object(object, defined.index), is_live)
                }
                Target::Shared(_, &Definition::Made(made)) => {
                    (FunctionRef::Made(made), live.made[made as usize])
                }
                Target::Shared(id, _) => (FunctionRef::Import(id), live.imports.contains(&id)),
            };
            if !is_live {
                continue;
            }
            let takes_nothing = program
                .function_type(function)
                .and_then(types::split)
                .is_some_and(|(params, _)| params.is_empty());
            if !takes_nothing {
                return Err(object.error(format_args!(
                    "constructor `{}` takes arguments, but nobody could give it any",
                    types::demangle(name)
                )));
            }
            all.push((priority, function));
        }
    }
    all.sort_by_key(|&(priority, _)| priority);
    Ok(all.into_iter().map(|(_, function)| function).collect())
}

/// Makes each live undefined symbol an import or a function that traps, or
/// reports them all.
fn settle_undefined<'a>(
    program: &mut Program<'a>,
    live: &mut Live<'a>,
    options: &Options,
    undefined: Vec<Undefined>,
    stubs: Vec<SymbolId>,
) -> Result<()> {
    let stubs: BTreeSet<SymbolId> = stubs.into_iter().collect();
    for id in stubs {
        let name = format!(
            "undefined_weak:{}",
            types::demangle(&program.symbols[id].name)
        );
        stub(program, live, id, name);
    }
    let mut errors = Vec::new();
    for (id, user) in undefined {
        let symbol = &program.symbols[id];
        if symbol.is_weak() && symbol.kind != Kind::Global {
            continue;
        }
        let is_function = symbol.kind == Kind::Function;
        let by_guest = program.is_guest.get(user as usize) == Some(&true)
            && runtime::library(&symbol.name).is_none();
        // `wasm_import_module` and its like name the import.
        let explicit = symbol.flags.contains(SymbolFlags::EXPLICIT_NAME);
        let by_option = matches!(options.unresolved, Unresolved::Import | Unresolved::Allow);
        let allowed = symbol.is_host
            || explicit
            || by_option
            || options.allow_undefined.contains(&*symbol.name)
            || (is_function && by_guest);
        if allowed && symbol.kind != Kind::Data {
            live.imports.push(id);
            continue;
        }
        let is_null = symbol.kind == Kind::Data
            && (options.unresolved == Unresolved::Allow
                || options.allow_undefined.contains(&*symbol.name));
        if is_null {
            continue;
        }
        let message = undefined_message(program, id, user);
        match options.unresolved {
            Unresolved::Warn => program.warnings.push(message),
            Unresolved::Ignore => {}
            _ => {
                errors.push(message);
                continue;
            }
        }
        if is_function {
            stub(program, live, id, "undefined_stub".into());
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::all(errors))
    }
}

fn undefined_message(program: &Program, id: SymbolId, user: u32) -> String {
    let symbol = &program.symbols[id];
    let name = types::demangle(&symbol.name);
    let place = program
        .objects
        .get(user as usize)
        .map_or_else(|| "<command line>".to_owned(), |o| o.place.to_string());
    let advice = match (symbol.kind, runtime::library(&symbol.name)) {
        (_, Some(library)) => format!("it belongs to {library}, which is not among the inputs"),
        (Kind::Function, None) => format!(
            "if the host offers it, say so with --import={} (or --allow-undefined)",
            symbol.name
        ),
        (kind, None) => format!("no input defines this {kind}"),
    };
    format!("{place}: undefined symbol: {name}; {advice}")
}

/// Lets calls of a function trap; its address is null.
fn stub<'a>(program: &mut Program<'a>, live: &mut Live<'a>, id: SymbolId, name: String) {
    let signature = program.symbols[id].signature.unwrap_or(types::NOTHING);
    let made = program.make(Made {
        name,
        signature: Cow::Borrowed(signature),
        body: Body::Unreachable,
    });
    live.made.push(true);
    live.address_taken.remove(&FunctionRef::Import(id));
    program.symbols[id].definition = Definition::Made(made);
    program.symbols[id].kind = Kind::Function;
}
