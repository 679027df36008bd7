//! Results of a function that is called for each row.

use super::element::{Element, Fixed};
use super::sink::{BitSink, BytesSink, FixedSink, Sink, TextSink};
use alloc::string::String;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt::Display;

/// A value of a result: a number, `bool`, text.
pub trait Give: Payload {
    /// Its name in the section.
    const NAME: &'static str;
    #[doc(hidden)]
    type Sink: Sink<Self>;
}

/// What a row gives, if it gives something: a [`Give`]; or nothing, if that was
/// written to a `&mut String`.
#[diagnostic::on_unimplemented(
    message = "a function over columns has no result of type `{Self}`",
    note = "there are bool, i8 to i64, u8 to u64, f32, f64, String, &str, Vec<u8>, &[u8], Date32, \
            Date64, TimestampSecond, TimestampMillisecond, TimestampMicrosecond, \
            TimestampNanosecond and Decimal128<P, S>, of genkan_guest::columns; Option of each; \
            and Result of these and an error that implements Display"
)]
pub trait Payload: Sized {}

impl Payload for () {}

/// A type of a result: a value, or an `Option` or a `Result` of one, or a `Result` of an
/// `Option` of one.
#[diagnostic::on_unimplemented(
    message = "a function over columns has no result of type `{Self}`",
    note = "there are bool, i8 to i64, u8 to u64, f32, f64, String, &str, Vec<u8>, &[u8], Date32, \
            Date64, TimestampSecond, TimestampMillisecond, TimestampMicrosecond, \
            TimestampNanosecond and Decimal128<P, S>, of genkan_guest::columns; Option of each; \
            and Result of these and an error that implements Display"
)]
pub trait Returned {
    /// The value's.
    type Value;
    /// What may be instead.
    type Error: Display;
    /// Whether it may be null.
    const NULLS: bool;
    #[doc(hidden)]
    fn outcome(self) -> Result<Option<Self::Value>, Self::Error>;
}

impl<T: Payload> Returned for T {
    type Value = T;
    type Error = Infallible;
    const NULLS: bool = false;

    #[inline]
    fn outcome(self) -> Result<Option<T>, Infallible> {
        Ok(Some(self))
    }
}

impl<T: Payload> Returned for Option<T> {
    type Value = T;
    type Error = Infallible;
    const NULLS: bool = true;

    #[inline]
    fn outcome(self) -> Result<Option<T>, Infallible> {
        Ok(self)
    }
}

impl<T: Payload, E: Display> Returned for Result<T, E> {
    type Value = T;
    type Error = E;
    const NULLS: bool = false;

    #[inline]
    fn outcome(self) -> Result<Option<T>, E> {
        self.map(Some)
    }
}

impl<T: Payload, E: Display> Returned for Result<Option<T>, E> {
    type Value = T;
    type Error = E;
    const NULLS: bool = true;

    #[inline]
    fn outcome(self) -> Result<Option<T>, E> {
        self
    }
}

impl<T: Fixed> Payload for T {}

impl<T: Fixed> Give for T {
    const NAME: &'static str = <T as Element>::NAME;
    type Sink = FixedSink<T>;
}

macro_rules! give {
    ($($ty:ty: $element:ty, $sink:ty;)*) => {
        $(
            impl Payload for $ty {}

            impl Give for $ty {
                const NAME: &'static str = <$element as Element>::NAME;
                type Sink = $sink;
            }
        )*
    };
}

give! {
    bool: bool, BitSink;
    &str: str, TextSink;
    String: str, TextSink;
    &[u8]: [u8], BytesSink;
    Vec<u8>: [u8], BytesSink;
}

/// A type of the result of a function that gives nothing: `()`, or a `Result` of that.
pub trait Updated {
    /// What may be instead.
    type Error: Display;
    #[doc(hidden)]
    fn updated(self) -> Result<(), Self::Error>;
}

impl Updated for () {
    type Error = Infallible;

    #[inline]
    fn updated(self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl<E: Display> Updated for Result<(), E> {
    type Error = E;

    #[inline]
    fn updated(self) -> Self {
        self
    }
}
