//! `cargo xtask`.

use std::process::ExitCode;

fn main() -> ExitCode {
    genkan::start("cargo xtask", xtask::cli::main)
}
