//! The commands and their options, as clap reads them.
//!
//! Texts are those of the installed command; `cargo xtask`, which has the same
//! commands and more, puts its own words in ([`reworded`]).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::build_guest::{self, Folding, LinkSettings, Memory, PanicMode, Request};
use crate::compile::Settings;
use crate::context::Context;
use crate::guest::Guest;
use crate::shell::{self, Color, Shell};
use crate::{cargo, diff, files, inspect, new, profile, run, toolchain, wat, watch};

/// Builds WebAssembly guests from Rust, and runs them, with no tool outside Rust.
#[derive(Debug, Parser)]
#[command(
    name = "genkan",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  genkan new plugin                        a guest to start from, in the folder plugin
  cd plugin && genkan run                  builds it, runs it, prints its result
  genkan build my/guest.rs -o guest.wasm   any Rust file to a module
  genkan inspect guest.wasm                what is in it

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

/// The installed command's own; `cargo xtask` has others by these names.
#[derive(Debug, Subcommand)]
enum Command {
    /// Compile a guest, link it in Rust, write the module
    #[command(after_help = BUILD_HELP)]
    Build(Box<BuildArgs>),
    /// Build a guest and run it in the host
    #[command(after_help = RUN_HELP)]
    Run(Box<RunArgs>),
    /// Make a new guest, a package that builds and runs at once
    #[command(after_help = "\
Example: genkan new plugin && cd plugin && genkan run

The guest API, genkan-guest, is put into the package, so that it can be built by everybody, by
plain cargo and without a network. Nothing that exists is overwritten.")]
    New {
        /// The folder to make; its name is the guest's
        folder: PathBuf,
    },
    #[command(flatten)]
    Shared(Shared),
}

/// What follows the help of `build`.
pub const BUILD_HELP: &str = "\
GUEST is a path: to a .rs file, to a package (its folder or its Cargo.toml), or to an object from
any compiler. Without it, the package in the current folder is built.

Without -o, the module of a package is target/guests/NAME.wasm in the package's folder. That of a
file is target/guests/NAME-HASH/NAME.wasm in the current folder, where HASH stands for the file's
path: guests of one name do not meet. CARGO_TARGET_DIR replaces target. The path is shown.

Examples:
  genkan build                                  the package here, with its dependencies
  genkan build ../guest.rs -o guest.wasm        any Rust file
  genkan build . --memory export                with a memory of its own, for any engine
  genkan build guest.rs helper.o libx.a         with objects and archives from elsewhere
  genkan build guest.rs --rustc 1.63.0          with another compiler

Exit codes: 0 the module is written; 1 it is not; 2 the command line is wrong.";

/// What follows the help of `run`.
pub const RUN_HELP: &str = "\
Besides what build takes, GUEST may be a finished module, .wasm or .wat. What follows `--` goes to
the host; `genkan run GUEST -- --help` shows what it takes. Where nothing follows, a package is run
as its Cargo.toml says, a list in [package.metadata.genkan]: run = [\"--invoke\", \"add\", \"1\", \"2\"].

Examples:
  genkan run                                    the package here
  genkan run -- --invoke add 20 22              with other arguments
  genkan run sum.rs -- --data 5,6,7             grants it three bytes; passes their pointer
  genkan run module.wat -- --invoke add 1 2

Exit codes: 0 the guest ended well; 1 it did not; 2 the command line is wrong; a program's own.";

/// What follows the help of `profile`.
const PROFILE_HELP: &str = "\
GUEST and what follows `--` are as for `run`. The flame graph is a file for a browser: a box's width
is the share of the time that was spent in a function, on top of what called it. Click to zoom,
Ctrl-F to search. Build with -g to see what is inlined, and lines.

Samples are taken by checks in the guest's own code: where functions begin and return, where loops
begin again, once some thousand instructions are done. The time of a host function, and of a function
of a few instructions, is its caller's. Time to compile is not in it.

Examples:
  genkan profile                                the package here, into NAME.svg
  genkan profile sum.rs -g -- --data 5,6,7      with lines
  genkan profile guest.wasm --folded - | less   as folded stacks, for other tools

Exit codes: as for `run`, and 1 where no sample was taken; what the guest did before it failed is
drawn.";

/// The commands that `cargo xtask` has as well.
#[derive(Debug, Subcommand)]
pub enum Shared {
    /// Build and run a guest again whenever its source changes
    #[command(
        after_help = "Example: genkan watch guest.rs -- --data 1,2,3 4\n\nEnd it with Ctrl-C. A guest that still runs when its source changes is ended."
    )]
    Watch(Box<RunArgs>),
    /// Build and run a guest, and draw where its time goes
    #[command(after_help = PROFILE_HELP)]
    Profile(Box<ProfileArgs>),
    /// Show an object or a module as text
    #[command(after_help = "Example: genkan wat guest.wasm | less")]
    Wat {
        /// An object or a module; - is stdin
        file: PathBuf,
        /// Write the text here instead of stdout
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Show what is in a module: interface, memory, sizes
    #[command(after_help = "\
Examples:
  genkan inspect guest.wasm
  genkan inspect big.wasm --top 20             its 20 largest functions and crates
  genkan inspect big.wasm --html big.html      a treemap with search, and why each is there")]
    Inspect(InspectArgs),
    /// Show how two modules differ
    #[command(after_help = "\
Examples:
  genkan diff old.wasm new.wasm
  genkan diff old.wasm new.wasm --html sizes.html

Exit codes: 0 they are the same bytes; 1 they differ; 2 one cannot be read, or the command line is
wrong.")]
    Diff {
        /// The module before; - is stdin
        old: PathBuf,
        /// The module after; - is stdin
        new: PathBuf,
        /// Draw sizes before and after as a page, besides
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Run cargo with genkan as the linker of every Wasm target, and as what runs WASI's programs
    #[command(
        disable_help_flag = true,
        after_help = "\
Examples:
  genkan cargo build --target wasm32-wasip1 --release
  genkan cargo test --target wasm32-wasip1

All arguments are cargo's, and so is the exit code. The targets are wasm32-wasip1, -wasip2, -wasip3,
-wasip1-threads, -unknown-unknown and wasm32v1-none; components are made by the wasm-component-ld
that comes with Rust. Your flags and configuration stay in force, but for the linker, and for
the runner of wasm32-wasip1 unless CARGO_TARGET_WASM32_WASIP1_RUNNER is set. To have it so without
this command, see `genkan toolchain`."
    )]
    Cargo {
        /// As cargo's
        #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
        arguments: Vec<OsString>,
    },
    /// Show which compilers are here, which one would be used, and how cargo can link with genkan
    #[command(after_help = "\
