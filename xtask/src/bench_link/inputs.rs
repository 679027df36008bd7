//! What the linkers are measured on: real link commands, with objects that stay.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use genkan::shell::Shell;
use genkan::toolchain::{self, Toolchain};

/// What the guests are compiled for.
pub const TARGET: &str = "wasm32-wasip1";

/// A function and no library.
const TINY: &str = "#![no_std]
#[no_mangle]
pub extern \"C\" fn add(a: i32, b: i32) -> i32 {
    a.wrapping_add(b)
}
";

/// All that is to be measured.
#[derive(Serialize, Deserialize)]
pub struct Inputs {
    /// The tiny object first.
    pub jobs: Vec<Job>,
    /// What could not be had, and why.
    pub skipped: Vec<String>,
}

/// One link: a linker's arguments, but for `-o`.
#[derive(Serialize, Deserialize)]
pub struct Job {
    /// What it is, for the table.
    pub name: String,
    /// Where the linker runs.
    pub folder: PathBuf,
    /// The linker's arguments.
    pub arguments: Vec<String>,
    /// How often it is measured.
    pub rounds: usize,
}

impl Job {
    /// Bytes of all files that the arguments name.
    pub fn input_bytes(&self) -> u64 {
        let files = self
            .arguments
            .iter()
            .map(|argument| self.folder.join(argument));
        files
            .filter_map(|path| path.metadata().ok())
            .filter(|it| it.is_file())
            .map(|it| it.len())
            .sum()
    }
}

/// Compiles everything into `folder`.
pub fn prepare(shell: Shell, toolchain: &Toolchain, folder: &Path) -> anyhow::Result<Inputs> {
    let mut skipped = Vec::new();
    std::fs::create_dir_all(folder)?;
    let mut jobs = vec![tiny(toolchain, folder)?];
    for (profile, what) in [
        ("release", "regex + serde_json, release, stripped"),
        ("dev", "regex + serde_json, debug with DWARF"),
    ] {
        shell.status("Preparing", what);
        match with_crates(toolchain, folder, profile) {
            Ok(mut arguments) => {
                // As cargo's `strip = true` would.
                arguments.extend((profile == "release").then(|| "--strip-all".into()));
                jobs.push(Job {
                    name: what.into(),
                    folder: folder.to_owned(),
                    arguments,
                    rounds: 11,
                });
            }
            Err(error) => skipped.push(format!("{what}: {error:#}")),
        }
    }
    shell.status("Preparing", "sqlite3");
    match sqlite(toolchain, folder) {
        Ok(job) => jobs.push(job),
        Err(error) => skipped.push(format!("sqlite3: {error:#}")),
    }
    Ok(Inputs { jobs, skipped })
}

fn tiny(toolchain: &Toolchain, folder: &Path) -> anyhow::Result<Job> {
    let source = folder.join("tiny.rs");
    std::fs::write(&source, TINY)?;
    let mut rustc = toolchain::command(&toolchain.rustc);
    rustc
        .args([
            "--target",
            TARGET,
            "--crate-type=lib",
            "--emit=obj",
            "-Cpanic=abort",
            "-Copt-level=3",
            "-o",
        ])
        .arg(folder.join("tiny.o"))
        .arg(&source);
    toolchain::output(&mut rustc)?;
    Ok(Job {
        name: "a tiny object, whole process".into(),
        folder: folder.to_owned(),
        arguments: ["tiny.o", "--no-entry", "--export=add"]
            .map(str::to_owned)
            .to_vec(),
        rounds: 51,
    })
}

