//! What a guest says of its panic, if it was built to report it.

use super::ending::ended;
use super::message::{self, Argument};
use super::state::{Env, State};
use crate::backtrace::Trace;
use crate::types::{Error, SourceLocation};
use wasmer::RuntimeError;

/// The most bytes of a text.
const LONGEST_TEXT: u32 = 64 << 10;

/// What the linker gives in place of an index, for an allocation that failed.
const ALLOCATION: i64 = -2;
/// The same, where message and length are both words of a `core::fmt::Arguments`.
const FORMATTED: i64 = -3;

/// What a guest calls that panics and was built to report it.
#[expect(clippy::too_many_arguments, reason = "the linker's interface")]
pub(super) fn report(
    env: Env<'_>,
    message: u32,
    message_len: u32,
    file: u32,
    file_len: u32,
    line: u32,
    column: u32,
    index: i64,
    len: i64,
) -> Result<(), RuntimeError> {
    let text = |at: u32, len: u32| {
        if at == 0 || len == 0 {
            return None;
        }
        let mut bytes = vec![0; len.min(LONGEST_TEXT) as usize];
        env.data().read(at, &mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let location = text(file, file_len).map(|file| SourceLocation::new(file, line, column));
    let memory = env.data().space.memory.get();
    if index == ALLOCATION && memory.is_some_and(|memory| memory.refused()) {
        return Err(ended(Error::MemoryLimit {
            // Who made the guest knows it.
            limit: 0,
            trace: Trace::default(),
        }));
    }
    let message = match text(message, message_len) {
        _ if index == FORMATTED => formatted(env.data(), message, message_len),
        _ if index == ALLOCATION => Some("memory allocation failed".into()),
        _ if index >= 0 && len >= 0 => Some(format!(
            "index out of bounds: the len is {len} but the index is {index}"
        )),
        message => message,
    };
    Err(ended(Error::Panic {
        location,
        message,
        trace: Trace::default(),
    }))
}

/// The text of a `core::fmt::Arguments`.
fn formatted(state: &State, template: u32, arguments: u32) -> Option<String> {
    let read = |at: u32, to: &mut [u8]| state.read(at, to).ok();
    message::text(&read, template, arguments, |arguments: &[Argument]| {
        let places: Vec<u32> = arguments
            .iter()
            .map(|argument| argument.formatter)
            .collect();
        let exports = state.exports.get();
        exports.map_or_else(Vec::new, |exports| exports.module().names_in_table(&places))
    })
}
