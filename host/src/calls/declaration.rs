//! The types that a guest gives its functions, in the section `genkan.calls.1`: one
//! line for each, as `guest/CALLS.md` describes them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The section's name.
pub(crate) const SECTION: &str = "genkan.calls.1";

/// A type that crosses the border.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ty {
    Unit,
    Bool,
    Number(Number),
    /// A [`crate::Pointer`].
    Pointer,
    /// A pointer and a length in bytes.
    Slice,
    Str,
    Numbers(Number),
    Option(Box<Ty>),
    Result(Box<Ty>, Box<Ty>),
    /// Bytes in a codec's encoding: its name, and the type as the guest has it.
    Encoded(String, String),
}

/// A number's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

const NUMBERS: [(Number, &str); 10] = [
    (Number::U8, "u8"),
    (Number::I8, "i8"),
    (Number::U16, "u16"),
    (Number::I16, "i16"),
    (Number::U32, "u32"),
    (Number::I32, "i32"),
    (Number::U64, "u64"),
    (Number::I64, "i64"),
    (Number::F32, "f32"),
    (Number::F64, "f64"),
];

#[cfg(feature = "cli")]
impl Ty {
    /// Whether it is an integer without a sign.
    pub(crate) fn is_unsigned(&self) -> bool {
        use Number::{U8, U16, U32, U64};
        matches!(self, Self::Number(U8 | U16 | U32 | U64))
    }
}

impl Number {
    fn name(self) -> &'static str {
        let named = NUMBERS.iter().find(|(number, _)| *number == self);
        named.expect("all are there").1
    }

    /// Its size in bytes.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    fn wasm(self) -> wasmer::Type {
        match self {
            Self::U64 | Self::I64 => wasmer::Type::I64,
            Self::F32 => wasmer::Type::F32,
            Self::F64 => wasmer::Type::F64,
            _ => wasmer::Type::I32,
        }
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit => f.write_str("()"),
            Self::Bool => f.write_str("bool"),
            Self::Number(number) => f.write_str(number.name()),
            Self::Pointer => f.write_str("pointer"),
            Self::Slice => f.write_str("slice"),
            Self::Str => f.write_str("str"),
            Self::Numbers(number) => write!(f, "[{}]", number.name()),
            Self::Option(inner) => write!(f, "Option<{inner}>"),
            Self::Result(ok, error) => write!(f, "Result<{ok}, {error}>"),
            Self::Encoded(codec, ty) => write!(f, "{codec}<{ty}>"),
        }
    }
}

impl Ty {
    /// The Wasm value that it is, if it is one.
    pub(crate) fn wasm(&self) -> Option<wasmer::Type> {
        match self {
            Self::Bool => Some(wasmer::Type::I32),
            Self::Number(number) => Some(number.wasm()),
            Self::Pointer => Some(wasmer::Type::I64),
            _ => None,
        }
    }

    fn is_plain(&self) -> bool {
        *self == Self::Unit || self.wasm().is_some()
    }

    /// How many slots it takes in a record of arguments.
    pub(crate) fn slots(&self) -> usize {
        match self {
            Self::Unit => 0,
            Self::Slice => 2,
            Self::Option(inner) => 1 + inner.slots(),
            _ => 1,
        }
    }
}

/// A function with the types that its guest gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    pub(crate) name: String,
    pub(crate) params: Vec<Ty>,
    pub(crate) result: Ty,
}

impl Declaration {
    /// Whether its parameters and its result are Wasm values.
    pub(crate) fn is_plain(&self) -> bool {
        self.params.iter().all(Ty::is_plain) && self.result.is_plain()
    }

    /// Its type in Wasm: an export's without `import`.
    pub(crate) fn wasm(&self, import: bool) -> wasmer::FunctionType {
        use wasmer::Type::I32;
        if self.is_plain() {
            let params: Vec<_> = self.params.iter().filter_map(Ty::wasm).collect();
            let results: Vec<_> = self.result.wasm().into_iter().collect();
            return wasmer::FunctionType::new(params, results);
        }
        match import {
            true => wasmer::FunctionType::new([I32, I32], []),
            false => wasmer::FunctionType::new([I32], [I32]),
        }
    }

    /// How many slots its record of arguments has.
    pub(crate) fn slots(&self) -> usize {
        self.params.iter().map(Ty::slots).sum()
    }
}

impl fmt::Display for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (index, param) in self.params.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{param}")?;
        }
        f.write_str(")")?;
        match &self.result {
            Ty::Unit => Ok(()),
            result => write!(f, " -> {result}"),
        }
    }
}

/// A module's functions that say their types.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declarations {
    pub(crate) exports: HashMap<String, Arc<Declaration>>,
    /// By `module.name`.
    pub(crate) imports: HashMap<String, Arc<Declaration>>,
}

/// More functions, parameters or types within types than any guest has.
const MOST_FUNCTIONS: usize = 10_000;
const MOST_PARAMS: usize = 64;
const DEEPEST: usize = 16;

