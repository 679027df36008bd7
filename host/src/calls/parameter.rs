//! What a function of the host's is given by a guest, and what it gives.

use super::codec::{Codec, Encoded};
use super::declaration::{Declaration, Number, Ty};
use crate::types::{Error, Pointer};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type of the parameters of a function that is offered.
///
/// | in Rust, here | for a guest's argument |
/// |---|---|
/// | a number, `bool` | the same |
/// | `&str`, `String` | `&str`, `String` |
/// | `&[u8]`, `&[f64]`, other rows of numbers, `Vec`s of them | the same |
/// | [`Pointer`] | `HostPtr` |
/// | `Option` of these | the same |
/// | [`Encoded<T>`], of any other type that serde knows | `T`, in the guest's codec |
pub trait Parameter {
    /// The same type, borrowed for the call.
    type Of<'a>;
    #[doc(hidden)]
    fn accepts(ty: &Ty) -> bool;
    #[doc(hidden)]
    fn take<'a>(ty: &Ty, args: &mut Taken<'a>) -> Result<Self::Of<'a>, String>;
}

/// The arguments of a call, copied out of the guest's memory.
pub struct Taken<'a> {
    pub(crate) slots: std::slice::Iter<'a, u64>,
    /// The rows, each from a multiple of 8 bytes on.
    pub(crate) rows: &'a [u64],
}

impl<'a> Taken<'a> {
    fn next(&mut self) -> Result<u64, String> {
        self.slots
            .next()
            .copied()
            .ok_or_else(|| "it is missing".into())
    }

    fn row<T: bytemuck::Pod>(&mut self) -> Result<&'a [T], String> {
        let len = (self.next()? >> 32) as usize;
        let words = (len * size_of::<T>()).div_ceil(8);
        let row = self.rows.get(..words).ok_or("it is missing")?;
        self.rows = &self.rows[words..];
        Ok(&bytemuck::cast_slice(row)[..len])
    }

    fn text(&mut self) -> Result<&'a str, String> {
        std::str::from_utf8(self.row()?).map_err(|_| "it is not UTF-8".into())
    }
}

/// Calls `row` for each row of a call's arguments: its address, its length in
/// elements, and their size in bytes.
pub(crate) fn rows(
    declared: &Declaration,
    slots: &[u64],
    mut row: impl FnMut(u32, u32, usize) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut at = 0;
    for param in &declared.params {
        let mut ty = param;
        let mut here = at;
        // The row of an `Option` that is `None` is empty.
        while let Ty::Option(inner) = ty {
            here += 1;
            ty = inner;
        }
        let size = match ty {
            Ty::Str | Ty::Encoded(..) => Some(1),
            Ty::Numbers(number) => Some(number.size()),
            _ => None,
        };
        let is_some = slots[at..here].iter().all(|&slot| slot != 0);
        if let Some(size) = size
            && is_some
        {
            row(slots[here] as u32, (slots[here] >> 32) as u32, size)?;
        }
        at += param.slots();
    }
    Ok(())
}

/// Ends the guest that called: what a function returns, as the error of a `Result`,
/// when there is nothing that the guest could do.
///
/// The guest's call ends with [`Error::HostFunction`], which has the error in it.
pub struct Stop(pub(crate) Box<dyn std::error::Error + Send + Sync>);

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stop({})", self.0)
    }
}

/// A type of the results of a function that is offered: as a [`Parameter`]'s, but
/// owned; `Result` too, and [`Stop`] as the error of the outermost.
pub trait Return: Sized {
    #[doc(hidden)]
    fn accepts(ty: &Ty) -> bool;
    #[doc(hidden)]
    fn give(self, ty: &Ty, depth: u32, reply: &mut Reply) -> Result<(), Stop>;
}

/// A function's answer.
#[derive(Default)]
pub struct Reply {
    pub(crate) tag: u32,
    pub(crate) value: u64,
    /// Its row: elements and bytes.
    pub(crate) row: Option<(usize, Vec<u8>)>,
}

