//! What a hostile module, or an unlucky process, does to the host. Each attack has a
//! process of its own, whose exit is checked: it must end in the attack's own error,
//! and a good guest must run after it.

#![cfg(target_os = "linux")]

mod guests;
mod process;

use genkan_host::{
    Access, Config, Engine, Error, Guest, Limits, PointerProblem, Region, Setup, Value,
    WindowProblem,
};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Runs `attack` in a process of its own, where a good guest must run afterwards.
fn alone(test: &str, attack: impl FnOnce()) {
    process::alone(test, || {
        attack();
        works();
    });
}

/// A good guest runs, reads, and faults as it should.
fn works() {
    let mut good = guests::wat(READER);
    let region = Region::copy_of(&[1, 2, 3]).unwrap();
    good.grant(&region, Access::Read).unwrap();
    let read = |good: &mut Guest, offset: i32| {
        good.call::<i32>("read", &[region.pointer().into(), offset.into()])
    };
    assert_eq!(read(&mut good, 2).unwrap(), 3);
    assert!(matches!(read(&mut good, 3), Err(Error::Pointer(e))
        if matches!(e.problem, PointerProblem::OutOfBounds { .. })));
    let mut wild = guests::wat(
        r#"(module (memory (export "memory") 1)
            (func (export "f") (result i32) (i32.load (i32.const 0x10000000))))"#,
    );
    let error = wild.call::<i32>("f", &[]).unwrap_err();
    assert!(error.to_string().contains("out of bounds"), "{error}");
}

const READER: &str = r#"(module
    (import "env" "read" (func $read (param i64 i32) (result i32)))
    (func (export "read") (param i64 i32) (result i32)
        (call $read (local.get 0) (local.get 1))))"#;

const WINDOWS: &str = r#"(module
    (import "genkan" "map" (func $map (param i64 i32 i32) (result i32)))
    (import "genkan" "unmap" (func $unmap (param i32)))
    (memory (export "memory") 1)
    (func (export "map") (param i64 i32 i32) (result i32)
        (call $map (local.get 0) (local.get 1) (local.get 2)))
    (func (export "many") (param i64 i32) (result i32) (local i32)
        (loop
            (drop (call $map (local.get 0) (i32.const 1) (i32.const 0)))
            (local.set 2 (i32.add (local.get 2) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get 2) (local.get 1))))
        (local.get 2))
    (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1))))"#;

fn map(guest: &mut Guest, region: &Region, len: u32, write: bool) -> i32 {
    let args = [region.pointer().into(), len.into(), write.into()];
    guest.call("map", &args).unwrap()
}

#[test]
fn a_table_grows_without_end() {
    alone("a_table_grows_without_end", || {
        let mut greedy = guests::wat(
            r#"(module (table $t 1 funcref) (func (export "grow") (result i32)
                (table.grow $t (ref.null func) (i32.const -1))))"#,
        );
        assert_eq!(greedy.call::<i32>("grow", &[]).unwrap(), -1);
    });
}

/// Two function types that the engine gives one hash.
fn colliding_types() -> [Vec<wasmer::Type>; 2] {
    use wasmer::Type::{F32, F64, I32, I64};
    let mut seen = HashMap::new();
    for number in 0u64.. {
        // Spread over all bits: the hash tells near ones apart.
        let bits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let params: Vec<_> = (0..24)
            .map(|i| [I32, I64, F32, F64][(bits >> (2 * i) & 3) as usize])
            .collect();
        let hash = wasmer::FunctionType::new(params.clone(), []).signature_hash();
        match seen.insert(hash, params.clone()) {
            Some(other) if other != params => return [other, params],
            _ => {}
        }
    }
    unreachable!("there are more types than hashes")
}

#[test]
fn types_of_two_tenants_collide() {
    alone("types_of_two_tenants_collide", || {
        let types = colliding_types().map(|params| {
            let params: Vec<_> = params
                .iter()
                .map(|ty| ty.to_string().to_lowercase())
                .collect();
            params.join(" ")
        });
        let engine = Engine::default();
        let guests: Vec<_> = types
            .iter()
            .map(|params| {
                let text = format!(
                    r#"(module (func (export "g") (param {params}))
                        (func (export "f") (result i32) (i32.const 7)))"#
                );
                Guest::new(&engine.compile(text.as_bytes()).unwrap()).unwrap()
            })
            .collect();
        for mut guest in guests {
            assert_eq!(guest.call::<i32>("f", &[]).unwrap(), 7);
        }
        let both = format!(
            "(module (func (param {})) (func (param {})))",
            types[0], types[1]
        );
        let error = engine.compile(both.as_bytes()).err().unwrap();
        assert!(matches!(error, Error::Compile(_)), "{error:?}");
    });
}

