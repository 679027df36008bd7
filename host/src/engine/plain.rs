//! What the engine gets of a module: all but its custom sections.
//!
//! The engine would keep them, and copy a function's name for each frame of each trap,
//! however long it is. Names and debug information are read when an error is shown, from
//! the module itself. In their place comes a name by which the module's frames are told
//! from other modules'.

use super::stack_pointer::StackPointer;
use wasm_encoder::reencode::{RoundtripReencoder, utils};
use wasm_encoder::{ExportKind, ExportSection, NameSection, Section};
use wasmparser::{BinaryReaderError, ExportSectionReader, Parser, Payload};

/// A module without custom sections.
pub(super) struct Plain {
    pub(super) bytes: Vec<u8>,
    /// How many bytes less there are before its code.
    pub(super) moved: i32,
}

/// Takes a module's custom sections out, exports its stack pointer, and names it.
pub(super) fn plain(
    module: &[u8],
    name: &str,
    stack_pointer: Option<&StackPointer>,
) -> Result<Plain, BinaryReaderError> {
    let stack_pointer = stack_pointer.filter(|pointer| pointer.is_added);
    let mut bytes = Vec::with_capacity(module.len());
    let mut moved = 0;
    let mut start = 0;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::Version { range, .. } = &payload {
            start = range.end as usize;
            bytes.extend(&module[..start]);
        }
        let Some((_, contents)) = payload.as_section() else {
            continue;
        };
        let end = contents.end as usize;
        match (payload, stack_pointer) {
            (Payload::CustomSection(_), _) => {}
            (Payload::ExportSection(exports), Some(pointer)) => {
                with_export(exports, pointer)?.append_to(&mut bytes);
            }
            (payload, _) => {
                if let Payload::CodeSectionStart { .. } = payload {
                    // A module has less than 2 GiB.
                    moved = start as i32 - bytes.len() as i32;
                }
                bytes.extend(&module[start..end]);
            }
        }
        start = end;
    }
    let mut names = NameSection::new();
    names.module(name);
    names.append_to(&mut bytes);
    Ok(Plain { bytes, moved })
}

/// A module's exports, and its stack pointer.
fn with_export(
    exports: ExportSectionReader<'_>,
    pointer: &StackPointer,
) -> Result<ExportSection, BinaryReaderError> {
    let mut section = ExportSection::new();
    for export in exports {
        let export = export?;
        let kind = utils::export_kind(&mut RoundtripReencoder, export.kind);
        section.export(export.name, kind, export.index);
    }
    section.export(&pointer.export, ExportKind::Global, pointer.global);
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_sections_are_gone_and_code_is_where_it_says() {
        let text = r#"(module (@custom "a" (before first) "xyz") (@custom "b" (before code) "xyz")
            (func $f (export "f") (result i32) (i32.const 7)) (@custom "c" "xyz"))"#;
        let module = wat::parse_str(text).unwrap();
        let plain = plain(&module, "it", None).unwrap();
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

    #[test]
    fn the_stack_pointer_is_exported() {
        let text = r#"(module (global $__stack_pointer (mut i32) (i32.const 7))
            (func (export "f") (result i32) (global.get 0)))"#;
        let module = wat::parse_str(text).unwrap();
        let pointer = StackPointer::find(&module);
        let plain = plain(&module, "it", pointer.as_ref()).unwrap();
        wasmparser::validate(&plain.bytes).unwrap();
        let code = |bytes: &[u8]| bytes.windows(3).position(|it| it == [0x23, 0, 0x0b]);
        let moved = code(&module).unwrap() as i32 - code(&plain.bytes).unwrap() as i32;
        assert_eq!(plain.moved, moved);
        let exported = StackPointer::find(&plain.bytes).unwrap();
        assert!(exported.global == 0 && !exported.is_added);
    }
}
