//! The functions that genkan offers, as far as they are not in the carried modules.

use super::ending::ended;
use super::panic;
use super::state::{Env, State};
use crate::regions::WindowKind;
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
        const ALIGNED: i32 = 2;
        let access = (offset, len, write != 0);
        let admitted = env.data().space.admit(pointer, access, write == ALIGNED);
        admitted.map_err(ended)
    };
    Function::new_typed_with_env(store, env, fault)
}

/// What the carried modules call for what `check` does not know to be right.
pub(super) fn status(store: &mut Store, env: &FunctionEnv<State>) -> Function {
    let status = |env: Env<'_>, pointer: i64, len: u64, write: i32| {
        let pointer = Pointer::from_bits(pointer as u64);
        let problem = env.data().space.problem(pointer, len, write != 0);
        let problem = problem.map_err(ended)?;
        Ok::<_, RuntimeError>(problem.as_ref().map_or(0, code))
    };
    Function::new_typed_with_env(store, env, status)
}

/// A problem as a status: see `abi::STATUS`.
fn code(problem: &PointerProblem) -> i32 {
    use PointerProblem::{InWindow, OutOfBounds, ReadOnly};
    match problem {
        OutOfBounds { .. } => 2,
        ReadOnly { .. } => 3,
        InWindow { .. } => 5,
        _ => 1,
    }
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
    let grow = |pages| state.grow_for_window(&mut store, pages, len);
    const SLICE: i32 = 2;
    let kind = WindowKind {
        write: write & !SLICE != 0,
        slice: write & SLICE != 0,
    };
    state.space.map(pointer, len, kind, grow)
}

/// As `map`, but errors are negative statuses.
fn try_map(env: Env<'_>, pointer: i64, len: u32, write: i32) -> i64 {
    use WindowProblem::{Overlaps, Shared};
    match window(env, pointer, len, write) {
        Ok(address) => address.into(),
        Err(Error::Pointer(PointerError { problem, .. })) => -i64::from(code(&problem)),
        Err(Error::Window { problem, .. }) => match problem {
            Overlaps { .. } => -5,
            Shared { .. } => -6,
            _ => -4,
        },
        Err(_) => -4,
    }
}

fn unmap(env: Env<'_>, address: u32) -> Result<(), RuntimeError> {
    let unmapped = env.data().space.unmap(address);
    unmapped.map(drop).map_err(ended)
}

fn take_answer(mut env: Env<'_>, address: u32) -> Result<(), RuntimeError> {
    env.data_mut().take_answer(address).map_err(ended)
}
