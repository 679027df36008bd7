//! Measures the host, and what it could have been, in one run, and prints the
//! ratios: `cargo xtask bench host [--json]`.
//!
//! Each figure is the median of several rounds, in which ours and theirs take
//! turns, as the machine may be shared.

mod guests;
mod large;
mod measure;

use anyhow::{Result, ensure};
use genkan_host::{
    Access, Checks, Engine, Error, Guest, Limits, Module, Pool, PoolLimits, Region, Setup, Value,
    measure_rewriting,
};
use measure::{Comparison, Floor, compare, compare_all, faults};
use std::hint::black_box;
use std::io::IsTerminal;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;
const BIG: usize = 256 * MIB;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [] => report(false, None),
        ["--json"] => report(true, None),
        ["--rust", module] => report(false, Some(Path::new(module))),
        ["--json", "--rust", module] => report(true, Some(Path::new(module))),
        // What the cold start's subprocesses do.
        ["cold-ours", cache, module] => guests::cold_ours(Path::new(cache), Path::new(module)),
        ["cold-wasmer", artifact] => guests::cold_wasmer(Path::new(artifact)),
        _ => anyhow::bail!("usage: host-bench [--json] [--rust MODULE]"),
    }
}

/// `rust` is the module of `guests/slice_sum.rs`.
fn report(json: bool, rust: Option<&Path>) -> Result<()> {
    let mut rows = Vec::new();
    let progress = std::io::stderr().is_terminal();
    let step = |what: &str| {
        if progress {
            eprint!("\r\x1b[K   Measuring {what}");
        }
    };
    step("reads");
    rows.extend(reads()?);
    step("sums");
    rows.extend(sums(rust)?);
    step("copies");
    rows.push(read_into()?);
    step("instances");
    rows.push(instantiate()?);
    rows.push(pool()?);
    step("cold starts");
    rows.push(cold_start()?);
    step("rewriting");
    rows.extend(rewriting()?);
    step("limits");
    rows.extend(limits()?);
    if progress {
        eprint!("\r\x1b[K");
    }
    if json {
        let rows: Vec<_> = rows.iter().map(Comparison::json).collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print!("{}", measure::table(&rows));
    }
    let missed = rows.iter().filter(|row| !row.passes()).count();
    ensure!(missed == 0, "{missed} of the floors not reached");
    Ok(())
}

/// One-byte reads, from a loop in the guest.
fn reads() -> Result<Vec<Comparison>> {
    // Short turns: most of them are not interrupted.
    const CALLS: i32 = 500_000;
    const ROUNDS: usize = 101;
    let region = Region::copy_of(&[1, 2, 3, 4])?;
    let module = Engine::default().compile(guests::READ_LOOP.as_bytes())?;
    let mut guest = Guest::new(&module)?;
    guest.grant(&region, Access::Read)?;
    let mut ours = || -> Result<f64> {
        let args = [region.pointer().into(), CALLS.into()];
        let start = Instant::now();
        let sum: i32 = guest.call("run", &args)?;
        let time = start.elapsed();
        ensure!(sum == 3 * CALLS, "a wrong sum: {sum}");
        Ok(nanoseconds(time, CALLS as usize))
    };
    let bytes = [1u8, 2, 3, 4];
    let mut memo = guests::MemoRead::new()?;
    let mut memo = || -> Result<f64> {
        let start = Instant::now();
        let sum = memo.run(&bytes, CALLS / 10)?;
        let time = start.elapsed();
        ensure!(sum == 3 * (CALLS / 10), "a wrong sum: {sum}");
        Ok(nanoseconds(time, CALLS as usize / 10))
    };
    let mut wasmtime = guests::WasmtimeRead::new()?;
    let mut wasmtime = || -> Result<f64> {
        let start = Instant::now();
        let sum = wasmtime.run(&bytes, CALLS)?;
        let time = start.elapsed();
        ensure!(sum == 3 * CALLS, "a wrong sum: {sum}");
        Ok(nanoseconds(time, CALLS as usize))
    };
    let mut plain = program(guests::PLAIN_READS, &Limits::new())?;
    let mut plain = || Ok(plain()? * 1e6 / f64::from(guests::PLAIN_READ_COUNT));
    Ok(vec![
        compare(
            "checked read, per call; the memo's raw one in wasmer",
            "ns",
            Floor::AtMost(0.2),
            ROUNDS,
            &mut ours,
            &mut memo,
        )?,
        compare(
            "checked read, per call; a raw one in wasmtime 47",
            "ns",
            Floor::AtMost(0.45),
            ROUNDS,
            &mut ours,
            &mut wasmtime,
        )?,
        compare(
            "checked read, in a loop; a load of the guest's own memory",
            "ns",
            Floor::AtMost(2.5),
            ROUNDS,
            &mut ours,
            &mut plain,
        )?,
    ])
}

