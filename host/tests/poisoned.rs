//! Guests that ended in the middle of a call: they say so, and can be made anew.

mod guests;

use genkan::build_guest::PanicMode;
use genkan_host::{
    Access, Cx, Engine, Error, Functions, Guest, Limits, Region, Setup, Stop, Value,
};
use std::time::Duration;

/// Ends in each way that there is, and counts its calls.
const ENDS: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "env" "read" (func $read (param i64 i32) (result i32)))
    (import "env" "fail" (func $fail))
    (import "env" "panic" (func $panic))
    (memory (export "memory") 1)
    (global $calls (mut i32) (i32.const 0))
    (func (export "calls") (result i32)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (global.get $calls))
    (func (export "same") (param i32) (result i32) (local.get 0))
    (func (export "read") (param i64) (result i32) (call $read (local.get 0) (i32.const 0)))
    (func (export "trap") unreachable)
    (func (export "exit") (call $exit (i32.const 3)))
    (func (export "fail") (call $fail))
    (func (export "panic") (call $panic))
    (func $deep (export "deep") (call $deep) (call $deep))
    (func (export "fill") (memory.grow (i32.const 10)) i32.const 0 i32.lt_s if unreachable end)
    (func (export "spin") (loop (br 0))))"#;

fn guest(limits: Limits) -> Guest {
    let module = Engine::default().compile(ENDS.as_bytes()).unwrap();
    let mut functions = Functions::default();
    functions.add("env", "fail", |_, _| Err("no".into()));
    functions.add("env", "panic", |_, _| panic!("oh"));
    Guest::with(&module, Setup::new().limits(limits).functions(functions)).unwrap()
}

