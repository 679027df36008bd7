//! Guests that try to stop the host. Each attack runs in a process of its own, whose
//! exit is checked, and where the next guest must run afterwards.

mod process;

use genkan_host::{Canceller, Engine, Error, Guest, Limits, Module, Setup, Value};
use process::alone;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

const FEW: u64 = 1_500;

/// How many deadlines: `GENKAN_DEADLINES`.
fn many() -> u64 {
    let wanted = std::env::var("GENKAN_DEADLINES").ok();
    wanted.map_or(FEW, |n| n.parse().expect("GENKAN_DEADLINES is a number"))
}

fn module(text: &str) -> Module {
    Engine::default().compile(text.as_bytes()).unwrap()
}

fn guest(module: &Module, limits: Limits) -> Guest {
    Guest::with(module, Setup::new().limits(limits)).unwrap()
}

fn milliseconds(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The process goes on, on this thread: traps, deadlines and calls work.
fn works() {
    let module = module(
        r#"(module (memory 1) (func (export "f") (result i32) (i32.const 7))
            (func (export "trap") (drop (i32.load (i32.const -1))))
            (func (export "end") unreachable)
            (func (export "loop") (loop (br 0))))"#,
    );
    let mut good = guest(&module, Limits::new().deadline(milliseconds(20)));
    for trap in ["trap", "end"] {
        let error = good.call::<()>(trap, &[]).unwrap_err();
        assert!(matches!(error, Error::Trap { .. }), "{error:?}");
        good = guest(&module, Limits::new().deadline(milliseconds(20)));
    }
    assert!(matches!(
        good.call::<()>("loop", &[]),
        Err(Error::Deadline { .. })
    ));
    let mut good = guest(&module, Limits::new());
    assert_eq!(good.call::<i32>("f", &[]).unwrap(), 7);
}

/// Everything that a guest can be doing when its time is up, without end.
const BUSY: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "env" "nothing" (func $nothing))
    (memory (export "memory") 256)
    (table $t 2000 2000 funcref)
    (table $u 5000 10000 funcref)
    (table $x 100 1000 externref)
    (elem $e funcref (ref.func $leaf) (ref.null func) (ref.func $leaf))
    (elem (table $t) (i32.const 0) func $leaf)
    (data $d "0123456789abcdef")
    (func $leaf)
    (func $deep (param i32) (result i32)
        (if (result i32) (local.get 0)
            (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
            (else (i32.const 0))))
    (func (export "loop") (loop (br 0)))
    (func (export "calls") (loop (call $leaf) (call_indirect $t (i32.const 0)) (br 0)))
    (func (export "deep") (loop (drop (call $deep (i32.const 10000))) (br 0)))
    (func (export "load") (local i32)
        (loop (local.set 0 (i32.add (i32.load (i32.const 64)) (local.get 0))) (br 0)))
    (func (export "store") (local i32)
        (loop (i32.store (i32.and (local.get 0) (i32.const 0xffffc)) (local.get 0))
            (local.set 0 (i32.add (local.get 0) (i32.const 4))) (br 0)))
    (func (export "fill") (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x1000000)) (br 0)))
    (func (export "copy") (loop
        (memory.copy (i32.const 0x100000) (i32.const 0) (i32.const 0xe00000))
        (memory.copy (i32.const 0) (i32.const 0x100000) (i32.const 0xe00000)) (br 0)))
    (func (export "init") (loop (memory.init $d (i32.const 0) (i32.const 0) (i32.const 16))
        (memory.init $d (i32.const 0) (i32.const 0) (i32.const 0)) (br 0)))
    (func (export "data_drop") (data.drop $d))
    (func (export "elem_drop") (elem.drop $e))
    (func (export "table_init") (loop (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 3))
        (table.init $u $e (i32.const 0) (i32.const 0) (i32.const 0)) (br 0)))
    (func (export "table_copy") (loop
        (table.copy $t $u (i32.const 0) (i32.const 0) (i32.const 2000))
        (table.copy $u $u (i32.const 1) (i32.const 0) (i32.const 4000)) (br 0)))
    (func (export "table_fill") (loop (table.fill $u (i32.const 0) (ref.func $leaf) (i32.const 5000)) (br 0)))
    (func (export "table_set") (loop (table.set $u (i32.const 7) (table.get $u (i32.const 8)))
        (table.set $x (i32.const 7) (table.get $x (i32.const 8))) (br 0)))
    (func (export "table_grow") (loop (drop (table.grow $u (ref.null func) (i32.const 1)))
        (drop (table.grow $t (ref.null func) (i32.const 0))) (br 0)))
    (func (export "memory_grow") (loop (drop (memory.grow (i32.const 0))) (drop (memory.size)) (br 0)))
    (func (export "write") (loop (drop (call $write (i32.const 1) (i32.const 1024) (i32.const 4) (i32.const 0))) (br 0)))
    (func (export "random") (loop (drop (call $random (i32.const 0) (i32.const 100000))) (br 0)))
    (func (export "host") (loop (call $nothing) (br 0)))
)"#;

