//! The fixtures as they lie there: what they do in wasmi and in node, and what
//! must not be in them.

mod second_engine;

use std::path::{Path, PathBuf};
use std::process::Command;

use second_engine::Guest;
use xtask::fixtures::{Entry, entries, module};
use xtask::repository::Checkout;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// Every file that a compiler and the linker made.
fn artifacts() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for compiler in folder().read_dir().unwrap().flatten() {
        if compiler.path().is_dir() {
            let inner = compiler.path().read_dir().unwrap().flatten();
            files.extend(inner.map(|file| file.path()));
        }
    }
    files.sort();
    assert!(files.len() > 60, "there are only {} artifacts", files.len());
    files
}

#[test]
fn they_do_in_wasmi_what_the_table_says() {
    for entry in entries(&Checkout::find()).unwrap() {
        assert!(!entry.calls.is_empty(), "{} is never called", entry.name);
        for compiler in entry.compilers() {
            println!("{} by {compiler}", entry.name);
            let wasm = std::fs::read(module(&Checkout::find(), &entry.name, &compiler)).unwrap();
            let mut guest = Guest::new(&wasm);
            for call in &entry.calls {
                guest.check(call);
            }
        }
    }
}

#[test]
#[cfg_attr(not(has_node), ignore = "node is not installed")]
fn they_do_in_node_what_the_table_says() {
    let output = Command::new("node")
        .arg("--no-warnings")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/second_engine/node.mjs"))
        .arg(folder())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    let calls = |entry: &Entry| entry.calls.len() * entry.compilers().len();
    let calls: usize = entries(&Checkout::find()).unwrap().iter().map(calls).sum();
    assert_eq!(text.trim(), calls.to_string());
}

#[test]
fn no_path_user_or_machine_is_in_them() {
    let home = std::env::var("HOME").unwrap_or_default();
    let workspace = folder().canonicalize().unwrap();
    let workspace = workspace.parent().unwrap().display().to_string();
    let needles = [
        home.as_str(),
        &workspace,
        "/home/",
        "/root/",
        "/Users/",
        "/tmp/",
        ".cargo",
        ".rustup",
    ];
    let needles: Vec<&str> = needles.into_iter().filter(|text| text.len() > 3).collect();
    let mut files = artifacts();
    files.push(folder().join("manifest.json"));
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        for needle in &needles {
            let found = bytes
                .windows(needle.len())
                .any(|window| window == needle.as_bytes());
            assert!(!found, "{} is in {}", needle, path.display());
        }
    }
}

/// An object that comes from elsewhere is what its compiler makes of the source.
#[test]
#[cfg_attr(
    not(has_clang_of_fixtures),
    ignore = "the clang that made guest/examples/c_list.o is not installed"
)]
fn objects_of_c_are_what_clang_makes() {
    let examples = folder().join("../guest/examples");
    for entry in entries(&Checkout::find()).unwrap() {
        let Some(command) = &entry.object else {
            continue;
        };
        let mut words = command.split(' ');
        let place = tempfile::tempdir().unwrap();
        let source = format!("{}.c", entry.name);
        std::fs::copy(examples.join(&source), place.path().join(&source)).unwrap();
        let mut clang = Command::new(words.next().unwrap());
        let output = clang.args(words).current_dir(&place).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let object = format!("{}.o", entry.name);
        let made = std::fs::read(place.path().join(&object)).unwrap();
        let kept = std::fs::read(examples.join(&object)).unwrap();
        assert!(made == kept, "{object} is not what `{command}` makes");
    }
}

/// The memo's author had `wasm2wat`, an export line added with sed, and
/// `wat2wasm`; the golden is the text in between.
#[test]
fn the_memos_module_is_that_of_its_author() {
    let golden = include_str!("golden/memo.wat");
    let expected = wat::parse_str(golden).unwrap();
    assert_eq!(expected.len(), 87);
    let ours = std::fs::read(folder().join("rustc-1.63.0/memo.wasm")).unwrap();
    assert_eq!(ours, expected, "{}", genkan::wat::print(&ours).unwrap());
}