/// The linker's arguments for the guest that has crates from the registry.
fn with_crates(toolchain: &Toolchain, folder: &Path, profile: &str) -> anyhow::Result<Vec<String>> {
    let cargo = || {
        let mut cargo = toolchain::command(&toolchain.rustc.with_file_name("cargo"));
        cargo
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diff_rust/crates"))
            .env("RUSTC", &toolchain.rustc)
            .env("CARGO_TARGET_DIR", folder.join("crates"));
        cargo
    };
    // What is fresh would not be linked, and only linking says how it is done.
    toolchain::output(cargo().args([
        "clean",
        "--quiet",
        "--package=crates",
        "--profile",
        profile,
        "--target",
        TARGET,
    ]))?;
    let mut rustc = cargo();
    rustc
        .args([
            "rustc",
            "--locked",
            "--quiet",
            "--target",
            TARGET,
            "--profile",
            profile,
            "--",
        ])
        .args(["-Csave-temps", "--print=link-args"]);
    link_arguments(&toolchain::output(&mut rustc)?)
}

/// The arguments of rust-lld in what rustc printed for `--print=link-args`,
/// without `-o` and its value.
pub fn link_arguments(printed: &str) -> anyhow::Result<Vec<String>> {
    let line = printed
        .lines()
        .find(|line| line.contains("\"-flavor\" \"wasm\""))
        .with_context(|| format!("no linker command in what rustc printed:\n{printed}"))?;
    let mut words = Vec::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character != '"' {
            continue;
        }
        let mut word = String::new();
        loop {
            match characters.next().context("a quote is not closed")? {
                '"' => break,
                '\\' => word.extend(characters.next()),
                other => word.push(other),
            }
        }
        words.push(word);
    }
    let start = words
        .iter()
        .position(|word| word == "-flavor")
        .context("no -flavor")?;
    let mut words = words.split_off(start + 2);
    let output = words
        .iter()
        .position(|word| word == "-o")
        .context("no -o")?;
    words.drain(output..(output + 2).min(words.len()));
    Ok(words)
}

/// SQLite's amalgamation, from the registry, cut into the files that it was
/// made of, compiled by clang with debug information.
fn sqlite(toolchain: &Toolchain, folder: &Path) -> anyhow::Result<Job> {
    const HEADERS: &str = "/usr/include/wasm32-wasi";
    let clang = crate::clang::newest().map_err(anyhow::Error::msg)?;
    anyhow::ensure!(Path::new(HEADERS).is_dir(), "wasi-libc is not installed");
    let folder = folder.join("sqlite");
    std::fs::create_dir_all(folder.join("src"))?;
    std::fs::write(
        folder.join("Cargo.toml"),
        "[package]\nname = \"sqlite\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n\
         [dependencies]\nlibsqlite3-sys = { version = \"=0.40.0\", default-features = false, features = [\"bundled\"] }\n",
    )?;
    std::fs::write(folder.join("src/lib.rs"), "")?;
    let mut cargo = toolchain::command(&toolchain.rustc.with_file_name("cargo"));
    cargo
        .args(["metadata", "--format-version=1"])
        .current_dir(&folder);
    let metadata: serde_json::Value = serde_json::from_str(&toolchain::output(&mut cargo)?)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let manifest = packages
        .iter()
        .find(|package| package["name"] == "libsqlite3-sys")
        .and_then(|package| package["manifest_path"].as_str())
        .context("no libsqlite3-sys")?;
    let source = Path::new(manifest)
        .with_file_name("sqlite3")
        .join("sqlite3.c");
    let source = String::from_utf8_lossy(&std::fs::read(source)?).into_owned();

    let mut arguments = Vec::new();
    let (headers, parts) = cut(&source);
    let is_new = std::fs::read_to_string(folder.join("all.h")).ok().as_ref() != Some(&headers);
    std::fs::write(folder.join("all.h"), headers)?;
    for (name, text) in parts {
        let object = format!("{name}.o");
        // `main.c` repeats what the amalgamation's header has.
        let amalgamation = if name == "main.c" {
            "#define SQLITE_AMALGAMATION 1\n"
        } else {
            ""
        };
        std::fs::write(
            folder.join(&name),
            format!("#include \"all.h\"\n{amalgamation}{text}"),
        )?;
        if is_new || !folder.join(&object).exists() {
            let mut command = Command::new(&clang);
            command
                .args([
                    "--target=wasm32-wasip1",
                    "-isystem",
                    HEADERS,
                    "-g",
                    "-O1",
                    "-w",
                    "-c",
                    &name,
                    "-o",
                    &object,
                ])
                .args([
                    "-DSQLITE_PRIVATE=extern",
                    "-DSQLITE_THREADSAFE=0",
                    "-DSQLITE_OS_OTHER=1",
                ])
                .args(["-DSQLITE_OMIT_LOAD_EXTENSION", "-Dfabs=__builtin_fabs"])
                .current_dir(&folder);
            toolchain::output(&mut command)?;
        }
        arguments.push(object);
    }
    let name = format!("sqlite3, {} objects with DWARF", arguments.len());
    let options = [
        "--no-entry",
        "--export=sqlite3_open",
        "--export=sqlite3_exec",
        "--allow-undefined",
        "-zmuldefs",
    ];
    arguments.extend(options.map(str::to_owned));
    Ok(Job {
        name,
        folder,
        arguments,
        rounds: 11,
    })
}

