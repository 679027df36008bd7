//! A module's sections, with what the pass adds to them.

use super::access::Access;
use super::added::{END, MODULE, SPACE, SPACE_AND_CALLS, WORDS};
use super::body::{self, Body, Code, Signature};
use super::error::Error;
use super::helpers::{self, Facts, Helpers};
use super::instruction::Unknown;
use super::layout::{Layout, Runs};
use super::pass::Pass;
use super::plan::Plan;
use super::survey::Survey;
use std::convert::Infallible;
use std::ops::Range;
use wasm_encoder::reencode::{self, Reencode, RoundtripReencoder, utils};
use wasm_encoder::{
    BlockType, ConstExpr, CustomSection, DataCountSection, DataSection, ElementSection, Encode,
    EntityType, ExportSection, FunctionSection, GlobalSection, GlobalType, ImportSection,
    MemorySection, MemoryType, NameSection, RawSection, SectionId, StartSection, TableSection,
    TypeSection, ValType,
};
use wasmparser::{
    CustomSectionReader, DataKind, ElementItems, ElementKind, ExternalKind, FunctionBody,
    KnownCustom, Operator, Parser, Payload, TypeRef,
};

/// A table that cannot grow is kept in the instance, a copy of which the engine makes
/// anew at each change of more than one element. Above this many elements it is better
/// kept elsewhere.
const LARGEST_FIXED_TABLE: u64 = 1024;

/// In a module with more calls than this that could be inlined, none is.
const MOST_INLINED: u32 = 1 << 16;

/// What the pass made of a module.
pub(crate) struct Rewritten {
    /// The module to compile, or `None` if it is the guest's own, untouched.
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) layout: Layout,
}

/// A module's sections, read.
#[derive(Default)]
struct Source<'a> {
    types: Option<wasmparser::TypeSectionReader<'a>>,
    imports: Option<wasmparser::ImportSectionReader<'a>>,
    functions: Option<wasmparser::FunctionSectionReader<'a>>,
    tables: Option<wasmparser::TableSectionReader<'a>>,
    memories: Option<wasmparser::MemorySectionReader<'a>>,
    globals: Option<wasmparser::GlobalSectionReader<'a>>,
    exports: Option<wasmparser::ExportSectionReader<'a>>,
    start: Option<u32>,
    elements: Option<wasmparser::ElementSectionReader<'a>>,
    data_count: Option<u32>,
    bodies: Vec<FunctionBody<'a>>,
    data: Option<wasmparser::DataSectionReader<'a>>,
    customs: Vec<CustomSectionReader<'a>>,
}

impl<'a> Source<'a> {
    fn read(module: &'a [u8]) -> Result<Self, Error> {
        let mut source = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(section) => source.types = Some(section),
                Payload::ImportSection(section) => source.imports = Some(section),
                Payload::FunctionSection(section) => source.functions = Some(section),
                Payload::TableSection(section) => source.tables = Some(section),
                Payload::MemorySection(section) => source.memories = Some(section),
                Payload::GlobalSection(section) => source.globals = Some(section),
                Payload::ExportSection(section) => source.exports = Some(section),
                Payload::StartSection { func, .. } => source.start = Some(func),
                Payload::ElementSection(section) => source.elements = Some(section),
                Payload::DataCountSection { count, .. } => source.data_count = Some(count),
                Payload::CodeSectionEntry(body) => source.bodies.push(body),
                Payload::DataSection(section) => source.data = Some(section),
                Payload::CustomSection(section) => source.customs.push(section),
                _ => {}
            }
        }
        Ok(source)
    }

    /// Whether it does anything with an imported function that reads or writes regions but
    /// call it: what has the address of one is not in the code alone, but declared.
    fn passes_on(&self, census: &Census) -> Result<bool, Error> {
        let is_access = |function: u32| census.is_access(function);
        for export in self.exports.iter().cloned().flatten() {
            let export = export?;
            if export.kind == ExternalKind::Func && is_access(export.index) {
                return Ok(true);
            }
        }
        for segment in self.elements.iter().cloned().flatten() {
            let found = match segment?.items {
                ElementItems::Functions(items) => {
                    let items = items.into_iter().collect::<Result<Vec<_>, _>>()?;
                    items.into_iter().any(is_access)
                }
                ElementItems::Expressions(_, items) => {
                    let items = items.into_iter().collect::<Result<Vec<_>, _>>()?;
                    any_has_address(items, is_access)?
                }
            };
            if found {
                return Ok(true);
            }
        }
        let globals = self.globals.iter().cloned().flatten();
        let globals = globals.map(|global| Ok(global?.init_expr));
        any_has_address(globals.collect::<Result<Vec<_>, Error>>()?, is_access)
    }
}

