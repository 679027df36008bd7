//! `cargo xtask link`: the linker by itself, with the command line of LLVM 22's
//! wasm-ld, for rustc (`-C linker=…`), clang (`-fuse-ld=…`) and makefiles.

mod args;
mod config;
mod inputs;
mod listings;

use std::env::ArgsOs;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstyle::Style;

use crate::files;
use crate::shell::{BAD, Color, WARNING};
use genkan_link::{Input, Report};

use args::{Args, Opt};
use config::Config;

const HELP: &str = "\
Links WebAssembly objects and archives into a module, with wasm-ld's command line.

Usage: cargo xtask link [OPTIONS] -o MODULE FILE...

Under the name wasm-ld (a symbolic link to xtask will do), it is what rustc and
clang call. Long options take one dash or two; @FILE reads more arguments.

Inputs:
  FILE                      An object, or an archive whose members are taken as needed
  -l NAME, -l:FILE          libNAME.a, or FILE, in the folders of -L
  -L DIR                    Look for libraries in DIR
  --whole-archive           Take every member of the archives that follow
  --no-whole-archive        … no longer
  --start-lib, --end-lib    Take the objects between them as needed
Output:
  -o MODULE                 Where to write the module
  -s, --strip-all           Drop all that the module can run without
  -S, --strip-debug         Drop debug information
  --keep-section=NAME       Keep this custom section all the same
  --compress-relocations    Shortest encoding of numbers in code; needs -s or -S
  -O 0|1|2                  0: strings are not merged; 2: nor stored at others' ends twice
  --no-merge-data-segments  One data segment for each input section
  --build-id[=STYLE]        fast, sha1, uuid, 0xHEX or none
  --no-demangle             Functions' names as the objects have them
  --soname=NAME             The module's name in its name section
  --features=A,B            Declare these features; --extra-features adds to the objects' own
  --no-check-features       Do not compare the objects' features
Symbols:
  -e NAME, --entry=NAME     The function that starts the program [default: _start]
  --no-entry                There is none
  --export=NAME             Export NAME; --export-if-defined=NAME, if there is one
  --export-all              Export every symbol; -E, --export-dynamic: every visible one
  -u NAME                   Resolve NAME though nothing refers to it
  --wrap=NAME               Lead calls of NAME to __wrap_NAME
  --defsym=NAME=SYMBOL      Let NAME be another name of SYMBOL
  --import=NAME             NAME is the host's: an import if nothing defines it
  --allow-undefined         Whatever is undefined is the host's; --no-allow-undefined: not
  --allow-undefined-file=F  The names in F, one a line, are
  --import-undefined        Undefined functions are; undefined data is an error
  --unresolved-symbols=P    report-all or ignore-all (calls trap)
  --warn-unresolved-symbols Warn only; calls trap
  --allow-multiple-definition, -z muldefs
                            The first of several definitions counts
  --no-gc-sections          Keep what nothing reaches
  --panic=report|trap|std   What a Rust panic becomes: file and line for the host, a bare
                            trap, or rustc's own message [default: std]
Memory and table:
  --import-memory[=MOD,NAME], --export-memory[=NAME]
                            [default: exported as memory]
  --initial-memory=BYTES, --max-memory=BYTES, --no-growable-memory, --initial-heap=BYTES
  --shared-memory           Threads share it; needs objects with atomics
  -z stack-size=BYTES       [default: 65536]
  --no-stack-first          The stack lies after the data
  --global-base=ADDRESS     Where data begins
  --import-table, --export-table, --growable-table, --table-base=INDEX
Messages:
  -Map=FILE, -M             What is where in the module, to FILE or stdout
  --why-extract=FILE        Which archive members were taken, and for what
  -t, --trace               Names of the objects that take part
  --fatal-warnings          Warnings are errors
  --error-limit=N           Stop after N errors; 0 for all [default: 20]
  --color-diagnostics[=auto|always|never]
  --threads=N               [default: one for each processor]
  -v, --version             Print the version

Not implemented, and refused: -r, -shared, -pie, --emit-relocs, wasm64,
LLVM bitcode (-flto), --reproduce, --trace-symbol, --print-gc-sections.

Examples:
  cargo xtask link --no-entry --export=add -o add.wasm add.o
  cargo build --target wasm32-wasip1 --config 'target.wasm32-wasip1.linker=\"./wasm-ld\"'

Exit codes: 0 the module is written; 1 it is not, and stderr says why.
";

/// The linker's arguments, if this program is called as `name` with `arguments` to
/// be the linker: by a link of that name, or as `link`, whose options are
/// wasm-ld's. Else the arguments, as they came.
pub fn asked_for(
    name: &OsStr,
    arguments: ArgsOs,
) -> Result<impl Iterator<Item = OsString>, impl Iterator<Item = OsString>> {
    let by_name = Path::new(name)
        .file_stem()
        .is_some_and(|stem| stem == "wasm-ld" || stem == "genkan-ld");
    let mut arguments = arguments.peekable();
    if by_name || arguments.next_if(|first| first == "link").is_some() {
        Ok(arguments)
    } else {
        Err(arguments)
    }
}

/// Runs the linker on its `arguments`, the program's name not among them.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
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
    // So rustc calls an lld that is four linkers in one.
    if texts.first().is_some_and(|first| first == "-flavor") {
        match texts.get(1).map(String::as_str) {
            Some("wasm") => drop(texts.drain(..2)),
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
    match run(&args, &mut console) {
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

fn run(args: &Args, console: &mut Console) -> Result<(), Vec<String>> {
    if !args.errors.is_empty() {
        return Err(args.errors.clone());
    }
    if args.has(Opt::Help) {
        print(HELP);
        return Ok(());
    }
    if args.has(Opt::Version) || args.has(Opt::Verbose) {
        print(&format!(
            "genkan {} (compatible with LLD 22 for WebAssembly)\n",
            env!("CARGO_PKG_VERSION")
        ));
        if args.has(Opt::Version) || !args.has(Opt::Input) {
            return Ok(());
        }
    }

    let mut config = config::config(args)?;
    for warning in &config.warnings {
        console.warning(warning);
    }
    let inputs = inputs::open(args)?;
    config
        .options
        .allow_undefined
        .extend(inputs.allow_undefined);
    config.options.report = config.map.is_some() || config.why_extract.is_some() || config.trace;
    if let Some(threads) = config.threads {
        // Fails only if the pool is there already, and nothing has used it yet.
        let _ = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global();
    }
    let files: Vec<Input<'_>> = inputs.files.iter().map(|file| file.input()).collect();
    let mut program = files::Program::new(&config.output);
    let notes = genkan_link::link_into(&files, &config.options, &mut program)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    for warning in &notes.warnings {
        console.warning(warning);
    }
    // Fatal warnings: nothing is written.
    if console.errors > 0 {
        return Ok(());
    }
    write(&config, &files, &notes.report, program).map_err(|error| vec![format!("{error:#}")])
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
    let map = || listings::map(report, program.bytes());
    let why_extract = || listings::why_extract(report);
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
