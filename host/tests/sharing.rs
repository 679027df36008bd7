//! Who may use a region at the same time: guests on threads, guests within each other's
//! calls, the host, and a guest's own windows and pointers.

mod guests;

use genkan_host::{
    Access, Engine, Error, Functions, Guest, Module, PointerProblem, Region, RegionUser, Setup,
    Value, WindowProblem,
};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};

/// A guest that calls its host, and one that does not.
const ASKING: &str = r#"(module
    (import "env" "ask" (func $ask))
    (import "genkan" "write_u8" (func $write (param i64 i32 i32)))
    (import "genkan" "read_u8" (func $read (param i64 i32) (result i32)))
    (func (export "ask") (call $ask))
    (func (export "write") (param i64 i32) (call $write (local.get 0) (i32.const 0) (local.get 1)))
    (func (export "read") (param i64) (result i32) (call $read (local.get 0) (i32.const 0))))"#;

fn module() -> Module {
    Engine::default().compile(ASKING.as_bytes()).unwrap()
}

/// A guest whose function `ask` does this at the host.
fn asking(
    module: &Module,
    ask: impl Fn() -> Result<(), Box<dyn std::error::Error + Send + Sync>> + Send + Sync + 'static,
) -> Guest {
    let mut functions = Functions::default();
    functions.add("env", "ask", move |_, _| ask().map(|()| Vec::new()));
    Guest::with(module, Setup::new().functions(functions)).unwrap()
}

fn idle(module: &Module) -> Guest {
    asking(module, || Ok(()))
}

/// The user that an error names, of this region.
fn user(error: &Error, region: &Region) -> RegionUser {
    let message = error.to_string();
    assert!(message.contains(&region.pointer().to_string()), "{message}");
    match error {
        Error::RegionInUse { region: named, by } if *named == region.pointer() => *by,
        other => panic!("{other:?}"),
    }
}

/// What happens to a guest's call while another one is in the middle of its own, on
/// another thread.
fn meanwhile(first: Access, second: Access) -> Result<i32, Error> {
    let module = module();
    let region = Arc::new(Region::copy_of(&[7]).unwrap());
    let begun = Arc::new(Barrier::new(2));
    let over = Arc::new(Barrier::new(2));
    let runner = std::thread::spawn({
        let (module, region) = (module.clone(), Arc::clone(&region));
        let (begun, over) = (Arc::clone(&begun), Arc::clone(&over));
        move || {
            let mut guest = asking(&module, move || {
                begun.wait();
                over.wait();
                Ok(())
            });
            guest.grant(&region, first).unwrap();
            guest.call::<()>("ask", ()).unwrap();
        }
    });
    begun.wait();
    let mut guest = idle(&module);
    guest.grant(&region, second).unwrap();
    let args = [region.pointer().into()];
    let outcome = guest.call::<i32>("read", &args);
    if let Err(error) = &outcome {
        assert_eq!(user(error, &region), RegionUser::Guest);
    }
    over.wait();
    runner.join().unwrap();
    // The other one is over.
    assert_eq!(guest.call::<i32>("read", &args).unwrap(), 7);
    outcome
}

#[test]
fn a_writing_guest_runs_alone_with_its_region() {
    use Access::{Read, ReadWrite, SharedRead, SharedReadWrite};
    let all = [Read, ReadWrite, SharedRead, SharedReadWrite];
    for first in all {
        for second in all {
            let shared = |access| matches!(access, SharedRead | SharedReadWrite);
            let together = first == Read && second == Read || shared(first) && shared(second);
            let outcome = meanwhile(first, second);
            assert_eq!(
                outcome.is_ok(),
                together,
                "{first:?} {second:?}: {outcome:?}"
            );
        }
    }
}

#[test]
fn of_two_that_begin_at_once_one_runs() {
    let module = module();
    let region = Region::zeroed(1).unwrap();
    let inside = Arc::new(Mutex::new(()));
    let ran = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let inside = Arc::clone(&inside);
                let mut guest = asking(&module, move || {
                    let _alone = inside.try_lock().map_err(|_| "two at once")?;
                    Ok(())
                });
                guest.grant(&region, Access::ReadWrite).unwrap();
                for _ in 0..20_000 {
                    match guest.call::<()>("ask", ()) {
                        Ok(()) => ran.fetch_add(1, Ordering::Relaxed),
                        Err(Error::RegionInUse { .. }) => continue,
                        Err(error) => panic!("{error}"),
                    };
                }
            });
        }
    });
    assert!(ran.into_inner() > 0);
}

