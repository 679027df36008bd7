//! `fixtures/`: guests with object, module and text, what made them, and what
//! they must do. Rebuilds them, and says what differs.
//!
//! `guests.json` is written by people, `manifest.json` by [`regenerate`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use genkan::build_guest::{self, LinkSettings, Parts, Request};
use genkan::compile::Settings;
use genkan::context::Repository as _;
use genkan::diff;
use genkan::files;
use genkan::guest::Guest;
use genkan::package;
use genkan::shell::{self, Color, Shell};
use genkan::toolchain::{self, Choice};
use genkan::wat;

use crate::repository::Checkout;

/// The compilers that every guest is built with, unless it says otherwise.
const COMPILERS: [&str; 2] = ["1.63.0", "1.95.0"];

/// A module's text is kept up to this size; the text of a larger one shows
/// nobody anything, and `cargo xtask wat` makes it.
const TEXT_LIMIT: usize = 4096;

/// A guest of `guests.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The example of the package `guest`.
    pub name: String,
    /// What it is here for.
    pub shows: String,
    /// Instead of all compilers.
    pub compilers: Option<Vec<String>>,
    /// Linked with `--strip`.
    #[serde(default)]
    pub strip: bool,
    /// How the object was made that lies beside a source in C.
    pub object: Option<String>,
    /// What it must do: what tests, here and in the package `genkan-host`, run. They
    /// share one instance.
    pub calls: Vec<Call>,
}

/// A call of a guest, and what must come of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The function.
    pub export: String,
    /// The host's buffers.
    #[serde(default)]
    pub data: Vec<Vec<u8>>,
    /// The arguments.
    #[serde(default)]
    pub args: Vec<Argument>,
    /// The result; nothing for a function without.
    pub result: Option<Argument>,
    /// It traps, and what the host was told before begins with this; empty for
    /// nothing. (What follows the place is up to the compiler's version.)
    pub trap: Option<String>,
    /// What is in the buffers afterwards; what was in them before if `None`.
    pub after: Option<Vec<Vec<u8>>>,
    /// What it writes to stdout.
    #[serde(default)]
    pub stdout: String,
}

/// A value of the table.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub enum Argument {
    /// The pointer to this one of the call's buffers.
    Data(usize),
    /// An i32 or an i64.
    Integer(i64),
    /// An f32 or an f64.
    Float(f64),
}

impl TryFrom<serde_json::Value> for Argument {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        let found = match value.as_str() {
            Some(text) => match text.strip_prefix("data ") {
                Some(number) => number.parse().ok().map(Argument::Data),
                // In quotes where a JSON number would not be exact everywhere.
                None => text.parse().ok().map(Argument::Integer),
            },
            None => value
                .as_i64()
                .map(Argument::Integer)
                .or(value.as_f64().map(Argument::Float)),
        };
        found.ok_or_else(|| format!("{value} is neither a number nor \"data N\""))
    }
}

/// `manifest.json`.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct Manifest {
    /// The version of the linker.
    linker: String,
    /// By version: what `rustc -vV` says, line by line.
    compilers: BTreeMap<String, Vec<String>>,
    /// In the order of `guests.json`.
    fixtures: Vec<Record>,
}

/// One guest from one compiler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Record {
    guest: String,
    compiler: String,
    target: String,
    /// What to type to get the module.
    build: String,
    /// How the object was compiled; nothing for a package, which cargo builds.
    #[serde(skip_serializing_if = "Option::is_none")]
    rustc: Option<String>,
    /// SHA-256 of each source.
    sources: BTreeMap<String, String>,
    /// By path in `fixtures/`.
    artifacts: BTreeMap<String, Artifact>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Artifact {
    size: usize,
    sha256: String,
}

/// What a build gave: the record, and the files by path in `fixtures/`.
struct Made {
    record: Record,
    files: BTreeMap<String, Vec<u8>>,
}

/// The module of a guest by a compiler, as it is kept.
pub fn module(checkout: &Checkout, name: &str, compiler: &str) -> PathBuf {
    checkout
        .fixtures()
        .join(format!("rustc-{compiler}/{name}.wasm"))
}

/// Reads `guests.json`.
pub fn entries(checkout: &Checkout) -> anyhow::Result<Vec<Entry>> {
    let path = checkout.fixtures().join("guests.json");
    let text = files::read(&path)?;
    serde_json::from_slice(&text).with_context(|| format!("in {}", path.display()))
}

fn manifest(checkout: &Checkout) -> anyhow::Result<Manifest> {
    let path = checkout.fixtures().join("manifest.json");
    if !path.exists() {
        return Ok(Manifest::default());
    }
    let text = files::read(&path)?;
    serde_json::from_slice(&text).with_context(|| format!("in {}", path.display()))
}

