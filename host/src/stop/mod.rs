//! Ending guests from outside: deadlines, and cancelling. And asking them where they are.
//!
//! A guest's code looks at a word of the host's (see `rewrite`), which any thread may
//! set; nothing ever interrupts the engine. Host functions that work for long look at
//! it as well. A guest that runs inside of another one's host function ends with it:
//! what is raised for the outer one is raised for the inner one, too.

mod watchdog;

use crate::backtrace::Trace;
use crate::sys::Words;
use crate::types::Error;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Its deadline has passed.
const DEADLINE: u32 = 1;
/// Somebody cancelled it.
const CANCELLED: u32 = 2;
/// One of these happened to the guest that it runs inside of.
const OUTER: u32 = 4;
/// Where it is, is asked: no reason to end.
const SAMPLE: u32 = 8;

/// What there is of one guest to end it by.
#[derive(Debug)]
pub(crate) struct Stop {
    words: Arc<Words>,
    /// Whether its code looks at the word.
    interruptible: bool,
    /// How long a call may take, in nanoseconds; 0 if that is not bounded.
    deadline: AtomicU64,
    /// How often it is asked where it is.
    period: Option<Duration>,
    /// How many periods have passed since it was asked.
    ticks: AtomicU32,
    /// The guest that runs inside of it now.
    inner: Mutex<Weak<Stop>>,
}

thread_local! {
    /// The guests that run on this thread, outermost first.
    static RUNNING: RefCell<Vec<Arc<Stop>>> = const { RefCell::new(Vec::new()) };
}

/// Whether a guest runs on this thread that can be ended from outside: one that is
/// made now must be as well.
pub(crate) fn inside_of_interruptible() -> bool {
    RUNNING.with_borrow(|running| running.iter().any(|stop| stop.interruptible))
}

impl Stop {
    /// Of a guest that is asked where it is once each `period`, if there is one.
    pub(crate) fn new(
        interruptible: bool,
        deadline: Option<Duration>,
        period: Option<Duration>,
    ) -> Arc<Self> {
        Arc::new(Self {
            words: Arc::default(),
            interruptible,
            deadline: AtomicU64::new(deadline.map_or(0, nanoseconds)),
            period,
            ticks: AtomicU32::new(0),
            inner: Mutex::default(),
        })
    }

    pub(crate) fn words(&self) -> &Arc<Words> {
        &self.words
    }

    /// How long a call may take.
    fn deadline(&self) -> Option<Duration> {
        let nanoseconds = self.deadline.load(Ordering::Relaxed);
        (nanoseconds != 0).then(|| Duration::from_nanos(nanoseconds))
    }

    /// The same for the calls to come; `false` if its code does not look at the word.
    pub(crate) fn set_deadline(&self, deadline: Duration) -> bool {
        self.deadline
            .store(nanoseconds(deadline), Ordering::Relaxed);
        self.interruptible
    }

