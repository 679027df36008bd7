//! Functions that run before the first call, in the order of their priorities.

use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

static TRACE: AtomicI32 = AtomicI32::new(0);

fn note(digit: i32) {
    TRACE.store(TRACE.load(Relaxed) * 10 + digit, Relaxed);
}

extern "C" fn first() {
    note(1);
}

extern "C" fn second() {
    note(2);
}

extern "C" fn last() {
    note(3);
}

#[used]
#[link_section = ".init_array"]
static LAST: extern "C" fn() = last;

#[used]
#[link_section = ".init_array.200"]
static SECOND: extern "C" fn() = second;

#[used]
#[link_section = ".init_array.100"]
static FIRST: extern "C" fn() = first;

/// 123: each ran once, in order. Calling again runs none again.
#[no_mangle]
pub extern "C" fn trace() -> i32 {
    TRACE.load(Relaxed)
}