const BUSY_WITH: [&str; 18] = [
    "loop",
    "calls",
    "deep",
    "load",
    "store",
    "fill",
    "copy",
    "init",
    "table_init",
    "table_copy",
    "table_fill",
    "table_set",
    "table_grow",
    "memory_grow",
    "write",
    "random",
    "host",
    "deep",
];

fn busy(module: &Module, limits: Limits) -> Guest {
    let mut setup = Setup::new().limits(limits).stdout(std::io::sink());
    setup.functions.add("env", "nothing", |_, _| Ok(Vec::new()));
    Guest::with(module, setup).unwrap()
}

/// A number that looks random.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn deadlines_at_random_moments() {
    alone("deadlines_at_random_moments", || {
        let module = module(BUSY);
        let threads: Vec<_> = (0..2u64)
            .map(|thread| {
                let module = module.clone();
                std::thread::spawn(move || {
                    let mut state = 0x9e37_79b9_7f4a_7c15 + thread;
                    for n in 0..many() / 2 {
                        let limit = Duration::from_micros(random(&mut state) % 300);
                        let mut guest = busy(&module, Limits::new().deadline(limit));
                        let name = BUSY_WITH[(n as usize + thread as usize) % BUSY_WITH.len()];
                        let error = guest.call::<()>(name, &[]).unwrap_err();
                        assert!(matches!(error, Error::Deadline { .. }), "{name}: {error:?}");
                    }
                    works();
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn cancelled_at_random_moments() {
    alone("cancelled_at_random_moments", || {
        let module = module(BUSY);
        let mut state = 7;
        for n in 0..many() / 4 {
            let mut guest = busy(&module, Limits::new().interruptible(true));
            let canceller: Canceller = guest.canceller().unwrap();
            let wait = Duration::from_micros(random(&mut state) % 300);
            let thread = std::thread::spawn(move || {
                std::thread::sleep(wait);
                canceller.cancel();
            });
            let name = BUSY_WITH[n as usize % BUSY_WITH.len()];
            let error = guest.call::<()>(name, &[]).unwrap_err();
            assert!(matches!(error, Error::Cancelled(_)), "{name}: {error:?}");
            thread.join().unwrap();
        }
        works();
    });
}

/// However long an instruction takes, the guest ends soon after its deadline.
#[test]
fn a_deadline_is_kept() {
    alone("a_deadline_is_kept", || {
        let module = module(BUSY);
        let limit = milliseconds(5);
        for name in BUSY_WITH {
            let mut late: Vec<_> = (0..7)
                .map(|_| {
                    let mut guest = busy(&module, Limits::new().deadline(limit));
                    let start = Instant::now();
                    let error = guest.call::<()>(name, &[]).unwrap_err();
                    assert!(matches!(error, Error::Deadline { .. }), "{name}: {error:?}");
                    start.elapsed().checked_sub(limit).expect("not before it")
                })
                .collect();
            late.sort();
            eprintln!("{name:12} late by {:?}, at most {:?}", late[3], late[6]);
            // The floor is 2 ms on a quiet machine.
            assert!(late[0] < milliseconds(10), "{name}: {late:?}");
        }
    });
}

/// The engine's bookkeeping is in order after an interrupted instruction.
#[test]
fn segments_are_dropped_after_a_deadline() {
    alone("segments_are_dropped_after_a_deadline", || {
        let module = module(BUSY);
        for (busy_with, drop) in [("init", "data_drop"), ("table_init", "elem_drop")] {
            for _ in 0..50 {
                let mut guest = busy(&module, Limits::new().deadline(milliseconds(2)));
                let error = guest.call::<()>(busy_with, &[]).unwrap_err();
                assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
                guest.reset().unwrap();
                let dropped = guest.call::<()>(drop, &[]);
                assert!(matches!(dropped, Ok(()) | Err(Error::Deadline { .. })));
            }
        }
        works();
    });
}

const DEEP: &str = r#"(module (memory 1) (table 1 funcref) (elem $e func $fill) (data $d "x")
    (func $fill (export "fill") (param i32)
        (if (local.get 0) (then (call $fill (i32.sub (local.get 0) (i32.const 1)))
            (drop (i32.const 0)))
        (else (memory.fill (i32.const -1) (i32.const 0) (i32.const 2)))))
    (func $end (export "end") (param i32)
        (if (local.get 0) (then (call $end (i32.sub (local.get 0) (i32.const 1)))) (else unreachable)))
    (func $load (export "load") (param i32)
        (if (local.get 0) (then (call $load (i32.sub (local.get 0) (i32.const 1))))
        (else (drop (i32.load (i32.const -1))))))
    (func $init (export "init") (param i32)
        (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))
        (table.init $e (i32.const 0) (i32.const 0) (i32.const 1))
        (call $init (local.get 0)))
    (func (export "drop") (data.drop $d) (elem.drop $e)))"#;

/// A trap at each depth, up to the end of the stack, while another thread traps.
#[test]
fn traps_at_every_depth() {
    alone("traps_at_every_depth", || {
        let module = module(DEEP);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let mut guest = guest(&module, Limits::new());
                    let error = guest.call::<()>("end", &[Value::I32(3)]).unwrap_err();
                    assert!(matches!(error, Error::Trap { .. }), "{error:?}");
                }
            });
            for name in ["fill", "end", "load"] {
                for depth in (1..6_000).step_by(37) {
                    let limits = Limits::new().stack(128 << 10);
                    let mut guest = guest(&module, limits);
                    let error = guest.call::<()>(name, &[Value::I32(depth)]).unwrap_err();
                    assert!(
                        matches!(error, Error::Trap { .. } | Error::StackOverflow(_)),
                        "{error:?}"
                    );
                }
                for micros in (1..2_000).step_by(97) {
                    let limits = Limits::new().deadline(Duration::from_micros(micros));
                    let mut guest = guest(&module, limits);
                    guest.call::<()>(name, &[Value::I32(5_000)]).unwrap_err();
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        works();
    });
}

/// The stack ends inside of an instruction: at different places each time.
#[test]
fn the_stack_ends_inside_of_instructions() {
    alone("the_stack_ends_inside_of_instructions", || {
        let module = module(DEEP);
        for stack in (64 << 10..72 << 10).step_by(256) {
            let mut guest = guest(&module, Limits::new().stack(stack));
            let error = guest.call::<()>("init", &[Value::I32(0)]).unwrap_err();
            assert!(matches!(error, Error::StackOverflow(_)), "{error:?}");
            guest.reset().unwrap();
            guest.call::<()>("drop", &[]).unwrap();
        }
        works();
    });
}

fn block_all_signals() {
    // SAFETY: changes this thread's signals alone; a filled set is valid.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        assert_eq!(
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, std::ptr::null_mut()),
            0
        );
    }
}

