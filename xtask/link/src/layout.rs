//! Lays the module out: takes what is live, gives every function, global,
//! table and tag its index, every byte of data its address, every function
//! whose address is taken its place in the table, and the memory its size.

use std::borrow::Cow;

use super::error::{Error, Result};
use super::live::{FunctionRef, Live, Slot};
use super::object::{Kind, SEGMENT_STRINGS, SEGMENT_TLS};
use super::options::Options;
use super::start;
use super::strings::{self, Pieces};
use super::symbols::{Address, Definition, MadeGlobal, Program, SymbolId, Target};
use super::types;
use hashbrown::HashMap;

/// Bytes of a page of linear memory.
pub const PAGE: u64 = 65536;
const STACK_ALIGN: u64 = 16;
const HEAP_ALIGN: u64 = 16;
/// Where data begins without a stack below it; 0 is the null pointer.
const FIRST_DATA: u64 = 1024;
/// Addresses are 32 bits wide.
const MEMORY_LIMIT: u64 = 1 << 32;

/// For what has no index or address.
pub const NONE: u32 = u32::MAX;

/// A part of a data segment.
#[derive(Debug)]
pub enum Part {
    /// An object's segment, at this offset.
    Segment {
        /// Index of the object.
        object: u32,
        /// Index among its segments.
        segment: u32,
        /// Offset in the segment of the module.
        offset: u32,
    },
    /// Merged strings, at this offset.
    Strings {
        /// The strings.
        bytes: Vec<u8>,
        /// Offset in the segment of the module.
        offset: u32,
    },
}

/// A data segment of the module.
#[derive(Debug)]
pub struct Segment<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Where it lies in linear memory.
    pub address: u32,
    /// Its size in bytes.
    pub size: u32,
    /// Its alignment, as a power of two.
    pub align: u32,
    /// What it consists of.
    pub parts: Vec<Part>,
    /// All zero: it need not have bytes in the module.
    pub is_bss: bool,
}

/// A global that the module defines.
#[derive(Debug)]
pub enum Global {
    /// One that the linker makes.
    Made(MadeGlobal),
    /// An object's.
    Object(u32, u32),
    /// An address or table index for position-independent code.
    Slot(Slot),
    /// The address of an exported data symbol.
    Exported(SymbolId),
}

/// A table that the module defines, besides the table of functions.
#[derive(Debug, Clone, Copy)]
pub struct Table(pub u32, pub u32);

/// The module's memory and what lies in it.
#[derive(Debug, Default, Clone, Copy)]
pub struct Memory {
    /// Lowest byte of the stack.
    pub stack_low: u32,
    /// One past its highest.
    pub stack_high: u32,
    /// First byte of data.
    pub global_base: u32,
    /// One past the last byte of data.
    pub data_end: u32,
    /// Where a heap may begin.
    pub heap_base: u32,
    /// One past the first size.
    pub heap_end: u64,
    /// Where thread-local data begins.
    pub tls_base: u32,
    /// The byte of zero that the linker reserves.
    pub zero_byte: u32,
    /// First size in pages.
    pub pages: u64,
    /// Largest size in pages.
    pub max_pages: Option<u64>,
}

