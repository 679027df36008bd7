//! Symbols that the linker itself defines: some whatever the inputs say, others
//! where an input wants them and has none.

use std::borrow::Cow;
use std::collections::BTreeSet;

use wasmparser::{GlobalType, RefType, SymbolFlags, TableType, ValType};

use crate::index::{Index, IndexVec, ObjectId, SyntheticId};
use crate::input::object::FUNCTION_TABLE;
use crate::options::{Exports, Options, OutputKind};
use crate::origin::SymbolKind;
use crate::resolve::resolution::{JoinedObject, Resolution};
use crate::signature::Signature;
use crate::symbols::{
    Action, Definition, ImportAs, LinkerAddress, SymbolTable, SyntheticFunction, SyntheticGlobal,
};

/// What a dynamic linker calls once it knows where everything is.
const APPLY_DATA_RELOCS: &str = "__wasm_apply_data_relocs";

/// The type of `__wasm_init_tls`.
const ADDRESS: Signature<'static> = Signature::from_encoded(&[0x60, 1, 0x7f, 0]);

/// The same for a 64-bit memory.
const ADDRESS_64: Signature<'static> = Signature::from_encoded(&[0x60, 1, 0x7e, 0]);

/// Defines what is the linker's whatever the inputs say, for a dynamic linker if
/// `is_dynamic`; gives `__wasm_call_ctors`.
pub fn define<'a>(
    symbols: &mut SymbolTable<'a>,
    synthetic: &mut IndexVec<SyntheticId, SyntheticFunction<'a>>,
    is_dynamic: bool,
    options: &Options,
) -> SyntheticId {
    let mut function = |name: &str, signature, action| {
        synthetic.push(SyntheticFunction {
            name: name.into(),
            signature,
            action,
        })
    };
    let kind = SymbolKind::Function;
    let global = |global: SyntheticGlobal| {
        let definition = Definition::Global(global);
        (global.name(), SymbolKind::Global, definition)
    };
    let name = "__wasm_call_ctors";
    let call_ctors = function(name, Signature::NOTHING, Action::CallCtors);
    // The final link does.
    if options.is_relocatable() {
        return call_ctors;
    }
    let mut all = vec![(name, kind, Definition::Synthetic(call_ctors))];
    if is_dynamic {
        let name = APPLY_DATA_RELOCS;
        let apply = function(name, Signature::NOTHING, Action::ApplyDataRelocs);
        all.push((name, kind, Definition::Synthetic(apply)));
    }
    if options.is_pic() {
        import_places(symbols, options);
    } else {
        all.push(global(SyntheticGlobal::StackPointer));
    }
    if options.memory.shared {
        let name = "__wasm_init_tls";
        let init_tls = function(name, ADDRESS, Action::InitTls);
        all.extend([
            (name, kind, Definition::Synthetic(init_tls)),
            global(SyntheticGlobal::TlsBase),
            global(SyntheticGlobal::TlsSize),
            global(SyntheticGlobal::TlsAlign),
        ]);
    }
    for (name, kind, definition) in all {
        let (id, _) = symbols.entry(Cow::Borrowed(name), kind);
        let symbol = &mut symbols[id];
        symbol.definition = definition;
        symbol.flags |= SymbolFlags::VISIBILITY_HIDDEN;
        // The dynamic linker calls them.
        let is_shared = options.kind == OutputKind::Shared;
        if name == APPLY_DATA_RELOCS || (is_shared && name == "__wasm_call_ctors") {
            symbol.flags |= SymbolFlags::EXPORTED;
        }
    }
    call_ctors
}

/// Makes what was defined before the objects were read fit for a 64-bit memory.
pub fn widen(synthetic: &mut IndexVec<SyntheticId, SyntheticFunction>) {
    for function in synthetic.iter_mut() {
        if function.signature == ADDRESS {
            function.signature = ADDRESS_64;
        }
    }
}

/// What a dynamic linker gives each module: where its data begins, and where its part
/// of the function table; and the stack, which they share.
pub const PLACES: [(&str, bool); 3] = [
    ("__stack_pointer", true),
    ("__memory_base", false),
    ("__table_base", false),
];

fn import_places(symbols: &mut SymbolTable, options: &Options) {
    for (name, mutable) in PLACES {
        let (id, _) = symbols.entry(Cow::Borrowed(name), SymbolKind::Global);
        let symbol = &mut symbols[id];
        symbol.flags |= SymbolFlags::UNDEFINED;
        symbol.is_host = true;
        symbol.import = ImportAs {
            name: Some(("env", name)),
            global: Some(GlobalType {
                content_type: match options.memory.is_64 {
                    true => ValType::I64,
                    false => ValType::I32,
                },
                mutable,
                shared: false,
            }),
            ..ImportAs::default()
        };
    }
}

