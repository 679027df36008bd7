//! Guests that print, ask for the time, and exit.

mod guests;

use genkan::build_guest::PanicMode;
use genkan_host::{Captured, Engine, Error, Functions, Guest, Limits, Setup, Value};
use std::time::{Duration, Instant};

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
        ("fd_read", "i32 i32 i32 i32", vec![0, -8, 1, 0]),
        ("fd_read", "i32 i32 i32 i32", vec![0, 65_532, 1, 0]),
        ("fd_read", "i32 i32 i32 i32", vec![0, 0, -1, 0]),
        ("fd_read", "i32 i32 i32 i32", vec![0, 0, 0, -1]),
        ("poll_oneoff", "i32 i32 i32 i32", vec![0, 0, 0, 0]),
        ("poll_oneoff", "i32 i32 i32 i32", vec![0, 0, -1, 0]),
        ("poll_oneoff", "i32 i32 i32 i32", vec![-48, 0, 2, 0]),
        ("poll_oneoff", "i32 i32 i32 i32", vec![0, 65_520, 1, 0]),
        ("poll_oneoff", "i32 i32 i32 i32", vec![0, 100, 1, -1]),
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
            (import "wasi_snapshot_preview1" "sock_shutdown"
                (func $shutdown (param i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "open") (result i32)
                (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                    (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0)))
            (func (export "read") (result i32)
                (call $read (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0)))
            (func (export "shutdown") (result i32)
                (call $shutdown (i32.const 3) (i32.const 0))))"#,
    );
    // There is no directory to open something in.
    assert_eq!(guest.call::<i32>("open", &[]).unwrap(), 8);
    assert_eq!(guest.call::<i32>("read", &[]).unwrap(), 8);
    assert_eq!(guest.call::<i32>("shutdown", &[]).unwrap(), 52);
}

#[test]
fn a_program_reads_its_standard_input() {
    let path = guests::rust(
        "reads_stdin",
        r#"use std::io::{BufRead, Read};
        fn main() {
            let mut stdin = std::io::stdin().lock();
            let mut line = String::new();
            stdin.read_line(&mut line).unwrap();
            let mut rest = Vec::new();
            stdin.read_to_end(&mut rest).unwrap();
            let sum: u64 = rest.iter().map(|byte| u64::from(*byte)).sum();
            println!("{line:?} {} {sum}", rest.len());
        }"#,
    );
    let module = guests::load(&path);
    let mut input = b"first line\n".to_vec();
    input.resize(300_011, 7);
    let printed = Captured::new(1000);
    let setup = Setup::new()
        .stdin(std::io::Cursor::new(input))
        .capture(&printed);
    let mut guest = Guest::with(&module, setup).unwrap();
    guest.call::<()>("_start", &[]).unwrap();
    let expected = format!("{:?} 300000 2100000\n", "first line\n");
    assert_eq!(String::from_utf8(printed.stdout()).unwrap(), expected);
    // Nothing is there if nothing is given, and an error is one.
    let setup = Setup::new().capture(&printed);
    let mut guest = Guest::with(&module, setup).unwrap();
    guest.call::<()>("_start", &[]).unwrap();
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("broken"))
        }
    }
    let setup = Setup::new().stdin(Broken).capture(&printed);
    let mut guest = Guest::with(&module, setup).unwrap();
    assert!(guest.call::<()>("_start", &[]).is_err());
}

#[test]
fn a_program_sleeps() {
    let path = guests::rust(
        "sleeps",
        r#"use std::time::{Duration, Instant};
        fn main() {
            let millis = std::env::args().nth(1).unwrap().parse().unwrap();
            let start = Instant::now();
            std::thread::sleep(Duration::from_millis(millis));
            assert!(start.elapsed() >= Duration::from_millis(millis));
            println!("awake");
        }"#,
    );
    let module = guests::load(&path);
    let sleep = |millis: &str, limits: Limits| {
        let printed = Captured::new(100);
        let setup = Setup::new().args(["sleeps", millis]).limits(limits);
        let mut guest = Guest::with(&module, setup.capture(&printed)).unwrap();
        let start = Instant::now();
        let outcome = guest.call::<()>("_start", &[]);
        (outcome, start.elapsed(), printed.stdout())
    };
    for millis in [0, 1, 30] {
        let (outcome, took, printed) = sleep(&millis.to_string(), Limits::new());
        outcome.unwrap();
        assert!(took >= Duration::from_millis(millis));
        assert_eq!(printed, b"awake\n");
    }
    let limits = Limits::new().deadline(Duration::from_millis(50));
    let (outcome, took, printed) = sleep("1000000000", limits);
    assert!(
        matches!(outcome, Err(Error::Deadline { .. })),
        "{outcome:?}"
    );
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(printed, b"");
}

