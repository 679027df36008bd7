//! Resolves symbols: takes the inputs, gives the objects that are part of the
//! link and what each of their symbols stands for.
//!
//! Inputs are taken in order. An object joins at once, an archive's member
//! when it defines a symbol that is undefined by then or later. Of two
//! definitions a strong one beats a weak one, and the first beats the second.
//! These are wasm-ld's rules; what differs is that a function which the guest
//! declares for the host is never taken from a library.

use std::borrow::Cow;

use hashbrown::HashMap;
use rayon::prelude::*;
use wasmparser::{RelocationType, SymbolFlags};

use super::archive::{self, Archive, Member};
use super::code::PARALLEL;
use super::error::{Error, Result};
use super::object::{Kind, Object, Place, Symbol as ObjectSymbol};
use super::options::{Input, Options, Role};
use super::shim::{Shim, shim};
use super::symbols::{
    Address, Body, Definition, LOCAL, Made, MadeGlobal, Program, Symbol, SymbolId, Symbols,
};
use super::types;

/// Resolves `inputs`.
///
/// # Errors
///
/// If an input is damaged, two strong definitions meet, or the kinds of a
/// symbol disagree. Undefined symbols are not looked for here: only what turns
/// out to be live is missed.
pub fn resolve<'a>(inputs: &[Input<'a>], options: &'a Options) -> Result<Program<'a>> {
    let mut resolver = Resolver::new(options);
    resolver.define_linker_symbols();
    for (input, read) in inputs.iter().zip(read_ahead(inputs)) {
        resolver.input(input, read)?;
        resolver.pull_pending()?;
    }
    resolver.request_by_option()?;
    resolver.add_shim()?;
    resolver.define_optional_symbols();
    resolver.apply_defsym()?;
    resolver.take_host_functions_from_objects();
    resolver.apply_wrap();
    resolver.match_signatures()?;
    if !resolver.errors.is_empty() {
        return Err(Error::all(resolver.errors));
    }
    Ok(resolver.program)
}

/// Reads many objects at once, where that is worth a second thread. What is
/// wrong with one is said when its turn comes.
fn read_ahead<'a>(inputs: &[Input<'a>]) -> Vec<Option<Result<Object<'a>>>> {
    let is_object = |input: &Input| input.role != Role::Lazy && input.bytes.starts_with(b"\0asm");
    let objects = inputs.iter().filter(|i| is_object(i));
    if objects.map(|i| i.bytes.len()).sum::<usize>() < PARALLEL {
        return inputs.iter().map(|_| None).collect();
    }
    let read = |input: &Input<'a>| {
        let place = Place {
            file: input.name,
            member: None,
        };
        let object = Object::read(place, input.bytes);
        if let Ok(object) = &object {
            // Most of an object that is linked for its own sake is live.
            let _ = object.code_relocations();
        }
        object
    };
    inputs
        .par_iter()
        .map(|input| is_object(input).then(|| read(input)))
        .collect()
}

/// An object that joins when a symbol needs it.
#[derive(Clone, Copy)]
enum Lazy<'a> {
    /// The member of this archive whose header is at this offset.
    Archived(u32, u64),
    /// An object, or a member of an archive without an index.
    Member(Member<'a>),
    /// It is part of the link already.
    Joined,
}

/// How an object comes to be part of the link.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joins {
    /// For its own sake; it is the guest's if `guest`.
    Itself { guest: bool },
    /// For a symbol.
    Pulled,
}

struct Resolver<'a> {
    options: &'a Options,
    program: Program<'a>,
    archives: Vec<Archive<'a>>,
    lazies: Vec<Lazy<'a>>,
    /// Members to join: which, for which symbol, wanted by which object.
    pending: Vec<(u32, SymbolId, Option<u32>)>,
    comdats: HashMap<&'a str, ()>,
    /// Imports that no definition of the same name replaces: module, name and
    /// type to symbol.
    host: HashMap<(&'a str, &'a str, &'a [u8]), SymbolId>,
    errors: Vec<String>,
}

