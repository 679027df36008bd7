//! Translates the carried modules, and so checks them.

use std::path::Path;

fn main() {
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    for name in ["access", "copy"] {
        let source = format!("src/carried/{name}.wat");
        println!("cargo::rerun-if-changed={source}");
        let module = wat::parse_file(&source).unwrap_or_else(|e| panic!("{e}"));
        let target = Path::new(&out).join(format!("{name}.wasm"));
        std::fs::write(&target, module).unwrap_or_else(|e| panic!("{}: {e}", target.display()));
    }
}
