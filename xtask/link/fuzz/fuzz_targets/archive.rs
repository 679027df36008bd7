//! Any bytes as an archive, whose members are taken as needed, and all of them.
#![no_main]

use genkan_link::{Input, Options, Role, Unresolved};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = b"!<arch>\n".to_vec();
    file.extend(bytes);
    for role in [Role::Default, Role::Whole] {
        let input = Input::new("fuzz.a", &file).with_role(role);
        let mut options = Options::wasm_ld();
        options.entry = None;
        options.undefined = ["start", "a", "f"].map(str::to_owned).to_vec();
        options.unresolved = Unresolved::Ignore;
        if let Err(error) = genkan_link::link(&[input], &options) {
            assert!(!error.to_string().is_empty());
        }
    }
});
