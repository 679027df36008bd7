//! What an object's symbol table says about functions: which are the guest's,
//! and which the host has to have, where there is no source to say so.

use std::collections::BTreeSet;

use genkan_link::Library;

/// What the symbol table of one relocatable object says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Symbols {
    /// Global functions that it defines.
    pub defined: BTreeSet<String>,
    /// Functions that it wants, as the C name, without an import module of
    /// their own.
    pub undefined: BTreeSet<String>,
    /// rustc made it.
    pub from_rustc: bool,
}

/// Reads the function symbols of an object. `None` if it is none.
pub fn read(bytes: &[u8]) -> Option<Symbols> {
    use wasmparser::{KnownCustom, Linking, Parser, Payload, SymbolFlags, SymbolInfo};
    let mut symbols = Symbols::default();
    let mut imports: Vec<String> = Vec::new();
    let mut is_object = false;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.ok()? {
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    let import = import.ok()?;
                    if matches!(import.ty, wasmparser::TypeRef::Func(_)) {
                        imports.push(import.name.to_owned());
                    }
                }
            }
            Payload::CustomSection(section) => match section.as_known() {
                KnownCustom::Linking(reader) => {
                    is_object = true;
                    for table in reader.subsections() {
                        let Linking::SymbolTable(table) = table.ok()? else {
                            continue;
                        };
                        for symbol in table {
                            let SymbolInfo::Func { flags, index, name } = symbol.ok()? else {
                                continue;
                            };
                            if !flags.contains(SymbolFlags::UNDEFINED) {
                                let local = flags.contains(SymbolFlags::BINDING_LOCAL);
                                symbols
                                    .defined
                                    .extend(name.filter(|_| !local).map(str::to_owned));
                            } else if !flags.contains(SymbolFlags::EXPLICIT_NAME) {
                                symbols
                                    .undefined
                                    .extend(imports.get(index as usize).cloned());
                            }
                        }
                    }
                }
                KnownCustom::Producers(reader) => {
                    for field in reader {
                        for value in field.ok()?.values {
                            symbols.from_rustc |= value.ok()?.name == "rustc";
                        }
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }
    is_object.then_some(symbols)
}

impl Symbols {
    /// The host's functions, for an object without its source. What the Rust
    /// object wants under a name that is no library's is the host's. C code means
    /// the libraries, and marks the host's functions with an import module.
    pub fn host_functions(&self) -> BTreeSet<String> {
        let wanted = self.undefined.iter().filter(|_| self.from_rustc);
        let wanted = wanted.filter(|name| Library::of(name).is_none());
        wanted.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rust_objects_plain_names_are_the_hosts() {
        let names = [
            "read",
            "memcpy",
            "fmodf",
            "__multi3",
            "_ZN4core9panicking18panic_bounds_check17h0123456789abcdefE",
        ];
        let mut symbols = Symbols {
            undefined: names.map(str::to_owned).into(),
            from_rustc: true,
            ..Symbols::default()
        };
        assert_eq!(
            symbols.host_functions(),
            BTreeSet::from(["read".to_owned()])
        );
        symbols.from_rustc = false;
        assert!(symbols.host_functions().is_empty());
    }

    #[test]
    fn what_is_no_object_has_no_symbols() {
        assert_eq!(read(b"\0asm\x01\0\0\0"), None);
        assert_eq!(read(b"\0asm\x01\0\0\0\x00\xff"), None);
        assert_eq!(read(b"!<arch>\n"), None);
    }
}
