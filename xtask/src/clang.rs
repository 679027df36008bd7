//! The clang that compiles C for tests and measurements, if one is installed.

use std::path::PathBuf;
use std::process::Command;

/// The oldest that knows all that the tests compile: reference types in assembly,
/// thread-local storage outside of Emscripten.
const OLDEST: u32 = 16;

/// The newest clang that compiles for WebAssembly.
///
/// # Errors
/// In words, when there is none.
pub fn newest() -> Result<PathBuf, String> {
    let versions = (OLDEST..40).rev().map(|version| format!("clang-{version}"));
    versions
        .chain(["clang".to_owned()])
        .find(|name| {
            let mut check = Command::new(name);
            check.args(["--target=wasm32", "-fsyntax-only", "-x", "c", "/dev/null"]);
            let version = Command::new(name).arg("-dumpversion").output();
            let major = version.ok().and_then(|output| {
                let text = String::from_utf8(output.stdout).ok()?;
                text.split('.').next()?.trim().parse::<u32>().ok()
            });
            major.is_some_and(|major| major >= OLDEST)
                && check.output().is_ok_and(|output| output.status.success())
        })
        .map(PathBuf::from)
        .ok_or_else(|| format!("clang {OLDEST} or newer is not installed"))
}
