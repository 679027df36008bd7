//! Deadlines: one thread that interrupts guests whose time is up.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};
use wasmer::Interrupter;

/// An interrupt can be missed, when it comes as the guest is about to start or
/// to call the host: so it is sent again, until the guest has ended.
const RETRY: Duration = Duration::from_millis(5);

#[derive(Default)]
struct Watchdog {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    next_id: u64,
    guests: BTreeMap<(Instant, u64), Interrupter>,
}

/// A running guest that has a deadline; dropped when it has ended.
pub(crate) struct Watched(u64, Instant);

/// Has the guest interrupted after `limit`, from now on.
pub(crate) fn watch(interrupter: Interrupter, limit: Duration) -> Option<Watched> {
    static STARTED: OnceLock<bool> = OnceLock::new();
    let end = Instant::now().checked_add(limit)?;
    let dog = watchdog();
    STARTED.get_or_init(|| {
        let thread = std::thread::Builder::new().name("genkan-deadline".into());
        thread.spawn(|| watchdog().run()).is_ok()
    });
    let mut state = dog.state.lock().expect("no panic under this lock");
    let id = state.next_id;
    state.next_id += 1;
    state.guests.insert((end, id), interrupter);
    dog.changed.notify_one();
    Some(Watched(id, end))
}

impl Watched {
    /// Whether the guest's time is up.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.1
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut state = watchdog().state.lock().expect("no panic under this lock");
        state.guests.remove(&(self.1, self.0));
    }
}

fn watchdog() -> &'static Watchdog {
    static DOG: OnceLock<Watchdog> = OnceLock::new();
    DOG.get_or_init(Watchdog::default)
}

impl Watchdog {
    fn run(&self) {
        let mut state = self.state.lock().expect("no panic under this lock");
        loop {
            let now = Instant::now();
            // Under the lock, so that none of them has ended.
            let late = state.guests.range(..=(now, u64::MAX));
            let mut wait = None;
            for (_, interrupter) in late {
                interrupter.interrupt();
                wait = Some(RETRY);
            }
            let next = state.guests.keys().find(|(end, _)| *end > now);
            let until_next = next.map(|(end, _)| *end - now);
            let wait = match (wait, until_next) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            state = match wait {
                None => self.changed.wait(state).expect("no panic under this lock"),
                Some(wait) => {
                    let waited = self.changed.wait_timeout(state, wait);
                    waited.expect("no panic under this lock").0
                }
            };
        }
    }
}