/// A name in Rust's mangling where each part is twice the part before it.
fn endless_name() -> String {
    let mut name = String::from("_RIC1a");
    let mut at = name.len() - 2;
    name.push_str("TllE");
    for _ in 0..60 {
        let digits = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        // Base 62, less one, ended by `_`; 0 is `_` alone.
        let mut number = at - 1;
        let mut text = Vec::new();
        loop {
            text.push(digits[number % 62]);
            number /= 62;
            if number == 0 {
                break;
            }
        }
        text.reverse();
        let back = format!("B{}_", String::from_utf8(text).unwrap());
        at = name.len() - 2;
        write!(name, "T{back}{back}E").unwrap();
    }
    name.push('E');
    name
}

#[test]
fn names_demangle_without_end() {
    alone("names_demangle_without_end", || {
        let names = [endless_name(), format!("_ZN89990{}E", "a".repeat(89_990))];
        for name in names {
            let mut guest = guests::wat(&format!(
                r#"(module (func ${name} (export "f") (param i32)
                    (if (i32.eqz (local.get 0)) (then unreachable))
                    (call ${name} (i32.sub (local.get 0) (i32.const 1)))))"#
            ));
            let start = Instant::now();
            let Err(Error::Trap { trace, .. }) = guest.call::<()>("f", &[1000.into()]) else {
                panic!("it traps")
            };
            assert!(
                start.elapsed() < Duration::from_secs(2),
                "{:?}",
                start.elapsed()
            );
            assert_eq!(trace.depth(), 1001);
            assert!(trace.frames().all(|frame| frame.name.len() < 3000));
            let text = trace.to_string();
            assert!(text.ends_with("… 1,000 more like this one"), "{text}");
        }
    });
}

#[test]
fn bytes_behind_a_regions_end_are_not_kept() {
    alone("bytes_behind_a_regions_end_are_not_kept", || {
        let region = Region::zeroed(10).unwrap();
        let mut writer = guests::wat(WINDOWS);
        let mut reader = guests::wat(WINDOWS);
        writer.grant(&region, Access::ReadWrite).unwrap();
        reader.grant(&region, Access::Read).unwrap();
        let to = map(&mut writer, &region, 10, true);
        let from = map(&mut reader, &region, 10, false);
        let load = |guest: &mut Guest, at: i32| guest.call::<i32>("load", &[at.into()]).unwrap();
        for at in [9, 10, 2000, 4095] {
            let args = [(to + at).into(), 42.into()];
            writer.call::<()>("store", &args).unwrap();
            let expected = if at < 10 { 42 } else { 0 };
            assert_eq!(load(&mut reader, from + at), expected, "{at}");
            assert_eq!(load(&mut writer, to + at), expected, "{at}");
        }
    });
}

#[test]
fn a_file_grows_after_it_was_granted() {
    alone("a_file_grows_after_it_was_granted", || {
        for len in [6, 4096 + 6, 8192] {
            let path = guests::folder().join(format!("grows-{len}"));
            std::fs::write(&path, vec![7; len]).unwrap();
            let region = Region::from_file(&path).unwrap();
            let mut guest = guests::wat(WINDOWS);
            guest.grant(&region, Access::Read).unwrap();
            let early = map(&mut guest, &region, len as u32, false);
            std::fs::write(&path, vec![9; 3 * 4096]).unwrap();
            let late = map(&mut guest, &region, len as u32, false);
            for window in [early, late] {
                for at in len..len.next_multiple_of(4096) {
                    let at = window + at as i32;
                    assert_eq!(guest.call::<i32>("load", &[at.into()]).unwrap(), 0);
                }
            }
            std::fs::remove_file(&path).unwrap();
        }
    });
}

