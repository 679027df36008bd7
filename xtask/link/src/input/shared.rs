//! Reads a shared library: a linked module, of which a dynamic linker lets others
//! use the exports. As tool-conventions' DynamicLinking.md has it.

use hashbrown::HashMap;
use wasmparser::{
    BinaryReader, CustomSectionReader, Dylink0Subsection, ExternalKind, KnownCustom, Parser,
    Payload, SymbolFlags, TypeRef,
};

use crate::error::{Damage, Result};
use crate::index::{IndexVec, ObjType};
use crate::input::linking::Stop;
use crate::input::reader;
use crate::origin::{ObjectName, SymbolKind};
use crate::signature::Signature;

/// The section that a shared library begins with.
const DYLINK: &str = "dylink.0";

/// What a shared library offers.
#[derive(Debug, Clone, Copy)]
pub struct Offered<'a> {
    /// Its name.
    pub name: &'a str,
    /// A function, or data, whose address it exports in a global.
    pub kind: SymbolKind,
    /// `WASM_SYM_*`, as far as the library says them.
    pub flags: SymbolFlags,
    /// A function's type.
    pub signature: Option<Signature<'a>>,
}

/// A shared library.
#[derive(Debug)]
pub struct SharedLibrary<'a> {
    /// Which file it is.
    pub name: ObjectName<'a>,
    /// Whether it is made for a 64-bit memory; `None` if it has none.
    pub is_64: Option<bool>,
    /// What it offers, in the order of its exports.
    pub offered: Vec<Offered<'a>>,
}

/// Whether `bytes` begin as a shared library does.
pub fn is_shared_library(bytes: &[u8]) -> bool {
    let Some(sections) = bytes.strip_prefix(b"\0asm\x01\0\0\0\0") else {
        return false;
    };
    let mut section = BinaryReader::new(sections, 0);
    section.read_var_u32().is_ok() && section.read_string().is_ok_and(|name| name == DYLINK)
}

/// Reads one.
///
/// # Errors
///
/// If it is no module, or exports what it does not have.
pub fn read<'a>(name: ObjectName<'a>, bytes: &'a [u8]) -> Result<SharedLibrary<'a>> {
    let mut reader = Reader {
        bytes,
        library: SharedLibrary {
            name,
            is_64: None,
            offered: Vec::new(),
        },
        types: IndexVec::new(),
        functions: Vec::new(),
        flags: HashMap::new(),
    };
    match reader.read() {
        Ok(()) => Ok(reader.library),
        Err(stop) => Err(stop.errors(name)),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    library: SharedLibrary<'a>,
    types: IndexVec<ObjType, Signature<'a>>,
    /// The type of each function, imports first.
    functions: Vec<u32>,
    /// What `dylink.0` says about exports.
    flags: HashMap<&'a str, SymbolFlags>,
}

impl<'a> Reader<'a> {
    fn read(&mut self) -> Result<(), Stop> {
        for payload in Parser::new(0).parse_all(self.bytes) {
            match payload? {
                Payload::CustomSection(section) if section.name() == DYLINK => {
                    self.dylink(&section)?;
                }
                Payload::TypeSection(types) => {
                    self.types = reader::signatures(self.library.name, self.bytes, types)?;
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        match import?.ty {
                            TypeRef::Func(ty) => self.functions.push(ty),
                            TypeRef::Memory(memory) => self.library.is_64 = Some(memory.memory64),
                            _ => {}
                        }
                    }
                }
                Payload::FunctionSection(functions) => {
                    for ty in functions {
                        self.functions.push(ty?);
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        self.export(export.name, export.kind, export.index)?;
                    }
                }
                // What it does is the engine's to look at.
                Payload::CodeSectionStart { .. } => break,
                _ => {}
            }
        }
        Ok(())
    }

    fn dylink(&mut self, section: &CustomSectionReader<'a>) -> Result<(), Stop> {
        let KnownCustom::Dylink0(subsections) = section.as_known() else {
            return Ok(());
        };
        for subsection in subsections {
            if let Dylink0Subsection::ExportInfo(exports) = subsection? {
                let exports = exports.into_iter();
                self.flags.extend(exports.map(|it| (it.name, it.flags)));
            }
        }
        Ok(())
    }

    fn export(&mut self, name: &'a str, kind: ExternalKind, index: u32) -> Result<(), Stop> {
        let (kind, signature) = match kind {
            ExternalKind::Func => {
                let ty = self.functions.get(index as usize).copied();
                let signature = ty.and_then(|ty| self.types.at(ty)).copied();
                let signature = signature.ok_or_else(|| {
                    let symbol = name.to_owned();
                    self.library.name.damaged(Damage::NoExported { symbol })
                })?;
                (SymbolKind::Function, Some(signature))
            }
            ExternalKind::Global => (SymbolKind::Data, None),
            // Memory, table and tags are not shared by name.
            _ => return Ok(()),
        };
        if !is_own(name) {
            self.library.offered.push(Offered {
                name,
                kind,
                flags: self
                    .flags
                    .get(name)
                    .copied()
                    .unwrap_or(SymbolFlags::empty()),
                signature,
            });
        }
        Ok(())
    }
}

/// Whether an export is for the dynamic linker alone, or means something else in each
/// module.
fn is_own(name: &str) -> bool {
    matches!(name, "__wasm_apply_data_relocs" | "__wasm_call_ctors")
        || name.starts_with("__start_")
        || name.starts_with("__stop_")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with a function type, the sections `more`, and `dylink.0` in front.
    fn module(more: &[u8]) -> Vec<u8> {
        let mut bytes = b"\0asm\x01\0\0\0".to_vec();
        // An export's flags: that of `d` is thread-local.
        bytes.extend(b"\0\x10\x08dylink.0\x03\x05\x01\x01d\x80\x02");
        bytes.extend(b"\x01\x04\x01\x60\0\0");
        bytes.extend(more);
        bytes
    }

    #[test]
    fn exports_are_offered() {
        let exports = b"\x03\x02\x01\0\x07\x13\x03\x01f\0\0\x01d\x03\0\x07__stop_\x03\0\x0a\x04\x01\x02\0\x0b";
        let bytes = module(exports);
        assert!(is_shared_library(&bytes));
        let library = read(ObjectName::file("lib.so"), &bytes).unwrap();
        let offered: Vec<_> = library
            .offered
            .iter()
            .map(|it| (it.name, it.kind, it.flags, it.signature))
            .collect();
        let (function, data) = (SymbolKind::Function, SymbolKind::Data);
        let nothing = Some(Signature::NOTHING);
        let expected = [
            ("f", function, SymbolFlags::empty(), nothing),
            ("d", data, SymbolFlags::TLS, None),
        ];
        assert_eq!(offered, expected);
    }

    #[test]
    fn what_is_damaged_is_named() {
        let name = ObjectName::file("lib.so");
        let error = read(name, &module(b"\x07\x05\x01\x01f\0\x09")).unwrap_err();
        let text = "lib.so: exports a function `f` that is not there";
        assert_eq!(error.to_string(), text);
        for end in 8..module(&[]).len() {
            let _ = read(name, &module(&[])[..end]);
        }
        assert!(!is_shared_library(b"\0asm\x01\0\0\0\0\x08\x07linking"));
    }
}
