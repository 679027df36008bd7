//! The command line, as a program of its own.

fn main() -> std::process::ExitCode {
    genkan_host::cli::main(std::env::args_os())
}