/// The compilers that take part: found, and not found.
pub struct Compilers {
    /// By version.
    pub found: BTreeMap<String, Choice>,
    /// Versions.
    pub missing: Vec<String>,
}

/// Looks for the compilers of all `entries`, or for those in `only`.
pub fn compilers(entries: &[Entry], only: &[String]) -> anyhow::Result<Compilers> {
    let wanted: BTreeSet<String> = entries.iter().flat_map(Entry::compilers).collect();
    for name in only {
        ensure!(
            wanted.contains(name),
            "no fixture is made with the compiler {name}; there are: {}",
            wanted.into_iter().collect::<Vec<_>>().join(", ")
        );
    }
    let mut compilers = Compilers {
        found: BTreeMap::new(),
        missing: Vec::new(),
    };
    for version in wanted {
        if only.is_empty() || only.contains(&version) {
            match toolchain::of_version(&version) {
                Some(choice) => drop(compilers.found.insert(version, choice)),
                None => compilers.missing.push(version),
            }
        }
    }
    Ok(compilers)
}

impl Entry {
    /// The compilers that it is built with.
    pub fn compilers(&self) -> Vec<String> {
        let all = || COMPILERS.map(str::to_owned).to_vec();
        self.compilers.clone().unwrap_or_else(all)
    }

    /// How it is linked.
    pub fn link_settings(&self) -> LinkSettings {
        LinkSettings {
            strip: self.strip,
            ..LinkSettings::default()
        }
    }
}

impl Compilers {
    /// Says which are missing, and how to get them.
    fn tell_missing(&self, shell: Shell) {
        for version in &self.missing {
            shell.warn(format_args!(
                "rustc {version} is not here: its fixtures stay as they are. To get it:\n{}",
                toolchain::install(version)
            ));
        }
    }
}

/// Rebuilds what the compilers here can. `false` if a guest failed.
pub fn regenerate(shell: Shell, checkout: &Checkout, only: &[String]) -> anyhow::Result<bool> {
    let entries = entries(checkout)?;
    let compilers = compilers(&entries, only)?;
    let old = manifest(checkout)?;
    let made = make_all(shell, checkout, &entries, &compilers)?;
    let mut failed = false;
    let mut records = BTreeMap::new();
    for ((guest, version), result) in made {
        match result {
            Ok(made) => {
                for (path, bytes) in &made.files {
                    let place = checkout.fixtures().join(path);
                    let changed = !files::read(&place).is_ok_and(|old| *old == **bytes);
                    if changed {
                        files::write(&place, bytes)?;
                    }
                    let word = if changed { "Wrote" } else { "Unchanged" };
                    let size = shell::bytes(bytes.len() as u64);
                    shell.status(word, format_args!("fixtures/{path} ({size})"));
                }
                records.insert((guest, version), made.record);
            }
            Err(error) => {
                shell::error(format_args!("{guest} with rustc {version}: {error:#}"));
                failed = true;
            }
        }
    }
    compilers.tell_missing(shell);

    // What was not built now stays as it was recorded.
    let mut manifest = Manifest {
        linker: linker(),
        ..Manifest::default()
    };
    for entry in &entries {
        for version in entry.compilers() {
            let key = (entry.name.clone(), version);
            let before = || old.record(&key.0, &key.1).cloned();
            manifest
                .fixtures
                .extend(records.remove(&key).or_else(before));
        }
    }
    for version in manifest.fixtures.iter().map(|record| &record.compiler) {
        let lines = match compilers.found.get(version) {
            Some(choice) => version_lines(choice)?,
            None => old.compilers.get(version).cloned().unwrap_or_default(),
        };
        manifest.compilers.insert(version.clone(), lines);
    }
    let text = serde_json::to_string_pretty(&manifest)? + "\n";
    files::write(&checkout.fixtures().join("manifest.json"), text.as_bytes())?;
    remove_strays(shell, checkout, &manifest)?;
    Ok(!failed)
}

fn version_lines(choice: &Choice) -> anyhow::Result<Vec<String>> {
    let version = choice.toolchain.version()?;
    Ok(version.text.lines().map(str::to_owned).collect())
}

fn linker() -> String {
    format!("genkan {}", env!("CARGO_PKG_VERSION"))
}

/// Removes artifacts that no record names, of guests that are gone.
fn remove_strays(shell: Shell, checkout: &Checkout, manifest: &Manifest) -> anyhow::Result<()> {
    for path in strays(checkout, manifest)? {
        shell.status("Removed", format_args!("fixtures/{path}"));
        std::fs::remove_file(checkout.fixtures().join(path))?;
    }
    Ok(())
}

