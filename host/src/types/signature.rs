//! The types of functions, as modules have them.

use std::fmt;

/// The type of a Wasm value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValueType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer.
    I64,
    /// A 32-bit float.
    F32,
    /// A 64-bit float.
    F64,
    /// A vector of 128 bits.
    V128,
    /// A reference to a function.
    FuncRef,
    /// A reference to something of the host's.
    ExternRef,
    /// A reference to an exception.
    ExnRef,
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::V128 => "v128",
            Self::FuncRef => "funcref",
            Self::ExternRef => "externref",
            Self::ExnRef => "exnref",
        })
    }
}

impl ValueType {
    pub(crate) fn of(ty: wasmer::Type) -> Self {
        match ty {
            wasmer::Type::I32 => Self::I32,
            wasmer::Type::I64 => Self::I64,
            wasmer::Type::F32 => Self::F32,
            wasmer::Type::F64 => Self::F64,
            wasmer::Type::V128 => Self::V128,
            wasmer::Type::FuncRef => Self::FuncRef,
            wasmer::Type::ExternRef => Self::ExternRef,
            wasmer::Type::ExceptionRef => Self::ExnRef,
        }
    }
}

/// A function's name and type. Shown as `name(i64, i32) -> i32`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Signature {
    /// Its name: an export's, or `MODULE.NAME` of an import.
    pub name: String,
    /// The types of its parameters.
    pub params: Vec<ValueType>,
    /// The types of its results.
    pub results: Vec<ValueType>,
}

impl Signature {
    pub(crate) fn of(name: impl Into<String>, ty: &wasmer::FunctionType) -> Self {
        let types = |types: &[wasmer::Type]| types.iter().copied().map(ValueType::of).collect();
        Self {
            name: name.into(),
            params: types(ty.params()),
            results: types(ty.results()),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |types: &[ValueType]| {
            let types: Vec<_> = types.iter().map(ValueType::to_string).collect();
            types.join(", ")
        };
        write!(f, "{}({})", self.name, list(&self.params))?;
        match &self.results[..] {
            [] => Ok(()),
            [one] => write!(f, " -> {one}"),
            results => write!(f, " -> ({})", list(results)),
        }
    }
}