/// The amalgamation's headers as one, and its C files. Headers that only one
/// file may see stay in that file.
fn cut(source: &str) -> (String, BTreeMap<String, String>) {
    let private =
        |name: &str| name.starts_with("os_") || name == "hwtime.h" || name == "keywordhash.h";
    let marked = |line: &str, mark: &str| -> Option<String> {
        let rest = line.strip_prefix("/***")?.trim_start_matches('*');
        Some(rest.strip_prefix(mark)?.split(' ').next()?.to_owned())
    };
    let mut headers = String::new();
    let mut parts: BTreeMap<String, String> = BTreeMap::new();
    let mut open: Vec<String> = Vec::new();
    for line in source.lines() {
        if let Some(name) = marked(line, " Begin file ") {
            open.push(name);
        } else if let Some(name) = marked(line, " End of ") {
            if let Some(place) = open.iter().rposition(|it| *it == name) {
                open.truncate(place);
            }
        } else if marked(line, " Continuing where ").is_none() {
            let code = open.iter().find(|name| name.ends_with(".c"));
            let in_header = open
                .iter()
                .any(|name| name.ends_with(".h") && !private(name));
            let text = match code.filter(|_| !in_header) {
                Some(code) => parts.entry(code.clone()).or_default(),
                // The files are no amalgamation any more.
                None if line.starts_with("#define SQLITE_AMALGAMATION") => continue,
                None => &mut headers,
            };
            text.push_str(line);
            text.push('\n');
        }
    }
    (headers, parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linkers_command_is_found_and_unquoted() {
        let printed = "note\nLC_ALL=\"C\" PATH=\"/a:/b\" \"rust-lld\" \"-flavor\" \"wasm\" \"a \\\"b\\\".o\" \"-o\" \"x.wasm\" \"--gc-sections\"\n";
        assert_eq!(
            link_arguments(printed).unwrap(),
            ["a \"b\".o", "--gc-sections"]
        );
        assert!(link_arguments("nothing").is_err());
    }

    #[test]
    fn an_amalgamation_is_cut_at_its_marks() {
        let source = "top\n/*** Begin file a.h ***/\nin a.h\n/*** Begin file b.h ***/\nin b.h\n/*** End of b.h ***/\n\
                      /*** End of a.h ***/\n/*** Begin file x.c ***/\nx\n/*** Begin file os_x.h ***/\nprivate\n\
                      /*** End of os_x.h ***/\n/*** Begin file c.h ***/\nin c.h\n/*** End of c.h ***/\nmore x\n/*** End of x.c ***/\n";
        let (headers, parts) = cut(source);
        assert_eq!(headers, "top\nin a.h\nin b.h\nin c.h\n");
        assert_eq!(parts["x.c"], "x\nprivate\nmore x\n");
    }
}
