//! What a call is given.

use super::codec::Codec;
use super::declaration::{Declaration, Number, Ty};
use crate::regions::Region;
use crate::types::{Error, Pointer, Value};
use serde::Serialize;
use smallvec::SmallVec;
use std::borrow::Cow;
use wasmer::{
    AsStoreMut, AsStoreRef, FromToNativeWasmType, RuntimeError, TypedFunction, WasmTypeList,
};

/// One argument of a call.
///
/// | in Rust, here | for a parameter of the guest's |
/// |---|---|
/// | a number, `bool` | the same |
/// | `&str` | `&str`, `String` |
/// | `&[u8]`, `&[f64]`, other rows of numbers | the same, or a `Vec` of them |
/// | [`Pointer`] | `HostPtr` |
/// | [`&Region`](Region) | `HostPtr`, or `HostSlice` for all of it |
/// | `Option` of these | the same |
/// | `&T`, of any other type that serde knows | `T`, in the guest's codec |
pub trait Argument {
    /// The same type, borrowed for another time.
    type Of<'a>: Argument<Wasm = Self::Wasm>;
    #[doc(hidden)]
    type Wasm: FromToNativeWasmType;
    #[doc(hidden)]
    fn accepts(ty: &Ty) -> bool;
    #[doc(hidden)]
    fn to_wasm(&self) -> Self::Wasm;
    #[doc(hidden)]
    fn lower<'a>(&'a self, ty: &Ty, record: &mut Record<'a>) -> Result<(), String>;
    #[doc(hidden)]
    fn is_plain() -> bool {
        true
    }
}

/// A record of arguments, before it has a place in the guest's memory.
#[derive(Default)]
pub struct Record<'a> {
    slots: SmallVec<[u64; 8]>,
    /// Which slot gets the row's address, and the row.
    rows: SmallVec<[(usize, Cow<'a, [u8]>); 4]>,
}

impl<'a> Record<'a> {
    fn push(&mut self, slot: u64) {
        self.slots.push(slot);
    }

    fn row(&mut self, bytes: Cow<'a, [u8]>, elements: usize) {
        // A row that is too long for a guest has no room in it either.
        let elements = u32::try_from(elements).unwrap_or(u32::MAX);
        self.rows.push((self.slots.len(), bytes));
        self.push(u64::from(elements) << 32);
    }

    fn skip(&mut self, slots: usize) {
        self.slots.resize(self.slots.len() + slots, 0);
    }

    /// How many bytes it has, its rows included.
    pub(crate) fn len(&self) -> usize {
        let rows = self
            .rows
            .iter()
            .map(|(_, row)| row.len().next_multiple_of(8));
        self.slots.len() * 8 + rows.sum::<usize>()
    }

    /// Its parts for a place at `base`, each with where it goes.
    pub(crate) fn place(&mut self, base: u32) -> impl Iterator<Item = (u32, &[u8])> {
        let mut at = base + self.slots.len() as u32 * 8;
        let mut places = SmallVec::<[u32; 4]>::new();
        for (slot, row) in &self.rows {
            self.slots[*slot] |= u64::from(at);
            places.push(at);
            at += row.len().next_multiple_of(8) as u32;
        }
        let slots = bytemuck::cast_slice(&self.slots);
        let rows = self.rows.iter().map(|(_, row)| &**row);
        std::iter::once((base, slots)).chain(places.into_iter().zip(rows))
    }
}

macro_rules! number {
    ($($number:ty, $variant:ident, $wasm:ty, $n:ident => $slot:expr;)*) => {
        $(
            impl Argument for $number {
                type Of<'a> = $number;
                type Wasm = $wasm;
                fn accepts(ty: &Ty) -> bool {
                    *ty == Ty::Number(Number::$variant)
                }
                fn to_wasm(&self) -> $wasm {
                    *self as $wasm
                }
                fn lower<'a>(&'a self, _: &Ty, record: &mut Record<'a>) -> Result<(), String> {
                    let $n = *self;
                    record.push($slot);
                    Ok(())
                }
            }

            impl Argument for &[$number] {
                type Of<'a> = &'a [$number];
                type Wasm = i32;
                fn accepts(ty: &Ty) -> bool {
                    *ty == Ty::Numbers(Number::$variant)
                }
                fn to_wasm(&self) -> i32 {
                    0
                }
                fn lower<'a>(&'a self, _: &Ty, record: &mut Record<'a>) -> Result<(), String> {
                    record.row(bytemuck::cast_slice(self).into(), self.len());
                    Ok(())
                }
                fn is_plain() -> bool {
                    false
                }
            }
        )*
    };
}

