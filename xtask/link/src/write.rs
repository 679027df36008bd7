//! Writes the module: takes the program, what is live and the layout, gives
//! the bytes, section by section.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use wasm_encoder::{
    ConstExpr, CustomSection, ElementSection, Elements, Encode, ExportKind, ExportSection,
    FunctionSection, NameMap, NameSection, ProducersField, ProducersSection, Section, SectionId,
    StartSection,
};

use super::code;
use super::custom;
use super::error::{Error, Result};
use super::features;
use super::layout::{Global, Layout, Part, Segment};
use super::live::{FunctionRef, Live, Slot};
use super::object::{FUNCTION_TABLE, Kind};
use super::options::{BuildId, Options, Strip};
use super::relocate::{Relocator, Site};
use super::symbols::{Body, Definition, MadeGlobal, Program, SymbolId, Target};
use super::types;

/// Where the module goes: asked once, when its size is known.
pub trait Output {
    /// Space for `len` bytes, all zero.
    fn space(&mut self, len: usize) -> std::io::Result<&mut [u8]>;
}

impl Output for Vec<u8> {
    fn space(&mut self, len: usize) -> std::io::Result<&mut [u8]> {
        self.clear();
        self.resize(len, 0);
        Ok(self)
    }
}

/// A stretch of the module.
enum Stretch<'p, 'a> {
    Bytes(Vec<u8>),
    Code(code::Code<'p>),
    Data(Run<'p>),
    Custom(custom::Section<'a>),
}

/// Writes the module to `output`; gives, per function, its offset and size in
/// the code section's contents.
///
/// # Errors
///
/// If two exports have one name, features disagree, a relocation of debug
/// information is damaged, or there is no space.
pub fn write(
    program: &Program,
    live: &Live,
    layout: &Layout,
    options: &Options,
    output: &mut dyn Output,
) -> Result<Vec<(u32, u32)>> {
    let uses_tls = layout.segments.iter().any(|s| s.name == ".tdata");
    features::check(program, options, uses_tls)?;
    let mut relocator = Relocator::new(program, layout);
    let mut code = code::plan(program, live, layout, &relocator, options)?;
    relocator.function_offsets = std::mem::take(&mut code.offsets);
    let extents = code.extents.clone();
    let (customs, moved) = custom::lay_out(program, live, options)?;
    relocator.sections = moved;

    let writer = Writer {
        program,
        live,
        layout,
        options,
    };
    let mut stretches = Vec::new();
    let mut out = wasm_encoder::Module::HEADER.to_vec();
    writer.types(&mut out);
    writer.imports(&mut out);
    writer.functions(&mut out);
    writer.tables(&mut out);
    writer.memory(&mut out);
    writer.tags(&mut out);
    writer.globals(&mut out);
    writer.exports(&mut out)?;
    if let Some(function_index) = layout.start {
        StartSection { function_index }.append_to(&mut out);
    }
    writer.elements(&mut out);
    if !layout.functions.is_empty() {
        out.push(SectionId::Code.into());
        code.size.encode(&mut out);
        stretches.push(Stretch::Bytes(std::mem::take(&mut out)));
        stretches.push(Stretch::Code(code));
    }
    writer.data(&mut out, &mut stretches);
    for section in customs {
        out.push(SectionId::Custom.into());
        let mut name = Vec::new();
        section.name.encode(&mut name);
        (name.len() + section.size()).encode(&mut out);
        out.append(&mut name);
        stretches.push(Stretch::Bytes(std::mem::take(&mut out)));
        stretches.push(Stretch::Custom(section));
    }
    writer.names(&mut out);
    writer.producers(&mut out);
    writer.target_features(&mut out);
    stretches.push(Stretch::Bytes(out));

    let size: usize = stretches.iter().map(Stretch::size).sum();
    let build_id = writer.build_id_size();
    let whole = output
        .space(size + build_id)
        .map_err(|e| Error::new(format!("no space for a module of {size} bytes: {e}")))?;
    let (module, id) = whole.split_at_mut(size);
    let mut rest = &mut *module;
    for stretch in &stretches {
        let (here, after) = rest.split_at_mut(stretch.size());
        match stretch {
            Stretch::Bytes(bytes) => here.copy_from_slice(bytes),
            Stretch::Code(code) => code.write(&relocator, here),
            Stretch::Data(run) => writer.fill(run, here, &relocator)?,
            Stretch::Custom(section) => section.write(program, &relocator, here)?,
        }
        rest = after;
    }
    id.copy_from_slice(&writer.build_id(module));
    Ok(extents)
}

impl Stretch<'_, '_> {
    fn size(&self) -> usize {
        match self {
            Stretch::Bytes(bytes) => bytes.len(),
            Stretch::Code(code) => code.size,
            Stretch::Data(run) => (run.end - run.start) as usize,
            Stretch::Custom(section) => section.size(),
        }
    }
}

fn section(out: &mut Vec<u8>, id: u8, contents: &[u8]) {
    out.push(id);
    contents.len().encode(out);
    out.extend_from_slice(contents);
}

fn custom_section(out: &mut Vec<u8>, name: &str, data: &[u8]) {
    CustomSection {
        name: name.into(),
        data: data.into(),
    }
    .append_to(out);
}

/// A gap in the data that is longer than this ends a data segment: the gap has
/// no bytes in the module, however large an alignment made it.
const LONGEST_PADDING: u32 = 64;

/// Bytes of the module that lie together in memory.
struct Run<'l> {
    segment: &'l Segment<'l>,
    parts: &'l [Part],
    /// Offset of the first byte in the segment.
    start: u32,
    /// One past the last.
    end: u32,
}

/// Types, global types and the like are copied as the objects encode them.
struct Writer<'p, 'a> {
    program: &'p Program<'a>,
    live: &'p Live<'a>,
    layout: &'p Layout<'a>,
    options: &'p Options,
}

impl<'p, 'a> Writer<'p, 'a> {
    fn types(&self, out: &mut Vec<u8>) {
        if self.layout.types.is_empty() {
            return;
        }
        let mut contents = Vec::new();
        self.layout.types.len().encode(&mut contents);
        for ty in &self.layout.types {
            contents.extend_from_slice(ty);
        }
        section(out, 1, &contents);
    }

    fn memory_type(&self) -> wasm_encoder::MemoryType {
        wasm_encoder::MemoryType {
            minimum: self.layout.memory.pages,
            maximum: self.layout.memory.max_pages,
            memory64: false,
            shared: false,
            page_size_log2: None,
        }
    }

    fn function_table_type(&self) -> wasm_encoder::TableType {
        let size = u64::from(self.layout.table_base) + self.layout.elements.len() as u64;
        let fixed = !self.options.table.growable && !self.options.table.import;
        wasm_encoder::TableType {
            element_type: wasm_encoder::RefType::FUNCREF,
            table64: false,
            minimum: size,
            maximum: fixed.then_some(size),
            shared: false,
        }
    }

    fn imports(&self, out: &mut Vec<u8>) {
        let mut imports = wasm_encoder::ImportSection::new();
        if let Some((module, name)) = &self.options.memory.import {
            imports.import(module, name, self.memory_type());
        }
        if self.options.table.import && self.layout.function_table.is_some() {
            imports.import("env", FUNCTION_TABLE, self.function_table_type());
        }
        for &id in self
            .layout
            .function_imports
            .iter()
            .chain(&self.layout.other_imports)
        {
            let symbol = &self.program.symbols[id];
            let (module, name) = match symbol.import {
                Some((module, name)) => (module, name),
                None => ("env", &*symbol.name),
            };
            let signature = || {
                let ty = symbol.signature.unwrap_or(types::NOTHING);
                self.layout.type_index(ty)
            };
            match symbol.kind {
                Kind::Function => {
                    imports.import(
                        module,
                        name,
                        wasm_encoder::EntityType::Function(signature()),
                    );
                }
                Kind::Tag => {
                    let tag = wasm_encoder::TagType {
                        kind: wasm_encoder::TagKind::Exception,
                        func_type_idx: signature(),
                    };
                    imports.import(module, name, tag);
                }
                kind => self.import_as_declared(&mut imports, kind, id, module, name),
            }
        }
        if !imports.is_empty() {
            imports.append_to(out);
        }
    }

    /// A global or table has the type that the object declares which wants it.
    fn import_as_declared(
        &self,
        imports: &mut wasm_encoder::ImportSection,
        kind: Kind,
        id: SymbolId,
        module: &str,
        name: &str,
    ) {
        let object = self.program.symbols[id].wanted_by.unwrap_or_default() as usize;
        let bindings = &self.program.bindings[object];
        let Some(index) = bindings.iter().position(|&bound| bound == id) else {
            return;
        };
        let object = &self.program.objects[object];
        let declared = object.symbols[index].index as usize;
        if kind == Kind::Global {
            imports.import(
                module,
                name,
                global_type(object.global_imports[declared].ty),
            );
        } else {
            imports.import(module, name, table_type(object.table_imports[declared].ty));
        }
    }

    fn functions(&self, out: &mut Vec<u8>) {
        if self.layout.functions.is_empty() {
            return;
        }
        let mut functions = FunctionSection::new();
        for &function in &self.layout.functions {
            let signature = self.layout.function_type(self.program, function);
            functions.function(self.layout.type_index(&signature));
        }
        functions.append_to(out);
    }

    fn tables(&self, out: &mut Vec<u8>) {
        let mut tables = wasm_encoder::TableSection::new();
        if self.layout.function_table.is_some() && !self.options.table.import {
            tables.table(self.function_table_type());
        }
        for table in &self.layout.tables {
            let object = &self.program.objects[table.0 as usize];
            tables.table(table_type(object.tables[table.1 as usize]));
        }
        if !tables.is_empty() {
            tables.append_to(out);
        }
    }

    fn memory(&self, out: &mut Vec<u8>) {
        if self.options.memory.import.is_none() {
            let mut memories = wasm_encoder::MemorySection::new();
            memories.memory(self.memory_type());
            memories.append_to(out);
        }
    }

    fn tags(&self, out: &mut Vec<u8>) {
        if self.layout.tags.is_empty() {
            return;
        }
        let mut tags = wasm_encoder::TagSection::new();
        for &(object, tag) in &self.layout.tags {
            let object = &self.program.objects[object as usize];
            tags.tag(wasm_encoder::TagType {
                kind: wasm_encoder::TagKind::Exception,
                func_type_idx: self
                    .layout
                    .type_index(object.types[object.tags[tag as usize] as usize]),
            });
        }
        tags.append_to(out);
    }

    fn globals(&self, out: &mut Vec<u8>) {
        if self.layout.globals.is_empty() {
            return;
        }
        let layout = self.layout;
        let mut globals = wasm_encoder::GlobalSection::new();
        let i32_type = |mutable| wasm_encoder::GlobalType {
            val_type: wasm_encoder::ValType::I32,
            mutable,
            shared: false,
        };
        let constant = |value: u32| ConstExpr::i32_const(value as i32);
        for global in &layout.globals {
            match *global {
                Global::Made(MadeGlobal::StackPointer) => {
                    globals.global(i32_type(true), &constant(layout.memory.stack_high));
                }
                Global::Made(MadeGlobal::TlsBase) => {
                    globals.global(i32_type(false), &constant(layout.memory.tls_base));
                }
                Global::Made(MadeGlobal::InitDone) => {
                    globals.global(i32_type(true), &constant(0));
                }
                Global::Object(object, index) => {
                    let global = &self.program.objects[object as usize].globals[index as usize];
                    let end = global.init.len().saturating_sub(1);
                    let init = ConstExpr::raw(global.init[..end].iter().copied());
                    globals.global(global_type(global.ty), &init);
                }
                Global::Slot(slot) => {
                    globals.global(i32_type(false), &constant(self.slot_value(slot)));
                }
                Global::Exported(id) => {
                    let target = self.program.shared_target(id);
                    let address = layout.symbol_address(self.program, target);
                    globals.global(i32_type(false), &constant(address.unwrap_or(0)));
                }
            }
        }
        globals.append_to(out);
    }

    fn slot_value(&self, slot: Slot) -> u32 {
        let target = match slot {
            Slot::Shared(id) => self.program.shared_target(id),
            Slot::Local(object, symbol) => Target::Object { object, symbol },
        };
        match self.program.target_function(target) {
            Some(function) => self.layout.element(function),
            None => self
                .layout
                .symbol_address(self.program, target)
                .unwrap_or(0),
        }
    }

    fn exports(&self, out: &mut Vec<u8>) -> Result<()> {
        let mut exports = ExportSection::new();
        let mut names = BTreeMap::new();
        let mut add = |name: &str, kind: ExportKind, index: u32| {
            exports.export(name, kind, index);
            match names.insert(name.to_owned(), kind) {
                None => Ok(()),
                Some(_) => Err(Error::new(format!(
                    "two exports are named `{name}`; rename one, or export fewer"
                ))),
            }
        };
        let wasi = self.options.memory.export_for_wasi
            && self.layout.function_imports.iter().any(|&id| {
                self.program.symbols[id]
                    .import
                    .is_some_and(|(module, _)| module.starts_with("wasi"))
            });
        match &self.options.memory.export {
            Some(name) => add(name, ExportKind::Memory, 0)?,
            None if wasi => add("memory", ExportKind::Memory, 0)?,
            None => {}
        }
        for &id in &self.live.exports {
            let symbol = &self.program.symbols[id];
            let target = self.program.shared_target(id);
            match symbol.kind {
                Kind::Function => {
                    let (name, index) = self.exported_function(id, target);
                    add(name, ExportKind::Func, index)?;
                }
                Kind::Data => {
                    if let Some(&index) = self.layout.exported_data.get(&id) {
                        add(&symbol.name, ExportKind::Global, index)?;
                    }
                }
                kind => {
                    let index = match target {
                        Target::Object { object, symbol } => {
                            let defined =
                                &self.program.objects[object as usize].symbols[symbol as usize];
                            self.layout.object_index(kind, object, defined.index)
                        }
                        Target::Shared(_, Definition::Global(made)) => {
                            self.layout.made_global(*made)
                        }
                        // The table of functions is exported below.
                        Target::Shared(..) => continue,
                    };
                    let kind = match kind {
                        Kind::Global => ExportKind::Global,
                        Kind::Tag => ExportKind::Tag,
                        _ => ExportKind::Table,
                    };
                    add(&symbol.name, kind, index)?;
                }
            }
        }
        if let (true, Some(table)) = (self.options.table.export, self.layout.function_table) {
            add(FUNCTION_TABLE, ExportKind::Table, table)?;
        }
        if !exports.is_empty() {
            exports.append_to(out);
        }
        Ok(())
    }

    fn exported_function<'s>(&'s self, id: SymbolId, target: Target) -> (&'s str, u32) {
        let function = self
            .program
            .target_function(target)
            .unwrap_or(FunctionRef::Import(id));
        let named = match function {
            FunctionRef::Object(object, index) => self.program.objects[object as usize]
                .export_names
                .iter()
                .find(|(function, _)| *function == index)
                .map(|(_, name)| *name),
            _ => None,
        };
        let wrapper = self.program.made.iter().position(|made| match made.body {
            Body::Export(wrapped) => wrapped == id,
            Body::Entry(entry) => entry.entry == id,
            _ => false,
        });
        let function = wrapper.map_or(function, |made| FunctionRef::Made(made as u32));
        let name = named.unwrap_or(&self.program.symbols[id].name);
        (name, self.layout.function_index(function))
    }

    fn elements(&self, out: &mut Vec<u8>) {
        let layout = self.layout;
        if layout.elements.is_empty() {
            return;
        }
        let functions: Vec<u32> = layout
            .elements
            .iter()
            .map(|&f| layout.function_index(f))
            .collect();
        let mut elements = ElementSection::new();
        elements.active(
            layout.function_table.filter(|&table| table != 0),
            &ConstExpr::i32_const(layout.table_base as i32),
            Elements::Functions(functions.into()),
        );
        elements.append_to(out);
    }

    /// What of the data has bytes in the module.
    fn runs(&self) -> Vec<Run<'p>> {
        let mut runs = Vec::new();
        for segment in self
            .layout
            .segments_in_order()
            .filter(|s| !s.is_bss && s.size > 0)
        {
            let mut from = 0;
            let mut end = 0;
            for (index, part) in segment.parts.iter().enumerate() {
                let (offset, len) = self.extent(part);
                if offset - end > LONGEST_PADDING {
                    if from < index {
                        runs.push(self.run(segment, &segment.parts[from..index], end));
                    }
                    from = index;
                }
                end = offset + len;
            }
            runs.push(self.run(segment, &segment.parts[from..], segment.size));
        }
        runs
    }

