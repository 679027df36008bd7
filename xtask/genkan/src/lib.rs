//! Builds WebAssembly guests: compiles them, links them in Rust, runs them, and
//! inspects them. `main.rs` is a thin user of it.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

pub mod build_guest;
pub mod cargo;
pub mod cli;
pub mod compile;
mod component;
pub mod context;
pub mod diff;
pub mod files;
pub mod fingerprint;
pub mod guest;
pub mod guest_source;
pub mod inspect;
pub mod libraries;
pub mod linker_file;
pub mod new;
pub mod package;
pub mod profile;
pub mod progress;
pub mod run;
pub mod shell;
pub mod source;
pub mod symbols;
pub mod toolchain;
pub mod wasm_ld;
pub mod wat;
pub mod watch;

/// Runs this process as what its name and arguments ask for: a linker, or `command`,
/// which is given the arguments. The user calls it as `program`.
pub fn start(
    program: &str,
    command: impl FnOnce(std::vec::IntoIter<OsString>) -> ExitCode,
) -> ExitCode {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    match wasm_ld::call(&name, arguments) {
        wasm_ld::Call::Linker(arguments) => wasm_ld::main("genkan-ld", arguments),
        wasm_ld::Call::Link(arguments) => wasm_ld::main(&format!("{program} link"), arguments),
        wasm_ld::Call::ComponentLinker(arguments) => {
            cli::exit(cargo::component_linker(Path::new(&name), arguments))
        }
        wasm_ld::Call::Runner(arguments) => command(run::for_cargo(arguments).into_iter()),
        wasm_ld::Call::Command(arguments) => command(arguments.collect::<Vec<_>>().into_iter()),
    }
}
