//! What GUEST on the command line means.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use crate::context::Context;
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

impl Guest {
    /// `argument` is a path, or what the repository knows; without it, the package
    /// that the current folder is part of is meant.
    pub fn find(context: &Context<'_>, argument: Option<&str>) -> anyhow::Result<Self> {
        let known = |repository: &dyn crate::context::Repository| repository.guest(argument);
        if let Some(guest) = context.repository.and_then(known) {
            return Ok(guest);
        }
        let Some(argument) = argument else {
            return Self::here(&std::env::current_dir()?);
        };
        let path = Path::new(argument);
        if path.exists() {
            return Self::at(context, &std::path::absolute(path)?);
        }
        let is_name = !argument.contains(['/', '\\', '.']);
        let what = if is_name { "guest" } else { "file" };
        let mut message = format!(
            "there is no {what} {argument}\n\
             A guest is a path to a .rs file, a package, an object (.o) or a module (.wasm, .wat)"
        );
        if is_name {
            let program = context.program();
            message += &format!("; `{program} new {argument}` makes a guest");
            if let Some(repository) = context.repository {
                let names = repository.names();
                if let Some(near) = nearest(argument, &names) {
                    message += &format!(".\nDid you mean {near}?");
                }
                message += &format!(" The examples are: {}", names.join(", "));
            }
        }
        bail!(message)
    }

    /// The package that `folder` is part of, as cargo finds it.
    fn here(folder: &Path) -> anyhow::Result<Self> {
        let manifest = folder
            .ancestors()
            .map(|folder| folder.join("Cargo.toml"))
            .find(|manifest| manifest.is_file())
            .with_context(|| {
                format!(
                    "there is no package here: no Cargo.toml in {} or above it\n\
                     Name a guest, a path to a .rs file or a package; `genkan new NAME` makes one",
                    folder.display()
                )
            })?;
        Self::package(&manifest)
    }

    fn at(context: &Context<'_>, path: &Path) -> anyhow::Result<Self> {
        if path.is_dir() {
            let manifest = path.join("Cargo.toml");
            ensure!(
                manifest.is_file(),
                "{} is a folder without Cargo.toml, so no guest",
                path.display()
            );
            return Self::package(&manifest);
        }
        if path.file_name().is_some_and(|name| name == "Cargo.toml") {
            return Self::package(path);
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => Self::source(context, path),
            Some("wat") => Ok(Guest::Module(path.to_owned())),
            _ => Self::by_magic(path),
        }
    }

    fn package(manifest: &Path) -> anyhow::Result<Self> {
        // Without `..`, whose folder's name would be no name for a module.
        Ok(Guest::Package(manifest.canonicalize()?))
    }

    /// The crate whose root file is at `path`.
    pub fn source(context: &Context<'_>, path: &Path) -> anyhow::Result<Self> {
        // Guests of the repository are named in panics as in its Git history.
        let repository = context.repository;
        let root = repository.and_then(|repository| repository.root().canonicalize().ok());
        let file = path.canonicalize()?;
        let root = match root {
            Some(root) if file.starts_with(&root) => root,
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
            Guest::Package(manifest) => manifest.parent().unwrap_or(manifest),
            _ => self.path(),
        };
        let name = match self {
            // A folder's name may have dots.
            Guest::Package(_) => path.file_name(),
            _ => path.file_stem(),
        };
        name.unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The file that it is: source, manifest, object or module.
    pub fn path(&self) -> &Path {
        match self {
            Guest::Source { file: path, .. }
            | Guest::Package(path)
            | Guest::Object(path)
            | Guest::Module(path) => path,
        }
    }
}

/// The one of `names` that `name` is most likely a misspelling of.
pub fn nearest<'a>(name: &str, names: &'a [String]) -> Option<&'a String> {
    let distance = |other: &String| strsim::damerau_levenshtein(name, other);
    let nearest = names.iter().min_by_key(|other| distance(other))?;
    // A third of its letters: more is another word.
    (distance(nearest) * 3 <= name.len().max(3)).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::Shell;

    fn find(path: &Path) -> anyhow::Result<Guest> {
        Guest::find(&Context::installed(Shell::default()), path.to_str())
    }

    #[test]
    fn files_are_told_apart_by_what_they_hold() {
        let folder = tempfile::tempdir().unwrap();
        let find_with = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            find(&path)
        };
        assert!(matches!(find_with("a.rs", b""), Ok(Guest::Source { .. })));
        assert!(matches!(
            find_with("a.wat", b"(module)"),
            Ok(Guest::Module(_))
        ));
        assert!(matches!(
            find_with("a.o", b"\0asm\x01\0\0\0"),
            Ok(Guest::Module(_))
        ));
        let message = find_with("b.o", b"BC\xc0\xde").unwrap_err().to_string();
        assert!(message.contains("bitcode"), "{message}");
        let message = find_with("c.o", b"\x7fELF").unwrap_err().to_string();
        assert!(message.contains("neither"), "{message}");
        let message = find(folder.path()).unwrap_err().to_string();
        assert!(message.contains("without Cargo.toml"), "{message}");
    }

    #[test]
    fn the_package_here_is_the_nearest_one_above() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        let message = Guest::here(&inner).unwrap_err().to_string();
        assert!(message.contains("genkan new"), "{message}");
        let manifest = folder.path().join("a/Cargo.toml");
        std::fs::write(&manifest, "").unwrap();
        let guest = Guest::here(&inner).unwrap();
        assert_eq!(guest, Guest::Package(manifest.canonicalize().unwrap()));
        assert_eq!(guest.name(), "a");
    }

    #[test]
    fn what_is_not_there_is_said() {
        let message = find(Path::new("cacl")).unwrap_err().to_string();
        assert!(message.contains("genkan new cacl"), "{message}");
        let message = find(Path::new("./cacl.rs")).unwrap_err().to_string();
        assert!(message.contains("no file"), "{message}");
    }

    #[test]
    fn a_misspelt_name_is_recognised() {
        let names = ["calc", "strings", "json"].map(str::to_owned);
        assert_eq!(nearest("cacl", &names).unwrap(), "calc");
        assert_eq!(nearest("string", &names).unwrap(), "strings");
        assert_eq!(nearest("nonesuch", &names), None);
    }
}
