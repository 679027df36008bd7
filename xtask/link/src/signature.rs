//! Types of functions, as objects encode them, and names as people read them.

use std::borrow::Cow;
use std::fmt;

use wasmparser::{BinaryReader, FuncType, ValType};

/// A function's type as it is encoded (`0x60`, parameters, results): equal types
/// are equal bytes, since no type refers to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature<'a>(&'a [u8]);

impl<'a> Signature<'a> {
    /// The type of a function that takes and returns nothing.
    pub const NOTHING: Signature<'static> = Signature(&[0x60, 0, 0]);

    /// A type that a reader has looked at.
    pub const fn from_encoded(bytes: &'a [u8]) -> Self {
        Signature(bytes)
    }

    /// As it is encoded.
    pub fn encoded(self) -> &'a [u8] {
        self.0
    }

    /// Its parameters and results.
    pub fn decode(self) -> FuncType {
        let mut reader = BinaryReader::new(&self.0[1..], 0);
        reader
            .read()
            .expect("it was decoded when the object was read")
    }
}

/// `(i32, i64) -> f64`.
impl fmt::Display for Signature<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ty = self.decode();
        let names = |types: &[ValType]| {
            let names: Vec<String> = types.iter().map(ValType::to_string).collect();
            names.join(", ")
        };
        write!(f, "({}) -> ", names(ty.params()))?;
        match ty.results() {
            [] => f.write_str("void"),
            [one] => one.fmt(f),
            several => write!(f, "({})", names(several)),
        }
    }
}

/// A symbol's name as its author wrote it, without rustc's hash.
pub fn demangle(name: &str) -> Cow<'_, str> {
    match rustc_demangle::try_demangle(name) {
        Ok(demangled) => Cow::Owned(format!("{demangled:#}")),
        Err(_) => Cow::Borrowed(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_as_people_write_them() {
        let shown = |bytes| Signature::from_encoded(bytes).to_string();
        assert_eq!(shown(&[0x60, 0, 0]), "() -> void");
        assert_eq!(shown(&[0x60, 2, 0x7f, 0x7e, 1, 0x7c]), "(i32, i64) -> f64");
        // A reference that is never null takes two bytes.
        assert_eq!(
            shown(&[0x60, 1, 0x64, 0x6f, 1, 0x70]),
            "((ref extern)) -> funcref"
        );
    }
}