    fn run<'l>(&self, segment: &'l Segment, parts: &'l [Part], end: u32) -> Run<'l> {
        Run {
            segment,
            parts,
            start: parts.first().map_or(0, |part| self.extent(part).0),
            end,
        }
    }

    fn extent(&self, part: &Part) -> (u32, u32) {
        match part {
            Part::Strings { bytes, offset } => (*offset, bytes.len() as u32),
            Part::Segment {
                object,
                segment,
                offset,
            } => {
                let segments = &self.program.objects[*object as usize].segments;
                (*offset, segments[*segment as usize].data.len() as u32)
            }
        }
    }

    fn data(&self, out: &mut Vec<u8>, stretches: &mut Vec<Stretch<'p, 'a>>) {
        let runs = self.runs();
        if runs.is_empty() {
            return;
        }
        let heads: Vec<Vec<u8>> = runs
            .iter()
            .map(|run| {
                let mut head = Vec::new();
                0u32.encode(&mut head);
                let address = run.segment.address + run.start;
                ConstExpr::i32_const(address as i32).encode(&mut head);
                (run.end - run.start).encode(&mut head);
                head
            })
            .collect();
        let mut count = Vec::new();
        runs.len().encode(&mut count);
        let bytes = runs.iter().map(|run| (run.end - run.start) as usize);
        let size = count.len() + heads.iter().map(Vec::len).sum::<usize>() + bytes.sum::<usize>();
        out.push(SectionId::Data.into());
        size.encode(out);
        out.append(&mut count);
        for (mut head, run) in heads.into_iter().zip(runs) {
            out.append(&mut head);
            stretches.push(Stretch::Bytes(std::mem::take(out)));
            stretches.push(Stretch::Data(run));
        }
    }

