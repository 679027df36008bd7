//! What a guest may use.

use std::time::Duration;

/// What a guest may use. The default is everything that the engine can give.
///
/// ```
/// use std::time::Duration;
///
/// let limits = genkan_host::Limits::new()
///     .deadline(Duration::from_millis(50))
///     .memory(16 << 20);
/// # assert_eq!(limits.memory, Some(16 << 20));
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Limits {
    /// How many instructions it may execute, all calls together, if its engine
    /// is [`metered`](crate::Config::metered). Ends in [`crate::Error::OutOfFuel`].
    pub fuel: Option<u64>,
    /// How long each call may take, by the clock; and its start. Ends in
    /// [`crate::Error::Deadline`].
    pub deadline: Option<Duration>,
    /// How many bytes of memory it may have of its own, without its windows; full
    /// pages of 64 KiB count. `memory.grow` beyond it gives -1, and if the guest
    /// traps then, that is [`crate::Error::MemoryLimit`].
    pub memory: Option<u64>,
    /// How many elements its tables may have, each. `table.grow` beyond it gives
    /// -1; a table that begins with more is [`crate::Error::TableLimit`].
    pub table: Option<u32>,
    /// How many bytes of the native stack it may use: at least 64 KiB, 1 MiB if it
    /// is not given. Ends in [`crate::Error::StackOverflow`].
    pub stack: Option<usize>,
}

impl Limits {
    /// No limit but the engine's own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Limits::fuel`].
    #[must_use]
    pub fn fuel(mut self, instructions: u64) -> Self {
        self.fuel = Some(instructions);
        self
    }

    /// Sets [`Limits::deadline`].
    #[must_use]
    pub fn deadline(mut self, time: Duration) -> Self {
        self.deadline = Some(time);
        self
    }

    /// Sets [`Limits::memory`].
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Sets [`Limits::table`].
    #[must_use]
    pub fn table(mut self, elements: u32) -> Self {
        self.table = Some(elements);
        self
    }

    /// Sets [`Limits::stack`].
    #[must_use]
    pub fn stack(mut self, bytes: usize) -> Self {
        self.stack = Some(bytes);
        self
    }
}
