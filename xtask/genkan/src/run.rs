//! `run`: builds a guest, then cargo runs the package `genkan-host` on it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context as _;

use crate::build_guest::{self, Request};
use crate::compile::workspace;
use crate::guest::Guest;
use crate::shell::Shell;
use crate::toolchain;

/// The arguments of the main job: the memo's bytes and number.
const CALC: [&str; 5] = ["--invoke", "calc", "--data", "0,1,2,3", "20"];

/// The host's command line.
const HOST: &str = "genkan-host";

/// Runs the guest of `request` with `arguments` for the host; the exit code is
/// the host's.
pub fn run(
    shell: Shell,
    request: &Request,
    release: bool,
    arguments: &[OsString],
) -> anyhow::Result<ExitCode> {
    let module = match &request.guest {
        Guest::Module(path) => path.clone(),
        _ => build_guest::build(shell, request)?.path,
    };
    let host = host(shell, release)?;
    start(shell, &host, &request.guest, &module, arguments)
}

/// Runs `module`, which was made of `guest`, in the `host`.
pub fn start(
    shell: Shell,
    host: &Path,
    guest: &Guest,
    module: &Path,
    arguments: &[OsString],
) -> anyhow::Result<ExitCode> {
    let mut host = Command::new(host);
    host.arg(module);
    // Compiled once, a guest starts at once; `cargo clean` forgets it.
    if std::env::var_os("GENKAN_CACHE").is_none() {
        host.env("GENKAN_CACHE", build_guest::target_folder().join("cache"));
    }
    match (guest, arguments) {
        (guest, []) if *guest == Guest::find(None)? => host.args(CALC),
        (_, arguments) => host.args(arguments),
    };
    shell.detail("Running", toolchain::display(&host));
    let status = host
        .status()
        .with_context(|| format!("cannot run {}", host.get_program().display()))?;
    // A signal has no code; 1 is what people expect of a failure.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// Builds the host, so far as that is needed, and returns its executable.
pub fn host(shell: Shell, release: bool) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let mut command = Command::new(cargo);
    // As the user's own `cargo build`, so that both share one build.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let manifest = workspace().join("Cargo.toml");
    command
        // Without `--package`: all members' features together, as in `cargo test`, so
        // that both share one build of the engine.
        .args([
            "build",
            "--bin",
            HOST,
            "--features",
            "cli",
            "--manifest-path",
        ])
        .arg(&manifest)
        .args(["--message-format", "json-render-diagnostics"])
        .args(["--color", shell.color.name()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    if release {
        command.arg("--release");
    }
    if shell.quiet {
        command.arg("--quiet");
    }
    shell.detail("Running", toolchain::display(&command));
    let output = command.output().context("cannot run cargo")?;
    anyhow::ensure!(output.status.success(), "cargo cannot build the host");
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_host = message["target"]["name"] == HOST;
        let path = message["executable"].as_str().filter(|_| is_host)?;
        Some(Path::new(path).to_owned())
    });
    executable.context("cargo did not say where the host is")
}
