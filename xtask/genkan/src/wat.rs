//! `wat`: an object or a module as text.

use std::path::Path;

use anyhow::{Context as _, ensure};
use wasm_encoder::{Encode as _, NameMap, NameSection};
use wasmparser::{KnownCustom, Linking, Parser, Payload, SymbolFlags, SymbolInfo, TypeRef};

use crate::files;

/// The text of the binary at `path`, with names.
pub fn text(path: &Path) -> anyhow::Result<String> {
    let bytes = files::read_or_stdin(path)?;
    ensure!(
        bytes.starts_with(b"\0asm"),
        "{} is no WebAssembly binary",
        path.display()
    );
    print(&bytes).with_context(|| format!("cannot understand {}", path.display()))
}

/// The text of a binary. An object's names are in its symbol table.
pub fn print(bytes: &[u8]) -> anyhow::Result<String> {
    let named = object_names(bytes)?.map(|names| [bytes, &names].concat());
    let mut text = wasmprinter::print_bytes(named.as_deref().unwrap_or(bytes))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// The symbol table of an object as a `name` section; `None` for a module.
fn object_names(bytes: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
    let (mut imported, mut imported_globals) = (Vec::new(), Vec::new());
    let mut functions: Vec<(u32, &str)> = Vec::new();
    let mut globals: Vec<(u32, &str)> = Vec::new();
    let mut segments: Vec<(u32, &str)> = Vec::new();
    let mut is_object = false;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    let import = import?;
                    match import.ty {
                        TypeRef::Func(_) => imported.push(import.name),
                        TypeRef::Global(_) => imported_globals.push(import.name),
                        _ => {}
                    }
                }
            }
            Payload::CustomSection(section) => {
                let KnownCustom::Linking(reader) = section.as_known() else {
                    continue;
                };
                is_object = true;
                for part in reader.subsections() {
                    match part? {
                        Linking::SymbolTable(table) => {
                            for symbol in table {
                                let (flags, index, name, imports, names) = match symbol? {
                                    SymbolInfo::Func { flags, index, name } => {
                                        (flags, index, name, &imported, &mut functions)
                                    }
                                    SymbolInfo::Global { flags, index, name } => {
                                        (flags, index, name, &imported_globals, &mut globals)
                                    }
                                    _ => continue,
                                };
                                let undefined = flags.contains(SymbolFlags::UNDEFINED);
                                let import = imports.get(index as usize).copied();
                                let name = name.or(import.filter(|_| undefined));
                                names.extend(name.map(|name| (index, name)));
                            }
                        }
                        Linking::SegmentInfo(infos) => {
                            for (index, info) in (0..).zip(infos) {
                                segments.push((index, info?.name));
                            }
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let map = |mut names: Vec<(u32, &str)>| {
        // An alias is a second symbol of one function; the first names it.
        names.sort_by_key(|&(index, _)| index);
        names.dedup_by_key(|&mut (index, _)| index);
        let mut map = NameMap::new();
        for (index, name) in names {
            map.append(index, name);
        }
        map
    };
    let mut names = NameSection::new();
    names.functions(&map(functions));
    names.globals(&map(globals));
    names.data(&map(segments));
    let mut section = vec![0];
    names.encode(&mut section);
    Ok(is_object.then_some(section))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay() {
        let module = ::wat::parse_str("(module (func $double) (func))").unwrap();
        let text = print(&module).unwrap();
        assert!(text.contains("(func $double"), "{text}");
    }

    #[test]
    fn what_is_no_binary_is_named() {
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/src/wat.rs");
        let message = text(Path::new(here)).unwrap_err().to_string();
        assert!(message.contains("no WebAssembly binary"), "{message}");
        assert!(print(b"\0asm\x01\0\0\0\x01").is_err());
    }
}