impl Declarations {
    /// Reads the sections' contents.
    pub(crate) fn parse<'a>(sections: impl Iterator<Item = &'a [u8]>) -> Result<Self, String> {
        let mut all = Self::default();
        for section in sections {
            let text = std::str::from_utf8(section)
                .map_err(|_| format!("its section {SECTION} is not text"))?;
            // Linkers may pad with null bytes.
            for line in text.split(['\n', '\0']).filter(|line| !line.is_empty()) {
                all.add(line)
                    .map_err(|problem| format!("its section {SECTION}: {line:?}: {problem}"))?;
            }
        }
        Ok(all)
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        if self.exports.len() + self.imports.len() >= MOST_FUNCTIONS {
            return Err(format!("more than {MOST_FUNCTIONS} functions"));
        }
        let (kind, rest) = line
            .split_once(' ')
            .ok_or("a kind and a name are missing")?;
        let (name, rest) = rest.split_once('(').ok_or("it has no parameters")?;
        let declaration = Arc::new(Reader(rest).declaration(name)?);
        let table = match kind {
            "export" => &mut self.exports,
            "import" => &mut self.imports,
            other => {
                return Err(format!(
                    "a function is an export or an import, not {other:?}"
                ));
            }
        };
        match table.insert(name.into(), Arc::clone(&declaration)) {
            // Several parts of a guest may import the same function.
            Some(other) if other != declaration => Err(format!("{other} is in it, too")),
            _ => Ok(()),
        }
    }
}

/// What is left of a line.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn declaration(mut self, name: &str) -> Result<Declaration, String> {
        let mut params = Vec::new();
        if !self.eat(")") {
            loop {
                params.push(self.ty(0)?);
                if params.len() > MOST_PARAMS {
                    return Err(format!("more than {MOST_PARAMS} parameters"));
                }
                if self.eat(")") {
                    break;
                }
                self.expect(", ")?;
            }
        }
        let result = match self.eat(" -> ") {
            true => self.ty(0)?,
            false => Ty::Unit,
        };
        match self.0 {
            "" => Ok(Declaration {
                name: name.into(),
                params,
                result,
            }),
            rest => Err(format!("{rest:?} is too much")),
        }
    }

    fn eat(&mut self, text: &str) -> bool {
        match self.0.strip_prefix(text) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, text: &str) -> Result<(), String> {
        match self.eat(text) {
            true => Ok(()),
            false => Err(format!("{text:?} is missing before {:?}", self.0)),
        }
    }

    fn ty(&mut self, depth: usize) -> Result<Ty, String> {
        if depth > DEEPEST {
            return Err(format!("more than {DEEPEST} types within each other"));
        }
        if self.eat("()") {
            return Ok(Ty::Unit);
        }
        if self.eat("[") {
            let number = self.number().ok_or("only numbers are in a row")?;
            self.expect("]")?;
            return Ok(Ty::Numbers(number));
        }
        if let Some(number) = self.number() {
            return Ok(Ty::Number(number));
        }
        for (name, ty) in [
            ("bool", Ty::Bool),
            ("pointer", Ty::Pointer),
            ("slice", Ty::Slice),
            ("str", Ty::Str),
        ] {
            if self.eat(name) {
                return Ok(ty);
            }
        }
        if self.eat("Option<") {
            let inner = self.ty(depth + 1)?;
            self.expect(">")?;
            return Ok(Ty::Option(inner.into()));
        }
        if self.eat("Result<") {
            let ok = self.ty(depth + 1)?;
            self.expect(", ")?;
            let error = self.ty(depth + 1)?;
            self.expect(">")?;
            return Ok(Ty::Result(ok.into(), error.into()));
        }
        self.encoded()
    }

    fn number(&mut self) -> Option<Number> {
        let (number, _) = NUMBERS.into_iter().find(|(_, name)| {
            let rest = self.0.strip_prefix(name);
            // Not the beginning of a codec's name.
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '<'))
        })?;
        self.eat(number.name());
        Some(number)
    }

    /// `codec<any text with brackets in pairs>`.
    fn encoded(&mut self) -> Result<Ty, String> {
        let unknown = || format!("no type begins with {:?}", self.0);
        let (codec, rest) = self.0.split_once('<').ok_or_else(unknown)?;
        if codec.is_empty() || !codec.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(unknown());
        }
        let mut depth = 1;
        let mut before = ' ';
        for (at, character) in rest.char_indices() {
            match character {
                '<' => depth += 1,
                // The arrow of a function's type is no bracket.
                '>' if before != '-' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                let ty = Ty::Encoded(codec.into(), rest[..at].into());
                self.0 = &rest[at + 1..];
                return Ok(ty);
            }
            before = character;
        }
        Err("a > is missing".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_it_is_written() {
        for line in [
            "transform(str, postcard<Config>) -> Result<str, postcard<Failure>>",
            "nothing()",
            "plain(u8, bool, f64, pointer) -> i64",
            "rows([u8], [i16], [f64], slice) -> Option<[u32]>",
            "deep(Option<Option<u8>>) -> Result<Option<u8>, ()>",
            "any(json<Map<String, Vec<fn(u8) -> u8>>>, json<(u8, u8)>)",
        ] {
            let text = format!("export {line}\nimport host.{line}\n\0");
            let all = Declarations::parse([text.as_bytes()].into_iter()).unwrap();
            let export = all.exports.values().next().unwrap();
            assert_eq!(export.to_string(), line);
            assert_eq!(all.imports.values().next().unwrap().params, export.params);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for line in [
            "f",
            "export f",
            "table f()",
            "export f(",
            "export f()x",
            "export f(u8,u8)",
            "export f(u7)",
            "export f([str])",
            "export f([u8)",
            "export f(json<a)",
            "export f(<a>)",
            "export f() -> ",
            "export f(Result<u8>)",
            "export f(u8)\nexport f(u16)",
        ] {
            let parsed = Declarations::parse([line.as_bytes()].into_iter());
            assert!(parsed.is_err(), "{line}");
        }
        let deep = format!("export f({}u8", "Option<".repeat(1 << 20));
        assert!(Declarations::parse([deep.as_bytes()].into_iter()).is_err());
        assert!(Declarations::parse([&b"export \xff()"[..]].into_iter()).is_err());
    }
}
