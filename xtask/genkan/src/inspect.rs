//! `inspect`: what is in a module, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use wasmparser::{
    ExternalKind, FuncType, KnownCustom, Name, Operator, Parser, Payload, TypeRef, Validator,
    WasmFeatures,
};

use crate::files;
use crate::shell::{self, BOLD};

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
    /// Its memories, imported ones too.
    pub memories: Vec<String>,
    /// Its tables, imported ones too.
    pub tables: Vec<String>,
    /// In the order of the file.
    pub sections: Vec<Section>,
    /// Bodies, largest first.
    pub functions: Vec<Function>,
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
}

/// A function with a body.
#[derive(Debug, Serialize)]
pub struct Function {
    /// Its index in the module.
    pub index: u32,
    /// Demangled; `function N` if the module has no names.
    pub name: String,
    /// The crate that it comes from, as far as its name tells.
    #[serde(rename = "crate")]
    pub krate: Option<String>,
    /// Its body.
    pub size: u64,
}

/// How much code comes from one crate.
#[derive(Debug, Serialize)]
pub struct CrateSize {
    /// Its name; `(no crate)` for C functions and what the linker made.
    pub name: String,
    /// Function bodies.
    pub size: u64,
    /// How many.
    pub functions: usize,
}

/// Reads the module or object at `path`.
pub fn inspect(path: &Path) -> anyhow::Result<Summary> {
    let bytes = files::read_or_stdin(path)?;
    ensure!(
        bytes.starts_with(b"\0asm"),
        "{} is no WebAssembly binary",
        path.display()
    );
    summary(&bytes).with_context(|| format!("cannot understand {}", path.display()))
}

