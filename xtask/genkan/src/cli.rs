//! The commands and their options, as clap reads them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::build_guest::{self, LinkSettings, Memory, PanicMode, Request};
use crate::compile::Settings;
use crate::guest::Guest;
use crate::shell::{self, Color, Shell};
use crate::{diff, files, inspect, new, run, toolchain, wat, watch};

/// Builds WebAssembly guests from Rust, with no tool outside Rust.
#[derive(Debug, Parser)]
#[command(
    name = "genkan",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  cargo xtask run                          the main job: builds calc, runs it, prints its result
  cargo xtask build-guest my/guest.rs      any Rust file to target/guests/guest.wasm
  cargo xtask inspect target/guests/guest.wasm

Exit codes: 0 done; 1 it failed, and stderr says why; 2 the command line is wrong."
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Common {
    /// Say errors only
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Also show the commands that are run
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
    /// Colours in messages
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "auto|always|never"
    )]
    color: Color,
}

impl Common {
    /// What the user sees, by these options.
    pub fn shell(&self) -> Shell {
        self.color.apply();
        Shell {
            quiet: self.quiet,
            verbose: self.verbose,
            color: self.color,
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compile a guest, link it in Rust, write the module
    #[command(after_help = "\
GUEST is the name of an example of the package `guest`; a path to a .rs file, to a package (its
folder or its Cargo.toml), or to an object from any compiler. Without it, `calc` is built.

Examples:
  cargo xtask build-guest                              guest/examples/calc.rs
  cargo xtask build-guest ../guest.rs -o guest.wasm    any Rust file
  cargo xtask build-guest . --memory export            the package here, with its dependencies
  cargo xtask build-guest guest.rs helper.o libx.a     with objects and archives from elsewhere
  cargo xtask build-guest calc --rustc ~/old/bin/rustc --target wasm32-wasi

Exit codes: 0 the module is written; 1 it is not; 2 the command line is wrong.")]
    #[command(visible_alias = "build-guest")]
    Build(BuildArgs),
    /// Build a guest and run it in the host
    #[command(after_help = "\
Besides what build-guest takes, GUEST may be a finished module, .wasm or .wat. What follows `--`
goes to the host; `cargo xtask run -- --help` shows what it takes.

Examples:
  cargo xtask run                                      prints `result: 22`
  cargo xtask run calc -- --data 5,6,7 1               prints `result: 8`
  cargo xtask run module.wat -- --invoke add 1 2

Exit codes: 0 the guest ended well; 1 it did not; 2 the command line is wrong.")]
    Run {
        /// What to build
        #[command(flatten)]
        build: BuildArgs,
        /// Build the host with optimisations: large guests compile faster
        #[arg(long)]
        release: bool,
        /// Arguments of the host
        #[arg(last = true, value_name = "HOST ARGS")]
        host: Vec<OsString>,
    },
    /// Build and run a guest again whenever its source changes
    #[command(
        after_help = "Example: cargo xtask watch calc -- --data 1,2,3 4\n\nEnd it with Ctrl-C."
    )]
    Watch {
        /// What to build
        #[command(flatten)]
        build: BuildArgs,
        /// Arguments of the host
        #[arg(last = true, value_name = "HOST ARGS")]
        host: Vec<OsString>,
    },
    /// Show an object or a module as text
    #[command(after_help = "Example: cargo xtask wat target/guests/calc.wasm | less")]
    Wat {
        /// An object or a module
        file: PathBuf,
        /// Write the text here instead of stdout
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Show what is in a module: interface, memory, sizes
    #[command(after_help = "\
Examples:
  cargo xtask inspect target/guests/calc.wasm
  cargo xtask inspect big.wasm --top 20             its 20 largest functions and crates
  cargo xtask inspect big.wasm --html big.html      a treemap with search, and why each is there")]
    Inspect(InspectArgs),
    /// Show how two modules differ
    #[command(after_help = "\
Examples:
  cargo xtask diff old.wasm new.wasm
  cargo xtask diff old.wasm new.wasm --html sizes.html

Exit codes: 0 they are the same bytes; 1 they differ, or one cannot be read.")]
    Diff {
        /// The module before
        old: PathBuf,
        /// The module after
        new: PathBuf,
        /// Draw sizes before and after as a page, besides
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Show which compilers are here and which one would be used
    #[command(after_help = "\
Example: cargo xtask toolchain --rustc ~/old/bin/rustc

Exit codes: 0 a guest can be compiled; 1 it cannot, and what to type is shown.")]
    Toolchain {
        /// Which compiler
        #[command(flatten)]
        toolchain: ToolchainArgs,
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
    /// Print a completion script for a shell
    #[command(
        after_help = "Example: cargo xtask completions bash > ~/.local/share/bash-completion/completions/xtask"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Link objects with wasm-ld's command line; `link --help` shows it
    #[command(disable_help_flag = true)]
    Link {
        /// As wasm-ld's
        #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
        arguments: Vec<OsString>,
    },
}

/// What to show of a module, and how.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A module or an object
    file: PathBuf,
    /// As JSON, sizes in bytes
    #[arg(long, conflicts_with_all = ["top", "html", "svg"])]
    json: bool,
    /// Of functions and crates, only the N largest
    #[arg(long, value_name = "N", conflicts_with_all = ["html", "svg"])]
    top: Option<usize>,
    /// Draw it as a page: a treemap with search, and why each function is there
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Draw it as a picture
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Which compiler, and for which target.
#[derive(Debug, Args)]
pub struct ToolchainArgs {
    /// This compiler, from Rust 1.63 on
    #[arg(long, value_name = "PATH")]
    rustc: Option<PathBuf>,
    /// This target; a WASI one that the compiler has, otherwise
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
}

/// What to build, and how.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// What to build: an example's name or a path
    guest: Option<String>,
    /// Objects and archives to link with it
    #[arg(value_name = "OBJECT")]
    objects: Vec<PathBuf>,
    /// Write the module here [default: target/guests/NAME.wasm]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    toolchain: ToolchainArgs,
    /// Export this function, and only those so named; repeatable
    #[arg(long, value_name = "NAME")]
    export: Vec<String>,
    /// The host has this function, if no library has; repeatable
    #[arg(long, value_name = "NAME")]
    import: Vec<String>,
    /// Every undefined function is the host's
    #[arg(long)]
    allow_undefined: bool,
    /// Where the module's memory comes from
    #[arg(long, value_enum, default_value_t)]
    memory: Memory,
    /// What a panic becomes [default: std for programs, report for others]
    #[arg(long, value_enum)]
    panic: Option<PanicMode>,
    /// Drop names and all that the module can run without
    #[arg(long)]
    strip: bool,
    /// Compile with debug information, and keep it
    #[arg(short = 'g', long, conflicts_with = "strip")]
    debug: bool,
    /// The Rust edition of a .rs file
    #[arg(long, default_value = "2021", value_name = "YEAR")]
    edition: String,
    /// Which program of a package that has several
    #[arg(long, value_name = "NAME")]
    bin: Option<String>,
    /// Show how this symbol came into the module, instead of writing it
    #[arg(long, value_name = "SYMBOL")]
    why: Option<String>,
}

impl From<ToolchainArgs> for toolchain::Request {
    fn from(arguments: ToolchainArgs) -> Self {
        toolchain::Request {
            rustc: arguments.rustc,
            target: arguments.target,
        }
    }
}

impl BuildArgs {
    /// The request, and the symbol of `--why`.
    fn request(self) -> anyhow::Result<(Request, Option<String>)> {
        let request = Request {
            guest: Guest::find(self.guest.as_deref())?,
            objects: self.objects,
            toolchain: self.toolchain.into(),
            settings: Settings {
                edition: self.edition,
                debug: self.debug,
            },
            link: LinkSettings {
                exports: self.export,
                imports: self.import,
                allow_undefined: self.allow_undefined,
                memory: self.memory,
                panic: self.panic,
                strip: self.strip,
                debug: self.debug,
            },
            bin: self.bin,
            output: self.output,
        };
        Ok((request, self.why))
    }
}

/// Runs the command line without the program's name.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = Cli::parse_from(std::iter::once("genkan".into()).chain(arguments));
    exit(execute(cli.common.shell(), cli.command))
}

/// The exit code of a command; says the error, if it failed.
pub fn exit(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        shell::error(format_args!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// Runs a command.
pub fn execute(shell: Shell, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Build(arguments) => match arguments.request()? {
            (request, None) => drop(build_guest::build(shell, &request)?),
            (request, Some(symbol)) => {
                shell::print(&build_guest::why(shell, &request, &symbol)?)?;
            }
        },
        Command::Run {
            build,
            release,
            host,
        } => {
            let (request, _) = build.request()?;
            return run::run(shell, &request, release, &host);
        }
        Command::Watch { build, host } => {
            let (request, _) = build.request()?;
            watch::watch(shell, &request, &host)?;
        }
        Command::Wat { file, output } => {
            let text = wat::text(&file)?;
            match output {
                Some(output) => files::write(&output, text.as_bytes())?,
                None => shell::print(&text)?,
            }
        }
        Command::Inspect(arguments) => show(shell, &arguments)?,
        Command::Diff { old, new, html } => {
            let difference = diff::diff(&old, &new)?;
            if let Some(html) = html {
                files::write(&html, diff::page(&old, &new)?.as_bytes())?;
                shell.status("Drew", html.display());
            }
            if let Some(text) = difference {
                shell::print(&text)?;
                return Ok(ExitCode::FAILURE);
            }
            shell.status("Same", "they are the same bytes");
        }
        Command::Toolchain { toolchain } => {
            let (text, good) = toolchain::report(&toolchain.into());
            shell::print(&text)?;
            if !good {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::New { name, package } => new::new(shell, &name, package)?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "xtask", &mut script);
            shell::print(std::str::from_utf8(&script).context("a script is UTF-8")?)?;
        }
        // `main` takes it before clap sees it; clap has it for its help.
        Command::Link { .. } => unreachable!("main runs the linker"),
    }
    Ok(ExitCode::SUCCESS)
}

/// `inspect`: text or JSON, or pictures instead.
fn show(shell: Shell, arguments: &InspectArgs) -> anyhow::Result<()> {
    let InspectArgs {
        file,
        json,
        top,
        html,
        svg,
    } = arguments;
    let summary = inspect::inspect(file)?;
    let name = files::file_name(file);
    type Draw = fn(&str, &inspect::Summary) -> String;
    for (output, draw) in [(html, inspect::page as Draw), (svg, inspect::svg)] {
        if let Some(output) = output {
            files::write(output, draw(&name, &summary).as_bytes())?;
            shell.status("Drew", output.display());
        }
    }
    if html.is_some() || svg.is_some() {
        return Ok(());
    }
    shell::print(&match json {
        true => serde_json::to_string_pretty(&summary)? + "\n",
        false => summary.text(*top),
    })
}
