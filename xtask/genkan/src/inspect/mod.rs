//! `inspect`: what is in a module, for people, as JSON, and as a picture.

mod calls;
mod columns;
mod names;
mod page;
mod parts;
mod svg;
mod text;
mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;
use wasmparser::types::TypesRef;
use wasmparser::{
    BinaryReaderError, CustomSectionReader, DataKind, DataSectionReader, ElementItems, ElementKind,
    ElementSectionReader, ExportSectionReader, ExternalKind, FunctionBody, ImportSectionReader,
    KnownCustom, Linking, LinkingSectionReader, Name, NameSectionReader, Operator, Parser, Payload,
    ProducersSectionReader, SymbolFlags, SymbolInfo, TypeRef, Validator, WasmFeatures,
};

use crate::files;

pub use calls::Why;
pub use columns::ColumnFunction;
pub use names::{Origin, demangle};
pub use page::{diff_page, page};
pub use svg::svg;

/// What is in a module. Sizes are in bytes.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// Of the whole file.
    pub size: u64,
    /// Whether it is a relocatable object.
    pub object: bool,
    /// What it wants from the host.
    pub imports: Vec<Import>,
    /// What it offers.
    pub exports: Vec<Export>,
    /// The functions over columns that it says it has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub column_functions: Vec<ColumnFunction>,
    /// Its memories, imported ones too.
    pub memories: Vec<String>,
    /// Its tables, imported ones too.
    pub tables: Vec<String>,
    /// In the order of the file.
    pub sections: Vec<Section>,
    /// Bodies, largest first.
    pub functions: Vec<Function>,
    /// What memory begins with, in the order of the file.
    pub segments: Vec<Segment>,
    /// Bytes of functions by the crate that they come from, largest first.
    pub crates: Vec<CrateSize>,
    /// Features beyond WebAssembly 1.0 that it uses.
    pub features: Vec<String>,
    /// What made it: `field: name version`.
    pub producers: Vec<String>,
    /// Hash of each section's bytes by name, for `diff`.
    #[serde(skip)]
    pub contents: Vec<(String, String)>,
}

/// An import.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Import {
    /// The module that it is from.
    pub module: String,
    /// Its name there.
    pub name: String,
    /// As WebAssembly's text format writes it.
    #[serde(rename = "type")]
    pub ty: String,
    /// Its index among the functions and why it is there, if it is a function.
    #[serde(flatten)]
    pub function: Option<Wanted>,
}

/// An imported function's place in the graph of calls.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Wanted {
    /// Its index in the module.
    pub index: u32,
    /// Why it is there.
    pub why: Why,
}

/// An export.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// As WebAssembly's text format writes it.
    #[serde(rename = "type")]
    pub ty: String,
}

/// A section.
#[derive(Debug, Serialize)]
pub struct Section {
    /// `code`, `data`, or a custom section's name.
    pub name: String,
    /// Without the section's header.
    pub size: u64,
    /// The bytes before: its id and its length.
    pub header: u64,
    /// It is a custom section, whatever its name.
    pub custom: bool,
}

/// A function with a body.
#[derive(Debug, Serialize)]
pub struct Function {
    /// Its index in the module.
    pub index: u32,
    /// Demangled; the export's name or `function N` if the module has no names.
    pub name: String,
    /// The crate that it comes from, as far as its name tells.
    #[serde(rename = "crate")]
    pub krate: Option<String>,
    /// Who wrote it, as far as its name tells.
    pub origin: Origin,
    /// Its body.
    pub size: u64,
    /// Where its body begins in the file.
    pub offset: u64,
    /// Why it is there.
    pub why: Why,
}

/// A piece of what memory begins with.
#[derive(Debug, Serialize)]
pub struct Segment {
    /// Its name; `segment N` if the module has no names for them.
    pub name: String,
    /// Its bytes, without what says where they go.
    pub size: u64,
    /// Where they go; nothing if that is not a constant, or if code says it.
    pub address: Option<u64>,
}

