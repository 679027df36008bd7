//! Whatever a guest ends in says where: its functions by name, and by line where its
//! module has debug information.

mod guests;

use genkan::build_guest::{LinkSettings, Memory, PanicMode};
use genkan_host::{
    Access, Engine, Entry, Error, Frame, Guest, Limits, Module, Region, Setup, Value,
};
use std::time::{Duration, Instant};

const SOURCE: &str = r#"use std::hint::black_box;

#[link(wasm_import_module = "env")]
extern "C" {
    fn read(pointer: u64, offset: u32) -> u8;
    fn ask(what: u32) -> u32;
}

struct Order { parts: u32 }

impl Order {
    #[inline(always)]
    fn share(&self, people: u32) -> u32 {
        if people > 5 { panic!("too many people") }
        self.parts / people
    }
}

#[inline(never)]
fn serve(people: u32) -> u32 {
    let order = Order { parts: black_box(7) };
    order.share(people) + 1
}

#[no_mangle]
pub extern "C" fn dinner(people: u32) -> u32 {
    serve(people) * 2
}

#[inline(never)]
fn spin(n: u32) -> u32 {
    let mut n = n;
    loop { n = black_box(n).wrapping_add(1) }
}

#[no_mangle]
pub extern "C" fn endless() -> u32 {
    spin(3) + 1
}

#[inline(never)]
fn even(n: u32) -> u32 {
    if n == 0 { 1 } else { black_box(odd(n - 1)) + black_box(1) }
}

#[inline(never)]
fn odd(n: u32) -> u32 {
    if n == 0 { serve(9) } else { black_box(even(n - 1)) + black_box(1) }
}

#[no_mangle]
pub extern "C" fn parity(n: u32) -> u32 {
    even(n)
}

#[inline(never)]
fn deeper(n: u32) -> u32 {
    let mut page = [n as u8; 4096];
    black_box(&mut page);
    if n == 0 { return 0 }
    deeper(n - 1) + u32::from(page[n as usize % 4096])
}

#[no_mangle]
pub extern "C" fn deep(n: u32) -> u32 {
    deeper(n)
}

#[no_mangle]
pub extern "C" fn peek(pointer: u64, offset: u32) -> u8 {
    unsafe { read(pointer, offset) }
}

#[no_mangle]
pub extern "C" fn question(what: u32) -> u32 {
    unsafe { ask(what) }
}

#[no_mangle]
pub extern "C" fn hoard() -> usize {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(vec![1; 1 << 16]);
        black_box(&all);
    }
}

#[no_mangle]
pub extern "C" fn grow() -> usize {
    let mut all: Vec<u64> = vec![1];
    loop {
        all.push(black_box(1));
    }
}

#[no_mangle]
pub extern "C" fn careful() -> usize {
    let mut all: Vec<u8> = Vec::new();
    if all.try_reserve(1 << 28).is_err() {
        panic!("another thing");
    }
    all.capacity()
}
"#;

fn build(name: &str, debug: bool, strip: bool, panic: PanicMode) -> Vec<u8> {
    let settings = LinkSettings {
        panic: Some(panic),
        debug,
        strip,
        memory: Memory::Import,
        ..LinkSettings::default()
    };
    std::fs::read(guests::rust_with(name, SOURCE, settings)).unwrap()
}

fn module(bytes: &[u8]) -> Module {
    Engine::default().compile(bytes).unwrap()
}

fn guest(module: &Module, limits: Limits) -> Guest {
    let mut setup = Setup::new().limits(limits);
    setup.functions.add("env", "ask", |_, args| match args {
        [Value::I32(0)] => panic!("no answer"),
        [Value::I32(1)] => Err("not now".into()),
        _ => Ok(args.to_vec()),
    });
    Guest::with(module, setup).unwrap()
}

fn fails(guest: &mut Guest, name: &str, args: &[Value]) -> Error {
    guest.call::<Vec<Value>>(name, args).unwrap_err()
}

/// As people see it; the folder of the tests is this machine's.
fn text(error: &Error) -> String {
    error.to_string().replace("target/guests/tests/", "")
}

/// The names of an error's frames.
fn names(error: &Error) -> Vec<&str> {
    let frames = error.trace().unwrap().frames();
    frames.map(|frame| frame.name.as_str()).collect()
}

/// Where the source has this text: its line.
fn line(of: &str) -> u32 {
    let at = SOURCE.find(of).unwrap_or_else(|| panic!("no {of:?}"));
    SOURCE[..at].matches('\n').count() as u32 + 1
}

