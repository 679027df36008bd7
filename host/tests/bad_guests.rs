//! The worst that guests, files and threads can do, each in a process of its own:
//! it ends with the error that it should, and goes on with its other regions intact.

mod guests;

use genkan_host::{Access, Engine, Error, Guest, PointerProblem, Region, Value};
use std::process::Command;
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

/// Runs a scenario of this file's in a subprocess. It must come to its end.
fn in_a_process(name: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--ignored"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains(&format!("{name} went on")),
        "{name}: {}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

macro_rules! scenarios {
    ($($test:ident: $scenario:ident;)*) => {
        $(
            #[test]
            fn $test() {
                in_a_process(stringify!($scenario));
            }
        )*
    };
}

scenarios! {
    a_file_is_truncated_under_a_window: truncated;
    a_region_is_revoked_while_others_read: revoked;
    guests_come_and_go_by_the_thousand: thousands;
    every_byte_of_a_guests_memory_is_tried: everywhere;
    guests_trap_again_and_again: traps;
}

const READER: &str = r#"(module
    (import "env" "memory" (memory 1))
    (import "env" "read" (func $read (param i64 i32) (result i32)))
    (import "genkan" "read_into" (func $read_into (param i64 i32 i32)))
    (import "genkan" "write_from" (func $write_from (param i64 i32 i32)))
    (import "genkan" "map" (func $map (param i64 i32 i32) (result i32)))
    (export "read" (func $read)) (export "read_into" (func $read_into))
    (export "map" (func $map))
    (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "store") (param i32) (i32.store8 (local.get 0) (i32.const 1)))
    (func (export "copy") (param i32 i32 i32)
        (memory.copy (local.get 0) (local.get 1) (local.get 2)))
    (func (export "reads") (param i64) (loop
        (drop (call $read (local.get 0) (i32.const 5))) (br 0)))
    (func (export "copies") (param i64) (loop
        (call $read_into (local.get 0) (i32.const 0) (i32.const 65536)) (br 0)))
    (func (export "writes") (param i64) (loop
        (call $write_from (local.get 0) (i32.const 0) (i32.const 65536)) (br 0)))
    (func (export "loads") (param $p i64) (local $at i32)
        (local.set $at (call $map (local.get $p) (i32.const 65536) (i32.const 0)))
        (loop (drop (i32.load (local.get $at))) (br 0)))
    (func (export "moves") (param $p i64) (local $at i32)
        (local.set $at (call $map (local.get $p) (i32.const 65536) (i32.const 0)))
        (loop (memory.copy (i32.const 0) (local.get $at) (i32.const 65536)) (br 0))))"#;

fn reader() -> Guest {
    guests::wat(READER)
}

/// A region that nothing bad happens to.
fn untouched() -> Region {
    Region::copy_of(&[42; 100]).unwrap()
}

fn is_untouched(guest: &mut Guest, region: &Region) {
    let args = [region.pointer().into(), Value::I32(99)];
    assert_eq!(guest.call::<i32>("read", &args).unwrap(), 42);
    assert_eq!(*region.as_slice().unwrap(), [42; 100]);
}