fn assert_poisoned(guest: &mut Guest, was: &str) {
    for _ in 0..2 {
        match guest.call::<i32>("calls", &[]) {
            Err(Error::Poisoned { was: found }) => assert!(found.contains(was), "{found}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_guest_that_ended_in_the_middle_runs_again_when_it_is_reset() {
    let limits = Limits::new().memory(4 << 16);
    let mut guest = guest(limits);
    for (function, was) in [
        ("trap", "unreachable"),
        ("exit", "exited with code 3"),
        ("fail", "env.fail failed"),
        ("panic", "env.panic panicked: oh"),
        ("deep", "stack overflowed"),
        ("fill", "more than its 262144 bytes"),
    ] {
        assert_eq!(guest.call::<i32>("calls", &[]).unwrap(), 1);
        assert_eq!(guest.call::<i32>("calls", &[]).unwrap(), 2);
        let error = guest.call::<()>(function, &[]).unwrap_err();
        assert!(error.to_string().contains(was), "{function}: {error}");
        assert_poisoned(&mut guest, was);
        guest.reset().unwrap();
    }
}

#[test]
fn limits_of_time_and_fuel_poison_too() {
    let mut late = guest(Limits::new().deadline(Duration::from_millis(20)));
    late.call::<()>("spin", &[]).unwrap_err();
    assert_poisoned(&mut late, "did not end within");
    let mut empty = guest(Limits::new().fuel(1000));
    empty.call::<()>("spin", &[]).unwrap_err();
    empty.set_fuel(1000).unwrap();
    assert_poisoned(&mut empty, "used up its fuel");
    empty.reset().unwrap();
    assert_eq!(empty.fuel(), Some(1000));
    assert_eq!(empty.call::<i32>("calls", &[]).unwrap(), 1);

    let mut cancelled = guest(Limits::new().interruptible(true));
    let canceller = cancelled.canceller().unwrap();
    let handle = std::thread::spawn({
        let canceller = canceller.clone();
        move || {
            std::thread::sleep(Duration::from_millis(50));
            canceller.cancel();
        }
    });
    let ended = cancelled.call::<()>("spin", &[]);
    assert!(matches!(ended, Err(Error::Cancelled(_))), "{ended:?}");
    handle.join().unwrap();
    assert_poisoned(&mut cancelled, "cancelled");
    cancelled.reset().unwrap();
    assert_eq!(cancelled.call::<i32>("calls", &[]).unwrap(), 1);
    // The same canceller is for the guest that it became; and one that comes before the
    // call has not run any code.
    canceller.cancel();
    let ended = cancelled.call::<i32>("calls", &[]);
    assert!(matches!(ended, Err(Error::Cancelled(_))), "{ended:?}");
    assert_eq!(cancelled.call::<i32>("calls", &[]).unwrap(), 2);
}

#[test]
fn a_refusal_before_its_code_runs_does_not_poison() {
    let mut guest = guest(Limits::new());
    guest.call::<i32>("nothing", &[]).unwrap_err();
    guest.call::<i32>("same", &[]).unwrap_err();
    guest.call::<i32>("same", &[Value::F64(1.0)]).unwrap_err();
    guest.call::<i32>("same", ("text",)).unwrap_err();
    let mut region = Region::zeroed(4).unwrap();
    guest.grant(&region, Access::ReadWrite).unwrap();
    let bytes = region.as_mut_slice().unwrap();
    let error = guest.call::<i32>("calls", &[]).unwrap_err();
    assert!(matches!(error, Error::RegionInUse { .. }), "{error}");
    drop(bytes);
    assert_eq!(guest.call::<i32>("calls", &[]).unwrap(), 1);
}

#[test]
fn what_it_was_granted_it_keeps_while_it_is_alive() {
    let mut guest = guest(Limits::new());
    let [kept, dropped, revoked] = [1, 2, 3].map(|n| Region::copy_of(&[n]).unwrap());
    for region in [&kept, &dropped, &revoked] {
        guest.grant(region, Access::Read).unwrap();
    }
    let pointers = [&kept, &dropped, &revoked].map(Region::pointer);
    guest.call::<()>("trap", &[]).unwrap_err();
    drop(dropped);
    guest.revoke(&revoked);
    guest.reset().unwrap();
    let read = |guest: &mut Guest, pointer| guest.call::<i32>("read", &[Value::from(pointer)]);
    assert_eq!(read(&mut guest, pointers[0]).unwrap(), 1);
    for pointer in &pointers[1..] {
        let error = read(&mut guest, *pointer).unwrap_err();
        assert!(matches!(error, Error::Pointer(_)), "{error}");
        guest.reset().unwrap();
    }
    drop(kept);
    let error = read(&mut guest, pointers[0]).unwrap_err();
    assert!(matches!(error, Error::Pointer(_)), "{error}");
}

/// A guest that the host's function `back` calls back into.
fn with_callback(
    back: impl Fn(&mut Cx<'_, u32>) -> Result<u32, Stop> + Send + Sync + 'static,
) -> Guest {
    let text = r#"(module
        (@custom "genkan.calls.1" "import host.back() -> u32\0a")
        (import "host" "back" (func $back (result i32)))
        (global $calls (mut i32) (i32.const 0))
        (func (export "out") (result i32) (call $back))
        (func (export "calls") (result i32)
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (global.get $calls))
        (func (export "trap") unreachable)
        (func (export "spin") (loop (br 0))))"#;
    let module = Engine::default().compile(text.as_bytes()).unwrap();
    let mut functions = Functions::default();
    functions.offer("back", move |cx: &mut Cx<u32>| back(cx));
    let limits = Limits::new().deadline(Duration::from_millis(100));
    let setup = Setup::new().functions(functions).state(7u32).limits(limits);
    Guest::with(&module, setup).unwrap()
}

#[test]
fn a_callback_that_ends_the_guest_ends_the_call_that_waits() {
    let mut guest = with_callback(|cx| {
        let inner = cx.call::<()>("trap", ()).unwrap_err();
        assert!(matches!(inner, Error::Trap { .. }), "{inner}");
        let again = cx.call::<u32>("calls", ()).unwrap_err();
        assert!(matches!(again, Error::Poisoned { .. }), "{again}");
        Ok(1)
    });
    let error = guest.call::<u32>("out", ()).unwrap_err();
    assert!(matches!(error, Error::Poisoned { .. }), "{error}");
    assert_poisoned(&mut guest, "unreachable");

    let mut guest = with_callback(|cx| {
        cx.call::<()>("spin", ()).unwrap_err();
        Ok(1)
    });
    let error = guest.call::<u32>("out", ()).unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
    assert_poisoned(&mut guest, "did not end within");

    // What the guest refused did not end it.
    let mut guest = with_callback(|cx| {
        cx.call::<u32>("nothing", ()).unwrap_err();
        cx.call::<u32>("calls", (1u32,)).unwrap_err();
        Ok(cx.call::<u32>("calls", ())?)
    });
    assert_eq!(guest.call::<u32>("out", ()).unwrap(), 1);
    assert_eq!(guest.call::<u32>("out", ()).unwrap(), 2);
}

#[test]
fn what_the_embedder_gave_it_survives() {
    let mut guest = with_callback(|cx| {
        *cx.state() += 1;
        Ok(*cx.state())
    });
    let out = guest.function::<(), u32>("out").unwrap();
    assert_eq!(out.call(&mut guest, ()).unwrap(), 8);
    guest.call::<()>("trap", ()).unwrap_err();
    guest.reset().unwrap();
    let stale = out.call(&mut guest, ());
    assert!(matches!(stale, Err(Error::OtherGuest)), "{stale:?}");
    assert_eq!(guest.call::<u32>("out", ()).unwrap(), 9);
    assert_eq!(guest.state::<u32>(), Some(&mut 9));
}

/// Each panic leaves its frame on the guest's stack of 1 MiB.
#[test]
fn panics_do_not_use_up_the_stack() {
    let source = r#"
        #[no_mangle]
        pub extern "C" fn deep(index: u32) -> u32 {
            let mut frame = [1u8; 4096];
            std::hint::black_box(&mut frame);
            if index > 4096 {
                panic!("too deep");
            }
            frame.iter().take(index as usize).map(|n| u32::from(*n)).sum()
        }"#;
    let path = guests::rust_with_panic("panics_in_a_frame", source, PanicMode::Report);
    let mut guest = Guest::new(&guests::load(&path)).unwrap();
    for _ in 0..300 {
        assert_eq!(guest.call::<u32>("deep", (10u32,)).unwrap(), 10);
        let error = guest.call::<u32>("deep", (5000u32,)).unwrap_err();
        assert!(matches!(error, Error::Panic { .. }), "{error}");
        assert_poisoned(&mut guest, "guest panicked at");
        guest.reset().unwrap();
    }
}