number! {
    u8, U8, i32, n => n.into();
    i8, I8, i32, n => n as u64;
    u16, U16, i32, n => n.into();
    i16, I16, i32, n => n as u64;
    u32, U32, i32, n => n.into();
    i32, I32, i32, n => n as u64;
    u64, U64, i64, n => n;
    i64, I64, i64, n => n as u64;
    f32, F32, f32, n => n.to_bits().into();
    f64, F64, f64, n => n.to_bits();
}

impl Argument for bool {
    type Of<'a> = bool;
    type Wasm = i32;
    fn accepts(ty: &Ty) -> bool {
        *ty == Ty::Bool
    }
    fn to_wasm(&self) -> i32 {
        (*self).into()
    }
    fn lower<'a>(&'a self, _: &Ty, record: &mut Record<'a>) -> Result<(), String> {
        record.push((*self).into());
        Ok(())
    }
}

impl Argument for Pointer {
    type Of<'a> = Pointer;
    type Wasm = i64;
    fn accepts(ty: &Ty) -> bool {
        *ty == Ty::Pointer
    }
    fn to_wasm(&self) -> i64 {
        self.to_bits() as i64
    }
    fn lower<'a>(&'a self, _: &Ty, record: &mut Record<'a>) -> Result<(), String> {
        record.push(self.to_bits());
        Ok(())
    }
}

impl Argument for &Region {
    type Of<'a> = &'a Region;
    type Wasm = i64;
    fn accepts(ty: &Ty) -> bool {
        matches!(ty, Ty::Pointer | Ty::Slice)
    }
    fn to_wasm(&self) -> i64 {
        self.pointer().to_wasm()
    }
    fn lower<'a>(&'a self, ty: &Ty, record: &mut Record<'a>) -> Result<(), String> {
        record.push(self.pointer().to_bits());
        if *ty == Ty::Slice {
            record.push(self.len() as u64);
        }
        Ok(())
    }
}

impl Argument for &str {
    type Of<'a> = &'a str;
    type Wasm = i32;
    fn accepts(ty: &Ty) -> bool {
        *ty == Ty::Str
    }
    fn to_wasm(&self) -> i32 {
        0
    }
    fn lower<'a>(&'a self, _: &Ty, record: &mut Record<'a>) -> Result<(), String> {
        record.row(self.as_bytes().into(), self.len());
        Ok(())
    }
    fn is_plain() -> bool {
        false
    }
}

impl<T: Serialize + 'static> Argument for &T {
    type Of<'a> = &'a T;
    type Wasm = i32;
    fn accepts(ty: &Ty) -> bool {
        matches!(ty, Ty::Encoded(codec, _) if Codec::named(codec).is_some())
    }
    fn to_wasm(&self) -> i32 {
        0
    }
    fn lower<'a>(&'a self, ty: &Ty, record: &mut Record<'a>) -> Result<(), String> {
        let Ty::Encoded(codec, _) = ty else {
            return Err("it does not cross in an encoding".into());
        };
        let codec = Codec::named(codec).ok_or("there is no such codec")?;
        let bytes = codec.encode(*self)?;
        let len = bytes.len();
        record.row(bytes.into(), len);
        Ok(())
    }
    fn is_plain() -> bool {
        false
    }
}

impl<T: Argument> Argument for Option<T> {
    type Of<'a> = Option<T::Of<'a>>;
    type Wasm = i32;
    fn accepts(ty: &Ty) -> bool {
        matches!(ty, Ty::Option(inner) if T::accepts(inner))
    }
    fn to_wasm(&self) -> i32 {
        0
    }
    fn lower<'a>(&'a self, ty: &Ty, record: &mut Record<'a>) -> Result<(), String> {
        record.push(self.is_some().into());
        let Ty::Option(inner) = ty else {
            return Err("it is not optional".into());
        };
        match self {
            Some(value) => value.lower(inner, record),
            None => {
                record.skip(inner.slots());
                Ok(())
            }
        }
    }
    fn is_plain() -> bool {
        false
    }
}