#[test]
#[ignore = "run by a_file_is_truncated_under_a_window"]
fn truncated() {
    let path = guests::folder().join(format!("truncated-{}.bin", std::process::id()));
    // Whole pages: of a part of one, a window shows a copy.
    std::fs::write(&path, vec![7; 25 * 4096]).unwrap();
    let region = Region::from_file(&path).unwrap();
    let other = untouched();
    let mut guest = reader();
    guest.grant(&region, Access::Read).unwrap();
    guest.grant(&other, Access::Read).unwrap();
    let p = region.pointer();
    let args_of_map = [p.into(), Value::I32(100_000), Value::I32(0)];
    let window: i32 = guest.call("map", &args_of_map).unwrap();
    let far = Value::I32(window + 99_999);
    assert_eq!(guest.call::<i32>("load", &[far]).unwrap(), 7);

    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(10)
        .unwrap();
    for _ in 0..3 {
        for (name, args) in [
            ("load", &[far][..]),
            ("read", &[p.into(), Value::I32(99_999)]),
            ("read_into", &[p.into(), Value::I32(0), Value::I32(50_000)]),
            (
                "copy",
                &[Value::I32(0), Value::I32(window), Value::I32(50_000)],
            ),
        ] {
            let error = guest.call::<Vec<Value>>(name, args).unwrap_err();
            assert!(matches!(error, Error::RegionGone(_)), "{name}: {error:?}");
            guest.reset().unwrap();
            assert_eq!(guest.call::<i32>("map", &args_of_map).unwrap(), window);
        }
        assert_eq!(
            guest
                .call::<i32>("load", &[Value::I32(window + 9)])
                .unwrap(),
            7
        );
        is_untouched(&mut guest, &other);
    }
    // Where it is the host that copies, for a guest with a memory of its own.
    let mut own = guests::wat(
        r#"(module
            (import "genkan" "read_into" (func $read_into (param i64 i32 i32)))
            (import "genkan" "write_from" (func $write_from (param i64 i32 i32)))
            (import "genkan" "map" (func $map (param i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write"
                (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (export "read_into" (func $read_into)) (export "write_from" (func $write_from))
            (export "map" (func $map))
            (func (export "print") (param i32 i32) (result i32)
                (i32.store (i32.const 0) (local.get 0))
                (i32.store (i32.const 4) (local.get 1))
                (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))))"#,
    );
    own.grant(&region, Access::Read).unwrap();
    let target = Region::zeroed(100_000).unwrap();
    own.grant(&target, Access::ReadWrite).unwrap();
    let error = own.call::<()>("read_into", &[p.into(), 0.into(), 50_000.into()]);
    assert!(matches!(error, Err(Error::RegionGone(_))), "{error:?}");
    own.reset().unwrap();
    let window: i32 = own.call("map", &args_of_map).unwrap();
    let to = target.pointer().into();
    let error = own.call::<()>("write_from", &[to, window.into(), 50_000.into()]);
    assert!(matches!(error, Err(Error::GuestRange { .. })), "{error:?}");
    own.reset().unwrap();
    let window: i32 = own.call("map", &args_of_map).unwrap();
    let print = |len: i32| [Value::I32(window), len.into()];
    assert_eq!(own.call::<i32>("print", &print(50_000)).unwrap(), 21);
    assert_eq!(own.call::<i32>("print", &print(10)).unwrap(), 0);

    std::fs::remove_file(&path).unwrap();
    println!("truncated went on");
}

#[test]
#[ignore = "run by a_region_is_revoked_while_others_read"]
fn revoked() {
    let module = Engine::default().compile(READER.as_bytes()).unwrap();
    let other = untouched();
    let end = Instant::now() + Duration::from_secs(4);
    let mut rounds = 0;
    while Instant::now() < end {
        for name in ["reads", "copies", "writes", "loads", "moves"] {
            let region = Region::zeroed(65536).unwrap();
            let p = region.pointer();
            let region = Mutex::new(Some(region));
            let ready = Barrier::new(3);
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        let mut guest = Guest::new(&module).unwrap();
                        guest.grant(&other, Access::Read).unwrap();
                        let granted = region.lock().unwrap();
                        guest
                            .grant(granted.as_ref().unwrap(), Access::SharedReadWrite)
                            .unwrap();
                        drop(granted);
                        ready.wait();
                        let error = guest.call::<()>(name, &[p.into()]).unwrap_err();
                        let gone = match &error {
                            Error::RegionGone(_) => true,
                            Error::Pointer(error) => error.problem == PointerProblem::Revoked,
                            _ => false,
                        };
                        assert!(gone, "{name}: {error:?}");
                        guest.reset().unwrap();
                        let args = [other.pointer().into(), Value::I32(99)];
                        assert_eq!(guest.call::<i32>("read", &args).unwrap(), 42);
                    });
                }
                ready.wait();
                std::thread::sleep(Duration::from_micros(rounds % 7 * 200));
                let region = region.lock().unwrap().take();
                drop(region);
            });
            rounds += 1;
        }
    }
    assert!(rounds > 10);
    let mut guest = reader();
    guest.grant(&other, Access::Read).unwrap();
    is_untouched(&mut guest, &other);
    println!("revoked went on");
}

