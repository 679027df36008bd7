//! Builds WebAssembly guests: compiles them, links them in Rust, and inspects
//! them. `main.rs` is a thin user of it.

pub mod build_guest;
pub mod cli;
pub mod compile;
pub mod diff;
pub mod files;
pub mod guest;
pub mod inspect;
pub mod kept;
pub mod libraries;
pub mod new;
pub mod package;
pub mod run;
pub mod shell;
pub mod source;
pub mod stamp;
pub mod symbols;
pub mod toolchain;
pub mod wasm_ld;
pub mod wat;
pub mod watch;
