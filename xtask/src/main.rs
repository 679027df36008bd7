//! `cargo xtask`.

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1).peekable();
    // `link` has wasm-ld's options and not clap's.
    if arguments.next_if(|first| first == "link").is_some() {
        return genkan::wasm_ld::main(arguments);
    }
    xtask::cli::main(arguments)
}
