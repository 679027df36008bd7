//! A module made up from random bytes, with the host's functions as imports, run under
//! every limit. For tests, and for the fuzz target in `host/fuzz`.

use arbitrary::Unstructured;
use genkan_host::{Access, Engine, Error, Guest, Limits, Region, Setup, Value, ValueType};
use std::time::{Duration, Instant};
use wasm_smith::{Config, Module};

/// What they may import.
const IMPORTS: &str = r#"(module
    (import "env" "read" (func (param i64 i32) (result i32)))
    (import "genkan" "len" (func (param i64) (result i64)))
    (import "genkan" "check" (func (param i64 i64 i32) (result i32)))
    (import "genkan" "read_u64" (func (param i64 i32) (result i64)))
    (import "genkan" "write_u8" (func (param i64 i32 i32)))
    (import "genkan" "read_into" (func (param i64 i32 i32)))
    (import "genkan" "write_from" (func (param i64 i32 i32)))
    (import "genkan" "map" (func (param i64 i32 i32) (result i32)))
    (import "genkan" "try_map" (func (param i64 i32 i32) (result i64)))
    (import "genkan" "unmap" (func (param i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
    (import "host" "call" (func (param i32) (result i32))))"#;

/// A module from these bytes; its code may loop for ever.
fn module(bytes: &mut Unstructured<'_>) -> Option<Vec<u8>> {
    let config = Config {
        available_imports: Some(wat::parse_str(IMPORTS).unwrap()),
        min_funcs: 2,
        max_funcs: 20,
        max_instructions: 300,
        max_memory32_bytes: 64 << 20,
        compact_imports_enabled: false,
        max_memories: 1,
        max_tables: 3,
        max_table_elements: 100_000,
        export_everything: true,
        bulk_memory_enabled: true,
        reference_types_enabled: true,
        simd_enabled: true,
        relaxed_simd_enabled: false,
        exceptions_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        memory64_enabled: false,
        gc_enabled: false,
        custom_page_sizes_enabled: false,
        wide_arithmetic_enabled: false,
        extended_const_enabled: true,
        ..Config::default()
    };
    Some(Module::new(config, bytes).ok()?.to_bytes())
}

fn limits(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Limits> {
    let mut limits = Limits::new().memory(bytes.int_in_range(0..=256 << 20)?);
    limits = limits.stack(bytes.int_in_range(64 << 10..=1 << 20)?);
    limits = limits.table(bytes.int_in_range(0..=200_000)?);
    // One of the two at least: else it may run for ever.
    let kind = bytes.int_in_range(0..=2)?;
    if kind != 0 {
        limits = limits.deadline(Duration::from_micros(bytes.int_in_range(0..=3_000)?));
    }
    if kind != 1 {
        limits = limits.fuel(bytes.int_in_range(0..=3_000_000)?);
    }
    Ok(limits)
}

/// The longest that a call may take on a busy machine, whatever its limit: of its
/// processor's time, and by the clock.
const LONGEST: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(120)];

/// When something began.
struct Began(Duration, Instant);

impl Began {
    fn now() -> Self {
        Self(processor_time(), Instant::now())
    }

    fn check(&self, what: &dyn std::fmt::Debug) {
        let took = [processor_time() - self.0, self.1.elapsed()];
        let late = took
            .iter()
            .zip(LONGEST)
            .any(|(took, longest)| *took > longest);
        assert!(!late, "{what:?} after {took:?}");
    }
}

/// This thread's, in the guest and in the host.
fn processor_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the time can be written.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(done, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Makes a module up from these bytes, and calls all that it exports: how many calls that
/// were.
pub fn attack(bytes: &[u8]) -> arbitrary::Result<u32> {
    let mut bytes = Unstructured::new(bytes);
    let limits = limits(&mut bytes)?;
    let (pointers, write) = (bytes.arbitrary::<[u8; 4]>()?, bytes.arbitrary()?);
    let Some(module) = module(&mut bytes) else {
        return Ok(0);
    };
    let mut region = Region::copy_of(&[7; 5000]).unwrap();
    // Compiling has no limit here.
    let Ok(module) = Engine::default().compile(&module) else {
        return Ok(0);
    };
    let Ok(()) = module.prepare(&limits) else {
        return Ok(0);
    };
    let mut setup = Setup::new().limits(limits).stdout(std::io::sink());
    setup.functions.add("host", "call", |caller, args| {
        let Value::I32(at) = args[0] else {
            panic!("the type is checked")
        };
        match at % 16 {
            // The guest's own panics, so to speak.
            0 => panic!("a host function panics"),
            1 => Err("it fails".into()),
            _ => {
                let mut buffer = [0; 64];
                let read = caller.read(at as u32, &mut buffer);
                Ok(vec![Value::I32(read.is_ok().into())])
            }
        }
    });
    let began = Began::now();
    let made = Guest::with(&module, setup);
    began.check(&"instantiated");
    let Ok(mut guest) = made else {
        return Ok(0);
    };
    let access = if write {
        Access::ReadWrite
    } else {
        Access::Read
    };
    guest.grant(&region, access).unwrap();
    let mut calls = 0;
    for function in module.functions() {
        let args: Vec<_> = function
            .params
            .iter()
            .zip(pointers.iter().cycle())
            .filter_map(|(ty, pick)| argument(*ty, *pick, &region))
            .collect();
        if args.len() != function.params.len() {
            continue;
        }
        let began = Began::now();
        let ended = guest.call::<Vec<Value>>(&function.name, &args);
        began.check(&ended);
        calls += 1;
        if let Err(Error::HostPanic { .. }) = ended {
            // The region is as good as before.
            assert!(region.as_slice().is_ok());
        }
        // Its start may fail now: it asks for the time, or the host fails.
        if ended.is_err() && guest.reset().is_err() {
            break;
        }
    }
    drop(guest);
    region.as_mut_slice().unwrap().fill(1);
    Ok(calls)
}

fn argument(ty: ValueType, pick: u8, region: &Region) -> Option<Value> {
    Some(match ty {
        ValueType::I32 => Value::I32(i32::from(pick) - 100),
        ValueType::I64 if pick < 200 => (region.pointer() + u32::from(pick)).into(),
        ValueType::I64 => Value::I64(i64::from(pick)),
        ValueType::F32 => Value::F32(pick.into()),
        ValueType::F64 => Value::F64(pick.into()),
        _ => return None,
    })
}

/// Panics of the host's functions are part of it, and silent; others are written.
pub fn expect_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.to_string().contains("a host function panics") {
            before(panic);
        }
    }));
}
