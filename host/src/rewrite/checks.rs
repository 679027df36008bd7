//! Which checks a module's code gets.

use crate::types::Limits;

/// Which checks are written into a module's code when it is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Checks {
    /// Whether the host can end it: for deadlines, and for cancelling.
    pub interrupt: bool,
    /// Whether it counts what it executes.
    pub fuel: bool,
}

impl Checks {
    /// None.
    pub fn none() -> Self {
        Self::default()
    }

    /// Sets [`Checks::interrupt`].
    #[must_use]
    pub fn interrupt(mut self, interrupt: bool) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// Sets [`Checks::fuel`].
    #[must_use]
    pub fn fuel(mut self, fuel: bool) -> Self {
        self.fuel = fuel;
        self
    }

    /// Those that these limits need.
    pub fn of(limits: &Limits) -> Self {
        Self {
            interrupt: limits.interruptible || limits.deadline.is_some(),
            fuel: limits.fuel.is_some(),
        }
    }

    /// What the module cache calls them.
    pub(super) fn key(self) -> &'static [u8] {
        [&b"plain"[..], b"interrupt", b"fuel", b"interrupt and fuel"][self.number()]
    }

    /// From 0 to 3.
    pub(super) fn number(self) -> usize {
        usize::from(self.interrupt) + 2 * usize::from(self.fuel)
    }

    pub(super) fn any(self) -> bool {
        self.interrupt || self.fuel
    }
}
