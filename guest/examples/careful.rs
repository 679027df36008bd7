//! Asks before it reads: errors are results here, and not traps.

use genkan_guest::{Error, HostPtr};

/// The little-endian number at `offset`; or a negative one that says why not.
#[no_mangle]
pub extern "C" fn number(data: HostPtr, offset: u32) -> i64 {
    match data.try_read::<u32>(offset) {
        Ok(number) => number.into(),
        Err(error) => code(error),
    }
}

/// Writes into a window; 0, or a negative number that says why not.
#[no_mangle]
pub extern "C" fn fill(data: HostPtr, byte: u8) -> i64 {
    let all = match data.try_len() {
        Ok(len) => data.slice(len),
        Err(error) => return code(error),
    };
    match all.try_map_mut() {
        Ok(mut window) => {
            window.fill(byte);
            0
        }
        Err(error) => code(error),
    }
}

fn code(error: Error) -> i64 {
    match error {
        Error::Pointer => -1,
        Error::OutOfBounds => -2,
        Error::ReadOnly => -3,
        _ => -4,
    }
}
