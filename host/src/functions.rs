//! What guests import: the carried modules' functions, the host's own, and those
//! that the embedder offers.

use crate::error::{Error, PointerError};
use crate::map::Inaccessible;
use crate::region::Pointer;
use crate::space::Space;
use crate::value::Value;
use crate::wasi::{self, Wasi};
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use wasmer::{
    Function, FunctionEnv, FunctionEnvMut, FunctionType, Memory, RuntimeError, Store, Type,
};

/// What host functions know of the guest that calls them.
pub(crate) struct State {
    pub(crate) space: Arc<Space>,
    pub(crate) memory: Option<Memory>,
    pub(crate) wasi: Wasi,
}

impl State {
    /// Copies bytes out of the guest's memory.
    pub(crate) fn read(&self, at: u32, to: &mut [u8]) -> Result<(), Inaccessible> {
        let memory = self.space.memory.get().ok_or(Inaccessible)?;
        memory.space.read(at as usize, to)
    }

    /// Copies bytes into the guest's memory.
    pub(crate) fn write(&self, at: u32, from: &[u8]) -> Result<(), Inaccessible> {
        let memory = self.space.memory.get().ok_or(Inaccessible)?;
        memory.space.write(at as usize, from)
    }
}

type Env<'a> = FunctionEnvMut<'a, State>;

/// Where an import comes from.
pub(crate) enum Source {
    /// The carried module of reads and writes.
    Access,
    /// The carried module of copies, or a host function in its place for a guest
    /// whose memory it cannot import.
    Copy,
    /// A function of the host's.
    Host,
}

/// Every function that the host offers without being told to.
pub(crate) fn source(module: &str, name: &str) -> Option<Source> {
    Some(match (module, name) {
        ("env", "read") => Source::Access,
        ("env", "__genkan_panic") => Source::Host,
        ("genkan", "read_into" | "write_from") => Source::Copy,
        ("genkan", "map" | "try_map" | "unmap") => Source::Host,
        (
            "genkan",
            "len" | "check" | "read_u8" | "read_u16" | "read_u32" | "read_u64" | "write_u8"
            | "write_u16" | "write_u32" | "write_u64",
        ) => Source::Access,
        (wasi::MODULE, _) => Source::Host,
        _ => return None,
    })
}

/// The host's function of this name, for a guest that imports it with type `ty`.
pub(crate) fn host_function(
    store: &mut Store,
    env: &FunctionEnv<State>,
    module: &str,
    name: &str,
    ty: &FunctionType,
) -> Option<Function> {
    macro_rules! typed {
        ($function:expr) => {
            Function::new_typed_with_env(store, env, $function)
        };
    }
    Some(match (module, name) {
        ("env", "__genkan_panic") => typed!(panic_report),
        ("genkan", "read_into") => typed!(read_into),
        ("genkan", "write_from") => typed!(write_from),
        ("genkan", "map") => typed!(map),
        ("genkan", "try_map") => typed!(try_map),
        ("genkan", "unmap") => typed!(unmap),
        (wasi::MODULE, "fd_write") => typed!(wasi::fd_write),
        (wasi::MODULE, "fd_fdstat_get") => typed!(wasi::fd_fdstat_get),
        (wasi::MODULE, "args_sizes_get") => typed!(wasi::args_sizes_get),
        (wasi::MODULE, "args_get") => typed!(wasi::args_get),
        (wasi::MODULE, "environ_sizes_get") => typed!(wasi::environ_sizes_get),
        (wasi::MODULE, "environ_get") => typed!(wasi::environ_get),
        (wasi::MODULE, "clock_time_get") => typed!(wasi::clock_time_get),
        (wasi::MODULE, "clock_res_get") => typed!(wasi::clock_res_get),
        (wasi::MODULE, "random_get") => typed!(wasi::random_get),
        (wasi::MODULE, "sched_yield") => typed!(wasi::sched_yield),
        (wasi::MODULE, "proc_exit") => typed!(wasi::proc_exit),
        (wasi::MODULE, _) if *ty.results() == [Type::I32] => {
            let answer = wasi::absent(name);
            Function::new(store, ty, move |_| Ok(vec![answer.clone()]))
        }
        _ => return None,
    })
}