fn quiet<R>(run: impl FnOnce() -> R) -> R {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = run();
    std::panic::set_hook(hook);
    result
}

#[test]
fn every_end_has_its_lines() {
    let bytes = build("ends_debug", true, false, PanicMode::Report);
    let module = module(&bytes);
    let plain = || guest(&module, Limits::default());

    let error = fails(&mut plain(), "dinner", &[9.into()]);
    assert_eq!(
        text(&error),
        "guest panicked at ends_debug.rs:14:25: too many people
  in ends_debug::Order::share at ends_debug.rs:14:25
  in ends_debug::serve at ends_debug.rs:22:11
  in dinner at ends_debug.rs:27:5"
    );
    let error = fails(&mut plain(), "dinner", &[0.into()]);
    assert_eq!(
        text(&error),
        "guest panicked at ends_debug.rs:15:9
  in ends_debug::Order::share at ends_debug.rs:15:9
  in ends_debug::serve at ends_debug.rs:22:11
  in dinner at ends_debug.rs:27:5"
    );

    let error = fails(&mut plain(), "peek", &[1u64.into(), 0.into()]);
    assert!(matches!(error, Error::Pointer(_)), "{error:?}");
    assert_eq!(
        text(&error),
        "read of 1 byte at pointer 0x0000000000000001: no region that this guest was granted has such a pointer
  in peek at ends_debug.rs:71:14"
    );

    let error = fails(&mut plain(), "question", &[1.into()]);
    assert_eq!(text(&error), "the host's function env.ask failed");
    let error = quiet(|| fails(&mut plain(), "question", &[0.into()]));
    assert_eq!(
        text(&error),
        "the host's function env.ask panicked: no answer"
    );

    let limits = Limits::new().deadline(Duration::from_millis(50));
    let error = fails(&mut guest(&module, limits), "endless", &[]);
    assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
    assert_eq!(names(&error), ["ends_debug::spin", "endless"]);
    // The engine's interrupt may come between two instructions that it knows.
    let within = error.trace().unwrap().frames().next().unwrap();
    if let Some(location) = &within.location {
        assert!(location.line >= line("fn spin") && location.line <= line("loop { n ="));
    }

    let limits = Limits::new().memory(8 << 20);
    let error = fails(&mut guest(&module, limits), "hoard", &[]);
    assert!(matches!(error, Error::MemoryLimit { .. }), "{error:?}");
    let frames: Vec<&Frame> = error.trace().unwrap().frames().collect();
    let last = frames.last().unwrap();
    assert_eq!(last.name, "hoard");
    assert_eq!(last.location.as_ref().unwrap().line, line("all.push(vec!"));
}

#[test]
fn fuel_ends_somewhere() {
    let bytes = build("fuel", true, false, PanicMode::Trap);
    let module = module(&bytes);
    let limits = Limits::new().fuel(10_000);
    let error = fails(&mut guest(&module, limits), "endless", &[]);
    assert!(matches!(error, Error::OutOfFuel(_)), "{error:?}");
    assert_eq!(names(&error), ["fuel::spin", "endless"]);
}

#[test]
fn names_stay_in_the_default_build() {
    let bytes = build("ends_names", false, false, PanicMode::Trap);
    let error = fails(
        &mut guest(&module(&bytes), Limits::default()),
        "dinner",
        &[9.into()],
    );
    assert_eq!(
        text(&error),
        "the guest trapped: unreachable\n  in ends_names::serve\n  in dinner"
    );
    // What was left out is there for those who ask.
    let mut error = error;
    let trace = error.trace_mut().unwrap();
    trace.show_runtime(true);
    assert_eq!(
        text(&error),
        "the guest trapped: unreachable\n  in core::panicking::panic_fmt\n  \
         in ends_names::serve\n  in dinner"
    );

    let bytes = build("ends_stripped", false, true, PanicMode::Trap);
    let error = fails(
        &mut guest(&module(&bytes), Limits::default()),
        "dinner",
        &[9.into()],
    );
    let names = names(&error);
    assert_eq!(names.last(), Some(&"dinner"));
    assert!(names[0].starts_with("function "), "{names:?}");
}

/// `--panic report` says that an allocation failed; it used to be lost.
#[test]
fn a_full_memory_is_no_panic_somewhere() {
    for strip in [false, true] {
        let name = format!("full_{strip}");
        let bytes = build(&name, false, strip, PanicMode::Report);
        let module = module(&bytes);
        for export in ["hoard", "grow"] {
            let limits = Limits::new().memory(8 << 20);
            let mut guest = guest(&module, limits);
            let error = fails(&mut guest, export, &[]);
            let limit = matches!(error, Error::MemoryLimit { limit, .. } if limit == 8 << 20);
            assert!(limit, "{export}: {error:?}");
        }
    }
}