/// Whether an expression has the address of one of these functions.
fn any_has_address(
    expressions: Vec<wasmparser::ConstExpr<'_>>,
    of: impl Fn(u32) -> bool,
) -> Result<bool, Error> {
    for expression in expressions {
        for operator in expression.get_operators_reader() {
            if let Operator::RefFunc { function_index } = operator?
                && of(function_index)
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// How many there are of what has indices, and their types.
#[derive(Default)]
struct Census {
    signatures: Vec<Signature>,
    /// Types of no parameters and more than one result, which a block would need.
    block_types: Vec<wasmparser::FuncType>,
    types: u32,
    function_imports: u32,
    /// By the index of an imported function: what could be inlined in place of calls.
    accesses: Vec<Option<Access>>,
    memory_imports: u32,
    /// The type of each function that the guest defines.
    functions: Vec<u32>,
    globals: u32,
    facts: Facts,
}

impl Census {
    fn of(source: &Source<'_>) -> Result<Self, Error> {
        let mut census = Self::default();
        let types = census.count_types(source)?;
        for import in source.imports.iter().cloned().flatten() {
            for import in import? {
                let import = import?.1;
                match import.ty {
                    TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                        census.function_imports += 1;
                        let ty = types[ty as usize].unwrap_func();
                        let access = Access::of(import.module, import.name, ty);
                        census.accesses.push(access);
                    }
                    TypeRef::Memory(_) => census.memory_imports += 1,
                    TypeRef::Global(_) => census.globals += 1,
                    TypeRef::Table(ty) => census.add_table(ty),
                    TypeRef::Tag(_) => {}
                }
            }
        }
        for function in source.functions.iter().cloned().flatten() {
            census.functions.push(function?);
        }
        let imported_tables = census.facts.tables.len();
        for table in source.tables.iter().cloned().flatten() {
            census.add_table(table?.ty);
        }
        for widened in &mut census.facts.widened[..imported_tables] {
            *widened = false;
        }
        for global in source.globals.iter().cloned().flatten() {
            global?;
            census.globals += 1;
        }
        for segment in source.elements.iter().cloned().flatten() {
            let segment = segment?;
            let count = match segment.items {
                ElementItems::Functions(items) => items.count(),
                ElementItems::Expressions(_, items) => items.count(),
            };
            let passive = matches!(segment.kind, ElementKind::Passive);
            census.facts.elements.push(if passive { count } else { 0 });
        }
        for segment in source.data.iter().cloned().flatten() {
            let segment = segment?;
            let passive = matches!(segment.kind, DataKind::Passive);
            let len = if passive { segment.data.len() } else { 0 };
            census.facts.data.push(len as u32);
        }
        Ok(census)
    }

    /// Reads the types, and finds for each function type that of a block which
    /// gives the same results.
    fn count_types(&mut self, source: &Source<'_>) -> Result<Vec<wasmparser::SubType>, Error> {
        let mut types = Vec::new();
        for ty in source.types.iter().cloned().flatten() {
            types.extend(ty?.into_types());
        }
        self.types = types.len() as u32;
        for ty in &types {
            let wasmparser::CompositeInnerType::Func(ty) = &ty.composite_type.inner else {
                return Err(reencode::Error::UnexpectedNonCoreModuleSection.into());
            };
            let results = match ty.results() {
                [] => BlockType::Empty,
                [one] => BlockType::Result(RoundtripReencoder.val_type(*one)?),
                results => BlockType::FunctionType(self.block_type(results)),
            };
            self.signatures.push(Signature {
                params: ty.params().len() as u32,
                results,
            });
        }
        Ok(types)
    }

    fn block_type(&mut self, results: &[wasmparser::ValType]) -> u32 {
        let known = self
            .block_types
            .iter()
            .position(|ty| ty.results() == results);
        let index = known.unwrap_or_else(|| {
            let results = results.iter().copied();
            self.block_types
                .push(wasmparser::FuncType::new([], results));
            self.block_types.len() - 1
        });
        self.types + index as u32
    }

    fn is_access(&self, function: u32) -> bool {
        matches!(self.accesses.get(function as usize), Some(Some(_)))
    }

    fn add_table(&mut self, ty: wasmparser::TableType) {
        let fixed = ty.maximum == Some(ty.initial) && ty.element_type.is_func_ref();
        let large = (LARGEST_FIXED_TABLE..u64::from(u32::MAX)).contains(&ty.initial);
        self.facts.widened.push(fixed && large);
        self.facts.tables.push(ty);
    }
}

/// Moves indices, where the code is not concerned.
struct Mover<'a>(&'a Plan);

impl Reencode for Mover<'_> {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, reencode::Error> {
        Ok(self.0.function(function))
    }

    fn memory_index(&mut self, memory: u32) -> Result<u32, reencode::Error> {
        // There is but one.
        Ok(memory + self.0.memory)
    }
}

