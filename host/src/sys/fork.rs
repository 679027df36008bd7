//! What a fork leaves behind in the child: one thread, and the locks as they were.

use std::any::Any;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{self, MutexGuard, Once, PoisonError};

/// A lock of the process's. A fork waits for it, so that the child does not find it taken
/// by a thread that it does not have.
///
/// No thread waits for one of them while it has another.
pub(crate) struct Mutex<T> {
    inner: sync::Mutex<T>,
    known: Once,
}

impl<T: Send> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            inner: sync::Mutex::new(value),
            known: Once::new(),
        }
    }

    pub(crate) fn lock(&'static self) -> MutexGuard<'static, T> {
        self.known.call_once(|| guard(self));
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose lock a fork takes first, and drops on both sides.
trait Hold: Sync {
    fn hold(&'static self) -> Box<dyn Any>;
}

impl<T: Send> Hold for Mutex<T> {
    fn hold(&'static self) -> Box<dyn Any> {
        // What is still being made known is not locked by anybody else.
        Box::new(self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

static LOCKS: sync::Mutex<Vec<&'static dyn Hold>> = sync::Mutex::new(Vec::new());
static FORKS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static HELD: Cell<Vec<Box<dyn Any>>> = const { Cell::new(Vec::new()) };
    static FOR_WORK: Cell<bool> = const { Cell::new(false) };
}

fn locks() -> MutexGuard<'static, Vec<&'static dyn Hold>> {
    LOCKS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn guard(lock: &'static dyn Hold) {
    static REGISTERED: Once = Once::new();
    extern "C" fn before() {
        let locks = locks();
        let mut held: Vec<_> = locks.iter().map(|lock| lock.hold()).collect();
        held.push(Box::new(locks));
        HELD.set(held);
    }
    extern "C" fn after() {
        if !FOR_WORK.get() {
            FORKS.fetch_add(1, Ordering::Relaxed);
        }
        HELD.take();
    }
    locks().push(lock);
    REGISTERED.call_once(|| {
        // SAFETY: registers functions that take and give back locks; they run on the
        // thread that forks, before and after it does.
        unsafe { libc::pthread_atfork(Some(before), Some(after), Some(after)) };
    });
}

/// How often this process, or one that it came from, has forked since the first
/// [`Mutex`] was used: what was shared by then, another process may have as well.
pub(crate) fn count() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// Forks a process that has no regions of its own and uses none of this one's, so that
/// it is not counted.
///
/// # Safety
/// As `fork`'s.
pub(super) unsafe fn for_work() -> libc::pid_t {
    FOR_WORK.set(true);
    // SAFETY: the caller's word.
    let pid = unsafe { libc::fork() };
    FOR_WORK.set(false);
    pid
}
