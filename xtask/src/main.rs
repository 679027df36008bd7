//! `cargo xtask`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    match genkan::wasm_ld::asked_for(&name, arguments) {
        Ok(arguments) => genkan::wasm_ld::main(arguments),
        Err(arguments) => xtask::cli::main(arguments),
    }
}
