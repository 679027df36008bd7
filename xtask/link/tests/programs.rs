//! Programs made up from noise, of well-formed objects and options of all kinds
//! (the fuzz target `link` makes the same): what links is a valid module, and
//! the same one again.

#[path = "../fuzz/fuzz_targets/program.rs"]
mod program;

use genkan_link::Input;
use proptest::prelude::*;
use wasmparser::{Validator, WasmFeatures};

use program::Program;

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_links_is_valid(noise in prop::collection::vec(any::<u8>(), 100..500)) {
        let program = Program::from_noise(&noise);
        let files = program.files();
        for file in &files {
            prop_assert!(Validator::new_with_features(WasmFeatures::all()).validate_all(file).is_ok(), "the test's own objects");
        }
        let inputs = program.inputs(&files);
        let options = program.options();
        let Ok(linked) = genkan_link::link(&inputs, &options) else { return Ok(()) };
        let valid = Validator::new_with_features(WasmFeatures::all()).validate_all(&linked.module);
        if let Err(error) = &valid {
            let folder = tempfile::tempdir().unwrap().keep();
            for input in &inputs {
                std::fs::write(folder.join(format!("{}.o", input.name)), input.bytes).unwrap();
            }
            prop_assert!(false, "{error}; the objects are in {}\n{program:#?}", folder.display());
        }
        if let Some(options) = program.once_more() {
            let object = [Input::new("object", &linked.module)];
            if let Ok(linked) = genkan_link::link(&object, &options) {
                let valid = Validator::new_with_features(WasmFeatures::all()).validate_all(&linked.module);
                let error = valid.err();
                prop_assert!(error.is_none(), "of the object: {error:?}\n{program:#?}");
            }
        }
        if let Some(options) = program.with_library() {
            let library = Input::new("lib.so", &linked.module);
            let with_library = [&inputs[..1], &[library]].concat();
            if let Ok(linked) = genkan_link::link(&with_library, &options) {
                let valid = Validator::new_with_features(WasmFeatures::all()).validate_all(&linked.module);
                let error = valid.err();
                prop_assert!(error.is_none(), "beside a library: {error:?}\n{program:#?}");
            }
        }
        let again = genkan_link::link(&inputs, &options).unwrap();
        prop_assert!(again.module == linked.module, "another module");
    }
}
