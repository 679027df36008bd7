//! Statics that change.

use core::cell::UnsafeCell;

/// What belongs to this guest's one thread.
pub(crate) struct Owned<T>(UnsafeCell<T>);

// A guest has one thread.
unsafe impl<T> Sync for Owned<T> {}

impl<T> Owned<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// No reference to the value may outlive the function that makes it, nor be there
    /// while others run that make one.
    pub(crate) const fn get(&self) -> *mut T {
        self.0.get()
    }
}
