//! Deadlines: one thread that says when the time of each is up.

use crate::sys::fork;
use crate::types::Error;
use std::collections::BTreeMap;
use std::sync::{Condvar, PoisonError};
use std::time::{Duration, Instant};

static WATCHDOG: fork::Mutex<State> = fork::Mutex::new(State::new());
static CHANGED: Condvar = Condvar::new();

struct State {
    next_id: u64,
    deadlines: BTreeMap<(Instant, u64), Box<dyn FnOnce() + Send>>,
    /// When the thread looks next, if it does by itself.
    wakes: Option<Instant>,
    /// The process that has the thread: a forked one has not.
    process: Option<u32>,
}

/// A deadline that is watched, until this is dropped.
pub(super) struct Watched(Instant, u64);

/// Calls a function, which must be short, after `limit`, from now on; `None` if that is
/// never.
///
/// # Errors
/// [`Error::Thread`] when the system gives no thread to do so.
pub(super) fn watch(
    limit: Duration,
    over: impl FnOnce() + Send + 'static,
) -> Result<Option<Watched>, Error> {
    let Some(end) = Instant::now().checked_add(limit) else {
        return Ok(None);
    };
    let mut state = WATCHDOG.lock();
    if state.process != Some(std::process::id()) {
        let thread = std::thread::Builder::new().name("genkan-deadline".into());
        thread.spawn(run).map_err(Error::Thread)?;
        state.process = Some(std::process::id());
        state.wakes = None;
    }
    let id = state.next_id;
    state.next_id += 1;
    state.deadlines.insert((end, id), Box::new(over));
    if state.wakes.is_none_or(|wakes| end < wakes) {
        CHANGED.notify_one();
    }
    Ok(Some(Watched(end, id)))
}

impl Drop for Watched {
    fn drop(&mut self) {
        WATCHDOG.lock().deadlines.remove(&(self.0, self.1));
    }
}

fn run() {
    let mut state = WATCHDOG.lock();
    loop {
        let wait = state.call_late_ones();
        state = match wait {
            None => CHANGED.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(wait) => {
                let waited = CHANGED.wait_timeout(state, wait);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
}

impl State {
    const fn new() -> Self {
        Self {
            next_id: 0,
            deadlines: BTreeMap::new(),
            wakes: None,
            process: None,
        }
    }

    /// Calls those whose time is up; how long until the next one's is.
    fn call_late_ones(&mut self) -> Option<Duration> {
        let now = Instant::now();
        while let Some(first) = self.deadlines.first_entry()
            && first.key().0 <= now
        {
            first.remove()();
        }
        self.wakes = self.deadlines.keys().next().map(|(end, _)| *end);
        self.wakes.map(|end| end - now)
    }
}
