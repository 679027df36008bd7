//! The package `genkan-guest`, which this program carries: what guests are
//! compiled with needs neither a clone nor a network.

use std::path::Path;

use anyhow::Context as _;
use genkan_guest::{FILES, MACROS};

use crate::compile::Api;
use crate::files;
use crate::source;

/// The source for guests that are single files, in `folder`. What lies there is
/// compared with what is carried, and mended.
pub fn unpack(folder: &Path) -> anyhow::Result<Api> {
    // Below `guest`, as in genkan's repository: that path gets into modules, and
    // the same guest is to be the same bytes by either.
    let text: String = all().flat_map(|(path, text)| [path, text]).collect();
    let hash = files::sha256(text.as_bytes());
    let root = folder.join("api").join(&hash[..12]);
    write(&root.join("guest"))?;
    Ok(Api {
        source: root.join("guest/src/lib.rs"),
        root,
    })
}

/// The package's files, and those of its macros within it.
fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.iter().chain(MACROS).copied()
}

/// The functions of the host that it declares, by name.
pub fn host_functions() -> anyhow::Result<Vec<String>> {
    let (_, declared) = FILES
        .iter()
        .find(|(path, _)| path.ends_with("src/host.rs"))
        .context("the guest API declares no functions")?;
    Ok(source::host_functions_in(declared)?.into_iter().collect())
}

/// Writes the package into `folder`, as far as it is not there.
pub fn write(folder: &Path) -> anyhow::Result<()> {
    for (path, text) in all() {
        let place = folder.join(path);
        let is_there = std::fs::read(&place).is_ok_and(|bytes| bytes == text.as_bytes());
        if !is_there {
            files::write(&place, text.as_bytes()).context("cannot unpack the guest API")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let api = unpack(folder.path()).unwrap();
        assert!(api.source.starts_with(&api.root));
        let text = std::fs::read(&api.source).unwrap();
        std::fs::write(&api.source, "broken(").unwrap();
        unpack(folder.path()).unwrap();
        assert_eq!(std::fs::read(&api.source).unwrap(), text);
    }
}
