//! Which data is a constant whose address no program relies on.
//!
//! Compilers mark such constants (`unnamed_addr`), and merge equal ones within a
//! compilation; objects do not have the mark. They have the names that compilers
//! make up, which no source can say.

use crate::index::{IndexVec, ObjSegment};
use crate::input::object::{Object, Referent, SEGMENT_STRINGS};

/// Per data segment of the object, whether it is one such constant.
pub fn constants(object: &Object) -> IndexVec<ObjSegment, bool> {
    let segments = object.segments.iter();
    let mut constants: IndexVec<ObjSegment, bool> = segments
        .map(|segment| {
            // Any constant that ends in a zero may be said to be a string.
            segment.flags & !SEGMENT_STRINGS == 0 && segment.name.starts_with(".rodata.")
        })
        .collect();
    for symbol in &object.symbols {
        if let Referent::Data { segment, .. } = symbol.referent
            && !is_made_up(symbol.name)
        {
            constants[segment] = false;
        }
    }
    constants
}

/// Whether a compiler made up the name for a constant.
fn is_made_up(name: &str) -> bool {
    match name.strip_prefix(".L") {
        // LLVM's for what has none, or had none before another pass gave it one;
        // rustc's (`rustc_codegen_llvm::consts`); LLVM's tables of a `switch`; clang's
        // string literals.
        Some(".str") => true,
        Some(private) => [
            "anon.",
            "__unnamed_",
            "alloc_",
            "vtable.",
            "switch.table.",
            ".str.",
        ]
        .iter()
        .any(|prefix| private.starts_with(prefix)),
        // `NameAnonGlobals`: a hash of the module, a number; shared by LTO.
        None => name.strip_prefix("anon.").is_some_and(|rest| {
            let (hash, number) = rest.split_once('.').unwrap_or_default();
            hash.len() == 32
                && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
                && number.starts_with(|c: char| c.is_ascii_digit())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_source_can_say() {
        for name in [
            ".Lanon.9e09b829246b125f41838773ca182c73.0",
            ".L__unnamed_7",
            ".Lalloc_3e09b829246b125f41838773ca182c73",
            ".Lswitch.table._ZN1aE",
            ".L.str",
            ".L.str.12",
            "anon.9e09b829246b125f41838773ca182c73.12",
            "anon.9e09b829246b125f41838773ca182c73.12.llvm.99",
        ] {
            assert!(is_made_up(name), "{name}");
        }
        for name in ["table", "anon.x.1", "anon.", ".Lkey", "vtable.1", "alloc_1"] {
            assert!(!is_made_up(name), "{name}");
        }
    }
}