#[test]
fn a_guest_maps_windows_without_end() {
    alone("a_guest_maps_windows_without_end", || {
        let region = Region::zeroed(1).unwrap();
        let mut guest = guests::wat(WINDOWS);
        guest.grant(&region, Access::Read).unwrap();
        let args = [region.pointer().into(), 70_000.into()];
        let error = guest.call::<i32>("many", &args).unwrap_err();
        let too_many = matches!(
            error,
            Error::Window {
                problem: WindowProblem::TooMany { limit: 1000 },
                ..
            }
        );
        assert!(too_many, "{error:?}");
        drop(region);
        works();
    });
}

/// Many guests together use up what mappings the process may have; regions are
/// revoked meanwhile, and all is well again once the guests are gone.
#[test]
fn mappings_run_out_and_come_back() {
    alone("mappings_run_out_and_come_back", || {
        let module = Engine::default().compile(WINDOWS.as_bytes()).unwrap();
        for _ in 0..2 {
            let mut held = Vec::new();
            let error = loop {
                let mut attempt = || -> Result<(), Error> {
                    let mut guest = Guest::new(&module)?;
                    let region = Region::zeroed(4096)?;
                    guest.grant(&region, Access::Read)?;
                    let args = [region.pointer().into(), 1000.into()];
                    let mapped = guest.call::<i32>("many", &args);
                    held.push((guest, Some(region)));
                    mapped.map(drop)
                };
                if let Err(error) = attempt() {
                    break error;
                }
                assert!(held.len() < 200, "65,530 mappings are no limit here");
            };
            let expected = matches!(error, Error::Memory(_) | Error::Instantiate(_));
            assert!(expected, "{error:?}");
            // Each gives up its windows, or all that it has.
            for (guest, region) in &mut held {
                drop(region.take());
                let error = guest.call::<i32>("load", &[(1 << 16).into()]).unwrap_err();
                assert!(
                    matches!(
                        error,
                        Error::RegionGone(_) | Error::WindowAccess { .. } | Error::Poisoned { .. }
                    ),
                    "{error:?}"
                );
            }
            drop(held);
            works();
        }
    });
}

