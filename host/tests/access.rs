//! Reading and writing regions in the guest's own code: it does the same as the calls
//! that it stands for, and nobody gets at the region space by it.

mod random;

use genkan_host::{
    Access, Checks, Config, Engine, Error, Functions, Guest, Limits, Module, Pointer, Region,
    Setup, Value,
};
use random::Random;
use std::sync::mpsc;
use std::time::Duration;

/// The functions whose calls are inlined, with their types.
const INLINED: [(&str, &str, &str); 10] = [
    ("env", "read", "(param i64 i32) (result i32)"),
    ("genkan", "read_u8", "(param i64 i32) (result i32)"),
    ("genkan", "read_u16", "(param i64 i32) (result i32)"),
    ("genkan", "read_u32", "(param i64 i32) (result i32)"),
    ("genkan", "read_u64", "(param i64 i32) (result i64)"),
    ("genkan", "write_u8", "(param i64 i32 i32)"),
    ("genkan", "write_u16", "(param i64 i32 i32)"),
    ("genkan", "write_u32", "(param i64 i32 i32)"),
    ("genkan", "write_u64", "(param i64 i32 i64)"),
    ("genkan", "len", "(param i64) (result i64)"),
];

/// How many parameters a type in text has.
fn params(ty: &str) -> usize {
    ty.split(" (result").next().unwrap().matches("i64").count()
        + ty.split(" (result").next().unwrap().matches("i32").count()
}