/// Indices and addresses.
#[derive(Debug)]
pub struct Layout<'a> {
    /// Function types, as encoded.
    pub types: Vec<Cow<'a, [u8]>>,
    type_index: HashMap<Vec<u8>, u32>,
    /// Imported functions, then the defined ones.
    pub function_imports: Vec<SymbolId>,
    /// Imported globals, tags and tables.
    pub other_imports: Vec<SymbolId>,
    /// Functions that the module defines, in order.
    pub functions: Vec<FunctionRef>,
    object_functions: Vec<Vec<u32>>,
    made_functions: Vec<u32>,
    /// Globals that the module defines, in order.
    pub globals: Vec<Global>,
    object_globals: Vec<Vec<u32>>,
    made_globals: HashMap<u8, u32>,
    slots: HashMap<Slot, u32>,
    /// Exported data symbols and the globals that hold their addresses.
    pub exported_data: HashMap<SymbolId, u32>,
    /// Tags that the module defines: object and index.
    pub tags: Vec<(u32, u32)>,
    object_tags: Vec<Vec<u32>>,
    /// Tables that the module defines after the table of functions.
    pub tables: Vec<Table>,
    object_tables: Vec<Vec<u32>>,
    /// Index of the table of functions.
    pub function_table: Option<u32>,
    imported: HashMap<SymbolId, u32>,
    imported_globals: u32,
    imported_tags: u32,
    imported_tables: u32,
    /// Functions whose address is taken, in the order of the table.
    pub elements: Vec<FunctionRef>,
    element_index: HashMap<FunctionRef, u32>,
    /// Index of the first of them.
    pub table_base: u32,
    /// Data segments.
    pub segments: Vec<Segment<'a>>,
    order: Vec<usize>,
    /// Per object and segment, its address, or [`NONE`].
    addresses: Vec<Vec<u32>>,
    merged: HashMap<(u32, u32), Pieces>,
    /// The memory.
    pub memory: Memory,
    /// The function that instantiation runs.
    pub start: Option<u32>,
    /// Whether exported functions run the constructors the first time.
    pub runs_once: bool,
}

/// Lays out what is live.
///
/// # Errors
///
/// If the data does not fit into memory, or an option about it is impossible.
pub fn lay_out<'a>(
    program: &mut Program<'a>,
    live: &mut Live<'a>,
    options: &Options,
) -> Result<Layout<'a>> {
    let objects = program.objects.len();
    let mut layout = Layout {
        types: Vec::new(),
        type_index: HashMap::new(),
        function_imports: Vec::new(),
        other_imports: Vec::new(),
        functions: Vec::new(),
        object_functions: Vec::with_capacity(objects),
        made_functions: Vec::new(),
        globals: Vec::new(),
        object_globals: Vec::with_capacity(objects),
        made_globals: HashMap::new(),
        slots: HashMap::new(),
        exported_data: HashMap::new(),
        tags: Vec::new(),
        object_tags: Vec::with_capacity(objects),
        tables: Vec::new(),
        object_tables: Vec::with_capacity(objects),
        function_table: None,
        imported: HashMap::new(),
        imported_globals: 0,
        imported_tags: 0,
        imported_tables: 0,
        elements: Vec::new(),
        element_index: HashMap::new(),
        table_base: options.table.base.unwrap_or(1),
        segments: Vec::new(),
        order: Vec::new(),
        addresses: Vec::with_capacity(objects),
        merged: HashMap::new(),
        memory: Memory::default(),
        start: None,
        runs_once: false,
    };
    layout.data(program, live, options)?;
    layout.memory(options)?;
    let start = start::make_start_functions(program, live, &mut layout, options)?;
    layout.imports(program, live, options);
    layout.functions(program, live, options);
    layout.start = start.map(|made| layout.made_functions[made as usize]);
    layout.tables(program, live, options);
    layout.globals(program, live);
    layout.tags(program, live);
    layout.types(program, live);
    layout.check_bounds(program, live)?;
    Ok(layout)
}

impl<'a> Layout<'a> {
    fn data(&mut self, program: &Program<'a>, live: &Live<'a>, options: &Options) -> Result<()> {
        let mut by_name: HashMap<&'a str, usize> = HashMap::new();
        let mut inputs: Vec<Vec<(u32, u32)>> = Vec::new();
        for (number, object) in program.objects.iter().enumerate() {
            self.addresses.push(vec![NONE; object.segments.len()]);
            for (index, segment) in object.segments.iter().enumerate() {
                if !live.segments[number][index] {
                    continue;
                }
                let name = output_name(segment.name, segment.flags, options);
                let at = *by_name.entry(name).or_insert_with(|| {
                    self.segments.push(Segment {
                        name: Cow::Borrowed(name),
                        address: 0,
                        size: 0,
                        align: 0,
                        parts: Vec::new(),
                        is_bss: name.starts_with(".bss"),
                    });
                    inputs.push(Vec::new());
                    inputs.len() - 1
                });
                inputs[at].push((number as u32, index as u32));
            }
        }
        let mut offsets: HashMap<(u32, u32), (usize, u32)> = HashMap::new();
        for (at, inputs) in inputs.iter_mut().enumerate() {
            // Less padding between them. Segments that a program walks from
            // `__start_NAME` on keep their order.
            if matches!(&*self.segments[at].name, ".rodata" | ".data" | ".bss") {
                inputs.sort_by_key(|&(object, segment)| {
                    let segment = &program.objects[object as usize].segments[segment as usize];
                    std::cmp::Reverse(segment.align)
                });
            }
            self.fill_segment(at, inputs, program, options, &mut offsets)?;
        }
        if live.zero_byte {
            self.reserve_zero_byte();
        }
        self.place_segments(program, live, options)?;
        for ((object, segment), (at, offset)) in offsets {
            self.addresses[object as usize][segment as usize] = self.segments[at].address + offset;
        }
        Ok(())
    }

