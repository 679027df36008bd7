//! `bench host`: measures the host against other engines. The benchmark is a
//! package of its own, in `host/bench`, because of what it depends on.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use genkan::build_guest::{self, Request};
use genkan::context::Repository as _;
use genkan::files;
use genkan::guest::Guest;
use genkan::shell::Shell;

use crate::plot::{self, Bar, Group, Surroundings};
use crate::repository::Checkout;

/// Builds the benchmark, optimised, and runs it; as JSON if `json`.
pub fn run(shell: Shell, checkout: &Checkout, json: bool) -> anyhow::Result<()> {
    let mut command = command(shell, checkout, json)?;
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "the host's benchmark failed");
    Ok(())
}

fn command(shell: Shell, checkout: &Checkout, json: bool) -> anyhow::Result<Command> {
    let guest = guest(shell, checkout)?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["run", "--release", "--quiet", "--locked", "--manifest-path"])
        .arg(checkout.root().join("host/bench/Cargo.toml"));
    command.arg("--");
    if json {
        command.arg("--json");
    }
    command.arg("--rust").arg(guest);
    Ok(command)
}

/// Builds the guest in Rust that is measured.
fn guest(shell: Shell, checkout: &Checkout) -> anyhow::Result<PathBuf> {
    let context = checkout.context(shell).quiet();
    let source = checkout.root().join("host/bench/guests/slice_sum.rs");
    let guest = Guest::source(&context, &source)?;
    Ok(build_guest::build(&context, &Request::new(guest))?.path)
}

/// A line of what the benchmark prints as JSON.
#[derive(Deserialize)]
struct Row {
    /// Ours; theirs, after a semicolon.
    what: String,
    unit: String,
    ours: f64,
    theirs: Option<f64>,
}

/// Runs the benchmark and draws what it found into `svg`.
pub fn draw(shell: Shell, checkout: &Checkout, svg: &Path) -> anyhow::Result<()> {
    shell.status("Measuring", "the host, and what it could have been");
    let mut command = command(shell, checkout, true)?;
    command.stderr(std::process::Stdio::inherit());
    let output = command.output().context("cannot run cargo")?;
    // It fails, too, where a floor is missed; the figures are there nevertheless.
    let rows: Vec<Row> = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("the host's benchmark failed: {}", output.status))?;
    let surroundings = Surroundings {
        title: "The host beside what it could have been".into(),
        versions: versions(checkout.root())?,
    };
    let groups: Vec<Group> = rows.iter().map(group).collect();
    files::write(svg, plot::svg(&surroundings, &groups).as_bytes())?;
    shell.status("Drew", svg.display());
    ensure!(
        output.status.success(),
        "the host's benchmark missed a floor"
    );
    Ok(())
}

fn group(row: &Row) -> Group {
    let (what, theirs) = row.what.split_once("; ").unwrap_or((&row.what, "theirs"));
    let better = if row.unit == "GB/s" { "more" } else { "less" };
    let bar = |name: &str, value| Bar {
        name: name.to_owned(),
        value,
        shown: format!("{value:.2} {}", row.unit),
    };
    let mut bars = vec![bar("genkan", row.ours)];
    bars.extend(row.theirs.map(|value| bar("the other", value)));
    let against = match row.theirs {
        Some(_) => format!("; the other: {theirs}"),
        None => String::new(),
    };
    Group {
        title: format!("{what}{against} ({better} is better)"),
        bars,
    }
}

/// Of the engines that were measured, from the benchmark's lock file.
fn versions(root: &Path) -> anyhow::Result<String> {
    let lock = root.join("host/bench/Cargo.lock");
    let lock = std::fs::read_to_string(&lock)
        .with_context(|| format!("cannot read {}", lock.display()))?;
    let version = |package: &str| {
        let (_, after) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
        Some(format!("{package} {}", after.split_once('"')?.0))
    };
    let genkan = format!("genkan {}", env!("CARGO_PKG_VERSION"));
    let engines = ["wasmer", "wasmtime"].into_iter().filter_map(version);
    Ok([genkan]
        .into_iter()
        .chain(engines)
        .collect::<Vec<_>>()
        .join(" · "))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_engines_versions_are_known() {
        let versions =
            super::versions(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
        assert!(
            versions.contains("wasmer ") && versions.contains("wasmtime "),
            "{versions}"
        );
    }
}
