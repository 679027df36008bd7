//! The guests that are measured, and the engines that ours is measured against.

use anyhow::{Result, ensure};
use genkan_host::{Access, Config, Engine, Guest, Region};
use std::path::Path;

/// The memo's guest.
pub const CALC: &str = r#"(module
    (import "env" "__linear_memory" (memory 0))
    (import "env" "read" (func $read (param i64 i32) (result i32)))
    (func (export "calc") (param i64 i32) (result i32)
        (i32.add (call $read (local.get 0) (i32.const 2)) (local.get 1))))"#;

/// Adds what `read` gives, `n` times.
pub const READ_LOOP: &str = r#"(module
    (import "env" "read" (func $read (param i64 i32) (result i32)))
    (func (export "run") (param $pointer i64) (param $n i32) (result i32)
        (local $sum i32)
        (loop $next
            (local.set $sum
                (i32.add (local.get $sum) (call $read (local.get $pointer) (i32.const 2))))
            (br_if $next
                (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum)))"#;

/// How many loads `PLAIN_READS` does.
pub const PLAIN_READ_COUNT: i32 = 500_000;

/// The same, from its own memory.
pub const PLAIN_READS: &str = r#"(module
    (memory 1)
    (func (export "run") (result i32)
        (local $sum i32) (local $n i32) (local $at i32)
        (local.set $n (i32.const 500000))
        (loop $next
            (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
            (local.set $at (i32.and (local.get $n) (i32.const 0xffff)))
            (br_if $next
                (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum)))"#;

/// Adds up the 64-bit words of a region.
pub const READ_SUM: &str = r#"(module
    (import "genkan" "read_u64" (func $read (param i64 i32) (result i64)))
    (func (export "run") (param $pointer i64) (param $len i32) (result i64)
        (local $at i32) (local $sum i64)
        (loop $next
            (local.set $sum
                (i64.add (local.get $sum) (call $read (local.get $pointer) (local.get $at))))
            (br_if $next
                (i32.lt_u
                    (local.tee $at (i32.add (local.get $at) (i32.const 8)))
                    (local.get $len))))
        (local.get $sum)))"#;

/// Maps a window, and adds up the 64-bit words that it shows, with SIMD.
pub const WINDOW: &str = r#"(module
    (import "env" "memory" (memory 0))
    (import "genkan" "map" (func $map (param i64 i32 i32) (result i32)))
    (import "genkan" "unmap" (func $unmap (param i32)))
    (func (export "map_window") (param i64 i32) (result i32)
        (call $map (local.get 0) (local.get 1) (i32.const 0)))
    (func (export "attach") (param i64 i32)
        (call $unmap (call $map (local.get 0) (local.get 1) (i32.const 0))))
    (func (export "sum") (param $at i32) (param $len i32) (result i64)
        (local $end i32)
        (local $a v128) (local $b v128) (local $c v128) (local $d v128)
        (local.set $end (i32.add (local.get $at) (local.get $len)))
        (loop $next
            (local.set $a (i64x2.add (local.get $a) (v128.load (local.get $at))))
            (local.set $b (i64x2.add (local.get $b) (v128.load offset=16 (local.get $at))))
            (local.set $c (i64x2.add (local.get $c) (v128.load offset=32 (local.get $at))))
            (local.set $d (i64x2.add (local.get $d) (v128.load offset=48 (local.get $at))))
            (br_if $next
                (i32.ne (local.tee $at (i32.add (local.get $at) (i32.const 64)))
                        (local.get $end))))
        (local.set $a
            (i64x2.add (i64x2.add (local.get $a) (local.get $b))
                       (i64x2.add (local.get $c) (local.get $d))))
        (i64.add (i64x2.extract_lane 0 (local.get $a))
                 (i64x2.extract_lane 1 (local.get $a)))))"#;

/// Reads a region in chunks.
pub const READ_INTO: &str = r#"(module
    (import "env" "memory" (memory 2))
    (import "genkan" "read_into" (func $read_into (param i64 i32 i32)))
    (func (export "run") (param $pointer i64) (param $left i32) (param $chunk i32)
        (loop $next
            (call $read_into (local.get $pointer) (i32.const 1024) (local.get $chunk))
            (local.set $pointer
                (i64.add (local.get $pointer) (i64.extend_i32_u (local.get $chunk))))
            (br_if $next
                (local.tee $left (i32.sub (local.get $left) (local.get $chunk)))))))"#;