    /// Puts the inputs into a segment one after the other, merged strings in
    /// the place of the first of them.
    fn fill_segment(
        &mut self,
        at: usize,
        inputs: &[(u32, u32)],
        program: &Program<'a>,
        options: &Options,
        offsets: &mut HashMap<(u32, u32), (usize, u32)>,
    ) -> Result<()> {
        let segment_of = |&(object, segment): &(u32, u32)| {
            &program.objects[object as usize].segments[segment as usize]
        };
        let is_merged = |input: &(u32, u32)| {
            let segment = segment_of(input);
            options.merge_strings
                && segment.flags & SEGMENT_STRINGS != 0
                && segment.align == 0
                && !segment.data.is_empty()
        };
        let mergeable: Vec<(u32, u32)> = inputs.iter().copied().filter(|i| is_merged(i)).collect();
        let bytes: Vec<&[u8]> = mergeable.iter().map(|i| segment_of(i).data).collect();
        let (strings, pieces) = strings::merge(&bytes, true).map_err(|at| {
            let (object, segment) = mergeable[at.0];
            let object = &program.objects[object as usize];
            object.error(format_args!(
                "segment `{}` holds a string without its null byte",
                object.segments[segment as usize].name
            ))
        })?;
        let mut strings = Some(strings);
        let mut strings_at = 0;
        let mut pieces = pieces.into_iter();
        let output = &mut self.segments[at];
        let mut size: u64 = 0;
        for input in inputs {
            let segment = segment_of(input);
            if is_merged(input) {
                if let Some(bytes) = strings.take() {
                    strings_at = size as u32;
                    size += bytes.len() as u64;
                    let offset = strings_at;
                    output.parts.push(Part::Strings { bytes, offset });
                }
                offsets.insert(*input, (at, strings_at));
                self.merged
                    .insert(*input, pieces.next().unwrap_or_default());
                continue;
            }
            size = size.next_multiple_of(1 << segment.align);
            output.align = output.align.max(segment.align);
            offsets.insert(*input, (at, size as u32));
            output.parts.push(Part::Segment {
                object: input.0,
                segment: input.1,
                offset: size as u32,
            });
            output.is_bss &= segment.data.iter().all(|&b| b == 0);
            size += segment.data.len() as u64;
            if size >= MEMORY_LIMIT {
                return Err(too_large(size));
            }
        }
        output.size = size as u32;
        Ok(())
    }

    fn reserve_zero_byte(&mut self) {
        if !self.segments.iter().any(|s| s.name == ".bss") {
            self.segments.push(Segment {
                name: Cow::Borrowed(".bss"),
                address: 0,
                size: 0,
                align: 0,
                parts: Vec::new(),
                is_bss: true,
            });
        }
        let bss = self.segments.iter_mut().find(|s| s.name == ".bss");
        let bss = bss.expect("it was just added");
        self.memory.zero_byte = bss.size;
        bss.size += 1;
    }