Example: genkan toolchain --rustc 1.63.0

Exit codes: 0 a guest can be compiled; 1 it cannot, and what to type is shown.")]
    Toolchain {
        /// Which compiler
        #[command(flatten)]
        toolchain: ToolchainArgs,
    },
    /// Print a completion script for a shell
    #[command(
        after_help = "Example: genkan completions bash > ~/.local/share/bash-completion/completions/genkan"
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

/// What to build, and what the host is told.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// What to build
    #[command(flatten)]
    build: BuildArgs,
    /// Arguments of the host
    #[arg(last = true, value_name = "HOST ARGS")]
    host: Vec<OsString>,
}

/// What to profile, and what to make of it.
#[derive(Debug, Args)]
pub struct ProfileArgs {
    /// What to run
    #[command(flatten)]
    run: RunArgs,
    /// Draw the flame graph here [default: NAME.svg in the current folder]; - is stdout
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write folded stacks here, instead of drawing if there is no --svg; - is stdout
    #[arg(long, value_name = "FILE")]
    folded: Option<PathBuf>,
    /// How many samples a second
    #[arg(long, value_name = "COUNT", default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
}

/// What to show of a module, and how.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A module or an object; - is stdin
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
    /// This compiler, from Rust 1.63 on: its path, or a toolchain of rustup's
    #[arg(long, value_name = "PATH|NAME")]
    rustc: Option<PathBuf>,
    /// This target; a WASI one that the compiler has, otherwise
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
}

