//! Whether a module is what its inputs would give again: a small file per
//! output that records them all.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::files;

/// What one output was made from.
#[derive(Debug, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Everything that is no file: options, compiler, target.
    settings: String,
    /// Variables that the compiler read.
    environment: Vec<(String, Option<String>)>,
    /// The output, as it was left.
    output: Entry,
    /// Every file that was read, this program among them.
    inputs: Vec<Entry>,
}

/// A file as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    path: PathBuf,
    size: u64,
    /// Nanoseconds since 1970.
    modified: u128,
    /// Where a new time alone is no change (a source, saved again as it was).
    sha256: Option<String>,
}

impl Entry {
    fn of(path: &Path, with_hash: bool) -> Option<Self> {
        let metadata = path.metadata().ok()?;
        let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let sha256 = match with_hash {
            true => Some(files::sha256(&files::read(path).ok()?)),
            false => None,
        };
        Some(Entry {
            path: path.to_owned(),
            size: metadata.len(),
            modified: modified.as_nanos(),
            sha256,
        })
    }

    fn holds(&self) -> bool {
        Self::of(&self.path, false).is_some_and(|now| {
            now.size == self.size
                && (now.modified == self.modified
                    || self.sha256.is_some()
                        && Self::of(&self.path, true).is_some_and(|now| now.sha256 == self.sha256))
        })
    }
}

impl Fingerprint {
    /// Records that `output` was made from `environment`, `sources` (which people edit),
    /// `libraries` (which they do not), this program and `settings`. `None` if
    /// one of them is no plain file any more.
    pub fn new(
        settings: String,
        output: &Path,
        environment: &[(String, Option<String>)],
        sources: &[PathBuf],
        libraries: &[PathBuf],
    ) -> Option<Self> {
        let this = std::env::current_exe().ok()?;
        let libraries = libraries.iter().chain([&this]);
        let inputs = sources
            .iter()
            .map(|path| Entry::of(path, true))
            .chain(libraries.map(|path| Entry::of(path, false)))
            .collect::<Option<_>>()?;
        Some(Fingerprint {
            settings,
            environment: environment.to_vec(),
            output: Entry::of(output, false)?,
            inputs,
        })
    }

    /// Whether all is as it was. Returns the sources.
    fn sources_if_current(self, settings: &str) -> Option<Vec<PathBuf>> {
        let this = std::env::current_exe().ok()?;
        let holds = self.settings == settings
            && self.output.holds()
            && self
                .environment
                .iter()
                .all(|(name, value)| std::env::var(name).ok() == *value)
            && self.inputs.iter().any(|input| input.path == this)
            && self.inputs.iter().all(Entry::holds);
        let sources = self
            .inputs
            .into_iter()
            .filter(|input| input.sha256.is_some());
        holds.then(|| sources.map(|input| input.path).collect())
    }

    /// Keeps it for [`current`].
    pub fn save(&self, folder: &Path) -> anyhow::Result<()> {
        files::write(
            &place(folder, &self.output.path),
            &serde_json::to_vec(self)?,
        )
    }
}

/// The sources of `output` if it is what they and `settings` would give again,
/// by the fingerprints in `folder`.
pub fn current(folder: &Path, output: &Path, settings: &str) -> Option<Vec<PathBuf>> {
    let text = std::fs::read(place(folder, output)).ok()?;
    let fingerprint: Fingerprint = serde_json::from_slice(&text).ok()?;
    (fingerprint.output.path == output).then(|| fingerprint.sources_if_current(settings))?
}

fn place(folder: &Path, output: &Path) -> PathBuf {
    let hash = files::sha256(output.as_os_str().as_encoded_bytes());
    folder.join(format!("{}.json", &hash[..16]))
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    #[test]
    fn a_change_of_anything_is_seen_and_of_a_time_alone_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let fingerprints = folder.path().join("fingerprints");
        let (output, source) = (file("out.wasm", "module"), file("a.rs", "source"));
        let library = file("libx.rlib", "library");
        let environment = [("GENKAN_TEST_UNSET".to_owned(), None)];
        let (sources, libraries) = (from_ref(&source), from_ref(&library));
        let record = || {
            Fingerprint::new("-O".into(), &output, &environment, sources, libraries)
                .unwrap()
                .save(&fingerprints)
                .unwrap();
        };
        let current = || current(&fingerprints, &output, "-O");

        assert_eq!(current(), None);
        record();
        assert_eq!(current(), Some(vec![source.clone()]));
        assert_eq!(super::current(&fingerprints, &output, "-g"), None);

        // Saved again, at another time, as it was.
        std::fs::write(&source, "source").unwrap();
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        std::fs::File::options()
            .write(true)
            .open(&source)
            .unwrap()
            .set_modified(later)
            .unwrap();
        assert!(current().is_some());

        for (path, text) in [(&source, "sauce!"), (&library, "other"), (&output, "gone")] {
            file(path.file_name().unwrap().to_str().unwrap(), text);
            assert_eq!(current(), None, "{}", path.display());
            record();
        }
        let environment = [("GENKAN_TEST_UNSET".to_owned(), Some("set".to_owned()))];
        let other = Fingerprint::new("-O".into(), &output, &environment, sources, &[]);
        other.unwrap().save(&fingerprints).unwrap();
        assert_eq!(current(), None);
        record();
        std::fs::remove_file(&source).unwrap();
        assert_eq!(current(), None);
    }
}
