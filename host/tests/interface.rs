//! The header for C, the package `guest` and the host say the same of the functions
//! that the host offers.

mod guests;

use host::{Engine, Error, Guest};
use std::collections::BTreeMap;

/// Functions by name, with their Wasm types.
type Functions = BTreeMap<String, (Vec<&'static str>, Vec<&'static str>)>;

fn wasm_type(ty: &str) -> &'static str {
    match ty {
        "u64" | "i64" | "uint64_t" | "int64_t" | "genkan_pointer" => "i64",
        _ => "i32",
    }
}

/// The declarations in the header: `GENKAN_IMPORT(name) RESULT genkan_name(PARAMS);`
fn header() -> Functions {
    let text = include_str!("../../guest/include/genkan.h");
    let mut functions = Functions::new();
    for declaration in text.split("\nGENKAN_IMPORT(").skip(1) {
        let declaration = declaration.split(");").next().unwrap();
        let (name, rest) = declaration.split_once(") ").unwrap();
        let (before, params) = rest.split_once('(').unwrap();
        let (result, c_name) = before.rsplit_once([' ', '*']).unwrap();
        assert_eq!(c_name, format!("genkan_{name}"));
        let params = params.split(", ").map(|param| {
            let ty = param.rsplit_once([' ', '*']).unwrap().0;
            wasm_type(ty.trim())
        });
        // `void *f` is an address, `void f` is nothing.
        let nothing = result == "void" && !before.contains('*');
        let results = if nothing {
            vec![]
        } else {
            vec![wasm_type(result)]
        };
        functions.insert(name.into(), (params.collect(), results));
    }
    functions
}

/// The declarations in the package `guest`: `pub fn name(PARAMS) -> RESULT;`
fn package() -> Functions {
    let text = include_str!("../../guest/src/host.rs");
    let mut functions = Functions::new();
    for declaration in text.split("    pub fn ").skip(1) {
        let declaration = declaration.split(';').next().unwrap();
        let (name, rest) = declaration.split_once('(').unwrap();
        let (params, result) = rest.rsplit_once(')').unwrap();
        let params = params
            .split(", ")
            .map(|param| wasm_type(param.split_once(": ").unwrap().1));
        let result = result.strip_prefix(" -> ").map(wasm_type);
        functions.insert(
            name.into(),
            (params.collect(), result.into_iter().collect()),
        );
    }
    functions
}

/// A guest that imports a function with this type.
fn import(module: &str, name: &str, params: &[&str], results: &[&str]) -> Result<Guest, Error> {
    let text = format!(
        r#"(module (import "{module}" "{name}" (func (param {}) (result {}))))"#,
        params.join(" "),
        results.join(" ")
    );
    Guest::new(&Engine::default().compile(text.as_bytes())?)
}

#[test]
fn the_header_and_the_package_agree() {
    assert_eq!(header(), package());
    assert_eq!(header().len(), 15);
}

#[test]
fn the_host_offers_what_they_declare_and_no_other_type() {
    for (name, (params, results)) in header() {
        import("genkan", &name, &params, &results).unwrap();
        let mut other = params.clone();
        other.push("f32");
        let error = import("genkan", &name, &other, &results).unwrap_err();
        assert!(matches!(error, Error::Import { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains(&format!("genkan.{name}(")), "{message}");
        assert!(message.contains("it offers"), "{message}");
    }
    import("env", "read", &["i64", "i32"], &["i32"]).unwrap();
}

/// `C` declares the status codes as `guest` takes them.
#[test]
fn the_status_codes_are_the_same() {
    let text = include_str!("../../guest/include/genkan.h");
    for (name, code) in [
        ("OK", 0),
        ("BAD_POINTER", 1),
        ("OUT_OF_BOUNDS", 2),
        ("READ_ONLY", 3),
        ("NO_ROOM", 4),
    ] {
        assert!(text.contains(&format!("GENKAN_{name} = {code}")), "{name}");
    }
}

#[test]
fn what_is_not_offered_is_named_with_its_type() {
    for (import, named) in [
        (
            r#"(import "env" "printf" (func (param i32 f64) (result i32)))"#,
            "the function env.printf(i32, f64) -> i32",
        ),
        (
            r#"(import "env" "__stack_pointer" (global i32))"#,
            "the global env.__stack_pointer of type i32",
        ),
        (
            r#"(import "env" "__indirect_function_table" (table 1 funcref))"#,
            "the table env.__indirect_function_table",
        ),
        (
            r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32) (result i32)))"#,
            "wasi_snapshot_preview1.fd_write(i32) -> i32",
        ),
    ] {
        let module = Engine::default().compile(format!("(module {import})").as_bytes());
        let error = Guest::new(&module.unwrap()).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
}