/// What it waits for, in each way that WASI has: the events that there are then.
#[test]
fn a_guest_waits_for_what_comes_first() {
    let mut guest = guests::wat(
        r#"(module (import "wasi_snapshot_preview1" "poll_oneoff"
                (func $poll (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "clock_time_get"
                (func $now (param i32 i64 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "now") (result i64)
                (drop (call $now (i32.const 0) (i64.const 0) (i32.const 0)))
                (i64.load (i32.const 0)))
            ;; The subscription at this index.
            (func (export "clock") (param $i i32) (param $id i32) (param $timeout i64) (param $flags i32)
                (local $at i32)
                (local.set $at (i32.mul (local.get $i) (i32.const 48)))
                (i64.store (local.get $at) (i64.extend_i32_u (i32.add (local.get $i) (i32.const 100))))
                (i32.store8 offset=8 (local.get $at) (i32.const 0))
                (i32.store offset=16 (local.get $at) (local.get $id))
                (i64.store offset=24 (local.get $at) (local.get $timeout))
                (i32.store offset=40 (local.get $at) (local.get $flags)))
            (func (export "stream") (param $i i32) (param $kind i32) (param $fd i32)
                (local $at i32)
                (local.set $at (i32.mul (local.get $i) (i32.const 48)))
                (i64.store (local.get $at) (i64.extend_i32_u (i32.add (local.get $i) (i32.const 100))))
                (i32.store8 offset=8 (local.get $at) (local.get $kind))
                (i32.store offset=16 (local.get $at) (local.get $fd)))
            ;; How many events there are, or 1000 and an error number.
            (func (export "poll") (param $count i32) (result i32)
                (local $errno i32)
                (local.set $errno (call $poll
                    (i32.const 0) (i32.const 1024) (local.get $count) (i32.const 4096)))
                (if (result i32) (local.get $errno)
                    (then (i32.add (i32.const 1000) (local.get $errno)))
                    (else (i32.load (i32.const 4096)))))
            ;; Of an event: whose it is, its error, its kind.
            (func (export "event") (param $i i32) (result i64 i32 i32)
                (local.set $i (i32.mul (local.get $i) (i32.const 32)))
                (i64.load offset=1024 (local.get $i))
                (i32.load16_u offset=1032 (local.get $i))
                (i32.load8_u offset=1034 (local.get $i))))"#,
    );
    let mut call = |name: &str, args: &[Value]| guest.call::<Vec<Value>>(name, args).unwrap();
    let int = Value::I32;
    let hour = Value::I64(3_600_000_000_000);
    let event = |whose: i64, errno: i32, kind: i32| vec![Value::I64(whose), int(errno), int(kind)];
    // Two clocks: the first is over.
    call("clock", &[int(0), int(1), hour, int(0)]);
    call("clock", &[int(1), int(1), Value::I64(20_000_000), int(0)]);
    let start = Instant::now();
    assert_eq!(call("poll", &[int(2)]), [int(1)]);
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(call("event", &[int(0)]), event(101, 0, 0));
    // At a moment of the real clock's: one that has been, and one that comes.
    for ahead in [-1_000_000_000, 20_000_000] {
        let Value::I64(now) = call("now", &[])[0] else {
            panic!("it is an i64");
        };
        call("clock", &[int(0), int(0), Value::I64(now + ahead), int(1)]);
        assert_eq!(call("poll", &[int(1)]), [int(1)]);
        assert_eq!(call("event", &[int(0)]), event(100, 0, 0));
    }
    // Streams are there at once; and what is wrong is said of that alone.
    call("clock", &[int(0), int(1), hour, int(0)]);
    for (kind, fd, errno) in [
        (2, 1, 0),
        (2, 2, 0),
        (1, 0, 0),
        (1, 1, 8),
        (2, 3, 8),
        (3, 0, 28),
    ] {
        call("stream", &[int(1), int(kind), int(fd)]);
        assert_eq!(call("poll", &[int(2)]), [int(1)]);
        assert_eq!(call("event", &[int(0)]), event(101, errno, kind));
    }
    call("clock", &[int(0), int(9), hour, int(0)]);
    assert_eq!(call("poll", &[int(1)]), [int(1)]);
    assert_eq!(call("event", &[int(0)]), event(100, 28, 0));
}

#[test]
fn what_is_not_there_is_listed() {
    let module = Engine::default().compile(
        br#"(module
            (import "wasi_snapshot_preview1" "path_open"
                (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "sock_shutdown" (func (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read" (func (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "sock_accept" (func (param i32 i32 i32) (result i32)))
            (memory (export "memory") 1))"#,
    );
    let module = module.unwrap();
    let mut functions = Functions::default();
    assert_eq!(functions.absent(&module), ["sock_shutdown", "sock_accept"]);
    functions.add("wasi_snapshot_preview1", "sock_shutdown", |_, _| {
        Ok(vec![Value::I32(52)])
    });
    assert_eq!(functions.absent(&module), ["sock_accept"]);
    let hello = guests::load(&guests::rust(
        "prints",
        "fn main() { println!(\"hello\"); }",
    ));
    assert_eq!(Functions::default().absent(&hello), [""; 0]);
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
