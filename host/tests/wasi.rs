//! Guests that print, ask for the time, and exit.

mod guests;

use genkan::build_guest::PanicMode;
use genkan_host::{Captured, Error, Guest, Setup, Value};

/// Runs a program; what it printed, said on stderr, and ended in.
fn run(
    path: &std::path::Path,
    args: &[&str],
    env: &[(&str, &str)],
) -> (String, String, Option<Error>) {
    let printed = Captured::new(1 << 20);
    let mut setup = Setup::new().args(args.iter().copied()).capture(&printed);
    for (name, value) in env {
        setup = setup.env(*name, *value);
    }
    let mut guest = Guest::with(&guests::load(path), setup).unwrap();
    let error = guest.call::<()>("_start", &[]).err();
    let [stdout, stderr] =
        [printed.stdout(), printed.stderr()].map(|bytes| String::from_utf8(bytes).unwrap());
    (stdout, stderr, error)
}

#[test]
fn a_program_has_what_it_was_given_and_no_more() {
    let path = guests::rust(
        "has",
        r#"
        use std::collections::HashMap;
        use std::io::{Read, Write};
        use std::time::{Duration, Instant, SystemTime};

        fn main() {
            let args: Vec<String> = std::env::args().collect();
            println!("{args:?} {:?} {:?}", std::env::var("NAME"), std::env::var("HOME").is_err());
            let start = Instant::now();
            let mut words = HashMap::new();
            for word in "a rose is a rose is a rose".split(' ') {
                *words.entry(word).or_insert(0) += 1;
            }
            println!("{} {} {}", words["a"], words["rose"], words["is"]);
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            assert!(now > Duration::from_secs(1_600_000_000));
            assert!(start.elapsed() < Duration::from_secs(60));
            println!("{:?}", std::fs::read("/etc/passwd").is_err());
            println!("{:?}", std::fs::write("x", "y").is_err());
            println!("{:?}", std::io::stdin().read(&mut [0; 4]).unwrap_or(0));
            let long = "z".repeat(100_000);
            println!("{long}");
            eprint!("to stderr");
            std::io::stdout().flush().unwrap();
        }"#,
    );
    let (stdout, stderr, error) = run(&path, &["name", "ä b", ""], &[("NAME", "value=1")]);
    assert!(error.is_none(), "{error:?}");
    let expected = format!(
        "[\"name\", \"ä b\", \"\"] Ok(\"value=1\") true\n3 3 2\ntrue\ntrue\n0\n{}\n",
        "z".repeat(100_000)
    );
    assert_eq!(stdout, expected);
    assert_eq!(stderr, "to stderr");
}

#[test]
fn a_program_exits_with_its_code() {
    let path = guests::rust(
        "exits",
        r#"fn main() {
            let code = std::env::args().nth(1).unwrap().parse().unwrap();
            print!("before");
            std::process::exit(code)
        }"#,
    );
    for code in [0, 7, 255, -1] {
        let (stdout, _, error) = run(&path, &["exits", &code.to_string()], &[]);
        assert!(
            matches!(error, Some(Error::Exit { code: found, .. }) if found == code),
            "{error:?}"
        );
        assert_eq!(stdout, "before");
    }
}

#[test]
fn a_panic_says_where_and_traps() {
    let path = guests::rust_with_panic(
        "panics",
        r#"fn main() {
            let numbers: Vec<i32> = Vec::new();
            println!("{}", numbers[std::env::args().count()]);
        }"#,
        PanicMode::Std,
    );
    let (_, stderr, error) = run(&path, &["panics", "2"], &[]);
    assert!(
        stderr.contains("index out of bounds: the len is 0 but the index is 2"),
        "{stderr}"
    );
    assert!(matches!(error, Some(Error::Trap { .. })), "{error:?}");
}

