//! Any bytes as an object or a shared library: an error or a module, no panic, no memory out of
//! proportion (libFuzzer's own limit).
#![no_main]

use genkan_link::{Input, Options, Unresolved};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let input = Input::new("fuzz.o", bytes);
    for gc_sections in [false, true] {
        let mut options = Options::wasm_ld();
        options.entry = None;
        options.export_all = true;
        options.unresolved = Unresolved::Allow;
        options.gc_sections = gc_sections;
        options.report = gc_sections;
        if let Err(error) = genkan_link::link(&[input], &options) {
            assert!(!error.to_string().is_empty());
        }
    }
});
