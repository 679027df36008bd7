//! How a host function ends the guest that calls it.

use crate::engine::frames;
use crate::sys::stack::{self, Addresses};
use crate::types::Error;
use wasmer::sys::vm::{Trap, TrapCode};
use wasmer::{BackendTrap, RuntimeError};

/// Why a guest ended, and where.
#[derive(Debug, thiserror::Error)]
#[error("the guest ended")]
pub(crate) struct Ending {
    pub(crate) cause: Cause,
    /// Of the guest's functions, and of the host's.
    pub(crate) addresses: Addresses,
}

/// Why a guest ended.
#[derive(Debug)]
pub(crate) enum Cause {
    /// In an error of the host's.
    Error(Error),
    /// In a trap that its own code found.
    Trap(TrapCode),
}

/// The frames are taken here, on the guest's stack: when the error has reached the
/// caller, it is gone. The engine would unwind all of it.
pub(super) fn ending(cause: Cause) -> RuntimeError {
    let addresses = stack::callers(frames::is_compiled);
    let trap = Trap::user(Box::new(Ending { cause, addresses }));
    RuntimeError::new_from_source(BackendTrap::Sys(trap), Vec::new(), None)
}

/// What ends the guest that called a host function.
pub(super) fn ended(error: Error) -> RuntimeError {
    ending(Cause::Error(error))
}