#[test]
fn a_panic_is_reported_to_the_host() {
    let path = guests::rust_with_panic(
        "reports",
        "#[no_mangle]\npub extern \"C\" fn third(n: usize) -> i32 {\n    [1, 2][n]\n}\n",
        PanicMode::Report,
    );
    let mut guest = Guest::new(&guests::load(&path)).unwrap();
    assert_eq!(guest.call::<i32>("third", &[1u32.into()]).unwrap(), 2);
    let error = guest.call::<i32>("third", &[7u32.into()]).unwrap_err();
    assert!(matches!(error, Error::Panic { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.starts_with("guest panicked at "), "{message}");
    assert!(message.contains("reports.rs:3:5"), "{message}");
    let ends = ": index out of bounds: the len is 2 but the index is 7\n  in third";
    assert!(message.ends_with(ends), "{message}");
}

/// Whatever a guest gives for addresses and lengths: an error number, or a trap.
#[test]
fn wild_addresses_are_error_numbers() {
    const EFAULT: i32 = 21;
    let functions = [
        ("fd_write", "i32 i32 i32 i32", vec![1, -8, 1, 0]),
        ("fd_write", "i32 i32 i32 i32", vec![1, 65_532, 1, 0]),
        ("fd_write", "i32 i32 i32 i32", vec![1, 0, -1, 0]),
        ("fd_write", "i32 i32 i32 i32", vec![1, 0, 0, -1]),
        ("args_get", "i32 i32", vec![-1, -1]),
        ("args_sizes_get", "i32 i32", vec![65_533, 0]),
        ("environ_sizes_get", "i32 i32", vec![0, 65_533]),
        ("clock_res_get", "i32 i32", vec![0, 65_529]),
        ("random_get", "i32 i32", vec![65_000, 1000]),
        ("random_get", "i32 i32", vec![-1, -1]),
        ("fd_fdstat_get", "i32 i32", vec![1, -1]),
    ];
    for (name, params, args) in functions {
        let count = params.split(' ').count();
        let gets: String = (0..count).map(|i| format!("(local.get {i})")).collect();
        let mut guest = guests::wat(&format!(
            r#"(module (import "wasi_snapshot_preview1" "{name}"
                    (func $f (param {params}) (result i32)))
                (memory (export "memory") 1)
                (func (export "f") (param {params}) (result i32) (call $f {gets})))"#
        ));
        let args: Vec<Value> = args.into_iter().map(Value::I32).collect();
        let found: i32 = guest.call("f", &args).unwrap();
        assert!([EFAULT, 28].contains(&found), "{name} {args:?}: {found}");
    }
}

#[test]
fn what_is_not_there_says_so() {
    let mut guest = guests::wat(
        r#"(module
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read"
                (func $read (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "open") (result i32)
                (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                    (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0)))
            (func (export "read") (result i32)
                (call $read (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))"#,
    );
    assert_eq!(guest.call::<i32>("open", &[]).unwrap(), 52);
    assert_eq!(guest.call::<i32>("read", &[]).unwrap(), 8);
}

/// As a full disk would: the guest is told, and what fits is there.
#[test]
fn what_is_captured_has_an_end() {
    let path = guests::rust(
        "prints_much",
        r#"use std::io::Write;
        fn main() {
            let mut stdout = std::io::stdout();
            let all = stdout.write_all(&[b'x'; 100]).and_then(|()| stdout.flush());
            std::process::exit(all.is_err().into());
        }"#,
    );
    for (most, code) in [(1000, 0), (100, 0), (99, 1), (0, 1)] {
        let printed = Captured::new(most);
        let mut guest = Guest::with(&guests::load(&path), Setup::new().capture(&printed)).unwrap();
        let error = guest.call::<()>("_start", &[]).err();
        assert!(
            matches!(error, Some(Error::Exit { code: found, .. }) if found == code),
            "{most}: {error:?}"
        );
        assert_eq!(printed.stdout(), vec![b'x'; most.min(100)]);
        assert_eq!(printed.stderr(), b"");
    }
}
