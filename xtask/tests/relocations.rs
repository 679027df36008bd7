//! What `-r` and `--emit-relocs` write: objects that both linkers link on, and
//! modules whose symbols and relocations say what is in them, as wasm-ld's do.

mod linkers;

use std::collections::BTreeMap;
use std::path::Path;

use linkers::engine;
use wasmparser::{
    BinaryReader, DefinedDataSymbol, ElementItems, KnownCustom, Linking, Parser, Payload,
    RelocationEntry, RelocationType, SymbolFlags, SymbolInfo,
};

/// A program with much of what relocations are of: std, pointers to functions, data
/// that refers to data, constructors of libc, debug information.
const PROGRAM: &str = r#"
use std::collections::BTreeMap;
static NAMES: [&str; 3] = ["one", "two", "three"];
static STEPS: [fn(i32) -> i32; 2] = [double, |n| n + 1];
fn double(n: i32) -> i32 { n * 2 }
fn main() {
    let numbers: BTreeMap<_, _> = NAMES.iter().zip(1..).collect();
    let last = STEPS.iter().fold(20, |n, step| step(n));
    println!("{numbers:?} {last}");
    std::process::exit(last - 41 + numbers.len() as i32);
}
"#;

/// The program's linker arguments, and where its objects are.
fn program(options: &[&str]) -> (tempfile::TempDir, Vec<String>) {
    let (toolchain, target) = linkers::toolchain();
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("program.rs");
    std::fs::write(&source, PROGRAM).unwrap();
    let arguments = linkers::compile(&toolchain, &target, &source, options, folder.path());
    (folder, arguments)
}

fn ran(what: &str, module: &[u8]) {
    let outcome = engine::run(module);
    let expected = "{\"one\": 1, \"three\": 3, \"two\": 2} 41\n";
    assert_eq!(outcome.output, expected, "{what}");
    assert_eq!(outcome.end, ["_start: exit 3"], "{what}");
}

/// Everything that a Rust program is linked of, members of archives too, made one
/// object; twice over, since an object so made can be one of several again.
#[test]
fn a_program_made_one_object_runs() {
    let (toolchain, _) = linkers::toolchain();
    for options in [&["-Copt-level=1"][..], &["-g"]] {
        let (folder, arguments) = program(options);
        let folder = folder.path();
        // What makes a module run is for the last link.
        let (inputs, rest): (Vec<String>, Vec<String>) =
            arguments.iter().cloned().partition(|it| {
                !it.starts_with('-') && Path::new(it).extension().is_some_and(|it| it != "wasm")
            });
        let part = |inputs: &[String], name: &str| {
            let arguments = [&["-r".to_owned()], inputs].concat();
            let object = linkers::ours(folder, &arguments).module(name);
            linkers::validate(name, &object);
            std::fs::write(folder.join(name), object).unwrap();
        };
        part(&inputs, "all.o");
        part(&["all.o".into()], "again.o");
        let (objects, archives): (Vec<String>, Vec<String>) =
            inputs.iter().cloned().partition(|it| it.ends_with(".o"));
        part(&objects, "objects.o");
        let made = [&["objects.o".to_owned()][..], &archives].concat();
        for inputs in [&["all.o".to_owned()][..], &["again.o".to_owned()], &made] {
            let what = format!("{options:?} {:?}", inputs[0]);
            let mut arguments = inputs.to_vec();
            arguments.extend(rest.iter().filter(|it| *it != "--gc-sections").cloned());
            ran(&what, &linkers::ours(folder, &arguments).module(&what));
            ran(
                &what,
                &linkers::theirs(&toolchain, folder, &arguments).module(&what),
            );
        }
    }
}

/// A module's symbols and relocations.
#[derive(Default)]
struct Module<'m> {
    sections: Vec<(String, &'m [u8])>,
    symbols: Vec<SymbolInfo<'m>>,
    relocations: Vec<(usize, RelocationEntry)>,
    /// Per data segment: its address.
    segments: Vec<u32>,
    /// Per slot of the table: the function, from slot 1 on.
    table: Vec<u32>,
}