#[test]
fn a_guest_within_another_ones_call() {
    let module = module();
    for (outer, inner, together) in [
        (Access::Read, Access::Read, true),
        (Access::ReadWrite, Access::Read, false),
        (Access::Read, Access::ReadWrite, false),
        (Access::ReadWrite, Access::ReadWrite, false),
        (Access::SharedReadWrite, Access::SharedReadWrite, true),
    ] {
        let region = Arc::new(Region::copy_of(&[7]).unwrap());
        let seen = Arc::new(Mutex::new(None));
        let mut guest = asking(&module, {
            let (module, region, seen) = (module.clone(), Arc::clone(&region), Arc::clone(&seen));
            move || {
                let mut within = idle(&module);
                within.grant(&region, inner)?;
                *seen.lock().unwrap() =
                    Some(within.call::<i32>("read", &[region.pointer().into()]));
                Ok(())
            }
        });
        guest.grant(&region, outer).unwrap();
        guest.call::<()>("ask", ()).unwrap();
        match seen.lock().unwrap().take().unwrap() {
            Ok(value) => assert!(together && value == 7, "{outer:?} {inner:?}"),
            Err(error) => {
                assert!(!together, "{outer:?} {inner:?}");
                assert_eq!(user(&error, &region), RegionUser::Guest);
            }
        }
    }
}

#[test]
fn the_host_holds_no_slice_while_a_guest_writes() {
    let module = module();
    let mut region = Region::zeroed(8).unwrap();
    let mut guest = idle(&module);
    guest.grant(&region, Access::ReadWrite).unwrap();
    let args = [Value::from(region.pointer()), Value::I32(1)];
    // Whatever ran before is over.
    guest.call::<()>("write", &args).unwrap();
    region.as_mut_slice().unwrap()[1] = 2;
    let slice = region.as_slice().unwrap();
    let error = guest.call::<()>("write", &args).unwrap_err();
    assert_eq!(user(&error, &region), RegionUser::Host);
    drop(slice);
    let atomics = region.as_atomics::<AtomicU8>().unwrap();
    let error = guest.call::<()>("write", &args).unwrap_err();
    assert_eq!(user(&error, &region), RegionUser::Host);
    drop(atomics);
    guest.call::<()>("write", &args).unwrap();
    assert_eq!(region.as_slice().unwrap()[..2], [1, 2]);
    // A reader is no hindrance to readers.
    guest.grant(&region, Access::Read).unwrap();
    let slice = region.as_slice().unwrap();
    assert_eq!(guest.call::<i32>("read", &args[..1]).unwrap(), 1);
    drop(slice);
}

#[test]
fn a_host_function_takes_a_slice_of_what_its_guest_writes() {
    let module = module();
    for (access, allowed) in [
        (Access::Read, true),
        (Access::ReadWrite, false),
        (Access::SharedRead, false),
    ] {
        let region = Arc::new(Region::zeroed(8).unwrap());
        let mut guest = asking(&module, {
            let region = Arc::clone(&region);
            move || {
                region.as_slice()?;
                Ok(())
            }
        });
        guest.grant(&region, access).unwrap();
        assert_eq!(guest.call::<()>("ask", ()).is_ok(), allowed, "{access:?}");
        drop(region.as_slice().unwrap());
    }
}

