//! Looks for the tools that some tests need, and that not every machine has. A test
//! that lacks one is ignored, and shows why; cargo's harness decides that when it is
//! built.

use std::path::{Path, PathBuf};
use std::process::Command;

#[allow(dead_code, reason = "the package needs more of it")]
#[path = "src/clang.rs"]
mod clang;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/clang.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    // Tools come and go.
    for place in ["/usr/bin", "/usr/local/bin", "/usr/lib/wasm32-wasi"] {
        println!("cargo::rerun-if-changed={place}");
    }
    let rustup = rustup_home();
    println!(
        "cargo::rerun-if-changed={}",
        rustup.join("update-hashes").display()
    );

    for target in TARGETS {
        let name = format!("has_{}", target.replace('-', "_"));
        println!("cargo::rustc-check-cfg=cfg({name})");
        if has_target(target) {
            println!("cargo::rustc-cfg={name}");
        }
    }
    let clang = clang::newest().ok();
    let libc = clang.as_deref().and_then(clang::wasi_libc);
    let node = Command::new("node").arg("--version").output();
    for (name, is_there) in [
        ("has_clang", clang.is_some()),
        ("has_wasi_libc", libc.is_some()),
        ("has_node", node.is_ok_and(|output| output.status.success())),
        ("has_chromium", is_on_path("chromium")),
        ("has_clang_of_fixtures", has_clang_of_fixtures()),
        ("has_rustc_1_63", has_rustc_1_63(&rustup)),
        ("has_wasip1_threads", has_wasip1_threads()),
    ] {
        println!("cargo::rustc-check-cfg=cfg({name})");
        if is_there {
            println!("cargo::rustc-cfg={name}");
        }
    }
}

/// Targets that `cargo` links for, in tests.
const TARGETS: [&str; 4] = [
    "wasm32-wasip1",
    "wasm32-wasip2",
    "wasm32-unknown-unknown",
    "wasm32v1-none",
];

/// Whether the toolchain that builds this has the std, or core, of `target`.
fn has_target(target: &str) -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let output = Command::new(rustc).args(["--print", "sysroot"]).output();
    let Ok(output) = output else { return false };
    let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let rustlib = sysroot.join("lib/rustlib");
    // rustup writes it at each change.
    println!(
        "cargo::rerun-if-changed={}",
        rustlib.join("components").display()
    );
    rustlib.join(target).join("lib").is_dir()
}

fn is_on_path(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

/// The very clang whose version stands in the object of the example in C.
fn has_clang_of_fixtures() -> bool {
    const OBJECT: &str = "../guest/examples/c_list.o";
    println!("cargo::rerun-if-changed={OBJECT}");
    let Ok(output) = Command::new("clang-22").arg("--version").output() else {
        return false;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text
        .lines()
        .next()
        .and_then(|line| line.split("version ").nth(1));
    let object = std::fs::read(OBJECT).unwrap_or_default();
    version.is_some_and(|version| {
        let version = version.trim().as_bytes();
        object.windows(version.len()).any(|bytes| bytes == version)
    })
}

/// The std of wasm32-wasip1-threads, for the rustc that builds this.
fn has_wasip1_threads() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let folder = Command::new(rustc)
        .args(["--print=target-libdir", "--target=wasm32-wasip1-threads"])
        .output();
    folder.is_ok_and(|output| {
        let folder = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success() && Path::new(folder.trim()).is_dir()
    })
}

/// Rust 1.63 with its WASI target.
fn has_rustc_1_63(rustup: &Path) -> bool {
    let toolchains = rustup.join("toolchains").read_dir().into_iter().flatten();
    toolchains.flatten().any(|entry| {
        let is_it = entry.file_name().to_string_lossy().starts_with("1.63");
        is_it && entry.path().join("lib/rustlib/wasm32-wasi/lib").is_dir()
    })
}

fn rustup_home() -> PathBuf {
    match std::env::var_os("RUSTUP_HOME") {
        Some(home) => home.into(),
        None => std::env::home_dir().unwrap_or_default().join(".rustup"),
    }
}