/// Calls itself.
pub const CALLS: &str = r#"(module
    (func $fib (param $n i32) (result i32)
        (if (result i32) (i32.lt_u (local.get $n) (i32.const 2))
            (then (local.get $n))
            (else (i32.add
                (call $fib (i32.sub (local.get $n) (i32.const 1)))
                (call $fib (i32.sub (local.get $n) (i32.const 2)))))))
    (func (export "run") (result i32) (call $fib (i32.const 25))))"#;

/// Loops within loops over memory: counts the primes below 2^18.
pub const LOOPS: &str = r#"(module (memory 4)
    (func (export "run") (result i32) (local $n i32) (local $at i32) (local $found i32)
        (memory.fill (i32.const 0) (i32.const 0) (i32.const 262144))
        (local.set $n (i32.const 2))
        (loop $next
            (if (i32.eqz (i32.load8_u (local.get $n))) (then
                (local.set $found (i32.add (local.get $found) (i32.const 1)))
                (local.set $at (i32.shl (local.get $n) (i32.const 1)))
                (block $done (loop $mark
                    (br_if $done (i32.ge_u (local.get $at) (i32.const 262144)))
                    (i32.store8 (local.get $at) (i32.const 1))
                    (local.set $at (i32.add (local.get $at) (local.get $n)))
                    (br $mark)))))
            (br_if $next (i32.lt_u
                (local.tee $n (i32.add (local.get $n) (i32.const 1)))
                (i32.const 262144))))
        (local.get $found)))"#;

/// Computes, and touches no memory.
pub const COMPUTE: &str = r#"(module
    (func (export "run") (result i32)
        (local $n i32)
        (local $x i32)
        (local.set $n (i32.const 1000000))
        (loop $next
            (local.set $x
                (i32.add (i32.mul (local.get $x) (i32.const 1664525))
                         (i32.const 1013904223)))
            (br_if $next
                (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $x)))"#;

/// Never ends.
pub const ENDLESS: &str = r#"(module (func (export "run") (loop (br 0))))"#;

/// A program in nothing but wasmer.
pub fn bare_program(text: &str) -> Result<impl FnMut() -> Result<i32> + use<>> {
    let mut store = wasmer::Store::default();
    let module = wasmer::Module::new(&store, wat::parse_str(text)?)?;
    let instance = wasmer::Instance::new_by_index(&mut store, &module, &[])?;
    let run: wasmer::TypedFunction<(), i32> = instance.exports.get_typed_function(&store, "run")?;
    Ok(move || Ok(run.call(&mut store)?))
}

/// The memo's way: a host function of wasmer's that dereferences what it is given.
pub struct MemoRead {
    store: wasmer::Store,
    run: wasmer::TypedFunction<(i64, i32), i32>,
}

impl MemoRead {
    pub fn new() -> Result<Self> {
        let mut store = wasmer::Store::default();
        let module = wasmer::Module::new(&store, wat::parse_str(READ_LOOP)?)?;
        let read = wasmer::Function::new_typed(&mut store, |pointer: i64, offset: i32| -> i32 {
            // SAFETY: the one guest is above, and gets the address of four bytes
            // that outlive its call. This is what must not be offered to others.
            unsafe { *(pointer as *const u8).add(offset as u8 as usize) }.into()
        });
        let instance =
            wasmer::Instance::new_by_index(&mut store, &module, &[wasmer::Extern::Function(read)])?;
        let run = instance.exports.get_typed_function(&store, "run")?;
        Ok(Self { store, run })
    }

    pub fn run(&mut self, bytes: &[u8; 4], calls: i32) -> Result<i32> {
        Ok(self
            .run
            .call(&mut self.store, bytes.as_ptr() as i64, calls)?)
    }
}

/// The same in wasmtime.
pub struct WasmtimeRead {
    store: wasmtime::Store<()>,
    run: wasmtime::TypedFunc<(i64, i32), i32>,
}

impl WasmtimeRead {
    pub fn new() -> Result<Self> {
        let engine = wasmtime::Engine::default();
        let module = wasmtime::Module::new(&engine, wat::parse_str(READ_LOOP)?)?;
        let mut store = wasmtime::Store::new(&engine, ());
        let read = wasmtime::Func::wrap(&mut store, |pointer: i64, offset: i32| -> i32 {
            // SAFETY: as for `MemoRead`.
            unsafe { *(pointer as *const u8).add(offset as u8 as usize) }.into()
        });
        let instance = wasmtime::Instance::new(&mut store, &module, &[read.into()])?;
        let run = instance.get_typed_func(&mut store, "run")?;
        Ok(Self { store, run })
    }

    pub fn run(&mut self, bytes: &[u8; 4], calls: i32) -> Result<i32> {
        Ok(self
            .run
            .call(&mut self.store, (bytes.as_ptr() as i64, calls))?)
    }
}

/// A guest with data that writes 64 KiB.
pub const TOUCH: &str = r#"(module (memory (export "memory") 16)
    (data (i32.const 1024) "some data, which is there for each instance")
    (global $calls (mut i32) (i32.const 0))
    (table 10 funcref) (elem (i32.const 1) $touch)
    (func $touch (export "touch")
        (global.set $calls (i32.const 1))
        (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536))))"#;

