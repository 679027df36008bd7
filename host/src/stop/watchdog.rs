//! Deadlines: one thread that says when the time of each is up, or another period of it.

use crate::sys::fork;
use crate::types::Error;
use std::collections::BTreeMap;
use std::sync::{Condvar, PoisonError};
use std::time::{Duration, Instant};

static WATCHDOG: fork::Mutex<State> = fork::Mutex::new(State::new());
static CHANGED: Condvar = Condvar::new();

struct State {
    next_id: u64,
    deadlines: BTreeMap<(Instant, u64), Due>,
    /// When the thread looks next, if it does by itself.
    wakes: Option<Instant>,
    /// The process that has the thread: a forked one has not.
    process: Option<u32>,
}

/// What is to be called.
enum Due {
    Once(Box<dyn FnOnce() + Send>),
    /// With how many periods have passed since the last time, at least one.
    Every(Duration, Box<dyn FnMut(u32) + Send>),
}

/// A deadline that is watched, until this is dropped.
pub(super) struct Watched {
    id: u64,
    /// When it is, unless it comes again and again.
    at: Option<Instant>,
}

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
    let id = add(end, Due::Once(Box::new(over)))?;
    let at = Some(end);
    Ok(Some(Watched { id, at }))
}

/// Calls a function, which must be short, at the end of each `period`, from now on, with how
/// many have passed since it was last called: a busy system makes it late.
///
/// # Errors
/// [`Error::Thread`] when the system gives no thread to do so.
pub(super) fn every(
    period: Duration,
    passed: impl FnMut(u32) + Send + 'static,
) -> Result<Watched, Error> {
    let due = Due::Every(period, Box::new(passed));
    let id = add(Instant::now() + period, due)?;
    Ok(Watched { id, at: None })
}

/// Has the thread call it then, and gives its id.
fn add(end: Instant, due: Due) -> Result<u64, Error> {
    let mut state = WATCHDOG.lock();
    if state.process != Some(std::process::id()) {
        let thread = std::thread::Builder::new().name("genkan-deadline".into());
        thread.spawn(run).map_err(Error::Thread)?;
        state.process = Some(std::process::id());
        state.wakes = None;
    }
    let id = state.next_id;
    state.next_id += 1;
    state.deadlines.insert((end, id), due);
    if state.wakes.is_none_or(|wakes| end < wakes) {
        CHANGED.notify_one();
    }
    Ok(id)
}

impl Drop for Watched {
    fn drop(&mut self) {
        let deadlines = &mut WATCHDOG.lock().deadlines;
        match self.at {
            Some(at) => drop(deadlines.remove(&(at, self.id))),
            // There are few of those.
            None => deadlines.retain(|(_, id), _| *id != self.id),
        }
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
            let ((end, id), due) = first.remove_entry();
            match due {
                Due::Once(over) => over(),
                Due::Every(period, mut passed) => {
                    let more = (now - end).as_nanos() / period.as_nanos().max(1);
                    let ticks = u32::try_from(more).map_or(u32::MAX, |more| more.saturating_add(1));
                    passed(ticks);
                    let next = (end + period * ticks, id);
                    self.deadlines.insert(next, Due::Every(period, passed));
                }
            }
        }
        self.wakes = self.deadlines.keys().next().map(|(end, _)| *end);
        self.wakes.map(|end| end - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn periods_are_all_counted_until_it_is_dropped() {
        let (send, ticks) = mpsc::channel();
        let period = Duration::from_millis(2);
        let start = Instant::now();
        let watched = every(period, move |ticks| send.send(ticks).unwrap()).unwrap();
        let mut seen = 0;
        while seen < 50 {
            seen += ticks.recv().unwrap();
        }
        let passed = start.elapsed();
        drop(watched);
        // That of the last one may have begun, and a busy system is late.
        assert!(passed >= period * 50, "{passed:?}");
        assert!(ticks.iter().count() <= 1, "it goes on");
    }
}
