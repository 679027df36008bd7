//! `cargo xtask`.

use std::process::ExitCode;

fn main() -> ExitCode {
    genkan::start(xtask::cli::main)
}
