//! Crates of the registry with their own tests, linked by genkan and by rust-lld
//! and run in node: as many must pass.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use serde_json::Value;

use genkan::shell::{self, Shell};
use genkan::toolchain::{self, Toolchain};

/// What the crates are compiled for.
const TARGET: &str = "wasm32-wasip1";

/// A crate whose tests run where there is neither a thread nor a process.
struct Tested {
    name: &'static str,
    version: &'static str,
    /// What of it is tested.
    arguments: &'static [&'static str],
    /// Tests with this in their name are left out: they catch panics, which end a
    /// program of this target.
    skip: &'static [&'static str],
}

/// Well-known ones, each of its own style.
const CRATES: [Tested; 8] = [
    Tested {
        name: "serde_json",
        version: "=1.0.145",
        arguments: &[
            "--lib",
            "--test=debug",
            "--test=map",
            "--test=stream",
            "--test=lexical",
        ],
        skip: &[],
    },
    Tested {
        name: "regex-syntax",
        version: "=0.8.8",
        arguments: &["--lib"],
        skip: &[],
    },
    Tested {
        name: "regex",
        version: "=1.12.2",
        arguments: &["--lib"],
        skip: &[],
    },
    Tested {
        name: "hashbrown",
        version: "=0.16.0",
        arguments: &["--lib"],
        skip: &["test_catch_panic"],
    },
    Tested {
        name: "num-bigint",
        version: "=0.4.6",
        arguments: &[
            "--lib",
            "--test=bigint",
            "--test=biguint",
            "--test=roots",
            "--test=modpow",
        ],
        skip: &[],
    },
    Tested {
        name: "url",
        version: "=2.5.7",
        arguments: &["--lib", "--test=unit"],
        skip: &[],
    },
    Tested {
        name: "itertools",
        version: "=0.14.0",
        arguments: &["--lib", "--test=test_core", "--test=adaptors_no_collect"],
        skip: &[],
    },
    Tested {
        name: "smallvec",
        version: "=1.15.1",
        arguments: &["--lib"],
        skip: &["drop_panic_smallvec", "insert_many_panic"],
    },
];

/// Runs a program over WASI, and ends as it does.
const RUNNER: &str = r#"
import { WASI } from "node:wasi";
import { readFileSync } from "node:fs";
const [, , module, ...args] = process.argv;
const wasi = new WASI({ version: "preview1", args: [module, ...args], env: process.env, preopens: { ".": process.cwd() } });
const compiled = await WebAssembly.compile(readFileSync(module));
const instance = await WebAssembly.instantiate(compiled, wasi.getImportObject());
process.exitCode = wasi.start(instance);
"#;

/// How many tests passed, failed and were ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    ignored: usize,
}

/// Builds and runs the tests of every crate with both linkers, and prints a table;
/// whether both did the same everywhere.
pub fn run(shell: Shell, folder: &Path, only: &[String]) -> anyhow::Result<bool> {
    let all = toolchain::all();
    let has_target = |toolchain: &&Toolchain| toolchain.targets.iter().any(|it| it == TARGET);
    let toolchain = all
        .iter()
        .find(has_target)
        .with_context(|| format!("no rustc with the std of {TARGET}"))?;
    std::fs::create_dir_all(folder)?;
    let runner = folder.join("run.mjs");
    std::fs::write(&runner, RUNNER)?;
    let linker = folder.join("wasm-ld");
    let _ = std::fs::remove_file(&linker);
    #[cfg(unix)]
    std::os::unix::fs::symlink(std::env::current_exe()?, &linker)?;
    #[cfg(not(unix))]
    bail!("the linker is found by a symbolic link");
    let mut text = format!(
        "{:<24}{:>28}{:>28}\n",
        "passed, failed, ignored", "genkan", "rust-lld"
    );
    let mut same = true;
    for tested in CRATES {
        if !only.is_empty() && !only.iter().any(|name| tested.name.contains(name)) {
            continue;
        }
        shell.status(
            "Testing",
            format_args!("{} {}", tested.name, tested.version),
        );
        let source = source(toolchain, folder, &tested)?;
        let counts = |linker: Option<&Path>| {
            let counts = test(toolchain, &source, &tested, &runner, linker);
            counts.with_context(|| format!("the tests of {}", tested.name))
        };
        let (ours, theirs) = match (counts(Some(&linker)), counts(None)) {
            (Ok(ours), Ok(theirs)) => (ours, theirs),
            (Err(error), _) | (_, Err(error)) => {
                shell.warn(format_args!("{error:#}"));
                same = false;
                continue;
            }
        };
        same &= ours == theirs;
        let shown = |it: Counts| format!("{}, {}, {}", it.passed, it.failed, it.ignored);
        let name = format!("{} {}", tested.name, tested.version.trim_start_matches('='));
        text += &format!("{name:<24}{:>28}{:>28}\n", shown(ours), shown(theirs));
    }
    shell::print(&text)?;
    Ok(same)
}

