//! `build-guest`: a guest to a finished module.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::compile::{self, Settings};
use crate::component;
use crate::context::Context;
use crate::files;
use crate::fingerprint::{self, Fingerprint};
use crate::guest::{Guest, nearest};
use crate::guest_source;
use crate::libraries::{self, Library};
use crate::package;
use crate::shell::{self, Shell};
use crate::symbols;
use crate::toolchain::{self, Choice, NotFound};
use genkan_link::{Exports, Icf, Item, Linked, Options, Panic, Report, Role, Strip, Unresolved};

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
    /// One line on stderr, by WASI's `fd_write`, for any engine; then a trap.
    Stderr,
    /// As rustc made it: the message goes to stderr.
    Std,
}

/// Which functions that are the same are written once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Folding {
    /// Those that the program cannot tell apart.
    Safe,
    /// None.
    None,
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
    /// `--icf`; by `debug` if `None`.
    pub icf: Option<Folding>,
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
    /// Where the module goes, `-` for stdout; [`default_output`] if `None`.
    pub output: Option<PathBuf>,
}

impl Request {
    /// The build of `guest` that a command line without options asks for.
    pub fn new(guest: Guest) -> Self {
        Request {
            guest,
            objects: Vec::new(),
            toolchain: toolchain::Request::default(),
            settings: Settings::default(),
            link: LinkSettings::default(),
            bin: None,
            output: None,
        }
    }

    /// The file that `-o` names; `None` for stdout too.
    pub fn output_file(&self) -> anyhow::Result<Option<PathBuf>> {
        let file = self.output.as_ref().filter(|path| !files::is_stdio(path));
        Ok(file.map(std::path::absolute).transpose()?)
    }
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
    /// What the host is told if the user says nothing, by the package's manifest.
    pub arguments: Vec<OsString>,
}

/// Where the module `name` of `guest` goes in `folder` if the user does not say.
/// Guests of one name are told apart by their paths; where the name alone does
/// that (`is_unique`), there is nothing but the name.
pub fn default_output(folder: &Path, guest: &Guest, name: &str, is_unique: bool) -> PathBuf {
    let file = format!("{name}.wasm");
    match is_unique {
        true => folder.join(file),
        false => folder
            .join(format!("{name}-{}", short_hash(guest.path())))
            .join(file),
    }
}

/// Twelve digits that tell `path` from others.
pub fn short_hash(path: &Path) -> String {
    let mut hash = files::sha256(path.as_os_str().as_encoded_bytes());
    hash.truncate(12);
    hash
}

/// Builds, or finds that there is nothing to do. Says which.
pub fn build(context: &Context<'_>, request: &Request) -> anyhow::Result<Built> {
    let since = Instant::now();
    let shell = context.shell;
    let choice = match toolchain::choose(shell, &request.toolchain) {
        Ok(choice) => Ok(choice),
        // An object needs no compiler.
        Err(error) if error.is::<NotFound>() => Err(error),
        Err(error) => return Err(error),
    };
    let request = &with_panic_line(context, request, choice.as_ref().ok())?;
    let built = match (&request.guest, choice) {
        (Guest::Package(manifest), choice) => package::build(context, request, manifest, &choice?)?,
        (Guest::Module(path), _) => bail!(
            "{} is a finished module; there is nothing to build (`{} run` runs it)",
            path.display(),
            context.program()
        ),
        (_, choice) => build_here(context, request, choice)?,
    };
    let name = request.guest.name();
    let size = built.path.metadata().map_or(0, |metadata| metadata.len());
    let shown = match &request.output {
        Some(output) if files::is_stdio(output) => PathBuf::from("stdout"),
        _ => relative_to_here(&built.path),
    };
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
    if let Some(output) = request.output.as_ref().filter(|path| files::is_stdio(path)) {
        files::write_or_stdout(output, &files::read(&built.path)?)?;
    }
    Ok(built)
}

