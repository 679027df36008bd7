//! What a call gives.

use super::codec::{Codec, Encoded};
use super::declaration::{Declaration, Number, Ty};
use crate::backtrace::Trace;
use crate::sys::MemoryState;
use crate::types::{Error, Pointer, ReturnedError, Value};
use serde::de::DeserializeOwned;
use wasmer::WasmTypeList;

/// What a call gives.
///
/// | in Rust, here | for a result of the guest's |
/// |---|---|
/// | `()`, a number, `bool` | the same |
/// | `String` | `String`, `&str` |
/// | `Vec<u8>`, `Vec<f64>`, other rows of numbers | the same, or a slice |
/// | [`Pointer`] | `HostPtr` |
/// | `Option` of these | the same |
/// | `Result<T, E>` of these | the same |
/// | `T` of these | `Result<T, E>`: its error is [`Error::Returned`] |
/// | [`Encoded<T>`], of any other type that serde knows | `T`, in the guest's codec |
/// | [`Vec<Value>`](Value) | whatever its Wasm function gives |
pub trait Results: Sized {
    /// What it is called in messages.
    #[doc(hidden)]
    const NAME: &'static str;
    #[doc(hidden)]
    type Wasm: WasmTypeList;
    #[doc(hidden)]
    fn from_wasm(wasm: Self::Wasm) -> Self;
    #[doc(hidden)]
    fn from_values(values: &[Value]) -> Option<Self>;
    #[doc(hidden)]
    fn accepts(ty: &Ty) -> bool;
    #[doc(hidden)]
    fn lift(ty: &Ty, answer: &Answer<'_>, depth: u32) -> Result<Self, Error>;
    #[doc(hidden)]
    fn is_plain() -> bool {
        false
    }
}

/// A guest's answer, as `guest/CALLS.md` describes it.
pub struct Answer<'a> {
    pub(crate) declared: &'a Declaration,
    pub(crate) memory: Option<&'a MemoryState>,
    pub(crate) tag: u32,
    pub(crate) len: u32,
    pub(crate) value: u64,
}

/// The tag of an answer that is none.
pub(crate) const FAILED: u32 = u32::MAX;

/// How many bytes an answer has.
pub(crate) const ANSWER_LEN: usize = 16;

impl<'a> Answer<'a> {
    /// The answer at `address` in the guest's memory.
    pub(crate) fn read(
        declared: &'a Declaration,
        memory: Option<&'a MemoryState>,
        address: u32,
    ) -> Result<Self, Error> {
        let mut bytes = [0; ANSWER_LEN];
        let read = memory.map(|memory| memory.space.read(address as usize, &mut bytes));
        if !matches!(read, Some(Ok(()))) {
            return Err(out_of_memory(address, ANSWER_LEN as u32));
        }
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        Ok(Self {
            declared,
            memory,
            tag: word(0),
            len: word(4),
            value: u64::from(word(8)) | u64::from(word(12)) << 32,
        })
    }

    /// Its row.
    fn row<T: bytemuck::Pod>(&self) -> Result<Vec<T>, Error> {
        let bytes = u64::from(self.len) * size_of::<T>() as u64;
        let fits = |address: u32| u64::from(address) + bytes <= 1 << 32;
        let row = match (self.memory, u32::try_from(self.value)) {
            (_, Ok(_)) if self.len == 0 => return Ok(Vec::new()),
            (Some(memory), Ok(address)) if fits(address) => memory
                .space
                .read_vec(address as usize, self.len as usize)
                .ok(),
            _ => None,
        };
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        row.ok_or_else(|| out_of_memory(self.value as u32, bytes))
    }

    pub(crate) fn text(&self) -> Result<String, Error> {
        String::from_utf8(self.row()?).map_err(|_| self.bad("it is not UTF-8"))
    }

    fn bit(&self, depth: u32) -> bool {
        self.tag.checked_shr(depth).unwrap_or(0) & 1 == 1
    }

    fn bad(&self, problem: impl Into<String>) -> Error {
        Error::Answer {
            function: self.declared.to_string(),
            problem: problem.into(),
        }
    }

    fn encoded<T: DeserializeOwned>(&self, ty: &Ty) -> Result<T, Error> {
        let Ty::Encoded(codec, name) = ty else {
            return Err(self.bad("it does not cross in an encoding"));
        };
        let codec = Codec::named(codec).ok_or_else(|| self.bad("there is no such codec"))?;
        let decoded = codec.decode(&self.row::<u8>()?);
        decoded.map_err(|problem| {
            let here = std::any::type_name::<T>();
            self.bad(format!("a {name} cannot be decoded as a {here}: {problem}"))
        })
    }