/// Files in the compilers' folders that no record names.
fn strays(checkout: &Checkout, manifest: &Manifest) -> anyhow::Result<Vec<String>> {
    let known: BTreeSet<&String> = manifest
        .fixtures
        .iter()
        .flat_map(|record| record.artifacts.keys())
        .collect();
    let mut strays = Vec::new();
    for entry in checkout
        .fixtures()
        .read_dir()?
        .flatten()
        .filter(|entry| entry.path().is_dir())
    {
        for file in entry.path().read_dir()?.flatten() {
            let path = format!(
                "{}/{}",
                entry.file_name().to_string_lossy(),
                file.file_name().to_string_lossy()
            );
            if !known.contains(&path) {
                strays.push(path);
            }
        }
    }
    strays.sort();
    Ok(strays)
}

impl Manifest {
    fn record(&self, guest: &str, compiler: &str) -> Option<&Record> {
        let is_it = |record: &&Record| record.guest == guest && record.compiler == compiler;
        self.fixtures.iter().find(is_it)
    }
}

/// Compares with what the compilers here make; writes nothing. `false` if
/// anything differs.
pub fn check(shell: Shell, checkout: &Checkout, only: &[String]) -> anyhow::Result<bool> {
    let entries = entries(checkout)?;
    let compilers = compilers(&entries, only)?;
    let manifest = manifest(checkout)?;
    let mut differences = Vec::new();
    if manifest.linker != linker() {
        differences.push(format!(
            "manifest.json is by {}, this is {}",
            manifest.linker,
            linker()
        ));
    }
    // What lies there is what was recorded, also where the compiler is missing.
    for record in &manifest.fixtures {
        for (path, artifact) in &record.artifacts {
            let good = files::read(&checkout.fixtures().join(path))
                .is_ok_and(|bytes| files::sha256(&bytes) == artifact.sha256);
            if !good {
                differences.push(format!("{path} is not what manifest.json records"));
            }
        }
    }
    for path in strays(checkout, &manifest)? {
        differences.push(format!("{path} is recorded nowhere"));
    }
    for ((guest, version), result) in make_all(shell, checkout, &entries, &compilers)? {
        let Ok(made) = result.map_err(|error| {
            differences.push(format!(
                "{guest} with rustc {version} cannot be built: {error:#}"
            ));
        }) else {
            continue;
        };
        for (path, bytes) in &made.files {
            match compare(checkout, path, bytes)? {
                None => shell.status("Same", format_args!("fixtures/{path}")),
                Some(difference) => differences.push(difference),
            }
        }
        match manifest.record(&guest, &version) {
            None => differences.push(format!("manifest.json has no {guest} of rustc {version}")),
            Some(record) if *record != made.record => differences.push(format!(
                "manifest.json records {guest} of rustc {version} otherwise:\n{}",
                diff::texts(
                    &serde_json::to_string_pretty(record)?,
                    &serde_json::to_string_pretty(&made.record)?
                )
            )),
            Some(_) => {}
        }
    }
    compilers.tell_missing(shell);
    for difference in &differences {
        shell::error(difference);
    }
    if !differences.is_empty() {
        shell::error("the fixtures differ; `cargo xtask fixtures` writes them anew");
    }
    Ok(differences.is_empty())
}

/// How the file at `path` in `fixtures/` differs from `new`.
fn compare(checkout: &Checkout, path: &str, new: &[u8]) -> anyhow::Result<Option<String>> {
    let place = checkout.fixtures().join(path);
    if !place.exists() {
        return Ok(Some(format!("{path} is missing")));
    }
    let old = files::read(&place)?;
    if *old == *new {
        return Ok(None);
    }
    let how = match (std::str::from_utf8(&old), std::str::from_utf8(new)) {
        (Ok(old), Ok(new)) if path.ends_with(".wat") => diff::texts(old, new),
        _ => diff::bytes(&old, new),
    };
    Ok(Some(format!(
        "{path} differs (- as it is, + as it was made now):\n{how}"
    )))
}

type Results = Vec<((String, String), anyhow::Result<Made>)>;

/// Builds all, in parallel, in the order of the table.
fn make_all(
    shell: Shell,
    checkout: &Checkout,
    entries: &[Entry],
    compilers: &Compilers,
) -> anyhow::Result<Results> {
    let mut jobs = Vec::new();
    for entry in entries {
        for version in entry.compilers() {
            if let Some(choice) = compilers.found.get(&version) {
                jobs.push((entry, version, choice));
            }
        }
    }
    Ok(jobs
        .into_par_iter()
        .map(|(entry, version, choice)| {
            let made = make(shell, checkout, entry, &version, choice);
            ((entry.name.clone(), version), made)
        })
        .collect())
}