/// Sums over 256 MiB of a region: by checked reads, and in a window; native on the same
/// bytes. And how long it takes to have a window.
fn sums(rust: Option<&Path>) -> Result<Vec<Comparison>> {
    const ROUNDS: usize = 15;
    let region = filled(BIG)?;
    let pointer: Value = region.pointer().into();
    let len = BIG as i32;
    let granted = |module: Module| -> Result<Guest> {
        let mut guest = Guest::new(&module)?;
        guest.grant(&region, Access::Read)?;
        Ok(guest)
    };
    let engine = Engine::default();
    let mut window = granted(engine.compile(guests::WINDOW.as_bytes())?)?;
    let attaching = attaching(&mut window, pointer)?;
    let address: i32 = window.call("map_window", &[pointer, len.into()])?;
    let mut ours = vec![
        Sum {
            what: "sum of u64 by read_u64 over 256 MiB; native on the same bytes",
            floor: Floor::AtMost(4.0),
            guest: granted(engine.compile(guests::READ_SUM.as_bytes())?)?,
            function: "run",
            args: vec![pointer, len.into()],
        },
        Sum {
            what: "sum of u64 in a window of 256 MiB; native on the same bytes",
            // 0.9 of its throughput.
            floor: Floor::AtMost(1.11),
            guest: window,
            function: "sum",
            args: vec![address.into(), len.into()],
        },
    ];
    match rust {
        Some(module) => ours.push(Sum {
            what: "sum of u64 by HostSlice in Rust over 256 MiB; native on the same bytes",
            floor: Floor::AtMost(2.0),
            guest: granted(engine.load(module)?)?,
            function: "sum",
            args: vec![pointer],
        }),
        None => eprintln!("not measured: HostSlice, as no guest in Rust was given"),
    }
    let expected = native_sum(&region.as_slice()?);
    let check = |sum: u64| {
        ensure!(sum == expected, "a wrong sum: {sum}");
        Ok(())
    };
    let mut native = || -> Result<f64> {
        let bytes = region.as_slice()?;
        let start = Instant::now();
        let sum = native_sum(black_box(&bytes));
        let time = start.elapsed();
        check(sum)?;
        Ok(time.as_secs_f64() * 1e3)
    };
    let mut rows = vec![attaching];
    let turns = ours.iter_mut().map(|ours| {
        let turn = || -> Result<f64> {
            let start = Instant::now();
            let sum: u64 = ours.guest.call(ours.function, &ours.args)?;
            let time = start.elapsed();
            check(sum)?;
            Ok(time.as_secs_f64() * 1e3)
        };
        let turn: Box<dyn FnMut() -> Result<f64>> = Box::new(turn);
        (ours.what, ours.floor, turn)
    });
    rows.extend(compare_all("ms", ROUNDS, turns.collect(), &mut native)?);
    Ok(rows)
}

/// A guest's function that adds up.
struct Sum {
    what: &'static str,
    floor: Floor,
    guest: Guest,
    function: &'static str,
    args: Vec<Value>,
}

fn attaching(guest: &mut Guest, pointer: Value) -> Result<Comparison> {
    const ATTACHED: usize = 100;
    let before = faults();
    let start = Instant::now();
    for _ in 0..ATTACHED {
        guest.call::<()>("attach", &[pointer, (BIG as i32).into()])?;
    }
    let attached = start.elapsed();
    let touched = faults() - before;
    ensure!(
        touched < BIG / 4096,
        "attaching a window touches its pages: {touched} faults"
    );
    Ok(Comparison::fixed(
        "attaching and detaching a window of 256 MiB",
        "µs",
        nanoseconds(attached, ATTACHED) / 1000.0,
        100.0,
    ))
}

/// The load-time pass on a module of 1 MiB of code, beside compiling that; with a deadline,
/// and with fuel as well.
fn rewriting() -> Result<Vec<Comparison>> {
    let module = large::module(MIB)?;
    let milliseconds = |checks: Checks| -> Result<f64> {
        let start = Instant::now();
        black_box(measure_rewriting(&module, checks)?);
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    let mut rows = Vec::new();
    for (what, fuel) in [
        ("rewriting 1 MiB of code for a deadline", false),
        ("rewriting 1 MiB of code for a deadline and fuel", true),
    ] {
        let checks = Checks::none().interrupt(true).fuel(fuel);
        let mut times = (0..51)
            .map(|_| milliseconds(checks))
            .collect::<Result<Vec<_>>>()?;
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        rows.push(Comparison::fixed(what, "ms", median, 5.0));
    }
    let engine = wasmer::Engine::default();
    let mut compile = || -> Result<f64> {
        let start = Instant::now();
        black_box(wasmer::Module::new(&engine, &module)?);
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    rows.push(compare(
        "rewriting 1 MiB of code for a deadline; compiling it in bare wasmer",
        "ms",
        Floor::AtMost(0.03),
        5,
        &mut || milliseconds(Checks::none().interrupt(true)),
        &mut compile,
    )?);
    Ok(rows)
}

fn native_sum(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    words
        .iter()
        .fold(0, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)))
}