#[test]
fn a_program_is_shown_without_what_starts_it() {
    let source = "#[inline(never)]\nfn work(code: i32) {\n    std::process::exit(code)\n}\n\
                  fn main() {\n    let n = std::env::args().count() as i32;\n    \
                  if n > 2 { panic!(\"{n} arguments\") }\n    work(n)\n}\n";
    let settings = LinkSettings {
        debug: true,
        ..LinkSettings::default()
    };
    let path = guests::rust_with("program_debug", source, settings);
    let module = guests::load(&path);
    let run = |args: &[&str]| {
        let setup = Setup::new()
            .args(args.iter().copied())
            .stderr(std::io::sink());
        fails(&mut Guest::with(&module, setup).unwrap(), "_start", &[])
    };
    let mut error = run(&["p"]);
    let lines = text(&error);
    assert!(
        lines.starts_with("the guest exited with code 1\n  in "),
        "{lines}"
    );
    let ends = "\n  in program_debug::work at program_debug.rs:3:5\n  \
                in program_debug::main at program_debug.rs:8:5";
    assert!(lines.ends_with(ends), "{lines}");
    error.trace_mut().unwrap().show_runtime(true);
    let all = text(&error);
    assert!(
        all.contains("std::rt::lang_start") && all.contains("in _start"),
        "{all}"
    );

    let error = run(&["p", "q", "r"]);
    assert_eq!(
        text(&error),
        "the guest trapped: unreachable\n  in program_debug::main at program_debug.rs:7:16"
    );
}

#[test]
fn recursion_is_folded() {
    let bytes = build("recursion", true, false, PanicMode::Report);
    let module = module(&bytes);
    let error = fails(
        &mut guest(&module, Limits::default()),
        "parity",
        &[2001.into()],
    );
    assert_eq!(
        text(&error),
        "guest panicked at recursion.rs:14:25: too many people
  in recursion::Order::share at recursion.rs:14:25
  in recursion::serve at recursion.rs:22:11
  in recursion::odd at recursion.rs:48:17
  in recursion::even at recursion.rs:43:38
  … 2,000 more like these 2
  in parity at recursion.rs:53:5"
    );
    assert_eq!(error.trace().unwrap().depth(), 2005);
}

/// The engine has no backtrace of a full stack; it has one all the same.
#[test]
fn a_full_stack_shows_who_filled_it() {
    let bytes = build("overflows", true, false, PanicMode::Report);
    let module = module(&bytes);
    for stack in [None, Some(128 << 10), Some(3 << 20)] {
        let limits = || stack.map_or_else(Limits::new, |stack| Limits::new().stack(stack));
        let mut guest = guest(&module, limits());
        let error = fails(&mut guest, "parity", &[100_000_001.into()]);
        assert!(matches!(error, Error::StackOverflow(_)), "{error:?}");
        let lines = text(&error);
        let first = "the guest's stack overflowed\n  in overflows::";
        assert!(lines.starts_with(first), "{lines}");
        assert!(lines.contains(" more like these 2\n"), "{lines}");
        assert!(
            lines.ends_with("\n  in parity at overflows.rs:53:5"),
            "{lines}"
        );
        assert!(lines.lines().count() < 10, "{lines}");
        assert!(error.trace().unwrap().depth() > 1_000);
    }
}

