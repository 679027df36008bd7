//! The command line over the library: runs one function of one module.

mod arguments;
mod directory;
mod waiting;

use crate::engine::{Config, Engine, Module};
use crate::files::Dir;
use crate::guest::{Guest, Setup};
use crate::imports::Functions;
use crate::profile::Profile;
use crate::regions::Region;
use crate::rewrite::Checks;
use crate::types::{Access, Error, Limits, Value};
use anyhow::{Context, Result, bail};
use clap::Parser;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Runs a WebAssembly guest on memory that the host grants it.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Examples:
  genkan-host calc.wasm --invoke calc --data 0,1,2,3 20
      Calls calc(pointer, 20), where pointer is that of a region of four bytes.
  genkan-host sum.wasm --invoke sum --data-file big.bin
      Gives the guest a file's bytes, mapped and not copied.
  genkan-host hello.wasm a b
      Runs a program: its main function gets the arguments a and b.
  genkan-host --dir texts::/texts:ro --dir . count.wasm /texts out.txt
      The program may read what is in texts, which it knows as /texts, and use the
      files of the working directory.

Numbers:
  An argument for an i32 parameter is a number from 0 to 255, or has the suffix of
  its Rust type: 1000u32, -5i32, 300u16. The module does not say which type the
  parameter has in Rust, and a guest may compute anything from a value that its type
  does not have.

Exit codes:
  0    the guest returned
  1    it could not be loaded or called, or it trapped, panicked or hit a limit
  2    the command line is wrong
  N    the guest is a program that exited with code N"
)]
struct Options {
    /// The guest: a .wasm module, or its text in a .wat file.
    module: PathBuf,
    /// The exported function to call. Without it: the program, or the one function
    /// that there is.
    #[arg(long, value_name = "FUNCTION")]
    invoke: Option<String>,
    /// Bytes to grant the guest to read and write, as in 0,1,0xff. Repeatable;
    /// their pointers are the first arguments.
    #[arg(long, value_name = "BYTES")]
    data: Vec<String>,
    /// A file to grant the guest to read. Repeatable; the pointers come after
    /// those of --data.
    #[arg(long, value_name = "FILE")]
    data_file: Vec<PathBuf>,
    /// End the guest after this many instructions.
    #[arg(long, value_name = "COUNT")]
    fuel: Option<u64>,
    /// End the guest after this time, in seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// The most memory that the guest may have, in MiB, without its windows.
    #[arg(long, value_name = "MIB")]
    max_memory: Option<u32>,
    /// An environment variable for the guest. Repeatable.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// A directory that the guest may use, and by what name it knows it; the name is HOST
    /// if it is not given. With :ro, it may only read. Repeatable.
    #[arg(long, value_name = "HOST[::GUEST][:ro|:rw]", value_parser = directory::parse)]
    dir: Vec<Dir>,
    /// Keep compiled modules in this directory, and load them from there.
    #[arg(long, value_name = "DIRECTORY", env = "GENKAN_CACHE")]
    cache: Option<PathBuf>,
    /// Write where the guest's time goes into this file, as folded stacks; see
    /// `genkan profile`.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// How many samples a second are taken for --profile.
    #[arg(long, value_name = "COUNT", default_value_t = 1000, requires = "profile",
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    profile_rate: u32,
    /// The function's further arguments, or the program's.
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    args: Vec<String>,
}

/// Runs the command line: the first of `args` is the program's name.
///
/// Prints what the guest returned, or what is wrong, and gives the exit code: 0, 1, the
/// guest's own, or 2 for a command line that is wrong.
pub fn main(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let args = args.into_iter().map(|arg| arguments::shielded(arg.into()));
    let options = match Options::try_parse_from(args) {
        Ok(mut options) => {
            for arg in &mut options.args {
                arguments::unshield(arg);
            }
            options
        }
        Err(error) => {
            // Help for a reader who is gone.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match execute(options) {
        Ok(code) => code,
        Err(error) => {
            // Without a reader there is nobody to tell.
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("error: {error:#}\n"),
            );
            ExitCode::FAILURE
        }
    }
}

