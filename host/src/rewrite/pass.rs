//! What the pass does.

use super::checks::Checks;

/// What the pass does to a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) checks: Checks,
    /// Whether reads and writes of regions are written in place of calls: not where the
    /// embedder's functions are called.
    pub(crate) inline: bool,
}

impl Pass {
    pub(crate) fn inlining(checks: Checks) -> Self {
        Self {
            checks: checks.complete(),
            inline: true,
        }
    }

    /// How many there are.
    pub(crate) const COUNT: usize = 16;

    /// From 0 on, below [`Pass::COUNT`].
    pub(crate) fn number(self) -> usize {
        self.checks.number() + 8 * usize::from(!self.inline)
    }

    /// What the module cache calls it.
    pub(crate) fn key(self) -> Vec<u8> {
        let inline: &[u8] = if self.inline { b"" } else { b" and calls" };
        [&self.checks.key(), inline].concat()
    }
}
