//! Programs of several well-formed objects, under options of all kinds: what is
//! linked is a valid module, and the same one again.
#![no_main]

mod program;

use libfuzzer_sys::fuzz_target;
use wasmparser::{Validator, WasmFeatures};

use program::Program;

fuzz_target!(|noise: &[u8]| {
    let program = Program::from_noise(noise);
    let files = program.files();
    let inputs = program.inputs(&files);
    let options = program.options();
    let Ok(linked) = genkan_link::link(&inputs, &options) else {
        return;
    };
    if let Err(error) =
        Validator::new_with_features(WasmFeatures::all()).validate_all(&linked.module)
    {
        panic!("invalid module: {error}");
    }
    let again = genkan_link::link(&inputs, &options).expect("it linked before");
    assert!(again.module == linked.module, "another module");
});
