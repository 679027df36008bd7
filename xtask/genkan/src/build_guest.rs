//! `build-guest`: a guest to a finished module.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::compile::{self, Settings, workspace};
use crate::files;
use crate::guest::Guest;
use crate::kept;
use crate::libraries::{self, Library};
use crate::package;
use crate::shell::{self, Shell};
use crate::stamp::{self, Stamp};
use crate::symbols;
use crate::toolchain::{self, Choice, NotFound};
use genkan_link::{Exports, Linked, Options, Panic, Report, Role, Strip, Unresolved};

/// Where the module's memory comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Memory {
    /// From the host, as env.__linear_memory.
    #[default]
    Import,
    /// The module defines it and exports it as memory.
    Export,
}

/// What a panic becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PanicMode {
    /// The host is told file, line and column; then a trap.
    Report,
    /// A trap.
    Trap,
    /// As rustc made it: the message goes to stderr.
    Std,
}

/// How to link a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkSettings {
    /// `--export`: only these, if any.
    pub exports: Vec<String>,
    /// `--import`: functions that the host has, if no input has them.
    pub imports: Vec<String>,
    /// `--allow-undefined`.
    pub allow_undefined: bool,
    /// `--memory`.
    pub memory: Memory,
    /// `--panic`; by the kind of guest if `None`.
    pub panic: Option<PanicMode>,
    /// `--strip`.
    pub strip: bool,
    /// `--debug`.
    pub debug: bool,
}

/// Everything about one build.
#[derive(Debug, Clone)]
pub struct Request {
    /// What to build.
    pub guest: Guest,
    /// More objects and archives for the link.
    pub objects: Vec<PathBuf>,
    /// Which compiler.
    pub toolchain: toolchain::Request,
    /// How to compile.
    pub settings: Settings,
    /// How to link.
    pub link: LinkSettings,
    /// Which program of a package.
    pub bin: Option<String>,
    /// Where the module goes; `target/guests/NAME.wasm` if `None`.
    pub output: Option<PathBuf>,
}

/// A module that was built.
#[derive(Debug)]
pub struct Built {
    /// Where it is.
    pub path: PathBuf,
    /// The files that it was made from, those that people edit.
    pub sources: Vec<PathBuf>,
    /// It was there already.
    pub fresh: bool,
}

/// The folder for modules and what is needed on the way.
pub fn target_folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    // Relative to where the user stands, as cargo takes it.
    let target = target.and_then(|path| std::path::absolute(path).ok());
    target
        .unwrap_or_else(|| workspace().join("target"))
        .join("guests")
}

/// Builds, or finds that there is nothing to do. Says which.
pub fn build(shell: Shell, request: &Request) -> anyhow::Result<Built> {
    let since = Instant::now();
    let name = request.guest.name();
    let output = match &request.output {
        Some(path) => std::path::absolute(path)?,
        None => target_folder().join(format!("{name}.wasm")),
    };
    let choice = match toolchain::choose(shell, &request.toolchain) {
        Ok(choice) => Ok(choice),
        Err(error) if error.is::<NotFound>() => Err(error),
        Err(error) => return Err(error),
    };
    let mut built = match (&request.guest, choice) {
        (Guest::Package(manifest), choice) => {
            package::build(shell, request, manifest, &choice?, &output)?
        }
        (Guest::Module(path), _) => bail!(
            "{} is a finished module; there is nothing to build (`cargo xtask run` runs it)",
            path.display()
        ),
        (_, choice) => build_here(shell, request, choice, &output)?,
    };
    let size = output.metadata().map_or(0, |metadata| metadata.len());
    let shown = relative_to_here(&output);
    match built.fresh {
        true => shell.status(
            "Fresh",
            format_args!(
                "{name}: nothing to do → {} ({})",
                shown.display(),
                shell::bytes(size)
            ),
        ),
        false => shell.finished(&name, since, &shown, size),
    }
    built.path = output;
    Ok(built)
}

