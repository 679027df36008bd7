//! From the engine's errors to ours.

use crate::imports::Exit;
use crate::regions::{Fault, Space};
use crate::sys::faults;
use crate::types::{Error, Limits, Trace};
use wasmer::RuntimeError;
use wasmer::sys::vm::TrapCode;

/// What a guest's run ended in.
pub(crate) fn explain(
    error: RuntimeError,
    space: &Space,
    limits: &Limits,
    timed_out: bool,
) -> Error {
    let trace = trace(&error);
    let error = match error.downcast::<Error>() {
        Ok(error) => return error,
        Err(error) => error,
    };
    let error = match error.downcast::<Exit>() {
        Ok(Exit(code)) => return Error::Exit(code),
        Err(error) => error,
    };
    let message = error.message();
    let code = error.to_trap();
    let signal = faults::take();
    match code {
        Some(TrapCode::HostInterrupt) if timed_out => {
            return Error::Deadline(limits.deadline.unwrap_or_default());
        }
        Some(TrapCode::StackOverflow) => return Error::StackOverflow(trace),
        Some(TrapCode::HeapAccessOutOfBounds) => {
            if let Some(signal) = signal
                && let Some(fault) = space.fault(signal.address)
            {
                return memory_fault(fault, signal.truncated, trace);
            }
        }
        _ => {}
    }
    if space.memory.get().is_some_and(|memory| memory.refused()) {
        return memory_limit(limits, trace);
    }
    Error::Trap { message, trace }
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

fn trace(error: &RuntimeError) -> Trace {
    let frames = error
        .trace()
        .iter()
        .map(|frame| match frame.function_name() {
            Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
            None => format!("function {}", frame.func_index()),
        });
    Trace::new(frames)
}

/// [`Error::MemoryLimit`] with the guest's limit.
pub(crate) fn memory_limit(limits: &Limits, trace: Trace) -> Error {
    Error::MemoryLimit {
        limit: limits.memory.unwrap_or(4 << 30),
        trace,
    }
}