/// A guest with each function three times: `NAME` is inlined, `NAME_table` calls it in a
/// table, and `NAME_export` is the import itself.
fn three_ways(memory: &str) -> String {
    let mut imports = String::new();
    let mut rest = String::new();
    for (index, (module, name, ty)) in INLINED.iter().enumerate() {
        imports += &format!("(import \"{module}\" \"{name}\" (func ${name} {ty}))\n");
        let get: String = (0..params(ty))
            .map(|i| format!("(local.get {i})"))
            .collect();
        rest += &format!(
            "(export \"{name}_export\" (func ${name}))
             (func (export \"{name}\") {ty} (call ${name} {get}))
             (func (export \"{name}_table\") {ty}
                (call_indirect {ty} {get} (i32.const {index})))\n"
        );
    }
    let names: String = INLINED
        .iter()
        .map(|(_, name, _)| format!(" ${name}"))
        .collect();
    format!(
        "(module {imports} {memory} (table 10 funcref) (elem (i32.const 0) func {names}) {rest})"
    )
}

const MEMORIES: [&str; 3] = [
    "",
    r#"(memory (export "memory") 1)"#,
    r#"(import "env" "memory" (memory 1))"#,
];

fn all_limits() -> [Limits; 4] {
    let hour = Duration::from_secs(3600);
    [
        Limits::new(),
        Limits::new().deadline(hour),
        Limits::new().fuel(1 << 40),
        Limits::new().deadline(hour).fuel(1 << 40),
    ]
}

fn compile(text: &str) -> Module {
    Engine::default().compile(text.as_bytes()).unwrap()
}

/// A call's outcome, in words, and the bytes that are in the region then.
fn outcome(
    module: &Module,
    limits: &Limits,
    granted: &[(&Region, Access)],
    call: &str,
    args: &[Value],
) -> String {
    let mut guest = Guest::with(module, Setup::new().limits(limits.clone())).unwrap();
    for (region, access) in granted {
        guest.grant(region, *access).unwrap();
    }
    match guest.call::<Vec<Value>>(call, args) {
        Ok(values) => format!("{values:?}"),
        Err(Error::Pointer(mut error)) => {
            // The function that it was in has another name for each way.
            error.trace = Default::default();
            error.to_string()
        }
        Err(other) => panic!("{call} {args:?}: {other:?}"),
    }
}

/// The pointers and offsets around a region's edges, and those that are none.
fn edges(region: &Region, len: u32, stale: Pointer) -> Vec<(Pointer, u32)> {
    let start = region.pointer();
    let mut all = Vec::new();
    let near = [
        0,
        1,
        len.wrapping_sub(8),
        len.wrapping_sub(4),
        len.wrapping_sub(1),
        len,
        len + 1,
    ];
    for at in near.into_iter().chain([1 << 31, u32::MAX - 7, u32::MAX]) {
        all.push((start + at, 0));
        all.push((start, at));
        all.push((start + at, at));
        all.push((start + at, 0u32.wrapping_sub(at)));
    }
    let bits = start.to_bits();
    for pointer in [
        0,
        1,
        u32::MAX.into(),
        0xffff_ffff << 32,
        u64::MAX,
        bits ^ (1 << 63),
        bits ^ (1 << 48),
    ] {
        all.push((Pointer::from_bits(pointer), 0));
    }
    all.push((stale, 0));
    all
}

#[test]
fn every_pointer_at_every_edge_does_the_same_inlined_and_called() {
    let stale = Region::zeroed(8).unwrap().pointer();
    for (round, limits) in all_limits().iter().enumerate() {
        let memory = MEMORIES[round % MEMORIES.len()];
        let module = compile(&three_ways(memory));
        // 0 bytes, less than the widest access, a page, and one byte more.
        let len = [0, 7, 4096, 4097][round];
        let bytes: Vec<u8> = (0..len).map(|i| (i * 7 + 3) as u8).collect();
        for access in [Access::Read, Access::ReadWrite] {
            for (_, name, ty) in INLINED {
                let regions: Vec<_> = (0..3).map(|_| Region::copy_of(&bytes).unwrap()).collect();
                for (pointer, offset) in edges(&regions[0], len, stale) {
                    // Each way has a region of its own: the tag is all that differs.
                    let mut seen = Vec::new();
                    for (way, region) in ["", "_table", "_export"].iter().zip(&regions) {
                        let moved = pointer.to_bits()
                            ^ regions[0].pointer().to_bits()
                            ^ region.pointer().to_bits();
                        let same = pointer.to_bits() >> 32 == regions[0].pointer().to_bits() >> 32;
                        let pointer = if same {
                            Pointer::from_bits(moved)
                        } else {
                            pointer
                        };
                        let mut args = vec![Value::from(pointer), Value::from(offset)];
                        match params(ty) {
                            1 => drop(args.pop()),
                            3 if ty.contains("i32 i64") => {
                                args.push(Value::I64(0x1122_3344_5566_7788))
                            }
                            3 => args.push(Value::I32(0x1122_3344)),
                            _ => {}
                        }
                        let call = format!("{name}{way}");
                        let text = outcome(&module, limits, &[(region, access)], &call, &args);
                        let tag = region.pointer().to_string()[..10].to_owned();
                        let text = text.replace(&tag, "TAG");
                        seen.push((text, region.as_slice().unwrap().to_vec()));
                    }
                    assert_eq!(seen[0], seen[1], "{name} {pointer} {offset} {memory}");
                    assert_eq!(seen[0], seen[2], "{name} {pointer} {offset} {memory}");
                }
            }
        }
    }
}

#[test]
fn an_access_costs_the_same_fuel_inlined_and_called() {
    let module = compile(&three_ways(""));
    let region = Region::copy_of(&[1; 16]).unwrap();
    let limits = Limits::new().fuel(1000);
    for (_, name, ty) in INLINED {
        let mut guest = Guest::with(&module, Setup::new().limits(limits.clone())).unwrap();
        guest.grant(&region, Access::ReadWrite).unwrap();
        let mut args = vec![Value::from(region.pointer()), Value::I32(0)];
        match params(ty) {
            1 => drop(args.pop()),
            3 if ty.contains("i32 i64") => args.push(Value::I64(1)),
            3 => args.push(Value::I32(1)),
            _ => {}
        }
        let mut costs = Vec::new();
        for call in [
            name.to_owned(),
            format!("{name}_table"),
            format!("{name}_export"),
        ] {
            let before = guest.fuel().unwrap();
            guest.call::<Vec<Value>>(&call, &args).unwrap();
            costs.push(before - guest.fuel().unwrap());
        }
        // The exported function, its arguments, and the call.
        let inlined = 1 + params(ty) as u64 + 1;
        // And the index in the table. The host's own function costs nothing.
        assert_eq!(costs, [inlined, inlined + 1, 0], "{name}");
    }
}

/// Loops over accesses, with fuel in a local and the guest's own values around them.
const LOOPS: &str = r#"(module
    (import "genkan" "read_u64" (func $read (param i64 i32) (result i64)))
    (import "genkan" "write_u64" (func $write (param i64 i32 i64)))
    (memory (export "memory") 1)
    (global $g (mut i64) (i64.const 0))
    (func (export "run") (param $p i64) (param $n i32) (result i64)
        (local $i i32) (local $sum i64)
        (loop $next
            (i64.store (local.get $i) (call $read (local.get $p) (local.get $i)))
            (call $write (local.get $p) (local.get $i)
                (i64.add (i64.const 1) (call $read (local.get $p) (local.get $i))))
            (local.set $sum (i64.add (local.get $sum)
                (i64.sub (call $read (local.get $p) (local.get $i)) (i64.load (local.get $i)))))
            (global.set $g (i64.add (global.get $g) (local.get $sum)))
            (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8))) (local.get $n))))
        (local.get $sum)))"#;

