//! Writes archives, as `ar` does; for tests that need some on machines without
//! an `ar` that knows WebAssembly, or that need strange ones.

use wasmparser::{KnownCustom, Linking, Parser, Payload, SymbolFlags, SymbolInfo};

/// A GNU archive of `members` (name, contents) with an index of their symbols.
pub fn write(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let defined: Vec<Vec<String>> = members.iter().map(|(_, bytes)| defined(bytes)).collect();
    let count: usize = defined.iter().map(Vec::len).sum();
    let names: usize = defined.iter().flatten().map(|name| name.len() + 1).sum();
    let index_size = 4 + 4 * count + names;
    // Names of members that do not fit the header stand in a table.
    let mut long_names = String::new();
    let headers: Vec<String> = members
        .iter()
        .map(|(name, _)| match name.len() {
            0..16 => format!("{name}/"),
            _ => {
                let place = long_names.len();
                long_names.push_str(&format!("{name}/\n"));
                format!("/{place}")
            }
        })
        .collect();
    let mut place = 8 + 60 + even(index_size);
    if !long_names.is_empty() {
        place += 60 + even(long_names.len());
    }
    let mut index = (count as u32).to_be_bytes().to_vec();
    for ((_, bytes), defined) in members.iter().zip(&defined) {
        for _ in defined {
            index.extend((place as u32).to_be_bytes());
        }
        place += 60 + even(bytes.len());
    }
    for name in defined.iter().flatten() {
        index.extend(name.bytes());
        index.push(0);
    }
    let mut archive = b"!<arch>\n".to_vec();
    member(&mut archive, "/", &index);
    if !long_names.is_empty() {
        member(&mut archive, "//", long_names.as_bytes());
    }
    for (header, (_, bytes)) in headers.iter().zip(members) {
        member(&mut archive, header, bytes);
    }
    archive
}

/// An archive by hand: header fields as given.
pub fn by_hand(parts: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut archive = b"!<arch>\n".to_vec();
    for (name, size, bytes) in parts {
        archive
            .extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644).bytes());
        archive.extend(*bytes);
        if archive.len() % 2 == 1 {
            archive.push(b'\n');
        }
    }
    archive
}

/// An index of symbols: a count, places, names.
pub fn index(count: u32, places: &[u32], names: &[u8]) -> Vec<u8> {
    let mut index = count.to_be_bytes().to_vec();
    index.extend(places.iter().flat_map(|place| place.to_be_bytes()));
    index.extend(names);
    index
}

/// Appends one member, with its header.
pub fn member(archive: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    let header = format!(
        "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
        0,
        0,
        0,
        644,
        bytes.len()
    );
    archive.extend(header.bytes());
    archive.extend(bytes);
    if archive.len() % 2 == 1 {
        archive.push(b'\n');
    }
}

fn even(size: usize) -> usize {
    size.next_multiple_of(2)
}

/// The symbols that an object defines for others.
fn defined(object: &[u8]) -> Vec<String> {
    let mut imports: [Vec<String>; 2] = Default::default();
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(object) {
        match payload {
            Ok(Payload::ImportSection(section)) => {
                for import in section.into_imports().flatten() {
                    if matches!(import.ty, wasmparser::TypeRef::Func(_)) {
                        imports[0].push(import.name.to_owned());
                    }
                }
            }
            Ok(Payload::CustomSection(section)) => {
                let KnownCustom::Linking(linking) = section.as_known() else {
                    continue;
                };
                for subsection in linking.subsections().flatten() {
                    let Linking::SymbolTable(symbols) = subsection else {
                        continue;
                    };
                    for symbol in symbols.into_iter().flatten() {
                        let (flags, name) = match symbol {
                            SymbolInfo::Func { flags, name, .. }
                            | SymbolInfo::Global { flags, name, .. }
                            | SymbolInfo::Table { flags, name, .. }
                            | SymbolInfo::Event { flags, name, .. } => (flags, name),
                            SymbolInfo::Data { flags, name, .. } => (flags, Some(name)),
                            SymbolInfo::Section { .. } => continue,
                        };
                        let hidden = SymbolFlags::UNDEFINED | SymbolFlags::BINDING_LOCAL;
                        if let Some(name) = name.filter(|_| !flags.intersects(hidden)) {
                            names.push(name.to_owned());
                        }
                    }
                }
            }
            Ok(_) => {}
            // No object: nothing to index.
            Err(_) => return Vec::new(),
        }
    }
    names
}