/// Reads a module or an object.
pub fn summary(bytes: &[u8]) -> anyhow::Result<Summary> {
    let mut summary = Summary {
        size: bytes.len() as u64,
        ..Summary::default()
    };
    let types = Validator::new_with_features(WasmFeatures::all())
        .validate_all(bytes)
        .context("it is not valid")?;
    let types = types.as_ref();
    let signature = |index: u32| {
        let id = types.core_function_at(index);
        types
            .get(id)
            .map_or_else(String::new, |ty| function(ty.unwrap_func()))
    };
    let mut names: BTreeMap<u32, String> = BTreeMap::new();
    let mut function_imports = 0;
    let mut bodies = Vec::new();

    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        if let Some((id, range)) = payload.as_section() {
            let name = match &payload {
                Payload::CustomSection(section) => section.name().to_owned(),
                _ => section_name(id).to_owned(),
            };
            let content = &bytes[range.start as usize..range.end as usize];
            summary
                .contents
                .push((name.clone(), files::sha256(content)));
            let size = content.len() as u64;
            summary.sections.push(Section { name, size });
        }
        match payload {
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    let import = import?;
                    let ty = match import.ty {
                        TypeRef::Func(_) => {
                            function_imports += 1;
                            format!("func {}", signature(function_imports - 1))
                        }
                        TypeRef::FuncExact(_) => {
                            function_imports += 1;
                            format!("func exact {}", signature(function_imports - 1))
                        }
                        TypeRef::Memory(ty) => {
                            summary.memories.push(memory(&ty) + ", imported");
                            format!("memory {}", memory(&ty))
                        }
                        TypeRef::Table(ty) => {
                            summary.tables.push(table(&ty) + ", imported");
                            format!("table {}", table(&ty))
                        }
                        TypeRef::Global(ty) => format!("global {}", global(&ty)),
                        TypeRef::Tag(_) => "tag".into(),
                    };
                    summary.imports.push(Import {
                        module: import.module.to_owned(),
                        name: import.name.to_owned(),
                        ty,
                    });
                }
            }
            Payload::MemorySection(reader) => {
                for ty in reader {
                    summary.memories.push(memory(&ty?));
                }
            }
            Payload::TableSection(reader) => {
                for ty in reader {
                    summary.tables.push(table(&ty?.ty));
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export?;
                    let index = export.index;
                    let ty = match export.kind {
                        ExternalKind::Func | ExternalKind::FuncExact => {
                            format!("func {}", signature(index))
                        }
                        ExternalKind::Memory => {
                            format!("memory {}", memory(&types.memory_at(index)))
                        }
                        ExternalKind::Table => format!("table {}", table(&types.table_at(index))),
                        ExternalKind::Global => {
                            format!("global {}", global(&types.global_at(index)))
                        }
                        ExternalKind::Tag => "tag".into(),
                    };
                    let name = export.name.to_owned();
                    summary.exports.push(Export { name, ty });
                }
            }
            Payload::CodeSectionEntry(body) => {
                let range = body.range();
                bodies.push(range.end - range.start);
                for operator in body.get_operators_reader()? {
                    note_feature(&operator?, &mut summary.features);
                }
            }
            Payload::CustomSection(section) => match section.as_known() {
                KnownCustom::Name(reader) => {
                    for part in reader {
                        if let Ok(Name::Function(map)) = part {
                            for naming in map.into_iter().flatten() {
                                names.insert(naming.index, naming.name.to_owned());
                            }
                        }
                    }
                }
                KnownCustom::Linking(_) => summary.object = true,
                KnownCustom::Producers(reader) => {
                    for field in reader {
                        let field = field?;
                        for value in field.values {
                            let value = value?;
                            let text = format!("{}: {} {}", field.name, value.name, value.version);
                            summary.producers.push(text);
                        }
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }

    summary.features.sort();
    for (place, size) in bodies.into_iter().enumerate() {
        let index = function_imports + place as u32;
        let mangled = names.get(&index);
        let name = mangled.map_or_else(|| format!("function {index}"), |name| demangle(name));
        let krate = mangled.and_then(|name| crate_of(name));
        summary.functions.push(Function {
            index,
            name,
            krate,
            size,
        });
    }
    let mut crates: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
    for function in &summary.functions {
        let entry = crates
            .entry(function.krate.as_deref().unwrap_or("(no crate)"))
            .or_default();
        entry.0 += function.size;
        entry.1 += 1;
    }
    summary.crates = crates
        .into_iter()
        .map(|(name, (size, functions))| CrateSize {
            name: name.to_owned(),
            size,
            functions,
        })
        .collect();
    summary
        .crates
        .sort_by_key(|entry| std::cmp::Reverse(entry.size));
    summary
        .functions
        .sort_by_key(|function| std::cmp::Reverse(function.size));
    Ok(summary)
}

impl Summary {
    /// For people, within 80 columns.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let what = if self.object {
            "relocatable object"
        } else {
            "module"
        };
        let _ = writeln!(text, "{BOLD}{what}{BOLD:#}, {}", shell::bytes(self.size));
        heading(&mut text, "Imports", self.imports.len());
        for Import { module, name, ty } in &self.imports {
            entry(&mut text, &format!("{module}.{name}"), ty);
        }
        heading(&mut text, "Exports", self.exports.len());
        for Export { name, ty } in &self.exports {
            entry(&mut text, name, ty);
        }
        for (title, lines) in [
            ("Memory", &self.memories),
            ("Table", &self.tables),
            ("Features", &self.features),
            ("Producers", &self.producers),
        ] {
            if !lines.is_empty() {
                heading(&mut text, title, lines.len());
                for line in lines {
                    let _ = writeln!(text, "  {}", cut(line, 78));
                }
            }
        }
        heading(&mut text, "Sections", self.sections.len());
        for Section { name, size } in &self.sections {
            let _ = writeln!(text, "{:>9}  {}", size, cut(name, 68));
        }
        if self.crates.len() > 1 {
            heading(&mut text, "Code by crate", self.crates.len());
            for CrateSize {
                name,
                size,
                functions,
            } in &self.crates
            {
                let _ = writeln!(text, "{size:>9}  {name} ({functions} functions)");
            }
        }
        heading(&mut text, "Functions", self.functions.len());
        for Function {
            name, krate, size, ..
        } in &self.functions
        {
            let room = 68 - krate.as_ref().map_or(0, |name| name.len().min(20) + 3);
            let _ = write!(text, "{size:>9}  {}", cut(name, room));
            match krate {
                Some(krate) => drop(writeln!(text, " [{}]", cut(krate, 20))),
                None => text.push('\n'),
            }
        }
        text
    }
}