#[test]
fn loops_of_accesses_keep_their_values_with_all_checks() {
    let module = compile(LOOPS);
    let mut spent = Vec::new();
    for limits in all_limits() {
        let region = Region::zeroed(8000).unwrap();
        let fueled = limits.fuel;
        let mut guest = Guest::with(&module, Setup::new().limits(limits)).unwrap();
        guest.grant(&region, Access::ReadWrite).unwrap();
        let sum: i64 = guest
            .call("run", &[region.pointer().into(), 8000.into()])
            .unwrap();
        assert_eq!(sum, 1000);
        assert!(
            region
                .as_slice()
                .unwrap()
                .iter()
                .enumerate()
                .all(|(i, b)| *b == u8::from(i % 8 == 0))
        );
        spent.extend(fueled.map(|fuel| fuel - guest.fuel().unwrap()));
    }
    assert_eq!(spent[0], spent[1]);
}

#[test]
fn fuel_and_deadlines_end_a_loop_of_reads() {
    let module = compile(
        r#"(module (import "env" "read" (func $read (param i64 i32) (result i32)))
        (func (export "run") (param i64) (loop (drop (call $read (local.get 0) (i32.const 0))) (br 0))))"#,
    );
    let region = Region::zeroed(1).unwrap();
    let run = |limits: Limits| {
        let mut guest = Guest::with(&module, Setup::new().limits(limits)).unwrap();
        guest.grant(&region, Access::Read).unwrap();
        guest
            .call::<()>("run", &[region.pointer().into()])
            .unwrap_err()
    };
    let fuel = run(Limits::new().fuel(10_000));
    assert!(matches!(fuel, Error::OutOfFuel { .. }), "{fuel:?}");
    let deadline = run(Limits::new().deadline(Duration::from_millis(20)));
    assert!(matches!(deadline, Error::Deadline { .. }), "{deadline:?}");
}

/// An access that does not pass, or finds nothing, is where the call was.
#[test]
fn a_backtrace_says_which_access_it_was() {
    let text = r#"(module
        (import "env" "read" (func $read (param i64 i32) (result i32)))
        (import "genkan" "write_u32" (func $write (param i64 i32 i32)))
        (func (export "run") (param i64 i64) (local i32)
            (loop
                (local.set 2 (call $read (local.get 0) (i32.const 0)))
                (call $write (local.get 0) (i32.const 0) (local.get 2))
                (drop (call $read (local.get 1) (i32.const 3)))
                (call $write (local.get 1) (i32.const 0) (local.get 2)))))"#;
    let bytes = wat::parse_str(text).unwrap();
    let mut calls = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(&bytes) {
        if let wasmparser::Payload::CodeSectionEntry(body) = payload.unwrap() {
            let operators = body.get_operators_reader().unwrap();
            for operator in operators.into_iter_with_offsets() {
                let (operator, offset) = operator.unwrap();
                if matches!(operator, wasmparser::Operator::Call { .. }) {
                    calls.push(Some(offset as u32));
                }
            }
        }
    }
    let module = Engine::default().compile(&bytes).unwrap();
    let good = Region::zeroed(4).unwrap();
    let short = Region::zeroed(2).unwrap();
    let constant = Region::zeroed(4).unwrap();
    for limits in all_limits() {
        let run = |first: &Region, second: &Region| {
            let mut guest = Guest::with(&module, Setup::new().limits(limits.clone())).unwrap();
            guest.grant(&good, Access::ReadWrite).unwrap();
            guest.grant(&short, Access::ReadWrite).unwrap();
            guest.grant(&constant, Access::Read).unwrap();
            let args = [first.pointer().into(), second.pointer().into()];
            let error = guest.call::<()>("run", &args).unwrap_err();
            assert!(matches!(error, Error::Pointer(_)), "{error:?}");
            error.trace().unwrap().frames().next().unwrap().offset
        };
        let stranger = Region::zeroed(4).unwrap();
        let seen = [
            run(&stranger, &good),
            run(&constant, &good),
            run(&good, &short),
            run(&good, &constant),
        ];
        assert_eq!(seen[..], calls[..]);
    }
}