fn read(module: &[u8]) -> Module<'_> {
    let mut found = Module::default();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.unwrap();
        if let Some((id, range)) = payload.as_section() {
            let contents = &module[range.start as usize..range.end as usize];
            found.sections.push((id.to_string(), contents));
        }
        match payload {
            Payload::ElementSection(elements) => {
                for element in elements {
                    let ElementItems::Functions(functions) = element.unwrap().items else {
                        panic!("expressions");
                    };
                    found
                        .table
                        .extend(functions.into_iter().map(Result::unwrap));
                }
            }
            Payload::DataSection(segments) => {
                for segment in segments {
                    let wasmparser::DataKind::Active { offset_expr, .. } = segment.unwrap().kind
                    else {
                        panic!("passive");
                    };
                    let wasmparser::Operator::I32Const { value } =
                        offset_expr.get_operators_reader().read().unwrap()
                    else {
                        panic!("not a number");
                    };
                    found.segments.push(value as u32);
                }
            }
            Payload::CustomSection(section) => {
                let last = found.sections.last_mut().unwrap();
                *last = (section.name().to_owned(), section.data());
                match section.as_known() {
                    KnownCustom::Linking(linking) => {
                        for part in linking.subsections() {
                            if let Linking::SymbolTable(symbols) = part.unwrap() {
                                found.symbols = symbols.into_iter().map(Result::unwrap).collect();
                            }
                        }
                    }
                    KnownCustom::Reloc(relocations) => {
                        let section = relocations.section_index() as usize;
                        let mut last = 0;
                        for entry in relocations.entries() {
                            let entry = entry.unwrap();
                            assert!(entry.offset >= last, "not in order");
                            last = entry.offset;
                            found.relocations.push((section, entry));
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    found
}

impl Module<'_> {
    /// How often each section has a relocation of each type and symbol.
    fn counts(&self) -> BTreeMap<(String, String, String), usize> {
        let mut counts = BTreeMap::new();
        for (section, entry) in &self.relocations {
            let name = match self.symbols.get(entry.index as usize) {
                _ if entry.ty == RelocationType::TypeIndexLeb => "",
                // Of several symbols for one import, wasm-ld keeps one.
                Some(SymbolInfo::Func { flags, .. }) if flags.contains(SymbolFlags::UNDEFINED) => {
                    "an import"
                }
                Some(
                    SymbolInfo::Func { name, .. }
                    | SymbolInfo::Global { name, .. }
                    | SymbolInfo::Table { name, .. },
                ) => name.unwrap_or_default(),
                Some(SymbolInfo::Data { name, .. }) => name,
                other => panic!("{other:?}"),
            };
            let section = self.sections[*section].0.clone();
            let key = (section, format!("{:?}", entry.ty), name.to_owned());
            *counts.entry(key).or_default() += 1;
        }
        counts
    }

    /// Compares what stands where a relocation applies with what its symbol is.
    fn check(&self, section: usize, entry: &RelocationEntry) {
        use RelocationType::*;
        let bytes = &self.sections[section].1[entry.relocation_range().unwrap()];
        let mut reader = BinaryReader::new(bytes, 0);
        let there = match entry.ty {
            MemoryAddrI32 | TableIndexI32 => u32::from_le_bytes(bytes.try_into().unwrap()),
            MemoryAddrSleb | MemoryAddrRelSleb | TableIndexSleb => {
                reader.read_var_i32().unwrap() as u32
            }
            _ => reader.read_var_u32().unwrap(),
        };
        let symbol = self.symbols[entry.index as usize];
        let expected = match (entry.ty, symbol) {
            (TypeIndexLeb, _) => entry.index,
            // A global with the address, which the linker adds and no symbol names.
            (GlobalIndexLeb, SymbolInfo::Data { .. }) => return,
            (FunctionIndexLeb, SymbolInfo::Func { index, .. })
            | (GlobalIndexLeb, SymbolInfo::Global { index, .. })
            | (TableNumberLeb, SymbolInfo::Table { index, .. }) => index,
            (TableIndexI32 | TableIndexSleb, SymbolInfo::Func { index, .. }) => {
                let slot = self.table.iter().position(|&it| it == index);
                slot.expect("a slot") as u32 + 1
            }
            (
                MemoryAddrI32 | MemoryAddrLeb | MemoryAddrSleb | MemoryAddrRelSleb,
                SymbolInfo::Data {
                    symbol: Some(DefinedDataSymbol { index, offset, .. }),
                    flags,
                    ..
                },
            ) => {
                let is_absolute = flags.contains(SymbolFlags::ABSOLUTE);
                let base = if is_absolute {
                    0
                } else {
                    self.segments[index as usize]
                };
                (base + offset).wrapping_add(entry.addend as u32)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(there, expected, "{entry:?} of {symbol:?}");
    }
}

/// As dioxus' and leptos' tools for splitting modules read them.
#[test]
fn emitted_relocations_are_true_and_those_of_wasm_ld() {
    let (toolchain, _) = linkers::toolchain();
    let (folder, mut arguments) = program(&["-Copt-level=1", "-Cstrip=debuginfo"]);
    arguments.push("--emit-relocs".into());
    let ours = linkers::ours(folder.path(), &arguments).module("ours");
    ran("ours", &ours);
    let theirs = linkers::theirs(&toolchain, folder.path(), &arguments).module("theirs");
    let (ours, theirs) = (read(&ours), read(&theirs));
    assert!(ours.relocations.len() > 1000, "{}", ours.relocations.len());
    for (section, entry) in &ours.relocations {
        ours.check(*section, entry);
    }
    let (ours, theirs) = (ours.counts(), theirs.counts());
    for key in ours.keys().chain(theirs.keys()) {
        assert_eq!(ours.get(key), theirs.get(key), "{key:?}");
    }
}
