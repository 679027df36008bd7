//! Any bytes as an object: an error or a module, no panic, no memory out of
//! proportion (libFuzzer's own limit).
#![no_main]

use libfuzzer_sys::fuzz_target;
use genkan_link::{Input, Options, Role, Unresolved};

fuzz_target!(|bytes: &[u8]| {
    let input = Input {
        name: "fuzz.o",
        bytes,
        role: Role::Default,
    };
    for gc_sections in [false, true] {
        let options = Options {
            entry: None,
            export_all: true,
            unresolved: Unresolved::Allow,
            gc_sections,
            report: gc_sections,
            ..Options::wasm_ld()
        };
        if let Err(error) = genkan_link::link(&[input], &options) {
            assert!(!error.to_string().is_empty());
        }
    }
});