/// Guests that import a memory by the names of the region space.
#[test]
fn a_guest_cannot_import_the_region_space() {
    for (module, name) in [
        ("genkan:host", "space"),
        ("genkan", "space"),
        ("genkan:host", "words"),
        ("env", "space"),
    ] {
        let text = format!(
            r#"(module
            (import "{module}" "{name}" (memory 17 40))
            (import "env" "read" (func $read (param i64 i32) (result i32)))
            (import "genkan" "write_u8" (func $write (param i64 i32 i32)))
            (export "memory" (memory 0))
            (func (export "read") (param i64) (result i32) (call $read (local.get 0) (i32.const 0)))
            (func (export "write") (param i64 i32) (call $write (local.get 0) (i32.const 0) (local.get 1)))
            (func (export "size") (result i32) (memory.size))
            (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
            (func (export "fill") (memory.fill (i32.const 0) (i32.const 0xff) (i32.const 0x110000))))"#
        );
        let compiled = compile(&text);
        for limits in all_limits() {
            let region = Region::copy_of(&[42]).unwrap();
            let mut guest = Guest::with(&compiled, Setup::new().limits(limits)).unwrap();
            guest.grant(&region, Access::ReadWrite).unwrap();
            let pointer = Value::from(region.pointer());
            assert_eq!(guest.call::<i32>("read", &[pointer]).unwrap(), 42);
            assert_eq!(guest.call::<i32>("size", &[]).unwrap(), 17);
            let slot = (region.pointer().to_bits() >> 32 & 0xffff) as i32;
            for word in 0..4 {
                let entry = Value::I32(16 * slot + 4 * word);
                assert_eq!(guest.call::<i32>("load", &[entry]).unwrap(), 0);
            }
            // If that were the table, every pointer would be in it.
            guest.call::<()>("fill", &[]).unwrap();
            guest.call::<()>("write", &[pointer, 7.into()]).unwrap();
            assert_eq!(guest.call::<i32>("read", &[pointer]).unwrap(), 7);
            assert_eq!(guest.call::<i32>("load", &[0.into()]).unwrap(), -1);
            let invented = Value::I64(-1);
            let refused = guest.call::<i32>("read", &[invented]);
            assert!(matches!(refused, Err(Error::Pointer(_))), "{refused:?}");
            assert_eq!(*region.as_slice().unwrap(), [7]);
        }
    }
}

/// A memory of the guest's is limited, whatever was added to its module.
#[test]
fn memory_limits_are_about_the_guests_own_memory() {
    for memory in [
        r#"(memory 3)"#,
        r#"(import "genkan:host" "space" (memory 3))"#,
    ] {
        let module = compile(&three_ways(memory));
        for limits in all_limits() {
            let setup = |bytes| Setup::new().limits(limits.clone().memory(bytes));
            Guest::with(&module, setup(3 << 16)).unwrap();
            let refused = Guest::with(&module, setup(2 << 16));
            assert!(
                matches!(refused, Err(Error::MemoryLimit { .. })),
                "{refused:?}"
            );
        }
    }
}

/// An embedder's function in place of a read is called each time.
#[test]
fn a_function_of_the_embedders_is_called_as_ever() {
    let module = compile(&three_ways(""));
    for limits in all_limits() {
        let region = Region::copy_of(&[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        let mut functions = Functions::default();
        functions.add("env", "read", |_, _| Ok(vec![Value::I32(101)]));
        let mut guest =
            Guest::with(&module, Setup::new().limits(limits).functions(functions)).unwrap();
        guest.grant(&region, Access::Read).unwrap();
        let args = [region.pointer().into(), 0.into()];
        for _ in 0..3 {
            assert_eq!(guest.call::<i32>("read", &args).unwrap(), 101);
            assert_eq!(guest.call::<i32>("read_table", &args).unwrap(), 101);
            // That one enters the region in the table, where an access would find it.
            assert_eq!(guest.call::<i32>("read_u8", &args).unwrap(), 1);
        }
    }
}

/// With another type, it is not the host's function, and refused as ever.
#[test]
fn an_import_of_another_type_is_refused() {
    let text = r#"(module (import "env" "read" (func $read (param i32) (result i32)))
        (func (export "run") (result i32) (call $read (i32.const 0))))"#;
    let refused = Guest::new(&compile(text));
    assert!(matches!(refused, Err(Error::Import(_))), "{refused:?}");
}

/// Reads or writes one place for ever, and ends with what it found if that is not what it
/// expects.
const FOREVER: &str = r#"(module
    (import "genkan" "read_u64" (func $read (param i64 i32) (result i64)))
    (import "genkan" "write_u64" (func $write (param i64 i32 i64)))
    (import "genkan" "len" (func $len (param i64) (result i64)))
    (func (export "read") (param $p i64) (param $expected i64) (result i64)
        (local $found i64)
        (loop $next
            (br_if $next (i64.eq (local.get $expected)
                (local.tee $found (call $read (local.get $p) (i32.const 8))))))
        (local.get $found))
    (func (export "write") (param $p i64) (param $value i64) (result i64)
        (loop $next
            (call $write (local.get $p) (i32.const 8) (local.get $value))
            (br $next))
        unreachable)
    (func (export "len") (param $p i64) (param $expected i64) (result i64)
        (loop $next
            (br_if $next (i64.eq (i64.const 5000) (call $len (local.get $p)))))
        (i64.const 0)))"#;