    /// Gives each segment its address, in the order of wasm-ld: thread-local,
    /// read-only, read-write, others, zero.
    fn place_segments(&mut self, program: &Program, live: &Live, options: &Options) -> Result<()> {
        let mut order: Vec<usize> = (0..self.segments.len()).collect();
        order.sort_by_key(|&at| class(&self.segments[at].name));
        let has_stack = options.keep_unused_stack || live.stack_pointer || stack_is_named(program);
        let stack_size = if has_stack {
            options.memory.stack_size
        } else {
            0
        };
        if stack_size % STACK_ALIGN != 0 {
            return Err(Error::new(format!(
                "stack size must be {STACK_ALIGN}-byte aligned, but it is {stack_size}"
            )));
        }
        let mut at: u64 = 0;
        let mut stack = (0, 0);
        if options.stack_first {
            stack = (at, at + stack_size);
            at = stack.1;
        }
        match options.global_base {
            Some(base) if options.stack_first && base < at => {
                return Err(Error::new(
                    "--global-base cannot be less than stack size when --stack-first is used",
                ));
            }
            Some(base) => at = base,
            None if !options.stack_first || stack_size == 0 => at = FIRST_DATA,
            None => {}
        }
        let global_base = at;
        let mut data = 0;
        for &index in &order {
            let segment = &mut self.segments[index];
            at = at.next_multiple_of(1 << segment.align);
            segment.address = u32::try_from(at).map_err(|_| too_large(at))?;
            if segment.name == ".tdata" {
                self.memory.tls_base = segment.address;
            }
            at += u64::from(segment.size);
            data += u64::from(segment.size);
        }
        let data_end = at;
        if !options.stack_first && stack_size > 0 {
            at = at.next_multiple_of(STACK_ALIGN);
            stack = (at, at + stack_size);
            at = stack.1;
        }
        let heap_base = at.next_multiple_of(HEAP_ALIGN);
        if heap_base >= MEMORY_LIMIT {
            return Err(too_large(heap_base));
        }
        let memory = &mut self.memory;
        memory.stack_low = stack.0 as u32;
        memory.stack_high = stack.1 as u32;
        memory.global_base = global_base as u32;
        memory.data_end = data_end as u32;
        memory.heap_base = heap_base as u32;
        if let Some(bss) = self.segments.iter().find(|s| s.name == ".bss") {
            memory.zero_byte += bss.address;
        }
        // Without data, stack or heap no byte of memory is the guest's.
        let is_empty = data == 0
            && stack_size == 0
            && options.global_base.is_none()
            && program.symbols.find("__heap_base").is_none();
        memory.heap_end = if is_empty { 0 } else { heap_base };
        // Merged strings and their parts follow the segments' new order.
        self.order = order;
        Ok(())
    }

    fn memory(&mut self, options: &Options) -> Result<()> {
        let wanted = &options.memory;
        let mut end = self.memory.heap_end + options.initial_heap;
        let pages = |name: &str, bytes: u64| match bytes % PAGE {
            0 if bytes <= MEMORY_LIMIT => Ok(bytes / PAGE),
            0 => Err(Error::new(format!(
                "{name} too large, cannot be greater than {MEMORY_LIMIT}"
            ))),
            _ => Err(Error::new(format!(
                "{name} must be {PAGE}-byte aligned, but it is {bytes}"
            ))),
        };
        pages("initial heap", options.initial_heap)?;
        if let Some(initial) = wanted.initial {
            pages("initial memory", initial)?;
            if end > initial {
                return Err(Error::new(format!(
                    "initial memory too small, {end} bytes needed"
                )));
            }
            end = initial;
        }
        end = end.next_multiple_of(PAGE);
        self.memory.pages = pages("initial memory", end)?;
        self.memory.heap_end = end;
        self.memory.max_pages = match wanted.max {
            Some(max) if end > max => {
                return Err(Error::new(format!(
                    "maximum memory too small, {end} bytes needed"
                )));
            }
            Some(max) => Some(pages("maximum memory", max)?),
            None if wanted.fixed => Some(self.memory.pages),
            None => None,
        };
        Ok(())
    }

