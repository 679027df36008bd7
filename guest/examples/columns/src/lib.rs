//! Functions over columns, and aggregates, for a database.

use genkan_guest::columns::{Column, Date32, Decimal128, Output, TimestampMicrosecond};
use genkan_guest::{column_aggregate, column_fn};

/// The greatest common divisor.
#[column_fn]
fn gcd(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a.wrapping_rem(b));
    }
    a.wrapping_abs()
}

/// A loop over the whole batch, of several rows at once.
#[column_fn]
fn axpy(a: f64, b: f64) -> f64 {
    a * 2.0 + b
}

/// Text for each row, in a `String` of its own.
#[column_fn]
fn upper(text: &str) -> String {
    text.to_uppercase()
}

/// Text that lies in an argument.
#[column_fn]
fn first_word(text: &str) -> Option<&str> {
    text.split_whitespace().next()
}

/// Text that is written where it goes.
#[column_fn]
fn repeated(text: &str, times: u8, out: &mut String) {
    for _ in 0..times {
        out.push_str(text);
    }
}

/// Takes nulls itself.
#[column_fn]
fn or_else(first: Option<i64>, second: Option<i64>) -> Option<i64> {
    first.or(second)
}

/// Ends the query if it must, with the row.
#[column_fn]
fn divide(a: i32, b: i32) -> Result<i32, String> {
    a.checked_div(b).ok_or_else(|| format!("{a} / {b}"))
}

#[column_fn]
fn same(a: &[u8], b: &[u8]) -> bool {
    a == b
}

#[column_fn]
fn next_day(date: Date32) -> Date32 {
    Date32(date.0.wrapping_add(1))
}

#[column_fn]
fn hour(time: TimestampMicrosecond) -> u8 {
    (time.0.div_euclid(3_600_000_000)).rem_euclid(24) as u8
}

/// An amount with a tax of `percent`, rounded down.
#[column_fn]
fn taxed(amount: Decimal128<18, 2>, percent: u8) -> Decimal128<18, 2> {
    Decimal128(amount.0 * i128::from(100 + u16::from(percent)) / 100)
}

/// The session's own, the same within a query.
#[column_fn(name = "answer", volatility = "stable")]
fn forty_two() -> i32 {
    42
}

/// Called once for all rows of a batch: it can look at the rows beside one.
#[column_fn]
fn difference(values: Column<f64>, out: &mut Output<f64>) {
    for row in (0..values.len()).rev() {
        let before = row.checked_sub(1).and_then(|before| values.get(before));
        out.set(row, values.get(row).zip(before).map(|(value, before)| value - before));
    }
}

#[derive(Default)]
struct Total(f64);

/// A sum.
#[column_aggregate]
impl Total {
    fn update(&mut self, value: f64) {
        self.0 += value;
    }

    fn state(&self) -> f64 {
        self.0
    }

    fn merge(&mut self, sum: f64) {
        self.0 += sum;
    }

    fn finish(&self) -> f64 {
        self.0
    }
}

#[derive(Default)]
struct GeometricMean {
    logs: f64,
    count: u64,
}

/// Null where there is no row.
#[column_aggregate]
impl GeometricMean {
    fn update(&mut self, value: f64) -> Result<(), String> {
        if value <= 0.0 {
            return Err(format!("{value} has no logarithm"));
        }
        self.logs += value.ln();
        self.count += 1;
        Ok(())
    }

    fn state(&self) -> (f64, u64) {
        (self.logs, self.count)
    }

    fn merge(&mut self, logs: f64, count: u64) {
        self.logs += logs;
        self.count += count;
    }

    fn finish(&self) -> Option<f64> {
        (self.count > 0).then(|| (self.logs / self.count as f64).exp())
    }
}

struct Longest(Option<String>);

/// A state that is text.
#[column_aggregate(name = "longest")]
impl Longest {
    fn init() -> Self {
        Self(None)
    }

    fn update(&mut self, text: &str) {
        if self.0.as_ref().is_none_or(|longest| longest.len() < text.len()) {
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
