//! What does not compile: behind each line, what the error there says.

use genkan_guest::columns::{Column, Decimal128, Output};
use genkan_guest::{column_aggregate, column_fn};

#[column_fn]
fn argument(a: usize) -> i64 { //~ a function over columns has no arguments of type `usize`
    a as i64
}

#[column_fn]
fn optional_argument(a: Option<char>) -> i64 { //~ a function over columns has no arguments of type `Option<char>`
    a.map_or(0, |a| a as i64)
}

#[column_fn]
fn result(a: i64) -> u128 { //~ a function over columns has no result of type `u128`
    a as u128
}

#[column_fn]
fn error(a: i64) -> Result<i64, ()> { //~ a function over columns has no result of type `Result<i64, ()>`
    Ok(a)
}

#[column_fn]
fn kept(a: &'static str) -> bool { //~ an argument lives as long as the call
    a.is_empty()
}

#[column_fn]
fn nothing(a: i64) {} //~ a function over columns gives a result: a number, bool, String

#[column_fn]
fn generic<T>(a: T) -> i64 { //~ an exported function cannot be generic
    0
}

#[column_fn(name = "a b")] //~ a name of letters, digits and _
fn named(a: i64) -> i64 {
    a
}

#[column_fn(volatility = "often")] //~ there are "immutable", "stable" and "volatile"
fn often(a: i64) -> i64 {
    a
}

#[column_fn]
fn mixed(a: Column<f64>, b: f64, out: &mut Output<f64>) {} //~ beside `&mut Output<T>`, arguments are of type `Column<T>`

#[column_fn]
fn no_output(a: Column<f64>) -> f64 { //~ a function of Columns has its result in a last argument
    0.0
}

#[column_fn]
fn element(a: Column<char>, out: &mut Output<f64>) {} //~ no column is of `char`

#[column_fn]
fn digits(a: Decimal128<39, 0>) -> bool { //~ erroneous constant encountered
    a.0 > 0
}

#[derive(Default)]
struct Half(f64);

#[column_aggregate]
impl Half { //~ an aggregate has `fn merge(&mut self, …)`
    fn update(&mut self, value: f64) {
        self.0 += value;
    }
}

#[derive(Default)]
struct Other(f64);

#[column_aggregate]
impl Other {
    fn update(&mut self, value: f64) {
        self.0 += value;
    }

    fn state(&self) -> f64 {
        self.0
    }

    fn merge(&mut self, value: i64) { //~ merge takes what state gives
        self.0 += value as f64;
    }

    fn finish(&self) -> f64 {
        self.0
    }
}
