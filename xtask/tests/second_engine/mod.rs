//! Runs a guest's calls in wasmi: an engine that shares no code with wasmer,
//! and a host that shares none with the package `genkan-host`.

use wasmi::{
    AsContext, Caller, Engine, Error, Extern, ExternType, Instance, Linker, Memory, Module, Store,
    Val, ValType,
};
use xtask::fixtures::{Argument, Call};

/// What the host keeps.
#[derive(Default)]
struct Host {
    data: Vec<Vec<u8>>,
    memory: Option<Memory>,
    stdout: Vec<u8>,
    report: String,
}

/// A module, ready for calls.
pub struct Guest {
    store: Store<Host>,
    instance: Instance,
}

impl Guest {
    /// Instantiates `wasm` with what genkan's host offers.
    pub fn new(wasm: &[u8]) -> Self {
        let engine = Engine::default();
        let module = Module::new(&engine, wasm).expect("a module");
        let mut store = Store::new(&engine, Host::default());
        let mut linker = Linker::new(&engine);
        for import in module.imports() {
            let (from, name) = (import.module(), import.name());
            match import.ty() {
                ExternType::Memory(ty) => {
                    assert_eq!((from, name), ("env", "__linear_memory"));
                    let memory = Memory::new(&mut store, *ty).unwrap();
                    store.data_mut().memory = Some(memory);
                    linker.define(from, name, memory).unwrap();
                }
                ExternType::Func(ty) => {
                    let function = host_function(from, name);
                    linker.func_new(from, name, ty.clone(), function).unwrap();
                }
                other => panic!("{from}.{name} is a {other:?}"),
            }
        }
        let instance = linker.instantiate_and_start(&mut store, &module).unwrap();
        if let Some(memory) = instance.get_memory(&store, "memory") {
            store.data_mut().memory = Some(memory);
        }
        Guest { store, instance }
    }

    /// Makes one call and compares all that it does with what it must do.
    pub fn check(&mut self, call: &Call) {
        let host = self.store.data_mut();
        host.data.clone_from(&call.data);
        host.stdout.clear();
        host.report.clear();
        let function = self.instance.get_func(&self.store, &call.export);
        let function = function.unwrap_or_else(|| panic!("there is no export {}", call.export));
        let ty = function.ty(&self.store);
        let args: Vec<Val> = call
            .args
            .iter()
            .zip(ty.params())
            .map(|(a, &t)| value(*a, t))
            .collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        let outcome = function.call(&mut self.store, &args, &mut results);
        let host = self.store.data();
        let stdout = String::from_utf8_lossy(&host.stdout);
        match (&call.trap, outcome) {
            (None, Err(error)) if error.i32_exit_status() != Some(0) => {
                panic!("{call:?} failed: {error} {}", host.report)
            }
            (None, _) => match (&call.result, results.first()) {
                (None, None) => {}
                (Some(wanted), Some(got)) => assert!(
                    same(got, &value(*wanted, got.ty())),
                    "{call:?} returned {got:?}"
                ),
                (wanted, got) => panic!("{call:?}: {wanted:?} is not {got:?}"),
            },
            (Some(_), Ok(())) => panic!("{call:?} did not trap"),
            (Some(report), Err(_)) => assert!(
                host.report.starts_with(report) && report.is_empty() == host.report.is_empty(),
                "{call:?} reported {}",
                host.report
            ),
        }
        assert_eq!(stdout, call.stdout, "{call:?}");
        let after = call.after.as_ref().unwrap_or(&host.data);
        assert_eq!(host.data, *after, "{call:?}");
    }
}

/// A value of the table as a Wasm value of that type.
fn value(argument: Argument, ty: ValType) -> Val {
    match (argument, ty) {
        // A handle: the number in the upper half, the offset in the lower.
        (Argument::Data(number), ValType::I64) => Val::I64((number as i64 + 1) << 32),
        (Argument::Integer(value), ValType::I32) => Val::I32(value as i32),
        (Argument::Integer(value), ValType::I64) => Val::I64(value),
        (Argument::Float(value), ValType::F32) => Val::F32((value as f32).into()),
        (Argument::Float(value), ValType::F64) => Val::F64(value.into()),
        (other, ty) => panic!("{other:?} is no {ty:?}"),
    }
}

fn same(a: &Val, b: &Val) -> bool {
    match (a, b) {
        (Val::I32(a), Val::I32(b)) => a == b,
        (Val::I64(a), Val::I64(b)) => a == b,
        (Val::F32(a), Val::F32(b)) => a.to_bits() == b.to_bits(),
        (Val::F64(a), Val::F64(b)) => a.to_bits() == b.to_bits(),
        _ => false,
    }
}

