//! The function that the load-time pass has guests call.

use super::ending::{Cause, ending};
use super::state::{Env, State};
use crate::rewrite::End;
use wasmer::sys::vm::TrapCode;
use wasmer::{Function, FunctionEnv, RuntimeError, Store};

/// `(i32)`: ends the guest that calls it, if there is a reason, and notes where it is, if
/// somebody asked.
pub(super) fn function(store: &mut Store, env: &FunctionEnv<State>) -> Function {
    let end = |env: Env<'_>, code: i32| -> Result<(), RuntimeError> {
        let trap = |code| Err(ending(Cause::Trap(code)));
        match End::from_code(code) {
            Some(End::Stopped) => env.data().sampled(false).spend(0),
            Some(End::Entered) => env.data().sampled(true).spend(0),
            Some(End::Memory) => trap(TrapCode::HeapAccessOutOfBounds),
            Some(End::Table) => trap(TrapCode::TableAccessOutOfBounds),
            Some(End::Unreachable) | None => trap(TrapCode::UnreachableCodeReached),
        }
    };
    Function::new_typed_with_env(store, env, end)
}
