//! `link`: the linker by itself, with the command line of LLVM 22's
//! wasm-ld, for rustc (`-C linker=…`), clang (`-fuse-ld=…`) and makefiles.

mod args;
mod config;
mod inputs;
mod listings;
mod options;
mod reproduce;

use std::env::ArgsOs;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::io::Write as _;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstyle::Style;

use crate::component;
use crate::files;
use crate::shell::{BAD, Color, WARNING};
use genkan_link::{Input, Mangled, Options, Report};

use args::Args;
use config::Config;
use options::Opt;

/// `--version`.
const VERSION: &str = concat!(
    "genkan ",
    env!("CARGO_PKG_VERSION"),
    " (compatible with LLD 22 for WebAssembly)\n"
);

/// `--help`, of this program called as `name`.
fn help(name: &str) -> String {
    let options = options::help();
    format!(
        "\
Links WebAssembly objects and archives into a module, with wasm-ld's command line.

Usage: {name} [OPTIONS] -o MODULE FILE...

As genkan-ld, or under the name wasm-ld (a symbolic link will do), it is what rustc and
clang call. Long options take one dash or two; @FILE reads more arguments.

{options}
LLVM bitcode (-flto) is the compiler's to optimise.

Examples:
  {name} --no-entry --export=add -o add.wasm add.o
  cargo build --target wasm32-wasip1 --config 'target.wasm32-wasip1.linker=\"genkan-ld\"'

Exit codes: 0 the module is written; 1 it is not, and stderr says why.
"
    )
}

/// What this program is asked to be, by its name and first argument.
pub enum Call<I> {
    /// The linker alone, under the name wasm-ld or genkan-ld. These are its
    /// arguments.
    Linker(I),
    /// The same, by the command `link`.
    Link(I),
    /// The linker of components, under the name wasm-component-ld.
    ComponentLinker(I),
    /// What runs a module for cargo, under the name genkan-runner: these are the module and
    /// its arguments.
    Runner(I),
    /// The command; its arguments, as they came.
    Command(I),
}

/// What a call of `name` with `arguments` asks for.
pub fn call(name: &OsStr, arguments: ArgsOs) -> Call<Peekable<ArgsOs>> {
    let mut arguments = arguments.peekable();
    match Path::new(name).file_stem().and_then(OsStr::to_str) {
        Some("wasm-ld" | "genkan-ld") => Call::Linker(arguments),
        Some("wasm-component-ld") => Call::ComponentLinker(arguments),
        Some("genkan-runner") => Call::Runner(arguments),
        _ if arguments.next_if(|first| first == "link").is_some() => Call::Link(arguments),
        _ => Call::Command(arguments),
    }
}

/// Runs the linker on its `arguments`; it was called as `name`.
pub fn main(name: &str, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut texts = Vec::new();
    for argument in arguments {
        match argument.into_string() {
            Ok(text) => texts.push(text),
            Err(other) => {
                Console::default().error(format_args!(
                    "an argument is not UTF-8: {}",
                    other.display()
                ));
                return ExitCode::FAILURE;
            }
        }
    }
    let mut by_rustc = false;
    // So rustc calls an lld that is four linkers in one.
    if texts.first().is_some_and(|first| first == "-flavor") {
        match texts.get(1).map(String::as_str) {
            Some("wasm") => {
                by_rustc = true;
                drop(texts.drain(..2));
            }
            other => {
                let other = other.unwrap_or_default();
                Console::default().error(format_args!(
                    "-flavor {other}: this linker's only flavor is wasm"
                ));
                return ExitCode::FAILURE;
            }
        }
    }
    let args = args::parse(texts);
    let mut console = Console::new(&args);
    if let Some(triple) = by_rustc.then(|| component_target(&args)).flatten() {
        console.error(format_args!(
            "{triple} wants a component, and this makes modules; take out `linker`, so that \
             rustc calls {}, and have that call this linker, in .cargo/config.toml:\n\n    \
             [target.{triple}]\n    {}",
            component::LINKER,
            component::CONFIGURATION
        ));
        return ExitCode::FAILURE;
    }
    match run(name, &args, &mut console) {
        Ok(()) if console.errors == 0 => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(errors) => {
            for error in errors {
                console.error(error);
            }
            ExitCode::FAILURE
        }
    }
}

/// The target of components that rustc links for, by the folders that its inputs are in.
fn component_target(args: &Args) -> Option<&'static str> {
    let paths: Vec<&Path> = args.values(Opt::Input).map(Path::new).collect();
    let is_for = |triple: &&str| {
        let is_in = |path: &&Path| path.iter().any(|part| *part == **triple);
        paths.iter().any(is_in)
    };
    component::TARGETS.into_iter().find(|triple| is_for(triple))
}

