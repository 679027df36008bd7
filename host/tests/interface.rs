//! The functions that guests can import: `src/abi.rs` is their one table. What is
//! written from it is up to date, and the host offers what it says.
//!
//! `BLESS=1 cargo test -p genkan-host --test interface` writes those files anew.

mod guests;

#[path = "../src/abi.rs"]
mod abi;

use abi::{FUNCTIONS, Function, STATUS, Type};
use genkan_host::{Engine, Error, Guest};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Checks that the file at `path` holds `expected`; or writes it there.
fn check(path: &str, expected: &[u8]) {
    let file = root().join(path);
    let found = std::fs::read(&file).unwrap_or_default();
    if found == expected {
        return;
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, expected).unwrap();
        return;
    }
    panic!(
        "{path} is not what host/src/abi.rs says: \
         `BLESS=1 cargo test -p genkan-host --test interface` writes it anew"
    );
}

/// The text at `path`, with `part` between the line that contains `begin` and that
/// which contains `end`.
fn with_part(path: &str, begin: &str, end: &str, part: &str) -> String {
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    let start = text
        .find(begin)
        .unwrap_or_else(|| panic!("{path} has no {begin}"));
    let start = start + text[start..].find('\n').unwrap() + 1;
    let stop = start
        + text[start..]
            .find(end)
            .unwrap_or_else(|| panic!("{path} has no {end}"));
    let stop = text[..stop].rfind('\n').unwrap() + 1;
    format!("{}{part}{}", &text[..start], &text[stop..])
}

/// The functions of the module `genkan`; the others need no declaration of ours.
fn declared() -> impl Iterator<Item = &'static Function> {
    FUNCTIONS
        .iter()
        .filter(|function| function.module == "genkan")
}

fn wasm(ty: Type) -> &'static str {
    match ty {
        Type::Pointer | Type::U64 | Type::I64 => "i64",
        _ => "i32",
    }
}

fn rust(ty: Type) -> &'static str {
    match ty {
        Type::Pointer | Type::U64 => "u64",
        Type::I64 => "i64",
        Type::U32 => "u32",
        Type::I32 => "i32",
        Type::Size => "usize",
        Type::Bytes => "*const u8",
        Type::BytesMut => "*mut u8",
    }
}

/// With the space behind it that a name needs, or none.
fn c(ty: Type) -> &'static str {
    match ty {
        Type::Pointer => "genkan_pointer ",
        Type::U64 => "uint64_t ",
        Type::I64 => "int64_t ",
        Type::U32 | Type::Size => "uint32_t ",
        Type::I32 => "int32_t ",
        Type::Bytes => "const void *",
        Type::BytesMut => "void *",
    }
}

/// `name(pointer: u64) -> u64`
fn rust_declaration(function: &Function) -> String {
    let params = function.params.iter();
    let params: Vec<_> = params
        .map(|(name, ty)| format!("{name}: {}", rust(*ty)))
        .collect();
    let result = function
        .result
        .map_or(String::new(), |ty| format!(" -> {}", rust(ty)));
    format!("{}({}){result}", function.name, params.join(", "))
}

#[test]
fn the_guests_package_declares_them() {
    let mut code = String::from(
        "//! The functions that the host offers. `include/genkan.h` has them for C.\n\
         //!\n\
         //! This file is written from the host's table, `host/src/abi.rs`.\n\
         \n\
         #[cfg(target_family = \"wasm\")]\n\
         #[link(wasm_import_module = \"genkan\")]\n\
         extern \"C\" {\n",
    );
    for function in declared() {
        writeln!(code, "    pub fn {};", rust_declaration(function)).unwrap();
    }
    code.push_str(
        "}\n\n/// Built for another machine, so that documentation and tools work there.\n",
    );
    let package = root().join("guest/src/host.rs");
    let text = std::fs::read_to_string(package).unwrap();
    let kept = text.split("tools work there.\n").nth(1).unwrap();
    code.push_str(kept.split("only_in_a_guest! {\n").next().unwrap());
    code.push_str("only_in_a_guest! {\n");
    for function in declared() {
        writeln!(code, "    {};", rust_declaration(function)).unwrap();
    }
    code.push_str("}\n");
    check("guest/src/host.rs", code.as_bytes());
}

