//! What of a module says where something in it is: its names and its DWARF.

use super::names::demangled;
use std::collections::BTreeMap;
use wasmparser::{
    BinaryReader, ExternalKind, KnownCustom, Name, NameSectionReader, Parser, Payload, TypeRef,
};

/// A module's own symbols, as it has them: nothing is decoded before it is asked for.
#[derive(Debug, Default)]
pub(super) struct Symbols<'a> {
    /// How many functions it imports.
    imports: u32,
    /// Where its code section's contents begin, in bytes from the beginning of the file:
    /// DWARF counts from there.
    code: u32,
    /// The contents of its `name` section.
    names: &'a [u8],
    /// The names that it exports its functions by; one for each function.
    exports: BTreeMap<u32, &'a str>,
    /// The contents of its `.debug_…` sections.
    debug: BTreeMap<&'a str, &'a [u8]>,
}

/// What a module calls these functions: demangled, and as long as it likes.
pub(crate) fn names(module: &[u8], functions: &[Option<u32>]) -> BTreeMap<u32, String> {
    let mut functions: Vec<u32> = functions.iter().flatten().copied().collect();
    functions.sort_unstable();
    let symbols = Symbols::of(module);
    let names = symbols.names(&functions).into_iter();
    names
        .map(|(function, name)| (function, demangled(name).unwrap_or_else(|| name.into())))
        .collect()
}

impl<'a> Symbols<'a> {
    /// Of a valid module; of one that is not, as much as there is.
    pub(super) fn of(module: &'a [u8]) -> Self {
        let mut symbols = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            let Ok(payload) = payload else { break };
            symbols.add(payload);
        }
        symbols
    }

    fn add(&mut self, payload: Payload<'a>) {
        let contents = payload.as_section().map(|(_, contents)| contents);
        match payload {
            Payload::ImportSection(imports) => {
                let imports = imports.into_imports();
                let functions = imports
                    .flatten()
                    .filter(|import| matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)));
                self.imports = functions.count() as u32;
            }
            Payload::ExportSection(exports) => {
                for export in exports.into_iter().flatten() {
                    if export.kind == ExternalKind::Func {
                        self.exports.entry(export.index).or_insert(export.name);
                    }
                }
            }
            Payload::CodeSectionStart { .. } => {
                // A module has less than 4 GiB.
                self.code = contents.map_or(0, |contents| contents.start as u32);
            }
            Payload::CustomSection(section) => {
                if section.name().starts_with(".debug_") {
                    self.debug.entry(section.name()).or_insert(section.data());
                } else if let KnownCustom::Name(_) = section.as_known() {
                    self.names = section.data();
                }
            }
            _ => {}
        }
    }

    /// The contents of a `.debug_…` section; none if it is not there.
    pub(super) fn section(&self, name: &str) -> &'a [u8] {
        self.debug.get(name).copied().unwrap_or_default()
    }

    /// An instruction's address as DWARF has it, from its offset in the file.
    pub(super) fn address(&self, offset: u32) -> u32 {
        offset.saturating_sub(self.code)
    }

    /// What these functions are called in the module, as it says it.
    pub(super) fn names(&self, functions: &[u32]) -> BTreeMap<u32, &'a str> {
        let mut found = BTreeMap::new();
        let reader = NameSectionReader::new(BinaryReader::new(self.names, 0));
        for subsection in reader {
            let Ok(subsection) = subsection else { break };
            let Name::Function(names) = subsection else {
                continue;
            };
            for naming in names {
                let Ok(naming) = naming else { break };
                if functions.binary_search(&naming.index).is_ok() && !naming.name.is_empty() {
                    found.entry(naming.index).or_insert(naming.name);
                }
            }
        }
        for function in functions {
            if let Some(name) = self.exports.get(function) {
                found.entry(*function).or_insert(name);
            }
        }
        found
    }

    /// Whether a function is the host's.
    pub(super) fn is_import(&self, function: u32) -> bool {
        function < self.imports
    }
}