/// What the carried modules call for whatever does not pass.
pub(crate) fn fault(store: &mut Store, env: &FunctionEnv<State>) -> Function {
    let fault = |env: Env<'_>, pointer: i64, offset: u32, len: u32, write: i32| {
        let pointer = Pointer::from_bits(pointer as u64);
        env.data().space.admit(pointer, offset, len, write != 0)
    };
    Function::new_typed_with_env(store, env, fault)
}

/// What the carried modules call for a pointer that is not in the table.
pub(crate) fn resolve(store: &mut Store, env: &FunctionEnv<State>) -> Function {
    let resolve = |env: Env<'_>, pointer: i64| {
        let resolved = env.data().space.resolve(Pointer::from_bits(pointer as u64));
        resolved.map(i32::from)
    };
    Function::new_typed_with_env(store, env, resolve)
}

fn read_into(env: Env<'_>, pointer: i64, address: u32, len: u32) -> Result<(), Error> {
    let pointer = Pointer::from_bits(pointer as u64);
    env.data().space.copy(pointer, address, len, false)
}

fn write_from(env: Env<'_>, pointer: i64, address: u32, len: u32) -> Result<(), Error> {
    let pointer = Pointer::from_bits(pointer as u64);
    env.data().space.copy(pointer, address, len, true)
}

fn map(mut env: Env<'_>, pointer: i64, len: u32, write: i32) -> Result<u32, Error> {
    let pointer = Pointer::from_bits(pointer as u64);
    let (state, mut store) = env.data_and_store_mut();
    let grow = |pages| {
        let no_room = |why: &str| Error::Window(format!("no room for a window: {why}"));
        let (Some(memory), Some(own)) = (&state.memory, state.space.memory.get()) else {
            return Err(no_room("the guest neither imports nor exports its memory"));
        };
        own.grow_for_window();
        let grown = memory.grow(&mut store, pages);
        grown.map(drop).map_err(|e| no_room(&e.to_string()))
    };
    state.space.map(pointer, len, write != 0, grow)
}

/// As `map`, but errors are negative: as `check` has them, or -4 for no room.
fn try_map(env: Env<'_>, pointer: i64, len: u32, write: i32) -> i64 {
    use crate::error::PointerProblem::{OutOfBounds, ReadOnly};
    match map(env, pointer, len, write) {
        Ok(address) => address.into(),
        Err(Error::Pointer(PointerError { problem, .. })) => match problem {
            OutOfBounds { .. } => -2,
            ReadOnly { .. } => -3,
            _ => -1,
        },
        Err(_) => -4,
    }
}

fn unmap(env: Env<'_>, address: u32) -> Result<(), Error> {
    env.data().space.unmap(address)
}

