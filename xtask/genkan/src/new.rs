//! `new`: a guest to start from, that builds and runs at once.

use std::path::Path;

use anyhow::ensure;

use crate::build_guest::relative_to_here;
use crate::compile::workspace;
use crate::files;
use crate::guest;
use crate::shell::{self, Shell};

const SOURCE: &str = "\
//! Adds two numbers. Build and run it with
//! `cargo xtask run NAME -- --invoke add 20 22`.

/// Every `#[no_mangle]` function is an export of the module.
#[no_mangle]
pub extern \"C\" fn add(a: i32, b: i32) -> i32 {
    a.wrapping_add(b)
}
";

/// Makes the guest `name`: a file in `guest/examples`, or a package in the
/// folder `name`. Never overwrites anything.
pub fn new(shell: Shell, name: &str, package: bool) -> anyhow::Result<()> {
    let argument = match package {
        true => new_package(shell, Path::new(name))?,
        false => new_file(shell, name)?,
    };
    shell::print(&format!(
        "Run it:\n    cargo xtask run {argument} -- --invoke add 20 22\n"
    ))
}

fn new_file(shell: Shell, name: &str) -> anyhow::Result<String> {
    check_name(name)?;
    let path = guest::examples().join(format!("{name}.rs"));
    ensure!(!path.exists(), "{} is there already", path.display());
    files::write(&path, SOURCE.replace("NAME", name).as_bytes())?;
    shell.status("Created", relative_to_here(&path).display());
    Ok(name.to_owned())
}

fn new_package(shell: Shell, folder: &Path) -> anyhow::Result<String> {
    let folder = std::path::absolute(folder)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    check_name(&name)?;
    ensure!(!folder.exists(), "{} is there already", folder.display());
    let guest = workspace().join("guest");
    let manifest = format!(
        "[package]\n\
         name = \"{name}\"\n\
         version = \"0.1.0\"\n\
         edition = \"2021\"\n\
         \n\
         [lib]\n\
         crate-type = [\"cdylib\"]\n\
         \n\
         [dependencies]\n\
         genkan-guest = {{ path = {:?} }}\n\
         \n\
         # It stands alone, also within another workspace's folder.\n\
         [workspace]\n",
        guest
    );
    let shown = relative_to_here(&folder).display().to_string();
    files::write(&folder.join("Cargo.toml"), manifest.as_bytes())?;
    files::write(
        &folder.join("src/lib.rs"),
        SOURCE.replace("NAME", &shown).as_bytes(),
    )?;
    files::write(&folder.join(".gitignore"), b"/target\n")?;
    shell.status("Created", format_args!("package {shown}"));
    Ok(shown)
}

/// A name that cargo, rustc and every file system take.
fn check_name(name: &str) -> anyhow::Result<()> {
    let good = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c));
    ensure!(
        good,
        "{name:?} is no name for a guest: a lower-case letter first, then letters, digits, - and _"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn names() {
        for good in ["sum", "a1", "my-guest_2"] {
            super::check_name(good).unwrap();
        }
        for bad in ["", "1a", "../x", "Sum", "a b", "a.rs"] {
            super::check_name(bad).unwrap_err();
        }
    }
}
