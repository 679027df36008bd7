//! The command `genkan`.

use std::process::ExitCode;

fn main() -> ExitCode {
    genkan::start("genkan", genkan::cli::main)
}
