//! Replaces the entry points of core's panic machinery: lets the functions that
//! every panic goes through hand their location to the host, or to an input's function
//! of the same name, and trap, so that what formats messages is dead.
//!
//! A guest that brings its own `#[panic_handler]` keeps it.

use std::borrow::Cow;

use hashbrown::HashMap;
use wasmparser::{BinaryReader, ProducersSectionReader, SymbolFlags, ValType};

use crate::index::{SymbolId, SyntheticId};
use crate::options::Panic;
use crate::origin::SymbolKind;
use crate::resolve::resolution::{FunctionRef, PanicReport, Resolution};
use crate::signature::{Signature, demangle};
use crate::symbols::{Action, Definition, PanicShape, Symbol, SyntheticFunction};

/// The host's function for panics, or an input's of the same name.
const NAME: &str = "__genkan_panic";

/// `__genkan_panic(message, message_len, file, file_len, line, column: i32,
/// index, len: i64)`.
const REPORT: Signature<'static> =
    Signature::from_encoded(&[0x60, 8, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7e, 0x7e, 0]);

/// An input's `__genkan_panic(a, b, location, kind: i32)`, shorter to call: the address of a
/// `core::panic::Location`, or 0; and what `a` and `b` are: 0 nothing, 1 a message and its length,
/// 2 both words of a `core::fmt::Arguments`, 3 an index and the length it exceeds, 4 nothing, as
/// an allocation failed.
const OWN_REPORT: Signature<'static> =
    Signature::from_encoded(&[0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 0]);

/// The entry points, as their paths read without hashes, with the shape of
/// their parameters and how many there are, all of them i32; the last is the
/// location, as `#[track_caller]` passes it. Other counts are other versions
/// of the library, whose parameters are not known: they stay, and end in
/// `panic_fmt`, which does not.
///
/// From the sources of core, alloc and std of Rust 1.63 and 1.95.
const ENTRY_POINTS: &[(&str, PanicShape, usize)] = &[
    ("core::panicking::panic_fmt", PanicShape::Location, 2),
    ("core::panicking::panic_fmt", PanicShape::Format, 3),
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
    ("alloc::raw_vec::handle_error", PanicShape::Allocation, 3),
    (
        "alloc::alloc::handle_alloc_error",
        PanicShape::AllocationNowhere,
        2,
    ),
    (
        "std::panicking::begin_panic_handler",
        PanicShape::Nothing,
        1,
    ),
    ("rust_begin_unwind", PanicShape::Nothing, 1),
];

/// The versions 1.x of Rust whose `core::fmt::Arguments` is what the host knows: two words,
/// as the sources of core of Rust 1.95 and 1.97 describe them. Of others nothing is told.
const KNOWN_ARGUMENTS: std::ops::RangeInclusive<u32> = 95..=97;

/// Replaces them, if `how` says so.
pub fn replace(resolution: &mut Resolution, how: Panic) {
    if how == Panic::Std || has_own_handler(resolution) {
        return;
    }
    let symbols = resolution.symbols.ids();
    let found: Vec<_> = symbols
        .filter_map(|id| entry_point(resolution, id))
        .collect();
    if how == Panic::Report && !found.is_empty() {
        let own = own_report(resolution);
        resolution.panic_report = Some(PanicReport {
            is_own: own.is_some(),
            symbol: own.unwrap_or_else(|| import_report(resolution)),
        });
    }
    let is_own = resolution.panic_report.is_some_and(|report| report.is_own);
    let mut made: HashMap<(PanicShape, Signature), SyntheticId> = HashMap::new();
    for (id, shape, signature) in found {
        let symbol = &mut resolution.symbols[id];
        let mut make = || {
            resolution.synthetic.push(SyntheticFunction {
                name: symbol.name.to_string(),
                signature,
                action: Action::Panic(shape),
            })
        };
        // The host leaves them out of backtraces, so each keeps its name; elsewhere what
        // counts is their size.
        let id = match is_own {
            true => *made.entry((shape, signature)).or_insert_with(make),
            false => make(),
        };
        symbol.definition = Definition::Synthetic(id);
    }
}

/// What an input has in place of the host's function.
fn own_report(resolution: &Resolution) -> Option<SymbolId> {
    let id = resolution.symbols.find(NAME)?;
    let function = resolution.target_function(resolution.shared_target(id));
    let is_own = matches!(function, Some(FunctionRef::Object(_)));
    (is_own && resolution.symbol_type(id) == Some(OWN_REPORT)).then_some(id)
}

fn import_report(resolution: &mut Resolution) -> SymbolId {
    let mut import = Symbol::new(Cow::Borrowed(NAME), SymbolKind::Function);
    import.flags = SymbolFlags::UNDEFINED;
    import.import.name = Some(("env", NAME));
    import.import.signature = Some(REPORT);
    import.is_host = true;
    resolution.symbols.push(import)
}

/// The shape and the type of an entry point, if the symbol is one.
fn entry_point<'a>(
    resolution: &Resolution<'a>,
    id: SymbolId,
) -> Option<(SymbolId, PanicShape, Signature<'a>)> {
    let symbol = &resolution.symbols[id];
    let is_objects = matches!(symbol.definition, Definition::Object(_));
    if !is_objects || symbol.kind != SymbolKind::Function || !may_be_entry_point(&symbol.name) {
        return None;
    }
    let path = path(&symbol.name);
    let signature = resolution.symbol_type(id)?;
    let ty = signature.decode();
    let params = ty.params();
    if !ty.results().is_empty() || params.iter().any(|&ty| ty != ValType::I32) {
        return None;
    }
    let constant = path.starts_with("core::panicking::panic_const::") && params.len() == 1;
    let shape = ENTRY_POINTS
        .iter()
        .find(|(name, _, count)| *name == path && *count == params.len())
        .map(|(_, shape, _)| *shape)
        .or(constant.then_some(PanicShape::Location))?;
    let shape = match shape {
        PanicShape::Format if !has_known_arguments(resolution, id) => PanicShape::Location,
        shape => shape,
    };
    Some((id, shape, signature))
}

/// Whether the compiler of what defines a symbol is one of [`KNOWN_ARGUMENTS`].
fn has_known_arguments(resolution: &Resolution, id: SymbolId) -> bool {
    let Definition::Object(symbol) = resolution.symbols[id].definition else {
        return false;
    };
    let object = resolution.object(symbol.object);
    let version = object.producers.as_ref().and_then(|section| {
        let reader = BinaryReader::new(section.data(), 0);
        let fields = ProducersSectionReader::new(reader).ok()?.into_iter();
        let mut values = fields.flatten().flat_map(|field| field.values).flatten();
        values.find(|value| value.name == "rustc")
    });
    let minor = version.and_then(|value| {
        let (minor, _) = value.version.strip_prefix("1.")?.split_once('.')?;
        minor.parse().ok()
    });
    minor.is_some_and(|minor: u32| KNOWN_ARGUMENTS.contains(&minor))
}

/// Whether an object that is linked for its own sake handles panics.
fn has_own_handler(resolution: &Resolution) -> bool {
    let mut roots = resolution.objects.iter().filter(|joined| joined.is_root);
    roots.any(|joined| {
        joined.object.symbols.iter().any(|s| {
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
    let path = demangle(name);
    let path = path.split_once('<').map_or(&*path, |(path, _)| path);
    path.trim_end_matches("::").to_owned()
}