fn run(name: &str, args: &Args, console: &mut Console) -> Result<(), Vec<String>> {
    if !args.errors.is_empty() {
        return Err(args.errors.clone());
    }
    if args.has(Opt::Help) {
        print(&help(name));
        return Ok(());
    }
    if args.has(Opt::Version) || args.has(Opt::Verbose) {
        print(VERSION);
        if args.has(Opt::Version) || !args.has(Opt::Input) {
            return Ok(());
        }
    }

    let mut warnings = Vec::new();
    let config = config::config(args, &mut warnings);
    for warning in warnings {
        console.warning(warning);
    }
    let mut config = config?;
    let inputs = inputs::open(args)?;
    config
        .options
        .allow_undefined
        .extend(inputs.allow_undefined);
    config.options.report = config.map.is_some()
        || config.why_extract.is_some()
        || config.print_icf
        || config.trace
        || config.print_gc_sections
        || !config.options.trace_symbols.is_empty();
    if let Some(path) = &config.reproduce {
        reproduce::write(path, args, &inputs.opened, VERSION)
            .map_err(|error| vec![format!("{error:#}")])?;
    }
    if let Some(threads) = config.threads {
        // Fails only if the pool is there already, and nothing has used it yet.
        let _ = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global();
    }
    let files: Vec<Input<'_>> = inputs.files.iter().map(|file| file.input()).collect();
    let mut program = files::Program::new(&config.output);
    let notes =
        genkan_link::link_into(&files, &config.options, &mut program).map_err(|errors| {
            let texts = errors.iter().map(|error| message(error, &config.options));
            texts.collect::<Vec<_>>()
        })?;
    for warning in &notes.warnings {
        console.warning(message(warning, &config.options));
    }
    // Fatal warnings: nothing is written.
    if console.errors > 0 {
        return Ok(());
    }
    write(&config, &files, &notes.report, program).map_err(|error| vec![format!("{error:#}")])
}

/// A message of the linker's, with symbols' names as the options want them.
fn message(what: impl Display, options: &Options) -> String {
    match options.demangle {
        true => what.to_string(),
        false => Mangled(what).to_string(),
    }
}

fn write(
    config: &Config,
    files: &[Input<'_>],
    report: &Report,
    program: files::Program,
) -> anyhow::Result<()> {
    if config.trace {
        let always = files.iter().filter(|file| {
            file.role == genkan_link::Role::Default && !file.bytes.starts_with(b"!")
        });
        let mut text: String = always.map(|file| format!("{}\n", file.name)).collect();
        text.extend(
            report
                .extracted
                .iter()
                .map(|extracted| format!("{}\n", extracted.origin)),
        );
        print(&text);
    }
    print(&listings::traced(report));
    if config.print_icf {
        print(&listings::folded(report, &config.options));
    }
    if config.print_gc_sections {
        print(&listings::removed(report));
    }
    let map = || listings::map(report, &config.options, program.bytes());
    let why_extract = || listings::why_extract(report, &config.options);
    let listings: [(&Option<PathBuf>, &dyn Fn() -> String); 2] =
        [(&config.map, &map), (&config.why_extract, &why_extract)];
    for (path, text) in listings {
        match path {
            Some(path) if path == Path::new("-") => print(&text()),
            Some(path) => files::write(path, text().as_bytes())?,
            None => {}
        }
    }
    program.finish()
}

/// Listings go to stdout. Nobody may be reading; the module is written anyway.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Errors and warnings, in wasm-ld's manner.
struct Console {
    fatal_warnings: bool,
    limit: usize,
    errors: usize,
}

impl Default for Console {
    fn default() -> Self {
        Console {
            fatal_warnings: false,
            limit: 20,
            errors: 0,
        }
    }
}

impl Console {
    fn new(args: &Args) -> Self {
        let mut console = Console {
            fatal_warnings: args.flag(Opt::FatalWarnings, Opt::NoFatalWarnings, false),
            ..Console::default()
        };
        let color = [Opt::ColorDiagnostics, Opt::NoColorDiagnostics];
        match args.last(&color).map(|arg| (arg.opt, arg.value.as_str())) {
            Some((Opt::NoColorDiagnostics, _) | (_, "never")) => Color::Never.apply(),
            Some((_, "" | "always")) => Color::Always.apply(),
            Some((_, other)) if other != "auto" => {
                console.error(format_args!("unknown option: --color-diagnostics={other}"));
            }
            _ => {}
        }
        match args.value(Opt::ErrorLimit).map(str::parse) {
            None => {}
            Some(Ok(0)) => console.limit = usize::MAX,
            Some(Ok(limit)) => console.limit = limit,
            Some(Err(_)) => console.error("--error-limit: number expected"),
        }
        console
    }

    fn warning(&mut self, what: impl Display) {
        if self.fatal_warnings {
            self.error(what);
        } else {
            say(WARNING, "warning:", what);
        }
    }

    fn error(&mut self, what: impl Display) {
        if self.errors < self.limit {
            say(BAD, "error:", what);
        } else if self.errors == self.limit {
            say(
                BAD,
                "error:",
                "too many errors, stopping now (--error-limit=0 shows all)",
            );
        }
        self.errors += 1;
    }
}

fn say(style: Style, word: &str, what: impl Display) {
    // Nobody may be reading; there is nobody to tell, then.
    let _ = writeln!(anstream::stderr(), "wasm-ld: {style}{word}{style:#} {what}");
}
