//! Exceptions of C++ and unwinding of Rust, in the older encoding (`try`, `catch`) and
//! the newer (`try_table`, `exnref`): the linker merges the tags that objects define,
//! and modules do in node what rust-lld's do.

mod linkers;

use std::path::{Path, PathBuf};
use std::process::Command;

use genkan::toolchain::{self, Toolchain};
use xtask::clang;

/// What `test` returns for 1, where nothing is thrown, and for 5: destructors run in
/// their order.
const EXPECTED: &str = "290002 691006";

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exceptions")
}

/// Links `objects` by both linkers; runs the modules where node knows the encoding.
fn check(what: &str, toolchain: &Toolchain, folder: &Path, objects: &[&str], runs: bool) {
    let options = [
        "--no-entry",
        "--export=test",
        "--export-if-defined=__cpp_exception",
    ];
    let arguments: Vec<String> = [objects, &options]
        .concat()
        .iter()
        .map(|&it| it.to_owned())
        .collect();
    let ours = linkers::ours(folder, &arguments).module(what);
    let theirs = linkers::theirs(toolchain, folder, &arguments).module(what);
    linkers::validate(what, &ours);
    assert_eq!(
        linkers::interface(&ours),
        linkers::interface(&theirs),
        "{what}"
    );
    for module in [&ours, &theirs].into_iter().filter(|_| runs) {
        let path = folder.join("module.wasm");
        std::fs::write(&path, module).unwrap();
        let mut node = Command::new("node");
        let printed = toolchain::output(node.arg(sources().join("node.mjs")).arg(path)).unwrap();
        assert_eq!(printed.trim(), EXPECTED, "{what}");
    }
    // One object of all keeps them.
    let whole = [&["-r".to_owned()], &arguments[..objects.len()]].concat();
    let whole = linkers::ours(folder, &whole).module(what);
    std::fs::write(folder.join("whole.o"), whole).unwrap();
    let again = [&["whole.o".to_owned()], &arguments[objects.len()..]].concat();
    let again = linkers::ours(folder, &again).module(what);
    assert_eq!(
        linkers::interface(&again),
        linkers::interface(&theirs),
        "{what} -r"
    );
}

#[test]
#[cfg_attr(
    not(all(has_clang, has_node)),
    ignore = "clang 16 or newer and node are not both installed"
)]
fn exceptions_of_cpp_are_caught() {
    let (toolchain, _) = linkers::toolchain();
    let folder = tempfile::tempdir().unwrap();
    // LLVM 19 had another name for it.
    let newer = ["-wasm-use-legacy-eh=0", "-wasm-enable-exnref"];
    for (what, options, runs) in [
        ("C++, older", &[""][..], true),
        ("C++, newer", &newer, false),
    ] {
        for name in ["thrower.cpp", "catcher.cpp", "runtime.cpp", "tag.s"] {
            let compiled = options.iter().find_map(|option| {
                let mut command = Command::new(clang::newest().unwrap());
                command
                    .args([
                        "--target=wasm32-unknown-unknown",
                        "-fwasm-exceptions",
                        "-O1",
                    ])
                    .args(["-mllvm", option].iter().filter(|_| !option.is_empty()))
                    .arg("-c")
                    .arg(sources().join(name))
                    .current_dir(&folder);
                toolchain::output(&mut command).ok()
            });
            compiled.unwrap_or_else(|| panic!("{what}: {name} does not compile"));
        }
        let objects = ["catcher.o", "thrower.o", "runtime.o", "tag.o"];
        check(what, &toolchain, folder.path(), &objects, runs);
    }
}

#[test]
#[cfg_attr(
    not(all(has_node, has_wasm32_unknown_unknown)),
    ignore = "node is not installed, or: rustup target add wasm32-unknown-unknown"
)]
fn unwinding_of_rust_runs_destructors() {
    let (toolchain, _) = linkers::toolchain();
    let folder = tempfile::tempdir().unwrap();
    for legacy in [true, false] {
        let mut command = toolchain::command(&toolchain.rustc);
        command
            .args(["--target=wasm32-unknown-unknown", "--edition=2021"])
            .args([
                "--crate-type=lib",
                "--emit=obj",
                "-Copt-level=1",
                "-Awarnings",
            ])
            .args(["-Cpanic=unwind", "-Ctarget-feature=+exception-handling"])
            .arg(format!("-Cllvm-args=-wasm-use-legacy-eh={legacy}"))
            .arg(sources().join("unwind.rs"))
            .args(["-o", "unwind.o"])
            .current_dir(&folder)
            // Unwinding is for nightly compilers, still.
            .env("RUSTC_BOOTSTRAP", "1");
        toolchain::output(&mut command).unwrap();
        let what = format!("Rust, {}", if legacy { "older" } else { "newer" });
        check(&what, &toolchain, folder.path(), &["unwind.o"], legacy);
    }
}