/// Defines what the linker knows, where an input wants it and has none.
pub fn define_optional(
    symbols: &mut SymbolTable,
    objects: &IndexVec<ObjectId, JoinedObject>,
    options: &Options,
) {
    let first = ("__dso_handle", LinkerAddress::GlobalBase);
    let last = ("__wasm_first_page_end", LinkerAddress::PageSize);
    let own = [
        ("__data_end", LinkerAddress::DataEnd),
        ("__stack_low", LinkerAddress::StackLow),
        ("__stack_high", LinkerAddress::StackHigh),
        ("__global_base", LinkerAddress::GlobalBase),
        ("__heap_base", LinkerAddress::HeapBase),
        ("__heap_end", LinkerAddress::HeapEnd),
        ("__memory_base", LinkerAddress::Absolute(0)),
        ("__table_base", LinkerAddress::TableBase),
    ];
    // Memory is not a dynamic module's own.
    let own = own.into_iter().filter(|_| !options.is_pic());
    for (name, address) in std::iter::once(first).chain(own).chain([last]) {
        let definition = Definition::Address(address);
        define_if_wanted(symbols, options, name, SymbolKind::Data, definition);
    }
    let tls = Definition::Global(SyntheticGlobal::TlsBase);
    define_if_wanted(symbols, options, "__tls_base", SymbolKind::Global, tls);
    if let Some(id) = symbols.find(FUNCTION_TABLE) {
        let symbol = &mut symbols[id];
        if symbol.definition == Definition::Undefined && symbol.kind == SymbolKind::Table {
            symbol.definition = Definition::FunctionTable;
            symbol.flags |= SymbolFlags::VISIBILITY_HIDDEN;
        }
    }
    let bounds = bounds_to_export(objects, options);
    for name in bounds {
        symbols.entry(Cow::Owned(name), SymbolKind::Data);
    }
    for id in symbols.ids() {
        let symbol = &mut symbols[id];
        if symbol.definition == Definition::Undefined
            && symbol.kind == SymbolKind::Data
            && let Some(address) = segment_bound(&symbol.name)
        {
            symbol.definition = Definition::Address(address);
            symbol.flags |= SymbolFlags::VISIBILITY_HIDDEN;
        }
    }
}

/// Whether an option names an export.
fn is_named(options: &Options, name: &str) -> bool {
    options.export_if_defined.contains(name)
        || matches!(&options.exports, Exports::Named(names) if names.contains(name))
}

/// The names of all bounds of data segments that options export.
fn bounds_to_export(objects: &IndexVec<ObjectId, JoinedObject>, options: &Options) -> Vec<String> {
    let mut found = Vec::new();
    let names = match &options.exports {
        Exports::Named(names) => Some(names),
        Exports::Guest => None,
    };
    let named = names
        .into_iter()
        .flatten()
        .chain(&options.export_if_defined);
    found.extend(named.filter(|name| segment_bound(name).is_some()).cloned());
    if options.export_all {
        let mut seen = BTreeSet::new();
        let segments = objects.iter().flat_map(|joined| &joined.object.segments);
        for segment in segments.filter(|segment| seen.insert(segment.name)) {
            let both = ["__start_", "__stop_"].map(|prefix| format!("{prefix}{}", segment.name));
            found.extend(
                both.into_iter()
                    .filter(|name| segment_bound(name).is_some()),
            );
        }
    }
    found
}

/// Gives the table of functions a symbol where an object of LLVM before reference
/// types uses it without one.
pub fn import_table(resolution: &mut Resolution) {
    let mut objects = resolution.objects.iter();
    if !objects.any(|joined| joined.object.legacy_table) {
        return;
    }
    let (id, _) = resolution
        .symbols
        .entry(Cow::Borrowed(FUNCTION_TABLE), SymbolKind::Table);
    let symbol = &mut resolution.symbols[id];
    symbol.flags |= SymbolFlags::UNDEFINED | SymbolFlags::NO_STRIP;
    symbol.wanted_by.get_or_insert(ObjectId::new(0));
    symbol.import = symbol.import.or(ImportAs {
        name: Some(("env", FUNCTION_TABLE)),
        table: Some(TableType {
            element_type: RefType::FUNCREF,
            table64: false,
            initial: 0,
            maximum: None,
            shared: false,
        }),
        ..ImportAs::default()
    });
}

fn define_if_wanted(
    symbols: &mut SymbolTable,
    options: &Options,
    name: &'static str,
    kind: SymbolKind,
    definition: Definition,
) {
    let exported = options.export_all || is_named(options, name);
    let id = match symbols.find(name) {
        Some(id) => id,
        None if exported && kind == SymbolKind::Data => symbols.entry(Cow::Borrowed(name), kind).0,
        None => return,
    };
    let symbol = &mut symbols[id];
    // Position-independent code asks for a global with the address, and gets one.
    let fits = symbol.kind == kind
        || symbol.wanted_by.is_none()
        || (symbol.kind == SymbolKind::Global && kind == SymbolKind::Data);
    if symbol.is_defined() || !fits {
        return;
    }
    symbol.kind = kind;
    symbol.definition = definition;
    symbol.flags |= SymbolFlags::VISIBILITY_HIDDEN;
}

/// `__start_NAME` and `__stop_NAME` are where the data segment NAME begins and
/// ends, if C could have that name.
fn segment_bound(symbol: &str) -> Option<LinkerAddress> {
    let is_name = |s: &&str| {
        !s.is_empty()
            && !s.starts_with(|c: char| c.is_ascii_digit())
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    if let Some(name) = symbol.strip_prefix("__start_").filter(is_name) {
        return Some(LinkerAddress::SegmentStart(name.to_owned()));
    }
    let name = symbol.strip_prefix("__stop_").filter(is_name)?;
    Some(LinkerAddress::SegmentStop(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_have_names_of_c() {
        let start = |name: &str| Some(LinkerAddress::SegmentStart(name.to_owned()));
        assert_eq!(segment_bound("__start_set_1"), start("set_1"));
        let stop = Some(LinkerAddress::SegmentStop("a".to_owned()));
        assert_eq!(segment_bound("__stop_a"), stop);
        for name in ["__start_", "__start_1", "__stop_a.b", "start_a"] {
            assert_eq!(segment_bound(name), None, "{name}");
        }
    }
}