#[test]
fn the_header_declares_them() {
    let mut code =
        String::from("/* What genkan_check gives, and genkan_try_map when negated. */\n");
    code.push_str("enum genkan_status {\n");
    for (i, (name, value, doc)) in STATUS.iter().enumerate() {
        let comma = if i + 1 < STATUS.len() { "," } else { "" };
        let doc = if doc.is_empty() {
            String::new()
        } else {
            format!(" /* {doc} */")
        };
        writeln!(code, "    GENKAN_{name} = {value}{comma}{doc}").unwrap();
    }
    code.push_str("};\n\ntypedef uint64_t genkan_pointer;\n");
    for function in declared() {
        let params = function.params.iter();
        let params: Vec<_> = params
            .map(|(name, ty)| format!("{}{name}", c(*ty)))
            .collect();
        let doc = wrapped(function.doc, "/* ", " * ");
        let (name, result) = (function.name, function.result.map_or("void ", c));
        writeln!(
            code,
            "\n{doc} */\nGENKAN_IMPORT({name}) {result}genkan_{name}({});",
            params.join(", ")
        )
        .unwrap();
    }
    code.push('\n');
    let path = "guest/include/genkan.h";
    let text = with_part(
        path,
        "import_name(#name)",
        "#undef GENKAN_IMPORT",
        &format!("\n{code}"),
    );
    check(path, text.as_bytes());
}

/// The text in lines of at most 85 characters.
fn wrapped(text: &str, first: &str, further: &str) -> String {
    let mut lines = vec![first.to_owned()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().unwrap();
        if line.len() + word.len() > 83 {
            lines.push(format!("{further}{word}"));
        } else {
            let space = if line.ends_with(' ') { "" } else { " " };
            write!(line, "{space}{word}").unwrap();
        }
    }
    lines.join("\n")
}

#[test]
fn the_page_lists_them() {
    let mut page = String::from(
        "# The functions that a guest can import\n\n\
         This page is written from `host/src/abi.rs`. Beside these there are a few of WASI's\n\
         (`wasi_snapshot_preview1`) and what the embedder offers.\n\n\
         A `pointer` is what the host gave, and no address of the guest's. An access that is\n\
         not allowed ends the guest, with an error at the host. Numbers are little endian.\n\n\
         | function | type | does |\n|---|---|---|\n",
    );
    for function in FUNCTIONS {
        let params = function.params.iter();
        let params: Vec<_> = params
            .map(|(name, ty)| format!("{name}: {}", wasm(*ty)))
            .collect();
        let result = function
            .result
            .map_or(String::new(), |ty| format!(" -> {}", wasm(ty)));
        writeln!(
            page,
            "| `{}.{}` | `({}){result}` | {} |",
            function.module,
            function.name,
            params.join(", "),
            function.doc
        )
        .unwrap();
    }
    page.push_str("\nWhat `genkan.check` gives, and `genkan.try_map` when negated:\n\n");
    page.push_str("| status | | |\n|---|---|---|\n");
    for (name, value, doc) in STATUS {
        writeln!(page, "| {value} | `{name}` | {doc} |").unwrap();
    }
    check("host/ABI.md", page.as_bytes());
}

