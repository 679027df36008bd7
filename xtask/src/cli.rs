//! The commands of `cargo xtask`: genkan's own, and this repository's chores.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use genkan::cli::{self, BUILD_HELP, BuildArgs, Common, RUN_HELP, RunArgs, Shared};
use genkan::shell::Shell;

use crate::repository::Checkout;
use crate::{bench_host, bench_link, conformance, fixtures, new, reproduce};

/// Builds WebAssembly guests from Rust, with no tool outside Rust.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  cargo xtask run                          the main job: builds calc, runs it, prints its result
  cargo xtask build-guest my/guest.rs      any Rust file to a module
  cargo xtask inspect target/guests/calc.wasm

Exit codes: 0 done; 1 it failed, and stderr says why; 2 the command line is wrong."
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compile a guest, link it in Rust, write the module
    #[command(after_help = BUILD_HELP, alias = "build")]
    BuildGuest(Box<BuildArgs>),
    /// Build a guest and run it in the host
    #[command(after_help = RUN_HELP)]
    Run {
        /// What to build, and what the host is told
        #[command(flatten)]
        arguments: Box<RunArgs>,
        /// Build the host with optimisations: large guests compile faster
        #[arg(long)]
        release: bool,
    },
    /// Make a new guest that builds and runs at once
    #[command(after_help = "\
Examples:
  cargo xtask new sum                     guest/examples/sum.rs
  cargo xtask new --package ../sum        a package of its own, outside this workspace")]
    New {
        /// The guest's name; with --package, the folder to make
        name: String,
        /// Make a package instead of a file in guest/examples
        #[arg(long)]
        package: bool,
    },
    #[command(flatten)]
    Shared(Shared),
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
    /// Judge the linker by tests of others: lld's own, and those of well-known crates
    #[command(after_help = "\
lld's tests are in LLVM's sources (Debian: `apt-get source --download-only llvm-toolchain-19`, then
unpack lld/test/wasm), and need LLVM's tools of about the same version. What wasm-ld itself fails is
not counted. The crates come from the registry, and node runs their tests.

Examples:
  cargo xtask conformance ~/llvm-toolchain-19/lld/test/wasm
  cargo xtask conformance ~/llvm-toolchain-19 --only weak --only tls
  cargo xtask conformance --crates")]
    Conformance {
        /// lld/test/wasm of LLVM's sources, or a folder above it
        #[arg(required_unless_present = "crates")]
        path: Option<PathBuf>,
        /// Build the crates' own tests with this linker and with rust-lld, run both, compare
        #[arg(long, conflicts_with = "path")]
        crates: bool,
        /// Where LLVM's tools are; the newest in /usr/lib/llvm-*/bin otherwise
        #[arg(long, value_name = "DIR", conflicts_with = "crates")]
        tools: Option<PathBuf>,
        /// Only those with this in their name; repeatable
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
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

/// The installed command's words, and what stands for them here.
const WORDS: [(&str, &str); 8] = [
    (
        "GUEST is a path: to",
        "GUEST is the name of an example in guest/examples, or a path: to",
    ),
    (
        "Without it, the package in the current folder is built.",
        "Without it, calc is built.",
    ),
    (
        "Without -o, the module of a package is target/guests/NAME.wasm in the package's folder. That of a\n\
         file is target/guests/NAME-HASH/NAME.wasm in the current folder, where HASH stands for the file's\n\
         path:",
        "Without -o, the module of an example is target/guests/NAME.wasm, and of another guest\n\
         target/guests/NAME-HASH/NAME.wasm, where HASH stands for its path:",
    ),
    (
        "genkan build                                  the package here, with its dependencies",
        "genkan build                                  guest/examples/calc.rs",
    ),
    (
        "genkan run                                    the package here",
        "genkan run                                    prints `result: 22`",
    ),
    (
        "genkan run -- --invoke add 20 22              with other arguments",
        "genkan run calc -- --data 5,6,7 1             prints `result: 8`",
    ),
    ("genkan build", "cargo xtask build-guest"),
    ("genkan ", "cargo xtask "),
];

/// The command line, with the words of this program.
fn command() -> clap::Command {
    cli::reworded(Cli::command(), &WORDS)
}

/// Runs the command line without the program's name.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli: Cli = cli::parse(command(), arguments);
    cli::exit(execute(cli.common.shell(), cli.command))
}

fn execute(shell: Shell, command: Command) -> anyhow::Result<ExitCode> {
    let mut checkout = Checkout::find();
    let good = match command {
        Command::BuildGuest(arguments) => return arguments.build(&checkout.context(shell)),
        Command::Run { arguments, release } => {
            checkout.optimised = release;
            return arguments.run(&checkout.context(shell));
        }
        Command::New { name, package } => {
            match package {
                true => genkan::new::package(&checkout.context(shell), name.as_ref())?,
                false => new::example(shell, &checkout, &name)?,
            }
            true
        }
        Command::Shared(command) => {
            return cli::execute(&checkout.context(shell), command, self::command());
        }
        Command::Fixtures {
            check,
            reproduce,
            toolchain,
        } => match (check, reproduce) {
            (true, _) => fixtures::check(shell, &checkout, &toolchain)?,
            (_, true) => reproduce::reproduce(shell, &checkout, &toolchain)?,
            _ => fixtures::regenerate(shell, &checkout, &toolchain)?,
        },
        Command::Conformance {
            path,
            crates: _,
            tools,
            only,
        } => match path {
            Some(path) => {
                conformance::lld(shell, &path, tools, &only)?;
                true
            }
            None => {
                let target = checkout.context(shell).target_folder()?;
                conformance::crates::run(shell, &target.join("conformance"), &only)?
            }
        },
        Command::Bench { what } => {
            match what {
                Bench::Link {
                    json,
                    svg,
                    inputs: None,
                } => bench_link::run(shell, &checkout, json, svg.as_deref())?,
                Bench::Link {
                    json,
                    svg,
                    inputs: Some(inputs),
                } => bench_link::measure_all(shell, &inputs, json, svg.as_deref())?,
                Bench::Host { svg: Some(svg), .. } => bench_host::draw(shell, &checkout, &svg)?,
                Bench::Host { json, svg: None } => bench_host::run(shell, &checkout, json)?,
            }
            true
        }
    };
    Ok(match good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each replaced text is one that is there.
    #[test]
    fn nothing_of_the_installed_command_is_in_the_help() {
        let mut text = String::new();
        for command in command().get_subcommands() {
            text += &command.clone().render_long_help().to_string();
        }
        for (from, to) in WORDS {
            let to = to.replace("genkan build", "cargo xtask build-guest");
            assert!(
                text.contains(&to.replace("genkan run", "cargo xtask run")),
                "{to}\n{text}"
            );
            assert!(!text.contains(from), "{from}");
        }
    }
}