macro_rules! number {
    ($($number:ty, $variant:ident, $slot:ident => $take:expr, $n:ident => $give:expr;)*) => {
        $(
            impl Parameter for $number {
                type Of<'a> = $number;
                fn accepts(ty: &Ty) -> bool {
                    *ty == Ty::Number(Number::$variant)
                }
                fn take<'a>(_: &Ty, args: &mut Taken<'a>) -> Result<$number, String> {
                    let $slot = args.next()?;
                    Ok($take)
                }
            }

            impl Return for $number {
                fn accepts(ty: &Ty) -> bool {
                    *ty == Ty::Number(Number::$variant)
                }
                fn give(self, _: &Ty, _: u32, reply: &mut Reply) -> Result<(), Stop> {
                    let $n = self;
                    reply.value = $give;
                    Ok(())
                }
            }

            impl Parameter for &[$number] {
                type Of<'a> = &'a [$number];
                fn accepts(ty: &Ty) -> bool {
                    *ty == Ty::Numbers(Number::$variant)
                }
                fn take<'a>(_: &Ty, args: &mut Taken<'a>) -> Result<&'a [$number], String> {
                    args.row()
                }
            }

            impl Parameter for Vec<$number> {
                type Of<'a> = Vec<$number>;
                fn accepts(ty: &Ty) -> bool {
                    *ty == Ty::Numbers(Number::$variant)
                }
                fn take<'a>(_: &Ty, args: &mut Taken<'a>) -> Result<Vec<$number>, String> {
                    args.row().map(<[$number]>::to_vec)
                }
            }

            impl Return for Vec<$number> {
                fn accepts(ty: &Ty) -> bool {
                    *ty == Ty::Numbers(Number::$variant)
                }
                fn give(self, _: &Ty, _: u32, reply: &mut Reply) -> Result<(), Stop> {
                    reply.row = Some((self.len(), bytemuck::cast_slice(&self).to_vec()));
                    Ok(())
                }
            }
        )*
    };
}

number! {
    u8, U8, slot => slot as u8, n => n.into();
    i8, I8, slot => slot as i8, n => n as u64;
    u16, U16, slot => slot as u16, n => n.into();
    i16, I16, slot => slot as i16, n => n as u64;
    u32, U32, slot => slot as u32, n => n.into();
    i32, I32, slot => slot as i32, n => n as u64;
    u64, U64, slot => slot, n => n;
    i64, I64, slot => slot as i64, n => n as u64;
    f32, F32, slot => f32::from_bits(slot as u32), n => n.to_bits().into();
    f64, F64, slot => f64::from_bits(slot), n => n.to_bits();
}

impl Parameter for bool {
    type Of<'a> = bool;
    fn accepts(ty: &Ty) -> bool {
        *ty == Ty::Bool
    }
    fn take<'a>(_: &Ty, args: &mut Taken<'a>) -> Result<bool, String> {
        args.next().map(|slot| slot != 0)
    }
}

impl Return for bool {
    fn accepts(ty: &Ty) -> bool {
        *ty == Ty::Bool
    }
    fn give(self, _: &Ty, _: u32, reply: &mut Reply) -> Result<(), Stop> {
        reply.value = self.into();
        Ok(())
    }
}

impl Parameter for Pointer {
    type Of<'a> = Pointer;
    fn accepts(ty: &Ty) -> bool {
        *ty == Ty::Pointer
    }
    fn take<'a>(_: &Ty, args: &mut Taken<'a>) -> Result<Pointer, String> {
        args.next().map(Pointer::from_bits)
    }
}

impl Return for Pointer {
    fn accepts(ty: &Ty) -> bool {
        *ty == Ty::Pointer
    }
    fn give(self, _: &Ty, _: u32, reply: &mut Reply) -> Result<(), Stop> {
        reply.value = self.to_bits();
        Ok(())
    }
}

impl Parameter for &str {
    type Of<'a> = &'a str;
    fn accepts(ty: &Ty) -> bool {
        *ty == Ty::Str
    }
    fn take<'a>(_: &Ty, args: &mut Taken<'a>) -> Result<&'a str, String> {
        args.text()
    }
}

