//! Programs of several well-formed objects, under options of all kinds: what is
//! linked is a valid module, and the same one again.
#![no_main]

mod program;

use genkan_link::Input;
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
    if let Some(options) = program.once_more() {
        let object = [Input::new("object", &linked.module)];
        // What the objects have that cannot be linked, their sum has.
        if let Ok(linked) = genkan_link::link(&object, &options) {
            let mut validator = Validator::new_with_features(WasmFeatures::all());
            let valid = validator.validate_all(&linked.module);
            if let Err(error) = valid {
                panic!("invalid module of the object: {error}");
            }
        }
    }
    if let Some(options) = program.with_library() {
        let library = Input::new("lib.so", &linked.module);
        let with_library = [&inputs[..1], &[library]].concat();
        if let Ok(linked) = genkan_link::link(&with_library, &options) {
            let mut validator = Validator::new_with_features(WasmFeatures::all());
            let valid = validator.validate_all(&linked.module);
            if let Err(error) = valid {
                panic!("invalid module beside a library: {error}");
            }
        }
    }
    let again = genkan_link::link(&inputs, &options).expect("it linked before");
    assert!(again.module == linked.module, "another module");
});
