//! What a guest's object is linked with: the libraries of its target, and the
//! start-up object of a program.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::files::{self, Contents};
use genkan_link::{Input, Role};

/// A file that takes part in a link.
pub struct Library {
    /// The name in messages and reports: the file's, without its folder, so
    /// that no output depends on where a toolchain lies.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes, mapped.
    pub contents: Contents,
}

impl Library {
    /// Maps the file at `path`.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let name = path.file_name().unwrap_or(path.as_os_str());
        Ok(Library {
            name: name.to_string_lossy().into_owned(),
            path: path.to_owned(),
            contents: files::read(path)?,
        })
    }

    /// As the linker takes it.
    pub fn input(&self, role: Role) -> Input<'_> {
        Input::new(&self.name, &self.contents).with_role(role)
    }
}

/// The start-up object of programs in `folder`, a target's library folder.
pub fn start_up(folder: &Path) -> PathBuf {
    folder.join("self-contained/crt1-command.o")
}

/// The archives in `folder`, a target's library folder, in one order wherever
/// it lies: the crates by name, libc, and last what compilers insert calls to,
/// as rustc orders them.
pub fn archives(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let context = || format!("cannot list {}", folder.display());
    let mut rlibs = Vec::new();
    for entry in folder.read_dir().with_context(context)? {
        let name = entry.with_context(context)?.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.starts_with("lib") && name.ends_with(".rlib") {
            rlibs.push(name.to_owned());
        }
    }
    rlibs.sort();
    // A guest that panics ends; where both are there, unwinding would only be
    // dead weight.
    if rlibs.iter().any(|name| crate_of(name) == "panic_abort") {
        rlibs.retain(|name| crate_of(name) != "panic_unwind");
    }
    let mut paths: Vec<PathBuf> = rlibs.iter().map(|name| folder.join(name)).collect();
    let libc = folder.join("self-contained/libc.a");
    if libc.is_file() {
        let builtins = rlibs
            .iter()
            .position(|name| crate_of(name) == "compiler_builtins");
        match builtins {
            Some(place) => {
                let builtins = paths.remove(place);
                paths.extend([libc, builtins]);
            }
            None => paths.push(libc),
        }
    }
    Ok(paths)
}

/// `libcore-b8751c756b5b71a3.rlib` → `core`.
fn crate_of(name: &str) -> &str {
    let name = name.strip_prefix("lib").unwrap_or(name);
    name.split(['-', '.']).next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_come_in_one_order() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("self-contained");
        std::fs::create_dir(&inner).unwrap();
        for name in [
            "libstd-1.rlib",
            "libcompiler_builtins-2.rlib",
            "libcore-3.rlib",
            "libcore-3.rmeta",
            "libpanic_unwind-4.rlib",
            "libpanic_abort-5.rlib",
            "self-contained/libc.a",
        ] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let names: Vec<String> = archives(folder.path())
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            names,
            [
                "libcore-3.rlib",
                "libpanic_abort-5.rlib",
                "libstd-1.rlib",
                "libc.a",
                "libcompiler_builtins-2.rlib"
            ]
        );
    }
}
