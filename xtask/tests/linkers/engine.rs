//! Runs a module in wasmi, with as much of WASI as Rust's std starts up with.

use wasmi::{
    Caller, Engine, Error, Extern, ExternType, Func, Linker, Memory, Module, Store, Val, ValType,
};

/// All that can be seen of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What it wrote, to stdout and stderr.
    pub output: String,
    /// How it ended: the exports' results, `exit N`, or the trap.
    pub end: Vec<String>,
}

#[derive(Default)]
struct Host {
    output: Vec<u8>,
    random: u8,
    memory: Option<Memory>,
}

/// Runs `_start` if the module has it, else every exported function, with
/// arguments 1, 2, 3 … of the types that it takes.
pub fn run(module: &[u8]) -> Outcome {
    let engine = Engine::default();
    let module = Module::new(&engine, module).unwrap_or_else(|error| panic!("wasmi: {error}"));
    let mut store = Store::new(&engine, Host::default());
    let mut linker = Linker::new(&engine);
    for import in module.imports() {
        let (place, name) = (import.module(), import.name());
        match import.ty() {
            ExternType::Func(of) => {
                let function = name.to_owned();
                linker
                    .func_new(
                        place,
                        name,
                        of.clone(),
                        move |caller, arguments, results| {
                            call(&function, caller, arguments, results)
                        },
                    )
                    .unwrap();
            }
            ExternType::Memory(of) => {
                let memory = Memory::new(&mut store, *of).unwrap();
                // Nobody says that it was not used before.
                memory.data_mut(&mut store).fill(0xa5);
                store.data_mut().memory = Some(memory);
                linker.define(place, name, memory).unwrap();
            }
            ExternType::Table(of) => {
                let table =
                    wasmi::Table::new(&mut store, *of, wasmi::Ref::default_for_ty(of.element()))
                        .unwrap();
                linker.define(place, name, table).unwrap();
            }
            ExternType::Global(of) => {
                let global = wasmi::Global::new(
                    &mut store,
                    Val::default_for_ty(of.content()),
                    of.mutability(),
                );
                linker.define(place, name, global).unwrap();
            }
        }
    }
    let mut end = Vec::new();
    match linker.instantiate_and_start(&mut store, &module) {
        Err(error) => end.push(format!("instantiation: {}", describe(&error))),
        Ok(instance) => {
            if let Some(Extern::Memory(memory)) = instance.get_export(&store, "memory") {
                store.data_mut().memory = Some(memory);
            }
            let mut functions: Vec<(String, Func)> = instance
                .exports(&store)
                .filter_map(|export| Some((export.name().to_owned(), export.into_func()?)))
                .collect();
            functions.sort_by(|one, other| one.0.cmp(&other.0));
            if functions.iter().any(|(name, _)| name == "_start") {
                functions.retain(|(name, _)| name == "_start");
            }
            // A reactor wants this before anything else.
            functions.sort_by_key(|(name, _)| name != "_initialize");
            for (name, function) in functions {
                let of = function.ty(&store);
                let arguments: Vec<Val> = of
                    .params()
                    .iter()
                    .zip(1..)
                    .map(|(of, n)| value(*of, n))
                    .collect();
                let mut results: Vec<Val> = of
                    .results()
                    .iter()
                    .map(|of| Val::default_for_ty(*of))
                    .collect();
                let result = function.call(&mut store, &arguments, &mut results);
                end.push(match result {
                    Ok(()) => format!("{name}: {}", shown(&results)),
                    Err(error) => format!("{name}: {}", describe(&error)),
                });
            }
        }
    }
    Outcome {
        output: String::from_utf8_lossy(&store.data().output).into_owned(),
        end,
    }
}

fn value(of: ValType, n: i32) -> Val {
    match of {
        ValType::I32 => Val::I32(n),
        ValType::I64 => Val::I64(n.into()),
        ValType::F32 => Val::F32((n as f32).into()),
        ValType::F64 => Val::F64(f64::from(n).into()),
        other => Val::default_for_ty(other),
    }
}

fn shown(values: &[Val]) -> String {
    let shown = values.iter().map(|value| match value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => value.to_string(),
        Val::F32(value) => value.to_bits().to_string(),
        Val::F64(value) => value.to_bits().to_string(),
        _ => "a reference".into(),
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn describe(error: &Error) -> String {
    match (error.i32_exit_status(), error.as_trap_code()) {
        (Some(status), _) => format!("exit {status}"),
        (_, Some(trap)) => format!("trap: {trap}"),
        _ => error.to_string(),
    }
}

/// WASI's errno for a bad file descriptor.
const BADF: i32 = 8;

/// One function of the host. What WASI does not know of answers 0.
fn call(
    name: &str,
    mut caller: Caller<'_, Host>,
    arguments: &[Val],
    results: &mut [Val],
) -> Result<(), Error> {
    let memory = caller
        .get_export("memory")
        .and_then(Extern::into_memory)
        .or(caller.data().memory);
    let argument = |n: usize| match arguments.get(n) {
        Some(Val::I32(value)) => *value as u32 as usize,
        Some(Val::I64(value)) => *value as usize,
        _ => 0,
    };
    let read = |caller: &Caller<'_, Host>, at: usize| {
        let data = memory.expect("a memory").data(caller);
        u32::from_le_bytes(data[at..at + 4].try_into().unwrap()) as usize
    };
    let write = |caller: &mut Caller<'_, Host>, at: usize, bytes: &[u8]| {
        memory.expect("a memory").data_mut(caller)[at..at + bytes.len()].copy_from_slice(bytes);
    };
    let mut errno = 0;
    match name {
        "proc_exit" => return Err(Error::i32_exit(argument(0) as i32)),
        "fd_write" => {
            let mut written = 0;
            for vector in 0..argument(2) {
                let at = argument(1) + 8 * vector;
                let (start, length) = (read(&caller, at), read(&caller, at + 4));
                let bytes = memory.expect("a memory").data(&caller)[start..start + length].to_vec();
                caller.data_mut().output.extend(bytes);
                written += length as u32;
            }
            write(&mut caller, argument(3), &written.to_le_bytes());
        }
        "args_sizes_get" | "environ_sizes_get" => {
            write(&mut caller, argument(0), &[0; 4]);
            write(&mut caller, argument(1), &[0; 4]);
        }
        "random_get" => {
            let mut bytes = Vec::new();
            for _ in 0..argument(1) {
                let random = caller.data().random.wrapping_mul(5).wrapping_add(1);
                caller.data_mut().random = random;
                bytes.push(random);
            }
            write(&mut caller, argument(0), &bytes);
        }
        "clock_time_get" => write(&mut caller, argument(2), &1_000_000_000_u64.to_le_bytes()),
        // Stdin, stdout and stderr are character devices, as on a terminal.
        "fd_fdstat_get" if argument(0) < 3 => {
            let mut stat = [0; 24];
            stat[0] = 2;
            write(&mut caller, argument(1), &stat);
        }
        "fd_prestat_get"
        | "fd_prestat_dir_name"
        | "fd_fdstat_get"
        | "fd_read"
        | "fd_seek"
        | "path_open" => {
            errno = BADF;
        }
        _ => {}
    }
    for result in results {
        *result = match result {
            Val::I64(_) => Val::I64(0),
            Val::F32(_) => Val::F32(0_f32.into()),
            Val::F64(_) => Val::F64(0_f64.into()),
            _ => Val::I32(errno),
        };
    }
    Ok(())
}
