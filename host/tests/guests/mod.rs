//! Guests for tests: built by genkan itself, or from text.

#![allow(dead_code, reason = "no test uses all of it")]

use genkan::build_guest::{self, LinkSettings, Memory, PanicMode, Request};
use genkan::compile::Settings;
use genkan::shell::Shell;
use genkan::toolchain;
use genkan_host::{Engine, Error, Guest, Module, Results, Value};
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::repository::Checkout;

/// The module of a guest in `guest/examples`.
pub fn example(name: &str) -> PathBuf {
    example_with(name, name, LinkSettings::default(), None)
}

/// The same, as `output`, linked and compiled in another way.
pub fn example_with(
    name: &str,
    output: &str,
    link: LinkSettings,
    rustc: Option<PathBuf>,
) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../guest/examples/{name}.rs"));
    build(&source, output, link, rustc)
}

/// The module of a guest whose source is here.
pub fn rust(name: &str, source: &str) -> PathBuf {
    rust_with(name, source, LinkSettings::default())
}

/// The same, with a memory of its own.
pub fn rust_with_memory(name: &str, source: &str) -> PathBuf {
    let settings = LinkSettings {
        memory: Memory::Export,
        ..LinkSettings::default()
    };
    rust_with(name, source, settings)
}

/// The same, with a panic mode.
pub fn rust_with_panic(name: &str, source: &str, panic: PanicMode) -> PathBuf {
    let settings = LinkSettings {
        panic: Some(panic),
        ..LinkSettings::default()
    };
    rust_with(name, source, settings)
}

/// The same, with any settings.
pub fn rust_with(name: &str, source: &str, link: LinkSettings) -> PathBuf {
    let path = folder().join(format!("{name}.rs"));
    std::fs::write(&path, source).unwrap();
    build(&path, name, link, None)
}

fn build(source: &Path, name: &str, link: LinkSettings, rustc: Option<PathBuf>) -> PathBuf {
    let output = folder().join(format!("{name}.wasm"));
    let shell = Shell {
        quiet: true,
        ..Shell::default()
    };
    let checkout = Checkout::find();
    let context = checkout.context(shell);
    let guest = genkan::guest::Guest::find(&context, source.to_str()).unwrap();
    let request = Request {
        toolchain: toolchain::Request {
            rustc,
            target: None,
        },
        settings: Settings {
            debug: link.debug,
            ..Settings::default()
        },
        link,
        output: Some(output.clone()),
        ..Request::new(guest)
    };
    build_guest::build(&context, &request).unwrap_or_else(|e| panic!("{name}: {e:#}"));
    output
}

/// A folder for what tests make.
pub fn folder() -> PathBuf {
    let checkout = Checkout::find();
    let folder = checkout.context(Shell::default()).target_folder();
    let folder = folder.unwrap().join("tests");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A compiled module of a file's, with the default engine.
pub fn load(path: &Path) -> Module {
    Engine::default().load(path).unwrap()
}

/// An instance of a module in text form.
pub fn wat(text: &str) -> Guest {
    Guest::new(&Engine::default().compile(text.as_bytes()).unwrap()).unwrap()
}

/// Calls a function of a guest's, which is made anew if that ended it.
pub fn call<R: Results>(guest: &mut Guest, name: &str, args: &[Value]) -> Result<R, Error> {
    let result = guest.call(name, args);
    if result.is_err() {
        guest.reset().unwrap();
    }
    result
}

/// The error with its causes, as the command line prints it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// A guest in C that includes `genkan.h`, if there is a clang for it.
pub fn c(name: &str, source: &str) -> Option<PathBuf> {
    let [code, object] = ["c", "o"].map(|end| folder().join(format!("{name}.{end}")));
    std::fs::write(&code, source).unwrap();
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest/include");
    let compiled = ["clang-19", "clang"].into_iter().any(|clang| {
        let mut command = Command::new(clang);
        command.args(["--target=wasm32", "-O2", "-Wall", "-Werror", "-c"]);
        command
            .arg("-I")
            .arg(&include)
            .arg(&code)
            .arg("-o")
            .arg(&object);
        command.status().is_ok_and(|status| status.success())
    });
    compiled.then(|| build(&object, name, LinkSettings::default(), None))
}

/// The module of a package in `tests/packages`, which has dependencies of the registry.
/// cargo calls genkan's linker for it, which a test's program is not: that is `xtask`.
pub fn package(name: &str) -> PathBuf {
    package_with(name, name, &[])
}

/// The same, as `output`, with more options.
pub fn package_with(name: &str, output: &str, options: &[&str]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = folder().join(format!("{output}.wasm"));
    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "xtask", "--", "--quiet"])
        .arg("build-guest")
        .arg(root.join("tests/packages").join(name))
        .arg("-o")
        .arg(&output)
        .args(options)
        .current_dir(root)
        .status();
    assert!(
        status.unwrap().success(),
        "the package {name} cannot be built"
    );
    output
}
