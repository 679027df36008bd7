//! What the host's functions give.

use super::{Answer, Codec, Encoded};
use crate::{host, HostPtr, HostSlice, Number};
use alloc::string::String;
use alloc::vec::Vec;
use core::mem::{size_of, MaybeUninit};
use serde_core::de::DeserializeOwned;

/// Short rows come at once, in the caller's frame: this many bytes.
const ROOM: usize = 256;

#[repr(C, align(8))]
struct Room(MaybeUninit<[u8; ROOM]>);

/// A type of an imported function's result.
pub trait Receive: Sized {
    /// Takes it from the answer; `depth` is that of its bit.
    ///
    /// # Safety
    /// The host must have filled in the answer for a function with this result.
    unsafe fn receive(answer: &Answer, depth: u32) -> Self;
}

/// Calls a function of the host's with the address of an answer, which it fills in.
pub fn ask<T: Receive>(call: impl FnOnce(*mut Answer)) -> T {
    let mut room = Room(MaybeUninit::uninit());
    // Where the host may put a short row, and how many bytes of it.
    let mut answer = Answer {
        tag: 0,
        len: ROOM as u32,
        value: room.0.as_mut_ptr() as usize as u64,
    };
    call(&mut answer);
    // The host has filled it in, or ended this guest.
    unsafe { T::receive(&answer, 0) }
}

/// # Safety
/// The answer must have a row of values of type `T`.
unsafe fn row<T: Number>(answer: &Answer) -> Vec<T> {
    let len = answer.len as usize;
    let mut values = Vec::with_capacity(len);
    match answer.value as usize as *const T {
        // It does not fit, and waits at the host's.
        start if start.is_null() => host::take_answer(values.as_mut_ptr() as *mut u8),
        start => core::ptr::copy_nonoverlapping(start, values.as_mut_ptr(), len),
    }
    debug_assert!(size_of::<T>() == T::SIZE as usize);
    values.set_len(len);
    values
}

macro_rules! number {
    ($($number:ty: $n:ident => $value:expr;)*) => {
        $(impl Receive for $number {
            #[inline]
            unsafe fn receive(answer: &Answer, _: u32) -> Self {
                let $n = answer.value;
                $value
            }
        })*
    };
}

number! {
    bool: n => n != 0;
    u8: n => n as u8;
    i8: n => n as i8;
    u16: n => n as u16;
    i16: n => n as i16;
    u32: n => n as u32;
    i32: n => n as i32;
    u64: n => n;
    i64: n => n as i64;
    f32: n => f32::from_bits(n as u32);
    f64: n => f64::from_bits(n);
    HostPtr: n => HostPtr::from_bits(n);
}

impl Receive for HostSlice {
    unsafe fn receive(answer: &Answer, _: u32) -> Self {
        HostPtr::from_bits(answer.value).slice(answer.len as usize)
    }
}

impl Receive for () {
    unsafe fn receive(_: &Answer, _: u32) -> Self {}
}

impl Receive for String {
    unsafe fn receive(answer: &Answer, _: u32) -> Self {
        // The host has them of a `String`.
        String::from_utf8_unchecked(row(answer))
    }
}

impl<T: Number> Receive for Vec<T> {
    unsafe fn receive(answer: &Answer, _: u32) -> Self {
        row(answer)
    }
}

impl<T: Receive> Receive for Option<T> {
    unsafe fn receive(answer: &Answer, depth: u32) -> Self {
        match answer.tag >> depth & 1 {
            0 => None,
            _ => Some(T::receive(answer, depth + 1)),
        }
    }
}

impl<T: Receive, E: Receive> Receive for Result<T, E> {
    unsafe fn receive(answer: &Answer, depth: u32) -> Self {
        match answer.tag >> depth & 1 {
            0 => Ok(T::receive(answer, depth + 1)),
            _ => Err(E::receive(answer, depth + 1)),
        }
    }
}

impl<T: DeserializeOwned, C: Codec> Receive for Encoded<T, C> {
    unsafe fn receive(answer: &Answer, _: u32) -> Self {
        match C::decode(&row::<u8>(answer)) {
            Ok(value) => Self::new(value),
            Err(error) => panic!("the host's answer cannot be decoded: {error}"),
        }
    }
}
