//! A thread-local in a module without threads: an ordinary static.

use std::cell::Cell;

thread_local! {
    static COUNT: Cell<i32> = Cell::new(40);
}

/// Counts its calls from 41 on.
#[no_mangle]
pub extern "C" fn count() -> i32 {
    COUNT.with(|count| {
        count.set(count.get() + 1);
        count.get()
    })
}
