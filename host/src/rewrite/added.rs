//! What a module imports once the pass has been over it: the host binds it.

/// Why a guest calls [`END`]: the argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The host's word is not 0, or the fuel is negative ([`crate::sys::Words`]). A call
    /// that returns if there is no reason to end.
    Stopped,
    /// The same, at the beginning of a function: what ran until now is its caller.
    Entered,
    /// `unreachable`.
    Unreachable,
    /// A bulk instruction's range is not in its memory or data segment.
    Memory,
    /// A table instruction's range is not in its table or element segment.
    Table,
}

impl End {
    const ALL: [Self; 5] = [
        Self::Stopped,
        Self::Entered,
        Self::Unreachable,
        Self::Memory,
        Self::Table,
    ];

    /// From the argument of a call.
    pub(crate) fn from_code(code: i32) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }

    pub(super) fn code(self) -> i32 {
        self as i32
    }
}

/// What an import is that the pass added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// The function that ends the guest.
    End,
    /// The memory with the host's words.
    Words,
    /// The region space, as a memory. All that the guest does with its imports that read
    /// and write regions is written in its code, if `inlined`: they are called for what is
    /// wrong alone.
    Space { inlined: bool },
}

impl Added {
    pub(crate) fn is_memory(self) -> bool {
        self != Self::End
    }

    /// From its name. It says nothing of an import of the guest's, which may have any.
    pub(crate) fn of(name: &str) -> Self {
        match name {
            END => Self::End,
            WORDS => Self::Words,
            SPACE => Self::Space { inlined: true },
            SPACE_AND_CALLS => Self::Space { inlined: false },
            _ => unreachable!("the pass adds nothing else"),
        }
    }
}

/// The module name of the imports that the pass adds. They are bound by their
/// place, so a guest that imports something of this name gets nothing by it.
pub(super) const MODULE: &str = "genkan:host";
/// The added function: `(i32)`, which ends the guest.
pub(super) const END: &str = "end";
/// The added memory, if there are checks.
pub(super) const WORDS: &str = "words";
/// The added memory, if there is inlined access; under the second name, if there is other
/// access as well. So the compiled module says which.
pub(super) const SPACE: &str = "space";
pub(super) const SPACE_AND_CALLS: &str = "space and calls";
