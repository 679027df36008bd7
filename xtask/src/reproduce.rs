//! `fixtures --reproduce`: builds every guest again under other surroundings,
//! one at a time, and shows which of them changes a byte.
//!
//! Each build is a process of its own: this program, `build-guest`, with a
//! changed environment.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use rayon::prelude::*;

use crate::fixtures::{self, Entry};
use crate::repository::Checkout;
use genkan::context::Repository as _;
use genkan::files;
use genkan::progress::Progress;
use genkan::shell::{self, Shell};
use genkan::toolchain::{self, Choice, Toolchain};

/// Where one build takes place.
struct Surroundings {
    /// A workspace: this one, or a copy of what a build reads.
    workspace: PathBuf,
    target: PathBuf,
    environment: Vec<(&'static str, String)>,
    /// Put before the command: a shell with an umask, a namespace.
    before: Vec<String>,
    rustc: PathBuf,
}

/// One way in which surroundings differ from the usual.
struct Variation {
    name: &'static str,
    what: &'static str,
    /// Changes the surroundings, or says why that cannot be done here. The
    /// folder is its own.
    apply: Apply,
}

const VARIATIONS: [Variation; 16] = [
    Variation {
        name: "again",
        what: "the same, cold",
        apply: |_, _, _| Ok(()),
    },
    Variation {
        name: "warm caches",
        what: "the target folder of a build before",
        apply: |it, _, folder| {
            it.target = folder.with_file_name("usual");
            Ok(())
        },
    },
    Variation {
        name: "source folder",
        what: "a copy of the workspace, deeper, with a space in its path",
        apply: |it, _, folder| {
            let copy = folder.join("another place").join("genkan");
            copy_sources(&it.workspace, &copy)?;
            it.workspace = copy;
            Ok(())
        },
    },
    Variation {
        name: "target folder",
        what: "deeper, with another name",
        apply: |it, _, folder| {
            it.target = folder.join("elsewhere/out put");
            Ok(())
        },
    },
    Variation {
        name: "HOME",
        what: "another, empty one",
        apply: |it, _, folder| set_home(it, folder),
    },
    Variation {
        name: "CARGO_HOME",
        what: "another one, with the same registry",
        apply: |it, _, folder| {
            let home = folder.join("cargo home");
            copy_cargo_home(&home)?;
            it.environment
                .push(("CARGO_HOME", home.display().to_string()));
            Ok(())
        },
    },
    Variation {
        name: "user",
        what: "another name",
        apply: |it, _, _| {
            for variable in ["USER", "LOGNAME"] {
                it.environment.push((variable, "somebody".into()));
            }
            Ok(())
        },
    },
    Variation {
        name: "umask",
        what: "077",
        apply: |it, _, _| {
            it.before = ["sh", "-c", "umask 077 && exec \"$@\"", "sh"]
                .map(str::to_owned)
                .to_vec();
            needs("sh")
        },
    },
    Variation {
        name: "time zone",
        what: "TZ=Pacific/Kiritimati",
        apply: |it, _, _| {
            it.environment.push(("TZ", "Pacific/Kiritimati".into()));
            Ok(())
        },
    },
    Variation {
        name: "locale",
        what: "LC_ALL=tr_TR.UTF-8",
        apply: |it, _, _| {
            it.environment.push(("LC_ALL", "tr_TR.UTF-8".into()));
            Ok(())
        },
    },
    Variation {
        name: "PATH",
        what: "with a folder more",
        apply: |it, _, folder| {
            let path = std::env::var("PATH").unwrap_or_default();
            it.environment
                .push(("PATH", format!("{path}:{}", folder.display())));
            Ok(())
        },
    },
    Variation {
        name: "environment",
        what: "with variables that nobody knows, and SOURCE_DATE_EPOCH",
        apply: |it, _, _| {
            it.environment.push(("GENKAN_UNKNOWN", "x".repeat(4096)));
            it.environment.push(("SOURCE_DATE_EPOCH", "1".into()));
            Ok(())
        },
    },
    Variation {
        name: "hostname",
        what: "another one, in a namespace",
        apply: |it, _, _| {
            let script = "hostname elsewhere && exec \"$@\"";
            it.before = ["unshare", "--uts", "sh", "-c", script, "sh"]
                .map(str::to_owned)
                .to_vec();
            needs("unshare")?;
            needs("hostname")?;
            let mut trial = Command::new("unshare");
            trial.args(["--uts", "hostname", "elsewhere"]);
            toolchain::output(&mut trial)
                .map(drop)
                .context("no namespaces for this user")
        },
    },
    Variation {
        name: "threads",
        what: "one, where there are several",
        apply: |it, _, _| {
            it.environment.push(("RAYON_NUM_THREADS", "1".into()));
            it.environment.push(("CARGO_BUILD_JOBS", "1".into()));
            Ok(())
        },
    },
    Variation {
        name: "file order",
        what: "the toolchain copied, its files made in reverse order",
        apply: |it, choice, folder| {
            it.rustc = copy_toolchain(&choice.toolchain, &folder.join("toolchain"), true)?;
            Ok(())
        },
    },
    Variation {
        name: "rust-src",
        what: "a copy of the toolchain with the source of std, or without it",
        apply: |it, choice, folder| {
            let copy = folder.join("toolchain");
            it.rustc = copy_toolchain(&choice.toolchain, &copy, false)?;
            let source = "lib/rustlib/src/rust/library";
            if !choice.toolchain.sysroot.join(source).is_dir() {
                // rustc takes one file for a sign that all are there.
                files::write(&copy.join(source).join("std/src/lib.rs"), b"")?;
                files::write(&copy.join(source).join("core/src/lib.rs"), b"")?;
            }
            Ok(())
        },
    },
];

/// The folder of a build that nothing was changed for.
const USUAL: &str = "usual";

/// Builds all guests under all variations; `false` if one changes a byte.
pub fn reproduce(shell: Shell, checkout: &Checkout, only: &[String]) -> anyhow::Result<bool> {
    let entries = fixtures::entries(checkout)?;
    let compilers = fixtures::compilers(&entries, only)?;
    let place = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut good = true;
    let mut table = String::new();
    for (version, choice) in &compilers.found {
        let guests: Vec<&Entry> = entries
            .iter()
            .filter(|entry| entry.compilers().contains(version))
            .collect();
        let place = place.path().join(version);
        let builds = guests.len() * (1 + VARIATIONS.len());
        let progress = Progress::new(shell, "Building", builds);
        let _ = writeln!(table, "rustc {version}, {} guests", guests.len());
        let all =
            |folder: &Path, apply| build_all(checkout, &guests, choice, folder, apply, &progress);
        let usual = all(&place.join(USUAL), |_, _, _| Ok(()))?;
        for variation in &VARIATIONS {
            let folder = place.join(variation.name.replace(' ', "-"));
            shell.status(
                "Building",
                format_args!("rustc {version}: {}", variation.name),
            );
            let outcome = match all(&folder, variation.apply) {
                Err(error) => format!("not done: {error:#}"),
                Ok(built) => {
                    let differ: Vec<&str> = usual
                        .iter()
                        .filter(|(name, bytes)| built.get(*name) != Some(bytes))
                        .map(|(name, _)| name.as_str())
                        .collect();
                    good &= differ.is_empty();
                    match differ.as_slice() {
                        [] => "same bytes".to_owned(),
                        names => format!("DIFFERS: {}", names.join(", ")),
                    }
                }
            };
            let _ = writeln!(
                table,
                "  {:<14} {outcome} ({})",
                variation.name, variation.what
            );
            // Toolchain copies are large.
            if folder.join("toolchain").exists() {
                fs::remove_dir_all(folder.join("toolchain"))?;
            }
        }
    }
    for version in &compilers.missing {
        let _ = writeln!(
            table,
            "rustc {version}: not here. To get it:\n{}",
            toolchain::install(version)
        );
    }
    shell::print(&table)?;
    Ok(good)
}

/// Objects and modules by name.
type Bytes = BTreeMap<String, Vec<u8>>;

/// Changes surroundings, as [`Variation::apply`] does.
type Apply = fn(&mut Surroundings, &Choice, &Path) -> anyhow::Result<()>;

fn build_all(
    checkout: &Checkout,
    guests: &[&Entry],
    choice: &Choice,
    folder: &Path,
    apply: Apply,
    progress: &Progress,
) -> anyhow::Result<Bytes> {
    fs::create_dir_all(folder)?;
    let mut surroundings = Surroundings {
        workspace: checkout.root().canonicalize()?,
        target: folder.to_owned(),
        environment: Vec::new(),
        before: Vec::new(),
        rustc: choice.toolchain.rustc.clone(),
    };
    apply(&mut surroundings, choice, folder)?;
    let results: Vec<Bytes> = guests
        .par_iter()
        .map(|entry| {
            progress.step(&entry.name);
            build(entry, &surroundings, choice, folder)
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(results.into_iter().flatten().collect())
}

fn build(
    entry: &Entry,
    surroundings: &Surroundings,
    choice: &Choice,
    folder: &Path,
) -> anyhow::Result<Bytes> {
    let name = &entry.name;
    let module = folder.join(format!("{name}.wasm"));
    let this = std::env::current_exe()?;
    let mut words: Vec<std::ffi::OsString> = Vec::new();
    words.extend(surroundings.before.iter().map(Into::into));
    words.push(this.into());
    words.extend(["build-guest", name, "--quiet", "--rustc"].map(Into::into));
    words.push(surroundings.rustc.clone().into());
    words.extend(["--target".into(), choice.triple.clone().into()]);
    words.extend(["-o".into(), module.clone().into()]);
    if entry.strip {
        words.push("--strip".into());
    }
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        // Where the workspace is, cargo tells xtask so.
        .env("CARGO_MANIFEST_DIR", surroundings.workspace.join("xtask"))
        .env("CARGO_TARGET_DIR", &surroundings.target)
        .envs(
            surroundings
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .current_dir(&surroundings.workspace)
        .stdin(Stdio::null());
    toolchain::output(&mut command)?;

    let mut bytes = Bytes::new();
    bytes.insert(format!("{name}.wasm"), files::read(&module)?.to_vec());
    let objects = surroundings.target.join("guests/objects");
    for built in objects.read_dir().into_iter().flatten().flatten() {
        // The folder is the guest's name and a hash.
        let of_guest = built
            .file_name()
            .to_string_lossy()
            .rsplit_once('-')
            .map(|it| it.0 == name);
        if of_guest == Some(true) {
            let object = built.path().join(format!("{name}.o"));
            bytes.insert(format!("{name}.o"), files::read(&object)?.to_vec());
        }
    }
    Ok(bytes)
}

fn needs(tool: &str) -> anyhow::Result<()> {
    toolchain::on_path(tool)
        .map(drop)
        .with_context(|| format!("no {tool} on PATH"))
}

fn set_home(it: &mut Surroundings, folder: &Path) -> anyhow::Result<()> {
    let home = folder.join("home");
    fs::create_dir_all(&home)?;
    // rustup and cargo look below HOME unless they are told.
    let old = std::env::home_dir().unwrap_or_default();
    for (variable, name) in [("RUSTUP_HOME", ".rustup"), ("CARGO_HOME", ".cargo")] {
        if std::env::var_os(variable).is_none() {
            it.environment
                .push((variable, old.join(name).display().to_string()));
        }
    }
    it.environment.push(("HOME", home.display().to_string()));
    Ok(())
}

/// A CARGO_HOME that need not download what the usual one has.
fn copy_cargo_home(home: &Path) -> anyhow::Result<()> {
    let old = genkan::package::cargo_home();
    fs::create_dir_all(home)?;
    for name in ["config.toml", "config"] {
        if old.join(name).is_file() {
            fs::copy(old.join(name), home.join(name))?;
        }
    }
    if old.join("registry").is_dir() {
        link_tree(&old.join("registry"), &home.join("registry"), false)?;
    }
    Ok(())
}

/// What a build of the examples reads, copied.
fn copy_sources(from: &Path, to: &Path) -> anyhow::Result<()> {
    for part in ["guest", "fixtures", "Cargo.toml", "Cargo.lock"] {
        copy_tree(&from.join(part), &to.join(part))?;
    }
    fs::create_dir_all(to.join("xtask"))?;
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    if !from.is_dir() {
        fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in from.read_dir()?.flatten() {
        if entry.file_name() != "target" {
            copy_tree(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// A toolchain in another place: what compiling a guest needs of it, by hard
/// links where the file system allows.
fn copy_toolchain(toolchain: &Toolchain, to: &Path, reverse: bool) -> anyhow::Result<PathBuf> {
    let from = &toolchain.sysroot;
    let rustc = Path::new("bin").join(format!("rustc{}", std::env::consts::EXE_SUFFIX));
    ensure!(
        from.join(&rustc).is_file(),
        "no toolchain that can be copied"
    );
    link_tree(&from.join("bin"), &to.join("bin"), reverse)?;
    link_tree(&from.join("lib"), &to.join("lib"), reverse)?;
    Ok(to.join(rustc))
}

fn link_tree(from: &Path, to: &Path, reverse: bool) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    let mut entries: Vec<_> = from.read_dir()?.flatten().collect();
    entries.sort_by_key(|entry| entry.file_name());
    if reverse {
        entries.reverse();
    }
    for entry in entries {
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            link_tree(&entry.path(), &place, reverse)?;
        } else if fs::hard_link(entry.path(), &place).is_err() {
            fs::copy(entry.path(), &place)
                .with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}
