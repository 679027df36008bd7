//! What can go wrong: each kind its own, for an embedder to match on.

use crate::region::Pointer;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// What went wrong. After any of these the process goes on, and so may the host
/// with its next guest.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or mapped.
    #[error("{}: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The system gives no memory, addresses or file descriptors.
    #[error("the system gives no more memory: {0}")]
    Memory(std::io::Error),

    /// Neither a Wasm module nor its text.
    #[error("not a Wasm module: {0}")]
    NotWasm(String),
    /// A relocatable object, as a compiler writes it.
    #[error(
        "this is an object that was not linked: build it with `cargo xtask build-guest FILE.o`, \
         and run the module that it writes"
    )]
    NotLinked,
    /// A module that is not valid, or needs what this engine does not have.
    #[error("cannot compile the module: {0}")]
    Compile(String),
    /// The module wants what the host does not offer.
    #[error("the module imports {what}, which the host does not offer{hint}")]
    Import {
        /// What it is: kind, module, name and type.
        what: String,
        /// What would be offered, or nothing.
        hint: String,
    },
    /// The engine refuses to instantiate the module.
    #[error("cannot instantiate the module: {0}")]
    Instantiate(String),

    /// There is no such export.
    #[error("the module exports no function {name:?}; it exports {exports}")]
    NoSuchExport {
        /// The name that was asked for.
        name: String,
        /// The functions that there are, with their types.
        exports: String,
    },
    /// Too many or too few arguments.
    #[error("{function} takes {expected}, but {found} given")]
    ArgumentCount {
        /// The function, with its type.
        function: String,
        /// How many it takes, in words.
        expected: String,
        /// How many there were, in words.
        found: String,
    },
    /// An argument that does not fit its parameter.
    #[error("argument {index} of {function}: {problem}")]
    Argument {
        /// Which one, from 1.
        index: usize,
        /// The function, with its type.
        function: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// The function's results are not of the type that the caller asked for.
    #[error("{function} does not return {expected}")]
    Results {
        /// The function, with its type.
        function: String,
        /// What the caller asked for.
        expected: &'static str,
    },

    /// A region above [`crate::MAX_REGION_LEN`] bytes.
    #[error("a region of {0} bytes is too large: at most {max} are possible", max = crate::MAX_REGION_LEN)]
    RegionTooLarge(u64),
    /// All of the pointers that a process can give have been given: some two
    /// thousand million regions have been made, or 65,535 live.
    #[error("no more regions: 65,535 are alive, or this process has made 2^31 of them")]
    NoMoreRegions,
    /// The host and a running guest would touch the same bytes.
    #[error("the region is in use: a guest that holds it is running, or the host holds its bytes")]
    RegionInUse,
    /// A mapped file is no slice, as others may change it.
    #[error("{} is mapped, and others may change it: read the file, or use Region::copy_of_file", .0.display())]
    RegionIsFile(PathBuf),
    /// A region of a file was to be written.
    #[error("a mapped file can be granted for reading only")]
    RegionReadOnly,
    /// The guest's region space is full.
    #[error("no room for {0} bytes: a guest's regions have less than 4 GiB together")]
    RegionSpaceFull(usize),

    /// The guest used a pointer that is not valid for what it did.
    #[error(transparent)]
    Pointer(#[from] PointerError),
    /// A region went away while the guest read or wrote it: it was revoked, or
    /// its file was truncated.
    #[error("a region went away under the guest: it was revoked, or its file truncated{0}")]
    RegionGone(Trace),
    /// The guest asked for bytes of its own memory that it does not have.
    #[error("{function}: the guest's memory has no {access} range of {len} bytes at {address:#x}")]
    GuestRange {
        /// The host's function that it called.
        function: &'static str,
        /// Readable or writable.
        access: &'static str,
        /// Where the range was to begin.
        address: u32,
        /// How long it was to be, in bytes.
        len: u32,
    },
    /// A window cannot be had, or is not there.
    #[error("{0}")]
    Window(String),
    /// The guest touched its memory where a window does not allow it.
    #[error("{what} at {address:#x}{trace}")]
    WindowAccess {
        /// What it did.
        what: &'static str,
        /// The address in its memory.
        address: u32,
        /// Where it did so.
        trace: Trace,
    },

    /// A Wasm trap.
    #[error("the guest trapped: {message}{trace}")]
    Trap {
        /// The trap, in the specification's words where it has some.
        message: String,
        /// Where it happened.
        trace: Trace,
    },
    /// The guest panicked, and was built to say so.
    #[error("guest panicked at {location}{message}")]
    Panic {
        /// `FILE:LINE:COLUMN`, as far as they are known.
        location: String,
        /// `: ` and the message, or nothing.
        message: String,
    },
    /// The guest recursed too deeply.
    #[error("the guest's stack overflowed{0}")]
    StackOverflow(Trace),
    /// The guest has used its fuel up.
    #[error("the guest has used up its fuel")]
    OutOfFuel,
    /// The guest did not end in time.
    #[error("the guest did not end within {0:?}")]
    Deadline(Duration),
    /// The guest could not go on with the memory that it may have.
    #[error("the guest wanted more than its {limit} bytes of memory{trace}")]
    MemoryLimit {
        /// How much it may have.
        limit: u64,
        /// Where it gave up.
        trace: Trace,
    },
    /// The guest could not go on with the table that it may have.
    #[error("the guest wanted a table of more than {limit} elements")]
    TableLimit {
        /// How many it may have.
        limit: u32,
    },
    /// The guest ended itself, with `proc_exit`.
    #[error("the guest exited with code {0}")]
    Exit(i32),
    /// A function of the host's panicked; the guest was stopped.
    #[error("the host's function {function} panicked: {message}")]
    HostPanic {
        /// Its module and name.
        function: String,
        /// What the panic said.
        message: String,
    },
    /// A function of the host's returned an error; the guest was stopped.
    #[error("the host's function {function} failed: {error}")]
    HostFunction {
        /// Its module and name.
        function: String,
        /// What it returned.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// [`Error::File`] for this file.
pub(crate) fn file_error(path: &std::path::Path, error: std::io::Error) -> Error {
    Error::File {
        path: path.into(),
        error,
    }
}

/// A pointer that is not valid for what a guest did with it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{} of {len} byte{} at pointer {pointer}{}: {problem}",
    if *write { "write" } else { "read" },
    if *len == 1 { "" } else { "s" },
    if *offset == 0 { String::new() } else { format!(" + {offset}") })]
pub struct PointerError {
    /// The pointer that the guest gave.
    pub pointer: Pointer,
    /// The offset that it gave beside it, in bytes.
    pub offset: u32,
    /// How many bytes it wanted.
    pub len: u32,
    /// Whether it wanted to write.
    pub write: bool,
    /// What was wrong.
    pub problem: PointerProblem,
}

/// What is wrong with a pointer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PointerProblem {
    /// The pointer 0.
    #[error("0 is never a valid pointer")]
    Null,
    /// Its region is gone.
    #[error("its region was revoked")]
    Revoked,
    /// No region of this guest has, or had, such a pointer.
    #[error("no region that this guest was granted has such a pointer")]
    Unknown,
    /// It goes beyond the region's end.
    #[error("its region, at {region}, has {len} byte{}", if *len == 1 { "" } else { "s" })]
    OutOfBounds {
        /// The region's first byte.
        region: Pointer,
        /// The region's length in bytes.
        len: usize,
    },
    /// The region was granted for reading.
    #[error("its region, at {region} with {len} bytes, was granted for reading only")]
    ReadOnly {
        /// The region's first byte.
        region: Pointer,
        /// The region's length in bytes.
        len: usize,
    },
}

/// The Wasm functions that were running, innermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace(pub Vec<String>);

impl std::fmt::Display for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 20;
        for function in self.0.iter().take(SHOWN) {
            write!(f, "\n  in {function}")?;
        }
        match self.0.len().checked_sub(SHOWN) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "\n  and {more} more"),
        }
    }
}
