//! What the differential tests share: both linkers, an engine, and what is
//! compared. The oracle is the rust-lld of the toolchain that compiled the guest.

// Each test crate uses its part.
#![allow(dead_code)]

pub mod engine;
#[path = "../../link/tests/forge/mod.rs"]
pub mod forge;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use genkan::toolchain::{self, Toolchain};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use xtask::bench_link::inputs;

/// How one linker's run ended.
pub struct Ran {
    /// The module, if there is one.
    pub module: Option<Vec<u8>>,
    /// What it said.
    pub stderr: String,
}

impl Ran {
    /// The module of a link that must succeed.
    pub fn module(self, what: &str) -> Vec<u8> {
        self.module
            .unwrap_or_else(|| panic!("{what}: no module:\n{}", self.stderr))
    }
}

/// Runs genkan's linker, as a process of its own.
pub fn ours(folder: &Path, arguments: &[String]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("link");
    run(command, folder, arguments, "ours")
}

/// Runs the toolchain's rust-lld, which does not know of folding.
pub fn theirs(toolchain: &Toolchain, folder: &Path, arguments: &[String]) -> Ran {
    let arguments = arguments.iter().filter(|it| !it.starts_with("--icf="));
    let arguments: Vec<String> = arguments.cloned().collect();
    run(rust_lld(toolchain), folder, &arguments, "theirs")
}

/// The toolchain's rust-lld, in its WebAssembly flavor.
pub fn rust_lld(toolchain: &Toolchain) -> Command {
    let rustlib = toolchain.sysroot.join("lib/rustlib");
    let host = rustlib
        .read_dir()
        .unwrap()
        .flatten()
        .map(|entry| entry.path().join("bin/rust-lld"));
    let program = host
        .into_iter()
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("{} has no rust-lld", toolchain.origin));
    let mut command = toolchain::command(&program);
    // Old ones do not find their own LLVM.
    command.env("LD_LIBRARY_PATH", toolchain.sysroot.join("lib"));
    command.args(["-flavor", "wasm"]);
    command
}

fn run(mut command: Command, folder: &Path, arguments: &[String], output: &str) -> Ran {
    // The module's name in its name section is the file's.
    let folder_of_output = folder.join(output);
    std::fs::create_dir_all(&folder_of_output).unwrap();
    let output = folder_of_output.join("module.wasm");
    let _ = std::fs::remove_file(&output);
    command
        .args(arguments)
        .arg("-o")
        .arg(&output)
        .current_dir(folder);
    let result = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&result.stderr).into_owned();
    let module = std::fs::read(&output).ok();
    assert!(
        !stderr.contains("panicked at"),
        "{}:\n{stderr}",
        toolchain::display(&command)
    );
    if output.extension().is_some() && command.get_program() == env!("CARGO_BIN_EXE_xtask") {
        let code = result.status.code();
        let expected = if module.is_some() { 0 } else { 1 };
        assert_eq!(
            code,
            Some(expected),
            "{}:\n{stderr}",
            toolchain::display(&command)
        );
    }
    Ran { module, stderr }
}

/// The toolchain to test with, the active one if it has a WASI target, and that.
pub fn toolchain() -> (Toolchain, String) {
    let found = toolchain::all().iter().find_map(wasi);
    found.expect("no rustc with wasm32-wasip1: rustup target add wasm32-wasip1")
}

/// Rust 1.63. Tests that want it are ignored where it is not (`has_rustc_1_63`).
pub fn old_toolchain() -> (Toolchain, String) {
    let all = toolchain::all();
    let is_old = |it: &&Toolchain| it.sysroot.to_string_lossy().contains("/1.63");
    all.iter().find(is_old).and_then(wasi).unwrap()
}

fn wasi(toolchain: &Toolchain) -> Option<(Toolchain, String)> {
    let mut targets = toolchain.targets.iter();
    let target = targets.find(|target| target.starts_with("wasm32-wasi"))?;
    Some((toolchain.clone(), target.clone()))
}

/// The linker's arguments, in a text that rustc printed for `--print link-args`;
/// without `-o` and its value.
pub fn link_arguments(printed: &str) -> Vec<String> {
    inputs::link_arguments(printed).unwrap_or_else(|error| panic!("{error:#}"))
}

/// Compiles `source` and returns the linker's arguments. The objects stay in
/// `folder`.
pub fn compile(
    toolchain: &Toolchain,
    target: &str,
    source: &Path,
    options: &[&str],
    folder: &Path,
) -> Vec<String> {
    let mut command = toolchain::command(&toolchain.rustc);
    command
        .args([
            "--target",
            target,
            "-Csave-temps",
            "--print=link-args",
            "-Awarnings",
        ])
        .args(options)
        .arg("--out-dir")
        .arg(folder)
        .arg(source)
        .env("TMPDIR", folder)
        .env("LD_LIBRARY_PATH", toolchain.sysroot.join("lib"));
    link_arguments(&toolchain::output(&mut command).unwrap())
}

/// Which differences between the two modules are allowed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Ours is not larger.
    Compared,
    /// Any.
    Free,
}

