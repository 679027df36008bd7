//! The clang that compiles C for tests and measurements, if one is installed.

use std::path::{Path, PathBuf};
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

/// What a program over wasi-libc is linked with, where Debian's packages put it: the
/// start-up object and, after the program's own objects, libraries.
pub struct WasiLibc {
    /// The start-up object.
    pub start_up: PathBuf,
    /// The folder of libc.
    pub folder: PathBuf,
    /// What `clang` inserts calls to.
    pub builtins: PathBuf,
}

/// wasi-libc and the builtins of `clang`, if both are installed.
pub fn wasi_libc(clang: &Path) -> Option<WasiLibc> {
    let mut command = Command::new(clang);
    command.args(["--target=wasm32-wasip1", "-print-libgcc-file-name"]);
    let builtins = String::from_utf8(command.output().ok()?.stdout).ok()?;
    // Where it looks for it is not where every distribution puts it.
    let folder = Path::new(builtins.trim()).parent()?.parent()?;
    let builtins = [
        builtins.trim().into(),
        folder.join("wasi/libclang_rt.builtins-wasm32.a"),
    ]
    .into_iter()
    .find(|path: &PathBuf| path.is_file())?;
    let folder = PathBuf::from("/usr/lib/wasm32-wasi");
    let start_up = folder.join("crt1-command.o");
    start_up.is_file().then_some(WasiLibc {
        start_up,
        folder,
        builtins,
    })
}