/// wasmtime's pooling allocator.
pub struct WasmtimePool {
    engine: wasmtime::Engine,
    instance: wasmtime::InstancePre<()>,
}

impl WasmtimePool {
    pub fn new() -> Result<Self> {
        let mut pool = wasmtime::PoolingAllocationConfig::default();
        pool.total_core_instances(8)
            .total_memories(8)
            .total_tables(8);
        let mut config = wasmtime::Config::new();
        config.allocation_strategy(wasmtime::InstanceAllocationStrategy::Pooling(pool));
        let engine = wasmtime::Engine::new(&config)?;
        let module = wasmtime::Module::new(&engine, wat::parse_str(TOUCH)?)?;
        let instance = wasmtime::Linker::new(&engine).instantiate_pre(&module)?;
        Ok(Self { engine, instance })
    }

    pub fn take(&self) -> Result<(wasmtime::Store<()>, wasmtime::TypedFunc<(), ()>)> {
        let mut store = wasmtime::Store::new(&self.engine, ());
        let instance = self.instance.instantiate(&mut store)?;
        let touch = instance.get_typed_func(&mut store, "touch")?;
        Ok((store, touch))
    }
}

/// The memo's guest in nothing but wasmer: a store, a memory and a host function.
pub struct BareWasmer {
    engine: wasmer::Engine,
    module: wasmer::Module,
}

impl BareWasmer {
    pub fn new() -> Result<Self> {
        let engine = wasmer::Engine::default();
        let module = wasmer::Module::new(&engine, wat::parse_str(CALC)?)?;
        Ok(Self { engine, module })
    }

    pub fn instantiate(&self) -> Result<(wasmer::Store, wasmer::Instance)> {
        let mut store = wasmer::Store::new(self.engine.clone());
        let memory = wasmer::Memory::new(&mut store, wasmer::MemoryType::new(0, None, false))?;
        let read = wasmer::Function::new_typed(&mut store, |_: i64, _: i32| -> i32 { 2 });
        let externs = [memory.into(), read.into()];
        let instance = wasmer::Instance::new_by_index(&mut store, &self.module, &externs)?;
        Ok((store, instance))
    }
}

/// The memo's guest, compiled by wasmer.
pub fn artifact() -> Result<Vec<u8>> {
    Ok(BareWasmer::new()?.module.serialize()?.into())
}

/// Starts with our cache, and runs the guest.
pub fn cold_ours(cache: &Path, module: &Path) -> Result<()> {
    let engine = Engine::new(Config::new().cache(cache))?;
    let mut guest = Guest::new(&engine.load(module)?)?;
    let region = Region::copy_of(&[0, 1, 2, 3])?;
    guest.grant(&region, Access::Read)?;
    let result: i32 = guest.call("calc", &[region.pointer().into(), 20u8.into()])?;
    ensure!(result == 22, "a wrong result: {result}");
    Ok(())
}

/// Starts with wasmer's artifact alone, and runs the guest.
pub fn cold_wasmer(artifact: &Path) -> Result<()> {
    let engine = wasmer::Engine::default();
    // SAFETY: this process's parent has just made it, with the same wasmer.
    let module = unsafe { wasmer::Module::deserialize_from_file(&engine, artifact)? };
    let (mut store, instance) = BareWasmer { engine, module }.instantiate()?;
    let calc: wasmer::TypedFunction<(i64, i32), i32> =
        instance.exports.get_typed_function(&store, "calc")?;
    let result = calc.call(&mut store, 0, 20)?;
    ensure!(result == 22, "a wrong result: {result}");
    Ok(())
}
