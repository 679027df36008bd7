//! What a guest may use.

use std::time::Duration;

/// What a guest may use. The default bounds what could harm the process: 1 GiB of
/// memory, and 2^18 elements in each table. A service sets a deadline as well.
///
/// ```
/// use std::time::Duration;
///
/// let limits = genkan_host::Limits::new()
///     .deadline(Duration::from_millis(50))
///     .memory(16 << 20);
/// # assert_eq!(limits.memory, Some(16 << 20));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// How many instructions it may execute, its start and all calls together. Ends in
    /// [`crate::Error::OutOfFuel`].
    ///
    /// A call counts 1, and every instruction but `block`, `loop`, `else` and `end`, which do
    /// nothing; copying and filling count 1 more for each 16 bytes or element of a table,
    /// and what the host writes, copies or reads for it as much; what the system does for it,
    /// when it uses files, counts 100 to 100,000 more. What comes in a straight
    /// line is charged together; the guest is ended at the next loop's head or
    /// call after it has used up more than it had, so it may do a bit more than this.
    /// The same guest with the same input always uses the same. Of a call that ended in a
    /// trap, the rest of the straight line is charged as well.
    pub fuel: Option<u64>,
    /// How long each call may take, by the clock; and its start. Ends in
    /// [`crate::Error::Deadline`]. A guest inside of another guest's host function also
    /// ends when that one's time is up. In a forked process, a call that had begun
    /// before has no deadline until the next one begins.
    pub deadline: Option<Duration>,
    /// Whether it can be ended with [`crate::Guest::canceller`]. A guest with a deadline
    /// always can.
    pub interruptible: bool,
    /// How many bytes of memory it may have of its own, without its windows; full
    /// pages of 64 KiB count. `memory.grow` beyond it gives -1, and if the guest
    /// traps then, that is [`crate::Error::MemoryLimit`].
    pub memory: Option<u64>,
    /// How many elements its tables may have, each. `table.grow` beyond it gives
    /// -1; a table that begins with more is [`crate::Error::TableLimit`].
    pub table: Option<u32>,
    /// How many bytes of the native stack it may use: at least 64 KiB, 1 MiB if it
    /// is not given. Ends in [`crate::Error::StackOverflow`]. Stacks are used again: after
    /// a guest with a larger one, another may get that.
    pub stack: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: Some(1 << 30),
            table: Some(1 << 18),
            ..Self::unlimited()
        }
    }
}

impl Limits {
    /// The default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything that the engine can give. A guest can use up the process's memory
    /// then, which ends the process where an allocation fails.
    pub fn unlimited() -> Self {
        Self {
            fuel: None,
            deadline: None,
            interruptible: false,
            memory: None,
            table: None,
            stack: None,
        }
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

    /// Sets [`Limits::interruptible`].
    #[must_use]
    pub fn interruptible(mut self, interruptible: bool) -> Self {
        self.interruptible = interruptible;
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
