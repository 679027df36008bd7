//! Frames of compiled code: from addresses to functions of one module.

use crate::backtrace::RawFrame;
use crate::sys::stack::Addresses;
use std::collections::HashMap;
use wasmer::FrameInfo;

/// Whether an address is in a function of some module's.
pub(crate) fn is_compiled(address: usize) -> bool {
    let modules = wasmer_compiler::FRAME_INFO.read();
    modules.is_ok_and(|modules| modules.lookup_frame_info(address).is_some())
}

/// The frames of the module that the engine has by this name, among those that it found;
/// there are others where a host function runs a guest.
pub(crate) fn of(module: &str, frames: &[FrameInfo]) -> Vec<RawFrame> {
    let own = frames
        .iter()
        .filter(|frame| frame.module_name() == module)
        .map(raw);
    own.collect()
}

/// The same, of addresses: the innermost, and the outermost.
pub(super) fn at(module: &str, addresses: &Addresses) -> [Vec<RawFrame>; 2] {
    let Ok(modules) = wasmer_compiler::FRAME_INFO.read() else {
        return Default::default();
    };
    // Recursion has few that differ.
    let mut known = HashMap::new();
    let mut look_up = |address: usize| {
        let look_up = || {
            let frame = modules.lookup_frame_info(address)?;
            (frame.module_name() == module).then(|| raw(&frame))
        };
        *known.entry(address).or_insert_with(look_up)
    };
    let Addresses {
        innermost,
        outermost,
        stopped,
        ..
    } = addresses;
    let (instruction, callers) = innermost.split_at(usize::from(*stopped).min(innermost.len()));
    let mut inner: Vec<RawFrame> = instruction.iter().filter_map(|at| look_up(*at)).collect();
    // A return address may be the next function's.
    let mut callers_at = |addresses: &[usize]| -> Vec<RawFrame> {
        let calls = addresses.iter().map(|address| address.saturating_sub(1));
        calls.filter_map(&mut look_up).collect()
    };
    inner.extend(callers_at(callers));
    [inner, callers_at(outermost)]
}

fn raw(frame: &FrameInfo) -> RawFrame {
    RawFrame {
        function: frame.func_index(),
        offset: u32::try_from(frame.module_offset()).ok(),
    }
}
