//! Runs WebAssembly guests on memory that the host grants.
