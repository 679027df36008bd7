//! The commands of `cargo xtask`: genkan's own, and this repository's chores.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use genkan::cli::Common;
use genkan::shell::Shell;

use crate::{bench_host, bench_link, fixtures, reproduce};

/// Builds WebAssembly guests from Rust, with no tool outside Rust.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    max_term_width = 100
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one, once")]
enum Command {
    #[command(flatten)]
    Genkan(genkan::cli::Command),
    /// Rebuild the fixtures, or check that they can be rebuilt bit for bit
    #[command(after_help = "\
Examples:
  cargo xtask fixtures                        rebuild what the compilers here can
  cargo xtask fixtures --check                write nothing; fail if one differs
  cargo xtask fixtures --toolchain 1.63.0     only those of one compiler
  cargo xtask fixtures --reproduce            build under many variations, compare

Exit codes: 0 all that could be built is as it should be; 1 something differs; 2 the command
line is wrong. Fixtures whose compiler is not here are listed, and are no failure.")]
    Fixtures {
        /// Write nothing; exit with 1 if anything differs
        #[arg(long)]
        check: bool,
        /// Build under variations of the surroundings; report which change the bytes
        #[arg(long, conflicts_with = "check")]
        reproduce: bool,
        /// Only the fixtures of this compiler (1.63.0); repeatable
        #[arg(long, value_name = "VERSION")]
        toolchain: Vec<String>,
    },
    /// Measure genkan beside the tools that it replaces
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// The linker beside rust-lld, wasm-ld and wild, whichever are installed
    #[command(after_help = "\
Links the same inputs with each, turn by turn, and prints medians and ratios: a tiny object, a
program with regex and serde_json (from the registry) in release and debug, and SQLite (if clang
and wasi-libc are installed). Builds xtask with optimisation first; takes some minutes.")]
    Link {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Draw the table as a picture, besides
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
        /// Measure on the inputs that this file lists
        #[arg(long, hide = true)]
        inputs: Option<PathBuf>,
    },
    /// The host's memory and start beside what they could have been
    #[command(after_help = "\
Reading, windows, calls, start: ours and another way in turns, as medians and ratios. Builds the
host with optimisation first, which takes some minutes.

Example: cargo xtask bench host --json > host.json")]
    Host {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Draw the table as a picture instead
        #[arg(long, value_name = "FILE", conflicts_with = "json")]
        svg: Option<PathBuf>,
    },
}

/// Runs the command line without the program's name.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = Cli::parse_from(std::iter::once("cargo xtask".into()).chain(arguments));
    genkan::cli::exit(execute(cli.common.shell(), cli.command))
}

fn execute(shell: Shell, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Genkan(command) => return genkan::cli::execute(shell, command),
        Command::Fixtures {
            check,
            reproduce,
            toolchain,
        } => {
            let good = match (check, reproduce) {
                (true, _) => fixtures::check(shell, &toolchain)?,
                (_, true) => reproduce::reproduce(shell, &toolchain)?,
                _ => fixtures::regenerate(shell, &toolchain)?,
            };
            if !good {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Bench { what } => match what {
            Bench::Link {
                json,
                svg,
                inputs: None,
            } => bench_link::run(shell, json, svg.as_deref())?,
            Bench::Link {
                json,
                svg,
                inputs: Some(inputs),
            } => bench_link::measure_all(shell, &inputs, json, svg.as_deref())?,
            Bench::Host { svg: Some(svg), .. } => bench_host::draw(shell, &svg)?,
            Bench::Host { json, svg: None } => bench_host::run(json)?,
        },
    }
    Ok(ExitCode::SUCCESS)
}
