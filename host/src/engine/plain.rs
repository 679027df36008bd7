//! What the engine gets of a module: all but its custom sections.
//!
//! The engine would keep them, and copy a function's name for each frame of each trap,
//! however long it is. Names and debug information are read when an error is shown, from
//! the module itself. In their place comes a name by which the module's frames are told
//! from other modules'.

use std::ops::Range;
use wasm_encoder::{NameSection, Section};
use wasmparser::{BinaryReaderError, Parser, Payload};

/// A module without custom sections.
pub(super) struct Plain {
    pub(super) bytes: Vec<u8>,
    /// How many bytes less there are before its code.
    pub(super) moved: u32,
}

/// Takes a module's custom sections out, and names it.
pub(super) fn plain(module: &[u8], name: &str) -> Result<Plain, BinaryReaderError> {
    let custom = custom_sections(module)?;
    let mut bytes = Vec::with_capacity(module.len());
    let mut from = 0;
    for (section, _) in &custom {
        bytes.extend(&module[from..section.start]);
        from = section.end;
    }
    bytes.extend(&module[from..]);
    let mut names = NameSection::new();
    names.module(name);
    names.append_to(&mut bytes);
    let before_code = custom.iter().filter(|(_, before_code)| *before_code);
    let moved: usize = before_code.map(|(section, _)| section.len()).sum();
    Ok(Plain {
        bytes,
        moved: moved as u32,
    })
}

/// Each with its header, and whether it comes before the code.
fn custom_sections(module: &[u8]) -> Result<Vec<(Range<usize>, bool)>, BinaryReaderError> {
    let mut sections = Vec::new();
    let mut before_code = true;
    let mut start = 0;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::Version { range, .. } = &payload {
            start = range.end as usize;
        }
        let Some((_, contents)) = payload.as_section() else {
            continue;
        };
        let end = contents.end as usize;
        match payload {
            Payload::CustomSection(_) => sections.push((start..end, before_code)),
            Payload::CodeSectionStart { .. } => before_code = false,
            _ => {}
        }
        start = end;
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_sections_are_gone_and_code_is_where_it_says() {
        let text = r#"(module (@custom "a" (before first) "xyz") (@custom "b" (before code) "xyz")
            (func $f (export "f") (result i32) (i32.const 7)) (@custom "c" "xyz"))"#;
        let module = wat::parse_str(text).unwrap();
        let plain = plain(&module, "it").unwrap();
        let code = |bytes: &[u8]| {
            let is_code =
                |payload: &Payload<'_>| matches!(payload, Payload::CodeSectionStart { .. });
            let mut payloads = Parser::new(0).parse_all(bytes).map(Result::unwrap);
            let contents = payloads.find(is_code).unwrap().as_section().unwrap().1;
            contents.start as usize..contents.end as usize
        };
        let (now, before) = (code(&plain.bytes), code(&module));
        assert_eq!(plain.bytes[now.clone()], module[before.clone()]);
        assert_eq!(now.start + plain.moved as usize, before.start);
        assert!(plain.bytes.windows(3).all(|three| three != b"xyz"));
        wasmparser::validate(&plain.bytes).unwrap();
    }
}
