//! Subsections of custom sections, and lists in them: as tool-conventions' Linking.md
//! and DynamicLinking.md have them.

use wasm_encoder::Encode;

/// Appends a subsection, unless it lists nothing.
pub fn append(id: u8, contents: &[u8], out: &mut Vec<u8>) {
    if contents != [0] {
        out.push(id);
        contents.encode(out);
    }
}

/// A list whose length comes first.
pub fn list(count: usize, items: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    count.encode(&mut out);
    out.extend_from_slice(items);
    out
}
