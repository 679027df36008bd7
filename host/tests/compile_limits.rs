//! Modules that are made to compile for long are refused before they do.

use genkan_host::{Config, Engine, Error, Guest};
use std::time::{Duration, Instant};

fn refused(text: &str) -> String {
    let module = wat::parse_str(text).unwrap();
    match Engine::default().compile(&module) {
        Err(Error::CompileLimit(why)) => why,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("{} bytes were compiled", module.len()),
    }
}

/// Calls of two bytes with a thousand results each.
fn many_results(calls: usize) -> String {
    let mut text = String::from("(module (func $g (result");
    text += &" i32".repeat(1000);
    text += ") unreachable) (func $f";
    text += &" call $g".repeat(calls);
    text += " unreachable))";
    text
}

#[test]
fn results_times_calls() {
    let why = refused(&many_results(100_000));
    assert!(why.contains("its function 1"), "{why}");
}

/// A branch with many targets, each of which takes many values along.
#[test]
fn targets_times_values() {
    let mut text = String::from("(module (func $g (result");
    text += &" i32".repeat(1000);
    text += ") unreachable) (func $f (block (result";
    text += &" i32".repeat(1000);
    text += ") call $g i32.const 0 br_table";
    text += &" 0".repeat(100_000);
    text += ") unreachable))";
    refused(&text);
}

#[test]
fn a_module_may_have_so_many_bytes() {
    let module = wat::parse_str("(module (func (export \"f\")))").unwrap();
    let engine = |most| Engine::new(Config::new().largest(most)).unwrap();
    engine(module.len()).compile(&module).unwrap();
    let error = engine(10).compile(&module).err().unwrap();
    assert!(
        error.to_string().contains("more than the 10 allowed"),
        "{error}"
    );
}

/// Locals that are used within many loops: the compiler takes a time that grows with the
/// third power of their number.
fn many_loops(count: usize) -> String {
    let mut text = String::from("(module (func $f (export \"f\") (param i32) (local");
    text += &" i32".repeat(count);
    text += ")";
    text += &" loop".repeat(count);
    for local in 1..=count {
        text += &format!(" local.get {local} local.get 0 i32.add local.set {local}");
    }
    text += &" local.get 0 br_if 0 end".repeat(count);
    text += "))";
    text
}

#[test]
#[cfg(target_os = "linux")]
fn compiling_takes_so_long() {
    let limited = |limit| Engine::new(Config::new().compile_limits(limit, 4 << 30)).unwrap();
    let start = Instant::now();
    let bomb = many_loops(1000);
    let error = limited(Duration::from_millis(500)).compile(bomb.as_bytes());
    let error = error.err().unwrap();
    assert!(error.to_string().contains("longer than 500ms"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10));
    // What compiles in time runs as ever.
    let module = limited(Duration::from_secs(60)).compile(many_loops(3).as_bytes());
    let mut guest = Guest::new(&module.unwrap()).unwrap();
    guest.call::<()>("f", &[0.into()]).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn compiling_takes_so_much() {
    let limits = Config::new().compile_limits(Duration::from_secs(60), 64 << 20);
    let error = Engine::new(limits)
        .unwrap()
        .compile(many_results(10_000).as_bytes());
    let error = error.err().unwrap();
    let why = "cannot be compiled with 67108864 bytes";
    assert!(error.to_string().contains(why), "{error}");
}