/// The stack in the guest's memory is full before the engine's is.
#[test]
fn a_full_stack_in_memory_is_one() {
    let source = r#"
        use std::hint::black_box;

        #[inline(never)]
        fn large_frames(depth: u32) -> u8 {
            let frame = black_box([depth as u8; 5000]);
            if depth == 0 { frame[0] } else { large_frames(depth - 1) + frame[4999] }
        }

        #[no_mangle]
        pub extern "C" fn recurse(depth: u32) -> u8 {
            large_frames(depth)
        }

        #[inline(never)]
        fn of_two_megabytes(n: u32) -> u8 {
            let frame = black_box([n as u8; 2 << 20]);
            frame[n as usize]
        }

        #[no_mangle]
        pub extern "C" fn at_once(n: u32) -> u8 {
            of_two_megabytes(n)
        }

        #[no_mangle]
        pub extern "C" fn wild(address: u32) -> u8 {
            unsafe { *(black_box(address) as *const u8) }
        }
    "#;
    let name = "full-stack-in-memory";
    let named = guests::load(&guests::rust(name, source));
    let stripped = LinkSettings {
        strip: true,
        ..LinkSettings::default()
    };
    let stripped = guests::load(&guests::rust_with("full-stack-stripped", source, stripped));
    for limits in [Limits::new(), Limits::new().fuel(1 << 40)] {
        let call = |module, function: &str, arg: u32| {
            let mut guest = guest(module, limits.clone());
            guest.call::<Vec<Value>>(function, &[Value::from(arg)])
        };
        call(&named, "recurse", 100).unwrap();
        for (function, arg, within) in [
            ("recurse", 100_000, "large_frames"),
            ("at_once", 7, "of_two_megabytes"),
        ] {
            let error = call(&named, function, arg).unwrap_err();
            assert!(matches!(error, Error::StackOverflow(_)), "{error:?}");
            let lines = text(&error);
            let first = lines.lines().nth(1).unwrap_or_default();
            assert!(first.contains(within), "{lines}");
            assert!(lines.ends_with(function), "{lines}");
            // Who does not say which its stack is gets no guess.
            let error = call(&stripped, function, arg).unwrap_err();
            assert!(matches!(error, Error::Trap { .. }), "{error:?}");
        }
        for address in [u32::MAX, 1 << 31, u32::MAX - 200] {
            let error = call(&named, "wild", address).unwrap_err();
            assert!(matches!(error, Error::Trap { .. }), "{error:?}");
        }
    }
}

/// A function that calls none uses the stack below its pointer, without moving it.
#[test]
fn a_full_stack_in_memory_below_its_pointer() {
    let text = |name: &str| {
        format!(
            r#"(module (memory 1) (global {name} (mut i32) (i32.const 64))
            (func $leaf (export "leaf") (param i32)
                (i32.store (i32.sub (global.get 0) (i32.const 96)) (local.get 0))))"#
        )
    };
    for (name, overflows) in [("$__stack_pointer", true), ("$other", false)] {
        let module = Engine::default().compile(text(name).as_bytes()).unwrap();
        let error = Guest::new(&module)
            .unwrap()
            .call::<()>("leaf", &[Value::I32(1)]);
        let error = error.unwrap_err();
        assert_eq!(
            matches!(error, Error::StackOverflow(_)),
            overflows,
            "{error:?}"
        );
        let leaf = error.trace().unwrap().frames().next().unwrap();
        assert!(leaf.name == "leaf" && leaf.offset.is_some(), "{leaf:?}");
    }
}