#[test]
fn all_signals_are_blocked() {
    alone("all_signals_are_blocked", || {
        block_all_signals();
        works();
        let module = module(BUSY);
        let mut guest = busy(&module, Limits::new().interruptible(true));
        let canceller = guest.canceller().unwrap();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(milliseconds(5));
            canceller.cancel();
        });
        assert!(matches!(
            guest.call::<()>("loop", &[]),
            Err(Error::Cancelled(_))
        ));
        thread.join().unwrap();
    });
}

static SIGNALS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn the_embedders_signals_are_its_own() {
    alone("the_embedders_signals_are_its_own", || {
        // SAFETY: the handler only counts.
        unsafe { libc::signal(libc::SIGUSR1, count as *const () as usize) };
        works();
        let module = module(BUSY);
        for _ in 0..20 {
            let mut guest = busy(&module, Limits::new().deadline(milliseconds(3)));
            // SAFETY: names this thread.
            let this = unsafe { libc::pthread_self() } as usize;
            let thread = std::thread::spawn(move || {
                std::thread::sleep(milliseconds(1));
                // SAFETY: that thread waits for this one.
                unsafe { libc::pthread_kill(this as libc::pthread_t, libc::SIGUSR1) };
            });
            assert!(matches!(
                guest.call::<()>("loop", &[]),
                Err(Error::Deadline { .. })
            ));
            thread.join().unwrap();
        }
        // SAFETY: raises a signal that is handled.
        unsafe { libc::raise(libc::SIGUSR1) };
        assert_eq!(SIGNALS.load(Ordering::Relaxed), 21);
        works();
    });
}

const GREEDY: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 65536)
    (func (export "fill") (memory.fill (i32.const 0) (i32.const 1) (i32.const -1)))
    (func (export "copy") (memory.copy (i32.const 0) (i32.const 1) (i32.const -2)))
    (func (export "write") (loop
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1024) (i32.const 0)))
        (br 0))))"#;