/// Sets a limit of this process's.
fn set_limit(resource: libc::__rlimit_resource_t, value: u64) {
    let limit = libc::rlimit {
        rlim_cur: value,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: gives the system a valid value, and touches no memory.
    unsafe {
        let mut old: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(resource, &mut old);
        let limit = libc::rlimit {
            rlim_max: old.rlim_max,
            ..limit
        };
        assert_eq!(libc::setrlimit(resource, &limit), 0);
    }
}

#[test]
fn addresses_run_out_and_come_back() {
    alone("addresses_run_out_and_come_back", || {
        works();
        set_limit(libc::RLIMIT_AS, 200 << 30);
        let module = Engine::default().compile(WINDOWS.as_bytes()).unwrap();
        for _ in 0..2 {
            let mut held = Vec::new();
            let error = loop {
                match Guest::new(&module) {
                    Ok(guest) => held.push(guest),
                    Err(error) => break error,
                }
            };
            let expected = matches!(error, Error::Memory(_) | Error::Instantiate(_));
            assert!(expected && held.len() > 5, "{error:?} after {}", held.len());
            drop(held);
            works();
        }
    });
}

#[test]
fn descriptors_run_out_and_come_back() {
    alone("descriptors_run_out_and_come_back", || {
        works();
        set_limit(libc::RLIMIT_NOFILE, 100);
        for _ in 0..2 {
            let mut held = Vec::new();
            let error = loop {
                match Region::zeroed(10) {
                    Ok(region) => held.push(region),
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, Error::Memory(_)), "{error:?}");
            drop(held);
            works();
        }
    });
}

/// Small regions share descriptors, and nothing else.
#[test]
fn many_regions_need_few_descriptors() {
    alone("many_regions_need_few_descriptors", || {
        works();
        set_limit(libc::RLIMIT_NOFILE, 100);
        let bytes = |nth: u16| [nth.to_le_bytes(); 9].concat();
        for _ in 0..2 {
            let regions: Vec<Region> = (0..10_000)
                .map(|nth| Region::copy_of(&bytes(nth)).unwrap())
                .collect();
            for (nth, region) in (0..).zip(&regions) {
                assert_eq!(*region.as_slice().unwrap(), bytes(nth));
            }
            drop(regions);
            let fresh = Region::zeroed(4096).unwrap();
            assert!(fresh.as_slice().unwrap().iter().all(|byte| *byte == 0));
        }
    });
}

#[test]
fn many_parts_are_not_written_at_once() {
    alone("many_parts_are_not_written_at_once", || {
        let mut guest = guests::wat(
            r#"(module
                (import "wasi_snapshot_preview1" "fd_write"
                    (func $write (param i32 i32 i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "random_get"
                    (func $random (param i32 i32) (result i32)))
                (memory (export "memory") 1)
                (func (export "write") (param i32) (result i32)
                    (call $write (i32.const 1) (i32.const 0) (local.get 0) (i32.const 8)))
                (func (export "random") (param i32) (result i32)
                    (call $random (i32.const 0) (local.get 0))))"#,
        );
        let start = Instant::now();
        const EINVAL: i32 = 28;
        assert_eq!(
            guest.call::<i32>("write", &[(1 << 28).into()]).unwrap(),
            EINVAL
        );
        assert_eq!(
            guest.call::<i32>("random", &[i32::MAX.into()]).unwrap(),
            EINVAL
        );
        assert!(start.elapsed() < Duration::from_millis(100));
    });
}

/// The embedder's own handler of SIGBUS goes on working, and so do guests.
#[test]
fn the_embedder_handles_bus_errors_of_its_own() {
    static HANDLED: AtomicUsize = AtomicUsize::new(0);
    static PAGE: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn handle(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
        HANDLED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: puts memory where the truncated file was mapped, and nothing else is.
        unsafe {
            libc::mmap(
                PAGE.load(Ordering::Relaxed) as *mut libc::c_void,
                4096,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                -1,
                0,
            );
        }
    }

    alone("the_embedder_handles_bus_errors_of_its_own", || {
        // SAFETY: installs a handler of the type that SA_SIGINFO asks for.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_flags = libc::SA_SIGINFO;
            action.sa_sigaction = handle as *const () as usize;
            libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut());
        }
        works();
        for round in 1..=3 {
            let file = tempfile::tempfile().unwrap();
            // SAFETY: maps a page of an empty file, where touching it is a SIGBUS that
            // the handler above answers.
            let byte = unsafe {
                let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
                let page = libc::mmap(
                    std::ptr::null_mut(),
                    4096,
                    libc::PROT_READ,
                    libc::MAP_SHARED,
                    fd,
                    0,
                );
                PAGE.store(page as usize, Ordering::Relaxed);
                page.cast::<u8>().read_volatile()
            };
            assert_eq!((byte, HANDLED.load(Ordering::Relaxed)), (0, round));
            works();
        }
        // A guest's own bus error is still the guest's.
        let path = guests::folder().join("truncated-bus");
        std::fs::write(&path, vec![7; 8192]).unwrap();
        let region = Region::from_file(&path).unwrap();
        let mut guest = guests::wat(WINDOWS);
        guest.grant(&region, Access::Read).unwrap();
        let window = map(&mut guest, &region, 8192, false);
        std::fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(0)
            .unwrap();
        let error = guest.call::<i32>("load", &[window.into()]).unwrap_err();
        assert!(matches!(error, Error::RegionGone(_)), "{error:?}");
        assert_eq!(HANDLED.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn faults_are_answered_with_all_signals_blocked() {
    alone("faults_are_answered_with_all_signals_blocked", || {
        let thread = std::thread::spawn(|| {
            // SAFETY: changes this thread's signal mask and nothing else.
            unsafe {
                let mut all: libc::sigset_t = std::mem::zeroed();
                libc::sigfillset(&mut all);
                libc::pthread_sigmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
            }
            works();
        });
        thread.join().unwrap();
    });
}

#[test]
fn a_long_copy_does_not_delay_a_revocation() {
    alone("a_long_copy_does_not_delay_a_revocation", || {
        let size = 256 << 20;
        let region = Region::zeroed(size).unwrap();
        let pointer = region.pointer();
        static RUNS: AtomicBool = AtomicBool::new(false);
        let (send, receive) = std::sync::mpsc::channel();
        let copier = std::thread::spawn(move || {
            let module = Engine::default().compile(
                br#"(module
                    (import "genkan" "read_into" (func $read (param i64 i32 i32)))
                    (memory (export "memory") 5000)
                    (func (export "run") (param i64 i32)
                        (loop (call $read (local.get 0) (i32.const 0) (local.get 1)) (br 0))))"#,
            );
            let mut guest = Guest::new(&module.unwrap()).unwrap();
            let region: Region = receive.recv().unwrap();
            guest.grant(&region, Access::Read).unwrap();
            let region = std::sync::Arc::new(std::sync::Mutex::new(Some(region)));
            let other = std::sync::Arc::clone(&region);
            let revoker = std::thread::spawn(move || {
                while !RUNS.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
                std::thread::sleep(Duration::from_millis(50));
                let start = Instant::now();
                drop(other.lock().unwrap().take());
                start.elapsed()
            });
            RUNS.store(true, Ordering::Release);
            let args = [pointer.into(), (size as u32).into()];
            let error = guest.call::<()>("run", &args).unwrap_err();
            (error, revoker.join().unwrap())
        });
        send.send(region).unwrap();
        let (error, took) = copier.join().unwrap();
        assert!(
            matches!(error, Error::Pointer(_) | Error::RegionGone(_)),
            "{error:?}"
        );
        assert!(took < Duration::from_millis(200), "{took:?}");
    });
}

#[test]
fn one_region_is_granted_again_and_again() {
    alone("one_region_is_granted_again_and_again", || {
        let region = Region::zeroed(10).unwrap();
        let mut guest = guests::wat(READER);
        let mut round = || {
            let start = Instant::now();
            for _ in 0..5000 {
                guest.grant(&region, Access::Read).unwrap();
            }
            start.elapsed()
        };
        let first = round();
        let last = (0..9).map(|_| round()).min().unwrap();
        assert!(last < 3 * first, "{first:?}, then {last:?}");
    });
}

/// A guest whose host function runs another guest, which faults.
#[test]
fn guests_are_nested() {
    alone("guests_are_nested", || {
        let mut setup = Setup::new();
        setup.functions.add("env", "inner", |_, _| {
            works();
            let mut inner = guests::wat(r#"(module (func (export "f") unreachable))"#);
            Ok(match inner.call::<()>("f", &[]) {
                Err(Error::Trap { .. }) => vec![Value::I32(1)],
                _ => vec![Value::I32(0)],
            })
        });
        let text = r#"(module (import "env" "inner" (func $inner (result i32)))
            (memory (export "memory") 1)
            (func (export "f") (result i32) (call $inner))
            (func (export "wild") (result i32)
                (drop (call $inner)) (i32.load (i32.const -4))))"#;
        let module = Engine::default().compile(text.as_bytes()).unwrap();
        let mut outer = Guest::with(&module, setup).unwrap();
        assert_eq!(outer.call::<i32>("f", &[]).unwrap(), 1);
        let error = outer.call::<i32>("wild", &[]).unwrap_err();
        assert!(error.to_string().contains("out of bounds"), "{error}");
    });
}

/// The child runs what was compiled before. It cannot compile: that needs threads,
/// which a fork does not take along.
#[test]
fn the_process_forks() {
    alone("the_process_forks", || {
        works();
        let module = Engine::default().compile(READER.as_bytes()).unwrap();
        let runs = || {
            let mut guest = Guest::new(&module).unwrap();
            let region = Region::copy_of(&[1, 2, 3]).unwrap();
            guest.grant(&region, Access::Read).unwrap();
            let args = |offset: i32| [region.pointer().into(), offset.into()];
            assert_eq!(guest.call::<i32>("read", &args(2)).unwrap(), 3);
            assert!(guest.call::<i32>("read", &args(3)).is_err());
        };
        runs();
        // SAFETY: the child runs on alone, with one thread as the parent had it, and
        // ends without the parent's destructors, after ten seconds at the latest.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::alarm(10);
                let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(runs));
                libc::_exit(i32::from(ran.is_err()));
            }
            let mut status = -1;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            assert_eq!(status, 0);
        }
    });
}