    fn imports(&mut self, program: &Program<'a>, live: &Live<'a>, options: &Options) {
        let (mut globals, mut tags, mut tables) = (0, 0, 0);
        if live.function_table && options.table.import {
            self.function_table = Some(0);
            tables = 1;
        }
        for &id in &live.imports {
            let symbol = &program.symbols[id];
            let (list, index) = match symbol.kind {
                Kind::Function => {
                    let index = self.function_imports.len() as u32;
                    (&mut self.function_imports, index)
                }
                Kind::Global => (&mut self.other_imports, next(&mut globals)),
                Kind::Tag => (&mut self.other_imports, next(&mut tags)),
                _ => (&mut self.other_imports, next(&mut tables)),
            };
            list.push(id);
            self.imported.insert(id, index);
        }
        self.imported_globals = globals;
        self.imported_tags = tags;
        self.imported_tables = tables;
    }

    fn functions(&mut self, program: &Program<'a>, live: &Live<'a>, options: &Options) {
        for made in (0..program.made.len()).filter(|&made| live.made[made]) {
            self.functions.push(FunctionRef::Made(made as u32));
        }
        for (number, live) in live.functions.iter().enumerate() {
            let live = live.iter().enumerate().filter(|(_, live)| **live);
            self.functions
                .extend(live.map(|(index, _)| FunctionRef::Object(number as u32, index as u32)));
        }
        if options.compress_relocations {
            // What is called most gets the indices that take one byte.
            let calls = |function: &FunctionRef| match *function {
                FunctionRef::Object(object, index) => live.calls[object as usize][index as usize],
                _ => 0,
            };
            self.functions
                .sort_by_key(|function| std::cmp::Reverse(calls(function)));
        }
        self.made_functions = vec![NONE; program.made.len()];
        let objects = program.objects.iter();
        self.object_functions = objects.map(|o| vec![NONE; o.functions.len()]).collect();
        let imported = self.function_imports.len() as u32;
        for (position, function) in self.functions.iter().enumerate() {
            let index = match *function {
                FunctionRef::Made(made) => &mut self.made_functions[made as usize],
                FunctionRef::Object(object, index) => {
                    &mut self.object_functions[object as usize][index as usize]
                }
                FunctionRef::Import(_) => continue,
            };
            *index = imported + position as u32;
        }
    }

    fn tables(&mut self, program: &Program<'a>, live: &Live<'a>, options: &Options) {
        let mut index = self.imported_tables;
        let mut elements: Vec<FunctionRef> = live.address_taken.iter().copied().collect();
        elements.sort_by_key(|&f| self.function_index(f));
        self.elements = elements;
        for (position, &function) in self.elements.iter().enumerate() {
            self.element_index
                .insert(function, self.table_base + position as u32);
        }
        let wanted = live.function_table || !self.elements.is_empty() || options.table.export;
        if self.function_table.is_none() && wanted {
            self.function_table = Some(next(&mut index));
        }
        for (number, object) in program.objects.iter().enumerate() {
            let mut indices = vec![NONE; object.tables.len()];
            for (table, _) in live.tables[number]
                .iter()
                .enumerate()
                .filter(|(_, live)| **live)
            {
                indices[table] = next(&mut index);
                self.tables.push(Table(number as u32, table as u32));
            }
            self.object_tables.push(indices);
        }
    }

    fn globals(&mut self, program: &Program<'a>, live: &Live<'a>) {
        let mut index = self.imported_globals;
        for (made, wanted) in [
            (MadeGlobal::StackPointer, live.stack_pointer),
            (MadeGlobal::TlsBase, live.tls_base),
            (MadeGlobal::InitDone, self.runs_once),
        ] {
            if wanted {
                self.made_globals.insert(made as u8, next(&mut index));
                self.globals.push(Global::Made(made));
            }
        }
        for (number, object) in program.objects.iter().enumerate() {
            let mut indices = vec![NONE; object.globals.len()];
            for (global, _) in live.globals[number]
                .iter()
                .enumerate()
                .filter(|(_, live)| **live)
            {
                indices[global] = next(&mut index);
                self.globals
                    .push(Global::Object(number as u32, global as u32));
            }
            self.object_globals.push(indices);
        }
        for &slot in &live.slots {
            self.slots.insert(slot, next(&mut index));
            self.globals.push(Global::Slot(slot));
        }
        for &id in &live.exports {
            if program.symbols[id].kind == Kind::Data {
                self.exported_data.insert(id, next(&mut index));
                self.globals.push(Global::Exported(id));
            }
        }
    }