    /// The error that the guest returned, for those who did not ask for its type.
    pub(crate) fn returned(&self, ty: &Ty) -> Result<Error, Error> {
        let depth = 1;
        let (text, bytes, codec) = match ty {
            Ty::Str => (self.text()?, None, None),
            Ty::Encoded(codec, name) => {
                let bytes = self.row::<u8>()?;
                let text = match &**codec {
                    "json" => String::from_utf8_lossy(&bytes).into_owned(),
                    _ => format!("a {name}, which Result<_, Encoded<{name}>> has"),
                };
                (text, Some(bytes), Some(&**codec))
            }
            Ty::Number(Number::F32) => (f32::from_bits(self.value as u32).to_string(), None, None),
            Ty::Number(Number::F64) => (f64::from_bits(self.value).to_string(), None, None),
            Ty::Number(Number::I8 | Number::I16 | Number::I32 | Number::I64) => {
                ((self.value as i64).to_string(), None, None)
            }
            Ty::Number(_) => (self.value.to_string(), None, None),
            Ty::Option(_) | Ty::Result(..) => (format!("{ty}, {}", self.bit(depth)), None, None),
            other => (other.to_string(), None, None),
        };
        Ok(Error::Returned {
            function: self.declared.name.clone(),
            error: ReturnedError::new(text, bytes.zip(codec)),
        })
    }
}

impl ReturnedError {
    /// The value that the guest returned, if it came in an encoding and is a `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Option<T> {
        let (bytes, codec) = self.encoded()?;
        Codec::named(codec)?.decode(bytes).ok()
    }
}

fn out_of_memory(address: u32, len: u32) -> Error {
    Error::GuestRange {
        function: "the result of a call",
        write: false,
        address,
        len,
        trace: Trace::default(),
    }
}

/// What is no Wasm value, and comes in an answer alone.
macro_rules! answered {
    () => {
        type Wasm = ();
        fn from_wasm(_: ()) -> Self {
            unreachable!("a type that is no Wasm value")
        }
        fn from_values(_: &[Value]) -> Option<Self> {
            None
        }
    };
}

macro_rules! number {
    ($($number:ty, $variant:ident, $wasm:ty, $values:pat => $from_value:expr, $slot:ident => $lift:expr;)*) => {
        $(
            impl Results for $number {
                const NAME: &'static str = stringify!($number);
                type Wasm = $wasm;
                fn from_wasm(wasm: $wasm) -> Self {
                    wasm as Self
                }
                fn from_values(values: &[Value]) -> Option<Self> {
                    match values {
                        $values => $from_value,
                        _ => None,
                    }
                }
                fn accepts(ty: &Ty) -> bool {
                    *ty == Ty::Number(Number::$variant)
                }
                fn lift(_: &Ty, answer: &Answer<'_>, _: u32) -> Result<Self, Error> {
                    let $slot = answer.value;
                    Ok($lift)
                }
                fn is_plain() -> bool {
                    true
                }
            }

            impl Results for Vec<$number> {
                const NAME: &'static str = concat!("a row of ", stringify!($number));
                answered!();
                fn accepts(ty: &Ty) -> bool {
                    *ty == Ty::Numbers(Number::$variant)
                }
                fn lift(_: &Ty, answer: &Answer<'_>, _: u32) -> Result<Self, Error> {
                    answer.row()
                }
            }
        )*
    };
}

// Of a function that is known by its Wasm type only, narrow integers are not: it
// does not say that it keeps to their range.
number! {
    u8, U8, i32, [Value::I32(n)] => u8::try_from(*n).ok(), n => n as u8;
    i8, I8, i32, [Value::I32(n)] => i8::try_from(*n).ok(), n => n as i8;
    u16, U16, i32, [Value::I32(n)] => u16::try_from(*n).ok(), n => n as u16;
    i16, I16, i32, [Value::I32(n)] => i16::try_from(*n).ok(), n => n as i16;
    u32, U32, i32, [Value::I32(n)] => Some(*n as u32), n => n as u32;
    i32, I32, i32, [Value::I32(n)] => Some(*n), n => n as i32;
    u64, U64, i64, [Value::I64(n)] => Some(*n as u64), n => n;
    i64, I64, i64, [Value::I64(n)] => Some(*n), n => n as i64;
    f32, F32, f32, [Value::F32(n)] => Some(*n), n => f32::from_bits(n as u32);
    f64, F64, f64, [Value::F64(n)] => Some(*n), n => f64::from_bits(n);
}