/// Builds a source or an object with this program's own linker.
fn build_here(
    shell: Shell,
    request: &Request,
    choice: anyhow::Result<Choice>,
    output: &Path,
) -> anyhow::Result<Built> {
    let stamps = target_folder().join("stamps");
    let found = choice
        .as_ref()
        .ok()
        .map(|choice| (&choice.toolchain, &choice.triple));
    let (guest, objects) = (&request.guest, &request.objects);
    let settings = format!(
        "{found:?} {guest:?} {objects:?} {:?} {:?}",
        request.settings, request.link
    );
    if let Some(sources) = stamp::current(&stamps, output, &settings) {
        return Ok(Built {
            path: output.to_owned(),
            sources,
            fresh: true,
        });
    }
    let no_compiler = choice.as_ref().err().map(ToString::to_string);
    let (parts, sources) = parts(shell, request, choice)?;
    let environment = &parts.environment;
    let linked = link(shell, &parts, &request.link, false);
    let (linked, libraries) = match no_compiler {
        // Then what is missing are the compiler's libraries.
        Some(reason) => linked.context(reason)?,
        None => linked?,
    };
    for warning in &linked.warnings {
        shell.warn(warning);
    }
    files::write(output, &linked.module)?;
    let libraries: Vec<PathBuf> = libraries.into_iter().map(|library| library.path).collect();
    if let Some(stamp) = Stamp::new(settings, output, environment, &sources, &libraries) {
        stamp.save(&stamps)?;
    }
    Ok(Built {
        path: output.to_owned(),
        sources,
        fresh: false,
    })
}

/// Why `symbol` is in the module, for `--why`.
pub fn why(shell: Shell, request: &Request, symbol: &str) -> anyhow::Result<String> {
    if let Guest::Package(_) = request.guest {
        bail!(
            "--why works for .rs and .o guests; `cargo xtask inspect` shows a package's functions"
        );
    }
    let choice = toolchain::choose(shell, &request.toolchain);
    let (parts, _) = parts(shell, request, choice)?;
    let (linked, _) = link(shell, &parts, &request.link, true)?;
    explain(&linked.report, symbol)
}

/// The files of one link, before they are opened.
#[derive(Debug, Default)]
pub struct Parts {
    /// The guest's object.
    pub object: PathBuf,
    /// Linked after it: the guest API, the user's objects and archives.
    pub more: Vec<PathBuf>,
    /// The target's library folder.
    pub libraries: Option<PathBuf>,
    /// It is a program.
    pub main: bool,
    /// Functions that the source declares for the host.
    pub host_functions: BTreeSet<String>,
    /// Variables that the compiler read, and their values.
    pub environment: Vec<(String, Option<String>)>,
}

/// Compiles, if there is a source; the second value is what people edit.
fn parts(
    shell: Shell,
    request: &Request,
    choice: anyhow::Result<Choice>,
) -> anyhow::Result<(Parts, Vec<PathBuf>)> {
    let more: Vec<PathBuf> = request
        .objects
        .iter()
        .map(std::path::absolute)
        .collect::<Result<_, _>>()?;
    let (mut parts, mut sources) = match (&request.guest, choice) {
        (Guest::Source { root, file }, Ok(choice)) => {
            let folder = object_folder(request, &choice);
            let (parts, sources, _) =
                compile_parts(shell, &choice, (root, file), &folder, &request.settings)?;
            (parts, sources)
        }
        (Guest::Source { root, file }, Err(error)) => {
            // No compiler, but perhaps the object that one made of this file.
            let Some(kept) = kept::kept_object(root, file) else {
                return Err(error.context(format!(
                    "cannot compile {}, and fixtures/ keeps no object of it as it is",
                    file.display()
                )));
            };
            shell.status(
                "Using",
                format_args!("{} (no compiler; its source is unchanged)", kept.display()),
            );
            (object_parts(kept.clone(), None)?, vec![file.clone(), kept])
        }
        (Guest::Object(path), choice) => {
            let libraries = choice
                .ok()
                .map(|choice| choice.toolchain.libraries(&choice.triple));
            (object_parts(path.clone(), libraries)?, vec![path.clone()])
        }
        (Guest::Package(_) | Guest::Module(_), _) => unreachable!("they are not linked here"),
    };
    // What the user links to the guest is the guest's, not the host's.
    for path in &more {
        for name in defined_functions(path)? {
            parts.host_functions.remove(&name);
        }
    }
    sources.extend(more.iter().cloned());
    parts.more.extend(more);
    Ok((parts, sources))
}