impl<'a> Resolver<'a> {
    fn new(options: &'a Options) -> Self {
        Resolver {
            options,
            program: Program {
                objects: Vec::new(),
                bindings: Vec::new(),
                is_root: Vec::new(),
                is_guest: Vec::new(),
                kept_comdats: Vec::new(),
                symbols: Symbols::default(),
                made: Vec::new(),
                destructors: None,
                panic_import: None,
                warnings: Vec::new(),
                pulled: Vec::new(),
            },
            archives: Vec::new(),
            lazies: Vec::new(),
            pending: Vec::new(),
            comdats: HashMap::new(),
            host: HashMap::new(),
            errors: Vec::new(),
        }
    }

    /// Symbols that are the linker's whatever the inputs say.
    fn define_linker_symbols(&mut self) {
        let made = self.program.make(Made {
            name: "__wasm_call_ctors".into(),
            signature: Cow::Borrowed(types::NOTHING),
            body: Body::CallCtors,
        });
        self.define_own("__wasm_call_ctors", Kind::Function, Definition::Made(made));
        let stack = Definition::Global(MadeGlobal::StackPointer);
        self.define_own("__stack_pointer", Kind::Global, stack);
    }

    fn define_own(&mut self, name: &'static str, kind: Kind, definition: Definition) {
        let (id, _) = self.program.symbols.entry(Cow::Borrowed(name), kind);
        let symbol = &mut self.program.symbols[id];
        symbol.definition = definition;
        symbol.kind = kind;
        symbol.flags |= SymbolFlags::VISIBILITY_HIDDEN;
    }

    fn input(&mut self, input: &Input<'a>, read: Option<Result<Object<'a>>>) -> Result<()> {
        let place = Place {
            file: input.name,
            member: None,
        };
        if archive::is_archive(input.bytes) {
            return self.archive(input);
        }
        if !input.bytes.starts_with(b"\0asm") {
            let what = match input.bytes {
                [] => "empty; neither an object nor an archive",
                [b'B', b'C', 0xc0, 0xde, ..] => {
                    "LLVM bitcode, which genkan does not link; compile without LTO (`-C lto=off`, \
                     no `-flto`)"
                }
                _ => "neither a WebAssembly object nor an archive",
            };
            return Err(Error::at(place, what));
        }
        let member = Member {
            place,
            bytes: input.bytes,
        };
        let joins = Joins::Itself {
            guest: input.role == Role::Guest,
        };
        match (input.role, read) {
            (_, Some(object)) => self.join_read(object?, joins).map(drop),
            (Role::Lazy, None) => self.offer(member),
            (_, None) => self.join(member, joins).map(drop),
        }
    }

    fn archive(&mut self, input: &Input<'a>) -> Result<()> {
        let archive = Archive::read(input.name, input.bytes)?;
        if input.role == Role::Whole {
            for member in archive.objects()? {
                self.join(member, Joins::Itself { guest: false })?;
                self.pull_pending()?;
            }
            return Ok(());
        }
        let Some(index) = archive.index()? else {
            for member in archive.objects()? {
                self.offer(member)?;
            }
            return Ok(());
        };
        let number = self.archives.len() as u32;
        let mut by_offset: HashMap<u64, u32> = HashMap::new();
        let mut last = None;
        for entry in index {
            let (name, offset) = entry?;
            // The index lists a member's symbols one after the other.
            let lazy = match last {
                Some((at, lazy)) if at == offset => lazy,
                _ => *by_offset.entry(offset).or_insert_with(|| {
                    self.lazies.push(Lazy::Archived(number, offset));
                    self.lazies.len() as u32 - 1
                }),
            };
            last = Some((offset, lazy));
            self.offer_symbol(name, lazy);
        }
        self.archives.push(archive);
        Ok(())
    }

    fn offer(&mut self, member: Member<'a>) -> Result<()> {
        let object = Object::read(member.place, member.bytes)?;
        let lazy = self.lazies.len() as u32;
        self.lazies.push(Lazy::Member(member));
        for name in archive::offered(&object) {
            self.offer_symbol(name, lazy);
        }
        Ok(())
    }

    fn offer_symbol(&mut self, name: &'a str, lazy: u32) {
        let (id, is_new) = self
            .program
            .symbols
            .entry(Cow::Borrowed(name), Kind::Function);
        let symbol = &mut self.program.symbols[id];
        if is_new || (symbol.definition == Definition::Undefined && symbol.is_weak()) {
            symbol.definition = Definition::Lazy(lazy);
        } else if symbol.definition == Definition::Undefined {
            self.pending.push((lazy, id, symbol.wanted_by));
        }
    }

