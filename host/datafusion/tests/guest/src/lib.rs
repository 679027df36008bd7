//! Functions over columns of each type, and aggregates. The tests have the same in Rust.

use genkan_guest::columns::{
    Date32, Date64, Decimal128, TimestampMicrosecond, TimestampMillisecond, TimestampNanosecond,
    TimestampSecond,
};
use genkan_guest::{column_aggregate, column_fn};

/// Two functions: one is called for values alone, the other for nulls as well.
macro_rules! each {
    ($($next:ident $odd:ident $type:ident;)*) => {
        $(
            #[column_fn]
            fn $next(x: $type) -> $type {
                x.wrapping_add(1 as $type)
            }

            #[column_fn]
            fn $odd(x: Option<$type>) -> Option<$type> {
                match x {
                    None => Some(7 as $type),
                    Some(x) if x & 1 == 0 => None,
                    Some(x) => Some(x),
                }
            }
        )*
    };
}

each! {
    next_i8 odd_i8 i8;
    next_i16 odd_i16 i16;
    next_i32 odd_i32 i32;
    next_i64 odd_i64 i64;
    next_u8 odd_u8 u8;
    next_u16 odd_u16 u16;
    next_u32 odd_u32 u32;
    next_u64 odd_u64 u64;
}

/// The same of what stands for a number.
macro_rules! each_new {
    ($($next:ident $type:ident;)*) => {
        $(
            #[column_fn]
            fn $next(x: $type) -> $type {
                $type(x.0.wrapping_add(1))
            }
        )*
    };
}

each_new! {
    next_date32 Date32;
    next_date64 Date64;
    next_second TimestampSecond;
    next_millisecond TimestampMillisecond;
    next_microsecond TimestampMicrosecond;
    next_nanosecond TimestampNanosecond;
}

#[column_fn]
fn next_decimal(x: Decimal128<38, 3>) -> Decimal128<38, 3> {
    Decimal128(x.0 / 2 + 1)
}

#[column_fn]
fn half_f32(x: f32) -> f32 {
    x * 0.5
}

#[column_fn]
fn half_f64(x: f64) -> f64 {
    x * 0.5
}

#[column_fn]
fn axpy(a: f64, b: f64) -> f64 {
    a * 2.0 + b
}

#[column_fn]
fn not(x: bool) -> bool {
    !x
}

#[column_fn]
fn is_missing(x: Option<bool>) -> bool {
    x.is_none()
}

#[column_fn]
fn upper_of(text: &str) -> String {
    text.to_uppercase()
}

#[column_fn]
fn or_none(text: Option<&str>) -> Option<&str> {
    match text {
        None => Some("none"),
        Some("") => None,
        Some(text) => Some(text),
    }
}

#[column_fn]
fn reversed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

#[column_fn]
fn gcd(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a.wrapping_rem(b));
    }
    a.wrapping_abs()
}

#[column_fn]
fn divide(a: i64, b: i64) -> Result<i64, String> {
    a.checked_div(b).ok_or_else(|| format!("{a} / {b}"))
}

#[column_fn]
fn panics(x: i64) -> i64 {
    if x == 5 {
        panic!("{x} is not to be here");
    }
    x
}

#[column_fn(volatility = "stable")]
fn answer() -> i32 {
    42
}

#[derive(Default)]
struct SumOf(i64);

#[column_aggregate]
impl SumOf {
    fn update(&mut self, value: i64) {
        self.0 = self.0.wrapping_add(value);
    }

    fn state(&self) -> i64 {
        self.0
    }

    fn merge(&mut self, sum: i64) {
        self.0 = self.0.wrapping_add(sum);
    }

    fn finish(&self) -> i64 {
        self.0
    }
}

/// A state of two columns, and null where there is no row.
#[derive(Default)]
struct MeanOf {
    sum: f64,
    count: u64,
}

#[column_aggregate]
impl MeanOf {
    fn update(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn state(&self) -> (f64, u64) {
        (self.sum, self.count)
    }

    fn merge(&mut self, sum: f64, count: u64) {
        self.sum += sum;
        self.count += count;
    }

    fn finish(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// A state that is text.
#[derive(Default)]
struct Longest(Option<String>);

#[column_aggregate]
impl Longest {
    fn update(&mut self, text: &str) {
        let longer = |longest: &String| (longest.len(), longest.as_str()) >= (text.len(), text);
        if !self.0.as_ref().is_some_and(longer) {
            self.0 = Some(text.to_owned());
        }
    }

    fn state(&self) -> Option<&str> {
        self.0.as_deref()
    }

    fn merge(&mut self, text: &str) {
        self.update(text);
    }

    fn finish(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// Fails for one row.
#[derive(Default)]
struct Picky(i64);

#[column_aggregate]
impl Picky {
    fn update(&mut self, value: i64) -> Result<(), String> {
        if value == 13 {
            return Err("not 13".into());
        }
        self.0 += value;
        Ok(())
    }

    fn state(&self) -> i64 {
        self.0
    }

    fn merge(&mut self, sum: i64) {
        self.0 += sum;
    }

    fn finish(&self) -> i64 {
        self.0
    }
}