/// A checked read or write of `bytes` bytes, for the carried module.
fn access(write: bool, bytes: u32) -> String {
    let bits = bytes * 8;
    let wide = if bytes == 8 { "i64" } else { "i32" };
    let verb = if write { "write" } else { "read" };
    let name = format!("{verb}_u{bits}");
    let exports = match name.as_str() {
        // The memo's name for it, in the module `env`.
        "read_u8" => r#"(export "read") (export "read_u8")"#.to_owned(),
        name => format!(r#"(export "{name}")"#),
    };
    let doc = match (write, bytes) {
        (false, 1) => "The byte at pointer + offset".to_owned(),
        (false, n) => format!("The {n} bytes at pointer + offset"),
        (true, 1) => "Stores a byte at pointer + offset".to_owned(),
        (true, n) => format!("Stores {n} bytes at pointer + offset"),
    };
    let narrow = bytes < 4;
    let (signature, operands, limit, flag) = match write {
        false => (format!("(result {wide})"), "", 8, 0),
        true => (
            format!("(param $value {wide})"),
            " (local.get $value)",
            12,
            1,
        ),
    };
    let address = "(i32.add (i32.load $space offset=4 (local.get $entry))
                 (i32.wrap_i64 (local.get $at)))";
    let action = match write {
        false => {
            let load = if narrow {
                format!("i32.load{bits}_u")
            } else {
                format!("{wide}.load")
            };
            format!("(return ({load} $space\n        {address})))")
        }
        true => {
            let store = if narrow {
                format!("i32.store{bits}")
            } else {
                format!("{wide}.store")
            };
            format!(
                "({store} $space\n        {address}\n        (local.get $value))\n      (return))"
            )
        }
    };
    format!(
        "
  ;; {doc}, little endian.
  (func ${name} {exports} (param $pointer i64) (param $offset i32) {signature}
    (local $entry i32)
    (local $at i64)
    (local.set $entry
      (i32.and (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 28)))
               (i32.const 0xffff0)))
    (local.set $at
      (i64.add (i64.and (local.get $pointer) (i64.const 0xffffffff))
               (i64.extend_i32_u (local.get $offset))))
    (block $bad
      (br_if $bad
        (i32.ne (i32.load $space (local.get $entry))
                (i32.wrap_i64 (i64.shr_u (local.get $pointer) (i64.const 32)))))
      (br_if $bad
        (i64.gt_u (i64.add (local.get $at) (i64.const {bytes}))
                  (i64.load32_u $space offset={limit} (local.get $entry))))
      {action}
    (call $slow_{name} (local.get $pointer) (local.get $offset){operands}))
  (func $slow_{name} (param $pointer i64) (param $offset i32) {signature}
    (call $fault (local.get $pointer) (local.get $offset) (i32.const {bytes}) (i32.const {flag}))
    (call ${name} (local.get $pointer) (local.get $offset){operands}))
"
    )
}

#[test]
fn the_carried_modules_are_up_to_date() {
    let each = [false, true].into_iter();
    let code: String = each
        .flat_map(|write| [1, 2, 4, 8].map(|bytes| access(write, bytes)))
        .collect();
    let path = "host/src/engine/carried/access.wat";
    let text = with_part(
        path,
        "(func $status (param i64 i64 i32)",
        ";; How many bytes there are",
        &format!("{code}\n"),
    );
    check(path, text.as_bytes());
    for name in ["access", "copy"] {
        let path = format!("host/src/engine/carried/{name}.wa");
        let module = wat::parse_file(root().join(format!("{path}t"))).unwrap();
        check(&format!("{path}sm"), &module);
    }
}

/// The files in a folder of a package's, at any depth, as paths within the package.
fn files_of(package: &Path, folder: &str, files: &mut Vec<String>) {
    for entry in package.join(folder).read_dir().unwrap() {
        let path = format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap());
        match package.join(&path).is_dir() {
            true => files_of(package, &path, files),
            false => files.push(path),
        }
    }
}

/// What the package hands on is all that it has.
#[test]
fn the_guests_package_hands_all_of_it_on() {
    let own = [
        "CALLS.md",
        "COLUMNS.md",
        "Cargo.toml",
        "README.md",
        "macros/Cargo.toml",
    ];
    let mut files: Vec<String> = own.map(String::from).to_vec();
    for folder in ["include", "macros/src", "src"] {
        files_of(&root().join("guest"), folder, &mut files);
    }
    files.sort();
    let all = genkan_guest::FILES.iter().chain(genkan_guest::MACROS);
    let mut handed_on: Vec<_> = all.map(|(path, _)| *path).collect();
    handed_on.sort();
    assert_eq!(handed_on, files);
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
fn the_host_offers_them_and_no_other_type() {
    for function in FUNCTIONS {
        let params: Vec<_> = function.params.iter().map(|(_, ty)| wasm(*ty)).collect();
        let results: Vec<_> = function.result.map(wasm).into_iter().collect();
        let (module, name) = (function.module, function.name);
        import(module, name, &params, &results).unwrap();
        let mut other = params.clone();
        other.push("f32");
        let error = import(module, name, &other, &results).unwrap_err();
        assert!(matches!(error, Error::Import { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains(&format!("{module}.{name}(")), "{message}");
        assert!(message.contains("it offers"), "{message}");
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