type HostFunction =
    Box<dyn Fn(Caller<'_, Host>, &[Val], &mut [Val]) -> Result<(), Error> + Send + Sync>;

/// WASI's "no such function" and "bad file descriptor".
const NOSYS: i32 = 52;
const BADF: i32 = 8;

fn host_function(module: &str, name: &str) -> HostFunction {
    let name = name.to_owned();
    match module {
        "env" if name == "read" => Box::new(|caller, args, results| {
            let (Val::I64(pointer), Val::I32(offset)) = (&args[0], &args[1]) else {
                panic!("read takes an i64 and an i32");
            };
            let place = (pointer & 0xffff_ffff) as usize + *offset as usize;
            let region = caller.data().data.get((pointer >> 32) as usize - 1);
            let byte = region.and_then(|region| region.get(place));
            let byte = byte.ok_or_else(|| Error::new("read outside of the data"))?;
            results[0] = Val::I32(i32::from(*byte));
            Ok(())
        }),
        "env" if name == "__genkan_panic" => Box::new(|mut caller, args, _| {
            let number = |place: usize| match args[place] {
                Val::I32(value) => i64::from(value as u32),
                Val::I64(value) => value,
                _ => panic!("only integers here"),
            };
            let text = |caller: &Caller<'_, Host>, place: usize| {
                let start = number(place) as usize;
                let memory = memory(caller);
                let bytes = &memory.data(caller)[start..start + number(place + 1) as usize];
                String::from_utf8_lossy(bytes).into_owned()
            };
            let file = text(&caller, 2);
            let mut report = format!("guest panicked at {file}:{}:{}", number(4), number(5));
            let (index, len) = (number(6), number(7));
            // What only our host formats.
            const FORMATTED: i64 = -3;
            if index == FORMATTED {
                report += ": …";
            } else if len != -1 {
                report +=
                    &format!(": index out of bounds: the len is {len} but the index is {index}");
            } else if number(0) != 0 {
                report += &format!(": {}", text(&caller, 0));
            }
            caller.data_mut().report = report;
            Ok(())
        }),
        "genkan" => Box::new(move |caller, args, results| {
            let result = genkan(&name, caller, args)?;
            if let (Some(slot), Some(result)) = (results.first_mut(), result) {
                *slot = result;
            }
            Ok(())
        }),
        "wasi_snapshot_preview1" => Box::new(move |caller, args, results| {
            let errno = wasi(&name, caller, args)?;
            if let Some(result) = results.first_mut() {
                *result = Val::I32(errno);
            }
            Ok(())
        }),
        _ => panic!("the host has no {module}.{name}"),
    }
}

/// As much of genkan's own functions as the guests need. What the host maps,
/// this one copies: a guest cannot tell.
fn genkan(name: &str, mut caller: Caller<'_, Host>, args: &[Val]) -> Result<Option<Val>, Error> {
    let Val::I64(pointer) = args[0] else {
        return Ok(None); // `unmap`: a copy that nobody looks at any more.
    };
    let number = |place: usize| match args[place] {
        Val::I32(value) => value as u32 as usize,
        _ => panic!("an i32 is wanted"),
    };
    let (region, start) = (
        (pointer >> 32) as usize - 1,
        (pointer & 0xffff_ffff) as usize,
    );
    let all = caller.data().data[region].len();
    let memory = memory(&caller);
    let range = |len: usize| {
        let inside = start.checked_add(len).is_some_and(|end| end <= all);
        inside
            .then_some(start..start + len)
            .ok_or_else(|| Error::new("outside of the data"))
    };
    Ok(match name {
        "len" => Some(Val::I64((all - start) as i64)),
        "read_into" => {
            let bytes = caller.data().data[region][range(number(2))?].to_vec();
            memory.write(&mut caller, number(1), &bytes).unwrap();
            None
        }
        "write_from" => {
            let range = range(number(2))?;
            let from = number(1);
            let bytes = memory.data(caller.as_context())[from..from + range.len()].to_vec();
            caller.data_mut().data[region][range].copy_from_slice(&bytes);
            None
        }
        "map" => {
            let bytes = caller.data().data[region][range(number(1))?].to_vec();
            let pages = bytes.len().div_ceil(65_536) as u64;
            let at = memory.grow(&mut caller, pages).unwrap() << 16;
            memory.write(&mut caller, at as usize, &bytes).unwrap();
            Some(Val::I32(at as i32))
        }
        other => panic!("the host has no genkan.{other}"),
    })
}

fn memory(caller: &Caller<'_, Host>) -> Memory {
    let exported = caller.get_export("memory").and_then(Extern::into_memory);
    exported
        .or(caller.data().memory)
        .expect("a guest has a memory")
}

/// As much of WASI as the guests need; another function is "no such function".
fn wasi(name: &str, mut caller: Caller<'_, Host>, args: &[Val]) -> Result<i32, Error> {
    let number = |place: usize| match args[place] {
        Val::I32(value) => value as u32 as usize,
        _ => 0,
    };
    let memory = memory(&caller);
    let word = |caller: &Caller<'_, Host>, place: usize| {
        let bytes = &memory.data(caller.as_context())[place..place + 4];
        u32::from_le_bytes(bytes.try_into().unwrap()) as usize
    };
    match name {
        "proc_exit" => return Err(Error::i32_exit(number(0) as i32)),
        "sched_yield" => {}
        "environ_get" | "args_get" => {}
        "environ_sizes_get" | "args_sizes_get" => {
            for place in [number(0), number(1)] {
                memory.write(&mut caller, place, &[0; 4]).unwrap();
            }
        }
        "random_get" => {
            let seed: Vec<u8> = (0..number(1)).map(|i| (i * 31 + 7) as u8).collect();
            memory.write(&mut caller, number(0), &seed).unwrap();
        }
        "fd_write" if number(0) == 1 => {
            let mut written = Vec::new();
            for vector in 0..number(2) {
                let at = number(1) + 8 * vector;
                let (start, len) = (word(&caller, at), word(&caller, at + 4));
                written.extend_from_slice(&memory.data(caller.as_context())[start..start + len]);
            }
            let count = (written.len() as u32).to_le_bytes();
            memory.write(&mut caller, number(3), &count).unwrap();
            caller.data_mut().stdout.extend(written);
        }
        "fd_prestat_get" | "fd_write" => return Ok(BADF),
        _ => return Ok(NOSYS),
    }
    Ok(0)
}