/// What both processes have is not given to anybody else: neither sees what the other
/// one grants later.
#[test]
fn regions_are_there_on_both_sides_of_a_fork() {
    use std::io::{Read, Write};
    alone("regions_are_there_on_both_sides_of_a_fork", || {
        let module = Engine::default().compile(READER.as_bytes()).unwrap();
        let mut guest = Guest::new(&module).unwrap();
        let shared = Region::copy_of(&[1; 100]).unwrap();
        guest.grant(&shared, Access::Read).unwrap();
        let mut first = |region: &Region| {
            let args = [region.pointer().into(), 0.into()];
            guest.call::<i32>("read", &args).unwrap()
        };
        let (mut reads, mut writes) = std::io::pipe().unwrap();
        // SAFETY: as for `the_process_forks`.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::alarm(10);
                let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    reads.read_exact(&mut [0]).unwrap();
                    assert_eq!(first(&shared), 1);
                    for _ in 0..1000 {
                        drop(Region::copy_of(&[2; 100]).unwrap());
                    }
                    drop(shared);
                }));
                libc::_exit(i32::from(ran.is_err()));
            }
            drop(shared);
            let own: Vec<_> = (0..1000)
                .map(|_| Region::copy_of(&[3; 100]).unwrap())
                .collect();
            writes.write_all(&[0]).unwrap();
            let mut status = -1;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            assert_eq!(status, 0);
            for region in &own {
                assert_eq!(*region.as_slice().unwrap(), [3; 100]);
            }
        }
    });
}

