//! This checkout of genkan's repository: its examples, what `fixtures/` keeps of
//! them, and its host.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde::Deserialize;

use genkan::compile::Api;
use genkan::context::{Context, Repository};
use genkan::files;
use genkan::guest::Guest;
use genkan::shell::Shell;
use genkan::toolchain;

/// The guest that is meant if none is named, and what it is told then: the memo's
/// bytes and number.
const DEFAULT: &str = "calc";
const DEFAULT_ARGUMENTS: [&str; 5] = ["--invoke", "calc", "--data", "0,1,2,3", "20"];

/// A checkout.
#[derive(Debug)]
pub struct Checkout {
    root: PathBuf,
    /// Build the host with optimisations.
    pub optimised: bool,
}

impl Checkout {
    /// The one that this program was built in.
    pub fn find() -> Self {
        // cargo says where it is now; the compiled-in path, where it was.
        let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
            .map(PathBuf::from)
            .filter(|path| path.ends_with("xtask"))
            .unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = xtask.parent().unwrap_or(&xtask);
        // Without `..`, but with symbolic links as they are.
        let parts = root.components().fold(PathBuf::new(), |mut all, part| {
            match part {
                Component::ParentDir => drop(all.pop()),
                part => all.push(part),
            }
            all
        });
        Checkout {
            root: parts,
            optimised: false,
        }
    }

    /// The context of commands on it.
    pub fn context(&self, shell: Shell) -> Context<'_> {
        Context {
            shell,
            repository: Some(self),
        }
    }

    /// The folder of the examples.
    pub fn examples(&self) -> PathBuf {
        self.root.join("guest/examples")
    }

    /// The folder of the fixtures.
    pub fn fixtures(&self) -> PathBuf {
        self.root.join("fixtures")
    }

    fn example(&self, name: &str) -> Option<Guest> {
        let folder = self.examples();
        let file = |extension| folder.join(format!("{name}.{extension}"));
        let manifest = folder.join(name).join("Cargo.toml");
        if file("rs").is_file() {
            Guest::source(&self.context(Shell::default()), &file("rs")).ok()
        } else if manifest.is_file() {
            manifest.canonicalize().ok().map(Guest::Package)
        } else {
            // Of a guest in C, which only its authors need a compiler for.
            file("o").is_file().then_some(Guest::Object(file("o")))
        }
    }
}

impl Repository for Checkout {
    fn root(&self) -> &Path {
        &self.root
    }

    fn guest(&self, argument: Option<&str>) -> Option<Guest> {
        let Some(argument) = argument else {
            return self.example(DEFAULT);
        };
        // The package genkan-guest has one main guest.
        let path = Path::new(argument);
        let folder = match path.file_name() {
            Some(name) if name == "Cargo.toml" => path.parent().unwrap_or(path),
            _ => path,
        };
        let is_package = folder.is_dir()
            && folder.canonicalize().ok() == self.root.join("guest").canonicalize().ok();
        if argument == "guest" || is_package {
            return self.example(DEFAULT);
        }
        let is_name = !argument.contains(['/', '\\', '.']);
        is_name.then(|| self.example(argument))?
    }

    fn names(&self) -> Vec<String> {
        let entries = self.examples().read_dir().into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()))
            .filter(|name| self.example(name).is_some())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn kept_object(&self, file: &Path) -> Option<PathBuf> {
        kept_object(&self.root.canonicalize().ok()?, &self.fixtures(), file)
    }

    fn api(&self) -> Api {
        Api {
            root: self.root.clone(),
            source: self.root.join("guest/src/lib.rs"),
        }
    }

    fn arguments(&self, guest: &Guest) -> &'static [&'static str] {
        match self.example(DEFAULT).as_ref() == Some(guest) {
            true => &DEFAULT_ARGUMENTS,
            false => &[],
        }
    }

    fn host(&self, shell: Shell) -> anyhow::Result<PathBuf> {
        host(self, shell)
    }
}

