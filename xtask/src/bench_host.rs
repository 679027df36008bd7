//! `bench host`: measures the host against other engines. The benchmark is a
//! package of its own, in `host/bench`, because of what it depends on.

use std::process::Command;

use anyhow::{Context as _, ensure};

use genkan::context::Repository as _;

use crate::repository::Checkout;

/// Builds the benchmark, optimised, and runs it; as JSON if `json`.
pub fn run(checkout: &Checkout, json: bool) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = checkout.root().join("host/bench/Cargo.toml");
    let mut command = Command::new(cargo);
    command
        .args(["run", "--release", "--quiet", "--locked", "--manifest-path"])
        .arg(manifest);
    if json {
        command.args(["--", "--json"]);
    }
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "the host's benchmark failed");
    Ok(())
}