/// All arguments of a call: a tuple of up to eight, `(a,)` for one alone; or a slice
/// of [`Value`]s, for functions that are known by their Wasm types only.
pub trait Arguments {
    /// The same types, borrowed for another time.
    type Of<'a>: Arguments<Wasm = Self::Wasm>;
    #[doc(hidden)]
    type Wasm: WasmArguments;
    #[doc(hidden)]
    fn to_wasm(&self) -> Self::Wasm;
    /// How many they are; `None` if they are values whose number is not known.
    #[doc(hidden)]
    fn count() -> Option<usize>;
    /// The type of the first that the function does not take, with its index.
    #[doc(hidden)]
    fn misfit(declared: &Declaration) -> Option<(usize, &'static str)>;
    #[doc(hidden)]
    fn are_plain() -> bool;
    #[doc(hidden)]
    fn lower<'a>(&'a self, declared: &Declaration) -> Result<Record<'a>, Error>;
    #[doc(hidden)]
    fn values(&self) -> &[Value] {
        &[]
    }
}

/// Arguments that are Wasm values.
pub trait WasmArguments {
    /// A function that takes them.
    type Typed<R: WasmTypeList>;
    /// The function as one that takes them and gives `R`, if it does.
    fn typed<R: WasmTypeList>(
        function: &wasmer::Function,
        store: &impl AsStoreRef,
    ) -> Option<Self::Typed<R>>;
    /// Calls it.
    fn call<R: WasmTypeList>(
        self,
        function: &Self::Typed<R>,
        store: &mut impl AsStoreMut,
    ) -> Result<R, RuntimeError>;
}

macro_rules! tuple {
    ($count:literal, $($name:ident $index:tt),*) => {
        impl<$($name: FromToNativeWasmType),*> WasmArguments for ($($name,)*) {
            #[allow(unused_parens, reason = "a function of one takes no tuple")]
            type Typed<R: WasmTypeList> = TypedFunction<($($name),*), R>;

            fn typed<R: WasmTypeList>(
                function: &wasmer::Function,
                store: &impl AsStoreRef,
            ) -> Option<Self::Typed<R>> {
                function.typed(store).ok()
            }

            fn call<R: WasmTypeList>(
                self,
                function: &Self::Typed<R>,
                store: &mut impl AsStoreMut,
            ) -> Result<R, RuntimeError> {
                function.call(store $(, self.$index)*)
            }
        }

        impl<$($name: Argument),*> Arguments for ($($name,)*) {
            type Of<'a> = ($($name::Of<'a>,)*);
            type Wasm = ($($name::Wasm,)*);

            #[allow(clippy::unused_unit, reason = "there may be none")]
            fn to_wasm(&self) -> Self::Wasm {
                ($(self.$index.to_wasm(),)*)
            }

            fn count() -> Option<usize> {
                Some($count)
            }

            #[allow(unused_variables, reason = "there may be none")]
            fn misfit(declared: &Declaration) -> Option<(usize, &'static str)> {
                $(if !$name::accepts(&declared.params[$index]) {
                    return Some(($index, std::any::type_name::<$name>()));
                })*
                None
            }

            fn are_plain() -> bool {
                true $(&& $name::is_plain())*
            }

            #[allow(unused_mut, unused_variables, reason = "there may be none")]
            fn lower<'a>(&'a self, declared: &Declaration) -> Result<Record<'a>, Error> {
                let mut record = Record::default();
                $(
                    let ty = &declared.params[$index];
                    self.$index.lower(ty, &mut record).map_err(|problem| Error::Encode {
                        index: $index + 1,
                        function: declared.to_string(),
                        problem,
                    })?;
                )*
                Ok(record)
            }
        }
    };
}

tuple!(0,);
tuple!(1, A 0);
tuple!(2, A 0, B 1);
tuple!(3, A 0, B 1, C 2);
tuple!(4, A 0, B 1, C 2, D 3);
tuple!(5, A 0, B 1, C 2, D 3, E 4);
tuple!(6, A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(7, A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(8, A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

macro_rules! values {
    ($([$($generics:tt)*] $values:ty;)*) => {
        $(impl<$($generics)*> Arguments for &$values {
            type Of<'a> = &'a $values;
            type Wasm = ();

            fn to_wasm(&self) {}
            fn count() -> Option<usize> {
                None
            }
            fn misfit(_: &Declaration) -> Option<(usize, &'static str)> {
                None
            }
            fn are_plain() -> bool {
                false
            }
            fn lower<'a>(&'a self, _: &Declaration) -> Result<Record<'a>, Error> {
                Ok(Record::default())
            }
            fn values(&self) -> &[Value] {
                &self[..]
            }
        })*
    };
}

values! {
    [] [Value];
    [] Vec<Value>;
    [const N: usize] [Value; N];
}
