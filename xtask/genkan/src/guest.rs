//! What GUEST on the command line means.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use crate::compile::workspace;
use crate::{files, symbols};

/// A guest, before it is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guest {
    /// A Rust source file; paths in the module are relative to `root`.
    Source {
        /// The folder that rustc runs in.
        root: PathBuf,
        /// The crate's root file.
        file: PathBuf,
    },
    /// A package, by its manifest.
    Package(PathBuf),
    /// A relocatable object, from any compiler.
    Object(PathBuf),
    /// A finished module, binary or text.
    Module(PathBuf),
}

/// The guest that is meant if none is named.
const DEFAULT: &str = "calc";

impl Guest {
    /// `argument` is the name of an example of the package `guest`, or a path;
    /// without it, `calc` is meant.
    pub fn find(argument: Option<&str>) -> anyhow::Result<Self> {
        let argument = argument.unwrap_or(DEFAULT);
        let is_name = !argument.contains(['/', '\\', '.']);
        if is_name {
            // The package `guest` has one main guest.
            let name = if argument == "guest" {
                DEFAULT
            } else {
                argument
            };
            if let Some(example) = example(name) {
                return Ok(example);
            }
        }
        let path = Path::new(argument);
        if path.exists() {
            return Self::at(&std::path::absolute(path)?);
        }
        ensure!(
            is_name,
            "there is no file {argument}\n\
             A guest is a path to a .rs file, a package, an object (.o) or a module (.wasm, .wat)"
        );
        bail!(
            "there is no guest {argument}. Those in {}: {}\n\
             A path to a .rs file, a package or an object works as well; \
             `cargo xtask new {argument}` makes a guest",
            examples().display(),
            names()?.join(", ")
        )
    }

    fn at(path: &Path) -> anyhow::Result<Self> {
        if path.is_dir() {
            let manifest = path.join("Cargo.toml");
            ensure!(
                manifest.is_file(),
                "{} is a folder without Cargo.toml, so no guest",
                path.display()
            );
            return Self::package(manifest);
        }
        if path.file_name().is_some_and(|name| name == "Cargo.toml") {
            return Self::package(path.to_owned());
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => Self::source(path),
            Some("wat") => Ok(Guest::Module(path.to_owned())),
            _ => Self::by_magic(path),
        }
    }

    fn package(manifest: PathBuf) -> anyhow::Result<Self> {
        // Without `..`, whose folder's name would be no name for a module.
        let manifest = manifest.canonicalize()?;
        let own = workspace().join("guest/Cargo.toml");
        if manifest == own.canonicalize()? {
            return Self::find(None);
        }
        Ok(Guest::Package(manifest))
    }

    fn source(path: &Path) -> anyhow::Result<Self> {
        // Guests of this workspace are named in panics as in its Git history.
        let workspace = workspace();
        let file = path.canonicalize()?;
        let root = match workspace.canonicalize() {
            Ok(workspace) if file.starts_with(&workspace) => workspace,
            _ => file.parent().context("a file lies in a folder")?.to_owned(),
        };
        Ok(Guest::Source { root, file })
    }

    fn by_magic(path: &Path) -> anyhow::Result<Self> {
        let contents = files::read(path)?;
        let path = path.to_owned();
        if contents.starts_with(b"BC\xc0\xde") {
            bail!(
                "{} is LLVM bitcode (an object compiled with LTO): compile it without \
                 `-C lto` / `-flto`",
                path.display()
            );
        }
        ensure!(
            contents.starts_with(b"\0asm"),
            "{} is neither a Rust source (.rs), nor a WebAssembly object or module",
            path.display()
        );
        Ok(match symbols::read(&contents) {
            Some(_) => Guest::Object(path),
            None => Guest::Module(path),
        })
    }

    /// The name of the module that it becomes.
    pub fn name(&self) -> String {
        let path = match self {
            Guest::Source { file, .. } => file,
            Guest::Package(manifest) => manifest.parent().unwrap_or(manifest),
            Guest::Object(path) | Guest::Module(path) => path,
        };
        let name = path.file_stem().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

/// The folder of the guests that come with this workspace.
pub fn examples() -> PathBuf {
    workspace().join("guest/examples")
}

fn example(name: &str) -> Option<Guest> {
    let folder = examples();
    let file = |extension| folder.join(format!("{name}.{extension}"));
    let manifest = folder.join(name).join("Cargo.toml");
    if file("rs").is_file() {
        Guest::source(&file("rs")).ok()
    } else if manifest.is_file() {
        Some(Guest::Package(manifest))
    } else {
        // Of a guest in C, which only its authors need a compiler for.
        file("o").is_file().then_some(Guest::Object(file("o")))
    }
}

/// The names of those guests.
pub fn names() -> anyhow::Result<Vec<String>> {
    let folder = examples();
    let entries = folder
        .read_dir()
        .with_context(|| format!("cannot list {}", folder.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()))
        .filter(|name| example(name).is_some())
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_and_the_packages_name_mean_calc() {
        let calc = Guest::find(None).unwrap();
        assert_eq!(calc.name(), "calc");
        assert_eq!(Guest::find(Some("calc")).unwrap(), calc);
        assert_eq!(Guest::find(Some("guest")).unwrap(), calc);
        let package = workspace().join("guest");
        assert_eq!(Guest::find(package.to_str()).unwrap(), calc);
    }

    #[test]
    fn files_are_told_apart_by_what_they_hold() {
        let folder = tempfile::tempdir().unwrap();
        let find = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            Guest::find(path.to_str())
        };
        assert!(matches!(find("a.rs", b""), Ok(Guest::Source { .. })));
        assert!(matches!(find("a.wat", b"(module)"), Ok(Guest::Module(_))));
        assert!(matches!(
            find("a.o", b"\0asm\x01\0\0\0"),
            Ok(Guest::Module(_))
        ));
        let message = find("b.o", b"BC\xc0\xde").unwrap_err().to_string();
        assert!(message.contains("bitcode"), "{message}");
        let message = find("c.o", b"\x7fELF").unwrap_err().to_string();
        assert!(message.contains("neither"), "{message}");
        let message = Guest::find(folder.path().to_str()).unwrap_err().to_string();
        assert!(message.contains("without Cargo.toml"), "{message}");
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let message = Guest::find(Some("cacl")).unwrap_err().to_string();
        assert!(message.contains("calc"), "{message}");
        let message = Guest::find(Some("./cacl.rs")).unwrap_err().to_string();
        assert!(message.contains("no file"), "{message}");
    }
}
