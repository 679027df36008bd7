//! What the pass does.

use super::checks::Checks;

/// What the pass does to a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) checks: Checks,
    /// Whether reads and writes of regions are written in place of calls: not where the
    /// embedder's functions are called.
    pub(crate) inline: bool,
    /// Whether the host can have it say where it is: its checks include
    /// [`Checks::interrupt`] then.
    pub(crate) sampled: bool,
}

impl Pass {
    pub(crate) fn inlining(checks: Checks) -> Self {
        Self {
            checks,
            inline: true,
            sampled: false,
        }
    }

    /// How many there are.
    pub(crate) const COUNT: usize = 16;

    /// From 0 on, below [`Pass::COUNT`].
    pub(crate) fn number(self) -> usize {
        self.checks.number() + 4 * usize::from(!self.inline) + 8 * usize::from(self.sampled)
    }

    /// What the module cache calls it.
    pub(crate) fn key(self) -> Vec<u8> {
        let inline: &[u8] = if self.inline { b"" } else { b" and calls" };
        let sampled: &[u8] = if self.sampled { b" and samples" } else { b"" };
        [self.checks.key(), inline, sampled].concat()
    }
}
