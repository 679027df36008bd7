//! Arguments and results.

use super::pointer::Pointer;
use super::signature::ValueType;
use std::fmt;

/// A Wasm value. Rust's narrow integers become an `i32` as Rust's own ABI wants
/// them: unsigned ones zero-extended, signed ones sign-extended.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A 32-bit integer, of either sign.
    I32(i32),
    /// A 64-bit integer, of either sign.
    I64(i64),
    /// A 32-bit float.
    F32(f32),
    /// A 64-bit float.
    F64(f64),
}

macro_rules! from {
    ($($type:ty => $variant:ident as $wasm:ty),* $(,)?) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value as $wasm)
            }
        })*
    };
}

from! {
    bool => I32 as i32, u8 => I32 as i32, i8 => I32 as i32, u16 => I32 as i32,
    i16 => I32 as i32, u32 => I32 as i32, i32 => I32 as i32,
    u64 => I64 as i64, i64 => I64 as i64, f32 => F32 as f32, f64 => F64 as f64,
}

impl From<Pointer> for Value {
    fn from(pointer: Pointer) -> Self {
        Self::I64(pointer.to_bits() as i64)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I32(value) => value.fmt(f),
            Self::I64(value) => value.fmt(f),
            Self::F32(value) => value.fmt(f),
            Self::F64(value) => value.fmt(f),
        }
    }
}

impl Value {
    /// Its type.
    pub fn ty(self) -> ValueType {
        match self {
            Self::I32(_) => ValueType::I32,
            Self::I64(_) => ValueType::I64,
            Self::F32(_) => ValueType::F32,
            Self::F64(_) => ValueType::F64,
        }
    }

    pub(crate) fn from_wasm(value: &wasmer::Value) -> Option<Self> {
        match value {
            wasmer::Value::I32(value) => Some(Self::I32(*value)),
            wasmer::Value::I64(value) => Some(Self::I64(*value)),
            wasmer::Value::F32(value) => Some(Self::F32(*value)),
            wasmer::Value::F64(value) => Some(Self::F64(*value)),
            _ => None,
        }
    }

    pub(crate) fn to_wasm(self) -> wasmer::Value {
        match self {
            Self::I32(value) => wasmer::Value::I32(value),
            Self::I64(value) => wasmer::Value::I64(value),
            Self::F32(value) => wasmer::Value::F32(value),
            Self::F64(value) => wasmer::Value::F64(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_rust_types_are_extended_as_rust_does() {
        assert_eq!(Value::from(255u8), Value::I32(255));
        assert_eq!(Value::from(-1i8), Value::I32(-1));
        assert_eq!(Value::from(u32::MAX), Value::I32(-1));
    }
}