impl Results for bool {
    const NAME: &'static str = "bool";
    type Wasm = i32;
    fn from_wasm(wasm: i32) -> Self {
        wasm != 0
    }
    fn from_values(values: &[Value]) -> Option<Self> {
        match values {
            [Value::I32(n @ (0 | 1))] => Some(*n == 1),
            _ => None,
        }
    }
    fn accepts(ty: &Ty) -> bool {
        *ty == Ty::Bool
    }
    fn lift(_: &Ty, answer: &Answer<'_>, _: u32) -> Result<Self, Error> {
        Ok(answer.value != 0)
    }
    fn is_plain() -> bool {
        true
    }
}

impl Results for Pointer {
    const NAME: &'static str = "a pointer";
    type Wasm = i64;
    fn from_wasm(wasm: i64) -> Self {
        Self::from_bits(wasm as u64)
    }
    fn from_values(values: &[Value]) -> Option<Self> {
        match values {
            [Value::I64(bits)] => Some(Self::from_bits(*bits as u64)),
            _ => None,
        }
    }
    fn accepts(ty: &Ty) -> bool {
        *ty == Ty::Pointer
    }
    fn lift(_: &Ty, answer: &Answer<'_>, _: u32) -> Result<Self, Error> {
        Ok(Self::from_bits(answer.value))
    }
    fn is_plain() -> bool {
        true
    }
}

impl Results for () {
    const NAME: &'static str = "nothing";
    type Wasm = ();
    fn from_wasm((): ()) -> Self {}
    fn from_values(values: &[Value]) -> Option<Self> {
        values.is_empty().then_some(())
    }
    fn accepts(ty: &Ty) -> bool {
        *ty == Ty::Unit
    }
    fn lift(_: &Ty, _: &Answer<'_>, _: u32) -> Result<Self, Error> {
        Ok(())
    }
    fn is_plain() -> bool {
        true
    }
}

impl Results for Vec<Value> {
    const NAME: &'static str = "numbers";
    type Wasm = ();
    fn from_wasm(_: ()) -> Self {
        Vec::new()
    }
    fn from_values(values: &[Value]) -> Option<Self> {
        Some(values.to_vec())
    }
    fn accepts(_: &Ty) -> bool {
        false
    }
    fn lift(_: &Ty, answer: &Answer<'_>, _: u32) -> Result<Self, Error> {
        Err(answer.bad("values are those of a Wasm function"))
    }
}

impl Results for String {
    const NAME: &'static str = "text";
    answered!();
    fn accepts(ty: &Ty) -> bool {
        *ty == Ty::Str
    }
    fn lift(_: &Ty, answer: &Answer<'_>, _: u32) -> Result<Self, Error> {
        answer.text()
    }
}

impl<T: Results> Results for Option<T> {
    const NAME: &'static str = "an option";
    answered!();
    fn accepts(ty: &Ty) -> bool {
        matches!(ty, Ty::Option(inner) if T::accepts(inner))
    }
    fn lift(ty: &Ty, answer: &Answer<'_>, depth: u32) -> Result<Self, Error> {
        match ty {
            Ty::Option(inner) if answer.bit(depth) => T::lift(inner, answer, depth + 1).map(Some),
            _ => Ok(None),
        }
    }
}

impl<T: Results, E: Results> Results for Result<T, E> {
    const NAME: &'static str = "a result";
    answered!();
    fn accepts(ty: &Ty) -> bool {
        matches!(ty, Ty::Result(ok, error) if T::accepts(ok) && E::accepts(error))
    }
    fn lift(ty: &Ty, answer: &Answer<'_>, depth: u32) -> Result<Self, Error> {
        let Ty::Result(ok, error) = ty else {
            return Err(answer.bad("it is no result"));
        };
        match answer.bit(depth) {
            false => T::lift(ok, answer, depth + 1).map(Ok),
            true => E::lift(error, answer, depth + 1).map(Err),
        }
    }
}

impl<T: DeserializeOwned> Results for Encoded<T> {
    const NAME: &'static str = "an encoded value";
    answered!();
    fn accepts(ty: &Ty) -> bool {
        matches!(ty, Ty::Encoded(codec, _) if Codec::named(codec).is_some())
    }
    fn lift(ty: &Ty, answer: &Answer<'_>, _: u32) -> Result<Self, Error> {
        answer.encoded(ty).map(Encoded)
    }
}
