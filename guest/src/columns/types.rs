//! Types of columns that are numbers with a meaning.

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($number:ty);)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
            #[repr(transparent)]
            pub struct $name(pub $number);
        )*
    };
}

numbers! {
    /// A day: how many since 1970-01-01.
    Date32(i32);
    /// A day: how many milliseconds since 1970-01-01.
    Date64(i64);
    /// A time: how many seconds since 1970-01-01 00:00:00, of no time zone.
    TimestampSecond(i64);
    /// A time: how many milliseconds since 1970-01-01 00:00:00, of no time zone.
    TimestampMillisecond(i64);
    /// A time: how many microseconds since 1970-01-01 00:00:00, of no time zone.
    TimestampMicrosecond(i64);
    /// A time: how many nanoseconds since 1970-01-01 00:00:00, of no time zone.
    TimestampNanosecond(i64);
}

/// A decimal number of `P` digits, 1 to 38, of which `S` are behind the point: the integer
/// is the number without its point. `Decimal128::<5, 2>(12345)` is 123.45.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Decimal128<const P: u8, const S: i8>(pub i128);