    fn raise(&self, bits: u32) {
        self.words.raise(bits);
        // The lock is held meanwhile: it does not reach a guest that has ended already, and
        // runs somewhere else.
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inner) = inner.upgrade() {
            inner.raise(OUTER);
        }
    }

    /// The guest begins to run on this thread.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if it was; [`Error::Unchecked`] if the guest that it would
    /// run inside of can be ended, and it cannot; [`Error::Thread`].
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Running, Error> {
        if !self.interruptible && inside_of_interruptible() {
            return Err(Error::Unchecked(
                "the deadline of the guest that it runs inside of",
            ));
        }
        self.words.clear(DEADLINE | OUTER | SAMPLE);
        if self.raised() & CANCELLED != 0 {
            self.words.clear(CANCELLED);
            return Err(cancelled());
        }
        let watched = match self.deadline().filter(|_| self.interruptible) {
            Some(limit) => {
                let stop = Arc::clone(self);
                watchdog::watch(limit, move || stop.raise(DEADLINE))?
            }
            None => None,
        };
        self.take_ticks();
        let asked = match self.period {
            Some(period) => {
                let stop = Arc::clone(self);
                let ask = move |ticks| {
                    stop.ticks.fetch_add(ticks, Ordering::Relaxed);
                    stop.words.raise(SAMPLE);
                };
                Some(watchdog::every(period, ask)?)
            }
            None => None,
        };
        let outer = RUNNING.with_borrow_mut(|running| {
            let outer = running.last().cloned();
            running.push(Arc::clone(self));
            outer
        });
        if let Some(outer) = &outer {
            outer.set_inner(Arc::downgrade(self));
            // It may have happened before.
            if outer.raised() != 0 {
                self.raise(OUTER);
            }
        }
        Ok(Running {
            outer,
            _watched: [watched, asked],
        })
    }

    /// Why it is to end; 0 while it may go on.
    fn raised(&self) -> u32 {
        self.words.raised() & !SAMPLE
    }

    /// How many periods have passed since it was last asked where it is.
    pub(crate) fn take_ticks(&self) -> u32 {
        self.words.clear(SAMPLE);
        self.ticks.swap(0, Ordering::Relaxed)
    }

    fn set_inner(&self, inner: Weak<Stop>) {
        *self.inner.lock().unwrap_or_else(PoisonError::into_inner) = inner;
    }

    /// Whether the guest, which runs on this thread, may go on.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::Deadline`]: its own, or of a guest that it runs
    /// inside of.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.raised() == 0 {
            return Ok(());
        }
        let reason = RUNNING.with_borrow(|running| running.iter().find_map(|stop| stop.reason()));
        // Whose time was up may have ended meanwhile; this one was to end with it.
        Err(reason.unwrap_or_else(cancelled))
    }

    fn reason(&self) -> Option<Error> {
        match self.raised() {
            bits if bits & CANCELLED != 0 => Some(cancelled()),
            bits if bits & DEADLINE != 0 => Some(Error::Deadline {
                limit: self.deadline().unwrap_or_default(),
                trace: Trace::default(),
            }),
            _ => None,
        }
    }

    /// Checks as [`Stop::check`], and charges fuel for what a host function does.
    ///
    /// # Errors
    /// [`Error::OutOfFuel`] as well.
    pub(crate) fn spend(&self, fuel: u32, counted: bool) -> Result<(), Error> {
        self.check()?;
        if counted {
            let left = self.words.fuel().saturating_sub(fuel.into());
            self.words.set_fuel(left);
            if left < 0 {
                return Err(Error::OutOfFuel(Trace::default()));
            }
        }
        Ok(())
    }

    /// The guest's call ended in [`Error::Cancelled`]; the next one runs.
    pub(crate) fn cancelled(&self) {
        self.words.clear(CANCELLED);
    }
}

/// A guest runs; dropped when it has ended.
pub(crate) struct Running {
    outer: Option<Arc<Stop>>,
    _watched: [Option<watchdog::Watched>; 2],
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.with_borrow_mut(Vec::pop);
        if let Some(outer) = &self.outer {
            outer.set_inner(Weak::new());
        }
    }
}

/// Ends a guest's call from any thread: see [`crate::Guest::canceller`].
#[derive(Clone, Debug)]
pub struct Canceller(Arc<Stop>);

impl Canceller {
    pub(crate) fn new(stop: &Arc<Stop>) -> Option<Self> {
        stop.interruptible.then(|| Self(Arc::clone(stop)))
    }

    /// Ends the guest's running call with [`Error::Cancelled`], and with it what runs
    /// inside of it. If it does not run, its next call ends so, at once; a call that
    /// ends by itself first leaves it to the next one. Each ended call needs a new one
    /// of these, however often this was called before.
    pub fn cancel(&self) {
        self.0.raise(CANCELLED);
    }
}

/// At least one, and at most 584 years.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1)
}

fn cancelled() -> Error {
    Error::Cancelled(Trace::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_the_outer_guest_ends_the_inner_one() {
        let outer = Stop::new(true, Some(Duration::from_secs(600)), None);
        let inner = Stop::new(true, None, None);
        let running = outer.enter().unwrap();
        {
            let _running = inner.enter().unwrap();
            inner.check().unwrap();
            Canceller::new(&outer).unwrap().cancel();
            assert!(matches!(inner.check(), Err(Error::Cancelled(_))));
        }
        assert!(matches!(outer.check(), Err(Error::Cancelled(_))));
        // One that begins afterwards as well.
        {
            let _running = inner.enter().unwrap();
            assert!(matches!(inner.check(), Err(Error::Cancelled(_))));
        }
        outer.cancelled();
        let _running = inner.enter().unwrap();
        inner.check().unwrap();
        drop(running);
    }

    #[test]
    fn cancelling_comes_before_the_call() {
        let stop = Stop::new(true, None, None);
        Canceller::new(&stop).unwrap().cancel();
        assert!(matches!(stop.enter().err(), Some(Error::Cancelled(_))));
        assert!(stop.enter().is_ok());
    }

    #[test]
    fn one_that_cannot_be_ended_runs_inside_of_none_that_can() {
        let plain = Stop::new(false, None, None);
        assert!(Canceller::new(&plain).is_none());
        let _outermost = plain.enter().unwrap();
        let _outer = Stop::new(true, None, None).enter().unwrap();
        assert!(matches!(plain.enter().err(), Some(Error::Unchecked(_))));
    }
}
