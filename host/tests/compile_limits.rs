//! Modules that are made to compile for long are refused before they do.

use genkan_host::{Config, Engine, Error};

fn refused(text: &str) -> String {
    let module = wat::parse_str(text).unwrap();
    match Engine::default().compile(&module) {
        Err(Error::CompileLimit(why)) => why,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("{} bytes were compiled", module.len()),
    }
}

/// Calls of two bytes with a thousand results each.
#[test]
fn results_times_calls() {
    let mut text = String::from("(module (func $g (result");
    text += &" i32".repeat(1000);
    text += ") unreachable) (func $f";
    text += &" call $g".repeat(100_000);
    text += " unreachable))";
    let why = refused(&text);
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
