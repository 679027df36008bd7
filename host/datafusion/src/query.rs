//! A module's guests in one query: who they are, what they may still use, and how they end
//! with it.

use crate::instance::Instance;
use crate::{Error, GuestModule};
use genkan_host::Canceller;
use std::collections::HashMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// A module's guests in one query. They go back to the module's pool, where nothing is left
/// of the query in them, when the query's plan is dropped.
pub(crate) struct QueryGuests {
    module: GuestModule,
    /// Those that nobody uses.
    idle: Mutex<Vec<Instance>>,
    /// What ends those that somebody uses.
    used: Mutex<HashMap<u64, Canceller>>,
    /// Those that accumulators without groups share, by the thread that they were made on.
    shared: Mutex<HashMap<ThreadId, Weak<Mutex<Taken>>>>,
    next_id: AtomicU64,
    /// Whether the query was cancelled.
    cancelled: AtomicBool,
    /// How many of the query's streams there are.
    streams: AtomicUsize,
    /// The fuel that is left, if it is bounded.
    fuel: AtomicU64,
    /// When the first batch came.
    started: OnceLock<Instant>,
}

impl fmt::Debug for QueryGuests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryGuests")
            .field("module", &self.module)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl QueryGuests {
    pub(crate) fn new(module: &GuestModule) -> Arc<Self> {
        let fuel = module.options().query_fuel.unwrap_or(u64::MAX);
        Arc::new(Self {
            module: module.clone(),
            idle: Mutex::default(),
            used: Mutex::default(),
            shared: Mutex::default(),
            next_id: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
            streams: AtomicUsize::new(0),
            fuel: AtomicU64::new(fuel),
            started: OnceLock::new(),
        })
    }

    pub(crate) fn module(&self) -> &GuestModule {
        &self.module
    }

    /// A guest, until it is dropped.
    ///
    /// # Errors
    /// [`Error::Guest`]; [`Error::Ended`] once the query was cancelled.
    pub(crate) fn take(self: &Arc<Self>, function: &str) -> Result<Taken, Error> {
        let idle = lock(&self.idle).pop();
        let instance = match idle {
            Some(instance) => instance,
            None => Instance::new(&self.module, function)?,
        };
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        lock(&self.used).insert(id, instance.canceller().clone());
        let taken = Taken {
            instance: Some(instance),
            id,
            home: Arc::clone(self),
        };
        // Whoever cancels sets this first.
        self.check(function)?;
        Ok(taken)
    }

    /// The one of this thread, for many that need little of it.
    ///
    /// # Errors
    /// As for [`QueryGuests::take`].
    pub(crate) fn share(self: &Arc<Self>, function: &str) -> Result<Arc<Mutex<Taken>>, Error> {
        let thread = std::thread::current().id();
        let mut shared = lock(&self.shared);
        if let Some(there) = shared.get(&thread).and_then(Weak::upgrade) {
            return Ok(there);
        }
        let taken = Arc::new(Mutex::new(self.take(function)?));
        shared.retain(|_, other| other.strong_count() > 0);
        shared.insert(thread, Arc::downgrade(&taken));
        Ok(taken)
    }

    fn check(&self, function: &str) -> Result<(), Error> {
        match self.cancelled.load(Ordering::SeqCst) {
            false => Ok(()),
            true => Err(ended(function, "the query was cancelled")),
        }
    }

    /// One more of the query's results is read: it is not cancelled, or no more.
    pub(crate) fn stream_begins(&self) {
        if self.streams.fetch_add(1, Ordering::SeqCst) == 0 {
            self.cancelled.store(false, Ordering::SeqCst);
        }
    }

    /// One is read to its end, or nobody wants it any more. Guests whose results nobody
    /// wants are ended.
    pub(crate) fn stream_ends(&self, finished: bool) {
        let last = self.streams.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && !finished {
            self.cancelled.store(true, Ordering::SeqCst);
            for canceller in lock(&self.used).values() {
                canceller.cancel();
            }
        }
    }

    /// Says what a call may use that begins now, and then what it has used.
    ///
    /// # Errors
    /// [`Error::Ended`] if that is nothing; what the call ends in.
    pub(crate) fn run<R>(
        &self,
        instance: &mut Instance,
        function: &str,
        call: impl FnOnce(&mut Instance) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.check(function)?;
        let options = self.module.options();
        if options.has_deadline() {
            let left = self.time_left(function)?;
            instance.set_deadline(function, left)?;
        }
        if !options.has_fuel() {
            return call(instance);
        }
        let left = self.fuel.load(Ordering::Relaxed);
        if left == 0 {
            return Err(ended(function, "the query has used up its fuel"));
        }
        let fuel = left.min(options.batch_fuel.unwrap_or(u64::MAX));
        instance.set_fuel(function, fuel)?;
        let result = call(instance);
        if options.query_fuel.is_some() {
            let used = fuel.min(i64::MAX as u64).saturating_sub(instance.fuel());
            let spend = |left: u64| Some(left.saturating_sub(used));
            let _ = self
                .fuel
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend);
        }
        result
    }

    /// How long a call that begins now may take.
    fn time_left(&self, function: &str) -> Result<Duration, Error> {
        let options = self.module.options();
        let batch = options.batch_deadline.unwrap_or(Duration::MAX);
        let Some(query) = options.query_deadline else {
            return Ok(batch);
        };
        let started = self.started.get_or_init(Instant::now);
        match query.checked_sub(started.elapsed()) {
            Some(left) if !left.is_zero() => Ok(batch.min(left)),
            _ => Err(ended(function, "the query's time is up")),
        }
    }
}

fn ended(function: &str, reason: &'static str) -> Error {
    Error::Ended {
        function: function.into(),
        reason,
    }
}

/// A guest of a query's that somebody uses.
pub(crate) struct Taken {
    /// There until this is dropped.
    instance: Option<Instance>,
    id: u64,
    home: Arc<QueryGuests>,
}

impl Taken {
    /// Runs a call within what the query may use.
    ///
    /// # Errors
    /// As for [`QueryGuests::run`].
    pub(crate) fn run<R>(
        &mut self,
        function: &str,
        call: impl FnOnce(&mut Instance) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let home = Arc::clone(&self.home);
        home.run(self, function, call)
    }
}

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taken")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Deref for Taken {
    type Target = Instance;

    fn deref(&self) -> &Instance {
        self.instance.as_ref().expect("it is not dropped yet")
    }
}

impl DerefMut for Taken {
    fn deref_mut(&mut self) -> &mut Instance {
        self.instance.as_mut().expect("it is not dropped yet")
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        lock(&self.home.used).remove(&self.id);
        let instance = self.instance.take().filter(Instance::is_usable);
        // One that was cancelled when nothing ran would end in its next call.
        if let Some(instance) = instance
            && !self.home.cancelled.load(Ordering::SeqCst)
        {
            lock(&self.home.idle).push(instance);
        }
    }
}