/// Compiles the crate at `source` and gathers what its object is linked with;
/// also returns the files that were read, and the rustc command.
pub fn compile_parts(
    shell: Shell,
    choice: &Choice,
    source: (&Path, &Path),
    folder: &Path,
    settings: &Settings,
) -> anyhow::Result<(Parts, Vec<PathBuf>, String)> {
    let version = choice.toolchain.version()?;
    let compiled = compile::compile(shell, choice, &version, source, folder, settings)?;
    let host_functions = crate::source::host_functions(&compiled.sources)?;
    let parts = Parts {
        object: compiled.object,
        more: compiled.api.into_iter().collect(),
        libraries: Some(choice.toolchain.libraries(&choice.triple)),
        main: compiled.main,
        host_functions,
        environment: compiled.environment,
    };
    Ok((parts, compiled.sources, compiled.command))
}

/// The parts of a link that starts from an object.
pub fn object_parts(object: PathBuf, libraries: Option<PathBuf>) -> anyhow::Result<Parts> {
    let found = symbols::read(&files::read(&object)?)
        .with_context(|| format!("{} is no relocatable object", object.display()))?;
    // A program's start-up object calls one of these, by libc's age.
    let main = ["__main_void", "__main_argc_argv", "main"]
        .iter()
        .any(|&name| found.defined.contains(name));
    Ok(Parts {
        object,
        libraries,
        main,
        host_functions: found.host_functions(),
        ..Parts::default()
    })
}

fn defined_functions(path: &Path) -> anyhow::Result<BTreeSet<String>> {
    let contents = files::read(path)?;
    if let Some(symbols) = symbols::read(&contents) {
        return Ok(symbols.defined);
    }
    let archive = object::read::archive::ArchiveFile::parse(&*contents).map_err(|error| {
        anyhow::anyhow!(
            "{} is neither an object nor an archive: {error}",
            path.display()
        )
    })?;
    let mut names = BTreeSet::new();
    for member in archive.members() {
        let data = member.and_then(|member| member.data(&*contents));
        let data = data.with_context(|| format!("in archive {}", path.display()))?;
        names.extend(symbols::read(data).unwrap_or_default().defined);
    }
    Ok(names)
}

/// Where the objects of a guest go. Another file, compiler or target is another
/// folder, so that what runs at the same time does not meet.
fn object_folder(request: &Request, choice: &Choice) -> PathBuf {
    let key = format!(
        "{:?} {:?} {}",
        request.guest, choice.toolchain.rustc, choice.triple
    );
    let hash = files::sha256(key.as_bytes());
    let name = format!("{}-{}", request.guest.name(), &hash[..12]);
    target_folder().join("objects").join(name)
}

/// Links `parts`; also returns the libraries that it opened.
pub fn link(
    shell: Shell,
    parts: &Parts,
    settings: &LinkSettings,
    report: bool,
) -> anyhow::Result<(Linked, Vec<Library>)> {
    let object = Library::open(&parts.object)?;
    let mut libraries = Vec::new();
    for path in &parts.more {
        libraries.push(Library::open(path)?);
    }
    let mut start_up = None;
    if let Some(folder) = &parts.libraries {
        if parts.main {
            let path = libraries::start_up(folder);
            start_up = Some(Library::open(&path).context("this target has no programs")?);
        }
        for path in libraries::archives(folder)? {
            libraries.push(Library::open(&path)?);
        }
    }
    let mut inputs = Vec::new();
    inputs.extend(start_up.iter().map(|library| library.input(Role::Default)));
    inputs.push(object.input(Role::Guest));
    inputs.extend(libraries.iter().map(|library| library.input(Role::Default)));
    let mut options = options(parts, settings);
    options.report = report;
    let linked = shell.during("Linking", &object.name, || {
        genkan_link::link(&inputs, &options)
    })?;
    validate(&linked.module).with_context(|| {
        format!(
            "a bug of genkan's linker: what it made of {} is not valid",
            object.name
        )
    })?;
    libraries.extend(start_up);
    Ok((linked, libraries))
}

