//! Builds WebAssembly guests: compiles them, links them in Rust, inspects
//! them, and keeps the fixtures. `main.rs` is a thin user of it.

pub mod bench_host;
pub mod bench_link;
pub mod build_guest;
pub mod cli;
pub mod compile;
pub mod diff;
pub mod files;
pub mod fixtures;
pub mod guest;
pub mod inspect;
pub mod libraries;
pub mod link;
pub mod new;
pub mod package;
pub mod reproduce;
pub mod run;
pub mod shell;
pub mod source;
pub mod stamp;
pub mod symbols;
pub mod toolchain;
pub mod wasm_ld;
pub mod wat;
pub mod watch;
