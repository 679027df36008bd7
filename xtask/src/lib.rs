//! Builds WebAssembly guests: compiles them, links them in Rust, inspects
//! them, and keeps the fixtures. `main.rs` is a thin user of it.

pub mod compile;
pub mod files;
pub mod link;
pub mod shell;
pub mod source;
pub mod toolchain;
pub mod wasm_ld;
