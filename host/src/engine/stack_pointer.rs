//! The stack in a guest's memory: where its compiler keeps what has an address.
//!
//! It grows down, and its pointer is a global. One that runs over comes below address 0,
//! which is beyond the memory's end: so the engine gets that global as an export, for the
//! host to look at when a guest has touched what is not there.

use wasmparser::{
    BinaryReaderError, ExternalKind, KnownCustom, Name, Parser, Payload, TypeRef, ValType,
};

/// What linkers call it, in the name section or as an export. Nothing else says which global
/// it is, and nothing is guessed.
const NAME: &str = "__stack_pointer";

/// How far below the stack pointer a function that calls none may use the stack, without
/// moving the pointer: LLVM's `WebAssemblyFrameLowering::RedZoneSize`, in bytes.
const RED_ZONE: u64 = 128;

/// The global that is a module's stack pointer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StackPointer {
    pub(super) global: u32,
    /// Under which name the engine's module exports it; no other export has it.
    pub(crate) export: String,
    /// Whether the guest's own module does not.
    pub(super) is_added: bool,
}

impl StackPointer {
    /// A module's, if it says which one it is.
    pub(super) fn find(module: &[u8]) -> Option<Self> {
        Self::read(module).ok()?
    }

    fn read(module: &[u8]) -> Result<Option<Self>, BinaryReaderError> {
        let mut imported = 0;
        let mut globals = Vec::new();
        let mut exports = Vec::new();
        let mut named = None;
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(section) => {
                    for imports in section {
                        for import in imports? {
                            imported += u32::from(matches!(import?.1.ty, TypeRef::Global(_)));
                        }
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        globals.push(global?.ty);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        exports.push(export?);
                    }
                }
                Payload::CustomSection(section) => {
                    if let KnownCustom::Name(names) = section.as_known() {
                        named = named.or(global_named(names));
                    }
                }
                _ => {}
            }
        }
        let is_global = |export: &&wasmparser::Export<'_>| export.kind == ExternalKind::Global;
        let of = |global: u32| {
            exports
                .iter()
                .filter(is_global)
                .find(|it| it.index == global)
        };
        let by_export = exports.iter().filter(is_global).find(|it| it.name == NAME);
        let Some(global) = by_export.map(|export| export.index).or(named) else {
            return Ok(None);
        };
        let own = global.checked_sub(imported);
        let ty = own.and_then(|own| globals.get(own as usize));
        if !ty.is_some_and(|ty| ty.mutable && ty.content_type == ValType::I32) {
            return Ok(None);
        }
        let export = match of(global) {
            Some(export) => export.name.to_owned(),
            None => unused_name(&exports),
        };
        Ok(Some(Self {
            global,
            export,
            is_added: of(global).is_none(),
        }))
    }
}

fn global_named(names: wasmparser::NameSectionReader<'_>) -> Option<u32> {
    // What is damaged in the name section is no mistake of the module's.
    let mut globals = names.into_iter().map_while(Result::ok);
    let globals = globals.find_map(|name| match name {
        Name::Global(globals) => Some(globals),
        _ => None,
    })?;
    let mut namings = globals.into_iter().map_while(Result::ok);
    namings.find(|it| it.name == NAME).map(|it| it.index)
}

fn unused_name(exports: &[wasmparser::Export<'_>]) -> String {
    let mut name = NAME.to_owned();
    while exports.iter().any(|export| export.name == name) {
        name.push('_');
    }
    name
}

/// Whether a guest that touched `address`, where its memory has `len` bytes, did so because
/// its stack was full: the stack pointer is below 0, or so near that the function was.
pub(crate) fn ran_over(stack_pointer: u32, address: Option<u64>, len: usize) -> bool {
    let below = u64::from(stack_pointer) > len as u64;
    let in_red_zone =
        |address: u64| u64::from(stack_pointer) < RED_ZONE && address >= (1 << 32) - RED_ZONE;
    below || address.is_some_and(in_red_zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str) -> Option<StackPointer> {
        StackPointer::find(&wat::parse_str(text).unwrap())
    }

    #[test]
    fn it_is_what_the_linker_calls_so() {
        let named = find(
            r#"(module (global (mut i32) (i32.const 1)) (global $__stack_pointer (mut i32) (i32.const 9))
                (func (export "__stack_pointer")))"#,
        );
        let expected = StackPointer {
            global: 1,
            export: "__stack_pointer_".into(),
            is_added: true,
        };
        assert_eq!(named, Some(expected));
        let exported = find(
            r#"(module (global $__stack_pointer (mut i32) (i32.const 1))
                (global (export "__stack_pointer") (mut i32) (i32.const 9)))"#,
        );
        let exported = exported.unwrap();
        assert!(exported.global == 1 && !exported.is_added);
    }

    #[test]
    fn nothing_is_guessed() {
        for text in [
            "(module)",
            "(module (global (mut i32) (i32.const 1048576)))",
            "(module (global $__stack_pointer i32 (i32.const 1)))",
            "(module (global $__stack_pointer (mut i64) (i64.const 1)))",
            r#"(module (import "a" "b" (global $__stack_pointer (mut i32))))"#,
            r#"(module (func (export "__stack_pointer")))"#,
        ] {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
