//! Pools: each use of a guest finds it as new, wherever the last one left it.

mod guests;
mod process;

use genkan_host::{
    Access, Cx, Engine, Error, Functions, Guest, Limits, Module, Pool, PoolLimits, Region, Setup,
    Value,
};
use process::alone;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Has everything that one use could leave behind.
const LEAVES: &str = r#"
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "env" "read" (func $read (param i64 i32) (result i32)))
    (import "genkan" "map" (func $map (param i64 i32 i32) (result i32)))
    (import "host" "count" (func $count (result i32)))
    (@custom "genkan.calls.1" "import host.count() -> u32\0a")
    (data (i32.const 100) "before")
    (data $passive "passive")
    (data (i32.const 70000) "behind")
    (table $table 2 10 funcref)
    (elem (i32.const 0) $one)
    (elem $passive func $two)
    (global $global (export "global") (mut i64) (i64.const 5))
    (global $hidden (mut i32) (i32.const 6))
    (func $one (result i32) (i32.const 1))
    (func $two (result i32) (i32.const 2))
    (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "store") (param i32) (i32.store8 (local.get 0) (i32.const 0xee)))
    (func (export "size") (result i32) (memory.size))
    (func (export "grow") (result i32) (memory.grow (i32.const 2)))
    (func (export "globals") (result i32)
        (i32.add (global.get $hidden) (i32.wrap_i64 (global.get $global))))
    (func (export "set_globals")
        (global.set $hidden (i32.const 99)) (global.set $global (i64.const 99)))
    (func (export "table") (result i32)
        (i32.add (i32.mul (table.size $table) (i32.const 10))
            (call_indirect $table (result i32) (i32.const 0))))
    (func (export "set_table")
        (drop (table.grow $table (ref.null func) (i32.const 3)))
        (table.set $table (i32.const 0) (ref.func $two)))
    (func (export "segments") (param i32)
        (memory.init $passive (local.get 0) (i32.const 0) (i32.const 7))
        (table.init $table $passive (i32.const 1) (i32.const 0) (i32.const 1)))
    (func (export "drop_segments") (data.drop $passive) (elem.drop $passive))
    (func (export "read") (param i64) (result i32) (call $read (local.get 0) (i32.const 0)))
    (func (export "map") (param i64 i32) (result i32)
        (call $map (local.get 0) (i32.const 5000) (local.get 1)))
    (func (export "count") (result i32) (call $count))
    (func (export "print") (result i32)
        (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 6))
        (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (func (export "trap") unreachable)"#;

/// With a memory that the host makes, and with one of its own.
fn modules() -> [Module; 2] {
    let importing = format!(r#"(module (import "env" "memory" (memory 2 20)) {LEAVES})"#);
    let exporting = format!(r#"(module {LEAVES} (memory (export "memory") 2 20))"#);
    [importing, exporting].map(|text| {
        let engine = Engine::default();
        engine.compile(text.as_bytes()).unwrap()
    })
}

/// What a guest writes.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn setup(output: &Output) -> Setup {
    let mut functions = Functions::default();
    functions.offer("count", |cx: &mut Cx<u32>| -> u32 {
        *cx.state() += 1;
        *cx.state()
    });
    Setup::new()
        .functions(functions)
        .state(0u32)
        .stdout(output.clone())
        .limits(Limits::new().fuel(100_000_000))
}

/// Nothing of what `leave` does can be found.
fn is_as_new(guest: &mut Guest, output: &Output, dead: &[Region]) {
    let found =
        |guest: &mut Guest, name: &str, args: &[Value]| -> i32 { guest.call(name, args).unwrap() };
    assert_eq!(guest.fuel(), Some(100_000_000));
    assert_eq!(found(guest, "size", &[]), 2);
    for (address, byte) in [(100, b'b'), (105, b'e'), (70_000, b'b'), (0, 0), (4, 0)] {
        assert_eq!(found(guest, "load", &[address.into()]), i32::from(byte));
    }
    for address in (8..2 << 16).step_by(509) {
        let byte = match address {
            100..106 => b"before"[address - 100],
            70_000..70_006 => b"behind"[address - 70_000],
            _ => 0,
        };
        assert_eq!(
            found(guest, "load", &[(address as u32).into()]),
            i32::from(byte)
        );
    }
    assert_eq!(found(guest, "globals", &[]), 11);
    assert_eq!(found(guest, "table", &[]), 21);
    assert_eq!(found(guest, "count", &[]), 1);
    assert!(output.0.lock().unwrap().is_empty());
    assert_eq!(found(guest, "print", &[]), 0);
    assert_eq!(*output.0.lock().unwrap(), b"before");
    guest.call::<()>("segments", &[200.into()]).unwrap();
    assert_eq!(found(guest, "load", &[206.into()]), i32::from(b'e'));
    // What it has grown by is zero.
    assert_eq!(found(guest, "grow", &[]), 2);
    for address in (2 << 16..4 << 16).step_by(509) {
        assert_eq!(found(guest, "load", &[(address as u32).into()]), 0);
    }
    for region in dead {
        let error = guest.call::<i32>("read", &[region.pointer().into()]);
        assert!(matches!(error, Err(Error::Pointer(_))), "{error:?}");
        guest.reset().unwrap();
    }
}

/// Leaves something everywhere.
fn leave(guest: &mut Guest, region: &Region) {
    guest.grant(region, Access::ReadWrite).unwrap();
    let args = [region.pointer().into(), 1.into()];
    let window: i32 = guest.call("map", &args).unwrap();
    guest.call::<()>("store", &[window.into()]).unwrap();
    let pages: i32 = guest.call("grow", &[]).unwrap();
    for address in (0..(pages + 2) << 16).step_by(1021) {
        if !(window..window + (1 << 16)).contains(&address) {
            guest.call::<()>("store", &[address.into()]).unwrap();
        }
    }
    for name in ["set_globals", "set_table", "drop_segments"] {
        guest.call::<()>(name, &[]).unwrap();
    }
    guest.call::<i32>("count", &[]).unwrap();
    guest.call::<i32>("print", &[]).unwrap();
}

#[test]
fn nothing_of_one_use_is_seen_by_the_next() {
    for module in modules() {
        let pool = Pool::new(&module, PoolLimits::new().guests(1));
        let regions: Vec<_> = (0..3).map(|_| Region::zeroed(5000).unwrap()).collect();
        for round in 0..6 {
            let output = Output::default();
            let mut guest = pool.take(setup(&output)).unwrap();
            is_as_new(&mut guest, &output, &regions);
            let mut guest = {
                drop(guest);
                pool.take(setup(&Output::default())).unwrap()
            };
            leave(&mut guest, &regions[round % 3]);
            // However it ends.
            if round % 2 == 1 {
                guest.call::<()>("trap", &[]).unwrap_err();
            }
        }
        for region in &regions {
            assert_eq!(region.as_slice().unwrap()[0], 0xee);
        }
    }
}

#[test]
fn a_reset_guest_is_as_new() {
    for module in modules() {
        let output = Output::default();
        let mut guest = Guest::with(&module, setup(&output)).unwrap();
        let region = Region::zeroed(5000).unwrap();
        for _ in 0..4 {
            leave(&mut guest, &region);
            guest.reset().unwrap();
            guest.revoke(&region);
            *guest.state::<u32>().unwrap() = 0;
            output.0.lock().unwrap().clear();
            is_as_new(&mut guest, &output, std::slice::from_ref(&region));
            guest.reset().unwrap();
        }
    }
}

#[test]
fn a_start_function_runs_for_each_use() {
    let text = r#"(module (memory 1) (data (i32.const 8) "\07") (data $more "\01")
        (func $start
            (memory.init $more (i32.const 9) (i32.const 0) (i32.const 1))
            (i32.store8 (i32.const 8) (i32.add (i32.load8_u (i32.const 8)) (i32.const 1))))
        (start $start)
        (func (export "f") (result i32) (i32.load (i32.const 8))))"#;
    let module = Engine::default().compile(text.as_bytes()).unwrap();
    let pool = Pool::new(&module, PoolLimits::new().guests(1));
    for _ in 0..3 {
        let mut guest = pool.take(Setup::new()).unwrap();
        assert_eq!(guest.call::<i32>("f", &[]).unwrap(), 0x108);
        guest.reset().unwrap();
        assert_eq!(guest.call::<i32>("f", &[]).unwrap(), 0x108);
    }
}

#[test]
fn segments_that_do_not_fit_are_refused_as_ever() {
    for data in [
        r#"(data (i32.const 65535) "ab")"#,
        r#"(data (i32.const -1) "a")"#,
        r#"(data (i32.const 65537) "")"#,
        r#"(data (i32.const 0) "a") (data (i32.const 70000) "b")"#,
    ] {
        let text = format!(r#"(module (memory (export "memory") 1) {data})"#);
        let module = Engine::default().compile(text.as_bytes()).unwrap();
        Guest::new(&module).unwrap_err();
        let pool = Pool::new(&module, PoolLimits::new().guests(1));
        for _ in 0..3 {
            let error = pool.take(Setup::new()).unwrap_err();
            assert!(!matches!(error, Error::PoolBusy { .. }), "{error}");
        }
    }
}

#[test]
fn limits_are_each_uses_own() {
    let text = r#"(module (memory (export "memory") 1)
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    let module = Engine::default().compile(text.as_bytes()).unwrap();
    let pool = Pool::new(&module, PoolLimits::new().guests(1));
    for (pages, grown) in [(10, 1), (2, -1), (10, 1), (4, -1)] {
        let setup = Setup::new().limits(Limits::new().memory(pages << 16));
        let mut guest = pool.take(setup).unwrap();
        assert_eq!(guest.call::<i32>("grow", (5,)).unwrap(), grown);
    }
    let setup = Setup::new().limits(Limits::new().memory(0));
    let error = pool.take(setup).unwrap_err();
    assert!(matches!(error, Error::MemoryLimit { .. }), "{error}");
}

#[test]
fn all_are_in_use() {
    let [module, _] = modules();
    let limits = PoolLimits::new().guests(2).wait(Duration::from_millis(50));
    let pool = Pool::new(&module, limits);
    let output = Output::default();
    let first = pool.take(setup(&output)).unwrap();
    let second = pool.take(setup(&output)).unwrap();
    let start = Instant::now();
    let error = pool.take(setup(&output)).unwrap_err();
    assert!(
        matches!(error, Error::PoolBusy { guests: 2, .. }),
        "{error}"
    );
    assert!(start.elapsed() >= Duration::from_millis(50));
    drop(first);
    let third = pool.take(setup(&output)).unwrap();
    drop((second, third));
    // One that could not be made is not in use.
    for _ in 0..5 {
        pool.take(Setup::new()).unwrap_err();
    }
    pool.take(setup(&output)).unwrap();
}

#[test]
fn many_threads_take_from_one_pool() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    let [_, module] = modules();
    let limits = PoolLimits::new().guests(3).kept(2);
    let pool = Pool::new(&module, limits.wait(Duration::from_secs(60)));
    is_shared(&pool);
    let (in_use, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (pool, in_use, most) = (pool.clone(), &in_use, &most);
            scope.spawn(move || {
                for round in 0..20 {
                    let mut guest = pool.take(setup(&Output::default())).unwrap();
                    most.fetch_max(in_use.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let address = Value::from(thread * 1000 + round);
                    assert_ne!(guest.call::<i32>("load", &[address]).unwrap(), 0xee);
                    guest.call::<()>("store", &[address]).unwrap();
                    assert_eq!(guest.call::<i32>("globals", &[]).unwrap(), 11);
                    guest.call::<()>("set_globals", &[]).unwrap();
                    in_use.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert!(most.load(Ordering::SeqCst) <= 3);
}

/// Little of what was touched is written anew, and much of it, and all of a large memory,
/// taken back by the system; in a forked process too.
#[test]
#[cfg(target_os = "linux")]
fn whatever_was_touched_is_as_new() {
    alone("whatever_was_touched_is_as_new", || {
        let engine = Engine::default();
        let pools = [3, 20, 200].map(|pages| {
            // 20 pages of data, of which the last ends in the middle of one.
            let data = "0123456789abcdef".repeat(5_000);
            let text = format!(
                r#"(module (memory (export "memory") {pages}) (data (i32.const 5000) "{data}")
                    (func (export "store") (param i32) (i32.store8 (local.get 0) (i32.const 0xee)))
                    (func (export "sum") (result i64) (local i32 i64)
                        (loop $next
                            (local.set 1 (i64.add (local.get 1) (i64.load (local.get 0))))
                            (local.set 0 (i32.add (local.get 0) (i32.const 8)))
                            (br_if $next (i32.lt_u (local.get 0) (i32.const {len}))))
                        (local.get 1)))"#,
                len = pages << 16
            );
            let module = engine.compile(text.as_bytes()).unwrap();
            (pages << 16, Pool::new(&module, PoolLimits::new().guests(1)))
        });
        let first = pools.each_ref().map(|(_, pool)| {
            let mut guest = pool.take(Setup::new()).unwrap();
            guest.call::<u64>("sum", ()).unwrap()
        });
        let uses = || {
            let mut state = 5u64;
            for ((len, pool), first) in pools.iter().zip(first) {
                for writes in [0, 1, 3, 30, 500] {
                    let mut guest = pool.take(Setup::new()).unwrap();
                    assert_eq!(
                        guest.call::<u64>("sum", ()).unwrap(),
                        first,
                        "{len} {writes}"
                    );
                    for _ in 0..writes {
                        state = state
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1);
                        let at = (state >> 33) as u32 % len;
                        guest.call::<()>("store", (at,)).unwrap();
                    }
                }
                let mut guest = pool.take(Setup::new()).unwrap();
                assert_eq!(guest.call::<u64>("sum", ()).unwrap(), first);
            }
        };
        uses();
        // SAFETY: the child runs guests and ends without returning from here.
        match unsafe { libc::fork() } {
            0 => {
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(uses));
                // SAFETY: ends the process.
                unsafe { libc::_exit(i32::from(done.is_err())) };
            }
            child => {
                uses();
                let mut status = 0;
                // SAFETY: waits for a process of ours.
                unsafe { libc::waitpid(child, &mut status, 0) };
                assert_eq!(status, 0);
            }
        }
    });
}
