//! `build --target wasm32-wasip2` makes components, of a source and of a package; and
//! where this linker is called in place of wasm-component-ld, it says what to do.

mod linkers;

use std::path::Path;
use std::process::{Command, Output};

use wasmparser::{Parser, Payload};

const PROGRAM: &str = "fn main() { println!(\"sum {}\", (1..=10).sum::<u32>()); }\n";
const TARGET: &str = "wasm32-wasip2";

/// A folder with `program.rs`, and the package `app` of the same source.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("program.rs", PROGRAM);
    write("app/src/main.rs", PROGRAM);
    write(
        "app/Cargo.toml",
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n",
    );
    folder
}

fn build(folder: &Path, guest: &str, options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["build-guest", guest, "--target", TARGET, "-o", "out.wasm"])
        .args(options)
        .current_dir(folder)
        .output()
        .unwrap()
}

/// The interfaces that a component exports; it must be valid, and be one.
fn exports(component: &[u8]) -> Vec<String> {
    assert!(Parser::is_component(component));
    linkers::validate("component", component);
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        if let Payload::ComponentExportSection(exports) = payload.unwrap() {
            names.extend(
                exports
                    .into_iter()
                    .map(|it| it.unwrap().name.name.to_owned()),
            );
        }
    }
    names
}

#[test]
#[cfg_attr(not(has_wasm32_wasip2), ignore = "rustup target add wasm32-wasip2")]
fn a_source_and_a_package_become_components() {
    let folder = folder();
    let folder = folder.path();
    for guest in ["program.rs", "app"] {
        for options in [&[][..], &["--strip"], &["--debug"]] {
            let output = build(folder, guest, options);
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{guest} {options:?}: {stderr}");
            let component = std::fs::read(folder.join("out.wasm")).unwrap();
            let exports = exports(&component);
            assert!(
                exports
                    .iter()
                    .any(|name| name.starts_with("wasi:cli/run@0.2")),
                "{guest} {options:?}: {exports:?}"
            );
        }
    }
    let output = build(folder, "program.rs", &[]);
    assert!(output.status.success());
    let first = std::fs::read(folder.join("out.wasm")).unwrap();
    let elsewhere = self::folder();
    assert!(build(elsewhere.path(), "program.rs", &[]).status.success());
    let second = std::fs::read(elsewhere.path().join("out.wasm")).unwrap();
    assert!(first == second, "two folders, two components");
}

#[test]
#[cfg_attr(not(has_wasm32_wasip2), ignore = "rustup target add wasm32-wasip2")]
fn what_a_component_does_not_have_is_refused() {
    let folder = folder();
    for guest in ["program.rs", "app"] {
        for options in [&["--import", "f"][..], &["--panic", "report"]] {
            let output = build(folder.path(), guest, options);
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                output.status.code(),
                Some(1),
                "{guest} {options:?}: {stderr}"
            );
            assert!(stderr.contains("makes a component"), "{stderr}");
        }
    }
}

/// Not a module in silence, where a component was asked for.
#[test]
#[cfg_attr(not(has_wasm32_wasip2), ignore = "rustup target add wasm32-wasip2")]
fn the_wrong_linker_setting_is_told() {
    let (toolchain, _) = linkers::toolchain();
    let folder = folder();
    // Under another name than wasm-component-ld.
    let linker = folder.path().join("genkan-ld");
    std::fs::copy(env!("CARGO_BIN_EXE_xtask"), &linker).unwrap();
    let compile = |option: String| {
        let mut rustc = genkan::toolchain::command(&toolchain.rustc);
        rustc.args(["--target", TARGET, "-C", &option, "program.rs"]);
        rustc.current_dir(folder.path()).output().unwrap()
    };
    let output = compile(format!("linker={}", linker.display()));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for text in [
        "wasm32-wasip2 wants a component",
        "rustflags = [\"-Clink-arg=--wasm-ld-path=genkan-ld\"]",
    ] {
        assert!(stderr.contains(text), "{text} is not in:\n{stderr}");
    }
    assert!(!folder.path().join("program.wasm").exists());
    // What it says to do, helps.
    let output = compile(format!("link-arg=--wasm-ld-path={}", linker.display()));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    exports(&std::fs::read(folder.path().join("program.wasm")).unwrap());
}
