//! `watch`: builds and runs a guest again whenever its source changes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::Context as _;
use notify::{EventKind, RecursiveMode, Watcher as _};

use crate::build_guest::Request;
use crate::context::Context;
use crate::guest::Guest;
use crate::run::{Host, Job};
use crate::shell;

/// Editors write in several steps; what comes this soon after is one change.
const SETTLE: Duration = Duration::from_millis(20);

/// How often a running guest is looked after.
const GLANCE: Duration = Duration::from_millis(50);

type Events = Receiver<notify::Result<notify::Event>>;

/// Runs until it is ended.
pub fn watch(
    context: &Context<'_>,
    request: &Request,
    arguments: &[OsString],
) -> anyhow::Result<()> {
    let (sender, events) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(sender).context("cannot watch files")?;
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    let mut files = first_files(&request.guest);
    // Built once: it is the guest that changes.
    let mut host = None;
    loop {
        // Before the build too: a change meanwhile is one.
        follow(&mut watcher, &mut folders, &files)?;
        let mut guest = None;
        match Job::build(context, request, arguments) {
            Ok(job) => {
                files = job.sources.clone();
                follow(&mut watcher, &mut folders, &files)?;
                if host.is_none() {
                    host = Host::of(context).map_err(tell).ok();
                }
                if let Some(host) = &host {
                    guest = start(context, host, &job).map_err(tell).ok();
                }
            }
            // A change of what was read before may mend it.
            Err(error) => tell(error),
        }
        let count = files.len();
        context
            .shell
            .status("Watching", format_args!("{count} files"));
        wait(context, &events, &files, guest)?;
    }
}

fn start(context: &Context<'_>, host: &Host, job: &Job) -> anyhow::Result<Child> {
    let mut command = host.command(context, job)?;
    let child = command.spawn();
    child.with_context(|| format!("cannot run {}", command.get_program().display()))
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

/// Returns when one of `files` has changed. A guest that runs then is ended: it may
/// never end by itself.
fn wait(
    context: &Context<'_>,
    events: &Events,
    files: &BTreeSet<PathBuf>,
    mut guest: Option<Child>,
) -> anyhow::Result<()> {
    let ended = |guest: &mut Child| !matches!(guest.try_wait(), Ok(None));
    loop {
        if guest.as_mut().is_some_and(ended) {
            guest = None;
        }
        let event = match guest {
            Some(_) => events.recv_timeout(GLANCE),
            None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let event = match event {
            Ok(event) => event.context("while watching")?,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(error) => return Err(error).context("nobody watches any more"),
        };
        if concerns(&event, files) {
            break;
        }
    }
    if let Some(mut guest) = guest {
        context
            .shell
            .status("Ending", "the guest, which still runs");
        // It may have ended just now.
        let _ = guest.kill();
        guest.wait()?;
    }
    while events.recv_timeout(SETTLE).is_ok() {}
    Ok(())
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