/// Waits until no other process builds `guest` in `folder`; others wait until the
/// file is closed.
pub fn lock(shell: Shell, folder: &Path, guest: &Guest) -> anyhow::Result<File> {
    let name = guest.name();
    let path = folder
        .join("locks")
        .join(format!("{name}-{}", short_hash(guest.path())));
    let context = || format!("cannot lock {}", path.display());
    std::fs::create_dir_all(folder.join("locks")).with_context(context)?;
    let file = File::create(&path).with_context(context)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            shell.status(
                "Blocking",
                format_args!("waiting for another build of {name}"),
            );
            file.lock().with_context(context)?;
        }
        // As cargo does it: some network file systems have no locks.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(error).with_context(context),
    }
    Ok(file)
}

/// Builds a source or an object with this program's own linker.
fn build_here(
    context: &Context<'_>,
    request: &Request,
    choice: anyhow::Result<Choice>,
) -> anyhow::Result<Built> {
    let (guest, objects) = (&request.guest, &request.objects);
    let folder = context.target_folder()?;
    let name = guest.name();
    let known = |repository: &dyn crate::context::Repository| repository.guest(Some(&name));
    let is_unique = context.repository.and_then(known).as_ref() == Some(guest);
    let output = request
        .output_file()?
        .unwrap_or_else(|| default_output(&folder, guest, &name, is_unique));
    let _lock = lock(context.shell, &folder, guest)?;

    let fingerprints = folder.join("fingerprints");
    let found = choice
        .as_ref()
        .ok()
        .map(|choice| (&choice.toolchain, &choice.triple));
    let settings = format!(
        "{found:?} {guest:?} {objects:?} {:?} {:?}",
        request.settings, request.link
    );
    if let Some(sources) = fingerprint::current(&fingerprints, &output, &settings) {
        return Ok(Built {
            path: output,
            sources,
            fresh: true,
            arguments: Vec::new(),
        });
    }
    let no_compiler = choice.as_ref().err().map(ToString::to_string);
    let of_components = choice
        .as_ref()
        .ok()
        .filter(|choice| component::is_target(&choice.triple))
        .map(|choice| choice.toolchain.clone());
    let (parts, sources) = parts(context, request, choice)?;
    let environment = &parts.environment;
    if let Some(toolchain) = of_components {
        let (component, libraries) =
            component::link(context.shell, &toolchain, &parts, &request.link, &folder)?;
        validate(&component).context("wasm-component-ld made no valid component")?;
        files::write(&output, &component)?;
        let fingerprint = Fingerprint::new(settings, &output, environment, &sources, &libraries);
        if let Some(fingerprint) = fingerprint {
            fingerprint.save(&fingerprints)?;
        }
        return Ok(Built {
            path: output,
            sources,
            fresh: false,
            arguments: Vec::new(),
        });
    }
    let linked = link(context.shell, &parts, &request.link, false);
    let (linked, libraries) = match no_compiler {
        // Then what is missing are the compiler's libraries.
        Some(reason) => linked.context(reason)?,
        None => linked?,
    };
    for warning in &linked.warnings {
        context.shell.warn(warning);
    }
    warn_without_exports(context.shell, guest, &linked.module);
    warn_misspelt(context.shell, &linked.module)?;
    files::write(&output, &linked.module)?;
    let libraries: Vec<PathBuf> = libraries.into_iter().map(|library| library.path).collect();
    let fingerprint = Fingerprint::new(settings, &output, environment, &sources, &libraries);
    if let Some(fingerprint) = fingerprint {
        fingerprint.save(&fingerprints)?;
    }
    Ok(Built {
        path: output,
        sources,
        fresh: false,
        arguments: Vec::new(),
    })
}

/// A guest that nobody can call is seldom what its author wanted.
pub fn warn_without_exports(shell: Shell, guest: &Guest, module: &[u8]) {
    use wasmparser::{ExternalKind, Parser, Payload};
    let exports = Parser::new(0)
        .parse_all(module)
        .filter_map(|payload| match payload {
            Ok(Payload::ExportSection(reader)) => Some(reader),
            _ => None,
        });
    let mut exports = exports.flatten().flatten();
    if !exports.any(|export| export.kind == ExternalKind::Func) {
        shell.warn(format_args!(
            "{} exports no function, so nobody can call it. An export is written\n    \
             #[no_mangle] pub extern \"C\" fn name() {{ … }}\n\
             with #[unsafe(no_mangle)] in Rust 2024; a program has `fn main`",
            guest.path().display()
        ));
    }
}