#[test]
#[ignore = "run by guests_come_and_go_by_the_thousand"]
fn thousands() {
    let module = Engine::default().compile(READER.as_bytes()).unwrap();
    let other = untouched();
    // All alive at once: each has reserved 12 GiB of addresses.
    let mut guests: Vec<Guest> = (0..1000)
        .map(|_| {
            let mut guest = Guest::new(&module).unwrap();
            guest.grant(&other, Access::Read).unwrap();
            guest
        })
        .collect();
    for guest in &mut guests {
        is_untouched(guest, &other);
    }
    drop(guests);
    // What one guest left in its memory, the next must not see.
    for i in 0..2000 {
        let mut guest = Guest::new(&module).unwrap();
        assert_eq!(guest.call::<i32>("load", &[Value::I32(500)]).unwrap(), 0);
        guest.call::<()>("store", &[Value::I32(500)]).unwrap();
        let region = Region::copy_of(&[i as u8; 8]).unwrap();
        guest.grant(&region, Access::Read).unwrap();
        let args = [region.pointer().into(), Value::I32(7)];
        assert_eq!(
            guest.call::<i32>("read", &args).unwrap(),
            i32::from(i as u8)
        );
    }
    println!("thousands went on");
}

#[test]
#[ignore = "run by every_byte_of_a_guests_memory_is_tried"]
fn everywhere() {
    let other = untouched();
    let region = Region::zeroed(10_000).unwrap();
    let mut guest = reader();
    guest.grant(&other, Access::Read).unwrap();
    guest.grant(&region, Access::Read).unwrap();
    let args = [region.pointer().into(), Value::I32(10_000), Value::I32(0)];
    let window: i32 = guest.call("map", &args).unwrap();
    // From the first page to beyond the reserved range's middle.
    let mut address = 0u32;
    while address < u32::MAX - 40_000 {
        for name in ["load", "store"] {
            let outcome = guest.call::<Vec<Value>>(name, &[address.into()]);
            let inside = address < 65536
                || (address as i32 >= window && address < window as u32 + 10_000 && name == "load");
            if inside {
                outcome.unwrap();
            } else if let Err(error) = outcome {
                assert!(
                    matches!(error, Error::Trap { .. } | Error::WindowAccess { .. }),
                    "{error:?}"
                );
                guest.reset().unwrap();
                assert_eq!(guest.call::<i32>("map", &args).unwrap(), window);
            } else {
                // The rest of the region's last page.
                assert_eq!(name, "load");
                assert!(
                    address < (window as u32 + 10_000).next_multiple_of(4096),
                    "{address:#x}"
                );
            }
        }
        address = match address {
            0..200_000 => address + 1000,
            _ => address.saturating_add(32_123_457),
        };
    }
    // Destinations that straddle an end.
    for (to, len) in [(65_000, 1000), (window - 5, 10), (-5, 10), (65_536 - 5, 10)] {
        let p = other.pointer().into();
        let error = guest
            .call::<()>("read_into", &[p, Value::I32(to), Value::I32(len)])
            .unwrap_err();
        assert!(
            matches!(
                error,
                Error::Trap { .. } | Error::WindowAccess { .. } | Error::Pointer(_)
            ),
            "{error:?}"
        );
        guest.reset().unwrap();
        assert_eq!(guest.call::<i32>("map", &args).unwrap(), window);
    }
    is_untouched(&mut guest, &other);
    println!("everywhere went on");
}

#[test]
#[ignore = "run by guests_trap_again_and_again"]
fn traps() {
    let other = untouched();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut guest = reader();
                guest.grant(&other, Access::Read).unwrap();
                for i in 0..500 {
                    let error = match i % 3 {
                        0 => guest.call::<i32>("load", &[Value::I32(-1)]).unwrap_err(),
                        1 => guest
                            .call::<i32>("read", &[1i64.into(), 0.into()])
                            .unwrap_err(),
                        _ => guest
                            .call::<()>("copy", &[Value::I32(65_000), 0.into(), 1000.into()])
                            .unwrap_err(),
                    };
                    assert!(matches!(error, Error::Trap { .. } | Error::Pointer(_)));
                    guest.reset().unwrap();
                    let args = [other.pointer().into(), Value::I32(99)];
                    assert_eq!(guest.call::<i32>("read", &args).unwrap(), 42);
                }
            });
        }
    });
    println!("traps went on");
}
