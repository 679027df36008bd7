//! `cargo xtask conformance`: the linker judged by tests that are not this
//! repository's.

pub mod crates;
mod lit;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use rayon::prelude::*;

use genkan::shell::{self, Shell};
use genkan::toolchain;

use lit::{Linker, Outcome, Test, Tools};

/// Areas of lld's tests, by what their files' names contain; the first that fits.
const AREAS: [(&str, &[&str]); 11] = [
    ("bitcode", &["lto/", "bitcode"]),
    ("64-bit memories", &["64"]),
    (
        "position independence",
        &[
            "pie",
            "shared",
            "dylink",
            "pic",
            "bsymbolic",
            "dynamic-",
            "unresolved-symbols-dynamic",
        ],
    ),
    (
        "threads and TLS",
        &[
            "tls",
            "shared-memory",
            "threads",
            "atomic",
            "init-fini-no-tls",
        ],
    ),
    (
        "objects out",
        &["relocatable", "emit-relocs", "reloc-", "/r-"],
    ),
    (
        "archives and libraries",
        &[
            "archive",
            "lib",
            "stub",
            "whole",
            "start-lib",
            "why-extract",
        ],
    ),
    ("debug information", &["debug", "dwarf"]),
    (
        "names, maps and other output",
        &[
            "map",
            "name",
            "demangle",
            "build-id",
            "producers",
            "trace",
            "print",
            "reproduce",
            "custom",
        ],
    ),
    (
        "memory and table",
        &[
            "memory",
            "table",
            "stack",
            "heap",
            "page",
            "global-base",
            "max",
        ],
    ),
    (
        "symbols",
        &[
            "undefined",
            "weak",
            "export",
            "signature",
            "visibility",
            "alias",
            "wrap",
            "comdat",
            "import",
            "conflict",
            "duplicate",
            "entry",
            "gc-",
        ],
    ),
    ("other", &[""]),
];

fn area(name: &str) -> &'static str {
    let name = format!("/{name}");
    let fits = |(_, words): &&(&str, &[&str])| words.iter().any(|word| name.contains(word));
    AREAS.iter().find(fits).map_or("other", |(area, _)| area)
}

/// A link of a test with the checks that follow it, under both linkers.
struct Row {
    area: &'static str,
    /// The file, and which link in it.
    group: String,
    ours: Outcome,
    theirs: Outcome,
}

/// Runs lld's tests for WebAssembly below `path`, and prints the score by area.
pub fn lld(
    shell: Shell,
    path: &Path,
    tools: Option<PathBuf>,
    only: &[String],
) -> anyhow::Result<()> {
    let tools = Tools::find(tools)?;
    let folder = lit::folder(path)?;
    let mut tests = lit::tests(&folder)?;
    tests.retain(|test| only.is_empty() || only.iter().any(|name| test.name.contains(name)));
    ensure!(
        !tests.is_empty(),
        "no test of lld's in {}",
        folder.display()
    );
    shell.status(
        "Running",
        format_args!("{} tests of {}", tests.len(), folder.display()),
    );
    let theirs = tools.folder.join("wasm-ld");
    let ours = Linker {
        path: std::env::current_exe()?,
        first: older_defaults(&theirs)?,
    };
    let theirs = Linker {
        path: theirs,
        first: &[],
    };
    let temporary = tempfile::tempdir()?;
    let run = |test: &Test| -> anyhow::Result<Vec<Row>> {
        let place = temporary.path().join(test.name.replace('/', "_"));
        let ours = test.run(&tools, &ours, &place.join("genkan"))?;
        let theirs = test.run(&tools, &theirs, &place.join("wasm-ld"))?;
        let pairs = ours.into_iter().zip(theirs).enumerate();
        let row = |(number, (ours, theirs))| Row {
            area: area(&test.name),
            group: format!("{} ({})", test.name, number + 1),
            ours,
            theirs,
        };
        Ok(pairs.map(row).collect())
    };
    let rows: Vec<Vec<Row>> = tests.par_iter().map(run).collect::<anyhow::Result<_>>()?;
    let rows: Vec<Row> = rows.into_iter().flatten().collect();
    shell::print(&score(&rows))
}

/// Options that make this linker, whose defaults are LLVM 22's, do by default what
/// the installed `wasm_ld` does, for which the tests are.
fn older_defaults(wasm_ld: &Path) -> anyhow::Result<&'static [&'static str]> {
    let version = toolchain::output(Command::new(wasm_ld).arg("--version"))?;
    let major = version.split_whitespace().find_map(|word| {
        let (major, _) = word.split_once('.')?;
        major.parse::<u32>().ok()
    });
    let major = major.with_context(|| format!("`{version}` names no version"))?;
    Ok(match major {
        ..22 => &["--no-stack-first"],
        _ => &[],
    })
}

fn score(rows: &[Row]) -> String {
    let mut areas: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut failed = String::new();
    // What the linker that they are written for fails says nothing of another.
    for row in rows.iter().filter(|row| row.theirs.is_good()) {
        let (good, all) = areas.entry(row.area).or_default();
        *all += 1;
        match &row.ours {
            Outcome::Good => *good += 1,
            Outcome::Failed { command, said } => {
                failed += &format!("\n{} [{}]\n    {command}\n", row.group, row.area);
                failed.extend(said.iter().map(|line| format!("    | {line}\n")));
            }
        }
    }
    let total = areas
        .values()
        .fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    let left_out = rows.iter().filter(|row| !row.theirs.is_good()).count();
    let mut text = failed;
    text += &format!(
        "\n{:<32}{:>8}{:>10}\n",
        "links with their checks", "genkan", "wasm-ld"
    );
    for (area, (good, all)) in areas.iter().chain([(&"all", &total)]) {
        text += &format!("{area:<32}{good:>8}{all:>10}\n");
    }
    if left_out > 0 {
        text += &format!("not counted, since this wasm-ld fails them too: {left_out}\n");
    }
    text
}

/// The text of `path`, or why there is none.
fn read(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_have_an_area_by_their_names() {
        assert_eq!(area("lto/export.ll"), "bitcode");
        assert_eq!(area("memory64.s"), "64-bit memories");
        assert_eq!(area("shared-memory.yaml"), "position independence");
        assert_eq!(area("weak-alias.ll"), "symbols");
        assert_eq!(area("cxx.ll"), "other");
    }
}
