//! Phase 1: inputs. Takes bytes; gives the tables of one object, or an archive's
//! index and its members one by one. Nothing is copied: all borrows from the
//! input.
//!
//! The format of objects is WebAssembly/tool-conventions' `Linking.md`, with the
//! relocation types of LLVM's `WasmRelocs.def`.

pub mod archive;
pub mod linking;
pub mod object;
pub mod reader;
pub mod relocation;
pub mod shared;
pub mod stub;
