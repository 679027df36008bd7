//! The linker alone, with wasm-ld's command line: what cargo's configuration and
//! makefiles name.

use std::process::ExitCode;

fn main() -> ExitCode {
    genkan::wasm_ld::main("genkan-ld", std::env::args_os().skip(1))
}
