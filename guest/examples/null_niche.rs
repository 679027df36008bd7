//! `None` is address 0: the first data must not be there.

static FIRST: u8 = 42;

#[inline(never)]
fn find(wanted: bool) -> Option<&'static u8> {
    wanted.then(|| &FIRST)
}

/// 42 if it is wanted; -1 otherwise.
#[no_mangle]
pub extern "C" fn value(wanted: i32) -> i32 {
    find(wanted != 0).map_or(-1, |&value| i32::from(value))
}
