//! Guests that want too much: each ends in its own error, and the next one runs.

mod guests;

use genkan_host::{Access, Checks, Config, Engine, Error, Guest, Limits, Region, Setup};
use std::time::{Duration, Instant};

fn guest(engine: &Engine, text: &str, limits: Limits) -> Result<Guest, Error> {
    let module = engine.compile(text.as_bytes()).unwrap();
    let setup = Setup::new().limits(limits);
    Guest::with(&module, setup)
}

/// The process goes on: a good guest still works.
fn works(engine: &Engine) {
    let mut good = guest(
        engine,
        r#"(module (func (export "f") (result i32) (i32.const 7)))"#,
        Limits::default(),
    )
    .unwrap();
    assert_eq!(good.call::<i32>("f", &[]).unwrap(), 7);
}

const LOOP: &str = r#"(module (func (export "run") (loop (br 0))))"#;

#[test]
fn fuel_runs_out() {
    let engine = Engine::new(Config::new().checks(Checks::none().fuel(true))).unwrap();
    let limits = Limits::new().fuel(100_000);
    let mut endless = guest(&engine, LOOP, limits.clone()).unwrap();
    assert!(matches!(
        endless.call::<()>("run", &[]),
        Err(Error::OutOfFuel(_))
    ));
    assert_eq!(endless.fuel(), Some(0));
    endless.reset().unwrap();
    assert_eq!(endless.fuel(), Some(100_000));
    endless.set_fuel(0).unwrap();
    assert!(matches!(
        endless.call::<()>("run", &[]),
        Err(Error::OutOfFuel(_))
    ));

    let text = r#"(module (func (export "f")) (func (export "trap") unreachable))"#;
    let mut small = guest(&engine, text, limits).unwrap();
    small.call::<()>("f", &[]).unwrap();
    let left = small.fuel().unwrap();
    assert!(left < 100_000 && left > 99_000, "{left}");
    assert!(matches!(
        small.call::<()>("trap", &[]),
        Err(Error::Trap { .. })
    ));
    endless.set_fuel(5).unwrap();
    assert_eq!(endless.fuel(), Some(5));
    works(&engine);
}

#[test]
fn what_the_host_copies_is_charged() {
    const LEN: usize = 1 << 20;
    let text = r#"(module
        (import "genkan" "read_into" (func $read (param i64 i32 i32)))
        (import "genkan" "write_from" (func $write (param i64 i32 i32)))
        (memory (export "memory") 20)
        (func (export "read") (param i64 i32)
            (call $read (local.get 0) (i32.const 0) (local.get 1)))
        (func (export "write") (param i64 i32)
            (call $write (local.get 0) (i32.const 0) (local.get 1))))"#;
    let region = Region::zeroed(LEN).unwrap();
    let fuel = (LEN / 16) as u64 + 100;
    for name in ["read", "write"] {
        let limits = Limits::new().fuel(fuel);
        let mut guest = guest(&Engine::default(), text, limits).unwrap();
        guest.grant(&region, Access::ReadWrite).unwrap();
        let args = [region.pointer().into(), (LEN as u32).into()];
        guest.call::<()>(name, &args).unwrap();
        assert!(guest.fuel().unwrap() < 100);
        let again = guest.call::<()>(name, &args);
        assert!(matches!(again, Err(Error::OutOfFuel(_))), "{again:?}");
    }
}

#[test]
fn a_start_function_has_an_end_as_well() {
    let metered = Engine::new(Config::new().checks(Checks::none().fuel(true))).unwrap();
    let text = "(module (func $f (loop (br 0))) (start $f))";
    let limits = Limits::new().deadline(Duration::from_millis(30));
    let error = guest(&Engine::default(), text, limits).unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
    works(&metered);
}

#[test]
fn time_runs_out() {
    let engine = Engine::default();
    for milliseconds in [1, 20, 100] {
        let deadline = Duration::from_millis(milliseconds);
        let limits = Limits::new().deadline(deadline);
        let mut endless = guest(&engine, LOOP, limits).unwrap();
        for _ in 0..3 {
            let start = Instant::now();
            let error = endless.call::<()>("run", &[]).unwrap_err();
            assert!(matches!(error, Error::Deadline { limit, .. } if limit == deadline));
            assert!(start.elapsed() >= deadline);
            assert!(start.elapsed() < deadline + Duration::from_secs(5));
            endless.reset().unwrap();
        }
    }
    works(&engine);
}

