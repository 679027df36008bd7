//! Replaces the entry points of core's panic machinery: takes the resolved
//! program, and lets the functions that every panic goes through hand their
//! location to the host and trap, so that what formats messages is dead.
//!
//! A guest that brings its own `#[panic_handler]` keeps it.

use std::borrow::Cow;

use wasmparser::SymbolFlags;

use super::object::Kind;
use super::options::Panic;
use super::symbols::{Body, Definition, Made, PanicShape, Program, Symbol};
use super::types;

/// `__genkan_panic(message, message_len, file, file_len, line, column: i32,
/// index, len: i64)`.
const REPORT: &[u8] = &[0x60, 8, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7e, 0x7e, 0];

/// The entry points, as their paths read without hashes, with the shape of
/// their parameters and how many there are, all of them i32; the last is the
/// location, as `#[track_caller]` passes it. Other counts are other versions
/// of the library, whose parameters are not known: they stay, and end in
/// `panic_fmt`, which does not.
///
/// From the sources of core, alloc and std of Rust 1.63 and 1.95.
const ENTRY_POINTS: &[(&str, PanicShape, usize)] = &[
    ("core::panicking::panic_fmt", PanicShape::Location, 2),
    ("core::panicking::panic_fmt", PanicShape::Location, 3),
    ("core::panicking::panic_bounds_check", PanicShape::Bounds, 3),
    ("core::panicking::panic", PanicShape::Message, 3),
    ("core::panicking::panic_str", PanicShape::Message, 3),
    ("core::panicking::panic_explicit", PanicShape::Location, 1),
    ("core::option::expect_failed", PanicShape::Message, 3),
    ("core::option::unwrap_failed", PanicShape::Location, 1),
    ("core::result::unwrap_failed", PanicShape::Message, 5),
    (
        "core::cell::panic_already_borrowed",
        PanicShape::Location,
        1,
    ),
    (
        "core::cell::panic_already_mutably_borrowed",
        PanicShape::Location,
        1,
    ),
    ("core::str::slice_error_fail", PanicShape::Location, 5),
    (
        "core::slice::index::slice_index_fail",
        PanicShape::Location,
        4,
    ),
    (
        "core::slice::index::slice_start_index_len_fail",
        PanicShape::Location,
        3,
    ),
    (
        "core::slice::index::slice_end_index_len_fail",
        PanicShape::Location,
        3,
    ),
    (
        "core::slice::index::slice_index_order_fail",
        PanicShape::Location,
        3,
    ),
    (
        "core::slice::index::slice_start_index_overflow_fail",
        PanicShape::Location,
        1,
    ),
    (
        "core::slice::index::slice_end_index_overflow_fail",
        PanicShape::Location,
        1,
    ),
    (
        "core::slice::copy_from_slice_impl::len_mismatch_fail",
        PanicShape::Location,
        3,
    ),
    (
        "core::panicking::assert_failed_inner",
        PanicShape::Location,
        7,
    ),
    ("alloc::raw_vec::capacity_overflow", PanicShape::Nothing, 0),
    ("alloc::raw_vec::capacity_overflow", PanicShape::Location, 1),
    ("alloc::raw_vec::handle_error", PanicShape::Location, 3),
    ("alloc::alloc::handle_alloc_error", PanicShape::Nothing, 2),
    (
        "std::panicking::begin_panic_handler",
        PanicShape::Nothing,
        1,
    ),
    ("rust_begin_unwind", PanicShape::Nothing, 1),
];

/// Replaces them, if `how` says so.
pub fn replace(program: &mut Program, how: Panic) {
    if how == Panic::Std || has_own_handler(program) {
        return;
    }
    let mut found = Vec::new();
    for id in program.symbols.ids() {
        let symbol = &program.symbols[id];
        if !matches!(symbol.definition, Definition::Object { .. }) || symbol.kind != Kind::Function
        {
            continue;
        }
        if !may_be_entry_point(&symbol.name) {
            continue;
        }
        let path = path(&symbol.name);
        let Some(signature) = program.signature(id) else {
            continue;
        };
        let Some((params, [])) = types::split(signature) else {
            continue;
        };
        let all_i32 = params.iter().all(|&ty| ty == 0x7f);
        let constant = path.starts_with("core::panicking::panic_const::") && params.len() == 1;
        let shape = ENTRY_POINTS
            .iter()
            .find(|(name, _, count)| *name == path && *count == params.len())
            .map(|(_, shape, _)| *shape)
            .or(constant.then_some(PanicShape::Location));
        if let (true, Some(shape)) = (all_i32, shape) {
            found.push((id, shape, signature.to_vec()));
        }
    }
    if how == Panic::Report && !found.is_empty() {
        let id = program.symbols.push(Symbol {
            name: Cow::Borrowed("__genkan_panic"),
            kind: Kind::Function,
            flags: SymbolFlags::UNDEFINED,
            definition: Definition::Undefined,
            signature: Some(REPORT),
            import: Some(("env", "__genkan_panic")),
            wanted_by: None,
            exported: false,
            is_host: true,
        });
        program.panic_import = Some(id);
    }
    for (id, shape, signature) in found {
        let made = program.make(Made {
            name: program.symbols[id].name.clone().into_owned(),
            signature: Cow::Owned(signature),
            body: Body::Panic(shape),
        });
        program.symbols[id].definition = Definition::Made(made);
    }
}

/// Whether an object that is linked for its own sake handles panics.
fn has_own_handler(program: &Program) -> bool {
    program
        .objects
        .iter()
        .zip(&program.is_root)
        .any(|(object, &is_root)| {
            is_root
                && object.symbols.iter().any(|s| {
                    !s.is_undefined()
                        && (s.name == "rust_begin_unwind" || s.name.ends_with("_rust_begin_unwind"))
                })
        })
}

/// Cheaper than demangling every name.
fn may_be_entry_point(name: &str) -> bool {
    ["panic", "_fail", "overflow", "handle_", "rust_begin_unwind"]
        .iter()
        .any(|part| name.contains(part))
}

/// The path without hashes and generic arguments.
fn path(name: &str) -> String {
    let path = types::demangle(name);
    let path = path.split('<').next().unwrap_or_default();
    path.trim_end_matches("::").to_owned()
}