/// What a guest calls that panics and was built to report it.
#[expect(clippy::too_many_arguments, reason = "the linker's interface")]
fn panic_report(
    env: Env<'_>,
    message: u32,
    message_len: u32,
    file: u32,
    file_len: u32,
    line: u32,
    column: u32,
    index: i64,
    len: i64,
) -> Result<(), Error> {
    const LONGEST: u32 = 64 << 10;
    let text = |at: u32, len: u32| {
        if at == 0 || len == 0 {
            return None;
        }
        let mut bytes = vec![0; len.min(LONGEST) as usize];
        env.data().read(at, &mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let location = match text(file, file_len) {
        Some(file) => format!("{file}:{line}:{column}"),
        None => "an unknown place".into(),
    };
    let message = match text(message, message_len) {
        _ if index >= 0 && len >= 0 => {
            format!(": index out of bounds: the len is {len} but the index is {index}")
        }
        Some(message) => format!(": {message}"),
        None => String::new(),
    };
    Err(Error::Panic { location, message })
}

/// What a function that the embedder offers gets to see of the guest that calls
/// it.
pub struct Caller<'a>(&'a State);

impl Caller<'_> {
    /// Copies bytes out of the guest's memory, from `address` on.
    ///
    /// # Errors
    /// [`Error::GuestRange`] when the guest may not read all of them itself.
    pub fn read(&self, address: u32, to: &mut [u8]) -> Result<(), Error> {
        self.0.read(address, to).map_err(|_| Error::GuestRange {
            function: "read",
            access: "readable",
            address,
            len: to.len() as u32,
        })
    }

    /// Copies bytes into the guest's memory, from `address` on.
    ///
    /// # Errors
    /// [`Error::GuestRange`] when the guest may not write all of them itself.
    pub fn write(&self, address: u32, from: &[u8]) -> Result<(), Error> {
        self.0.write(address, from).map_err(|_| Error::GuestRange {
            function: "write",
            access: "writable",
            address,
            len: from.len() as u32,
        })
    }
}

/// What a function of the embedder's returns.
pub type HostResult = Result<Vec<Value>, Box<dyn std::error::Error + Send + Sync>>;

type Callback = dyn Fn(&Caller<'_>, &[Value]) -> HostResult + Send + Sync;

/// Functions that the embedder offers to a guest, by module and name.
#[derive(Clone, Default)]
pub struct Functions(HashMap<(String, String), Arc<Callback>>);

impl Functions {
    /// Offers a function. It gets the arguments of the type that the guest imports
    /// it with, and must return results of that type.
    ///
    /// When it fails or panics, the guest is stopped, and its call ends with
    /// [`Error::HostFunction`] or [`Error::HostPanic`].
    pub fn add(
        &mut self,
        module: &str,
        name: &str,
        function: impl Fn(&Caller<'_>, &[Value]) -> HostResult + Send + Sync + 'static,
    ) {
        self.0
            .insert((module.into(), name.into()), Arc::new(function));
    }

    pub(crate) fn has(&self, module: &str, name: &str) -> bool {
        self.0.contains_key(&(module.into(), name.into()))
    }

    pub(crate) fn bind(
        &self,
        store: &mut Store,
        env: &FunctionEnv<State>,
        module: &str,
        name: &str,
        ty: &FunctionType,
    ) -> Option<Function> {
        let function = self.0.get(&(module.into(), name.into()))?.clone();
        let results = ty.results().to_vec();
        let name = format!("{module}.{name}");
        let call = move |env: Env<'_>, args: &[wasmer::Value]| {
            let args: Vec<Value> = args.iter().filter_map(Value::from_wasm).collect();
            let caller = Caller(env.data());
            // A panic must not unwind through the guest.
            let outcome = catch_unwind(AssertUnwindSafe(|| function(&caller, &args)));
            let fail = |error| Error::HostFunction {
                function: name.clone(),
                error,
            };
            let values = match outcome {
                Ok(Ok(values)) => values,
                Ok(Err(error)) => return Err(user(fail(error))),
                Err(panic) => {
                    return Err(user(Error::HostPanic {
                        function: name.clone(),
                        message: panic_message(&*panic),
                    }));
                }
            };
            if !values
                .iter()
                .map(|value| value.ty())
                .eq(results.iter().copied())
            {
                return Err(user(fail("its results are of another type".into())));
            }
            Ok(values.into_iter().map(Value::to_wasm).collect())
        };
        Some(Function::new_with_env(store, env, ty, call))
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn user(error: Error) -> RuntimeError {
    RuntimeError::user(Box::new(error))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(message), _) => (*message).into(),
        (_, Some(message)) => message.clone(),
        _ => "with a value that is no text".into(),
    }
}
