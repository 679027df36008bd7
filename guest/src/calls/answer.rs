//! What an exported function gives the host.

use super::argument::row_slot;
use super::{Codec, Encoded};
use crate::owned::Owned;
use crate::{HostPtr, HostSlice, Number};
use alloc::alloc::dealloc;
use alloc::string::String;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::mem::{size_of, ManuallyDrop};
use serde_core::Serialize;

/// An answer, as it lies in memory: 16 bytes.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Answer {
    /// One bit for each `Option` (1 is `Some`) and `Result` (1 is `Err`), the
    /// outermost the lowest; or [`FAILED`].
    pub tag: u32,
    /// Of a row, how many elements it has.
    pub len: u32,
    /// A number's bits, or a row's address.
    pub value: u64,
}

/// The tag of an answer that is none: it has a text which says why.
pub const FAILED: u32 = u32::MAX;

/// A type of an exported function's result.
pub trait Give {
    /// Fills in the answer; `depth` is that of its bit.
    fn give(self, answer: &mut Answer, depth: u32) -> Result<(), String>;
}

static ANSWER: Owned<Answer> = Owned::new(Answer {
    tag: 0,
    len: 0,
    value: 0,
});

/// The row of the last answer, until the next: the host copies it, and need not call
/// to give it back.
static KEPT: Owned<Option<(*mut u8, Layout)>> = Owned::new(None);

/// The address of an answer with what `function` gives, for the host.
#[inline]
pub fn answer<T: Give>(function: impl FnOnce() -> Result<T, String>) -> *const Answer {
    let mut answer = Answer::default();
    let given = function().and_then(|value| value.give(&mut answer, 0));
    if let Err(why) = given {
        answer.tag = FAILED;
        keep(why.into_bytes(), &mut answer);
    }
    // There is one thread, and the host reads it before it calls again.
    unsafe { *ANSWER.get() = answer };
    ANSWER.get()
}

/// Keeps a row until the next answer.
fn keep<T>(values: Vec<T>, answer: &mut Answer) {
    give_row(&values, answer);
    let mut values = ManuallyDrop::new(values);
    let layout = Layout::array::<T>(values.capacity());
    let kept = match layout {
        Ok(layout) if layout.size() > 0 => Some((values.as_mut_ptr().cast(), layout)),
        _ => None,
    };
    // There is one thread. What was kept came from a vector with this layout, and
    // the host has copied it.
    unsafe {
        if let Some((start, layout)) = KEPT.get().replace(kept) {
            dealloc(start, layout);
        }
    }
}

fn give_row<T>(values: &[T], answer: &mut Answer) {
    let slot = row_slot(values);
    answer.len = (slot >> 32) as u32;
    answer.value = slot & u64::from(u32::MAX);
}

macro_rules! number {
    ($($number:ty: $n:ident => $value:expr;)*) => {
        $(impl Give for $number {
            #[inline]
            fn give(self, answer: &mut Answer, _: u32) -> Result<(), String> {
                let $n = self;
                answer.value = $value;
                Ok(())
            }
        })*
    };
}

number! {
    bool: n => n.into();
    u8: n => n.into();
    i8: n => n as u64;
    u16: n => n.into();
    i16: n => n as u64;
    u32: n => n.into();
    i32: n => n as u64;
    u64: n => n;
    i64: n => n as u64;
    f32: n => n.to_bits().into();
    f64: n => n.to_bits();
    HostPtr: n => n.to_bits();
}

impl Give for HostSlice {
    fn give(self, answer: &mut Answer, _: u32) -> Result<(), String> {
        answer.value = self.pointer().to_bits();
        answer.len = self.len() as u32;
        Ok(())
    }
}

impl Give for () {
    #[inline]
    fn give(self, _: &mut Answer, _: u32) -> Result<(), String> {
        Ok(())
    }
}

// What a result borrows outlives the call: it is the arguments', or static.
impl Give for &str {
    #[inline]
    fn give(self, answer: &mut Answer, _: u32) -> Result<(), String> {
        give_row(self.as_bytes(), answer);
        Ok(())
    }
}

impl<T: Number> Give for &[T] {
    #[inline]
    fn give(self, answer: &mut Answer, _: u32) -> Result<(), String> {
        give_row(self, answer);
        Ok(())
    }
}

impl Give for String {
    #[inline]
    fn give(self, answer: &mut Answer, _: u32) -> Result<(), String> {
        keep(self.into_bytes(), answer);
        Ok(())
    }
}

impl<T: Number> Give for Vec<T> {
    #[inline]
    fn give(self, answer: &mut Answer, _: u32) -> Result<(), String> {
        debug_assert!(size_of::<T>() > 0);
        keep(self, answer);
        Ok(())
    }
}

impl<T: Give> Give for Option<T> {
    fn give(self, answer: &mut Answer, depth: u32) -> Result<(), String> {
        match self {
            Some(value) => {
                answer.tag |= 1 << depth;
                value.give(answer, depth + 1)
            }
            None => Ok(()),
        }
    }
}

impl<T: Give, E: Give> Give for Result<T, E> {
    fn give(self, answer: &mut Answer, depth: u32) -> Result<(), String> {
        match self {
            Ok(value) => value.give(answer, depth + 1),
            Err(error) => {
                answer.tag |= 1 << depth;
                error.give(answer, depth + 1)
            }
        }
    }
}

impl<T: Serialize, C: Codec> Give for Encoded<T, C> {
    fn give(self, answer: &mut Answer, _: u32) -> Result<(), String> {
        keep(C::encode(&self.0)?, answer);
        Ok(())
    }
}