/// Asserts that two modules import and export the same, and do the same.
pub fn assert_alike(what: &str, ours: &[u8], theirs: &[u8], size: Size) {
    validate(what, ours);
    assert_eq!(
        interface(ours),
        interface(theirs),
        "{what}: imports and exports"
    );
    let (we_did, they_did) = (engine::run(ours), engine::run(theirs));
    assert_eq!(we_did, they_did, "{what}: results");
    if size == Size::Compared {
        assert!(
            ours.len() <= theirs.len(),
            "{what}: {} bytes, wasm-ld's has {}",
            ours.len(),
            theirs.len()
        );
    }
}

/// Links with both, and asserts that our module is wasm-ld's, section by section and
/// byte by byte, where nothing is folded.
pub fn assert_same(what: &str, toolchain: &Toolchain, folder: &Path, arguments: &[String]) {
    // Until LLD 23, theirs has a stack pointer that no code uses: here, both do.
    let both = format!("--export-if-defined={STACK_POINTER}");
    // It warns of what rustc adds to archives, too.
    let lenient = ["--no-check-features", "--no-fatal-warnings"].map(str::to_owned);
    let plain = arguments.iter().filter(|it| !it.starts_with("--icf="));
    let plain: Vec<String> = plain.cloned().collect();
    let arguments = [&plain[..], &[both], &lenient].concat();
    let theirs = theirs(toolchain, folder, &arguments).module(what);
    let ours = ours(folder, &arguments).module(what);
    let (ours, theirs) = (contents(&ours), contents(&theirs));
    let names = |sections: &[(String, Vec<u8>)]| -> Vec<String> {
        sections.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&ours), names(&theirs), "{what}: sections");
    for ((name, ours), (_, theirs)) in ours.iter().zip(&theirs) {
        if ours == theirs {
            continue;
        }
        let common = ours
            .iter()
            .zip(theirs)
            .take_while(|(one, other)| one == other);
        let at = common.count();
        let near = |bytes: &[u8]| {
            let from = at.saturating_sub(24);
            bytes[from..bytes.len().min(at + 24)]
                .escape_ascii()
                .to_string()
        };
        panic!(
            "{what}: section {name} has {} bytes, wasm-ld's {}; they differ from {at} on:\n{}\n{}",
            ours.len(),
            theirs.len(),
            near(ours),
            near(theirs),
        );
    }
}

/// The global that the linker defines in every module.
const STACK_POINTER: &str = "__stack_pointer";

/// The sections of a module: name or number, and contents.
fn contents(module: &[u8]) -> Vec<(String, Vec<u8>)> {
    let payloads = Parser::new(0).parse_all(module).map(Result::unwrap);
    payloads
        .filter_map(|payload| {
            let (id, range) = payload.as_section()?;
            let name = match &payload {
                Payload::CustomSection(section) => section.name().to_owned(),
                _ => id.to_string(),
            };
            let range = range.start as usize..range.end as usize;
            Some((name, module[range].to_vec()))
        })
        .collect()
}

/// Panics unless `module` is valid.
pub fn validate(what: &str, module: &[u8]) {
    if let Err(error) = Validator::new_with_features(WasmFeatures::all()).validate_all(module) {
        panic!("{what}: invalid module: {error}");
    }
}

/// Imports and exports with their types, as text.
pub fn interface(module: &[u8]) -> BTreeSet<String> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let types = validator.validate_all(module).unwrap();
    let types = types.as_ref();
    let mut interface = BTreeSet::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload.unwrap() {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.unwrap();
                    let of = match types.entity_type_from_import(&import).unwrap() {
                        // How large it must be at least is up to the linker.
                        wasmparser::types::EntityType::Memory(_) => "memory".into(),
                        of => entity(types, of),
                    };
                    interface.insert(format!("import {}.{}: {of}", import.module, import.name));
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export.unwrap();
                    let of = match types.entity_type_from_export(&export).unwrap() {
                        wasmparser::types::EntityType::Memory(_) => "memory".into(),
                        wasmparser::types::EntityType::Table(_) => "table".into(),
                        of => entity(types, of),
                    };
                    interface.insert(format!("export {}: {of}", export.name));
                }
            }
            _ => {}
        }
    }
    interface
}

fn entity(types: wasmparser::types::TypesRef<'_>, of: wasmparser::types::EntityType) -> String {
    match of {
        wasmparser::types::EntityType::Func(id) | wasmparser::types::EntityType::FuncExact(id) => {
            let of = types[id].unwrap_func();
            format!("func {:?} -> {:?}", of.params(), of.results())
        }
        wasmparser::types::EntityType::Tag(id) => {
            format!("tag {:?}", types[id].unwrap_func().params())
        }
        other => format!("{other:?}"),
    }
}

/// The limits of memories and tables, whether imported or not.
pub fn limits(module: &[u8]) -> Vec<String> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let types = validator.validate_all(module).unwrap();
    let types = types.as_ref();
    let memories = (0..types.memory_count()).map(|index| format!("{:?}", types.memory_at(index)));
    let tables = (0..types.table_count()).map(|index| format!("{:?}", types.table_at(index)));
    memories.chain(tables).collect()
}

/// The sections of `module`: name (custom ones) or number, and size.
pub fn sections(module: &[u8]) -> Vec<(String, usize)> {
    let sections = contents(module).into_iter();
    sections.map(|(name, bytes)| (name, bytes.len())).collect()
}

/// The files in `folder` (below this test's own), by extension, sorted.
pub fn cases(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(folder);
    let entries = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}
