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
    ("src/columns.rs", include_str!("columns.rs")),
    (
        "src/columns/aggregate.rs",
        include_str!("columns/aggregate.rs"),
    ),
    (
        "src/columns/argument.rs",
        include_str!("columns/argument.rs"),
    ),
    ("src/columns/batch.rs", include_str!("columns/batch.rs")),
    ("src/columns/bits.rs", include_str!("columns/bits.rs")),
    ("src/columns/column.rs", include_str!("columns/column.rs")),
    ("src/columns/element.rs", include_str!("columns/element.rs")),
    (
        "src/columns/function.rs",
        include_str!("columns/function.rs"),
    ),
    ("src/columns/kept.rs", include_str!("columns/kept.rs")),
    ("src/columns/output.rs", include_str!("columns/output.rs")),
    ("src/columns/result.rs", include_str!("columns/result.rs")),
    ("src/columns/sink.rs", include_str!("columns/sink.rs")),
    ("src/columns/types.rs", include_str!("columns/types.rs")),
    ("src/columns/writer.rs", include_str!("columns/writer.rs")),
    ("src/host.rs", include_str!("host.rs")),
    ("src/lib.rs", include_str!("lib.rs")),
    ("src/native.rs", include_str!("native.rs")),
    ("src/number.rs", include_str!("number.rs")),
    ("src/numbers.rs", include_str!("numbers.rs")),
    ("src/owned.rs", include_str!("owned.rs")),
    ("src/pointer.rs", include_str!("pointer.rs")),
    ("src/room.rs", include_str!("room.rs")),
    ("src/section.rs", include_str!("section.rs")),
    ("src/source.rs", include_str!("source.rs")),
    ("src/window.rs", include_str!("window.rs")),
];

/// The same of `genkan-macros`, which this package needs in its folder.
pub const MACROS: &[(&str, &str)] = genkan_macros::files!();
