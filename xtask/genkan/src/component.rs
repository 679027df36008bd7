//! Components: what guests for WASI 0.2 and later are. The toolchain's
//! wasm-component-ld makes them of the module that this program links.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::build_guest::{LinkSettings, PanicMode, Parts};
use crate::files;
use crate::libraries::{self, Library};
use crate::linker_file;
use crate::shell::Shell;
use crate::symbols;
use crate::toolchain::{self, Toolchain};

/// Targets that rustc links with wasm-component-ld, which has a wasm-ld do it.
pub const TARGETS: [&str; 2] = ["wasm32-wasip2", "wasm32-wasip3"];

/// The linker of components, which comes with a toolchain of these targets.
pub const LINKER: &str = "wasm-component-ld";

/// What makes cargo link a component's module with genkan, below `[target.TRIPLE]`.
pub const CONFIGURATION: &str = r#"rustflags = ["-Clink-arg=--wasm-ld-path=genkan-ld"]"#;

/// Whether what is built for `triple` is a component.
pub fn is_target(triple: &str) -> bool {
    TARGETS.contains(&triple)
}

/// Refuses what a component does not have: a component's memory is its own, and its
/// host is WASI.
pub fn check(settings: &LinkSettings) -> anyhow::Result<()> {
    for (is_asked, what) in [
        (!settings.imports.is_empty(), "--import"),
        (!settings.exports.is_empty(), "--export"),
        (settings.allow_undefined, "--allow-undefined"),
        (settings.panic == Some(PanicMode::Report), "--panic=report"),
        (settings.panic == Some(PanicMode::Stderr), "--panic=stderr"),
    ] {
        if is_asked {
            bail!(
                "{what} is for guests of genkan's host; this target makes a component, whose \
                 imports and exports are those of its WIT world"
            );
        }
    }
    Ok(())
}

/// What the linker is told besides the inputs: options that wasm-component-ld knows.
pub fn arguments(settings: &LinkSettings) -> Vec<String> {
    let arguments: &[&str] = match (settings.strip, settings.debug) {
        (true, _) => &["--strip-all", "--compress-relocations"],
        (false, false) => &["--strip-debug", "--compress-relocations"],
        (false, true) => &[],
    };
    arguments.iter().map(|&it| it.to_owned()).collect()
}

/// The toolchain's own linker of components; else the one on PATH.
fn linker(toolchain: &Toolchain) -> anyhow::Result<PathBuf> {
    let name = format!("{LINKER}{}", std::env::consts::EXE_SUFFIX);
    let hosts = toolchain.sysroot.join("lib/rustlib").read_dir();
    let mut places = hosts
        .into_iter()
        .flatten()
        .flatten()
        .map(|host| host.path().join("bin").join(&name));
    let own = places.find(|place| place.is_file());
    own.or_else(|| toolchain::on_path(LINKER)).with_context(|| {
        format!(
            "{} has no {LINKER}, which makes components; Rust 1.82 and newer bring it along",
            toolchain.origin
        )
    })
}

/// Makes a component of `parts`, as rustc would; also returns the libraries' paths.
/// What is needed on the way goes to `folder`.
pub fn link(
    shell: Shell,
    toolchain: &Toolchain,
    parts: &Parts,
    settings: &LinkSettings,
    folder: &Path,
) -> anyhow::Result<(Vec<u8>, Vec<PathBuf>)> {
    check(settings)?;
    let place = tempfile::tempdir_in(folder)?;
    let output = place.path().join("component.wasm");
    let mut libraries = parts.more.clone();
    let mut command = toolchain::command(&linker(toolchain)?);
    command
        .arg("--wasm-ld-path")
        .arg(linker_file::wasm_ld(folder)?)
        .arg("-o")
        .arg(&output)
        .args(["-z", "stack-size=1048576", "--stack-first", "--gc-sections"])
        .args(arguments(settings));
    if let Some(folder) = &parts.libraries {
        if parts.main {
            let start_up = libraries::start_up(folder);
            Library::open(&start_up).context("this target has no programs")?;
            command.arg("--export=__main_void").arg(&start_up);
        }
        libraries.extend(libraries::archives(folder)?);
    }
    if !parts.main {
        command.arg("--no-entry");
        let defined = symbols::read(&files::read(&parts.object)?).unwrap_or_default();
        let own = defined.defined.iter();
        let own = own.filter(|name| genkan_link::Library::leaves_to_author(name));
        command.args(own.map(|name| format!("--export={name}")));
    }
    command
        .arg("--export-if-defined=cabi_realloc")
        .arg(&parts.object)
        .args(&libraries);
    shell.detail("Running", toolchain::display(&command));
    let name = parts.object.display().to_string();
    shell.during("Linking", &name, || toolchain::output(&mut command))?;
    Ok((files::read(&output)?.to_vec(), libraries))
}
