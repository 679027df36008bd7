//! From the engine's errors to ours.

use crate::imports::{Exit, Trapped};
use crate::regions::{Fault, Space};
use crate::rewrite::Layout;
use crate::sys::faults;
use crate::types::{Error, Frame, Limits, Trace};
use std::fmt::{self, Write};
use wasmer::RuntimeError;
use wasmer::sys::vm::TrapCode;

/// What a guest's run ended in. `layout` is asked for a backtrace alone: for its first
/// one, a module goes through the pass again.
pub(crate) fn explain<'a>(
    error: RuntimeError,
    space: &Space,
    limits: &Limits,
    layout: impl FnOnce() -> &'a Layout,
) -> Error {
    let error = match error.downcast::<Error>() {
        Ok(error) => return error,
        Err(error) => error,
    };
    let error = match error.downcast::<Exit>() {
        Ok(Exit(code)) => return Error::Exit(code),
        Err(error) => error,
    };
    let trace = trace(&error, layout());
    let message = error.message();
    let found = error.downcast_ref::<Trapped>().map(|trapped| trapped.0);
    let signal = faults::take();
    match found.or_else(|| error.to_trap()) {
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

/// How many functions a backtrace names.
const MOST_FRAMES: usize = 100;
/// How many bytes a name may have in the module, to be demangled, and in a backtrace:
/// a short one can stand for gigabytes.
const LONGEST_NAME: usize = 2000;

/// The guest's functions that were running: the pass's are left out.
fn trace(error: &RuntimeError, layout: &Layout) -> Trace {
    let mut all = error.trace().iter().filter_map(|frame| {
        let index = layout.function(frame.func_index())?;
        Some((frame, index))
    });
    let frames = all.by_ref().take(MOST_FRAMES).map(|(frame, index)| Frame {
        function: match frame.function_name() {
            Some(name) => demangled(name),
            None => format!("function {index}"),
        },
        offset: u32::try_from(frame.module_offset())
            .ok()
            .and_then(|at| layout.offset(at)),
    });
    Trace {
        frames: frames.collect(),
        omitted: all.count(),
    }
}

/// The name as its author wrote it, cut where it becomes too long.
fn demangled(name: &str) -> String {
    let mut text = Bounded(String::new());
    let whole = match name.len() <= LONGEST_NAME {
        true => write!(text, "{:#}", rustc_demangle::demangle(name)),
        false => text.write_str(name),
    };
    if whole.is_err() {
        text.0.push('…');
    }
    text.0
}

/// Takes so much text and no more.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LONGEST_NAME - self.0.len();
        let fits = text.floor_char_boundary(room);
        self.0.push_str(&text[..fits]);
        match fits == text.len() {
            true => Ok(()),
            false => Err(fmt::Error),
        }
    }
}

/// [`Error::MemoryLimit`] with the guest's limit.
pub(crate) fn memory_limit(limits: &Limits, trace: Trace) -> Error {
    Error::MemoryLimit {
        limit: limits.memory.unwrap_or(4 << 30),
        trace,
    }
}
