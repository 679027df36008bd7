//! Profiles say where a guest's time went, and change nothing else.

mod guests;

use genkan::build_guest::LinkSettings;
use genkan_host::{Engine, Error, Functions, Guest, Limits, Module, Profile, Region, Setup, Value};
use std::time::Duration;

const PERIOD: Duration = Duration::from_millis(1);

/// Samples of the stacks that `is` says are meant; and of all.
fn share(profile: &Profile, is: impl Fn(&[&str]) -> bool) -> (u64, u64) {
    let (mut meant, mut all) = (0, 0);
    for line in profile.folded().lines() {
        let (stack, samples) = line.rsplit_once(' ').unwrap();
        let samples: u64 = samples.parse().unwrap();
        all += samples;
        if is(&stack.split(';').collect::<Vec<_>>()) {
            meant += samples;
        }
    }
    assert_eq!(all, profile.samples());
    (meant, all)
}

/// One function does three times what the other does: for long, or for so short a time that
/// no loop of theirs looks; with a loop, or without.
const SPLIT: &str = r#"(module
    (global $x (mut i32) (i32.const 1))
    (func $work (param $n i32) (local $x i32)
        (local.set $x (global.get $x))
        (loop $next
            (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525))
                (i32.const 1013904223)))
            (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (global.set $x (local.get $x)))
    (func $three (param $n i32) (call $work (i32.mul (local.get $n) (i32.const 3))))
    (func $one (param $n i32) (call $work (local.get $n)))
    (func (export "calls") (param $rounds i32) (param $n i32)
        (loop $next
            (call $three (local.get $n))
            (call $one (local.get $n))
            (br_if $next (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1))))))
    (func $line (WORK3))
    (func (export "lines") (param $rounds i32)
        (loop $next
            (call $line)
            (WORK1)
            (br_if $next (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))))"#;

/// [`SPLIT`], with a chain of multiplications for each `(WORK…)`, of one or three hundred.
fn split() -> Module {
    const STEP: &str = "(global.set $x (i32.mul (global.get $x) (i32.const 1664525)))";
    let text = SPLIT
        .replace("(WORK3)", &STEP.repeat(300))
        .replace("(WORK1)", &STEP.repeat(100));
    Engine::default().compile(text.as_bytes()).unwrap()
}

#[track_caller]
fn about_three(three: u64, one: u64) {
    assert!(three + one > 100, "{three} and {one} samples");
    let ratio = three as f64 / one as f64;
    assert!((2.0..4.5).contains(&ratio), "{three} to {one}: {ratio:.2}");
}

#[test]
fn time_is_split_as_the_work_is() {
    let module = split();
    for (rounds, n) in [(100, 500_000), (1_000_000, 50)] {
        let profile = Profile::new(PERIOD);
        let mut guest = Guest::with(&module, Setup::new().profile(&profile)).unwrap();
        guest
            .call::<()>("calls", &[rounds.into(), n.into()])
            .unwrap();
        let folded = profile.folded();
        let (three, all) = share(&profile, |stack| stack.contains(&"three"));
        let (one, _) = share(&profile, |stack| stack.contains(&"one"));
        about_three(three, one);
        assert!(three + one > all * 8 / 10, "{folded}");
        assert!(folded.contains("calls;three;work "), "{folded}");
    }
    let profile = Profile::new(PERIOD);
    let mut guest = Guest::with(&module, Setup::new().profile(&profile)).unwrap();
    guest.call::<()>("lines", &[700_000.into()]).unwrap();
    let (line, _) = share(&profile, |stack| stack == ["lines", "line"]);
    let (own, _) = share(&profile, |stack| stack == ["lines"]);
    about_three(line, own);
}

