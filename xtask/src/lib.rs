//! Builds WebAssembly guests.
pub mod link;
