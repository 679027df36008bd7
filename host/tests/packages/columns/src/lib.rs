//! Functions over columns of every type and in every form, for the tests of them. Those of the
//! example are among them, as those of any dependency would be.

extern crate columns as _;

#[cfg(feature = "wrong")]
mod wrong;

use genkan_guest::columns::{
    Column, Date32, Date64, Decimal128, Output, TimestampMicrosecond, TimestampMillisecond,
    TimestampNanosecond, TimestampSecond,
};
use genkan_guest::{column_aggregate, column_fn};
use std::cell::Cell;

/// For each type: its own argument, and the first that there is of two.
macro_rules! each {
    ($($same:ident $first:ident: $ty:ty;)*) => {
        $(
            #[column_fn]
            fn $same(value: $ty) -> $ty {
                value
            }

            #[column_fn]
            fn $first(a: Option<$ty>, b: Option<$ty>) -> Option<$ty> {
                a.or(b)
            }
        )*
    };
}

type Money = Decimal128<38, -3>;

each! {
    same_bool first_bool: bool;
    same_i8 first_i8: i8;
    same_i16 first_i16: i16;
    same_i32 first_i32: i32;
    same_i64 first_i64: i64;
    same_u8 first_u8: u8;
    same_u16 first_u16: u16;
    same_u32 first_u32: u32;
    same_u64 first_u64: u64;
    same_f32 first_f32: f32;
    same_f64 first_f64: f64;
    same_date32 first_date32: Date32;
    same_date64 first_date64: Date64;
    same_second first_second: TimestampSecond;
    same_millisecond first_millisecond: TimestampMillisecond;
    same_microsecond first_microsecond: TimestampMicrosecond;
    same_nanosecond first_nanosecond: TimestampNanosecond;
    same_decimal first_decimal: Decimal128<9, 4>;
    same_money first_money: Money;
}

#[column_fn]
fn same_text(value: &str) -> &str {
    value
}

#[column_fn]
fn first_text<'a>(a: Option<&'a str>, b: Option<&'a str>) -> Option<&'a str> {
    a.or(b)
}

#[column_fn]
fn same_bytes(value: &[u8]) -> &[u8] {
    value
}

#[column_fn]
fn first_bytes<'a>(a: Option<&'a [u8]>, b: Option<&'a [u8]>) -> Option<&'a [u8]> {
    a.or(b)
}

/// Of many arguments.
#[column_fn]
#[allow(clippy::too_many_arguments)]
fn many(
    a: i8,
    b: i16,
    c: i32,
    d: i64,
    e: u8,
    f: u16,
    g: u32,
    h: Option<u64>,
    i: bool,
    j: &str,
    k: &[u8],
    l: Option<Date32>,
) -> i64 {
    let numbers = i64::from(a) + i64::from(b) + i64::from(c) + i64::from(e) + i64::from(f);
    let more = i64::from(g) + i64::from(i) + (j.len() + k.len()) as i64;
    let perhaps = h.unwrap_or(7) as i64 ^ i64::from(l.unwrap_or_default().0);
    d.wrapping_add(numbers + more).wrapping_add(perhaps)
}

/// Panics if it is called for a row without a value, where there is any number.
#[column_fn]
fn even(a: i64) -> i64 {
    assert!(a % 2 == 0, "{a} is odd");
    a / 2
}

#[column_fn]
fn less(a: f64, b: f64) -> bool {
    a < b
}

/// Everything that may be: a value, null, an error.
#[column_fn]
fn all_of_it(a: i16, out: &mut Vec<u8>) -> Result<Option<()>, &'static str> {
    if a == 77 {
        return Err("it is 77");
    }
    out.extend_from_slice(&a.to_le_bytes());
    Ok((a % 3 != 0).then_some(()))
}

#[column_fn]
fn perhaps_bool(a: Option<bool>) -> Option<bool> {
    match a {
        Some(true) => None,
        Some(false) => Some(true),
        None => Some(false),
    }
}

#[column_fn]
fn bytes_of<'a>(text: &'a str) -> Option<Vec<u8>> {
    (!text.is_empty()).then(|| text.as_bytes().to_vec())
}

thread_local! {
    static CALLS: Cell<i64> = const { Cell::new(0) };
}

#[column_fn(volatility = "volatile")]
fn counter() -> i64 {
    CALLS.set(CALLS.get() + 1);
    CALLS.get()
}

#[column_fn]
fn plus(a: Column<'_, i32>, b: Column<i32>, out: &mut Output<'_, i32>) {
    let (a, b) = (a.values(), b.values());
    for (out, (a, b)) in out.values_mut().iter_mut().zip(a.iter().zip(&*b)) {
        *out = a.wrapping_add(*b);
    }
}

#[column_fn]
fn not(a: Column<bool>, out: &mut Output<bool>) -> Result<(), String> {
    for (row, value) in a.iter().enumerate() {
        out.set(row, value.map(|value| !value));
    }
    match a.constant() {
        Some(None) => Err("it is always null".into()),
        _ => Ok(()),
    }
}

#[column_fn]
fn joined(a: Column<str>, b: Column<[u8]>, out: &mut Output<str>) {
    assert_eq!((a.len(), a.is_empty()), (out.len(), out.is_empty()));
    for row in 0..a.len() {
        let text = a.get(row).map(|a| match b.get(row) {
            Some(b) => format!("{a}-{}", b.len()),
            None => a.to_owned(),
        });
        out.push(text.as_deref());
    }
}

#[column_fn]
fn too_few(a: Column<[u8]>, out: &mut Output<[u8]>) {
    for row in 1..a.len() {
        out.push(a.get(row));
    }
}

/// Takes nulls, and has a state with one.
#[derive(Default)]
struct Extent {
    least: Option<i64>,
    nulls: u64,
    any: bool,
}

#[column_aggregate]
impl Extent {
    fn update(&mut self, value: Option<i64>, flag: bool) {
        match value {
            Some(value) => self.least = Some(self.least.map_or(value, |least| least.min(value))),
            None => self.nulls += 1,
        }
        self.any |= flag;
    }

    fn state(&self) -> (Option<i64>, u64, bool) {
        (self.least, self.nulls, self.any)
    }

    fn merge(&mut self, least: Option<i64>, nulls: u64, any: bool) {
        if let Some(value) = least {
            self.least = Some(self.least.map_or(value, |least| least.min(value)));
        }
        self.nulls += nulls;
        self.any |= any;
    }

    fn finish(&self) -> Result<Option<String>, String> {
        match self.nulls {
            0 => Ok(self.least.map(|least| format!("{least} {}", self.any))),
            nulls if nulls > 1000 => Err(format!("{nulls} nulls")),
            nulls => Ok(Some(format!("{:?} {nulls}", self.least))),
        }
    }
}
