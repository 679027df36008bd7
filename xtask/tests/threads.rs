//! A program of several threads, linked by genkan and by rust-lld: both do the
//! same in node, where each thread is an instance of its own that shares the
//! memory.

mod linkers;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use wasmparser::{Parser, Payload, TypeRef};

const TARGET: &str = "wasm32-wasip1-threads";

const EXPECTED: &str = "\
mutex 6000 own [0, 1, 2, 3] main's 100
copied once 44 6
mpsc [0, 10, 20]
scope [2, 4, 6]
";

/// The size of the memory that a module imports: first and largest, in pages.
fn memory(module: &[u8]) -> (u64, u64) {
    for payload in Parser::new(0).parse_all(module) {
        let Payload::ImportSection(imports) = payload.unwrap() else {
            continue;
        };
        for import in imports.into_imports() {
            if let TypeRef::Memory(memory) = import.unwrap().ty {
                assert!(memory.shared);
                return (memory.initial, memory.maximum.unwrap());
            }
        }
    }
    panic!("no memory is imported");
}

/// A program whose threads wait for each other in vain is stopped.
const LIMIT: Duration = Duration::from_secs(60);

/// What the program prints.
fn run(folder: &Path, name: &str, module: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, module).unwrap();
    let (initial, maximum) = memory(module);
    let printed = folder.join("printed");
    let mut node = Command::new("node")
        .arg("--no-warnings")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/threads/node.mjs"))
        .arg(path)
        .args([initial.to_string(), maximum.to_string()])
        .stdout(std::fs::File::create(&printed).unwrap())
        .spawn()
        .unwrap();
    let since = Instant::now();
    let status = loop {
        match node.try_wait().unwrap() {
            Some(status) => break status,
            None if since.elapsed() > LIMIT => {
                node.kill().unwrap();
                break node.wait().unwrap();
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let printed = std::fs::read_to_string(printed).unwrap();
    assert!(status.success(), "{name}: {status} after\n{printed}");
    printed
}

#[test]
#[cfg_attr(not(has_node), ignore = "node is not installed")]
#[cfg_attr(
    not(has_wasip1_threads),
    ignore = "the std of wasm32-wasip1-threads is not installed"
)]
fn a_program_of_threads_does_the_same() {
    let (toolchain, _) = linkers::toolchain();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/threads/program.rs");
    for options in [
        &["-Copt-level=0"][..],
        &["-Copt-level=2", "-Cstrip=symbols"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let options = [options, &["--edition=2024"]].concat();
        let arguments = linkers::compile(&toolchain, TARGET, source.as_ref(), &options, folder);
        let what = format!("threads {options:?}");
        let ours = linkers::ours(folder, &arguments).module(&what);
        let theirs = linkers::theirs(&toolchain, folder, &arguments).module(&what);
        linkers::validate(&what, &ours);
        assert_eq!(
            linkers::interface(&ours),
            linkers::interface(&theirs),
            "{what}"
        );
        assert_eq!(
            run(folder, "theirs.wasm", &theirs),
            EXPECTED,
            "{what}: rust-lld"
        );
        assert_eq!(run(folder, "ours.wasm", &ours), EXPECTED, "{what}: genkan");
        assert!(
            ours.len() <= theirs.len(),
            "{what}: {} > {}",
            ours.len(),
            theirs.len()
        );
    }
}

/// `build-guest` links for threads by itself, as rustc would.
#[test]
fn build_guest_links_threads() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("threads.rs");
    let program = "fn main() { println!(\"{}\", std::thread::spawn(|| 42).join().unwrap()); }";
    std::fs::write(&source, program).unwrap();
    let module = folder.path().join("threads.wasm");
    let built = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["build-guest", "--target", TARGET, "-o"])
        .args([&module, &source])
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    let module = std::fs::read(module).unwrap();
    assert_eq!(run(folder.path(), "run.wasm", &module), "42\n");
}