/// A function of the host's that is called almost as one of genkan's is likely meant.
pub fn warn_misspelt(shell: Shell, module: &[u8]) -> anyhow::Result<()> {
    use wasmparser::{Parser, Payload};
    let of_genkan = guest_source::host_functions()?;
    let of_env = ["read".to_owned()];
    let imports = Parser::new(0).parse_all(module);
    let imports = imports.filter_map(|payload| match payload {
        Ok(Payload::ImportSection(reader)) => Some(reader.into_imports()),
        _ => None,
    });
    for import in imports.flatten().flatten() {
        let (module, name) = (import.module, import.name);
        let known: &[String] = match module {
            "env" => &of_env,
            "genkan" => &of_genkan,
            _ => continue,
        };
        let is_known = known.iter().any(|known| known == name);
        if !is_known && let Some(near) = nearest(name, known) {
            shell.warn(format_args!(
                "the guest imports {module}.{name}, which genkan's host does not have: is \
                 {module}.{near} meant? A host of your own may offer it"
            ));
        }
    }
    Ok(())
}

/// Why `symbol` is in the module, for `--why`.
pub fn why(context: &Context<'_>, request: &Request, symbol: &str) -> anyhow::Result<String> {
    if let Guest::Package(_) | Guest::Module(_) = request.guest {
        bail!(
            "--why works for .rs and .o guests; `{} inspect` shows a module's functions",
            context.program()
        );
    }
    let choice = toolchain::choose(context.shell, &request.toolchain);
    let request = &with_panic_line(context, request, choice.as_ref().ok())?;
    let _lock = lock(context.shell, &context.target_folder()?, &request.guest)?;
    let (parts, _) = parts(context, request, choice)?;
    let (linked, _) = link(context.shell, &parts, &request.link, true)?;
    explain(&linked.report, symbol)
}

/// The request, with what writes panics to stderr among its objects if that is asked.
fn with_panic_line(
    context: &Context<'_>,
    request: &Request,
    choice: Option<&Choice>,
) -> anyhow::Result<Request> {
    let mut request = request.clone();
    if request.link.panic == Some(PanicMode::Stderr) {
        let choice = choice.context("--panic=stderr needs a Rust compiler")?;
        if component::is_target(&choice.triple) {
            component::check(&request.link)?;
        }
        let object = compile::panic_line(context, choice)?;
        request.objects.push(object);
    }
    Ok(request)
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
    /// Its threads share a memory, as those of wasm32-wasip1-threads do.
    pub threads: bool,
    /// Functions that the source declares for the host.
    pub host_functions: BTreeSet<String>,
    /// Variables that the compiler read, and their values.
    pub environment: Vec<(String, Option<String>)>,
}