/// Takes the next one, awake: it is there sooner than a thread that sleeps is woken, and a
/// guest spins meanwhile, on a busy machine for all of its time slice.
fn next<T>(receiver: &mpsc::Receiver<T>) -> Option<T> {
    for spins in 0u32.. {
        match receiver.try_recv() {
            Ok(next) => return Some(next),
            Err(mpsc::TryRecvError::Disconnected) => return None,
            Err(mpsc::TryRecvError::Empty) if spins % 4096 == 4095 => std::thread::yield_now(),
            Err(mpsc::TryRecvError::Empty) => std::hint::spin_loop(),
        }
    }
    None
}

/// While a guest uses a region, another thread revokes it and fills new ones, where the
/// bytes or addresses may have been: `GENKAN_REVOCATIONS` times.
#[test]
fn revoked_from_another_thread_while_it_is_used() {
    let wanted = std::env::var("GENKAN_REVOCATIONS").ok();
    let count: u64 = wanted.map_or(3000, |n| n.parse().expect("GENKAN_REVOCATIONS is a number"));
    const MINE: u8 = 0xa5;
    const OTHERS: u8 = 0x5a;
    let engine = Engine::new(Config::new().checks(Checks::none())).unwrap();
    let module = engine.compile(FOREVER.as_bytes()).unwrap();
    let mut random = Random(0x5eed | 1);
    let (send, regions) = mpsc::sync_channel::<(Region, u64)>(1);
    let revoker = std::thread::spawn(move || {
        let mut kept = Vec::new();
        while let Some((region, wait)) = next(&regions) {
            for _ in 0..wait {
                std::hint::spin_loop();
            }
            drop(region);
            // Whoever wrote after that wrote here.
            let other = Region::copy_of(&[OTHERS; 5000]).unwrap();
            kept.push(other);
            if kept.len() == 4 {
                for other in kept.drain(..) {
                    assert!(other.as_slice().unwrap().iter().all(|byte| *byte == OTHERS));
                }
            }
        }
    });
    let (mut gone, mut revoked) = (0, 0);
    for round in 0..count {
        let mut guest = Guest::new(&module).unwrap();
        let region = Region::copy_of(&[MINE; 5000]).unwrap();
        guest.grant(&region, Access::ReadWrite).unwrap();
        let other = Region::copy_of(&[OTHERS; 5000]).unwrap();
        guest.grant(&other, Access::ReadWrite).unwrap();
        let args = [
            region.pointer().into(),
            Value::I64(i64::from_le_bytes([MINE; 8])),
        ];
        send.send((region, random.below(300))).unwrap();
        let name = ["read", "write", "len"][(round % 3) as usize];
        match guest.call::<i64>(name, &args) {
            Err(Error::RegionGone(trace)) => {
                gone += 1;
                assert_eq!(trace.frames().count(), 1, "{trace:?}");
            }
            Err(Error::Pointer(_)) => revoked += 1,
            // It was revoked before the call.
            other => panic!("{name}: {other:x?}"),
        }
        assert!(other.as_slice().unwrap().iter().all(|byte| *byte == OTHERS));
    }
    drop(send);
    revoker.join().unwrap();
    assert_eq!(gone + revoked, count);
    eprintln!("{gone} found nothing there, {revoked} found no entry");
}