/// The time of a host function is its caller's, and what passes outside of calls nobody's.
#[test]
fn host_functions_count_for_their_caller() {
    let text = r#"(module (import "env" "sleep" (func $sleep))
        (func $sleepy (call $sleep))
        (func (export "run") (local $n i32)
            (call $sleepy)
            (local.set $n (i32.const 1000))
            (loop (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;
    let module = Engine::default().compile(text.as_bytes()).unwrap();
    let mut functions = Functions::default();
    functions.add("env", "sleep", |_, _| {
        std::thread::sleep(Duration::from_millis(200));
        Ok(vec![])
    });
    let profile = Profile::new(PERIOD);
    let setup = Setup::new().functions(functions).profile(&profile);
    let mut guest = Guest::with(&module, setup).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    guest.call::<()>("run", ()).unwrap();
    let (sleepy, all) = share(&profile, |stack| stack == ["run", "sleepy"]);
    assert!(sleepy >= 150, "{}", profile.folded());
    assert!(all - sleepy < 100, "{}", profile.folded());
}

const RUST: &str = r#"
use std::hint::black_box;

#[inline(always)]
fn step(x: u32) -> u32 {
    black_box(x).wrapping_mul(1664525)
}

mod inner {
    #[inline(never)]
    pub fn spin<T: Into<u32>>(n: T) -> u32 {
        let mut x = 1;
        for _ in 0..n.into() { x = super::step(x) }
        x
    }
}

#[no_mangle]
pub extern "C" fn run(n: u32) -> u32 {
    inner::spin(n)
}
"#;

#[test]
fn names_are_rusts_and_lines_the_sources() {
    for debug in [false, true] {
        let settings = LinkSettings {
            debug,
            ..LinkSettings::default()
        };
        let path = guests::rust_with(&format!("profiled_{debug}"), RUST, settings);
        let profile = Profile::new(PERIOD);
        let setup = Setup::new().profile(&profile);
        let mut guest = Guest::with(&guests::load(&path), setup).unwrap();
        guest.call::<u32>("run", &[100_000_000u32.into()]).unwrap();
        let spin = format!("profiled_{debug}::inner::spin");
        let file = format!("profiled_{debug}.rs");
        let (meant, all) = share(&profile, |stack| match (debug, stack) {
            (false, ["run", name]) => *name == spin,
            // What is inlined, and the line of it.
            (true, ["run", name, inlined @ .., line]) => {
                let (path, number) = line.rsplit_once(':').unwrap();
                let place = path.ends_with(&file) || path.contains("library/core/");
                assert!(place && number.parse::<u32>().is_ok(), "{line}");
                *name == spin && inlined.iter().any(|name| name.contains("step"))
            }
            _ => false,
        });
        let folded = profile.folded();
        assert!(all > 50 && meant > all / 2, "{debug}:\n{folded}");
    }
}

/// What a guest gives, what it costs and how it ends is the same.
#[test]
fn a_profile_changes_nothing_else() {
    let text = r#"(module (memory 1)
        (func $fib (param $n i32) (result i32)
            (if (i32.lt_u (local.get $n) (i32.const 2)) (then (return (local.get $n))))
            (i32.add (call $fib (i32.sub (local.get $n) (i32.const 1)))
                (call $fib (i32.sub (local.get $n) (i32.const 2)))))
        (func (export "fib") (param i32) (result i32) (call $fib (local.get 0)))
        (func (export "two") (param i32) (result i32 i64)
            (loop (result i32 i64)
                (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                (i32.const 7) (i64.const 8)
                (br_if 1 (i32.eqz (local.get 0)))
                drop drop (br 0)))
        (func (export "fill") (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)))
        (func (export "trap") (loop (br_if 0 (i32.const 0))) unreachable)
        (func (export "endless") (loop (br 0))))"#;
    let module = Engine::default().compile(text.as_bytes()).unwrap();
    for fuel in [None, Some(100_000_000)] {
        let mut limits = Limits::new();
        limits.fuel = fuel;
        let run = |profile: Option<&Profile>| {
            let mut seen = Vec::new();
            for (name, args) in [
                ("fib", vec![Value::I32(25)]),
                ("two", vec![Value::I32(1_000_000)]),
                ("fill", vec![]),
                ("trap", vec![]),
            ] {
                let mut setup = Setup::new().limits(limits.clone());
                setup.profile = profile.cloned();
                let mut guest = Guest::with(&module, setup).unwrap();
                let given = guest.call::<Vec<Value>>(name, &args);
                let given = given.map_err(|error| (error.to_string(), error.trace().cloned()));
                seen.push(format!("{given:?} {:?}", guest.fuel()));
            }
            seen
        };
        let profile = Profile::new(Duration::from_micros(100));
        assert_eq!(run(Some(&profile)), run(None));
        assert!(profile.samples() > 0);
    }
    // And it ends when it is to.
    let profile = Profile::new(PERIOD);
    let limits = Limits::new().deadline(Duration::from_millis(50));
    let setup = Setup::new().limits(limits).profile(&profile);
    let mut guest = Guest::with(&module, setup).unwrap();
    let ended = guest.call::<()>("endless", ());
    assert!(matches!(ended, Err(Error::Deadline { .. })), "{ended:?}");
    let (endless, all) = share(&profile, |stack| stack == ["endless"]);
    assert!(endless > 20 && endless == all, "{}", profile.folded());
    let setup = Setup::new()
        .limits(Limits::new().fuel(100_000_000))
        .profile(&profile);
    let mut guest = Guest::with(&module, setup).unwrap();
    let ended = guest.call::<()>("endless", ());
    assert!(matches!(ended, Err(Error::OutOfFuel(_))), "{ended:?}");
    let setup = Setup::new().profile(&profile);
    let mut guest = Guest::with(&module, setup).unwrap();
    let canceller = guest.canceller().unwrap();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        canceller.cancel();
    });
    let ended = guest.call::<()>("endless", ());
    assert!(matches!(ended, Err(Error::Cancelled(_))), "{ended:?}");
    canceller.join().unwrap();
}

