//! `cargo xtask cargo`, which is `genkan cargo`: cargo links with this program for each
//! Wasm target, and otherwise does what the user has configured.

mod linkers;

use std::path::PathBuf;
use std::process::Command;

use linkers::engine;

/// A package with a program and a library.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "Cargo.toml",
            "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
             [lib]\nname = \"bare\"\npath = \"src/bare.rs\"\ncrate-type = [\"cdylib\"]\n\
             [profile.dev]\npanic = \"abort\"\n[workspace]\n",
        );
        write(
            "src/main.rs",
            "fn main() {\n    let numbers: Vec<u32> = (1..=10).collect();\n    \
             println!(\"sum {}\", numbers.iter().sum::<u32>());\n}\n",
        );
        write(
            "src/bare.rs",
            "#![no_std]\n\
             #[no_mangle] pub extern \"C\" fn answer() -> i32 { 42 }\n\
             #[cfg(marked)] #[no_mangle] pub extern \"C\" fn marked() -> i32 { 1 }\n\
             #[panic_handler] fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }\n",
        );
        Project { folder }
    }

    /// The module, or component, that cargo makes of `part` for `target`, with genkan as
    /// its linker.
    fn builds(&self, target: &str, part: &[&str]) -> Vec<u8> {
        let output = self.command(target, part).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{target}: {text}");
        let name = if part[0] == "--lib" { "bare" } else { "app" };
        std::fs::read(self.path(&format!("target/{target}/debug/{name}.wasm"))).unwrap()
    }

    fn command(&self, target: &str, part: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(["cargo", "build", "-q", "--target", target])
            .args(part)
            .current_dir(self.folder.path())
            .env("CARGO_TARGET_DIR", self.path("target"));
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn answers(module: &[u8]) {
    let outcome = engine::run(module);
    assert!(
        outcome.end.iter().any(|end| end == "answer: 42"),
        "{:?}",
        outcome.end
    );
}

#[test]
#[cfg_attr(not(has_wasm32_wasip1), ignore = "rustup target add wasm32-wasip1")]
fn wasip1() {
    let module = Project::new().builds("wasm32-wasip1", &["--bin", "app"]);
    let outcome = engine::run(&module);
    assert!(outcome.output.contains("sum 55"), "{}", outcome.output);
}

/// rustc's wasm-component-ld has this program link, and makes a component of it.
#[test]
#[cfg_attr(not(has_wasm32_wasip2), ignore = "rustup target add wasm32-wasip2")]
fn wasip2() {
    let component = Project::new().builds("wasm32-wasip2", &["--bin", "app"]);
    assert!(wasmparser::Parser::is_component(&component));
    linkers::validate("wasip2", &component);
}

#[test]
#[cfg_attr(
    not(has_wasm32_unknown_unknown),
    ignore = "rustup target add wasm32-unknown-unknown"
)]
fn unknown_unknown() {
    answers(&Project::new().builds("wasm32-unknown-unknown", &["--lib"]));
}

#[test]
#[cfg_attr(not(has_wasm32v1_none), ignore = "rustup target add wasm32v1-none")]
fn v1_none() {
    answers(&Project::new().builds("wasm32v1-none", &["--lib"]));
}

/// Flags in the user's configuration and in their environment reach rustc and the
/// linker, though the configuration names another linker.
#[test]
#[cfg_attr(not(has_wasm32v1_none), ignore = "rustup target add wasm32v1-none")]
fn the_users_own_flags_stay_in_force() {
    let project = Project::new();
    let target = "wasm32v1-none";
    let configuration = project.path(".cargo/config.toml");
    std::fs::create_dir(configuration.parent().unwrap()).unwrap();
    let text = format!(
        "[target.{target}]\nlinker = \"no-such-linker\"\n\
         rustflags = [\"--cfg\", \"marked\", \"-Clink-arg=--no-such-option\"]\n"
    );
    std::fs::write(&configuration, &text).unwrap();
    let output = project.command(target, &["--lib"]).output().unwrap();
    let text_of_error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(101));
    assert!(
        text_of_error.contains("wasm-ld: error: unknown argument: --no-such-option"),
        "{text_of_error}"
    );
    // This linker's own option; no other takes it.
    std::fs::write(
        &configuration,
        text.replace("--no-such-option", "--panic=trap"),
    )
    .unwrap();
    let module = project.builds(target, &["--lib"]);
    let exports = linkers::interface(&module);
    assert!(
        exports.iter().any(|line| line.contains("export marked")),
        "{exports:?}"
    );
    // The variable goes over the configuration, as it does in cargo.
    let mut command = project.command(target, &["--lib"]);
    let output = command
        .env("RUSTFLAGS", "-Clink-arg=--nothing-like-it")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("unknown argument: --nothing-like-it"),
        "{text}"
    );
}

/// `--verbose` is an option of ours too.
#[test]
fn arguments_are_cargos() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["cargo", "--version", "--verbose"])
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("release: "), "{text}");
}

/// `cargo test` has its programs run by the host, with their arguments, and fails as they
/// do. This one has no harness, which is long to compile for a host that is not optimised.
#[test]
#[cfg_attr(not(has_wasm32_wasip1), ignore = "rustup target add wasm32-wasip1")]
fn tests_run_in_the_host() {
    let project = Project::new();
    let test = "fn main() {\n    let words: Vec<_> = std::env::args().skip(1).collect();\n    \
                println!(\"seen {}\", words.join(\" \"));\n    \
                std::process::exit(i32::from(words == [\"--fail\"]) * 3);\n}\n";
    std::fs::create_dir(project.path("tests")).unwrap();
    std::fs::write(project.path("tests/words.rs"), test).unwrap();
    let manifest = project.path("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let text = format!("[[test]]\nname = \"words\"\nharness = false\n{text}");
    std::fs::write(&manifest, text).unwrap();
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(["cargo", "test", "-q", "--target", "wasm32-wasip1"])
            .args(["--test", "words", "--"])
            .args(words)
            .current_dir(project.folder.path())
            // The checkout's host is built there, if it is not yet.
            .env_remove("CARGO_TARGET_DIR");
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    };
    let (good, text) = run(&["--nocapture", "a b", "--"]);
    assert!(good && text.contains("seen --nocapture a b --\n"), "{text}");
    let (good, text) = run(&["--fail"]);
    assert!(!good && text.contains("seen --fail\n"), "{text}");
    assert!(text.contains("exit status: 3"), "{text}");
}