/// How much code comes from one crate.
#[derive(Debug, Serialize)]
pub struct CrateSize {
    /// Its name; in parentheses what is no crate: `(C)`, `(runtime)`, `(guest)`.
    pub name: String,
    /// Function bodies.
    pub size: u64,
    /// How many.
    pub functions: usize,
}

/// Reads the module or object at `path`; `-` is stdin.
pub fn inspect(path: &Path) -> anyhow::Result<Summary> {
    let bytes = files::read_or_stdin(path)?;
    summary(&bytes).with_context(|| format!("cannot understand {}", path.display()))
}

/// Reads a module or an object.
pub fn summary(bytes: &[u8]) -> anyhow::Result<Summary> {
    ensure!(bytes.starts_with(b"\0asm"), "it is no WebAssembly binary");
    if Parser::is_component(bytes) {
        bail!(
            "it is a component, not a module; `wasm-tools component unbundle` takes out the \
             modules that are in it"
        );
    }
    let types = Validator::new_with_features(WasmFeatures::all())
        .validate_all(bytes)
        .context("it is not valid")?;
    let mut reader = Reader::new(bytes, types.as_ref());
    for payload in Parser::new(0).parse_all(bytes) {
        reader.payload(payload?)?;
    }
    Ok(reader.finish())
}

impl Function {
    /// The crate, or in parentheses who else wrote it.
    pub fn group(&self) -> String {
        match &self.krate {
            Some(krate) if self.origin != Origin::Runtime => krate.clone(),
            _ => format!("({})", self.origin.label()),
        }
    }
}

