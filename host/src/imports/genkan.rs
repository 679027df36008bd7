//! The functions that genkan offers, as far as they are not in the carried modules.

use super::ending::ended;
use super::panic;
use super::state::{Env, State};
use crate::types::{Error, Pointer, PointerError, PointerProblem, WindowProblem};
use wasmer::{Function, FunctionEnv, RuntimeError, Store};

/// The host's function of this name, for a guest that imports it.
pub(super) fn function(
    store: &mut Store,
    env: &FunctionEnv<State>,
    module: &str,
    name: &str,
) -> Option<Function> {
    macro_rules! typed {
        ($function:expr) => {
            Function::new_typed_with_env(store, env, $function)
        };
    }
    Some(match (module, name) {
        ("env", "__genkan_panic") => typed!(panic::report),
        ("genkan", "read_into") => typed!(read_into),
        ("genkan", "write_from") => typed!(write_from),
        ("genkan", "map") => typed!(map),
        ("genkan", "try_map") => typed!(try_map),
        ("genkan", "unmap") => typed!(unmap),
        ("genkan", "take_answer") => typed!(take_answer),
        _ => return None,
    })
}

/// What the carried modules call for whatever does not pass.
pub(super) fn fault(store: &mut Store, env: &FunctionEnv<State>) -> Function {
    let fault = |env: Env<'_>, pointer: i64, offset: u32, len: u32, write: i32| {
        let pointer = Pointer::from_bits(pointer as u64);
        let admitted = env.data().space.admit(pointer, offset, len, write != 0);
        admitted.map_err(ended)
    };
    Function::new_typed_with_env(store, env, fault)
}

/// What the carried modules call for a pointer that is not in the table.
pub(super) fn resolve(store: &mut Store, env: &FunctionEnv<State>) -> Function {
    let resolve = |env: Env<'_>, pointer: i64| {
        let resolved = env.data().space.resolve(Pointer::from_bits(pointer as u64));
        resolved.map(i32::from).map_err(ended)
    };
    Function::new_typed_with_env(store, env, resolve)
}

fn read_into(env: Env<'_>, pointer: i64, address: u32, len: u32) -> Result<(), RuntimeError> {
    copy(&env, pointer, address, len, false)
}

fn write_from(env: Env<'_>, pointer: i64, address: u32, len: u32) -> Result<(), RuntimeError> {
    copy(&env, pointer, address, len, true)
}

fn copy(
    env: &Env<'_>,
    pointer: i64,
    address: u32,
    len: u32,
    write: bool,
) -> Result<(), RuntimeError> {
    let state = env.data();
    let pointer = Pointer::from_bits(pointer as u64);
    let charge = |piece: u32| state.charge_bytes(piece as usize);
    let copied = state.space.copy(pointer, address, len, write, charge);
    copied.map_err(ended)
}

fn map(env: Env<'_>, pointer: i64, len: u32, write: i32) -> Result<u32, RuntimeError> {
    window(env, pointer, len, write).map_err(ended)
}

fn window(mut env: Env<'_>, pointer: i64, len: u32, write: i32) -> Result<u32, Error> {
    let pointer = Pointer::from_bits(pointer as u64);
    let (state, mut store) = env.data_and_store_mut();
    let grow = |pages| {
        let (Some(memory), Some(own)) = (&state.memory, state.space.memory.get()) else {
            return Err(WindowProblem::HiddenMemory.into());
        };
        own.grow_for_window();
        let grown = memory.grow(&mut store, pages);
        grown
            .map(drop)
            .map_err(|_| WindowProblem::NoRoom { len }.into())
    };
    state.space.map(pointer, len, write != 0, grow)
}

/// As `map`, but errors are negative: as `check` has them, or -4 for no room.
fn try_map(env: Env<'_>, pointer: i64, len: u32, write: i32) -> i64 {
    use PointerProblem::{OutOfBounds, ReadOnly};
    match window(env, pointer, len, write) {
        Ok(address) => address.into(),
        Err(Error::Pointer(PointerError { problem, .. })) => match problem {
            OutOfBounds { .. } => -2,
            ReadOnly { .. } => -3,
            _ => -1,
        },
        Err(_) => -4,
    }
}

fn unmap(env: Env<'_>, address: u32) -> Result<(), RuntimeError> {
    env.data().space.unmap(address).map_err(ended)
}

fn take_answer(mut env: Env<'_>, address: u32) -> Result<(), RuntimeError> {
    env.data_mut().take_answer(address).map_err(ended)
}