pub(super) fn imports(module: &[u8]) -> Result<usize, Error> {
    let source = Source::read(module)?;
    let mut count = 0;
    for imports in source.imports.into_iter().flatten() {
        count += imports?.into_iter().count();
    }
    Ok(count)
}

pub(super) fn rewrite(module: &[u8], pass: Pass) -> Result<Rewritten, Error> {
    let source = Source::read(module)?;
    let mut census = Census::of(&source)?;
    let functions = census.function_imports + census.functions.len() as u32;
    let mut layout = Layout {
        function_imports: census.function_imports,
        functions,
        ..Layout::default()
    };
    let checks = pass.checks;
    let facts = std::mem::take(&mut census.facts);
    let widened = facts.widened.clone();
    let mut helpers = Helpers::new(facts, functions + 1, census.globals);
    let is_access = |function| census.is_access(function);
    let survey = Survey::of(&source.bodies, is_access, &mut helpers)?;
    let accesses = match survey.accesses {
        1..=MOST_INLINED if pass.inline => census.accesses.clone(),
        _ => Vec::new(),
    };
    if !checks.any() && accesses.is_empty() && !survey.needs_help {
        return Ok(Rewritten {
            bytes: None,
            layout,
        });
    }
    layout.added = 1;
    let plan = Plan {
        checks,
        function_imports: census.function_imports,
        memory: match census.memory_imports {
            0 => u32::from(checks.any()) + u32::from(!accesses.is_empty()),
            _ => 0,
        },
        words: census.memory_imports,
        space: census.memory_imports + u32::from(checks.any()),
        accesses,
    };
    let mut writer = Writer {
        helpers,
        plan,
        source,
        bodies: survey.bodies,
        census,
        widened,
    };
    let bytes = writer.write(&mut layout.runs)?;
    Ok(Rewritten {
        bytes: Some(bytes),
        layout,
    })
}

struct Writer<'a> {
    plan: Plan,
    source: Source<'a>,
    bodies: Vec<Body<'a>>,
    census: Census,
    helpers: Helpers,
    widened: Vec<bool>,
}

