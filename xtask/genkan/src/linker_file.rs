//! This program as the linker and the runner that cargo and rustc call: files of the
//! names by which they, and it, know that.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::build_guest::short_hash;
use crate::files;

/// The variable that tells cargo a target's linker, over any configuration file.
pub fn variable(triple: &str) -> String {
    format!("CARGO_TARGET_{}_LINKER", screaming(triple))
}

/// The variable that tells cargo what runs programs for a target.
pub fn runner_variable(triple: &str) -> String {
    format!("CARGO_TARGET_{}_RUNNER", screaming(triple))
}

fn screaming(triple: &str) -> String {
    triple.to_uppercase().replace(['-', '.'], "_")
}

/// A file named `wasm-ld` in `folder` that is this program: rustc knows by the
/// name which command line its linker understands.
pub fn wasm_ld(folder: &Path) -> anyhow::Result<PathBuf> {
    link(folder, "wasm-ld")
}

/// A file named `wasm-component-ld` that is this program: it has the toolchain's
/// wasm-component-ld link with [`wasm_ld`], which lies beside it.
pub fn wasm_component_ld(folder: &Path) -> anyhow::Result<PathBuf> {
    link(folder, "wasm-component-ld")
}

/// A file named `genkan-runner` that is this program, which then runs a module.
pub fn runner(folder: &Path) -> anyhow::Result<PathBuf> {
    link(folder, "genkan-runner")
}

/// Another build of this program gets another folder, so that cargo links again.
fn link(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("cannot find this program's own file")?;
    let metadata = this.metadata()?;
    let identity = format!("{} {:?}", metadata.len(), metadata.modified()?);
    let hash = files::sha256(identity.as_bytes());
    let folder = folder
        .join("linker")
        .join(format!("{}-{}", short_hash(&this), &hash[..12]));
    let linker = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if !linker.exists() {
        std::fs::create_dir_all(&folder)?;
        let place = tempfile::tempdir_in(&folder)?;
        let temporary = place.path().join(name);
        #[cfg(unix)]
        std::os::unix::fs::symlink(&this, &temporary)?;
        #[cfg(not(unix))]
        std::fs::copy(&this, &temporary)?;
        std::fs::rename(&temporary, &linker)
            .with_context(|| format!("cannot make {}", linker.display()))?;
    }
    Ok(linker)
}

#[cfg(test)]
mod tests {
    #[test]
    fn variables_are_as_cargo_reads_them() {
        assert_eq!(
            super::variable("wasm32-wasip1"),
            "CARGO_TARGET_WASM32_WASIP1_LINKER"
        );
    }
}
