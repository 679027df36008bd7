//! The command line over the library. Under the name `wasm-ld`, the linker alone.

use std::env;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    let mut rest = arguments.peekable();
    // A symbolic link named wasm-ld is the linker; so is `link`, whose options
    // are wasm-ld's and not clap's.
    let is_linker = Path::new(&name)
        .file_stem()
        .is_some_and(|stem| stem == "wasm-ld");
    if is_linker || rest.next_if(|first| first == "link").is_some() {
        return genkan::wasm_ld::main(rest);
    }
    genkan::cli::main(rest)
}