impl Writer<'_> {
    fn write(&mut self, runs: &mut Runs) -> Result<Vec<u8>, Error> {
        let bodies = self.rewrite_bodies()?;
        let calls = bodies.iter().any(|body| body.calls_accesses);
        let inlined = !calls && !self.source.passes_on(&self.census)?;
        let helpers = self.helpers.functions(&self.plan);
        let mut move_to = Mover(&self.plan);
        let mut module = wasm_encoder::Module::new();

        let mut types = TypeSection::new();
        if let Some(section) = self.source.types.clone() {
            move_to.parse_type_section(&mut types, section)?;
        }
        for ty in &self.census.block_types {
            types.ty().func_type(&move_to.func_type(ty.clone())?);
        }
        let end_type = types.len();
        types.ty().function([ValType::I32], []);
        let helper_types = types.len();
        for (ty, _) in &helpers {
            types
                .ty()
                .function(ty.params.iter().copied(), ty.results.iter().copied());
        }
        module.section(&types);

        let mut imports = ImportSection::new();
        if let Some(section) = self.source.imports.clone() {
            move_to.parse_import_section(&mut imports, section)?;
        }
        imports.import(MODULE, END, EntityType::Function(end_type));
        if self.plan.checks.any() {
            imports.import(MODULE, WORDS, words());
        }
        if !self.plan.accesses.is_empty() {
            let name = if inlined { SPACE } else { SPACE_AND_CALLS };
            imports.import(MODULE, name, space());
        }
        module.section(&imports);

        let mut functions = FunctionSection::new();
        for ty in &self.census.functions {
            functions.function(*ty);
        }
        for (index, _) in helpers.iter().enumerate() {
            functions.function(helper_types + index as u32);
        }
        module.section(&functions);

        if let Some(section) = self.source.tables.clone() {
            module.section(&self.tables(section)?);
        }
        if let Some(section) = self.source.memories.clone() {
            let mut memories = MemorySection::new();
            move_to.parse_memory_section(&mut memories, section)?;
            module.section(&memories);
        }
        let mut globals = GlobalSection::new();
        if let Some(section) = self.source.globals.clone() {
            move_to.parse_global_section(&mut globals, section)?;
        }
        for _ in 0..self.helpers.globals() {
            let ty = GlobalType {
                val_type: ValType::I32,
                mutable: true,
                shared: false,
            };
            globals.global(ty, &ConstExpr::i32_const(0));
        }
        if !globals.is_empty() {
            module.section(&globals);
        }
        if let Some(section) = self.source.exports.clone() {
            let mut exports = ExportSection::new();
            move_to.parse_export_section(&mut exports, section)?;
            module.section(&exports);
        }
        if let Some(start) = self.source.start {
            module.section(&StartSection {
                function_index: self.plan.function(start),
            });
        }
        if let Some(section) = self.source.elements.clone() {
            let mut elements = ElementSection::new();
            move_to.parse_element_section(&mut elements, section)?;
            module.section(&elements);
        }
        if let Some(count) = self.source.data_count {
            module.section(&DataCountSection { count });
        }
        self.code(&mut module, bodies, helpers, runs);
        if let Some(section) = self.source.data.clone() {
            let mut data = DataSection::new();
            move_to.parse_data_section(&mut data, section)?;
            module.section(&data);
        }
        self.customs(&mut module);
        Ok(module.finish())
    }

    /// Rewrites the functions: several threads do, if there is much.
    fn rewrite_bodies(&self) -> Result<Vec<Code>, Error> {
        const LEAST_OF_A_THREAD: usize = 64 << 10;
        let size: usize = self.bodies.iter().map(|body| body.bytes.len()).sum();
        let threads = match size / LEAST_OF_A_THREAD {
            0 | 1 => 1,
            most => std::thread::available_parallelism().map_or(1, |count| count.get().min(most)),
        };
        let pieces = self.pieces(size.div_ceil(threads));
        let (first, others) = pieces.split_first().expect("one at least");
        std::thread::scope(|scope| {
            let rewriting = others.iter().map(|piece| {
                let piece = piece.clone();
                let thread = std::thread::Builder::new();
                thread.spawn_scoped(scope, || self.rewrite_piece(piece))
            });
            // All of them are begun before the first one here.
            let rewriting: Vec<_> = rewriting.collect();
            let mut bodies = self.rewrite_piece(first.clone())?;
            for (thread, piece) in rewriting.into_iter().zip(others) {
                bodies.extend(match thread {
                    Ok(thread) => thread.join().expect("it does not panic")?,
                    // No thread is to be had.
                    Err(_) => self.rewrite_piece(piece.clone())?,
                });
            }
            Ok(bodies)
        })
    }

    /// All functions, in pieces of about so many bytes.
    fn pieces(&self, bytes: usize) -> Vec<Range<usize>> {
        let mut pieces = Vec::new();
        let mut start = 0;
        let mut size = 0;
        for (index, body) in self.bodies.iter().enumerate() {
            size += body.bytes.len();
            if size >= bytes {
                pieces.push(start..index + 1);
                start = index + 1;
                size = 0;
            }
        }
        if start < self.bodies.len() || pieces.is_empty() {
            pieces.push(start..self.bodies.len());
        }
        pieces
    }

    fn rewrite_piece(&self, piece: Range<usize>) -> Result<Vec<Code>, Error> {
        let types = &self.census.functions[piece.clone()];
        let functions = self.bodies[piece].iter().zip(types);
        functions
            .map(|(body, ty)| {
                let signature = self.census.signatures[*ty as usize];
                body::rewrite(&self.plan, &self.helpers, signature, body)
                    .map_err(|Unknown(at)| body.unknown(at))
            })
            .collect()
    }

    fn tables(&self, section: wasmparser::TableSectionReader<'_>) -> Result<TableSection, Error> {
        let mut tables = TableSection::new();
        let imported = self.widened.len() - section.count() as usize;
        for (table, widened) in section.into_iter().zip(&self.widened[imported..]) {
            let mut table = table?;
            if *widened {
                table.ty.maximum = Some(table.ty.initial + 1);
            }
            utils::parse_table(&mut Mover(&self.plan), &mut tables, table)?;
        }
        Ok(tables)
    }

    /// Writes the code section, and notes where what is in it was.
    fn code(
        &self,
        module: &mut wasm_encoder::Module,
        bodies: Vec<Code>,
        helpers: Vec<(helpers::Type, wasm_encoder::Function)>,
        runs: &mut Runs,
    ) {
        let size: usize = bodies.iter().map(|body| body.bytes.len() + 5).sum();
        let mut data = Vec::with_capacity(size);
        ((bodies.len() + helpers.len()) as u32).encode(&mut data);
        let mut local = Runs::default();
        for body in &bodies {
            (body.bytes.len() as u32).encode(&mut data);
            local.append(data.len(), &body.runs);
            data.extend_from_slice(&body.bytes);
        }
        for (_, function) in &helpers {
            function.encode(&mut data);
        }
        let before = module.as_slice().len();
        let len = data.len();
        module.section(&RawSection {
            id: SectionId::Code as u8,
            data: &data,
        });
        let header = module.as_slice().len() - before - len;
        runs.append(before + header, &local);
    }

    fn customs(&self, module: &mut wasm_encoder::Module) {
        for custom in &self.source.customs {
            match custom.as_known() {
                KnownCustom::Name(names) => {
                    // One that cannot be read names nothing.
                    if let Ok(names) = self.names(names) {
                        module.section(&names);
                    }
                }
                // It is about places in the code.
                KnownCustom::BranchHints(_) => {}
                _ => {
                    module.section(&CustomSection {
                        name: custom.name().into(),
                        data: custom.data().into(),
                    });
                }
            }
        }
    }

    fn names(&self, section: wasmparser::NameSectionReader<'_>) -> Result<NameSection, Error> {
        let mut names = NameSection::new();
        for subsection in section {
            Mover(&self.plan).parse_custom_name_subsection(&mut names, subsection?)?;
        }
        Ok(names)
    }
}

/// The type of the added memory. Only written code uses it, and only its first
/// bytes.
fn words() -> MemoryType {
    MemoryType {
        minimum: 1,
        maximum: Some(1),
        memory64: false,
        shared: false,
        page_size_log2: None,
    }
}

/// The type of the region space.
fn space() -> MemoryType {
    const PAGES: u64 = 1 << 16;
    MemoryType {
        minimum: PAGES,
        maximum: Some(PAGES),
        memory64: false,
        shared: false,
        page_size_log2: None,
    }
}