    fn tags(&mut self, program: &Program<'a>, live: &Live<'a>) {
        let mut index = self.imported_tags;
        for (number, object) in program.objects.iter().enumerate() {
            let mut indices = vec![NONE; object.tags.len()];
            for (tag, _) in live.tags[number]
                .iter()
                .enumerate()
                .filter(|(_, live)| **live)
            {
                indices[tag] = next(&mut index);
                self.tags.push((number as u32, tag as u32));
            }
            self.object_tags.push(indices);
        }
    }

    fn types(&mut self, program: &Program<'a>, live: &Live<'a>) {
        let others = self.other_imports.clone().into_iter();
        let tags = others.filter(|&id| program.symbols[id].kind == Kind::Tag);
        for id in self.function_imports.clone().into_iter().chain(tags) {
            let signature = program.symbols[id].signature;
            self.add_type(Cow::Borrowed(signature.unwrap_or(types::NOTHING)));
        }
        for function in self.functions.clone() {
            let signature = self.function_type(program, function);
            self.add_type(signature);
        }
        for (object, tag) in self.tags.clone() {
            let object = &program.objects[object as usize];
            self.add_type(Cow::Borrowed(
                object.types[object.tags[tag as usize] as usize],
            ));
        }
        for &signature in &live.call_types {
            self.add_type(Cow::Borrowed(signature));
        }
    }

    fn add_type(&mut self, signature: Cow<'a, [u8]>) {
        if !self.type_index.contains_key(&*signature) {
            self.type_index
                .insert(signature.to_vec(), self.types.len() as u32);
            self.types.push(signature);
        }
    }

    /// A function's type, as encoded.
    pub fn function_type(&self, program: &Program<'a>, function: FunctionRef) -> Cow<'a, [u8]> {
        match function {
            FunctionRef::Import(id) => {
                Cow::Borrowed(program.symbols[id].signature.unwrap_or(types::NOTHING))
            }
            FunctionRef::Made(made) => program.made[made as usize].signature.clone(),
            FunctionRef::Object(object, index) => {
                let object = &program.objects[object as usize];
                Cow::Borrowed(object.types[object.functions[index as usize].ty as usize])
            }
        }
    }

    /// A segment that `__start_NAME` or `__stop_NAME` names must be there.
    fn check_bounds(&self, program: &Program<'a>, live: &Live<'a>) -> Result<()> {
        let mut errors = Vec::new();
        for &id in &live.bounds {
            let symbol = &program.symbols[id];
            if self.address(&symbol.definition).is_none() && !symbol.is_weak() {
                let user = symbol.wanted_by.map_or_else(
                    || "<command line>".to_owned(),
                    |o| program.objects[o as usize].place.to_string(),
                );
                errors.push(format!(
                    "{user}: undefined symbol: {}; no live data segment has that name",
                    symbol.name
                ));
            }
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Error::all(errors))
        }
    }

    /// Index of a type, which is one of the module's.
    pub fn type_index(&self, signature: &[u8]) -> u32 {
        self.type_index.get(signature).copied().unwrap_or(NONE)
    }

    /// How many globals are imported; they come before the module's own.
    pub fn imported_globals(&self) -> u32 {
        self.imported_globals
    }

    /// Index of a function, or [`NONE`] if it is not live.
    pub fn function_index(&self, function: FunctionRef) -> u32 {
        match function {
            FunctionRef::Import(id) => self.imported.get(&id).copied().unwrap_or(NONE),
            FunctionRef::Made(made) => self.made_functions[made as usize],
            FunctionRef::Object(object, index) => {
                self.object_functions[object as usize][index as usize]
            }
        }
    }

    /// Place of a function in the table, or 0, the null pointer.
    pub fn element(&self, function: FunctionRef) -> u32 {
        self.element_index.get(&function).copied().unwrap_or(0)
    }

    /// Index of an object's global, table or tag, or [`NONE`].
    pub fn object_index(&self, kind: Kind, object: u32, index: u32) -> u32 {
        let lists = match kind {
            Kind::Global => &self.object_globals,
            Kind::Table => &self.object_tables,
            _ => &self.object_tags,
        };
        lists[object as usize][index as usize]
    }

