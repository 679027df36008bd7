//! Rust guests linked by genkan and by the toolchain's rust-lld, from the same
//! objects with the same options: the modules must do the same.
//!
//! Each guest in `diff_rust/` is compiled by the active toolchain and, where it
//! is installed, by 1.63. A guest's first line may say `// options:` for rustc or
//! `// target:`, the only one that the guest is for.

mod linkers;

use std::path::Path;

use genkan::toolchain::Toolchain;
use linkers::Size;

/// What wasm-ld can be asked to drop, and whether sizes are compared then.
const STRIPS: [(&[&str], Size); 5] = [
    (&[], Size::Free),
    (&["--strip-debug"], Size::Free),
    (&["--strip-all"], Size::Compared),
    (&["--strip-all", "--compress-relocations"], Size::Compared),
    (&["--strip-all", "--icf=safe"], Size::Compared),
];

fn differ(guest: &str, (toolchain, target): (Toolchain, String)) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/diff_rust/{guest}.rs"));
    let text = std::fs::read_to_string(&source).unwrap();
    let first = text.lines().next().unwrap_or_default();
    let options = first.strip_prefix("// options:").unwrap_or_default();
    let options: Vec<&str> = options.split_whitespace().collect();
    let only = first.strip_prefix("// target:").map(str::trim);
    if only.is_some_and(|only| only != target) {
        return;
    }
    for profile in [&["-Copt-level=2"][..], &["-g"]] {
        let what = format!("{guest} ({target}, {}, {profile:?})", toolchain.origin);
        let folder = tempfile::tempdir().unwrap();
        let all = [&options[..], profile].concat();
        let arguments = linkers::compile(&toolchain, &target, &source, &all, folder.path());
        for (strip, size) in STRIPS {
            let what = format!("{what} {strip:?}");
            let mut arguments = arguments.clone();
            arguments.extend(strip.iter().map(|&option| option.to_owned()));
            let theirs = linkers::theirs(&toolchain, folder.path(), &arguments).module(&what);
            let ours = linkers::ours(folder.path(), &arguments).module(&what);
            linkers::assert_alike(&what, &ours, &theirs, size);
            // An old one has another layout.
            let (newest, _) = linkers::toolchain();
            linkers::assert_same(&what, &newest, folder.path(), &arguments);
        }
    }
}

/// A test for each guest, so that they run side by side.
macro_rules! guests {
    ($($guest:ident)*) => {
        $(#[test]
        fn $guest() {
            differ(stringify!($guest), linkers::toolchain());
        })*

        mod rust_1_63 {
            $(#[test]
            #[cfg_attr(
                not(has_rustc_1_63),
                ignore = "Rust 1.63 with wasm32-wasi is not installed"
            )]
            fn $guest() {
                super::differ(stringify!($guest), super::linkers::old_toolchain());
            })*
        }

        #[test]
        fn every_guest_has_its_test() {
            let tested = [$(stringify!($guest)),*];
            for path in linkers::cases("diff_rust", "rs") {
                let name = path.file_stem().unwrap().to_str().unwrap();
                assert!(tested.contains(&name), "{name}");
            }
        }
    };
}

guests! {
    bare
    collections
    ctors
    deep_stack
    dynamic
    hello
    icf
    numbers
    own_allocator
    panics
    reactor
    statics
    strings
}