#[test]
fn a_hundred_thousand_frames() {
    let engine = Engine::default();
    let text = r#"(module
        (func $bottom unreachable)
        (func $down (param i32) (result i32)
            (if (i32.eqz (local.get 0)) (then (call $bottom)))
            (i32.add (call $down (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
        (func $run (export "run") (param i32) (result i32) (call $down (local.get 0))))"#;
    let module = engine.compile(text.as_bytes()).unwrap();
    let limits = Limits::new().stack(8 << 20);
    let mut guest = guest(&module, limits);
    let start = Instant::now();
    let error = fails(&mut guest, "run", &[100_000.into()]);
    let lines = error.to_string();
    let took = start.elapsed();
    // Of so many, the middle is not kept.
    let begins = "the guest trapped: unreachable\n  in bottom\n  in down\n  … 32,7";
    assert!(lines.starts_with(begins), "{lines}");
    assert!(lines.contains(" others …\n"), "{lines}");
    assert!(lines.ends_with(" more like this one\n  in run"), "{lines}");
    assert_eq!(error.trace().unwrap().depth(), 100_003);
    assert!(took < Duration::from_secs(20), "{took:?}");
}

/// Frames of other guests on the same stack are theirs.
#[test]
fn a_guest_within_a_guest_has_its_own_frames() {
    let engine = Engine::default();
    let inner = r#"(module (func $inside unreachable) (func $in (export "in") (call $inside)))"#;
    let inner = engine.compile(inner.as_bytes()).unwrap();
    let outer = r#"(module (import "env" "run" (func $run))
        (func $around (call $run)) (func $out (export "out") (call $around)))"#;
    let outer = engine.compile(outer.as_bytes()).unwrap();
    let mut setup = Setup::default();
    setup.functions.add("env", "run", move |_, _| {
        let mut guest = Guest::new(&inner)?;
        let error = guest.call::<()>("in", &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the guest trapped: unreachable\n  in inside\n  in in"
        );
        Err(error.into())
    });
    let error = fails(&mut Guest::with(&outer, setup).unwrap(), "out", &[]);
    let Error::HostFunction { source, .. } = &error else {
        panic!("{error:?}");
    };
    let inner: &Error = source.downcast_ref().unwrap();
    assert_eq!(names(inner), ["inside", "in"]);
}

/// The carried modules' functions are the host's, and no frames of the guest's.
#[test]
fn what_the_host_carries_is_not_shown() {
    let text = r#"(module
        (import "env" "read" (func $read (param i64 i32) (result i32)))
        (import "genkan" "read_into" (func $copy (param i64 i32 i32)))
        (import "genkan" "unmap" (func $unmap (param i32)))
        (import "env" "memory" (memory 1))
        (func $a (export "a") (param i64) (drop (call $read (local.get 0) (i32.const 9))))
        (func $b (export "b") (param i64)
            (call $copy (local.get 0) (i32.const -8) (i32.const 8)))
        (func $c (export "c") (param i64) (call $unmap (i32.const 4096))))"#;
    let region = Region::zeroed(8).unwrap();
    for name in ["a", "b", "c"] {
        let mut guest = guests::wat(text);
        guest.grant(&region, Access::Read).unwrap();
        let error = fails(&mut guest, name, &[region.pointer().into()]);
        assert_eq!(names(&error), [name], "{error:?}");
    }
}

/// A module's names are of any length, and say anything.
#[test]
fn hostile_names() {
    let long = format!("_RINvC1a1b{}E", "TuuE".repeat(22_500));
    let name = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let text = format!(
        r#"(module (func $a (@name "{}") unreachable)
            (func $b (@name "\1b[2Jgone\0a\e2\80\ae") (call $a))
            (func $down (@name "{}") (param i32)
                (if (i32.eqz (local.get 0)) (then (call $b)))
                (call $down (i32.sub (local.get 0) (i32.const 1)))
                (call $down (i32.const 0)))
            (func (export "run") (call $down (i32.const 10_000))))"#,
        name(&long),
        "x".repeat(90_000),
    );
    let module = Engine::default().compile(text.as_bytes()).unwrap();
    let start = Instant::now();
    let error = fails(&mut Guest::new(&module).unwrap(), "run", &[]);
    let lines = error.to_string();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(lines.len() < 2_000, "{lines}");
    assert!(lines.contains("\u{fffd}[2Jgone\u{fffd}\u{fffd}"), "{lines}");
    assert!(lines.contains("xxx…xxx"), "{lines}");
}

#[test]
fn embedders_can_walk_it() {
    let bytes = build("walked", true, false, PanicMode::Report);
    let error = fails(
        &mut guest(&module(&bytes), Limits::default()),
        "parity",
        &[101.into()],
    );
    let entries = error.trace().unwrap().entries();
    let runtime = |entry: &&Entry| matches!(entry, Entry::Frame(frame) if frame.runtime);
    assert_eq!(entries.iter().filter(runtime).count(), 1);
    let inlined = |entry: &&Entry| matches!(entry, Entry::Frame(frame) if frame.inlined);
    assert_eq!(entries.iter().filter(inlined).count(), 1);
    let repeated = entries.iter().find_map(|entry| match entry {
        Entry::Repeated { period, times } => Some((*period, *times)),
        _ => None,
    });
    assert_eq!(repeated, Some((2, 50)));
    let frame = error.trace().unwrap().frames().next().unwrap();
    let location = frame.location.as_ref().unwrap();
    assert!(location.file.ends_with("walked.rs"), "{location:?}");
    assert_eq!((location.line, location.column), (14, 25));
}

/// Whoever finds the trap: the guest's own code, or the processor.
#[test]
fn stacks_of_any_depth_are_whole() {
    for end in [
        "unreachable",
        "(drop (i32.load (i32.const -1)))",
        "(drop (i32.div_s (i32.const 1) (local.get 0)))",
    ] {
        let text = format!(
            r#"(module (memory 1)
                (func $down (param i32) (result i32)
                    (if (result i32) (local.get 0)
                        (then (i32.add (i32.const 1)
                            (call $down (i32.sub (local.get 0) (i32.const 1)))))
                        (else {end} (i32.const 0))))
                (func (export "run") (param i32) (result i32) (call $down (local.get 0))))"#
        );
        let module = Engine::default().compile(text.as_bytes()).unwrap();
        for depth in (0..40).chain([1000, 20_000]) {
            let mut guest = Guest::new(&module).unwrap();
            let error = fails(&mut guest, "run", &[depth.into()]);
            assert!(matches!(error, Error::Trap { .. }), "{error:?}");
            assert_eq!(error.trace().unwrap().depth(), depth as usize + 2, "{end}");
        }
    }
}