#[test]
fn the_embedder_forgets_things() {
    alone("the_embedder_forgets_things", || {
        let region = Region::zeroed(10).unwrap();
        let mut guest = guests::wat(READER);
        guest.grant(&region, Access::ReadWrite).unwrap();
        std::mem::forget(region.as_slice().unwrap());
        let args = [region.pointer().into(), 0.into()];
        let error = guest.call::<i32>("read", &args).unwrap_err();
        assert!(matches!(error, Error::RegionInUse { .. }), "{error:?}");
        // The guest goes on without the region.
        drop(region);
        let error = guest.call::<i32>("read", &args).unwrap_err();
        assert!(matches!(error, Error::Pointer(_)), "{error:?}");
        std::mem::forget(guest);
    });
}

/// What is in the module cache, by the module's result.
fn cached(cache: &std::path::Path, result: i32) -> i32 {
    let text = format!(r#"(module (func (export "f") (result i32) (i32.const {result})))"#);
    let engine = Engine::new(Config::new().cache(cache)).unwrap();
    let module = engine.compile(text.as_bytes()).unwrap();
    Guest::new(&module).unwrap().call("f", &[]).unwrap()
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    files
}

#[test]
fn a_cache_file_is_swapped_or_linked() {
    alone("a_cache_file_is_swapped_or_linked", || {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        assert_eq!(cached(&cache, 1), 1);
        let one = files(&cache).remove(0);
        assert_eq!(cached(&cache, 2), 2);
        let two = files(&cache).into_iter().find(|file| *file != one).unwrap();
        std::fs::copy(&one, &two).unwrap();
        assert_eq!(cached(&cache, 2), 2);
        assert_ne!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
        // A right file, but one that others can write, or that lies elsewhere.
        let elsewhere = folder.path().join("elsewhere");
        std::fs::rename(&two, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &two).unwrap();
        assert_eq!(cached(&cache, 2), 2);
        assert!(!two.symlink_metadata().unwrap().is_symlink());
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(&two, open).unwrap();
        assert_eq!(cached(&cache, 2), 2);
        let mode = std::os::unix::fs::PermissionsExt::mode(&two.metadata().unwrap().permissions());
        assert_eq!(mode & 0o022, 0, "it was written anew");
    });
}

#[test]
fn the_disk_is_full() {
    alone("the_disk_is_full", || {
        // SAFETY: a signal that would end the process is ignored; writes fail instead.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        set_limit(libc::RLIMIT_FSIZE, 100);
        assert_eq!(cached(&cache, 3), 3);
        assert_eq!(files(&cache), Vec::<std::path::PathBuf>::new());
        set_limit(libc::RLIMIT_FSIZE, libc::RLIM_INFINITY);
        assert_eq!(cached(&cache, 3), 3);
        assert_eq!(files(&cache).len(), 1);
    });
}

#[test]
fn unlimited_is_asked_for_by_name() {
    let default = Limits::default();
    assert!(default.memory.is_some() && default.table.is_some());
    let unlimited = Limits::unlimited();
    assert_eq!((unlimited.memory, unlimited.table), (None, None));
}
