//! The objects that genkan's own repository keeps of its examples, for machines
//! without a compiler.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::compile::workspace;
use crate::files;

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

/// The object that `fixtures/` keeps of the guest at `file`, if it was made of
/// what the file holds now.
pub fn kept_object(root: &Path, file: &Path) -> Option<PathBuf> {
    let source = file.strip_prefix(root).ok()?.to_str()?;
    let hash = files::sha256(&files::read(file).ok()?);
    let folder = workspace().join("fixtures");
    let manifest = files::read(&folder.join("manifest.json")).ok()?;
    let manifest: Manifest = serde_json::from_slice(&manifest).ok()?;
    // The newest compiler comes last.
    let records = manifest.fixtures.into_iter().rev();
    records
        .filter(|record| record.sources.len() == 1 && record.sources.get(source) == Some(&hash))
        .flat_map(|record| record.artifacts)
        .filter(|(path, _)| path.ends_with(".o"))
        .map(|(path, artifact)| (folder.join(path), artifact))
        .find(|(path, artifact)| {
            files::read(path).is_ok_and(|bytes| files::sha256(&bytes) == artifact.sha256)
        })
        .map(|(path, _)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_object_is_of_this_very_source() {
        let root = workspace().canonicalize().unwrap();
        let file = root.join("guest/examples/calc.rs");
        let object = kept_object(&root, &file).unwrap();
        assert!(
            object.ends_with("rustc-1.95.0/calc.o"),
            "{}",
            object.display()
        );

        let copy = tempfile::tempdir().unwrap();
        let changed = copy.path().join("guest/examples/calc.rs");
        let text = std::fs::read_to_string(&file).unwrap() + "\n";
        files::write(&changed, text.as_bytes()).unwrap();
        assert_eq!(kept_object(copy.path(), &changed), None);
    }
}
