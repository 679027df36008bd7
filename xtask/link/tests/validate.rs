//! Damaged code in an object: linked as it is, unless the module is to be validated;
//! then the message says which function of which object, and where in it.

mod forge;

use genkan_link::{Damage, Error, Exports, Input, Options, Strip};

/// `i32.add`, and what is made of it: an instruction that wants another type.
const ADD: u8 = 0x6a;
const DAMAGED: u8 = 0xa7; // i32.wrap_i64

const TEXT: &str = "
data greeting .data.greeting
  \"hello\\00\"
func helper (i32) -> i32
  local.get 0
func sum (i32) -> i32
  i32.const &greeting
  call helper
  local.get 0
  call helper
  i32.add
";

/// The object, its `i32.add` damaged, and where that is.
fn damaged() -> (Vec<u8>, usize) {
    let mut bytes = forge::text::object(TEXT).bytes();
    let at = bytes.iter().rposition(|&byte| byte == ADD).unwrap();
    // The instruction, not a byte of the tables that follow: the body ends there.
    assert_eq!(bytes[at + 1], 0x0b);
    bytes[at] = DAMAGED;
    (bytes, at)
}

fn options(validate: bool) -> Options {
    let mut options = Options::wasm_ld();
    options.entry = None;
    options.exports = Exports::Named(["sum".to_owned()].into());
    options.validate = validate;
    options
}

#[test]
fn damaged_code_is_an_error_that_says_where() {
    let (bytes, at) = damaged();
    let input = [Input::new("lib/sum.o", &bytes)];
    assert!(genkan_link::link(&input, &options(false)).is_ok());
    // Shorter operands move the code, but not in the object.
    for compress in [false, true] {
        let mut options = options(true);
        options.compress_relocations = compress;
        options.strip = Strip::All;
        let errors = genkan_link::link(&input, &options).unwrap_err();
        assert_eq!(errors.iter().count(), 1);
        let Error::Damaged { origin, damage } = errors.first() else {
            panic!("{errors}");
        };
        let Damage::InvalidFunction { symbol, offset, .. } = damage else {
            panic!("{damage}");
        };
        assert_eq!((&*origin.file, &**symbol), ("lib/sum.o", "sum"));
        assert_eq!(*offset, at as u64, "compressed: {compress}");
        let text = errors.to_string();
        let start = "lib/sum.o: function sum: type mismatch";
        assert!(text.starts_with(start), "{text}");
    }
}

#[test]
fn what_is_left_out_may_be_damaged() {
    let (bytes, _) = damaged();
    let input = [Input::new("sum.o", &bytes)];
    let mut options = options(true);
    options.exports = Exports::Named(["helper".to_owned()].into());
    assert!(genkan_link::link(&input, &options).is_ok());
}

#[test]
fn all_damaged_functions_are_told() {
    let mut object = forge::text::object("func one () -> i32\n  i32.const 1\n");
    object.functions.push(object.functions[0].clone());
    object.functions[1].name = b"two".to_vec();
    for function in &mut object.functions {
        function.body.clear();
    }
    let bytes = object.bytes();
    let mut options = options(true);
    options.exports = Exports::Named(["one".to_owned(), "two".to_owned()].into());
    let errors = genkan_link::link(&[Input::new("a.o", &bytes)], &options).unwrap_err();
    let text = errors.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    for (line, name) in lines.iter().zip(["one", "two"]) {
        assert!(
            line.starts_with(&format!("a.o: function {name}: ")),
            "{text}"
        );
    }
}