fn make(
    shell: Shell,
    checkout: &Checkout,
    entry: &Entry,
    version: &str,
    choice: &Choice,
) -> anyhow::Result<Made> {
    // The command is recorded, so it must not depend on this terminal.
    let shell = Shell {
        color: Color::Auto,
        ..shell
    };
    let context = checkout.context(shell);
    let guest = Guest::find(&context, Some(&entry.name))?;
    let out = context
        .target_folder()?
        .join("fixtures")
        .join(version)
        .join(&entry.name);
    let settings = entry.link_settings();
    let strip = if entry.strip { " --strip" } else { "" };
    let mut made = Made {
        record: Record {
            guest: entry.name.clone(),
            compiler: version.to_owned(),
            target: choice.triple.clone(),
            build: format!(
                "cargo xtask build-guest {}{strip} --rustc \"$(rustup which --toolchain {version} rustc)\"",
                entry.name
            ),
            rustc: None,
            sources: BTreeMap::new(),
            artifacts: BTreeMap::new(),
        },
        files: BTreeMap::new(),
    };
    let path = |extension: &str| format!("rustc-{version}/{}.{extension}", entry.name);
    let (module, sources) = match &guest {
        Guest::Source { root, file } => {
            let (parts, sources, command) = build_guest::compile_parts(
                &context,
                choice,
                (root, file),
                &out,
                &Settings::default(),
            )?;
            made.record.rustc = Some(without_paths(&command, checkout, choice, &out));
            made.files
                .insert(path("o"), files::read(&parts.object)?.to_vec());
            (link(shell, &parts, &settings)?, sources)
        }
        Guest::Package(manifest) => {
            let output = out.join("module.wasm");
            let request = Request {
                link: settings,
                output: Some(output.clone()),
                ..Request::new(guest.clone())
            };
            let built = package::build(&context.quiet(), &request, manifest, choice)?;
            let lock = manifest.with_file_name("Cargo.lock");
            let sources = built.sources.into_iter().chain([lock]).collect();
            (files::read(&output)?.to_vec(), sources)
        }
        Guest::Object(path) => {
            let libraries = choice.toolchain.libraries(&choice.triple);
            let parts = build_guest::object_parts(path.clone(), Some(libraries))?;
            let sources = vec![
                path.canonicalize()?,
                path.with_extension("c").canonicalize()?,
            ];
            (link(shell, &parts, &settings)?, sources)
        }
        Guest::Module(_) => unreachable!("an example is no module"),
    };
    if module.len() <= TEXT_LIMIT {
        made.files
            .insert(path("wat"), wat::print(&module)?.into_bytes());
    }
    made.files.insert(path("wasm"), module);

    let workspace = checkout.root().canonicalize()?;
    for source in sources {
        let name = source.strip_prefix(&workspace).unwrap_or(&source);
        let hash = files::sha256(&files::read(&source)?);
        made.record.sources.insert(name.display().to_string(), hash);
    }
    for (path, bytes) in &made.files {
        let artifact = Artifact {
            size: bytes.len(),
            sha256: files::sha256(bytes),
        };
        made.record.artifacts.insert(path.clone(), artifact);
    }
    Ok(made)
}

fn link(shell: Shell, parts: &Parts, settings: &LinkSettings) -> anyhow::Result<Vec<u8>> {
    let (linked, _) = build_guest::link(shell, parts, settings, false)?;
    ensure!(
        linked.warnings.is_empty(),
        "the linker warns: {}",
        linked
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    );
    Ok(linked.module)
}

/// The command as anybody would type it: places by name.
fn without_paths(command: &str, checkout: &Checkout, choice: &Choice, out: &Path) -> String {
    let workspace = checkout.root();
    let canonical = workspace
        .canonicalize()
        .unwrap_or_else(|_| workspace.to_owned());
    [
        (choice.toolchain.rustc.as_path(), "rustc"),
        (choice.toolchain.sysroot.as_path(), "$SYSROOT"),
        (out, "$OUT"),
        (canonical.as_path(), "$WORKSPACE"),
        (workspace, "$WORKSPACE"),
    ]
    .iter()
    .fold(command.to_owned(), |text, (path, name)| {
        text.replace(&path.display().to_string(), name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guest_of_the_table_is_there() {
        let checkout = Checkout::find();
        for entry in entries(&checkout).unwrap() {
            let guest = checkout.guest(Some(&entry.name)).unwrap();
            assert_eq!(guest.name(), entry.name);
            assert!(!entry.compilers().is_empty() && !entry.shows.is_empty());
        }
    }

    #[test]
    fn an_unknown_compiler_is_an_error() {
        let entries = entries(&Checkout::find()).unwrap();
        let message = compilers(&entries, &["1.2.3".into()])
            .err()
            .unwrap()
            .to_string();
        assert!(message.contains("1.63.0, 1.95.0"), "{message}");
    }
}
