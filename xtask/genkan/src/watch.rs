//! `watch`: builds and runs a guest again whenever its source changes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use anyhow::Context as _;
use notify::{EventKind, RecursiveMode, Watcher as _};

use crate::build_guest::{self, Request};
use crate::guest::Guest;
use crate::run;
use crate::shell::{self, Shell};

/// Editors write in several steps; what comes this soon after is one change.
const SETTLE: Duration = Duration::from_millis(20);

/// Runs until it is ended.
pub fn watch(shell: Shell, request: &Request, arguments: &[OsString]) -> anyhow::Result<()> {
    let (sender, events) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(sender).context("cannot watch files")?;
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    let mut files = first_files(&request.guest);
    // Built once: it is the guest that changes.
    let mut host = None;
    loop {
        // Before the build too: a change meanwhile is one.
        follow(&mut watcher, &mut folders, &files)?;
        match build(shell, request) {
            Ok((module, sources)) => {
                files = sources;
                follow(&mut watcher, &mut folders, &files)?;
                if host.is_none() {
                    host = run::host(shell, false).map_err(tell).ok();
                }
                if let Some(host) = &host {
                    let outcome = run::start(shell, host, &request.guest, &module, arguments);
                    outcome.map_err(tell).ok();
                }
            }
            // A change of what was read before may mend it.
            Err(error) => tell(error),
        }
        shell.status("Watching", format_args!("{} files", files.len()));
        wait(&events, &files)?;
    }
}

fn tell(error: anyhow::Error) {
    shell::error(format_args!("{error:#}"));
}

/// Watches the folders of `files`: an editor may replace a file by another.
fn follow(
    watcher: &mut notify::RecommendedWatcher,
    folders: &mut BTreeSet<PathBuf>,
    files: &BTreeSet<PathBuf>,
) -> anyhow::Result<()> {
    for folder in files.iter().filter_map(|file| file.parent()) {
        if folder.is_dir() && folders.insert(folder.to_owned()) {
            watcher
                .watch(folder, RecursiveMode::NonRecursive)
                .with_context(|| format!("cannot watch {}", folder.display()))?;
        }
    }
    Ok(())
}

fn first_files(guest: &Guest) -> BTreeSet<PathBuf> {
    match guest {
        Guest::Source { file, .. } => BTreeSet::from([file.clone()]),
        Guest::Package(manifest) => {
            let folder = manifest.parent().unwrap_or(Path::new(""));
            let mut files = crate::source::rust_files(&folder.join("src"));
            files.push(manifest.clone());
            files.into_iter().collect()
        }
        Guest::Object(path) | Guest::Module(path) => BTreeSet::from([path.clone()]),
    }
}

/// The module, and the files that it was made of.
fn build(shell: Shell, request: &Request) -> anyhow::Result<(PathBuf, BTreeSet<PathBuf>)> {
    match &request.guest {
        Guest::Module(path) => Ok((path.clone(), BTreeSet::from([path.clone()]))),
        _ => {
            let built = build_guest::build(shell, request)?;
            Ok((built.path, built.sources.into_iter().collect()))
        }
    }
}

/// Returns when one of `files` has changed.
fn wait(
    events: &Receiver<notify::Result<notify::Event>>,
    files: &BTreeSet<PathBuf>,
) -> anyhow::Result<()> {
    loop {
        let event = events.recv().context("nobody watches any more")?;
        if !concerns(&event.context("while watching")?, files) {
            continue;
        }
        while events.recv_timeout(SETTLE).is_ok() {}
        return Ok(());
    }
}

/// Whether an event changes one of `files`. Reading is no change: builds read.
fn concerns(event: &notify::Event, files: &BTreeSet<PathBuf>) -> bool {
    !matches!(event.kind, EventKind::Access(_))
        && event.paths.iter().any(|path| files.contains(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{AccessKind, DataChange, ModifyKind};

    #[test]
    fn only_changes_of_the_sources_count() {
        let files = BTreeSet::from([PathBuf::from("/g/a.rs")]);
        let event = |kind, path: &str| notify::Event::new(kind).add_path(path.into());
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        assert!(concerns(&event(written, "/g/a.rs"), &files));
        assert!(!concerns(&event(written, "/g/a.wasm"), &files));
        let read = EventKind::Access(AccessKind::Read);
        assert!(!concerns(&event(read, "/g/a.rs"), &files));
    }
}