    /// Lets pending members join. What a member needs comes before what else
    /// is pending: wasi-libc counts on it, where one member's weak definition
    /// makes another superfluous.
    fn pull_pending(&mut self) -> Result<()> {
        let mut waiting = std::mem::take(&mut self.pending);
        waiting.reverse();
        while let Some((lazy, symbol, wanted_by)) = waiting.pop() {
            if self.program.symbols[symbol].is_defined() {
                continue;
            }
            let member = match std::mem::replace(&mut self.lazies[lazy as usize], Lazy::Joined) {
                Lazy::Joined => continue,
                Lazy::Member(member) => member,
                Lazy::Archived(archive, offset) => {
                    self.archives[archive as usize].member(offset)?
                }
            };
            let object = self.join(member, Joins::Pulled)?;
            self.program.pulled.push((object, symbol, wanted_by));
            waiting.extend(self.pending.drain(..).rev());
        }
        Ok(())
    }

    fn join(&mut self, member: Member<'a>, joins: Joins) -> Result<u32> {
        self.join_read(Object::read(member.place, member.bytes)?, joins)
    }

    fn join_read(&mut self, object: Object<'a>, joins: Joins) -> Result<u32> {
        let number = self.program.objects.len() as u32;
        let kept: Vec<bool> = object
            .comdats
            .iter()
            .map(|name| self.comdats.insert(name, ()).is_none())
            .collect();
        self.program.kept_comdats.push(kept);
        self.program.is_root.push(joins != Joins::Pulled);
        self.program
            .is_guest
            .push(joins == Joins::Itself { guest: true });
        let symbols = object.symbols.len();
        self.program.objects.push(object);
        let mut bindings = Vec::with_capacity(symbols);
        for index in 0..symbols as u32 {
            bindings.push(self.bind(number, index, joins));
        }
        self.program.bindings.push(bindings);
        Ok(number)
    }

    /// Enters a symbol of an object into the shared table.
    fn bind(&mut self, number: u32, index: u32, joins: Joins) -> SymbolId {
        let object = &self.program.objects[number as usize];
        let symbol = object.symbols[index as usize];
        if symbol.kind == Kind::Section || (symbol.is_local() && !symbol.is_undefined()) {
            return LOCAL;
        }
        let comdat = match symbol.kind {
            _ if symbol.is_undefined() => super::object::NO_COMDAT,
            Kind::Function => object.functions[symbol.index as usize].comdat,
            Kind::Data if symbol.flags.contains(SymbolFlags::ABSOLUTE) => super::object::NO_COMDAT,
            Kind::Data => object.segments[symbol.index as usize].comdat,
            _ => super::object::NO_COMDAT,
        };
        if symbol.is_undefined() || self.program.is_discarded(number, comdat) {
            self.reference(number, symbol, joins)
        } else {
            self.define(number, index, symbol)
        }
    }

    fn define(&mut self, object: u32, index: u32, new: ObjectSymbol<'a>) -> SymbolId {
        let (id, is_new) = self
            .program
            .symbols
            .entry(Cow::Borrowed(new.name), new.kind);
        let old = &self.program.symbols[id];
        if !is_new && !matches!(old.definition, Definition::Lazy(_)) && old.kind != new.kind {
            self.kinds_disagree(id, object, new.kind);
            return id;
        }
        if old.is_defined() {
            if new.is_weak() {
                return id;
            }
            if !old.is_weak() {
                if !self.options.allow_multiple_definition {
                    self.duplicate(id, object);
                }
                return id;
            }
        }
        let no_strip = old.flags & SymbolFlags::NO_STRIP;
        let symbol = &mut self.program.symbols[id];
        symbol.kind = new.kind;
        symbol.flags = new.flags | no_strip;
        symbol.definition = Definition::Object {
            object,
            symbol: index,
        };
        id
    }