/// A guest with windows and pointers, the latter inlined, called and copying.
const WINDOWS: &str = r#"(module
    (import "env" "memory" (memory 1))
    (import "genkan" "try_map" (func $try_map (param i64 i32 i32) (result i64)))
    (import "genkan" "map" (func $map (param i64 i32 i32) (result i32)))
    (import "genkan" "unmap" (func $unmap (param i32)))
    (import "genkan" "check" (func $check (param i64 i64 i32) (result i32)))
    (import "genkan" "len" (func $len (param i64) (result i64)))
    (import "genkan" "read_u8" (func $read_u8 (param i64 i32) (result i32)))
    (import "genkan" "write_u8" (func $write_u8 (param i64 i32 i32)))
    (import "genkan" "read_into" (func $read_into (param i64 i32 i32)))
    (import "genkan" "write_from" (func $write_from (param i64 i32 i32)))
    (import "genkan" "compare_exchange_u32"
        (func $exchange (param i64 i32 i32 i32) (result i32)))
    (export "try_map" (func $try_map)) (export "map" (func $map)) (export "unmap" (func $unmap))
    (export "check" (func $check)) (export "len" (func $len))
    (export "read_called" (func $read_u8)) (export "write_called" (func $write_u8))
    (func (export "len_inlined") (param i64) (result i64) (call $len (local.get 0)))
    (func (export "read_inlined") (param i64 i32) (result i32)
        (call $read_u8 (local.get 0) (local.get 1)))
    (func (export "write_inlined") (param i64 i32 i32)
        (call $write_u8 (local.get 0) (local.get 1) (local.get 2)))
    (func (export "read_copied") (param i64 i32) (result i32)
        (call $read_into (i64.add (local.get 0) (i64.extend_i32_u (local.get 1)))
            (i32.const 0) (i32.const 1))
        (i32.load8_u (i32.const 0)))
    (func (export "write_copied") (param i64 i32 i32)
        (i32.store8 (i32.const 0) (local.get 2))
        (call $write_from (i64.add (local.get 0) (i64.extend_i32_u (local.get 1)))
            (i32.const 0) (i32.const 1)))
    (func (export "write_exchanged") (param i64 i32 i32)
        (drop (call $exchange (local.get 0) (local.get 1) (i32.const 0) (local.get 2))))
    (func (export "nothing_copied") (param i64 i32)
        (call $write_from (i64.add (local.get 0) (i64.extend_i32_u (local.get 1)))
            (i32.const 0) (i32.const 0)))
    (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1))))"#;

/// Kinds of windows.
const READ: i32 = 0;
const WRITE: i32 = 1;
const SLICE: i32 = 2;

fn map(guest: &mut Guest, region: &Region, at: u32, len: u32, kind: i32) -> i64 {
    let args = [
        Value::from(region.pointer() + at),
        len.into(),
        Value::I32(kind),
    ];
    guest.call("try_map", &args).unwrap()
}

#[test]
fn no_window_overlaps_one_that_can_be_written() {
    let region = Region::zeroed(10_000).unwrap();
    let other = Region::zeroed(10_000).unwrap();
    let mut guest = guests::wat(WINDOWS);
    for region in [&region, &other] {
        guest.grant(region, Access::ReadWrite).unwrap();
    }
    for kinds in [0, SLICE] {
        let mut mapped = |region, at, len, kind| map(&mut guest, region, at, len, kind | kinds);
        let first = mapped(&region, 100, 50, WRITE);
        assert!(first > 0);
        for (at, len) in [(100, 50), (99, 2), (149, 1), (0, 10_000), (120, 1)] {
            assert_eq!(mapped(&region, at, len, WRITE), -5, "{at} {len}");
            assert_eq!(mapped(&region, at, len, READ), -5, "{at} {len}");
        }
        // Next to it, and in another region, and once it is given back.
        let mut more = vec![
            mapped(&region, 150, 50, WRITE),
            mapped(&region, 0, 100, READ),
            mapped(&region, 0, 100, READ),
            mapped(&other, 100, 50, WRITE),
        ];
        assert!(more.iter().all(|address| *address > 0), "{more:?}");
        assert_eq!(mapped(&region, 99, 1, WRITE), -5);
        guest
            .call::<()>("unmap", &[Value::I32(first as i32)])
            .unwrap();
        let mut mapped = |region, at, len, kind| map(&mut guest, region, at, len, kind | kinds);
        let reader = mapped(&region, 100, 50, READ);
        assert!(reader > 0 && mapped(&region, 110, 1, WRITE) == -5);
        more.push(reader);
        for address in more {
            guest
                .call::<()>("unmap", &[Value::I32(address as i32)])
                .unwrap();
        }
    }
    map(&mut guest, &region, 0, 10, WRITE);
    let args = [region.pointer().into(), 10u32.into(), Value::I32(READ)];
    let error = guest.call::<i32>("map", &args).unwrap_err();
    let Error::Window { problem, .. } = &error else {
        panic!("{error:?}");
    };
    let region = region.pointer();
    assert_eq!(*problem, WindowProblem::Overlaps { region });
}