/// `read_into` a buffer of 64 KiB, over 256 MiB.
fn read_into() -> Result<Comparison> {
    const CHUNK: usize = 64 << 10;
    let region = filled(BIG)?;
    let module = Engine::default().compile(guests::READ_INTO.as_bytes())?;
    let mut guest = Guest::new(&module)?;
    guest.grant(&region, Access::Read)?;
    let mut buffer = vec![0u8; CHUNK];
    let mut ours = || -> Result<f64> {
        let args = [
            region.pointer().into(),
            (BIG as i32).into(),
            (CHUNK as i32).into(),
        ];
        let start = Instant::now();
        guest.call::<()>("run", &args)?;
        Ok(gigabytes(BIG, start.elapsed()))
    };
    let mut native = || -> Result<f64> {
        let bytes = region.as_slice()?;
        let start = Instant::now();
        for chunk in bytes.chunks_exact(CHUNK) {
            black_box(&mut buffer[..]).copy_from_slice(black_box(chunk));
        }
        Ok(gigabytes(BIG, start.elapsed()))
    };
    compare(
        "read_into in chunks of 64 KiB; native memcpy",
        "GB/s",
        Floor::AtLeast(0.5),
        15,
        &mut ours,
        &mut native,
    )
}

/// Instances from a pool, which write 64 KiB of 1 MiB: how long it takes to get one and to
/// give it back.
fn pool() -> Result<Comparison> {
    const COUNT: usize = 1000;
    let module = Engine::default().compile(guests::TOUCH.as_bytes())?;
    let pool = Pool::new(&module, PoolLimits::new().guests(1));
    let mut ours = || -> Result<f64> {
        let mut took = Duration::ZERO;
        for _ in 0..COUNT {
            let start = Instant::now();
            let mut guest = pool.take(Setup::default())?;
            took += start.elapsed();
            guest.call::<()>("touch", ())?;
            let start = Instant::now();
            drop(guest);
            took += start.elapsed();
        }
        Ok(nanoseconds(took, COUNT) / 1000.0)
    };
    let pool = guests::WasmtimePool::new()?;
    let mut theirs = || -> Result<f64> {
        let mut took = Duration::ZERO;
        for _ in 0..COUNT {
            let start = Instant::now();
            let (mut store, touch) = pool.take()?;
            took += start.elapsed();
            touch.call(&mut store, ())?;
            let start = Instant::now();
            drop(store);
            took += start.elapsed();
        }
        Ok(nanoseconds(took, COUNT) / 1000.0)
    };
    compare(
        "a fresh instance of a pool's, 64 KiB of 1 MiB touched; wasmtime's pool",
        "µs",
        Floor::AtMost(1.0),
        15,
        &mut ours,
        &mut theirs,
    )
}

/// A thousand instances, each with a region; and a thousand bare ones.
fn instantiate() -> Result<Comparison> {
    const COUNT: usize = 1000;
    let region = Region::copy_of(&[0, 1, 2, 3])?;
    let module = Engine::default().compile(guests::CALC.as_bytes())?;
    let mut ours = || -> Result<f64> {
        let start = Instant::now();
        for _ in 0..COUNT {
            let mut guest = Guest::with(&module, Setup::default())?;
            guest.grant(&region, Access::Read)?;
            black_box(&guest);
        }
        Ok(nanoseconds(start.elapsed(), COUNT) / 1000.0)
    };
    let bare = guests::BareWasmer::new()?;
    let mut bare = || -> Result<f64> {
        let start = Instant::now();
        for _ in 0..COUNT {
            black_box(bare.instantiate()?);
        }
        Ok(nanoseconds(start.elapsed(), COUNT) / 1000.0)
    };
    compare(
        "instantiating with a region; bare wasmer with an imported memory",
        "µs",
        Floor::AtMost(2.0),
        15,
        &mut ours,
        &mut bare,
    )
}