fn execute(options: Options) -> Result<ExitCode> {
    let name = options.module.display().to_string();
    let limits = Limits {
        fuel: options.fuel,
        deadline: options.timeout,
        memory: options.max_memory.map(|mib| u64::from(mib) << 20),
        ..Limits::default()
    };
    let engine = Engine::new(Config {
        cache: options.cache.clone(),
        checks: Checks::of(&limits).samples(options.profile.is_some()),
        // Who waits at a terminal ends it there.
        largest: Some(usize::MAX),
        compile_limits: None,
    })?;
    let loaded = waiting::during("Compiling", &name, || engine.load(&options.module));
    let module = loaded.map_err(|e| match e {
        Error::File { .. } => e.into(),
        e => anyhow::Error::new(e).context(name.clone()),
    })?;
    note_absent(&module, &options, &name);
    let regions = regions(&options)?;

    let function = match &options.invoke {
        Some(function) => function.clone(),
        None => module.only_function().with_context(|| name.clone())?,
    };
    let signature = module.exported(&function).with_context(|| name.clone())?;
    let pointers = regions.iter().map(|(region, _)| region.pointer());
    let program = function == "_start";
    let mut args = vec![name.clone()];
    if program {
        args.extend(
            pointers
                .clone()
                .map(|pointer| pointer.to_bits().to_string()),
        );
        args.extend(options.args.iter().cloned());
    }
    let profile = options.profile.as_ref().map(|path| {
        let period = Duration::from_secs(1) / options.profile_rate;
        (path, Profile::new(period))
    });
    let setup = Setup {
        limits,
        profile: profile.as_ref().map(|(_, profile)| profile.clone()),
        args,
        env: options.env,
        stdin: Box::new(std::io::stdin()),
        dirs: options.dir,
        ..Setup::default()
    };
    let mut values: Vec<Value> = Vec::new();
    if !program {
        values.extend(pointers.map(Value::from));
        let given = values.len();
        let rest = arguments::parse(&signature, given, &options.args);
        values.extend(rest.with_context(|| name.clone())?);
    }
    let outcome = || -> Result<Vec<Value>, Error> {
        let mut guest = Guest::with(&module, setup)?;
        for (region, access) in &regions {
            guest.grant(region, *access)?;
        }
        guest.call(&function, &values)
    };
    let outcome = outcome();
    // However it ended.
    if let Some((path, profile)) = profile {
        let written = std::fs::write(path, profile.folded());
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    match outcome {
        Ok(results) => print(&results, is_unsigned(&module, &function)),
        Err(Error::Exit { code, .. }) => Ok(exit_code(code)),
        Err(error) => Err(anyhow::Error::new(error).context(name)),
    }
}

/// Says what the module asks for of WASI that is not there.
fn note_absent(module: &Module, options: &Options, name: &str) {
    let mut notes = Vec::new();
    let absent = Functions::default().absent(module);
    if !absent.is_empty() {
        let absent = absent.join(", ");
        notes.push(format!(
            "imports of WASI what is not there, and is answered so: {absent}"
        ));
    }
    let opens = |import: &wasmer::ImportType| import.name() == "path_open";
    if options.dir.is_empty() && module.imports().iter().any(opens) {
        notes.push("may open files, and has no directory: give it one with --dir".into());
    }
    for note in notes {
        // Without a reader there is nobody to tell.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("note: {name} {note}\n"),
        );
    }
}

fn regions(options: &Options) -> Result<Vec<(Region, Access)>> {
    let mut regions = Vec::new();
    for data in &options.data {
        let bytes = bytes(data).with_context(|| format!("--data {data}"))?;
        regions.push((Region::copy_of(&bytes)?, Access::ReadWrite));
    }
    for path in &options.data_file {
        regions.push((Region::from_file(Path::new(path))?, Access::Read));
    }
    Ok(regions)
}

fn bytes(text: &str) -> Result<Vec<u8>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(',')
        .map(|byte| {
            let byte = byte.trim();
            let parsed = match byte.strip_prefix("0x") {
                Some(digits) => u8::from_str_radix(digits, 16),
                None => byte.parse(),
            };
            parsed.with_context(|| format!("{byte:?} is not a byte, a number from 0 to 255"))
        })
        .collect()
}

fn print(results: &[Value], unsigned: Option<bool>) -> Result<ExitCode> {
    if !results.is_empty() {
        let results = results.iter().map(|result| shown(result, unsigned));
        let results: Vec<_> = results.collect();
        let line = format!("result: {}\n", results.join(", "));
        match std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()) {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => {}
            written => written.context("cannot write the result")?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a function's result has no sign, if the module says what it is.
fn is_unsigned(module: &Module, function: &str) -> Option<bool> {
    let declared = module.declared().exports.get(function)?;
    Some(declared.result.is_unsigned())
}

/// A result, whose type in Rust the module may say, or not: what is negative then may be
/// a large number.
fn shown(result: &Value, unsigned: Option<bool>) -> String {
    match (result, unsigned) {
        (&Value::I32(value), Some(true)) => (value as u32).to_string(),
        (&Value::I64(value), Some(true)) => (value as u64).to_string(),
        (&Value::I64(value), None) if value < 0 => format!("{value} (as a u64: {})", value as u64),
        (value, _) => value.to_string(),
    }
}

/// The system has eight bits for it; no code but 0 becomes 0.
fn exit_code(code: i32) -> ExitCode {
    match u8::try_from(code & 0xff) {
        Ok(0) if code != 0 => ExitCode::FAILURE,
        Ok(code) => code.into(),
        Err(_) => ExitCode::FAILURE,
    }
}

fn seconds(text: &str) -> Result<Duration> {
    let seconds: f64 = text.parse().context("not a number of seconds")?;
    Duration::try_from_secs_f64(seconds).context("not a time that can pass")
}

fn variable(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => bail!("not NAME=VALUE"),
    }
}