#[test]
fn one_instruction_has_its_price() {
    alone("one_instruction_has_its_price", || {
        let module = module(GREEDY);
        let start = Instant::now();
        for name in ["fill", "copy"] {
            let mut guest = guest(&module, Limits::unlimited().fuel(10_000));
            assert!(matches!(
                guest.call::<()>(name, &[]),
                Err(Error::OutOfFuel(_))
            ));
            assert_eq!(guest.fuel(), Some(0));
        }
        let mut guest = guest(&module, Limits::unlimited().fuel(10_000));
        assert!(matches!(
            guest.call::<()>("write", &[]),
            Err(Error::OutOfFuel(_))
        ));
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
        works();
    });
}

#[test]
fn one_host_call_ends_in_time() {
    alone("one_host_call_ends_in_time", || {
        let module = module(GREEDY);
        for name in ["fill", "copy"] {
            let mut guest = guest(&module, Limits::unlimited().deadline(milliseconds(30)));
            let start = Instant::now();
            assert!(matches!(
                guest.call::<()>(name, &[]),
                Err(Error::Deadline { .. })
            ));
            assert!(start.elapsed() < milliseconds(300), "{:?}", start.elapsed());
        }
        let mut guest = guest(&module, Limits::unlimited().deadline(milliseconds(100)));
        let start = Instant::now();
        assert!(matches!(
            guest.call::<()>("write", &[]),
            Err(Error::Deadline { .. })
        ));
        assert!(start.elapsed() < milliseconds(400), "{:?}", start.elapsed());
    });
}

#[test]
fn an_outer_deadline_ends_inner_guests() {
    alone("an_outer_deadline_ends_inner_guests", || {
        let endless = module(r#"(module (func (export "loop") (loop (br 0))))"#);
        for inner_limit in [None, Some(Duration::from_secs(100))] {
            let endless = endless.clone();
            let limit = milliseconds(30);
            let mut setup = Setup::new().limits(Limits::new().deadline(limit));
            setup.functions.add("env", "nothing", move |_, _| {
                let mut limits = Limits::new();
                limits.deadline = inner_limit;
                let error = guest(&endless, limits).call::<()>("loop", &[]).unwrap_err();
                assert!(
                    matches!(error, Error::Deadline { limit: d, .. } if d == milliseconds(30)),
                    "{error:?}"
                );
                Ok(Vec::new())
            });
            let outer = module(
                r#"(module (import "env" "nothing" (func $inner))
                    (func (export "run") (loop (call $inner) (br 0))))"#,
            );
            let mut outer = Guest::with(&outer, setup).unwrap();
            let start = Instant::now();
            let error = outer.call::<()>("run", &[]).unwrap_err();
            assert!(
                matches!(error, Error::Deadline { limit: d, .. } if d == limit),
                "{error:?}"
            );
            assert!(start.elapsed() < milliseconds(300), "{:?}", start.elapsed());
        }
        works();
    });
}

#[test]
fn a_cancelled_call_comes_first() {
    let module = module(BUSY);
    let mut guest = busy(&module, Limits::new().interruptible(true));
    guest.canceller().unwrap().cancel();
    assert!(matches!(
        guest.call::<()>("data_drop", &[]),
        Err(Error::Cancelled(_))
    ));
    let plain = busy(&module, Limits::new());
    assert!(matches!(plain.canceller(), Err(Error::Unchecked(_))));
}

#[test]
fn a_forked_process_keeps_its_deadlines() {
    alone("a_forked_process_keeps_its_deadlines", || {
        works();
        let module = module(BUSY);
        for _ in 0..20 {
            // SAFETY: the child runs guests and ends without returning from here.
            match unsafe { libc::fork() } {
                0 => {
                    let mut guest = busy(&module, Limits::new().deadline(milliseconds(3)));
                    let ended = guest.call::<()>("loop", &[]);
                    let code = i32::from(!matches!(ended, Err(Error::Deadline { .. })));
                    // SAFETY: ends the process.
                    unsafe { libc::_exit(code) };
                }
                child => {
                    let mut status = 0;
                    // SAFETY: waits for a process of ours.
                    unsafe { libc::waitpid(child, &mut status, 0) };
                    assert_eq!(status, 0);
                }
            }
            let mut guest = busy(&module, Limits::new().deadline(milliseconds(1)));
            guest.call::<()>("loop", &[]).unwrap_err();
        }
    });
}
