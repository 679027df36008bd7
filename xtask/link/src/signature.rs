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

/// A symbol's name as its author wrote it, in Rust without rustc's hash, or in
/// C++.
pub fn demangle(name: &str) -> Cow<'_, str> {
    match rustc_demangle::try_demangle(name) {
        Ok(demangled) => Cow::Owned(format!("{demangled:#}")),
        Err(_) => demangle_cpp(name).map_or(Cow::Borrowed(name), Cow::Owned),
    }
}

/// A symbol's name as wasm-ld shows it: what begins with `_R` is Rust's, what
/// begins with `_Z` is C++'s, although rustc wrote such names, too, and hashes with
/// them. clang's name of a `main` that takes arguments is not shown.
pub fn demangle_as_llvm(name: &str) -> Cow<'_, str> {
    let demangled = match name {
        "__main_argc_argv" => return "main".into(),
        _ if name.starts_with("_R") => {
            let demangled = rustc_demangle::try_demangle(name).ok();
            demangled.map(|demangled| format!("{demangled:#}"))
        }
        _ => demangle_cpp(name),
    };
    demangled.map_or(Cow::Borrowed(name), Cow::Owned)
}

fn demangle_cpp(name: &str) -> Option<String> {
    if !name.starts_with("_Z") {
        return None;
    }
    let parse = cpp_demangle::ParseOptions::default().recursion_limit(96);
    let symbol = cpp_demangle::Symbol::new_with_options(name, &parse).ok()?;
    let show = cpp_demangle::DemangleOptions::default().recursion_limit(96);
    let mut text = Limited(String::new());
    symbol.structured_demangle(&mut text, &show).ok()?;
    // C++ before 2011 needed the space.
    Some(text.0.replace("> >", ">>"))
}

/// A text that ends in an error where it gets too long: a forged name may stand for
/// one that is exponentially longer.
struct Limited(String);

impl cpp_demangle::DemangleWrite for Limited {
    fn write_string(&mut self, text: &str) -> fmt::Result {
        const LONGEST: usize = 1 << 16;
        if self.0.len() + text.len() > LONGEST {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_people_write_them() {
        let rust = "_ZN4core3fmt5write17h0123456789abcdefE";
        assert_eq!(demangle(rust), "core::fmt::write");
        assert_eq!(
            demangle_as_llvm(rust),
            "core::fmt::write::h0123456789abcdef"
        );
        for (name, shown) in [
            ("_RNvCs4fqI2P2rA04_1m4main", "m::main"),
            ("_ZN3Foo3barEi", "Foo::bar(int)"),
            ("_Z1fRK1AIS_IiEE", "f(A<A<int>> const&)"),
            ("memcpy", "memcpy"),
            ("_Z", "_Z"),
            ("_Rx", "_Rx"),
        ] {
            assert_eq!(demangle(name), shown);
            assert_eq!(demangle_as_llvm(name), shown);
        }
        assert_eq!(demangle_as_llvm("__main_argc_argv"), "main");
        // Names that nest too deep, or that stand for too much, stay as they are.
        let deep = format!("_Z1f{}i", "P".repeat(10_000));
        assert_eq!(demangle(&deep), deep);
        let mut large = "_Z1fP1AI".to_owned();
        for number in 0..30 {
            let last = match number {
                0 => "_".to_owned(),
                n => format!(
                    "{}_",
                    char::from_digit(n - 1, 36).unwrap().to_ascii_uppercase()
                ),
            };
            large += &format!("1AIS{last}S{last}E");
        }
        assert_eq!(demangle(&large), large);
    }

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
