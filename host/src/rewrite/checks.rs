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
    /// Whether it says where it is, for a [`Profile`](crate::Profile). It can be ended then,
    /// whatever `interrupt` says.
    pub samples: bool,
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

    /// Sets [`Checks::samples`].
    #[must_use]
    pub fn samples(mut self, samples: bool) -> Self {
        self.samples = samples;
        self
    }

    /// Those that these limits need.
    pub fn of(limits: &Limits) -> Self {
        Self {
            interrupt: limits.interruptible || limits.deadline.is_some(),
            fuel: limits.fuel.is_some(),
            samples: false,
        }
    }

    /// With those that they need themselves.
    pub(crate) fn complete(mut self) -> Self {
        self.interrupt |= self.samples;
        self
    }

    /// What the module cache calls them.
    pub(super) fn key(self) -> Vec<u8> {
        let names = [&b"plain"[..], b"interrupt", b"fuel", b"interrupt and fuel"];
        let samples: &[u8] = if self.samples { b" and samples" } else { b"" };
        [names[self.number() % 4], samples].concat()
    }

    /// From 0 to 7.
    pub(super) fn number(self) -> usize {
        usize::from(self.interrupt) + 2 * usize::from(self.fuel) + 4 * usize::from(self.samples)
    }

    pub(super) fn any(self) -> bool {
        self.interrupt || self.fuel
    }
}
