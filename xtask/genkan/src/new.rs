//! `new`: a guest to start from, that builds and runs at once.

use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::build_guest::relative_to_here;
use crate::context::Context;
use crate::files;
use crate::guest_source;
use crate::shell;

/// A guest's source; [`source`] names it.
const SOURCE: &str = "\
//! Adds two numbers. Build and run it with
//! `RUN -- --invoke add 20 22`.

/// Every `#[no_mangle]` function is an export of the module.
#[no_mangle]
pub extern \"C\" fn add(a: i32, b: i32) -> i32 {
    a.wrapping_add(b)
}
";

/// The folder of a new package that has the guest API.
const GUEST_API: &str = "genkan-guest";

/// A source to start from, of a guest that `run` (a command) runs.
pub fn source(run: &str) -> String {
    SOURCE.replace("RUN", run)
}

/// Makes the package `folder`, which is not there yet, and says what to do with it.
pub fn package(context: &Context<'_>, folder: &Path) -> anyhow::Result<()> {
    let shown = folder;
    let folder = std::path::absolute(folder)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    check_name(&name)?;
    ensure!(!folder.exists(), "{} is there already", shown.display());
    let program = context.program();
    let run = match context.repository {
        Some(_) => format!("{program} run {}", shown.display()),
        None => format!("{program} run"),
    };

    // Beside its place first: it is there whole, or not at all.
    let parent = folder.parent().context("a folder lies in a folder")?;
    let cannot = || format!("cannot make {}", shown.display());
    std::fs::create_dir_all(parent).with_context(cannot)?;
    let place = tempfile::Builder::new()
        .prefix(".genkan-")
        .tempdir_in(parent)
        .with_context(cannot)?;
    let package = place.path().join(&*name);
    files::write(&package.join("Cargo.toml"), manifest(&name).as_bytes())?;
    files::write(&package.join("src/lib.rs"), source(&run).as_bytes())?;
    files::write(&package.join(".gitignore"), b"/target\n")?;
    guest_source::write(&package.join(GUEST_API))?;
    std::fs::rename(&package, &folder).with_context(cannot)?;

    let shown = relative_to_here(&folder).display().to_string();
    context
        .shell
        .status("Created", format_args!("package {shown}"));
    let into = match context.repository {
        Some(_) => String::new(),
        None => format!("    cd {shown}\n"),
    };
    shell::print(&format!(
        "Run it:\n{into}    {run}\n\
         and with other arguments:\n    {run} -- --invoke add 1 2\n"
    ))
}

fn manifest(name: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "[package]\n\
         name = \"{name}\"\n\
         version = \"0.1.0\"\n\
         edition = \"2021\"\n\
         \n\
         # What `genkan run` tells the host where you say nothing.\n\
         [package.metadata.genkan]\n\
         run = [\"--invoke\", \"add\", \"20\", \"22\"]\n\
         \n\
         [lib]\n\
         crate-type = [\"cdylib\"]\n\
         \n\
         [dependencies]\n\
         # Access to what the host grants. It came with genkan and lies in this\n\
         # package, so that everybody can build it, without a network too.\n\
         genkan-guest = {{ path = \"{GUEST_API}\", version = \"{version}\" }}\n\
         \n\
         # It stands alone, also within another workspace's folder.\n\
         [workspace]\n\
         exclude = [\"{GUEST_API}\"]\n"
    )
}

/// A name that cargo, rustc and every file system take.
pub fn check_name(name: &str) -> anyhow::Result<()> {
    let good = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c));
    ensure!(
        good,
        "{name:?} is no name for a guest: a lower-case letter first, then letters, digits, - and _"
    );
    ensure!(
        !TAKEN.contains(&name),
        "{name:?} is no name for a guest: it has a meaning in Rust, cargo or the file system"
    );
    Ok(())
}

/// Rust's keywords, crates and folders that cargo has already, Windows' devices.
const TAKEN: [&str; 69] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "aux",
    "await",
    "become",
    "box",
    "break",
    "build",
    "con",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "genkan-guest",
    "genkan_guest",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "nul",
    "override",
    "priv",
    "prn",
    "proc-macro",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "target",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
    "src",
];

#[cfg(test)]
mod tests {
    #[test]
    fn names() {
        for good in ["sum", "a1", "my-guest_2"] {
            super::check_name(good).unwrap();
        }
        for bad in [
            "",
            "1a",
            "../x",
            "Sum",
            "a b",
            "a.rs",
            "fn",
            "std",
            "genkan-guest",
        ] {
            super::check_name(bad).unwrap_err();
        }
    }
}
