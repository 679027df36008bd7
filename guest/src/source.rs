//! This package's own files, for a tool that hands them on with a project.

/// Each file that another project needs to use this package, as the path within the
/// package, with `/`, and the text. It is there with the feature `source`.
pub const FILES: &[(&str, &str)] = &[
    ("CALLS.md", include_str!("../CALLS.md")),
    ("COLUMNS.md", include_str!("../COLUMNS.md")),
    ("Cargo.toml", include_str!("../Cargo.toml")),
    ("README.md", include_str!("../README.md")),
    ("include/genkan.h", include_str!("../include/genkan.h")),
    ("src/calls.rs", include_str!("calls.rs")),
    ("src/calls/answer.rs", include_str!("calls/answer.rs")),
    ("src/calls/argument.rs", include_str!("calls/argument.rs")),
    ("src/calls/codec.rs", include_str!("calls/codec.rs")),
    ("src/calls/import.rs", include_str!("calls/import.rs")),
    ("src/host.rs", include_str!("host.rs")),
    ("src/lib.rs", include_str!("lib.rs")),
    ("src/native.rs", include_str!("native.rs")),
    ("src/number.rs", include_str!("number.rs")),
    ("src/numbers.rs", include_str!("numbers.rs")),
    ("src/pointer.rs", include_str!("pointer.rs")),
    ("src/source.rs", include_str!("source.rs")),
    ("src/window.rs", include_str!("window.rs")),
];

/// The same of `genkan-macros`, which this package needs in its folder.
pub const MACROS: &[(&str, &str)] = genkan_macros::files!();
