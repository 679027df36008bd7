//! Modules that nobody wrote, under every limit: each call ends, in time, in a result or an
//! error.
#![no_main]

#[path = "../../tests/attack/mod.rs"]
mod attack;

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: attack::expect_panics(), |bytes: &[u8]| {
    // Too few bytes for a module are none.
    let _ = attack::attack(bytes);
});
