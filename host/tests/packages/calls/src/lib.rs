//! Functions with every kind of parameter and result, for the tests of calls.

use genkan_guest::{HostPtr, HostSlice, export, import};
use serde::{Deserialize, Serialize};

genkan_guest::codec!(Postcard);

#[derive(Deserialize, Serialize)]
pub struct Config {
    pub prefix: String,
    pub times: u32,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub enum Failure {
    Empty,
    TooLong { len: u32, most: u32 },
}

/// What the host offers.
#[import]
pub trait Host {
    fn log(text: &str);
    fn lookup(key: &str) -> Option<Vec<u8>>;
    fn add(a: i32, b: i32) -> i32;
    fn mean(numbers: &[f64]) -> f64;
    fn describe(config: Config, sizes: Option<u32>) -> Result<Config, String>;
}

#[export]
fn transform(doc: &str, config: Config) -> Result<String, Failure> {
    match doc.len() as u32 {
        0 => Err(Failure::Empty),
        len if len > 1 << 20 => Err(Failure::TooLong { len, most: 1 << 20 }),
        _ => Ok(config.prefix.repeat(config.times as usize) + doc),
    }
}

#[export]
fn add(a: i32, b: i32) -> i32 {
    a.wrapping_add(b)
}

#[export]
fn nothing() {}

#[export]
fn negate(value: bool) -> bool {
    !value
}

#[export]
fn greet(name: &str) -> String {
    format!("hello, {name}")
}

#[export]
fn same_bytes(bytes: &[u8]) -> &[u8] {
    bytes
}

#[export]
fn same_text(text: String) -> String {
    text
}

#[export]
fn scale(numbers: &[f64], by: f64) -> Vec<f64> {
    numbers.iter().map(|number| number * by).collect()
}

#[export]
fn narrow(bytes: &[i16], small: i8, wide: u64) -> Option<Vec<i16>> {
    (small < 0).then(|| bytes.iter().map(|n| n.wrapping_add(wide as i16)).collect())
}

#[export]
fn perhaps(number: Option<u32>, text: Option<&str>, last: u8) -> Result<Option<u64>, &'static str> {
    match (number, text) {
        (None, None) => Ok(None),
        (Some(number), text) => Ok(Some(
            u64::from(number) + text.map_or(0, str::len) as u64 + u64::from(last),
        )),
        (None, Some(_)) => Err("a text without a number"),
    }
}

#[export]
fn split(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[export]
fn pair(of: (u32, String)) -> (String, u32) {
    (of.1, of.0)
}

#[export]
fn first(pointer: HostPtr) -> u8 {
    pointer.read(0)
}

#[export]
fn total(slice: HostSlice) -> u64 {
    slice.map().iter().map(|&byte| u64::from(byte)).sum()
}

#[export]
fn ask(key: &str) -> Option<Vec<u8>> {
    Host::log(key);
    Host::lookup(key)
}

#[export]
fn through(config: Config, sizes: Option<u32>) -> Result<Config, String> {
    Host::describe(config, sizes)
}

#[export]
fn of_the_host(numbers: &[f64]) -> f64 {
    Host::mean(numbers) + f64::from(Host::add(1, 2))
}

#[export]
fn panics(text: &str) -> String {
    panic!("{text}")
}

/// Compiled for the machine that cargo runs on, with a host in this process.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_wasm() {
        Host::offer_log(|text| assert_eq!(text, "key"));
        Host::offer_lookup(|key| Some(key.as_bytes().to_vec()));
        assert_eq!(ask("key"), Some(b"key".to_vec()));
        assert_eq!(greet("Ada"), "hello, Ada");
        Host::offer_lookup(|_| None);
        assert_eq!(ask("key"), None);
    }

    #[test]
    #[should_panic = "host.add, which this test does not offer"]
    fn what_is_not_offered() {
        Host::add(1, 2);
    }
}