/// Compiles, if there is a source; the second value is what people edit.
fn parts(
    context: &Context<'_>,
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
            let folder = object_folder(context, request, &choice)?;
            let (parts, sources, _) =
                compile_parts(context, &choice, (root, file), &folder, &request.settings)?;
            (parts, sources)
        }
        (Guest::Source { file, .. }, Err(error)) => {
            // No compiler, but perhaps the object that one made of this file.
            let repository = context.repository;
            let Some(kept) = repository.and_then(|repository| repository.kept_object(file)) else {
                return Err(error.context(format!("cannot compile {}", file.display())));
            };
            context.shell.status(
                "Using",
                format_args!("{} (no compiler; its source is unchanged)", kept.display()),
            );
            (object_parts(kept.clone(), None)?, vec![file.clone(), kept])
        }
        (Guest::Object(path), choice) => {
            let choice = choice.ok();
            let libraries = choice
                .as_ref()
                .map(|choice| choice.toolchain.libraries(&choice.triple));
            let mut parts = object_parts(path.clone(), libraries)?;
            parts.threads = choice.is_some_and(|choice| has_threads(&choice.triple));
            (parts, vec![path.clone()])
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
    context: &Context<'_>,
    choice: &Choice,
    source: (&Path, &Path),
    folder: &Path,
    settings: &Settings,
) -> anyhow::Result<(Parts, Vec<PathBuf>, String)> {
    let version = choice.toolchain.version()?;
    let compiled = compile::compile(context, choice, &version, source, folder, settings)?;
    let host_functions = crate::source::host_functions(&compiled.sources)?;
    let parts = Parts {
        object: compiled.object,
        more: compiled.api.into_iter().collect(),
        libraries: Some(choice.toolchain.libraries(&choice.triple)),
        main: compiled.main,
        threads: has_threads(&choice.triple),
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
fn object_folder(
    context: &Context<'_>,
    request: &Request,
    choice: &Choice,
) -> anyhow::Result<PathBuf> {
    let key = format!(
        "{:?} {:?} {}",
        request.guest, choice.toolchain.rustc, choice.triple
    );
    let hash = files::sha256(key.as_bytes());
    let name = format!("{}-{}", request.guest.name(), &hash[..12]);
    Ok(context.target_folder()?.join("objects").join(name))
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
    libraries.extend(start_up);
    Ok((linked, libraries))
}

fn has_threads(triple: &str) -> bool {
    triple.ends_with("-threads")
}

fn options(parts: &Parts, settings: &LinkSettings) -> Options {
    let mut options = Options::guest();
    if !settings.exports.is_empty() {
        options.exports = Exports::Named(settings.exports.iter().cloned().collect());
    }
    if parts.main {
        options.entry = Some("_start".into());
    }
    if parts.threads {
        // As rustc has it linked: one memory for all instances.
        options.memory.shared = true;
        options.memory.import = Some(("env".into(), "memory".into()));
        options.memory.max = Some(1 << 30);
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
    options.validate = true;
    options.panic = match panic_mode(settings, parts.main) {
        // Of the host, or of what `panic_line` compiles.
        PanicMode::Report | PanicMode::Stderr => Panic::Report,
        PanicMode::Trap => Panic::Trap,
        PanicMode::Std => Panic::Std,
    };
    options.strip = match (settings.strip, settings.debug) {
        (true, _) => Strip::All,
        (false, true) => Strip::Nothing,
        (false, false) => Strip::Debug,
    };
    options.icf = match folding(settings) {
        Folding::Safe => Icf::Safe,
        Folding::None => Icf::None,
    };
    // Debug information has the addresses of code as the compiler wrote it, not of code
    // that was shortened.
    options.compress_relocations = options.strip != Strip::Nothing;
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

/// An address has one place in the debug information: code that is two functions'
/// would be shown as one of them.
pub fn folding(settings: &LinkSettings) -> Folding {
    let default = match settings.debug {
        true => Folding::None,
        false => Folding::Safe,
    };
    settings.icf.unwrap_or(default)
}

/// Checks a finished component.
pub fn validate(component: &[u8]) -> anyhow::Result<()> {
    wasmparser::Validator::new().validate_all(component)?;
    Ok(())
}

/// The chain of uses that leads from a root to `symbol`.
fn explain<'r>(report: &'r Report, symbol: &str) -> anyhow::Result<String> {
    let items = || report.functions.iter().chain(&report.data);
    let shown = |name: &str| format!("{:#}", rustc_demangle::demangle(name));
    // With the name that is looked for, if it is that of what is the same.
    let find = |is: &dyn Fn(&str) -> bool| {
        let named = items().find(|item| is(&item.name)).map(|item| (item, None));
        let folded = |item: &'r Item| item.folded.iter().find(|folded| is(&folded.name));
        named.or_else(|| items().find_map(|item| Some((item, Some(&*folded(item)?.name)))))
    };
    let by_name = find(&|name| name == symbol);
    let Some(mut found) = by_name.or_else(|| find(&|name| shown(name) == symbol)) else {
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
        let (item, folded) = found;
        if let Some(folded) = folded {
            let _ = writeln!(text, "{}\n    which is the same as", shown(folded));
        }
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
            .map(|name| (name, find(&|other| other == name)))
        {
            Some((_, Some(next))) => {
                text.push_str("used by ");
                found = next;
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
