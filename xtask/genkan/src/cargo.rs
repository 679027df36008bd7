//! `cargo`: runs cargo with this program as the linker of every Wasm target, and as what
//! runs programs and tests for WASI, and otherwise as the user has it.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Context as _;

use crate::component;
use crate::context::Context;
use crate::linker_file;
use crate::toolchain;

/// Targets that rustc links with wasm-ld.
const CORE: [&str; 6] = [
    "wasm32-wasip1",
    "wasm32-wasip1-threads",
    "wasm32-wasi",
    "wasm32-wasi-preview1-threads",
    "wasm32-unknown-unknown",
    "wasm32v1-none",
];

/// Those whose programs the host runs.
const RUN: [&str; 2] = ["wasm32-wasip1", "wasm32-wasi"];

/// Runs cargo with `arguments`; the exit code is cargo's.
pub fn run(context: &Context<'_>, arguments: &[OsString]) -> anyhow::Result<ExitCode> {
    let cargo = toolchain::on_path("cargo").context("no cargo on PATH")?;
    let folder = context.target_folder()?;
    let wasm_ld = linker_file::wasm_ld(&folder)?;
    let component_ld = linker_file::wasm_component_ld(&folder)?;
    let mut command = toolchain::command(&cargo);
    // `+nightly` is rustup's, and comes first.
    let rustups = arguments
        .first()
        .is_some_and(|first| first.as_encoded_bytes().starts_with(b"+"));
    let (rustups, arguments) = arguments.split_at(usize::from(rustups));
    command.args(rustups);
    command.args(runners(context, &folder)?).args(arguments);
    if let Some(toolchain) = std::env::var_os("RUSTUP_TOOLCHAIN") {
        command.env("RUSTUP_TOOLCHAIN", toolchain);
    }
    // Variables, for they go over every configuration file and leave flags alone.
    for triple in CORE {
        command.env(linker_file::variable(triple), &wasm_ld);
    }
    for triple in component::TARGETS {
        command.env(linker_file::variable(triple), &component_ld);
    }
    context
        .shell
        .detail("Running", toolchain::display(&command));
    toolchain::exit_code(&mut command)
}

/// The options that have this program run what cargo runs, where it can and the user has
/// not said in a variable what does.
fn runners(context: &Context<'_>, folder: &Path) -> anyhow::Result<Vec<String>> {
    if context.repository.is_none() && !cfg!(feature = "host") {
        return Ok(Vec::new());
    }
    let runner = linker_file::runner(folder)?;
    let runner = runner
        .to_str()
        .context("the target folder's path is not UTF-8")?;
    let mut options = Vec::new();
    for triple in RUN {
        if std::env::var_os(linker_file::runner_variable(triple)).is_none() {
            // A list, as a string would be split at its spaces.
            options.push("--config".into());
            options.push(format!("target.{triple}.runner=[{runner:?}]"));
        }
    }
    Ok(options)
}

/// The toolchain's wasm-component-ld, with this program as the linker that it calls:
/// `name` is that of this process, beside which `wasm-ld` lies.
pub fn component_linker(
    name: &Path,
    arguments: impl Iterator<Item = OsString>,
) -> anyhow::Result<ExitCode> {
    let real = component::LINKER;
    // rustc puts the folder of the toolchain's own tools on PATH.
    let program = toolchain::on_path(real).with_context(|| {
        format!("no {real} on PATH: the toolchain that links a component brings it along")
    })?;
    let wasm_ld = name.with_file_name(format!("wasm-ld{}", std::env::consts::EXE_SUFFIX));
    let mut command = Command::new(program);
    // rustc's `-flavor wasm` has to stay the first.
    command.args(arguments).arg("--wasm-ld-path").arg(wasm_ld);
    toolchain::exit_code(&mut command)
}

/// What makes cargo link with genkan by itself: the lines of a configuration file,
/// and what they need.
pub fn configuration() -> String {
    let mut text =
        String::from("To have cargo link with genkan by itself, in .cargo/config.toml:\n\n");
    for triple in CORE
        .into_iter()
        .filter(|triple| !triple.contains("wasi-preview1"))
    {
        text += &format!("    [target.{triple}]\n    linker = \"genkan-ld\"\n");
    }
    for triple in component::TARGETS {
        text += &format!("    [target.{triple}]\n    {}\n", component::CONFIGURATION);
    }
    if toolchain::on_path("genkan-ld").is_none() {
        text += "\ngenkan-ld is not on PATH: `cargo install` puts it beside genkan, and any file\n\
                 of that name that is a link to genkan will do.\n";
    }
    text
}