    /// Index of an import of any kind, or [`NONE`].
    pub fn import_index(&self, id: SymbolId) -> u32 {
        self.imported.get(&id).copied().unwrap_or(NONE)
    }

    /// Index of a global that the linker makes, or [`NONE`].
    pub fn made_global(&self, global: MadeGlobal) -> u32 {
        self.made_globals
            .get(&(global as u8))
            .copied()
            .unwrap_or(NONE)
    }

    /// Index of the global that holds a symbol's address.
    pub fn slot(&self, slot: Slot) -> u32 {
        self.slots.get(&slot).copied().unwrap_or(NONE)
    }

    /// Address of `offset` in an object's segment, if that is live.
    pub fn segment_address(&self, object: u32, segment: u32, offset: u32) -> Option<u32> {
        let base = self.addresses[object as usize][segment as usize];
        if base == NONE {
            return None;
        }
        Some(match self.merged.get(&(object, segment)) {
            Some(pieces) => base.wrapping_add(pieces.output_offset(offset)),
            None => base.wrapping_add(offset),
        })
    }

    /// The address of a data symbol that the linker defines.
    pub fn address(&self, definition: &Definition) -> Option<u32> {
        let Definition::Address(address) = definition else {
            return None;
        };
        let memory = &self.memory;
        let segment = |name: &str| self.segments.iter().find(|s| s.name == name);
        Some(match address {
            Address::StackLow => memory.stack_low,
            Address::StackHigh => memory.stack_high,
            Address::GlobalBase => memory.global_base,
            Address::DataEnd => memory.data_end,
            Address::HeapBase => memory.heap_base,
            // A memory of 4 GiB ends where 32 bits do.
            Address::HeapEnd => u32::try_from(memory.heap_end).unwrap_or(u32::MAX),
            Address::TableBase => self.table_base,
            Address::ZeroByte => memory.zero_byte,
            Address::Absolute(address) => *address,
            Address::SegmentStart(name) => segment(name)?.address,
            Address::SegmentStop(name) => segment(name).map(|s| s.address + s.size)?,
        })
    }

    /// The address of an object's data symbol or a shared one, if it is live.
    pub fn symbol_address(&self, program: &Program, target: Target) -> Option<u32> {
        match target {
            Target::Object { object, symbol } => {
                let symbol = &program.objects[object as usize].symbols[symbol as usize];
                if symbol.flags.contains(wasmparser::SymbolFlags::ABSOLUTE) {
                    return Some(symbol.offset);
                }
                self.segment_address(object, symbol.index, symbol.offset)
            }
            Target::Shared(_, definition) => self.address(definition),
        }
    }

    /// The data segments in the order of their addresses.
    pub fn segments_in_order(&self) -> impl Iterator<Item = &Segment<'a>> {
        self.order.iter().map(|&at| &self.segments[at])
    }
}

fn next(index: &mut u32) -> u32 {
    *index += 1;
    *index - 1
}

fn too_large(bytes: u64) -> Error {
    Error::new(format!(
        "the data ends at address {bytes:#x}, but a 32-bit memory ends at {MEMORY_LIMIT:#x}"
    ))
}

/// The name of the module's segment that takes an object's segment.
fn output_name<'n>(name: &'n str, flags: u32, options: &Options) -> &'n str {
    if flags & SEGMENT_TLS != 0 {
        return ".tdata";
    }
    if options.merge_data_segments {
        for prefix in [".text", ".data", ".bss", ".rodata"] {
            if name
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with('.'))
            {
                return prefix;
            }
        }
    }
    name
}

fn class(name: &str) -> u8 {
    match name {
        n if n.starts_with(".tdata") => 0,
        n if n.starts_with(".rodata") => 1,
        n if n.starts_with(".data") => 2,
        n if n.starts_with(".bss") => 4,
        _ => 3,
    }
}

fn stack_is_named(program: &Program) -> bool {
    ["__stack_low", "__stack_high"]
        .iter()
        .any(|name| program.symbols.find(name).is_some())
}