/// An interrupt that comes as the guest calls the host is missed, and sent again.
#[test]
fn time_runs_out_for_a_guest_that_is_mostly_in_the_host() {
    let engine = Engine::default();
    let module = engine
        .compile(
            br#"(module (import "env" "nap" (func $nap))
                (func (export "run") (loop (call $nap) (br 0))))"#,
        )
        .unwrap();
    let mut setup = Setup::new().limits(Limits::new().deadline(Duration::from_millis(20)));
    setup.functions.add("env", "nap", |_, _| {
        std::thread::sleep(Duration::from_millis(1));
        Ok(Vec::new())
    });
    let mut guest = Guest::with(&module, setup).unwrap();
    assert!(matches!(
        guest.call::<()>("run", &[]),
        Err(Error::Deadline { .. })
    ));
    works(&engine);
}

#[test]
fn many_guests_with_deadlines_at_once() {
    let engine = Engine::default();
    let module = engine.compile(LOOP.as_bytes()).unwrap();
    std::thread::scope(|scope| {
        for i in 0..16 {
            let module = &module;
            scope.spawn(move || {
                let setup =
                    Setup::new().limits(Limits::new().deadline(Duration::from_millis(10 + i)));
                let mut guest = Guest::with(module, setup).unwrap();
                assert!(matches!(
                    guest.call::<()>("run", &[]),
                    Err(Error::Deadline { .. })
                ));
            });
        }
    });
    works(&engine);
}

#[test]
fn recursion_ends() {
    let engine = Engine::default();
    let text = r#"(module (func $f (export "run") (param i64) (result i64)
        (i64.add (call $f (i64.add (local.get 0) (i64.const 1))) (local.get 0))))"#;
    let small = Limits::new().stack(128 << 10);
    for limits in [Limits::default(), small] {
        let mut deep = guest(&engine, text, limits).unwrap();
        for _ in 0..3 {
            let error = deep.call::<i64>("run", &[1i64.into()]).unwrap_err();
            assert!(matches!(error, Error::StackOverflow(_)), "{error:?}");
            deep.reset().unwrap();
        }
    }
    works(&engine);
}

#[test]
fn memory_ends() {
    let engine = Engine::default();
    let limits = || Limits::new().memory(1 << 20);
    for memory in [
        r#"(memory (export "memory") 1)"#,
        r#"(import "env" "memory" (memory 1))"#,
    ] {
        let text = format!(
            r#"(module {memory}
                (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
                (func (export "all") (loop
                    (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
                    (br 0))))"#
        );
        let mut greedy = guest(&engine, &text, limits()).unwrap();
        assert_eq!(greedy.call::<i32>("grow", &[16.into()]).unwrap(), -1);
        assert_eq!(greedy.call::<i32>("grow", &[14.into()]).unwrap(), 1);
        let error = greedy.call::<()>("all", &[]).unwrap_err();
        assert!(matches!(error, Error::MemoryLimit { limit, .. } if limit == 1 << 20));
        works(&engine);
    }
    let large = guest(&engine, "(module (memory 17))", limits()).unwrap_err();
    assert!(matches!(large, Error::MemoryLimit { .. }), "{large:?}");
}

#[test]
fn a_rust_guest_that_allocates_without_end() {
    let path = guests::rust(
        "allocates",
        r#"
        #[no_mangle]
        pub extern "C" fn run() -> usize {
            let mut all = Vec::new();
            loop {
                all.push(vec![1u8; 1 << 20]);
                if all.len() == usize::MAX { return all.len(); }
            }
        }"#,
    );
    let setup = Setup::new().limits(Limits::new().memory(8 << 20));
    let mut guest = Guest::with(&guests::load(&path), setup).unwrap();
    let error = guest.call::<u32>("run", &[]).unwrap_err();
    assert!(
        matches!(error, Error::MemoryLimit { .. } | Error::Panic { .. }),
        "{error:?}"
    );
}

/// Windows are no memory of the guest's own.
#[test]
fn windows_do_not_count_as_memory() {
    let engine = Engine::default();
    let text = r#"(module (import "env" "memory" (memory 1))
        (import "genkan" "map" (func $map (param i64 i32 i32) (result i32)))
        (export "map" (func $map))
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    let limits = Limits::new().memory(2 << 16);
    let mut guest = guest(&engine, text, limits).unwrap();
    let region = genkan_host::Region::zeroed(1 << 20).unwrap();
    guest.grant(&region, genkan_host::Access::Read).unwrap();
    let args = [region.pointer().into(), (1 << 20).into(), 0.into()];
    assert_eq!(guest.call::<i32>("map", &args).unwrap(), 1 << 16);
    assert_eq!(guest.call::<i32>("grow", &[1.into()]).unwrap(), 17);
    assert_eq!(guest.call::<i32>("grow", &[1.into()]).unwrap(), -1);
}

#[test]
fn tables_end() {
    let engine = Engine::default();
    let limits = || Limits::new().table(10);
    let text = r#"(module (table $t 5 funcref)
        (func (export "grow") (param i32) (result i32)
            (table.grow $t (ref.null func) (local.get 0))))"#;
    let mut greedy = guest(&engine, text, limits()).unwrap();
    assert_eq!(greedy.call::<i32>("grow", &[6.into()]).unwrap(), -1);
    assert_eq!(greedy.call::<i32>("grow", &[5.into()]).unwrap(), 5);
    let large = guest(&engine, "(module (table 11 funcref))", limits()).unwrap_err();
    assert!(
        matches!(large, Error::TableLimit { limit: 10 }),
        "{large:?}"
    );
    works(&engine);
}