fn heading(text: &mut String, title: &str, count: usize) {
    let _ = match count {
        0 => writeln!(text, "\n{BOLD}{title}{BOLD:#}: none"),
        1 => writeln!(text, "\n{BOLD}{title}{BOLD:#}"),
        _ => writeln!(text, "\n{BOLD}{title}{BOLD:#} ({count})"),
    };
}

/// A name and its type: on one line where that fits.
fn entry(text: &mut String, name: &str, ty: &str) {
    let _ = match name.chars().count() + ty.len() {
        0..76 => writeln!(text, "  {name}: {ty}"),
        _ => writeln!(text, "  {}:\n      {}", cut(name, 76), cut(ty, 74)),
    };
}

/// At most `width` characters.
fn cut(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text
            .chars()
            .take(width.saturating_sub(1))
            .chain(['…'])
            .collect(),
        false => text.to_owned(),
    }
}

/// A symbol as its author wrote it, without the hash.
pub fn demangle(symbol: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol))
}

/// The crate in which a function was written: the first path in its name.
/// `<alloc::vec::Vec<u8> as core::fmt::Debug>::fmt` belongs to `alloc`; the
/// first of `<&T as foo::Bar>::f` is no path, so it counts for `foo`.
fn crate_of(symbol: &str) -> Option<String> {
    // Linkers may have demangled the names already.
    let name = demangle(symbol);
    name.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
        .filter_map(|word| word.split_once("::"))
        .map(|(first, _)| first)
        .find(|first| !first.is_empty())
        .map(str::to_owned)
}

fn function(ty: &FuncType) -> String {
    let list = |types: &[wasmparser::ValType]| {
        types
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    match ty.results() {
        [] => format!("({})", list(ty.params())),
        results => format!("({}) -> {}", list(ty.params()), list(results)),
    }
}

fn memory(ty: &wasmparser::MemoryType) -> String {
    let wide = if ty.memory64 { "i64 " } else { "" };
    let shared = if ty.shared { ", shared" } else { "" };
    format!("{wide}{} pages{shared}", limits(ty.initial, ty.maximum))
}

fn table(ty: &wasmparser::TableType) -> String {
    format!("{} {}", limits(ty.initial, ty.maximum), ty.element_type)
}

fn global(ty: &wasmparser::GlobalType) -> String {
    let mutable = if ty.mutable { "mut " } else { "" };
    format!("{mutable}{}", ty.content_type)
}

fn limits(initial: u64, maximum: Option<u64>) -> String {
    match maximum {
        Some(maximum) if maximum == initial => format!("exactly {initial}"),
        Some(maximum) => format!("{initial} to {maximum}"),
        None => format!("{initial} or more"),
    }
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
        assert!(
            summary
                .text()
                .lines()
                .all(|line| line.chars().count() <= 80)
        );
    }

    #[test]
    fn crates_of_methods() {
        let legacy = "_ZN61_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE";
        assert_eq!(crate_of(legacy).as_deref(), Some("alloc"));
        assert_eq!(
            crate_of("_RNvCs15kBYyAo9fc_7mycrate3foo").as_deref(),
            Some("mycrate")
        );
        assert_eq!(crate_of("memcpy"), None);
    }

    #[test]
    fn what_is_not_valid_is_an_error() {
        assert!(summary(b"\0asm\x01\0\0\0\x01\xff").is_err());
    }
}