    fn fill(&self, run: &Run, bytes: &mut [u8], relocator: &Relocator) -> Result<()> {
        let segment = run.segment;
        let parallel = bytes.len() > 1 << 16;
        let mut slots = Vec::with_capacity(run.parts.len());
        let mut rest = bytes;
        let mut done = run.start;
        for part in run.parts {
            let (offset, len) = self.extent(part);
            let (_, after) = rest.split_at_mut((offset - done) as usize);
            let (slot, after) = after.split_at_mut(len as usize);
            slots.push((part, offset, slot));
            done = offset + len;
            rest = after;
        }
        let fill = |(part, offset, slot): (&Part, u32, &mut [u8])| -> Result<()> {
            match part {
                Part::Strings { bytes, .. } => slot.copy_from_slice(bytes),
                &Part::Segment {
                    object,
                    segment: index,
                    ..
                } => {
                    let input = &self.program.objects[object as usize];
                    let from = &input.segments[index as usize];
                    slot.copy_from_slice(from.data);
                    let site = Site {
                        start: from.start,
                        address: segment.address + offset,
                        tombstone: None,
                    };
                    let relocations = input.segment_relocations(index as usize)?;
                    relocator.apply(object, relocations, site, slot);
                }
            }
            Ok(())
        };
        if parallel {
            slots.into_par_iter().with_min_len(256).try_for_each(fill)
        } else {
            slots.into_iter().try_for_each(fill)
        }
    }