impl Parameter for String {
    type Of<'a> = String;
    fn accepts(ty: &Ty) -> bool {
        *ty == Ty::Str
    }
    fn take<'a>(_: &Ty, args: &mut Taken<'a>) -> Result<String, String> {
        args.text().map(str::to_owned)
    }
}

impl Return for String {
    fn accepts(ty: &Ty) -> bool {
        *ty == Ty::Str
    }
    fn give(self, _: &Ty, _: u32, reply: &mut Reply) -> Result<(), Stop> {
        reply.row = Some((self.len(), self.into_bytes()));
        Ok(())
    }
}

impl Return for () {
    fn accepts(ty: &Ty) -> bool {
        *ty == Ty::Unit
    }
    fn give(self, _: &Ty, _: u32, _: &mut Reply) -> Result<(), Stop> {
        Ok(())
    }
}

impl<T: Parameter> Parameter for Option<T> {
    type Of<'a> = Option<T::Of<'a>>;
    fn accepts(ty: &Ty) -> bool {
        matches!(ty, Ty::Option(inner) if T::accepts(inner))
    }
    fn take<'a>(ty: &Ty, args: &mut Taken<'a>) -> Result<Option<T::Of<'a>>, String> {
        let Ty::Option(inner) = ty else {
            return Err("it is not optional".into());
        };
        if args.next()? != 0 {
            return T::take(inner, args).map(Some);
        }
        for _ in 0..inner.slots() {
            args.next()?;
        }
        Ok(None)
    }
}

impl<T: Return> Return for Option<T> {
    fn accepts(ty: &Ty) -> bool {
        matches!(ty, Ty::Option(inner) if T::accepts(inner))
    }
    fn give(self, ty: &Ty, depth: u32, reply: &mut Reply) -> Result<(), Stop> {
        match (self, ty) {
            (Some(value), Ty::Option(inner)) => {
                reply.tag |= 1 << depth;
                value.give(inner, depth + 1, reply)
            }
            _ => Ok(()),
        }
    }
}

impl<T: Return, E: Return> Return for Result<T, E> {
    fn accepts(ty: &Ty) -> bool {
        matches!(ty, Ty::Result(ok, error) if T::accepts(ok) && E::accepts(error))
    }
    fn give(self, ty: &Ty, depth: u32, reply: &mut Reply) -> Result<(), Stop> {
        let Ty::Result(ok, error) = ty else {
            return Err("it is no result".into());
        };
        match self {
            Ok(value) => value.give(ok, depth + 1, reply),
            Err(value) => {
                reply.tag |= 1 << depth;
                value.give(error, depth + 1, reply)
            }
        }
    }
}

impl<T: Return> Return for Result<T, Stop> {
    fn accepts(ty: &Ty) -> bool {
        T::accepts(ty)
    }
    fn give(self, ty: &Ty, depth: u32, reply: &mut Reply) -> Result<(), Stop> {
        self?.give(ty, depth, reply)
    }
}

impl<T: DeserializeOwned> Parameter for Encoded<T> {
    type Of<'a> = Encoded<T>;
    fn accepts(ty: &Ty) -> bool {
        matches!(ty, Ty::Encoded(codec, _) if Codec::named(codec).is_some())
    }
    fn take<'a>(ty: &Ty, args: &mut Taken<'a>) -> Result<Encoded<T>, String> {
        let Ty::Encoded(codec, _) = ty else {
            return Err("it does not cross in an encoding".into());
        };
        let codec = Codec::named(codec).ok_or("there is no such codec")?;
        codec.decode(args.row::<u8>()?).map(Encoded)
    }
}

impl<T: Serialize> Return for Encoded<T> {
    fn accepts(ty: &Ty) -> bool {
        matches!(ty, Ty::Encoded(codec, _) if Codec::named(codec).is_some())
    }
    fn give(self, ty: &Ty, _: u32, reply: &mut Reply) -> Result<(), Stop> {
        let Ty::Encoded(codec, _) = ty else {
            return Err("it does not cross in an encoding".into());
        };
        let codec = Codec::named(codec).ok_or("there is no such codec")?;
        let bytes = codec.encode(&self.0)?;
        reply.row = Some((bytes.len(), bytes));
        Ok(())
    }
}