    fn reference(&mut self, number: u32, new: ObjectSymbol<'a>, joins: Joins) -> SymbolId {
        let object = &self.program.objects[number as usize];
        let index = new.index as usize;
        let undefined = new.is_undefined();
        let (signature, import) = match new.kind {
            Kind::Function => {
                let import = undefined.then(|| object.function_imports[index]);
                (
                    Some(object.function_type(&new)),
                    import.map(|i| (i.module, i.name)),
                )
            }
            Kind::Tag if undefined => {
                let import = object.tag_imports[index];
                (
                    Some(object.types[import.ty as usize]),
                    Some((import.module, import.name)),
                )
            }
            Kind::Global if undefined => {
                let import = object.global_imports[index];
                (None, Some((import.module, import.name)))
            }
            Kind::Table if undefined => {
                let import = object.table_imports[index];
                (None, Some((import.module, import.name)))
            }
            _ => (None, None),
        };
        if let (Kind::Function, Some((module, name)), Some(signature)) =
            (new.kind, import, signature)
        {
            let declared = joins != Joins::Pulled && self.options.host_functions.contains(new.name);
            // With `wasm_import_module` the compiler names the import itself.
            let explicit = new.flags.contains(SymbolFlags::EXPLICIT_NAME) || module != "env";
            if (declared || explicit) && !new.is_weak() {
                return self.host_function(number, new.name, (module, name, signature));
            }
        }
        let (id, is_new) = self
            .program
            .symbols
            .entry(Cow::Borrowed(new.name), new.kind);
        let strong = !new.is_weak();
        let symbol = &mut self.program.symbols[id];
        if is_new {
            symbol.flags = new.flags;
        }
        symbol.wanted_by.get_or_insert(number);
        match symbol.definition {
            Definition::Lazy(lazy) => {
                symbol.kind = new.kind;
                symbol.signature = symbol.signature.or(signature);
                symbol.import = symbol.import.or(import);
                if strong {
                    symbol.flags = new.flags;
                    symbol.definition = Definition::Undefined;
                    self.pending.push((lazy, id, Some(number)));
                } else {
                    symbol.flags = new.flags;
                }
            }
            Definition::Undefined => {
                if symbol.kind != new.kind {
                    self.kinds_disagree(id, number, new.kind);
                    return id;
                }
                symbol.signature = symbol.signature.or(signature);
                symbol.import = symbol.import.or(import);
                if strong {
                    symbol.flags.remove(SymbolFlags::BINDING_WEAK);
                }
                symbol.flags |= new.flags & SymbolFlags::NO_STRIP;
            }
            _ if symbol.kind != new.kind => self.kinds_disagree(id, number, new.kind),
            _ => {}
        }
        id
    }