/// Reads and writes of regions in the guest's own code go on across samples.
#[test]
fn regions_are_read_while_samples_are_taken() {
    let text = r#"(module
        (import "genkan" "read_u64" (func $read (param i64 i32) (result i64)))
        (func (export "run") (param $p i64) (param $n i32) (result i64) (local $sum i64)
            (loop $next
                (local.set $sum (i64.add (local.get $sum)
                    (call $read (local.get $p) (i32.and (local.get $n) (i32.const 7992)))))
                (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $sum)))"#;
    let module = Engine::default().compile(text.as_bytes()).unwrap();
    let region = Region::copy_of(&[1; 8000]).unwrap();
    let profile = Profile::new(Duration::from_micros(100));
    let mut guest = Guest::with(&module, Setup::new().profile(&profile)).unwrap();
    guest.grant(&region, genkan_host::Access::Read).unwrap();
    let count = 50_000_000;
    let args = [region.pointer().into(), count.into()];
    let sum: i64 = guest.call("run", &args).unwrap();
    let each = i64::from_le_bytes([1; 8]);
    assert_eq!(sum, each.wrapping_mul(count.into()));
    assert!(profile.samples() > 50);
}

/// A deep stack has a middle that is left out; what recursion repeats is there as it is.
#[test]
fn deep_stacks_are_bounded() {
    let text = r#"(module
        (func $down (param $n i32) (result i32)
            (if (i32.eqz (local.get $n)) (then (return (call $bottom (i32.const 100000000)))))
            (i32.add (i32.const 1) (call $down (i32.sub (local.get $n) (i32.const 1)))))
        (func $bottom (param $n i32) (result i32)
            (loop (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $n))
        (func (export "run") (param i32) (result i32) (call $down (local.get 0))))"#;
    let module = Engine::default().compile(text.as_bytes()).unwrap();
    for (depth, cut) in [(50, false), (10_000, true)] {
        let profile = Profile::new(PERIOD);
        let mut guest = Guest::with(&module, Setup::new().profile(&profile)).unwrap();
        let given: i32 = guest.call("run", &[depth.into()]).unwrap();
        assert_eq!(given, depth);
        let (whole, all) = share(&profile, |stack| {
            let left_out = stack.contains(&"(more functions)");
            assert!(stack.len() <= 257, "{stack:?}");
            stack[0] == "run" && stack.ends_with(&["bottom"]) && left_out == cut
        });
        assert!(whole > all / 2, "{}", profile.folded());
    }
}

/// Guests of one profile are counted together, on whatever thread they run.
#[test]
fn guests_share_a_profile() {
    let module = split();
    let profile = Profile::new(PERIOD);
    let alone = {
        let mut guest = Guest::with(&module, Setup::new().profile(&profile)).unwrap();
        let args = [20.into(), 500_000.into()];
        guest.call::<()>("calls", &args).unwrap();
        guest.reset().unwrap();
        guest.call::<()>("calls", &args).unwrap();
        profile.samples()
    };
    assert!(alone > 10, "{alone}");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut guest = Guest::with(&module, Setup::new().profile(&profile)).unwrap();
                guest
                    .call::<()>("calls", &[20.into(), 500_000.into()])
                    .unwrap();
            });
        }
    });
    assert!(profile.samples() > alone);
    let stacks = profile.folded();
    assert_eq!(
        stacks.matches("calls;three;work ").count(),
        1,
        "one line for each stack:\n{stacks}"
    );
}