fn options(parts: &Parts, settings: &LinkSettings) -> Options {
    let mut options = Options::guest();
    if !settings.exports.is_empty() {
        options.exports = Exports::Named(settings.exports.iter().cloned().collect());
    }
    if parts.main {
        options.entry = Some("_start".into());
    }
    if settings.memory == Memory::Export {
        options.memory.import = None;
        options.memory.export = Some("memory".into());
    }
    if settings.allow_undefined {
        options.unresolved = Unresolved::Import;
    }
    options.allow_undefined = settings.imports.iter().cloned().collect();
    options.host_functions = parts.host_functions.clone();
    options.panic = match panic_mode(settings, parts.main) {
        PanicMode::Report => Panic::Report,
        PanicMode::Trap => Panic::Trap,
        PanicMode::Std => Panic::Std,
    };
    options.strip = match (settings.strip, settings.debug) {
        (true, _) => Strip::All,
        (false, true) => Strip::Nothing,
        (false, false) => Strip::Debug,
    };
    options
}

/// A program has a stderr for std's message; another guest has only its host.
pub fn panic_mode(settings: &LinkSettings, main: bool) -> PanicMode {
    let default = if main {
        PanicMode::Std
    } else {
        PanicMode::Report
    };
    settings.panic.unwrap_or(default)
}

/// Checks a finished module.
pub fn validate(module: &[u8]) -> anyhow::Result<()> {
    wasmparser::Validator::new().validate_all(module)?;
    Ok(())
}

/// The chain of uses that leads from a root to `symbol`.
fn explain(report: &Report, symbol: &str) -> anyhow::Result<String> {
    let items = || report.functions.iter().chain(&report.data);
    let shown = |name: &str| format!("{:#}", rustc_demangle::demangle(name));
    let find = |name: &str| items().find(|item| item.name == name);
    let Some(mut item) = find(symbol).or_else(|| items().find(|item| shown(&item.name) == symbol))
    else {
        let near: Vec<String> = items()
            .map(|item| shown(&item.name))
            .filter(|name| name.contains(symbol))
            .take(10)
            .collect();
        match near.as_slice() {
            [] => bail!("{symbol} is not in the module"),
            near => bail!(
                "{symbol} is not in the module; these are:\n    {}",
                near.join("\n    ")
            ),
        }
    };
    let mut text = String::new();
    let mut seen = BTreeSet::new();
    loop {
        let origin = match &item.origin {
            Some(origin) => origin.to_string(),
            None => "made by the linker".into(),
        };
        let size = shell::bytes(item.size);
        let _ = writeln!(text, "{} ({size})\n    from {origin}", shown(&item.name));
        let is_from =
            |origin: &genkan_link::Origin| report.extracted.iter().find(|it| it.origin == *origin);
        if let Some(extracted) = item.origin.as_ref().and_then(is_from) {
            let _ = writeln!(
                text,
                "    which was extracted for {}",
                shown(&extracted.symbol)
            );
        }
        let wanted_by = item.wanted_by.as_deref();
        match wanted_by
            .filter(|&name| seen.insert(name.to_owned()))
            .map(|name| (name, find(name)))
        {
            Some((_, Some(next))) => {
                text.push_str("used by ");
                item = next;
            }
            Some((name, None)) => {
                let _ = writeln!(text, "used by {}", shown(name));
                return Ok(text);
            }
            None => {
                text.push_str("which is an export, the entry, or always kept\n");
                return Ok(text);
            }
        }
    }
}

/// A path as a person would write it here.
pub fn relative_to_here(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).to_owned()
}