    /// The import that a function which is declared for the host stands for.
    fn host_function(
        &mut self,
        object: u32,
        name: &'a str,
        import: (&'a str, &'a str, &'a [u8]),
    ) -> SymbolId {
        if let Some(&id) = self.host.get(&import) {
            return id;
        }
        let id = self.program.symbols.push(Symbol {
            name: Cow::Borrowed(name),
            kind: Kind::Function,
            flags: SymbolFlags::UNDEFINED,
            definition: Definition::Undefined,
            signature: Some(import.2),
            import: Some((import.0, import.1)),
            wanted_by: Some(object),
            exported: false,
            is_host: true,
        });
        self.host.insert(import, id);
        id
    }

    /// Pulls what defines `name`, as if an object referred to it.
    fn request(&mut self, name: &str) -> Option<SymbolId> {
        let id = self.program.symbols.find(name)?;
        let symbol = &mut self.program.symbols[id];
        if let Definition::Lazy(lazy) = symbol.definition {
            symbol.definition = Definition::Undefined;
            self.pending.push((lazy, id, None));
        }
        Some(id)
    }

    fn request_by_option(&mut self) -> Result<()> {
        let options = self.options;
        let targets = options.defsym.iter().map(|(_, target)| target);
        for name in options.undefined.iter().chain(targets) {
            self.request(name);
        }
        for name in &options.wrap {
            self.request(&format!("__wrap_{name}"));
            // Uses of `__real_NAME` will be uses of `NAME`.
            if self
                .program
                .symbols
                .find(&format!("__real_{name}"))
                .is_some()
            {
                self.request(name);
            }
        }
        let named = match &options.exports {
            super::Exports::Named(names) => Some(names),
            super::Exports::Guest => None,
        };
        for name in named
            .into_iter()
            .flatten()
            .chain(&options.export_if_defined)
        {
            self.request(name);
        }
        let entry = options.entry.as_deref().and_then(|name| self.request(name));
        self.pull_pending()?;
        if let Some(id) = entry {
            self.program.symbols[id]
                .flags
                .remove(SymbolFlags::VISIBILITY_HIDDEN);
            self.request_destructors()?;
        }
        Ok(())
    }

    /// Where crt1 does not run constructors and destructors (before
    /// wasi-libc of 2023), the linker does, around the entry.
    fn request_destructors(&mut self) -> Result<()> {
        let constructors = self.program.symbols.find("__wasm_call_ctors");
        if constructors.is_some_and(|id| self.program.symbols[id].wanted_by.is_some()) {
            return Ok(());
        }
        let destructors = self.request("__wasm_call_dtors");
        self.pull_pending()?;
        self.program.destructors = destructors.filter(|&id| {
            self.program.symbols[id].is_defined()
                && self.program.signature(id) == Some(types::NOTHING)
        });
        Ok(())
    }

    /// Defines what is still undefined of the allocator shim.
    fn add_shim(&mut self) -> Result<()> {
        let mut next = 0;
        while next < self.program.symbols.ids().end {
            let id = next;
            next += 1;
            let symbol = &self.program.symbols[id];
            if symbol.definition != Definition::Undefined || symbol.is_host {
                continue;
            }
            let Some(shim) = shim(&symbol.name) else {
                continue;
            };
            let signature = symbol.signature;
            let definition = match shim {
                Shim::Nothing => Definition::Made(self.program.make(Made {
                    name: symbol.name.clone().into_owned(),
                    signature: Cow::Borrowed(signature.unwrap_or(types::NOTHING)),
                    body: Body::Zero,
                })),
                Shim::ZeroByte => Definition::Address(Address::ZeroByte),
                Shim::Alias(targets) => {
                    let mut found = None;
                    for target in &targets {
                        found = self.request(target);
                        if found.is_some() {
                            break;
                        }
                    }
                    self.pull_pending()?;
                    match found.map(|id| self.program.symbols[id].definition.clone()) {
                        Some(definition @ Definition::Object { .. }) => definition,
                        // Reported like any other undefined symbol, if live.
                        _ => continue,
                    }
                }
            };
            self.program.symbols[id].definition = definition;
        }
        Ok(())
    }

    /// Defines what the linker knows, where an input wants it and has none.
    fn define_optional_symbols(&mut self) {
        let data = [
            ("__dso_handle", Address::GlobalBase),
            ("__data_end", Address::DataEnd),
            ("__stack_low", Address::StackLow),
            ("__stack_high", Address::StackHigh),
            ("__global_base", Address::GlobalBase),
            ("__heap_base", Address::HeapBase),
            ("__heap_end", Address::HeapEnd),
            ("__memory_base", Address::Absolute(0)),
            ("__table_base", Address::TableBase),
            ("__wasm_first_page_end", Address::Absolute(65536)),
        ];
        for (name, address) in data {
            self.define_optional(name, Kind::Data, Definition::Address(address));
        }
        let tls = Definition::Global(MadeGlobal::TlsBase);
        self.define_optional("__tls_base", Kind::Global, tls);
        if let Some(id) = self.program.symbols.find(super::object::FUNCTION_TABLE) {
            let symbol = &mut self.program.symbols[id];
            if symbol.definition == Definition::Undefined && symbol.kind == Kind::Table {
                symbol.definition = Definition::FunctionTable;
                symbol.flags |= SymbolFlags::VISIBILITY_HIDDEN;
            }
        }
        for id in self.program.symbols.ids() {
            let symbol = &mut self.program.symbols[id];
            if symbol.definition != Definition::Undefined || symbol.kind != Kind::Data {
                continue;
            }
            let is_name = |s: &str| {
                !s.is_empty()
                    && !s.starts_with(|c: char| c.is_ascii_digit())
                    && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            };
            let address = if let Some(name) = symbol.name.strip_prefix("__start_") {
                is_name(name).then(|| Address::SegmentStart(name.to_owned()))
            } else if let Some(name) = symbol.name.strip_prefix("__stop_") {
                is_name(name).then(|| Address::SegmentStop(name.to_owned()))
            } else {
                None
            };
            if let Some(address) = address {
                symbol.definition = Definition::Address(address);
                symbol.flags |= SymbolFlags::VISIBILITY_HIDDEN;
            }
        }
    }

    fn define_optional(&mut self, name: &'static str, kind: Kind, definition: Definition) {
        let wanted = self.options.export_all
            || self.options.export_if_defined.contains(name)
            || matches!(&self.options.exports, super::Exports::Named(n) if n.contains(name));
        let id = match self.program.symbols.find(name) {
            Some(id) => id,
            None if wanted => self.program.symbols.entry(Cow::Borrowed(name), kind).0,
            None => return,
        };
        let symbol = &mut self.program.symbols[id];
        if symbol.is_defined() {
            return;
        }
        // Position-independent code asks for a global with the address, and
        // gets one.
        let fits = symbol.kind == kind
            || symbol.wanted_by.is_none()
            || (symbol.kind == Kind::Global && kind == Kind::Data);
        if !fits {
            return;
        }
        symbol.kind = kind;
        symbol.definition = definition;
        symbol.flags |= SymbolFlags::VISIBILITY_HIDDEN;
    }

    fn apply_defsym(&mut self) -> Result<()> {
        for (name, target) in &self.options.defsym {
            let number = match target.strip_prefix("0x") {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => target.parse().ok(),
            };
            let (definition, kind, flags) = match number {
                Some(n) => (
                    Definition::Address(Address::Absolute(n)),
                    Kind::Data,
                    SymbolFlags::empty(),
                ),
                None => match self.program.symbols.find(target) {
                    Some(id) if self.program.symbols[id].is_defined() => {
                        let symbol = &self.program.symbols[id];
                        (symbol.definition.clone(), symbol.kind, symbol.flags)
                    }
                    _ => {
                        return Err(Error::new(format!(
                            "--defsym={name}={target}: no input defines `{target}`"
                        )));
                    }
                },
            };
            let (id, _) = self.program.symbols.entry(Cow::Borrowed(name), kind);
            let symbol = &mut self.program.symbols[id];
            symbol.definition = definition;
            symbol.kind = kind;
            symbol.flags = flags;
        }
        Ok(())
    }

    /// A function that is declared for the host and defined by an object that
    /// is linked for its own sake is that object's after all.
    fn take_host_functions_from_objects(&mut self) {
        let program = &mut self.program;
        for &id in self.host.values() {
            let Some(other) = program.symbols.find(&program.symbols[id].name) else {
                continue;
            };
            if let Definition::Object { object, .. } = program.symbols[other].definition
                && program.is_root[object as usize]
            {
                program.symbols[id].definition = program.symbols[other].definition.clone();
                program.symbols[id].is_host = false;
                program.symbols[id].kind = program.symbols[other].kind;
            }
        }
    }

    /// Where an object calls a function by another type than it has, its calls
    /// go to a function that traps.
    fn match_signatures(&mut self) -> Result<()> {
        let mut stubs: HashMap<(SymbolId, &'a [u8]), SymbolId> = HashMap::new();
        for number in 0..self.program.objects.len() {
            for index in 0..self.program.bindings[number].len() {
                let program = &self.program;
                let object = &program.objects[number];
                let symbol = &object.symbols[index];
                let id = program.bindings[number][index];
                if id == LOCAL || symbol.kind != Kind::Function {
                    continue;
                }
                let expected = object.function_type(symbol);
                let Some(actual) = program.signature(id) else {
                    // Known by option alone so far, as `__wrap_NAME` may be.
                    let symbol = &mut self.program.symbols[id];
                    if !symbol.is_defined() {
                        symbol.signature = Some(expected);
                        symbol.wanted_by.get_or_insert(number as u32);
                    }
                    continue;
                };
                if actual == expected || program.symbols[id].kind != Kind::Function {
                    continue;
                }
                if !is_called(object, index as u32)? {
                    continue;
                }
                let shared = &program.symbols[id];
                if !shared.is_defined() {
                    let first = shared.wanted_by.unwrap_or_default();
                    if !self.is_called_before(id, number, index)? {
                        self.program.symbols[id].signature = Some(expected);
                        continue;
                    }
                    self.errors.push(format!(
                        "function signature mismatch: {}\n>>> called as {} in {}\n>>> called as {} in {}",
                        types::demangle(&shared.name),
                        types::describe(actual),
                        program.objects[first as usize].place,
                        types::describe(expected),
                        object.place,
                    ));
                    continue;
                }
                let stub = match stubs.get(&(id, expected)) {
                    Some(&stub) => stub,
                    None => {
                        let warning = format!(
                            "function signature mismatch: {}\n>>> called as {} in {}\n>>> defined as {} in {}",
                            types::demangle(&shared.name),
                            types::describe(expected),
                            object.place,
                            types::describe(actual),
                            self.definer(id),
                        );
                        let name = shared.name.clone();
                        let stub = self.trap_stub(format!("signature_mismatch:{name}"), expected);
                        self.program.warnings.push(warning);
                        stubs.insert((id, expected), stub);
                        stub
                    }
                };
                self.program.bindings[number][index] = stub;
            }
        }
        Ok(())
    }

    /// Whether an object calls it by a symbol that comes before this one.
    fn is_called_before(&self, id: SymbolId, number: usize, index: usize) -> Result<bool> {
        for (other, object) in self.program.objects.iter().enumerate().take(number + 1) {
            for (symbol, &bound) in self.program.bindings[other].iter().enumerate() {
                let before = (other, symbol) < (number, index);
                if before && bound == id && is_called(object, symbol as u32)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn trap_stub(&mut self, name: String, signature: &'a [u8]) -> SymbolId {
        let made = self.program.make(Made {
            name: name.clone(),
            signature: Cow::Borrowed(signature),
            body: Body::Unreachable,
        });
        self.program.symbols.push(Symbol {
            name: Cow::Owned(name),
            kind: Kind::Function,
            flags: SymbolFlags::VISIBILITY_HIDDEN,
            definition: Definition::Made(made),
            signature: Some(signature),
            import: None,
            wanted_by: None,
            exported: false,
            is_host: false,
        })
    }

    /// `--wrap=f`: uses of `f` become `__wrap_f`, those of `__real_f` become `f`.
    fn apply_wrap(&mut self) {
        let symbols = &mut self.program.symbols;
        let mut moved: HashMap<SymbolId, SymbolId> = HashMap::new();
        for name in &self.options.wrap {
            let Some(id) = symbols.find(name) else {
                continue;
            };
            let wrap = symbols
                .entry(Cow::Owned(format!("__wrap_{name}")), Kind::Function)
                .0;
            let real = symbols
                .entry(Cow::Owned(format!("__real_{name}")), Kind::Function)
                .0;
            moved.insert(id, wrap);
            moved.insert(real, id);
        }
        if moved.is_empty() {
            return;
        }
        for bindings in &mut self.program.bindings {
            for id in bindings {
                *id = moved.get(id).copied().unwrap_or(*id);
            }
        }
    }

    fn definer(&self, id: SymbolId) -> String {
        match self.program.symbols[id].definition {
            Definition::Object { object, .. } => {
                self.program.objects[object as usize].place.to_string()
            }
            _ => "<linker>".into(),
        }
    }

    fn duplicate(&mut self, id: SymbolId, object: u32) {
        let message = format!(
            "duplicate symbol: {}\n>>> defined in {}\n>>> defined in {}",
            types::demangle(&self.program.symbols[id].name),
            self.definer(id),
            self.program.objects[object as usize].place,
        );
        self.errors.push(message);
    }

    fn kinds_disagree(&mut self, id: SymbolId, object: u32, kind: Kind) {
        let symbol = &self.program.symbols[id];
        let first = match symbol.wanted_by {
            Some(first) if !symbol.is_defined() => {
                self.program.objects[first as usize].place.to_string()
            }
            _ => self.definer(id),
        };
        self.errors.push(format!(
            "symbol type mismatch: {}\n>>> a {} in {first}\n>>> a {kind} in {}",
            types::demangle(&symbol.name),
            symbol.kind,
            self.program.objects[object as usize].place,
        ));
    }
}

/// Whether the object calls the function directly, rather than taking its
/// address: only then must the types agree.
fn is_called(object: &Object, symbol: u32) -> Result<bool> {
    Ok(object
        .code_relocations()?
        .iter()
        .any(|r| r.ty == RelocationType::FunctionIndexLeb && r.index == symbol))
}