#[test]
fn more_than_one_memory_is_refused() {
    for text in [
        "(module (memory 1) (memory 1))",
        r#"(module (import "a" "b" (memory 1)) (import "a" "c" (memory 1)))"#,
        "(module (memory 1 1 shared))",
        "(module (memory i64 1))",
    ] {
        let refused = Engine::default()
            .compile(text.as_bytes())
            .and_then(|module| Guest::new(&module));
        assert!(
            matches!(refused, Err(Error::Compile(_) | Error::Import { .. })),
            "{text}: {refused:?}"
        );
    }
}

#[test]
fn a_panic_of_the_hosts_stops_the_guest_alone() {
    let engine = Engine::default();
    let module = engine
        .compile(
            br#"(module
                (import "env" "boom" (func $boom (param i32) (result i32)))
                (import "env" "wrong" (func $wrong (result i64)))
                (memory (export "memory") 1)
                (func (export "run") (param i32) (result i32) (call $boom (local.get 0)))
                (func (export "wrong") (result i64) (call $wrong)))"#,
        )
        .unwrap();
    let mut setup = Setup::default();
    setup.functions.add("env", "boom", |guest, args| {
        guest.write(65530, &[1; 6])?;
        let mut bytes = [0; 6];
        guest.read(65530, &mut bytes)?;
        assert_eq!(bytes, [1; 6]);
        match args {
            [genkan_host::Value::I32(0)] => panic!("no zeros"),
            [genkan_host::Value::I32(1)] => Err("no ones".into()),
            [genkan_host::Value::I32(2)] => {
                guest.write(65530, &[1; 7])?;
                unreachable!()
            }
            _ => Ok(args.to_vec()),
        }
    });
    setup
        .functions
        .add("env", "wrong", |_, _| Ok(vec![1i32.into()]));
    let mut guest = Guest::with(&module, setup).unwrap();
    let mut run = |n: i32| guests::call::<i32>(&mut guest, "run", &[n.into()]);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let panic = run(0).unwrap_err();
    std::panic::set_hook(hook);
    assert_eq!(
        panic.to_string(),
        "the host's function env.boom panicked: no zeros"
    );
    assert!(matches!(panic, Error::HostPanic { .. }));
    let error = run(1).unwrap_err();
    assert_eq!(
        guests::chain(&error),
        "the host's function env.boom failed: no ones"
    );
    let error = guests::chain(&run(2).unwrap_err());
    assert!(error.contains("writable range of 7 bytes"), "{error}");
    assert_eq!(run(3).unwrap(), 3);
    assert!(matches!(
        guest.call::<i64>("wrong", &[]),
        Err(Error::HostFunction { .. })
    ));
    works(&engine);
}