    fn keeps(&self, name: &str) -> bool {
        self.options.strip != Strip::All || self.options.keep_sections.contains(name)
    }

    fn names(&self, out: &mut Vec<u8>) {
        if !self.keeps("name") {
            return;
        }
        let layout = self.layout;
        let raw: Vec<&str> = layout
            .function_imports
            .iter()
            .map(|&id| &*self.program.symbols[id].name)
            .chain(self.function_names())
            .collect();
        let shown: Vec<Cow<'_, str>> = match self.options.demangle {
            false => raw.iter().map(|&name| Cow::Borrowed(name)).collect(),
            true if raw.len() <= 512 => raw.iter().map(|&name| types::demangle(name)).collect(),
            true => raw
                .par_iter()
                .with_min_len(128)
                .map(|&name| types::demangle(name))
                .collect(),
        };
        let mut functions = NameMap::new();
        for (index, name) in shown.iter().enumerate() {
            functions.append(index as u32, name);
        }
        let mut globals = NameMap::new();
        let imported_globals = layout.imported_globals();
        for (index, global) in layout.globals.iter().enumerate() {
            globals.append(imported_globals + index as u32, &self.global_name(global));
        }
        let mut data = NameMap::new();
        for (index, run) in self.runs().iter().enumerate() {
            data.append(index as u32, &run.segment.name);
        }
        let mut names = NameSection::new();
        if let Some(module) = &self.options.module_name {
            names.module(module);
        }
        if !functions.is_empty() {
            names.functions(&functions);
        }
        if !globals.is_empty() {
            names.globals(&globals);
        }
        if !data.is_empty() {
            names.data(&data);
        }
        if !raw.is_empty() || !globals.is_empty() || !data.is_empty() {
            names.append_to(out);
        }
    }

    /// The names of the functions that the module defines, as the objects
    /// have them.
    fn function_names(&self) -> Vec<&str> {
        let named: Vec<Vec<&str>> = self
            .program
            .objects
            .iter()
            .map(|object| {
                let mut names = vec![""; object.functions.len()];
                for symbol in &object.symbols {
                    if symbol.kind == Kind::Function && !symbol.is_undefined() {
                        let name = &mut names[symbol.index as usize];
                        // Of two names for one function the first stays.
                        if name.is_empty() {
                            *name = symbol.name;
                        }
                    }
                }
                names
            })
            .collect();
        self.layout
            .functions
            .iter()
            .map(|function| match *function {
                FunctionRef::Object(object, index) => named[object as usize][index as usize],
                FunctionRef::Made(made) => &*self.program.made[made as usize].name,
                FunctionRef::Import(id) => &*self.program.symbols[id].name,
            })
            .collect()
    }

    fn global_name(&self, global: &Global) -> String {
        match *global {
            Global::Made(MadeGlobal::StackPointer) => "__stack_pointer".into(),
            Global::Made(MadeGlobal::TlsBase) => "__tls_base".into(),
            Global::Made(MadeGlobal::InitDone) => "__wasm_init_done".into(),
            Global::Object(object, index) => {
                let symbols = &self.program.objects[object as usize].symbols;
                let symbol = symbols
                    .iter()
                    .find(|s| s.kind == Kind::Global && !s.is_undefined() && s.index == index);
                symbol.map_or("", |s| s.name).to_owned()
            }
            Global::Slot(slot) => {
                let name = match slot {
                    Slot::Shared(id) => &*self.program.symbols[id].name,
                    Slot::Local(object, symbol) => {
                        self.program.objects[object as usize].symbols[symbol as usize].name
                    }
                };
                format!("GOT.data.internal.{name}")
            }
            Global::Exported(id) => self.program.symbols[id].name.to_string(),
        }
    }

    fn producers(&self, out: &mut Vec<u8>) {
        if !self.keeps("producers") {
            return;
        }
        // Field, then name, in the order of first mention; the first version
        // of each.
        let mut fields: Vec<(&str, Vec<(&str, &str)>)> = ["language", "processed-by", "sdk"]
            .map(|field| (field, Vec::new()))
            .into();
        for section in self
            .program
            .objects
            .iter()
            .filter_map(|o| o.producers.as_ref())
        {
            let reader = wasmparser::BinaryReader::new(section.data(), 0);
            let Ok(reader) = wasmparser::ProducersSectionReader::new(reader) else {
                continue;
            };
            for field in reader.into_iter().flatten() {
                let Some((_, values)) = fields.iter_mut().find(|(name, _)| *name == field.name)
                else {
                    continue;
                };
                for value in field.values.into_iter().flatten() {
                    if !values.iter().any(|(name, _)| *name == value.name) {
                        values.push((value.name, value.version));
                    }
                }
            }
        }
        let mut section = ProducersSection::new();
        fields.retain(|(_, values)| !values.is_empty());
        for (name, values) in &fields {
            let mut field = ProducersField::new();
            for (name, version) in values {
                field.value(name, version);
            }
            section.field(name, &field);
        }
        if !fields.is_empty() {
            section.append_to(out);
        }
    }

    fn target_features(&self, out: &mut Vec<u8>) {
        if !self.keeps("target_features") {
            return;
        }
        let allowed = features::allowed(self.program, self.options);
        if allowed.is_empty() {
            return;
        }
        let mut data = Vec::new();
        allowed.len().encode(&mut data);
        for name in &allowed {
            data.push(features::USED);
            name.encode(&mut data);
        }
        custom_section(out, "target_features", &data);
    }

    fn build_id_size(&self) -> usize {
        // It depends on the kind of build id alone.
        self.build_id(&[]).len()
    }

    /// The `build_id` section of a module that is `module` without it.
    fn build_id(&self, module: &[u8]) -> Vec<u8> {
        let hash = || Sha256::digest(module);
        let id: Vec<u8> = match &self.options.build_id {
            BuildId::None => return Vec::new(),
            BuildId::Fast => hash()[..16].to_vec(),
            BuildId::Sha1 => hash()[..20].to_vec(),
            BuildId::Bytes(bytes) => bytes.clone(),
        };
        let mut data = Vec::new();
        id.as_slice().encode(&mut data);
        let mut section = Vec::new();
        custom_section(&mut section, "build_id", &data);
        section
    }
}