#[test]
fn pointers_do_not_contradict_a_slice() {
    let region = Region::zeroed(10_000).unwrap();
    let p = Value::from(region.pointer());
    let module = Engine::default().compile(WINDOWS.as_bytes()).unwrap();
    for (kind, reads, writes) in [
        (READ, true, true),
        (WRITE, true, true),
        (SLICE, true, false),
        (SLICE | WRITE, false, false),
    ] {
        for way in ["called", "inlined", "copied", "exchanged"] {
            for (at, outside) in [(0, true), (5000, false), (5999, false), (9000, false)] {
                let at: u32 = if way == "exchanged" { at / 4 * 4 } else { at };
                for write in [false, true] {
                    if way == "exchanged" && !write {
                        continue;
                    }
                    let mut guest = Guest::new(&module).unwrap();
                    guest.grant(&region, Access::ReadWrite).unwrap();
                    let window = map(&mut guest, &region, 4000, 2000, kind);
                    let allowed = outside || if write { writes } else { reads };
                    let check = [p, Value::I64(i64::from(at) + 1), Value::from(write)];
                    let status: i32 = guest.call("check", &check).unwrap();
                    assert_eq!(status, if allowed { 0 } else { 5 }, "{kind} {way} {at}");
                    let all: u64 = guest.call("len", &[p]).unwrap();
                    assert_eq!(
                        (all, guest.call::<u64>("len_inlined", &[p]).unwrap()),
                        (10_000, all)
                    );
                    let call = |guest: &mut Guest| match write {
                        true => guest.call::<Vec<Value>>(
                            &format!("write_{way}"),
                            &[p, at.into(), Value::I32(0)],
                        ),
                        false => guest.call::<Vec<Value>>(&format!("read_{way}"), &[p, at.into()]),
                    };
                    // A copy of no bytes touches none.
                    guest.call::<()>("nothing_copied", &[p, at.into()]).unwrap();
                    match call(&mut guest) {
                        Ok(_) => assert!(allowed, "{kind} {way} {at}"),
                        Err(Error::Pointer(error)) => {
                            assert!(!allowed, "{kind} {way} {at}: {error}");
                            let problem = PointerProblem::InWindow {
                                region: region.pointer(),
                                start: 4000,
                            };
                            assert_eq!(error.problem, problem);
                            continue;
                        }
                        Err(error) => panic!("{error:?}"),
                    }
                    // Without the window all is allowed.
                    let window = Value::I32(window as i32);
                    guest.call::<()>("unmap", &[window]).unwrap();
                    call(&mut guest).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_slice_that_is_kept_ends_when_others_write() {
    let module = Engine::default().compile(WINDOWS.as_bytes()).unwrap();
    let mut region = Region::copy_of(&[1, 2, 3]).unwrap();
    let mut writer = guests::wat(ASKING_NOT);
    writer.grant(&region, Access::ReadWrite).unwrap();
    let changes: [&mut dyn FnMut(&mut Region); 3] = [
        &mut |region| region.as_mut_slice().unwrap()[0] = 9,
        &mut |region| region.as_atomics::<AtomicU8>().unwrap()[0].store(9, Ordering::Relaxed),
        &mut |region| {
            let args = [region.pointer().into(), Value::I32(9)];
            writer.call::<()>("write", &args).unwrap()
        },
    ];
    for change in changes {
        for (kind, access) in [
            (READ, Access::ReadWrite),
            (SLICE, Access::Read),
            (SLICE, Access::ReadWrite),
            (SLICE | WRITE, Access::ReadWrite),
        ] {
            region.as_mut_slice().unwrap()[0] = 1;
            let mut guest = Guest::new(&module).unwrap();
            guest.grant(&region, access).unwrap();
            let window = Value::I32(map(&mut guest, &region, 0, 3, kind) as i32);
            // What others read is no change.
            assert_eq!(region.as_slice().unwrap()[0], 1);
            assert_eq!(guest.call::<i32>("load", &[window]).unwrap(), 1);
            change(&mut region);
            match guest.call::<i32>("load", &[window]) {
                Ok(value) => assert!(kind & SLICE == 0 && value == 9),
                Err(Error::RegionGone(_)) => assert_ne!(kind & SLICE, 0),
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

const ASKING_NOT: &str = r#"(module
    (import "genkan" "write_u8" (func $write (param i64 i32 i32)))
    (func (export "write") (param i64 i32) (call $write (local.get 0) (i32.const 0) (local.get 1))))"#;

#[test]
fn what_is_shared_is_no_slice() {
    let region = Region::zeroed(100).unwrap();
    let mut guest = guests::wat(WINDOWS);
    for access in [Access::SharedRead, Access::SharedReadWrite] {
        guest.grant(&region, access).unwrap();
        assert_eq!(map(&mut guest, &region, 0, 10, SLICE), -6);
        assert!(map(&mut guest, &region, 0, 10, READ) > 0);
        let writable = map(&mut guest, &region, 0, 10, WRITE);
        assert_eq!(
            writable > 0,
            access == Access::SharedReadWrite,
            "{writable}"
        );
    }
    let file = Region::from_file(file!().strip_prefix("host/").unwrap()).unwrap();
    let error = guest.grant(&file, Access::SharedRead).unwrap_err();
    assert!(matches!(error, Error::RegionReadOnly), "{error:?}");
}

/// Counts in a region, 32 and 64 bits wide.
const COUNTER: &str = r#"
use genkan_guest::HostPtr;

#[no_mangle]
pub extern "C" fn count(data: HostPtr, times: u32) {
    for _ in 0..times {
        data.update::<u32>(0, |n| n + 1);
        data.update::<i64>(8, |n| n - 1);
    }
}

/// Passes numbers on: whoever sees one sees what was written before it.
#[no_mangle]
pub extern "C" fn put(data: HostPtr, number: u64) {
    let window = data.all().map_shared_mut();
    window.set::<u64>(24, number);
    while data.compare_exchange::<u32>(16, 0, 1).is_err() {}
    assert!(window.get::<u64>(24) == number || window.get::<u32>(16) == 0);
}

#[no_mangle]
pub extern "C" fn take(data: HostPtr) -> u64 {
    let window = data.all().map_shared_mut();
    loop {
        if data.compare_exchange::<u32>(16, 1, 2).is_ok() {
            let number = window.get(24);
            window.set::<u32>(16, 0);
            return number;
        }
    }
}

/// Uses a window and a pointer at once, in each way: the last that the window shows.
#[no_mangle]
pub extern "C" fn contradict(data: HostPtr, how: u32) -> u32 {
    match how {
        0 => {
            let window = data.all().map();
            let slice: &[u8] = &window;
            data.write::<u8>(0, slice[0] + 1);
            slice[0].into()
        }
        1 => {
            let mut window = data.all().map_mut();
            let slice: &mut [u8] = &mut window;
            slice[0] = 5;
            let read = data.read::<u8>(0);
            slice[0] = read + 1;
            slice[0].into()
        }
        2 => {
            let one = data.all().map_mut();
            let other = data.all().map_mut();
            u32::from(one[0]) + u32::from(other[0])
        }
        3 => {
            let window = data.all().map();
            let read = data.read::<u8>(0);
            u32::from(window[0]) + u32::from(read)
        }
        4 => {
            let mut window = data.slice(8).map_mut();
            u32::from(data.slice(4).try_map().is_err())
                + u32::from(data.try_read::<u8>(0).is_err())
                + u32::from(data.try_write::<u8>(0, 1).is_err())
                + u32::from(data.try_read_into(&mut window).is_err())
                + u32::from((data + 8).slice(8).try_map_mut().is_ok())
        }
        _ => {
            core::mem::forget(data.all().map());
            0
        }
    }
}
"#;

#[test]
fn two_threads_count_in_one_region() {
    let module = guests::load(&guests::rust("sharing-counter", COUNTER));
    let region = Region::zeroed(32).unwrap();
    const TIMES: u32 = 50_000;
    let words = region.as_atomics::<AtomicU32>().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut guest = Guest::new(&module).unwrap();
                guest.grant(&region, Access::SharedReadWrite).unwrap();
                let args = [region.pointer().into(), TIMES.into()];
                guest.call::<()>("count", &args).unwrap();
            });
        }
        for _ in 0..TIMES {
            words[0].fetch_add(1, Ordering::Relaxed);
        }
    });
    assert_eq!(words[0].load(Ordering::Relaxed), 3 * TIMES);
    drop(words);
    let numbers = region.as_atomics::<AtomicU64>().unwrap();
    assert_eq!(
        numbers[1].load(Ordering::Relaxed) as i64,
        -2 * i64::from(TIMES)
    );
}

#[test]
fn guests_on_two_threads_pass_numbers_on() {
    let module = guests::load(&guests::rust("sharing-passes", COUNTER));
    let region = Region::zeroed(32).unwrap();
    let run = |call: &dyn Fn(&mut Guest, Value)| {
        let mut guest = Guest::new(&module).unwrap();
        guest.grant(&region, Access::SharedReadWrite).unwrap();
        call(&mut guest, region.pointer().into());
    };
    std::thread::scope(|scope| {
        let taking = scope.spawn(|| {
            let mut taken = Vec::new();
            let taken_from = Mutex::new(&mut taken);
            run(&|guest, p| {
                for _ in 0..1000 {
                    let number: u64 = guest.call("take", &[p]).unwrap();
                    taken_from.lock().unwrap().push(number);
                }
            });
            taken
        });
        run(&|guest, p| {
            for number in 0..1000u64 {
                guest.call::<()>("put", &[p, number.into()]).unwrap();
                let words = region.as_atomics::<AtomicU32>().unwrap();
                while words[4].load(Ordering::Acquire) != 0 {
                    std::thread::yield_now();
                }
            }
        });
        assert!(taking.join().unwrap().into_iter().eq(0..1000));
    });
}

/// Of a guest with a memory of its own, the host copies.
#[test]
fn copies_of_what_is_shared() {
    let importing = WINDOWS.replace(r#"(import "env" "memory" (memory 1))"#, "");
    let own = importing.replace("(export \"try_map\"", "(memory 1) (export \"try_map\"");
    let region = Region::copy_of(&[7; 8]).unwrap();
    for text in [WINDOWS, &own] {
        let mut guest = guests::wat(text);
        guest.grant(&region, Access::SharedReadWrite).unwrap();
        let bytes = region.as_atomics::<AtomicU8>().unwrap();
        bytes[3].store(9, Ordering::Relaxed);
        let at = |at: u32| [region.pointer().into(), Value::from(at)];
        assert_eq!(guest.call::<i32>("read_copied", &at(3)).unwrap(), 9);
        let args = [region.pointer().into(), 4u32.into(), Value::I32(8)];
        guest.call::<()>("write_copied", &args).unwrap();
        assert_eq!(bytes[4].load(Ordering::Relaxed), 8);
        let error = guest.call::<i32>("read_copied", &at(8)).unwrap_err();
        assert!(matches!(error, Error::Pointer(_)), "{error:?}");
    }
}

#[test]
fn an_atomic_number_is_aligned() {
    let region = Region::zeroed(32).unwrap();
    let mut guest = guests::wat(WINDOWS);
    guest.grant(&region, Access::SharedReadWrite).unwrap();
    let args = |at: u32| [region.pointer().into(), at.into(), Value::I32(7)];
    guest.call::<()>("write_exchanged", &args(4)).unwrap();
    for (at, unaligned) in [(1, true), (2, true), (29, false), (32, false)] {
        let error = guests::call::<()>(&mut guest, "write_exchanged", &args(at)).unwrap_err();
        let Error::Pointer(error) = error else {
            panic!("{error:?}");
        };
        assert_eq!(
            error.problem == PointerProblem::Unaligned,
            unaligned,
            "{error}"
        );
    }
}

#[test]
fn safe_rust_cannot_change_what_a_slice_shows() {
    let module = guests::load(&guests::rust("sharing-contradict", COUNTER));
    let region = Region::copy_of(&[3; 16]).unwrap();
    let call = |how: u32| {
        let mut guest = Guest::new(&module).unwrap();
        guest.grant(&region, Access::ReadWrite).unwrap();
        guest.call::<u32>("contradict", &[region.pointer().into(), how.into()])
    };
    for how in [0, 1] {
        match call(how) {
            Err(Error::Pointer(error)) => {
                assert!(
                    matches!(error.problem, PointerProblem::InWindow { .. }),
                    "{error}"
                );
                assert_eq!(error.write, how == 0);
            }
            other => panic!("{how}: {other:?}"),
        }
    }
    assert!(matches!(call(2), Err(Error::Window { .. })));
    assert_eq!(call(3).unwrap(), 10);
    assert_eq!(call(4).unwrap(), 5);
    assert_eq!(call(5).unwrap(), 0);
}

#[test]
fn many_regions_are_looked_at_when_somebody_else_used_them() {
    let module = module();
    let mut guest = idle(&module);
    let mut regions: Vec<Region> = (0..3000).map(|_| Region::zeroed(1).unwrap()).collect();
    for region in &regions {
        guest.grant(region, Access::ReadWrite).unwrap();
    }
    for round in 1..100u8 {
        let index = usize::from(round) * 17;
        regions[index].as_mut_slice().unwrap()[0] = round;
        let args = [regions[index].pointer().into()];
        assert_eq!(guest.call::<i32>("read", &args).unwrap(), i32::from(round));
    }
    // All of them are the guest's while it runs, also those that it did not touch.
    let slice = regions[2999].as_slice().unwrap();
    let args = [regions[0].pointer().into()];
    let error = guest.call::<i32>("read", &args).unwrap_err();
    assert_eq!(user(&error, &regions[2999]), RegionUser::Host);
    drop(slice);
    guest.call::<i32>("read", &args).unwrap();
}