/// What is known while the sections go by.
struct Reader<'a> {
    bytes: &'a [u8],
    types: TypesRef<'a>,
    summary: Summary,
    /// Where the last section ended.
    end: u64,
    /// How many functions are imported: the index of the first body.
    imported: u32,
    /// Offset and size of each body.
    bodies: Vec<(u64, u64)>,
    calls: calls::Calls,
    /// Names of functions, mangled.
    names: BTreeMap<u32, &'a str>,
    /// Names of functions that others can use: exports, and an object's globals.
    offered: BTreeMap<u32, &'a str>,
    segment_names: BTreeMap<u32, &'a str>,
    /// How many globals went by.
    globals: u32,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], types: TypesRef<'a>) -> Self {
        Reader {
            bytes,
            types,
            summary: Summary {
                size: bytes.len() as u64,
                ..Summary::default()
            },
            end: HEADER,
            imported: 0,
            bodies: Vec::new(),
            calls: calls::Calls::default(),
            names: BTreeMap::new(),
            offered: BTreeMap::new(),
            segment_names: BTreeMap::new(),
            globals: 0,
        }
    }

    fn signature(&self, function: u32) -> String {
        let id = self.types.core_function_at(function);
        let ty = self.types.get(id);
        ty.map_or_else(String::new, |ty| types::function(ty.unwrap_func()))
    }

    fn payload(&mut self, payload: Payload<'a>) -> anyhow::Result<()> {
        if let Some((id, range)) = payload.as_section() {
            let name = match &payload {
                Payload::CustomSection(section) => section.name(),
                _ => section_name(id),
            };
            let content = &self.bytes[range.start as usize..range.end as usize];
            let hash = files::sha256(content);
            self.summary.contents.push((name.to_owned(), hash));
            self.summary.sections.push(Section {
                name: name.to_owned(),
                size: content.len() as u64,
                header: range.start - self.end,
                custom: id == 0,
            });
            self.end = range.end;
        }
        match payload {
            Payload::ImportSection(reader) => self.imports(reader)?,
            Payload::MemorySection(reader) => {
                for ty in reader {
                    self.summary.memories.push(types::memory(&ty?));
                }
            }
            Payload::TableSection(reader) => {
                for table in reader {
                    let table = table?;
                    self.summary.tables.push(types::table(&table.ty));
                    if let wasmparser::TableInit::Expr(init) = table.init {
                        self.references(&init, "what a table begins with")?;
                    }
                }
            }
            Payload::GlobalSection(reader) => {
                for global in reader {
                    let place = format!("global {}", self.globals);
                    self.references(&global?.init_expr, &place)?;
                    self.globals += 1;
                }
            }
            Payload::ExportSection(reader) => self.exports(reader)?,
            Payload::StartSection { func, .. } => self.calls.root(func, Why::Start),
            Payload::ElementSection(reader) => self.elements(reader)?,
            Payload::CodeSectionEntry(body) => self.body(&body)?,
            Payload::DataSection(reader) => self.data(reader)?,
            Payload::CustomSection(section) => self.custom(&section)?,
            _ => {}
        }
        Ok(())
    }

    fn imports(&mut self, reader: ImportSectionReader<'a>) -> anyhow::Result<()> {
        for import in reader.into_imports() {
            let import = import?;
            let mut function = None;
            let ty = match import.ty {
                TypeRef::Func(_) | TypeRef::FuncExact(_) => {
                    let index = self.imported;
                    self.imported += 1;
                    function = Some(Wanted {
                        index,
                        why: Why::Unreached,
                    });
                    let exact = matches!(import.ty, TypeRef::FuncExact(_));
                    let exact = if exact { "exact " } else { "" };
                    format!("func {exact}{}", self.signature(index))
                }
                TypeRef::Memory(ty) => {
                    let memory = types::memory(&ty);
                    self.summary.memories.push(format!("{memory}, imported"));
                    format!("memory {memory}")
                }
                TypeRef::Table(ty) => {
                    let table = types::table(&ty);
                    self.summary.tables.push(format!("{table}, imported"));
                    format!("table {table}")
                }
                TypeRef::Global(ty) => {
                    self.globals += 1;
                    format!("global {}", types::global(&ty))
                }
                TypeRef::Tag(_) => "tag".into(),
            };
            self.summary.imports.push(Import {
                module: import.module.to_owned(),
                name: import.name.to_owned(),
                ty,
                function,
            });
        }
        Ok(())
    }

    fn exports(&mut self, reader: ExportSectionReader<'a>) -> anyhow::Result<()> {
        for export in reader {
            let export = export?;
            let index = export.index;
            let ty = match export.kind {
                ExternalKind::Func | ExternalKind::FuncExact => {
                    self.offer(index, export.name);
                    format!("func {}", self.signature(index))
                }
                ExternalKind::Memory => {
                    format!("memory {}", types::memory(&self.types.memory_at(index)))
                }
                ExternalKind::Table => {
                    format!("table {}", types::table(&self.types.table_at(index)))
                }
                ExternalKind::Global => {
                    format!("global {}", types::global(&self.types.global_at(index)))
                }
                ExternalKind::Tag => "tag".into(),
            };
            let name = export.name.to_owned();
            self.summary.exports.push(Export { name, ty });
        }
        Ok(())
    }

    fn offer(&mut self, function: u32, name: &'a str) {
        self.offered.entry(function).or_insert(name);
        self.calls.root(function, Why::Export(name.to_owned()));
    }

    fn elements(&mut self, reader: ElementSectionReader<'a>) -> anyhow::Result<()> {
        for (number, element) in reader.into_iter().enumerate() {
            let element = element?;
            let (table, first) = match element.kind {
                ElementKind::Active {
                    table_index,
                    offset_expr,
                } => (table_index.unwrap_or(0), constant(&offset_expr)),
                ElementKind::Passive => (0, None),
                // Code refers to these itself.
                ElementKind::Declared => continue,
            };
            let place = |slot: usize| match first {
                Some(first) => format!("table {table}, slot {}", first.saturating_add(slot as u64)),
                None => format!("element segment {number}"),
            };
            match element.items {
                ElementItems::Functions(functions) => {
                    for (slot, function) in functions.into_iter().enumerate() {
                        self.calls.address(function?, place(slot));
                    }
                }
                ElementItems::Expressions(_, expressions) => {
                    for (slot, expression) in expressions.into_iter().enumerate() {
                        self.references(&expression?, &place(slot))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Functions that a constant expression refers to.
    fn references(
        &mut self,
        expression: &wasmparser::ConstExpr<'a>,
        place: &str,
    ) -> anyhow::Result<()> {
        for operator in expression.get_operators_reader() {
            if let Operator::RefFunc { function_index } = operator? {
                self.calls.address(function_index, place.to_owned());
            }
        }
        Ok(())
    }

    fn body(&mut self, body: &FunctionBody<'a>) -> anyhow::Result<()> {
        let function = self.imported + self.bodies.len() as u32;
        let range = body.range();
        self.bodies.push((range.start, range.end - range.start));
        for operator in body.get_operators_reader()? {
            let operator = operator?;
            match operator {
                Operator::Call { function_index }
                | Operator::ReturnCall { function_index }
                | Operator::RefFunc { function_index } => {
                    self.calls.call(function, function_index);
                }
                _ => {}
            }
            note_feature(&operator, &mut self.summary.features);
        }
        Ok(())
    }

    fn data(&mut self, reader: DataSectionReader<'a>) -> anyhow::Result<()> {
        for data in reader {
            let data = data?;
            let address = match data.kind {
                DataKind::Active { offset_expr, .. } => constant(&offset_expr),
                DataKind::Passive => None,
            };
            self.summary.segments.push(Segment {
                name: String::new(),
                size: data.data.len() as u64,
                address,
            });
        }
        Ok(())
    }

    fn custom(&mut self, section: &CustomSectionReader<'a>) -> anyhow::Result<()> {
        match section.as_known() {
            KnownCustom::Name(reader) => self.name_section(reader),
            KnownCustom::Linking(reader) => self.linking(reader),
            KnownCustom::Producers(reader) => self.producers(reader)?,
            _ if section.name() == columns::SECTION => {
                let functions = ColumnFunction::all(section.data());
                self.summary.column_functions.extend(functions);
            }
            _ => {}
        }
        Ok(())
    }

    /// Names are for people: one that cannot be read is as good as none.
    fn name_section(&mut self, reader: NameSectionReader<'a>) {
        for part in reader.into_iter().flatten() {
            let (names, map) = match part {
                Name::Function(map) => (&mut self.names, map),
                Name::Data(map) => (&mut self.segment_names, map),
                _ => continue,
            };
            let all = map.into_iter().flatten();
            names.extend(all.map(|naming| (naming.index, naming.name)));
        }
    }

    /// An object has its names in its symbol table.
    fn linking(&mut self, reader: LinkingSectionReader<'a>) {
        self.summary.object = true;
        for part in reader.subsections().flatten() {
            match part {
                Linking::SymbolTable(symbols) => {
                    for symbol in symbols.into_iter().flatten() {
                        let SymbolInfo::Func { flags, index, name } = symbol else {
                            continue;
                        };
                        let Some(name) = name else { continue };
                        self.names.entry(index).or_insert(name);
                        let hidden = SymbolFlags::UNDEFINED | SymbolFlags::BINDING_LOCAL;
                        if !flags.intersects(hidden) {
                            self.offer(index, name);
                        }
                    }
                }
                Linking::SegmentInfo(segments) => {
                    let names = segments.into_iter().flatten().map(|segment| segment.name);
                    self.segment_names.extend((0..).zip(names));
                }
                _ => {}
            }
        }
    }

    fn producers(&mut self, reader: ProducersSectionReader<'a>) -> Result<(), BinaryReaderError> {
        for field in reader {
            let field = field?;
            for value in field.values {
                let value = value?;
                let text = format!("{}: {} {}", field.name, value.name, value.version);
                self.summary.producers.push(text);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Summary {
        let count = self.imported as usize + self.bodies.len();
        let mut why = std::mem::take(&mut self.calls).why(count);
        let of_bodies = why.split_off(self.imported as usize);
        let wanted = self.summary.imports.iter_mut();
        for (wanted, why) in wanted.filter_map(|it| it.function.as_mut()).zip(why) {
            wanted.why = why;
        }
        for (number, segment) in (0..).zip(&mut self.summary.segments) {
            segment.name = match self.segment_names.get(&number) {
                Some(name) => (*name).to_owned(),
                None => format!("segment {number}"),
            };
        }
        self.functions(of_bodies);
        self.summary.features.sort();
        self.summary.crates = crates(&self.summary.functions);
        self.summary
    }

    fn functions(&mut self, why: Vec<Why>) {
        let name = |index| {
            let known = self.names.get(&index).or_else(|| self.offered.get(&index));
            known.map(|name| demangle(name))
        };
        let indices = self.imported..self.imported + self.bodies.len() as u32;
        let names: Vec<Option<String>> = indices.clone().map(name).collect();
        let own_crates: BTreeSet<&str> = names
            .iter()
            .flatten()
            .filter_map(|name| names::crate_of_main(name))
            .collect();
        for (((index, name), why), &(offset, size)) in
            indices.zip(&names).zip(why).zip(&self.bodies)
        {
            let path = names::path_of(name.as_deref().unwrap_or_default());
            let origin = match name {
                Some(name) => {
                    let offered = self.offered.contains_key(&index);
                    names::origin(name, &path, offered, &own_crates)
                }
                None => Origin::Unknown,
            };
            self.summary.functions.push(Function {
                index,
                krate: path.first().map(|&krate| krate.to_owned()),
                name: name.clone().unwrap_or_else(|| format!("function {index}")),
                origin,
                size,
                offset,
                why,
            });
        }
        let functions = &mut self.summary.functions;
        functions.sort_by_key(|function| std::cmp::Reverse(function.size));
    }
}

/// The magic number and the version.
const HEADER: u64 = 8;

fn crates(functions: &[Function]) -> Vec<CrateSize> {
    let mut sums: BTreeMap<String, (u64, usize)> = BTreeMap::new();
    for function in functions {
        let sum = sums.entry(function.group()).or_default();
        sum.0 += function.size;
        sum.1 += 1;
    }
    let size = |(name, (size, functions))| CrateSize {
        name,
        size,
        functions,
    };
    let mut crates: Vec<CrateSize> = sums.into_iter().map(size).collect();
    crates.sort_by_key(|entry| std::cmp::Reverse(entry.size));
    crates
}

/// The value of an expression that is one constant.
fn constant(expression: &wasmparser::ConstExpr<'_>) -> Option<u64> {
    let mut reader = expression.get_operators_reader();
    let value = match reader.read().ok()? {
        Operator::I32Const { value } => u64::from(value.cast_unsigned()),
        Operator::I64Const { value } => value.cast_unsigned(),
        _ => return None,
    };
    matches!(reader.read(), Ok(Operator::End)).then_some(value)
}

/// A section's name by its id.
pub fn section_name(id: u8) -> &'static str {
    const NAMES: [&str; 14] = [
        "custom",
        "type",
        "import",
        "function",
        "table",
        "memory",
        "global",
        "export",
        "start",
        "element",
        "code",
        "data",
        "data count",
        "tag",
    ];
    NAMES.get(usize::from(id)).unwrap_or(&"unknown")
}

/// The proposal that an instruction came with, in `features` once.
fn note_feature(operator: &Operator<'_>, features: &mut Vec<String>) {
    macro_rules! proposal {
        ($( @$proposal:ident $op:ident $({ $($arg:ident: $ty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
            match operator {
                $( Operator::$op { .. } => stringify!($proposal), )*
                _ => return,
            }
        };
    }
    let proposal = wasmparser::for_each_operator!(proposal);
    if proposal != "mvp" && !features.iter().any(|feature| feature == proposal) {
        features.push(proposal.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(wat: &str) -> Summary {
        summary(&wat::parse_str(wat).unwrap()).unwrap()
    }

    #[test]
    fn the_interface_is_shown_with_its_types() {
        let summary = of(r#"(module
            (import "env" "read" (func (param i64 i32) (result i32)))
            (import "env" "__linear_memory" (memory 0))
            (table 2 2 funcref)
            (func $calc (export "calc") (param i64 i32) (result i32)
                (i32.extend8_s (local.get 1)))
            (memory 1 4))"#);
        assert_eq!(summary.imports[0].ty, "func (i64, i32) -> i32");
        assert_eq!(summary.imports[1].ty, "memory 0 or more pages");
        assert_eq!(summary.exports[0].ty, "func (i64, i32) -> i32");
        assert_eq!(
            summary.memories,
            ["0 or more pages, imported", "1 to 4 pages"]
        );
        assert_eq!(summary.tables, ["exactly 2 funcref"]);
        assert_eq!(summary.features, ["sign_extension"]);
        assert_eq!(summary.functions[0].name, "calc");
    }

    #[test]
    fn functions_come_largest_first_and_with_their_crate() {
        let summary = of(r#"(module
            (func $_ZN4core3fmt5write17h0123456789abcdefE nop)
            (func $_ZN5guest4calc17h0123456789abcdefE nop nop nop nop)
            (func $plain nop nop))"#);
        let names: Vec<_> = summary.functions.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["guest::calc", "plain", "core::fmt::write"]);
        assert_eq!(summary.functions[2].krate.as_deref(), Some("core"));
        assert_eq!(summary.crates[0].name, "guest");
        let text = anstream::adapter::strip_str(&summary.text(None)).to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn whose_functions_they_are() {
        let summary = of(r#"(module
            (func $_start (export "_start"))
            (func $calc (export "calc"))
            (func $__multi3)
            (func $helper)
            (func $_ZN5hello4main17h0123456789abcdefE)
            (func $_ZN5hello4help17h0123456789abcdefE)
            (func $_ZN4core4help17h0123456789abcdefE)
            (func $_RNvCs5QKde7ScR4H_17compiler_builtins4help))"#);
        let mut functions: Vec<_> = summary.functions.iter().collect();
        functions.sort_by_key(|function| function.index);
        let groups: Vec<String> = functions.iter().map(|it| it.group()).collect();
        assert_eq!(
            groups,
            [
                "(runtime)",
                "(guest)",
                "(runtime)",
                "(C)",
                "hello",
                "hello",
                "core",
                "(runtime)"
            ]
        );
        assert_eq!(functions[5].origin, Origin::Guest);
        assert_eq!(of("(module (func))").functions[0].origin, Origin::Unknown);
    }

    #[test]
    fn why_functions_are_there_is_read_from_calls_tables_and_globals() {
        let summary = of(r#"(module
            (import "env" "read" (func $read))
            (table 4 funcref)
            (func $run (export "run") call $inner)
            (func $inner call $read)
            (func $in_table)
            (func $in_global)
            (func $nobody)
            (func $begin)
            (start $begin)
            (global funcref (ref.func $in_global))
            (elem (i32.const 3) $in_table))"#);
        let why = |index| {
            let mut functions = summary.functions.iter();
            functions.find(|it| it.index == index).unwrap().why.clone()
        };
        assert_eq!(why(1), Why::Export("run".into()));
        assert_eq!(why(2), Why::CalledBy(1));
        assert_eq!(why(3), Why::Address("table 0, slot 3".into()));
        assert_eq!(why(4), Why::Address("global 0".into()));
        assert_eq!(why(5), Why::Unreached);
        assert_eq!(why(6), Why::Start);
        let read = summary.imports[0].function.as_ref().unwrap();
        assert_eq!((read.index, &read.why), (0, &Why::CalledBy(2)));
    }

    #[test]
    fn functions_over_columns_are_shown() {
        let summary = of(r#"(module
            (@custom "genkan.columns.1" "scalar\09gcd\09immutable\09Int64;Int64\09Int64\0a")
            (@custom "genkan.columns.1" "scalar\09\1bid\09volatile\09\09Int64\0anothing\0a"))"#);
        let text = summary.text(None);
        let shown = "(2)\n  gcd: (Int64, Int64) -> Int64\n  \\u{1b}id: () -> Int64, volatile\n\n";
        assert!(text.contains(shown), "{text}");
    }

    #[test]
    fn a_component_is_told_from_a_module() {
        let component = wat::parse_str("(component)").unwrap();
        let error = summary(&component).unwrap_err().to_string();
        assert!(error.contains("it is a component"), "{error}");
    }

    #[test]
    fn what_is_not_valid_is_an_error() {
        assert!(summary(b"\0asm\x01\0\0\0\x01\xff").is_err());
    }
}
