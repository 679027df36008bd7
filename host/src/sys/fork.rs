//! What a fork leaves behind in the child: one thread, and the locks as they were.

use std::any::Any;
use std::cell::Cell;
use std::sync::OnceLock;

/// Has every fork from now on call `hold` first, which takes a lock, and drop what it
/// returns on both sides, so that the child does not find the lock taken by a thread
/// that it does not have. There is one such lock: later calls do nothing.
pub(crate) fn guard(hold: fn() -> Box<dyn Any>) {
    thread_local! {
        static HELD: Cell<Option<Box<dyn Any>>> = const { Cell::new(None) };
    }
    static HOLD: OnceLock<fn() -> Box<dyn Any>> = OnceLock::new();
    extern "C" fn before() {
        HELD.set(HOLD.get().map(|hold| hold()));
    }
    extern "C" fn after() {
        drop(HELD.take());
    }
    if HOLD.set(hold).is_ok() {
        // SAFETY: registers functions that take and give back a lock; they run on the
        // thread that forks, before and after it does.
        unsafe { libc::pthread_atfork(Some(before), Some(after), Some(after)) };
    }
}