fn cargo(toolchain: &Toolchain, folder: &Path) -> Command {
    let mut cargo = toolchain::command(&toolchain.rustc.with_file_name("cargo"));
    cargo.current_dir(folder).env("RUSTC", &toolchain.rustc);
    cargo
}

/// A copy of the crate, as the registry has it.
fn source(toolchain: &Toolchain, folder: &Path, tested: &Tested) -> anyhow::Result<PathBuf> {
    let copy = folder.join(tested.name);
    let mark = copy.join(".complete");
    if std::fs::read_to_string(&mark).is_ok_and(|version| version == tested.version) {
        return Ok(copy);
    }
    let _ = std::fs::remove_dir_all(&copy);
    let wanting = folder.join("fetch");
    std::fs::create_dir_all(wanting.join("src"))?;
    std::fs::write(wanting.join("src/lib.rs"), "")?;
    let manifest = format!(
        "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n\
         [dependencies]\n{} = \"{}\"\n",
        tested.name, tested.version
    );
    std::fs::write(wanting.join("Cargo.toml"), manifest)?;
    let mut metadata = cargo(toolchain, &wanting);
    metadata.args(["metadata", "--format-version=1"]);
    let metadata: Value = serde_json::from_str(&toolchain::output(&mut metadata)?)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let package = packages.iter().find(|it| it["name"] == tested.name);
    let manifest = package.and_then(|it| it["manifest_path"].as_str());
    let manifest = Path::new(manifest.context("no manifest")?);
    copy_folder(manifest.parent().context("no folder")?, &copy)?;
    // It is no part of the workspace around it.
    let path = copy.join("Cargo.toml");
    let text = without_benchmarks(&std::fs::read_to_string(&path)?);
    std::fs::write(&path, format!("{text}\n[workspace]\n"))?;
    std::fs::write(mark, tested.version)?;
    Ok(copy)
}

/// A manifest, as the registry writes it, without its benchmarks and what they need:
/// nobody runs them, and criterion is not for this target.
fn without_benchmarks(manifest: &str) -> String {
    let mut text = String::new();
    let mut is_kept = true;
    for line in manifest.lines() {
        if line.starts_with('[') {
            let is_criterion = line.starts_with("[dev-dependencies.criterion");
            is_kept = line != "[[bench]]" && !is_criterion;
        }
        if is_kept {
            text += line;
            text.push('\n');
        }
    }
    text
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in from.read_dir()? {
        let path = entry?.path();
        let copy = to.join(path.file_name().unwrap_or_default());
        match path.is_dir() {
            true => copy_folder(&path, &copy)?,
            false => drop(std::fs::copy(&path, &copy)?),
        }
    }
    Ok(())
}

/// Runs the tests; with `linker`, or with the target's own.
fn test(
    toolchain: &Toolchain,
    source: &Path,
    tested: &Tested,
    runner: &Path,
    linker: Option<&Path>,
) -> anyhow::Result<Counts> {
    let mut cargo = cargo(toolchain, source);
    let target = match linker {
        Some(_) => "target/genkan",
        None => "target/rust-lld",
    };
    cargo
        .args([
            "test",
            "--target",
            TARGET,
            "--no-fail-fast",
            "--target-dir",
            target,
        ])
        .args(tested.arguments)
        .arg("--")
        .args(tested.skip.iter().flat_map(|name| ["--skip", name]))
        .env(
            "CARGO_TARGET_WASM32_WASIP1_RUNNER",
            format!("node --no-warnings {}", runner.display()),
        );
    if let Some(linker) = linker {
        cargo.env("CARGO_TARGET_WASM32_WASIP1_LINKER", linker);
    }
    let output = cargo.output().context("cannot run cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let counts = counts(&text);
    if counts == Counts::default() {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let last: Vec<&str> = stderr.lines().rev().take(20).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        bail!("no test ran:\n{}", last.join("\n"));
    }
    Ok(counts)
}

/// The sums of what the test programs say.
fn counts(text: &str) -> Counts {
    let mut counts = Counts::default();
    for line in text
        .lines()
        .filter(|line| line.starts_with("test result: "))
    {
        let number = |what: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let found = words
                .windows(2)
                .find(|pair| pair[1].trim_end_matches(';') == what);
            found.and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
        };
        counts.passed += number("passed");
        counts.failed += number("failed");
        counts.ignored += number("ignored");
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benchmarks_are_left_out() {
        let manifest = "[package]\n[[bench]]\nname = \"b\"\n[dev-dependencies.criterion]\n\
                        version = \"1\"\n[dev-dependencies.rand]\n";
        let expected = "[package]\n[dev-dependencies.rand]\n";
        assert_eq!(without_benchmarks(manifest), expected);
    }

    #[test]
    fn results_are_added_up() {
        let text = "running 3 tests\ntest result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
                    test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured\n";
        let expected = Counts {
            passed: 7,
            failed: 2,
            ignored: 1,
        };
        assert_eq!(counts(text), expected);
    }
}