/// What to build, and how.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// What to build
    guest: Option<String>,
    /// Objects and archives to link with it
    #[arg(value_name = "OBJECT")]
    objects: Vec<PathBuf>,
    /// Write the module here; - is stdout
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
    /// Whether functions that are the same are written once [default: safe; none with --debug,
    /// since an address is of one line only]
    #[arg(long, value_enum)]
    icf: Option<Folding>,
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
    fn request(self, context: &Context<'_>) -> anyhow::Result<(Request, Option<String>)> {
        let request = Request {
            guest: Guest::find(context, self.guest.as_deref())?,
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
                icf: self.icf,
                strip: self.strip,
                debug: self.debug,
            },
            bin: self.bin,
            output: self.output,
        };
        Ok((request, self.why))
    }

    /// `build`.
    pub fn build(self, context: &Context<'_>) -> anyhow::Result<ExitCode> {
        match self.request(context)? {
            (request, None) => drop(build_guest::build(context, &request)?),
            (request, Some(symbol)) => {
                shell::print(&build_guest::why(context, &request, &symbol)?)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl RunArgs {
    /// `run`.
    pub fn run(self, context: &Context<'_>) -> anyhow::Result<ExitCode> {
        let (request, _) = self.build.request(context)?;
        run::run(context, &request, &self.host)
    }
}

/// Runs the command line without the program's name.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli: Cli = parse(Cli::command(), arguments);
    let context = Context::installed(cli.common.shell());
    exit(match cli.command {
        Command::Build(arguments) => arguments.build(&context),
        Command::Run(arguments) => arguments.run(&context),
        Command::New { folder } => new::package(&context, &folder).map(|()| ExitCode::SUCCESS),
        Command::Shared(command) => execute(&context, command, Cli::command()),
    })
}

/// Reads a command line, of which `arguments` are all but the program's name, into
/// the type that made `command`; ends the process if it is wrong.
pub fn parse<T: clap::FromArgMatches>(
    mut command: clap::Command,
    arguments: impl Iterator<Item = OsString>,
) -> T {
    let mut words = vec![OsString::from(command.get_name())];
    words.extend(arguments);
    // Everything after `cargo` is cargo's, options that are also ours too.
    if words.get(1).is_some_and(|word| word == "cargo") {
        words.insert(2, "--".into());
    }
    let matches = command.clone().get_matches_from(words);
    T::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
}

/// `command` with its texts changed: each pair's first is replaced by its second, one
/// pair after the other.
pub fn reworded(command: clap::Command, pairs: &[(&str, &str)]) -> clap::Command {
    let replace = |text: &clap::builder::StyledStr| {
        let text = text.to_string();
        pairs
            .iter()
            .fold(text, |text, (from, to)| text.replace(from, to))
    };
    let mut command = command;
    if let Some(text) = command.get_after_help().map(replace) {
        command = command.after_help(text);
    }
    if let Some(text) = command.get_about().map(replace) {
        command = command.about(text);
    }
    let names: Vec<String> = command
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |command| reworded(command, pairs))
    })
}

/// The exit code of a command; says the error, if it failed.
pub fn exit(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        shell::error(format_args!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// Runs a command of the command line `cli`.
pub fn execute(
    context: &Context<'_>,
    command: Shared,
    mut cli: clap::Command,
) -> anyhow::Result<ExitCode> {
    match command {
        Shared::Watch(arguments) => {
            let (request, _) = arguments.build.request(context)?;
            watch::watch(context, &request, &arguments.host)?;
        }
        Shared::Profile(arguments) => {
            let ProfileArgs {
                run,
                svg,
                folded,
                rate,
            } = *arguments;
            let stdout = |path: &Option<PathBuf>| path.as_deref().is_some_and(files::is_stdio);
            if stdout(&svg) && stdout(&folded) {
                let problem = "--svg and --folded cannot both be stdout";
                cli.error(clap::error::ErrorKind::ArgumentConflict, problem)
                    .exit();
            }
            let (build, _) = run.build.request(context)?;
            let request = profile::Request {
                build,
                arguments: run.host,
                rate,
                svg,
                folded,
            };
            return profile::profile(context, request);
        }
        Shared::Wat { file, output } => {
            let text = wat::text(&file)?;
            match output {
                Some(output) => files::write_or_stdout(&output, text.as_bytes())?,
                None => shell::print(&text)?,
            }
        }
        Shared::Inspect(arguments) => show(context.shell, &arguments)?,
        Shared::Diff { old, new, html } => {
            return Ok(
                diff(context, &old, &new, html.as_deref()).unwrap_or_else(|error| {
                    shell::error(format_args!("{error:#}"));
                    ExitCode::from(2)
                }),
            );
        }
        Shared::Cargo { arguments } => return cargo::run(context, &arguments),
        Shared::Toolchain { toolchain } => {
            let (text, good) = toolchain::report(&toolchain.into())?;
            shell::print(&text)?;
            if !good {
                return Ok(ExitCode::FAILURE);
            }
        }
        Shared::Completions { shell } => {
            let mut script = Vec::new();
            let name = cli.get_name().replace("cargo ", "");
            clap_complete::generate(shell, &mut cli, name, &mut script);
            shell::print(std::str::from_utf8(&script).context("a script is UTF-8")?)?;
        }
        // `start` takes it before clap sees it; clap has it for its help.
        Shared::Link { .. } => unreachable!("the linker runs before"),
    }
    Ok(ExitCode::SUCCESS)
}

fn diff(
    context: &Context<'_>,
    old: &Path,
    new: &Path,
    html: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let difference = diff::diff(old, new)?;
    if let Some(html) = html {
        files::write(html, diff::page(old, new)?.as_bytes())?;
        context.shell.status("Drew", html.display());
    }
    match difference {
        Some(text) => {
            shell::print(&text)?;
            Ok(ExitCode::from(1))
        }
        None => {
            context.shell.status("Same", "they are the same bytes");
            Ok(ExitCode::SUCCESS)
        }
    }
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