/// The part of `fixtures/manifest.json` that matters here.
#[derive(Deserialize)]
struct Manifest {
    fixtures: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    sources: BTreeMap<String, String>,
    artifacts: BTreeMap<String, Artifact>,
}

#[derive(Deserialize)]
struct Artifact {
    sha256: String,
}

/// The object that the folder `fixtures` keeps of the guest at `file`, if it was
/// made of what the file holds now.
fn kept_object(root: &Path, fixtures: &Path, file: &Path) -> Option<PathBuf> {
    let source = file.strip_prefix(root).ok()?.to_str()?;
    let hash = files::sha256(&files::read(file).ok()?);
    let manifest = files::read(&fixtures.join("manifest.json")).ok()?;
    let manifest: Manifest = serde_json::from_slice(&manifest).ok()?;
    // The newest compiler comes last.
    let records = manifest.fixtures.into_iter().rev();
    records
        .filter(|record| record.sources.len() == 1 && record.sources.get(source) == Some(&hash))
        .flat_map(|record| record.artifacts)
        .filter(|(path, _)| path.ends_with(".o"))
        .map(|(path, artifact)| (fixtures.join(path), artifact))
        .find(|(path, artifact)| {
            files::read(path).is_ok_and(|bytes| files::sha256(&bytes) == artifact.sha256)
        })
        .map(|(path, _)| path)
}

/// Builds the host, so far as that is needed, and returns its executable.
fn host(checkout: &Checkout, shell: Shell) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let mut command = Command::new(cargo);
    // As the user's own `cargo build`, so that both share one build.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
        // Without `--package`: all members' features together, as in `cargo test`, so
        // that both share one build of the engine.
        .args(["build", "--bin", HOST, "--features", "cli"])
        .arg("--manifest-path")
        .arg(checkout.root.join("Cargo.toml"))
        .args(["--message-format", "json-render-diagnostics"])
        .args(["--color", shell.color.name()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    if checkout.optimised {
        command.arg("--release");
    }
    if shell.quiet {
        command.arg("--quiet");
    }
    shell.detail("Running", toolchain::display(&command));
    let output = command.output().context("cannot run cargo")?;
    anyhow::ensure!(output.status.success(), "cargo cannot build the host");
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_host = message["target"]["name"] == HOST;
        let path = message["executable"].as_str().filter(|_| is_host)?;
        Some(Path::new(path).to_owned())
    });
    executable.context("cargo did not say where the host is")
}

/// The program of the package in the folder `host`.
const HOST: &str = "genkan-host";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_and_the_packages_name_mean_calc() {
        let checkout = Checkout::find();
        let calc = checkout.guest(None).unwrap();
        assert_eq!(calc.name(), "calc");
        let package = checkout.root.join("guest");
        let manifest = package.join("Cargo.toml");
        for argument in [
            "calc",
            "guest",
            package.to_str().unwrap(),
            manifest.to_str().unwrap(),
        ] {
            assert_eq!(
                checkout.guest(Some(argument)).as_ref(),
                Some(&calc),
                "{argument}"
            );
        }
        assert_eq!(checkout.guest(Some("nonesuch")), None);
        assert!(checkout.names().contains(&"json".to_owned()));
    }

    #[test]
    fn a_kept_object_is_of_this_very_source() {
        let checkout = Checkout::find();
        let root = checkout.root.canonicalize().unwrap();
        let file = root.join("guest/examples/calc.rs");
        let object = checkout.kept_object(&file).unwrap();
        assert!(
            object.ends_with("rustc-1.95.0/calc.o"),
            "{}",
            object.display()
        );

        let copy = tempfile::tempdir().unwrap();
        let changed = copy.path().join("guest/examples/calc.rs");
        let text = std::fs::read_to_string(&file).unwrap() + "\n";
        files::write(&changed, text.as_bytes()).unwrap();
        assert_eq!(
            kept_object(copy.path(), &checkout.fixtures(), &changed),
            None
        );
    }
}
