//! State that outlives a call: in zeroed memory, in initialised memory, and
//! behind a pointer to it.

use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

static ZEROED: AtomicI32 = AtomicI32::new(0);
static INITIALISED: AtomicI32 = AtomicI32::new(40);
static POINTERS: [&AtomicI32; 2] = [&ZEROED, &INITIALISED];

/// Adds to both; returns their sum.
#[no_mangle]
pub extern "C" fn add(n: i32) -> i32 {
    for counter in POINTERS {
        counter.fetch_add(n, Relaxed);
    }
    ZEROED.load(Relaxed) + INITIALISED.load(Relaxed)
}
