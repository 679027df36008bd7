//! Pools of guests.

use crate::engine::Module;
use crate::guest::{Guest, Setup};
use crate::sys::{MemoryState, Origin};
use crate::types::Error;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// How many guests a [`Pool`] has, and how long one waits for them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolLimits {
    /// How many guests may be in use at a time.
    pub guests: usize,
    /// How many memories that are not in use are kept for the next guests. Each keeps
    /// some 6 GiB of addresses, and no memory.
    pub kept: usize,
    /// How long [`Pool::take`] waits for a guest while all are in use.
    pub wait: Duration,
}

impl Default for PoolLimits {
    /// As many guests as the machine has processors, all of them kept, and a wait of one
    /// second.
    fn default() -> Self {
        let guests = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            guests,
            kept: guests,
            wait: Duration::from_secs(1),
        }
    }
}

impl PoolLimits {
    /// The default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`PoolLimits::guests`], and [`PoolLimits::kept`] to the same.
    #[must_use]
    pub fn guests(mut self, guests: usize) -> Self {
        self.guests = guests;
        self.kept = guests;
        self
    }

    /// Sets [`PoolLimits::kept`].
    #[must_use]
    pub fn kept(mut self, memories: usize) -> Self {
        self.kept = memories;
        self
    }

    /// Sets [`PoolLimits::wait`].
    #[must_use]
    pub fn wait(mut self, time: Duration) -> Self {
        self.wait = time;
        self
    }
}

/// Guests of one module for many short uses, from any thread. Each use gets a guest that
/// is as new: instantiated anew, in a memory that was used before and of which only what
/// was touched is given back to the system. Nothing of one use is seen by the next.
///
/// Cheap to clone; its clones share the guests.
///
/// ```
/// # fn main() -> Result<(), genkan_host::Error> {
/// use genkan_host::{Engine, Pool, PoolLimits, Setup};
///
/// # let bytes = wat::parse_str(r#"(module (memory 1) (func (export "next") (result i32)
/// #     (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
/// #     (i32.load (i32.const 0))))"#).unwrap();
/// let module = Engine::default().compile(&bytes)?;
/// let pool = Pool::new(&module, PoolLimits::new().guests(8));
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| {
///             let mut guest = pool.take(Setup::new()).unwrap();
///             assert_eq!(guest.call::<u32>("next", ()).unwrap(), 1);
///         });
///     }
/// });
/// # Ok(())
/// # }
/// ```
///
/// A guest computes on the thread that calls it, for as long as its limits allow. So an
/// asynchronous program takes and calls it where blocking is allowed, with tokio (ASYNC.md
/// says more, and `examples/async_program.rs` is all of it):
///
/// ```text
/// let pool = pool.clone();
/// let text: String = tokio::task::spawn_blocking(move || {
///     pool.take(Setup::new())?.call("transform", (&*document,))
/// }).await??;
/// ```
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    module: Module,
    limits: PoolLimits,
    state: Mutex<State>,
    /// Whenever a guest is given back.
    given_back: Condvar,
}

#[derive(Default)]
struct State {
    in_use: usize,
    /// They are what they were when they were new.
    memories: Vec<MemoryState>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("limits", &self.0.limits)
            .field("in_use", &self.0.state().in_use)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool for guests of this module; none is made yet.
    pub fn new(module: &Module, limits: PoolLimits) -> Self {
        Self(Arc::new(Inner {
            module: module.clone(),
            limits,
            state: Mutex::default(),
            given_back: Condvar::new(),
        }))
    }

    /// A guest as [`Guest::with`] makes it, until it is dropped. If all are in use, this
    /// waits for one.
    ///
    /// # Errors
    /// [`Error::PoolBusy`] if none was given back in time; and those of [`Guest::with`].
    pub fn take(&self, setup: Setup) -> Result<Pooled, Error> {
        let place = self.place()?;
        let restored = self.0.state().memories.pop();
        let image = self.0.module.image();
        let guest = Guest::make(&self.0.module, setup, Origin { image, restored })?;
        Ok(Pooled {
            guest: Some(guest),
            place,
        })
    }

    /// Waits until there is a place for one more guest.
    fn place(&self) -> Result<Place, Error> {
        let PoolLimits { guests, wait, .. } = self.0.limits;
        let full = |state: &mut State| state.in_use >= guests;
        let waiting = self
            .0
            .given_back
            .wait_timeout_while(self.0.state(), wait, full);
        let (mut state, waited) = waiting.expect("no panic under this lock");
        if waited.timed_out() {
            return Err(Error::PoolBusy { guests, wait });
        }
        state.in_use += 1;
        Ok(Place(Arc::clone(&self.0)))
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }
}

/// One of the guests that may be in use at a time.
struct Place(Arc<Inner>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.state().in_use -= 1;
        self.0.given_back.notify_one();
    }
}

/// A guest of a [`Pool`]'s, which it is given back to when this is dropped.
pub struct Pooled {
    /// There until this is dropped.
    guest: Option<Guest>,
    place: Place,
}

impl fmt::Debug for Pooled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.guest.fmt(f)
    }
}

impl Deref for Pooled {
    type Target = Guest;

    fn deref(&self) -> &Guest {
        self.guest.as_ref().expect("it is not dropped yet")
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Guest {
        self.guest.as_mut().expect("it is not dropped yet")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let memory = self.guest.take().and_then(Guest::into_memory);
        let Some(memory) = memory.and_then(MemoryState::restore) else {
            return;
        };
        let mut state = self.place.0.state();
        if state.memories.len() < self.place.0.limits.kept {
            state.memories.push(memory);
        }
    }
}