/// A process that loads the tiny guest from the cache and calls it; and one that
/// does the same with nothing but the engine.
fn cold_start() -> Result<Comparison> {
    let directory = tempfile::tempdir()?;
    let cache = directory.path().join("cache");
    let module = directory.path().join("calc.wat");
    let artifact = directory.path().join("artifact");
    std::fs::write(&module, guests::CALC)?;
    std::fs::write(&artifact, guests::artifact()?)?;
    let me = std::env::current_exe()?;
    let run = |args: &[&Path], kind: &str| -> Result<f64> {
        let start = Instant::now();
        let status = Command::new(&me).arg(kind).args(args).status()?;
        ensure!(status.success(), "{kind} failed: {status}");
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    let mut ours = || run(&[&cache, &module], "cold-ours");
    let mut wasmer = || run(&[&artifact], "cold-wasmer");
    ours()?;
    compare(
        "cold start from the cache; the engine's own, deserialising only",
        "ms",
        Floor::AtMost(1.5),
        31,
        &mut ours,
        &mut wasmer,
    )
}

/// What it costs a guest that the host can end it, and that it counts.
fn limits() -> Result<Vec<Comparison>> {
    const ROUNDS: usize = 51;
    let none = Limits::new();
    let deadline = Limits::new().deadline(Duration::from_secs(3600));
    let fuel = Limits::new().fuel(u64::MAX >> 1);
    let programs = |what: [&'static str; 3], limits: &Limits, floors: [Floor; 3]| {
        let guests = [guests::CALLS, guests::LOOPS, guests::COMPUTE];
        let rows = what.into_iter().zip(guests).zip(floors);
        rows.map(|((what, guest), floor)| {
            let mut with = program(guest, limits)?;
            compare(
                what,
                "ms",
                floor,
                ROUNDS,
                &mut with,
                &mut program(guest, &none)?,
            )
        })
        .collect::<Result<Vec<_>>>()
    };
    let mut rows = programs(
        [
            "calls (fib) with a deadline; without",
            "loops (sieve) with a deadline; without",
            "a loop that waits for its own result with a deadline; without",
        ],
        &deadline,
        [
            Floor::AtMost(1.10),
            Floor::AtMost(1.25),
            Floor::AtMost(1.25),
        ],
    )?;
    rows.extend(programs(
        [
            "calls (fib) with fuel; without",
            "loops (sieve) with fuel; without",
            "a loop that waits for its own result with fuel; without",
        ],
        &fuel,
        [Floor::AtMost(1.5), Floor::AtMost(1.5), Floor::AtMost(1.5)],
    )?);
    for (what, guest) in [
        ("calls (fib) without a limit; bare wasmer", guests::CALLS),
        ("loops (sieve) without a limit; bare wasmer", guests::LOOPS),
    ] {
        let mut bare = guests::bare_program(guest)?;
        let mut bare = || {
            let start = Instant::now();
            bare()?;
            Ok(start.elapsed().as_secs_f64() * 1e3)
        };
        let mut ours = program(guest, &none)?;
        rows.push(compare(
            what,
            "ms",
            Floor::AtMost(1.03),
            ROUNDS,
            &mut ours,
            &mut bare,
        )?);
    }
    rows.push(lateness()?);
    Ok(rows)
}

/// Runs a program, and gives the milliseconds that it took.
fn program(text: &str, limits: &Limits) -> Result<impl FnMut() -> Result<f64> + use<>> {
    let module = Engine::default().compile(text.as_bytes())?;
    let mut guest = Guest::with(&module, Setup::new().limits(limits.clone()))?;
    Ok(move || -> Result<f64> {
        let start = Instant::now();
        black_box(guest.call::<i32>("run", &[])?);
        Ok(start.elapsed().as_secs_f64() * 1e3)
    })
}

/// How much later than its deadline a guest ends.
fn lateness() -> Result<Comparison> {
    let limit = Duration::from_millis(5);
    let module = Engine::default().compile(guests::ENDLESS.as_bytes())?;
    let mut late = Vec::new();
    for _ in 0..101 {
        let mut guest = Guest::with(&module, Setup::new().limits(Limits::new().deadline(limit)))?;
        let start = Instant::now();
        let ended = guest.call::<()>("run", &[]);
        let time = start.elapsed();
        ensure!(matches!(ended, Err(Error::Deadline { .. })), "{ended:?}");
        late.push((time - limit).as_secs_f64() * 1e3);
    }
    late.sort_by(f64::total_cmp);
    let median = late[late.len() / 2];
    Ok(Comparison::fixed(
        "ending after a deadline of 5 ms has passed",
        "ms",
        median,
        2.0,
    ))
}

fn filled(len: usize) -> Result<Region> {
    let mut region = Region::zeroed(len)?;
    for (i, word) in region.as_mut_slice()?.chunks_exact_mut(8).enumerate() {
        word.copy_from_slice(&(i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    }
    Ok(region)
}

fn nanoseconds(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e9 / count as f64
}

fn gigabytes(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / 1e9 / time.as_secs_f64()
}
