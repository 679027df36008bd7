//! A guest with crates from the registry, linked by genkan and by rust-lld: by
//! the recorded command, and with genkan as cargo's linker.

mod linkers;

use std::path::Path;
use std::process::Command;

use genkan::toolchain::{self, Toolchain};
use linkers::Size;

/// cargo in the guest's folder, with its target folder among the tests' own.
fn cargo(toolchain: &Toolchain, folder: &Path) -> Command {
    let mut cargo = toolchain::command(&toolchain.rustc.with_file_name("cargo"));
    cargo
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diff_rust/crates"))
        .env("RUSTC", &toolchain.rustc)
        .env("CARGO_TARGET_DIR", folder);
    cargo
}

/// Gets the crates, if they are not here yet: for that, it takes a network.
fn fetch(toolchain: &Toolchain, folder: &Path) {
    let mut fetch = cargo(toolchain, folder);
    fetch.args(["fetch", "--locked", "--quiet"]);
    toolchain::output(&mut fetch).expect("the crates are here, or a network is");
}

#[test]
fn a_guest_with_crates_does_the_same() {
    let (toolchain, target) = linkers::toolchain();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crates");
    fetch(&toolchain, &folder);
    for profile in ["release", "dev"] {
        let what = format!("crates ({profile})");
        let objects = tempfile::tempdir().unwrap();
        // A fresh one would not run rustc, and only rustc says how it links.
        let mut clean = cargo(&toolchain, &folder);
        clean.args([
            "clean",
            "--quiet",
            "--package=crates",
            "--target",
            &target,
            "--profile",
            profile,
        ]);
        toolchain::output(&mut clean).unwrap();
        let mut rustc = cargo(&toolchain, &folder);
        rustc
            .args([
                "rustc",
                "--locked",
                "--quiet",
                "--target",
                &target,
                "--profile",
                profile,
                "--",
            ])
            .args(["-Csave-temps", "--print=link-args"]);
        let mut arguments = linkers::link_arguments(&toolchain::output(&mut rustc).unwrap());
        let theirs = linkers::theirs(&toolchain, objects.path(), &arguments).module(&what);
        let ours = linkers::ours(objects.path(), &arguments).module(&what);
        linkers::assert_alike(&what, &ours, &theirs, Size::Free);
        arguments.push("--strip-all".into());
        let theirs = linkers::theirs(&toolchain, objects.path(), &arguments).module(&what);
        let ours = linkers::ours(objects.path(), &arguments).module(&what);
        linkers::assert_alike(&what, &ours, &theirs, Size::Compared);
        linkers::assert_same(&what, &toolchain, objects.path(), &arguments);
    }
}

/// What a user does: `wasm-ld` on the path of `linker`, nothing else changed.
#[cfg(unix)]
#[test]
fn cargo_links_with_genkan() {
    let (toolchain, target) = linkers::toolchain();
    let folder = tempfile::tempdir().unwrap();
    fetch(&toolchain, folder.path());
    let linker = folder.path().join("wasm-ld");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_xtask"), &linker).unwrap();
    let variable = format!(
        "CARGO_TARGET_{}_LINKER",
        target.replace('-', "_").to_uppercase()
    );
    let mut build = cargo(&toolchain, folder.path());
    build
        .args(["build", "--locked", "--quiet", "--target", &target])
        .env(variable, &linker);
    toolchain::output(&mut build).unwrap();
    let module = folder.path().join(&target).join("debug/crates.wasm");
    let module = std::fs::read(module).unwrap();
    linkers::validate("crates", &module);
    let outcome = linkers::engine::run(&module);
    assert_eq!(outcome.end, ["_start: "]);
    assert!(outcome.output.contains("shōji 30"), "{}", outcome.output);
}
