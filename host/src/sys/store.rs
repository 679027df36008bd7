//! An engine's store that moves between threads.

use std::ops::{Deref, DerefMut};
use wasmer::Store;

/// A store, which one thread has at a time.
pub(crate) struct MovableStore(Store);

impl MovableStore {
    pub(crate) fn new(store: Store) -> Self {
        Self(store)
    }
}

// SAFETY: what keeps a store from being `Send` by itself are pointers into what it owns (its
// instances, functions, globals and tables), and two boxes whose types do not say what is in
// them: a host function, of which the engine asks to be `Send` and `Sync` before it takes it,
// and what is to be called after the next call, which this host never sets. None of it is
// tied to a thread: what the engine keeps by thread (who runs, where a trap returns to) it
// keeps while a call lasts, and to call, somebody has the whole store.
unsafe impl Send for MovableStore {}

impl Deref for MovableStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.0
    }
}

impl DerefMut for MovableStore {
    fn deref_mut(&mut self) -> &mut Store {
        &mut self.0
    }
}
