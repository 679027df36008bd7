//! Records of arguments: 8 bytes for each slot.

use super::{Codec, Encoded};
use crate::{HostPtr, HostSlice, Number};
use alloc::string::String;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::slice;

/// The record that the host made, read from its beginning.
pub struct Arguments<'a> {
    at: *const u64,
    call: PhantomData<&'a ()>,
}

impl<'a> Arguments<'a> {
    /// The record at `start`. What is borrowed from it lives as long as the call,
    /// which is as long as its parameter `start`.
    pub fn new(start: &'a *const u64) -> Self {
        Self {
            at: *start,
            call: PhantomData,
        }
    }

    /// # Safety
    /// There must be one more slot.
    unsafe fn next(&mut self) -> u64 {
        let slot = self.at.read();
        self.at = self.at.add(1);
        slot
    }

    /// # Safety
    /// There must be one more slot, with the address and the length of values of
    /// type `T` that stay there for the call.
    unsafe fn row<T>(&mut self) -> &'a [T] {
        let slot = self.next();
        let (start, len) = (slot as u32 as usize, (slot >> 32) as usize);
        if len == 0 {
            return &[];
        }
        slice::from_raw_parts(start as *const T, len)
    }
}

/// A type of an exported function's parameters.
pub trait Param<'a>: Sized {
    /// How many slots it takes.
    const SLOTS: usize = 1;
    /// Takes the argument from the record.
    ///
    /// # Safety
    /// The record must have an argument of this type there.
    unsafe fn take(args: &mut Arguments<'a>) -> Result<Self, String>;
}

/// A type of an imported function's parameters.
pub trait Argument {
    /// How many slots it takes.
    const SLOTS: usize = 1;
    /// Puts the argument into the record.
    fn put<const N: usize>(&self, args: &mut Slots<N>);
}

/// A record of arguments, as it is filled.
pub struct Slots<const N: usize> {
    slots: [u64; N],
    used: usize,
}

impl<const N: usize> Slots<N> {
    /// An empty one.
    #[allow(clippy::new_without_default)] // it is not for users
    pub fn new() -> Self {
        Self {
            slots: [0; N],
            used: 0,
        }
    }

    /// Its address.
    pub fn as_ptr(&self) -> *const u64 {
        self.slots.as_ptr()
    }

    fn push(&mut self, slot: u64) {
        self.slots[self.used] = slot;
        self.used += 1;
    }

    fn row<T>(&mut self, values: &[T]) {
        self.push(row_slot(values));
    }
}

/// An address and, above it, a length in elements.
pub(super) fn row_slot<T>(values: &[T]) -> u64 {
    (values.len() as u64) << 32 | values.as_ptr() as usize as u64
}

macro_rules! number {
    ($($number:ty: $slot:ident => $take:expr, $put:expr;)*) => {
        $(
            impl<'a> Param<'a> for $number {
                #[inline]
                unsafe fn take(args: &mut Arguments<'a>) -> Result<Self, String> {
                    let $slot = args.next();
                    Ok($take)
                }
            }
            impl Argument for $number {
                #[inline]
                fn put<const N: usize>(&self, args: &mut Slots<N>) {
                    let $slot = *self;
                    args.push($put);
                }
            }
        )*
    };
}

number! {
    bool: n => n != 0, n.into();
    u8: n => n as u8, n.into();
    i8: n => n as i8, n as u64;
    u16: n => n as u16, n.into();
    i16: n => n as i16, n as u64;
    u32: n => n as u32, n.into();
    i32: n => n as i32, n as u64;
    u64: n => n, n;
    i64: n => n as i64, n as u64;
    f32: n => f32::from_bits(n as u32), n.to_bits().into();
    f64: n => f64::from_bits(n), n.to_bits();
    HostPtr: n => HostPtr::from_bits(n), n.to_bits();
}

impl<'a> Param<'a> for HostSlice {
    const SLOTS: usize = 2;

    unsafe fn take(args: &mut Arguments<'a>) -> Result<Self, String> {
        let (start, len) = (args.next(), args.next());
        Ok(HostPtr::from_bits(start).slice(len as usize))
    }
}

impl Argument for HostSlice {
    const SLOTS: usize = 2;

    fn put<const N: usize>(&self, args: &mut Slots<N>) {
        args.push(self.pointer().to_bits());
        args.push(self.len() as u64);
    }
}

impl<'a> Param<'a> for () {
    const SLOTS: usize = 0;

    unsafe fn take(_: &mut Arguments<'a>) -> Result<Self, String> {
        Ok(())
    }
}

impl Argument for () {
    const SLOTS: usize = 0;

    fn put<const N: usize>(&self, _: &mut Slots<N>) {}
}

impl<'a> Param<'a> for &'a str {
    #[inline]
    unsafe fn take(args: &mut Arguments<'a>) -> Result<Self, String> {
        // The host has them of a `str`.
        Ok(core::str::from_utf8_unchecked(args.row()))
    }
}

impl<'a> Param<'a> for String {
    unsafe fn take(args: &mut Arguments<'a>) -> Result<Self, String> {
        <&str>::take(args).map(String::from)
    }
}

impl Argument for &str {
    fn put<const N: usize>(&self, args: &mut Slots<N>) {
        args.row(self.as_bytes());
    }
}

impl Argument for String {
    fn put<const N: usize>(&self, args: &mut Slots<N>) {
        args.row(self.as_bytes());
    }
}

impl<'a, T: Number> Param<'a> for &'a [T] {
    #[inline]
    unsafe fn take(args: &mut Arguments<'a>) -> Result<Self, String> {
        // The host has aligned them by 8.
        Ok(args.row())
    }
}

impl<'a, T: Number + 'a> Param<'a> for Vec<T> {
    unsafe fn take(args: &mut Arguments<'a>) -> Result<Self, String> {
        Ok(args.row::<T>().to_vec())
    }
}

impl<T: Number> Argument for &[T] {
    fn put<const N: usize>(&self, args: &mut Slots<N>) {
        args.row(self);
    }
}

impl<T: Number> Argument for Vec<T> {
    fn put<const N: usize>(&self, args: &mut Slots<N>) {
        args.row(self);
    }
}

impl<'a, T: Param<'a>> Param<'a> for Option<T> {
    const SLOTS: usize = 1 + T::SLOTS;

    unsafe fn take(args: &mut Arguments<'a>) -> Result<Self, String> {
        if args.next() != 0 {
            return T::take(args).map(Some);
        }
        // Those of `None` are there, and empty.
        args.at = args.at.add(T::SLOTS);
        Ok(None)
    }
}

impl<T: Argument> Argument for Option<T> {
    const SLOTS: usize = 1 + T::SLOTS;

    fn put<const N: usize>(&self, args: &mut Slots<N>) {
        args.push(self.is_some().into());
        match self {
            Some(value) => value.put(args),
            None => args.used += T::SLOTS,
        }
    }
}

impl<'a, T: serde_core::Deserialize<'a>, C: Codec> Param<'a> for Encoded<T, C> {
    unsafe fn take(args: &mut Arguments<'a>) -> Result<Self, String> {
        C::decode(args.row()).map(Self::new)
    }
}