fn global_type(ty: wasmparser::GlobalType) -> wasm_encoder::GlobalType {
    wasm_encoder::GlobalType {
        val_type: value_type(ty.content_type),
        mutable: ty.mutable,
        shared: ty.shared,
    }
}

fn table_type(ty: wasmparser::TableType) -> wasm_encoder::TableType {
    wasm_encoder::TableType {
        element_type: match ty.element_type {
            wasmparser::RefType::EXTERNREF => wasm_encoder::RefType::EXTERNREF,
            _ => wasm_encoder::RefType::FUNCREF,
        },
        table64: ty.table64,
        minimum: ty.initial,
        maximum: ty.maximum,
        shared: ty.shared,
    }
}

fn value_type(ty: wasmparser::ValType) -> wasm_encoder::ValType {
    use wasm_encoder::ValType as W;
    match ty {
        wasmparser::ValType::I32 => W::I32,
        wasmparser::ValType::I64 => W::I64,
        wasmparser::ValType::F32 => W::F32,
        wasmparser::ValType::F64 => W::F64,
        wasmparser::ValType::V128 => W::V128,
        wasmparser::ValType::Ref(wasmparser::RefType::EXTERNREF) => W::EXTERNREF,
        wasmparser::ValType::Ref(_) => W::FUNCREF,
    }
}
