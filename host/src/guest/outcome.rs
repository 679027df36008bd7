//! From the engine's errors to ours.

use crate::backtrace::{Frames, Origin, Trace};
use crate::engine::stack_pointer::ran_over;
use crate::engine::{VariantOrigin, frames};
use crate::imports::{Cause, Ending};
use crate::regions::{Fault, Space};
use crate::sys::faults::{self, Signal};
use crate::sys::stack;
use crate::types::{Error, Limits};
use std::sync::Arc;
use wasmer::RuntimeError;
use wasmer::sys::vm::TrapCode;

/// What a guest's run ended in.
pub(crate) fn explain(
    error: RuntimeError,
    space: &Space,
    limits: &Limits,
    origin: &Arc<VariantOrigin>,
    stack_pointer: &mut dyn FnMut() -> Option<u32>,
) -> Error {
    let (signal, stopped) = (faults::take(), stack::take());
    let trace = |frames| Trace::new(frames, Arc::clone(origin) as _);
    match error.downcast::<Ending>() {
        Ok(Ending { cause, addresses }) => {
            let trace = trace(Frames::At(addresses));
            match cause {
                Cause::Error(Error::MemoryLimit { .. }) => memory_limit(limits, trace),
                Cause::Error(error) => placed(error, trace),
                Cause::Trap(code) => trapped(
                    (code.message(), Some(code)),
                    (space, limits),
                    None,
                    stack_pointer,
                    trace,
                ),
            }
        }
        Err(error) => {
            let code = error.clone().to_trap();
            let engines = || Frames::Engine(frames::of(origin.name(), error.trace()));
            let frames = stopped.map_or_else(engines, Frames::At);
            trapped(
                (&error.message(), code),
                (space, limits),
                signal,
                stack_pointer,
                trace(frames),
            )
        }
    }
}

/// An error of the host's, with where the guest was, unless it is another guest's.
fn placed(mut error: Error, trace: Trace) -> Error {
    if let Some(place) = error.trace_mut()
        && place.is_unknown()
    {
        *place = trace;
    }
    error
}

fn trapped(
    (message, code): (&str, Option<TrapCode>),
    (space, limits): (&Space, &Limits),
    signal: Option<Signal>,
    stack_pointer: &mut dyn FnMut() -> Option<u32>,
    trace: Trace,
) -> Error {
    match code {
        Some(TrapCode::StackOverflow) => return Error::StackOverflow(trace),
        Some(TrapCode::HeapAccessOutOfBounds) => {
            let fault = signal.and_then(|signal| space.fault(signal.address));
            let address = match fault {
                Some(Fault::Beyond { address, .. }) => Some(address),
                _ => None,
            };
            if (fault.is_none() || address.is_some())
                && let Some(memory) = space.memory.get()
                && stack_pointer().is_some_and(|it| ran_over(it, address, memory.len()))
            {
                return Error::StackOverflow(trace);
            }
            if let (Some(fault), Some(signal)) = (fault, signal) {
                return memory_fault(fault, signal.truncated, trace);
            }
        }
        _ => {}
    }
    if space.memory.get().is_some_and(|memory| memory.refused()) {
        return memory_limit(limits, trace);
    }
    Error::Trap {
        message: message.into(),
        trace,
    }
}

fn memory_fault(fault: Fault, truncated: bool, trace: Trace) -> Error {
    match fault {
        _ if truncated => Error::RegionGone(trace),
        Fault::RegionGone => Error::RegionGone(trace),
        Fault::ReadOnly(address) => Error::WindowAccess {
            write: true,
            address,
            trace,
        },
        Fault::Unmapped(address) => Error::WindowAccess {
            write: false,
            address,
            trace,
        },
        Fault::Beyond { address, len } => Error::Trap {
            message: format!(
                "out of bounds memory access: address {address:#x}, where its memory has {len:#x} bytes"
            ),
            trace,
        },
    }
}

/// [`Error::MemoryLimit`] with the guest's limit.
pub(crate) fn memory_limit(limits: &Limits, trace: Trace) -> Error {
    Error::MemoryLimit {
        limit: limits.memory.unwrap_or(4 << 30),
        trace,
    }
}
