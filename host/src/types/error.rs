//! What can go wrong: each kind its own, for an embedder to match on.

use super::pointer::{MAX_REGION_LEN, Pointer};
use super::signature::{Signature, ValueType};
use crate::backtrace::Trace;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// An error whose type is somebody else's.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong. After any of these the process goes on, and so may the host
/// with its next guest.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or mapped, or a directory not be used.
    #[error("cannot use {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The system gives no memory, addresses or file descriptors.
    #[error("the system gives no more memory")]
    Memory(#[source] std::io::Error),

    /// Neither a Wasm module nor its text.
    #[error("not a Wasm module: {0}")]
    NotWasm(FormatProblem),
    /// A relocatable object, as a compiler writes it.
    #[error(
        "this is an object that was not linked: build it with `genkan build FILE.o` (or \
         `cargo xtask build-guest FILE.o`), and run the module that it writes"
    )]
    NotLinked,
    /// A module that is not valid, or needs what this engine does not have.
    #[error("cannot compile the module")]
    Compile(#[source] BoxError),
    /// The module is larger than [`crate::Config::largest`], or made so that reading it takes
    /// long; or compiling it took more than [`crate::Config::compile_limits`].
    #[error("the module {0}")]
    CompileLimit(String),
    /// The module wants what the host does not offer.
    #[error(transparent)]
    Import(Box<Import>),
    /// The engine refuses to instantiate the module.
    #[error("cannot instantiate the module")]
    Instantiate(#[source] BoxError),

    /// There is no such export.
    #[error(
        "the module exports no function {name:?}; it exports {}",
        list(exports)
    )]
    NoSuchExport {
        /// The name that was asked for.
        name: String,
        /// The functions that there are.
        exports: Vec<Signature>,
    },
    /// Too many or too few arguments.
    #[error("{function} takes {}, but {found} {} given",
        arguments(function.params.len()), if *found == 1 { "was" } else { "were" })]
    ArgumentCount {
        /// The function.
        function: Signature,
        /// How many arguments there were.
        found: usize,
    },
    /// An argument that is not of its parameter's type.
    #[error("argument {index} of {function}: it is of type {found}, not {}",
        function.params[*index - 1])]
    Argument {
        /// Which one, from 1.
        index: usize,
        /// The function.
        function: Signature,
        /// The argument's type.
        found: ValueType,
    },
    /// The function's results are not of the type that the caller asked for.
    #[error("{function} does not return {expected}")]
    Results {
        /// The function.
        function: Signature,
        /// What the caller asked for: a type of Rust's.
        expected: &'static str,
    },

    /// A function has other types than the caller's; or one that the guest imports, than
    /// the one that is offered.
    #[error("{function} {mismatch}")]
    Mismatch {
        /// The function, with the types that its guest says it has.
        function: String,
        /// What does not fit.
        mismatch: Mismatch,
    },
    /// A function was called for another guest than the one that it is of, or for one that
    /// was reset meanwhile.
    #[error(
        "the function is another guest's, or was looked up before this one was reset: each \
         gives its own, with Guest::function"
    )]
    OtherGuest,
    /// An argument that cannot be encoded.
    #[error("argument {index} of {function} cannot be encoded: {problem}")]
    Encode {
        /// Which one, from 1.
        index: usize,
        /// The function, with its types.
        function: String,
        /// What the codec says.
        problem: String,
    },
    /// The guest has no memory for a call's arguments.
    #[error("{function}: the guest has no room for {len} bytes of arguments")]
    NoRoom {
        /// The function, with its types.
        function: String,
        /// How many bytes they have.
        len: usize,
    },
    /// What a function gave is not of the type that it says.
    #[error("{function}: {problem}")]
    Answer {
        /// The function, with its types.
        function: String,
        /// What is wrong.
        problem: String,
    },
    /// A function of the guest's returned an error, and the caller did not ask for
    /// its type.
    #[error("{function} failed: {error}")]
    Returned {
        /// The function.
        function: String,
        /// What it returned.
        error: ReturnedError,
    },
    /// A guest passed a function of the host's what is not of its type.
    #[error("the guest's argument {index} for {function}: {problem}")]
    GuestArgument {
        /// Which one, from 1.
        index: usize,
        /// The function, with the types that the guest declares.
        function: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The guest ended in the middle of an earlier call: by a trap, a panic, its limits or
    /// by itself. Its memory is as that call left it, so it runs no more until
    /// [`crate::Guest::reset`].
    #[error("the guest ended in an earlier call, and has to be reset before it runs again: {was}")]
    Poisoned {
        /// What it ended in, in that error's words.
        was: String,
    },
    /// All guests of a [`crate::Pool`] were in use for as long as one waits.
    #[error("all {guests} guests of the pool were in use for {wait:?}")]
    PoolBusy {
        /// How many it has.
        guests: usize,
        /// How long this waited.
        wait: Duration,
    },
    /// A guest and functions of the host's call each other without end.
    #[error("{0} calls are within each other: a guest and the host's functions call each other")]
    TooDeep(u32),

    /// A region above [`MAX_REGION_LEN`] bytes.
    #[error("a region of {0} bytes is too large: at most {max} are possible", max = MAX_REGION_LEN)]
    RegionTooLarge(u64),
    /// The process has as many regions as it can have at a time.
    #[error("no more regions: 65,535 are alive")]
    NoMoreRegions,
    /// The guest lives for so long that pointers begin to repeat: it may have an older
    /// region's that is the same as this one's.
    #[error(
        "the guest has outlived 2^31 regions, and may have an old pointer that is the same as \
         this region's: make the guest anew"
    )]
    GuestTooOld,
    /// Two would use the same bytes, and one of them may write: guests that run at the same
    /// time, or a guest and the host. [`Access::SharedReadWrite`](crate::Access) is for
    /// those who want that.
    #[error("the region at {region} is in use: {by}")]
    RegionInUse {
        /// The region's first byte.
        region: Pointer,
        /// Who uses it.
        by: RegionUser,
    },
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
    /// A region went away while the guest read or wrote it: it was revoked, or its file was
    /// truncated; or the guest kept a window that shows a slice from one call to the next,
    /// and others may have written the region in between.
    #[error(
        "a region went away under the guest: it was revoked, or its file truncated, or it was \
         written between two calls while the guest kept a slice{0}"
    )]
    RegionGone(Trace),
    /// The guest gave a range of its own memory that it does not have.
    #[error("{function}: the guest's memory has no {} range of {len} bytes at {address:#x}{trace}",
        if *write { "writable" } else { "readable" })]
    GuestRange {
        /// The host's function that it called.
        function: &'static str,
        /// Whether the range was to be written.
        write: bool,
        /// Where the range was to begin.
        address: u32,
        /// How long it was to be, in bytes.
        len: u32,
        /// Where it was asked for.
        trace: Trace,
    },
    /// A window cannot be had, or is not there.
    #[error("{problem}{trace}")]
    Window {
        /// Why not.
        problem: WindowProblem,
        /// Where it was asked for.
        trace: Trace,
    },
    /// The guest touched its memory where a window does not allow it.
    #[error("the guest {} at {address:#x}{trace}", if *write {
        "wrote into a window that it has for reading,"
    } else {
        "used a window that it has given back,"
    })]
    WindowAccess {
        /// Whether it wrote into a window for reading; otherwise there is no window.
        write: bool,
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
    #[error("guest panicked at {}{}{trace}",
        location.as_ref().map_or_else(|| "an unknown place".into(), SourceLocation::to_string),
        message.as_ref().map_or_else(String::new, |message| format!(": {message}")))]
    Panic {
        /// Where, as far as it is known.
        location: Option<SourceLocation>,
        /// What the panic said, as far as it is known.
        message: Option<String>,
        /// What was running.
        trace: Trace,
    },
    /// The guest recursed too deeply, or has too much on its stack: the engine's; or the one in
    /// its memory, if that ends at address 0 and the module names its stack pointer, as
    /// linkers have it (one that was stripped does not).
    #[error("the guest's stack overflowed{0}")]
    StackOverflow(Trace),
    /// The guest has used its fuel up.
    #[error("the guest has used up its fuel{0}")]
    OutOfFuel(Trace),
    /// The guest was cancelled: see [`crate::Canceller`].
    #[error("the guest was cancelled{0}")]
    Cancelled(Trace),
    /// What was asked for needs checks in the guest's code, and it was made without
    /// them: [`crate::Limits::interruptible`], [`crate::Limits::fuel`] and
    /// [`crate::Limits::deadline`] ask for them.
    #[error("the guest's code has no checks for {0}: ask for them in its limits")]
    Unchecked(&'static str),
    /// The system gives no thread to watch deadlines with, or no threads or process to
    /// compile in.
    #[error("the system gives no more threads or processes: {0}")]
    Thread(std::io::Error),
    /// The guest did not end in time.
    #[error("the guest did not end within {limit:?}{trace}")]
    Deadline {
        /// How long it had.
        limit: Duration,
        /// Where it was.
        trace: Trace,
    },
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
    #[error("the guest exited with code {code}{trace}")]
    Exit {
        /// The code that it gave.
        code: i32,
        /// Where it did so.
        trace: Trace,
    },
    /// A function of the host's panicked; the guest was stopped.
    #[error("the host's function {function} panicked: {message}{trace}")]
    HostPanic {
        /// Its module and name.
        function: String,
        /// What the panic said.
        message: String,
        /// Where the guest called it.
        trace: Trace,
    },
    /// A function of the host's returned an error; the guest was stopped.
    #[error("the host's function {function} failed{trace}")]
    HostFunction {
        /// Its module and name.
        function: String,
        /// What it returned.
        source: BoxError,
        /// Where the guest called it.
        trace: Trace,
    },
}

/// The trace of an error that ended a guest, borrowed as the error is.
macro_rules! trace_of {
    ($error:expr) => {
        match $error {
            Error::Pointer(PointerError { trace, .. })
            | Error::RegionGone(trace)
            | Error::StackOverflow(trace)
            | Error::OutOfFuel(trace)
            | Error::Cancelled(trace)
            | Error::GuestRange { trace, .. }
            | Error::Window { trace, .. }
            | Error::WindowAccess { trace, .. }
            | Error::Trap { trace, .. }
            | Error::Panic { trace, .. }
            | Error::Deadline { trace, .. }
            | Error::MemoryLimit { trace, .. }
            | Error::Exit { trace, .. }
            | Error::HostPanic { trace, .. }
            | Error::HostFunction { trace, .. } => Some(trace),
            _ => None,
        }
    };
}

impl Error {
    /// Where the guest was, for an error that ended one.
    pub fn trace(&self) -> Option<&Trace> {
        trace_of!(self)
    }

    /// The same, to change what it shows.
    pub fn trace_mut(&mut self) -> Option<&mut Trace> {
        trace_of!(self)
    }
}

impl From<WindowProblem> for Error {
    fn from(problem: WindowProblem) -> Self {
        Self::Window {
            problem,
            trace: Trace::default(),
        }
    }
}

fn arguments(count: usize) -> String {
    match count {
        1 => "1 argument".into(),
        n => format!("{n} arguments"),
    }
}

fn list(exports: &[Signature]) -> String {
    if exports.is_empty() {
        return "none".into();
    }
    let exports: Vec<_> = exports.iter().map(Signature::to_string).collect();
    exports.join(", ")
}

/// [`Error::File`] for this file.
pub(crate) fn file_error(path: &std::path::Path, source: std::io::Error) -> Error {
    Error::File {
        path: path.into(),
        source,
    }
}

/// Why bytes are no module.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FormatProblem {
    /// There are none.
    #[error("it is empty")]
    Empty,
    /// They begin with something else.
    #[error("it begins neither with \\0asm, as a module does, nor with (, as its text does")]
    Unknown,
    /// They are a module's text, and this library was built without that.
    #[error("it is a module's text, which needs genkan-host's feature `wat`")]
    NoText,
    /// They are a module's text with a mistake in it; where, and which.
    #[error("{0}")]
    Text(String),
    /// They are a component.
    #[error("it is a component, not a module")]
    Component,
    /// They end early, or do not follow the format; where, and how.
    #[error("{0}")]
    Damaged(String),
}

/// An import that the host does not offer, or not as the module wants it.
#[derive(Clone, Debug, Error)]
#[error("the module imports {}, which the host does not offer{}", self.what(), self.hint())]
#[non_exhaustive]
pub struct Import {
    /// The module that it is imported from.
    pub module: String,
    /// Its name there.
    pub name: String,
    /// What it is.
    pub kind: ImportKind,
    /// The function of that name that the host has, of another type.
    pub offered: Option<Signature>,
}

/// How a function differs from what its caller, or its importer, says it is.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// It has another number of parameters.
    #[error("takes {}, not {found}", arguments(*expected))]
    Count {
        /// How many the guest says it has.
        expected: usize,
        /// How many the host says.
        found: usize,
    },
    /// A parameter has another type.
    #[error("takes a {expected} as argument {index}, not a {found}")]
    Argument {
        /// Which one, from 1.
        index: usize,
        /// The type that the guest says it has.
        expected: String,
        /// The host's, of Rust.
        found: &'static str,
    },
    /// Its result has another type.
    #[error("gives a {expected}, not a {found}")]
    Result {
        /// The type that the guest says it has.
        expected: String,
        /// The host's, of Rust.
        found: &'static str,
    },
    /// The guest does not say its types, so that only numbers can be passed.
    #[error("does not say its types, as #[genkan_guest::export] and #[import] would")]
    Undeclared,
    /// It wants a state of another type than the guest was given.
    #[error("wants a state of type {expected}, which Setup::state must be given")]
    State {
        /// The type that it wants, of Rust.
        expected: &'static str,
    },
}

/// An error that a guest's function returned. Shown as its text, if it is one or is
/// in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnedError {
    text: String,
    encoded: Option<(Vec<u8>, String)>,
}

impl ReturnedError {
    pub(crate) fn new(text: String, encoded: Option<(Vec<u8>, &str)>) -> Self {
        let encoded = encoded.map(|(bytes, codec)| (bytes, codec.to_owned()));
        Self { text, encoded }
    }

    /// Its bytes, and the name of the codec that they are in: `json` or `postcard`.
    /// `None` for a text or a number.
    pub fn encoded(&self) -> Option<(&[u8], &str)> {
        let (bytes, codec) = self.encoded.as_ref()?;
        Some((bytes, codec))
    }
}

impl fmt::Display for ReturnedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What an import is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportKind {
    /// A function of this type.
    Function(Signature),
    /// A memory. A module may have one, imported or its own.
    Memory,
    /// A table.
    Table,
    /// A global of this type.
    Global(ValueType),
    /// An exception's tag.
    Tag,
}

impl Import {
    fn what(&self) -> String {
        let (module, name) = (&self.module, &self.name);
        match &self.kind {
            ImportKind::Function(function) => format!("the function {function}"),
            ImportKind::Memory => format!("a second memory, {module}.{name}"),
            ImportKind::Table => format!("the table {module}.{name}"),
            ImportKind::Global(ty) => format!("the global {module}.{name} of type {ty}"),
            ImportKind::Tag => format!("the tag {module}.{name}"),
        }
    }

    fn hint(&self) -> String {
        match (&self.kind, &self.offered) {
            (_, Some(offered)) => format!("; it offers {offered}"),
            (ImportKind::Function(_), None) => {
                "; a function of your own is offered with Setup::functions".into()
            }
            _ => String::new(),
        }
    }
}

/// Who uses a region that somebody else wants.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionUser {
    /// A guest, which is running.
    #[error("a guest is running that it is granted to")]
    Guest,
    /// The host, as a slice or as atomics.
    #[error("the host holds its bytes")]
    Host,
}

/// Why a window cannot be had, or given back.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum WindowProblem {
    /// The guest has no memory.
    #[error("the guest has no memory for a window")]
    NoMemory,
    /// The host cannot make the guest's memory larger.
    #[error("no room for a window: the guest neither imports nor exports its memory")]
    HiddenMemory,
    /// The guest's memory cannot become larger.
    #[error("no room for a window of {len} bytes in the guest's memory")]
    NoRoom {
        /// How long the window was to be, in bytes.
        len: u32,
    },
    /// The guest has as many windows as it may have at a time.
    #[error("a guest may have {limit} windows at a time")]
    TooMany {
        /// How many.
        limit: usize,
    },
    /// A window of no bytes.
    #[error("a window must have at least one byte")]
    Empty,
    /// The guest has a window of some of the bytes, and one of the two is to be written.
    #[error(
        "a window of some of these bytes of the region at {region} is there already, and one of \
         the two can be written"
    )]
    Overlaps {
        /// The region's first byte.
        region: Pointer,
    },
    /// Others may change the bytes meanwhile, so that they are no slice.
    #[error(
        "the region at {region} was granted for sharing: others may change it meanwhile, so it is \
         no slice (map_shared gives a window of cells)"
    )]
    Shared {
        /// The region's first byte.
        region: Pointer,
    },
    /// There is no window to give back.
    #[error("unmap: there is no window at {address:#x}")]
    NotThere {
        /// The address that the guest gave.
        address: u32,
    },
}

/// A pointer that is not valid for what a guest did with it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{} of {len} byte{} at pointer {pointer}{}: {problem}{trace}",
    if *write { "write" } else { "read" },
    if *len == 1 { "" } else { "s" },
    if *offset == 0 { String::new() } else { format!(" + {offset}") })]
#[non_exhaustive]
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
    /// Where it was used.
    pub trace: Trace,
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
    /// An atomic access is not at a multiple of its length.
    #[error("an atomic number must be at a multiple of its length")]
    Unaligned,
    /// The guest has the bytes as a slice, or may have.
    #[error(
        "the guest has a window of its region, at {region}, from byte {start} on, and reaches \
         what is there as a slice: give the window back before you use a pointer there"
    )]
    InWindow {
        /// The region's first byte.
        region: Pointer,
        /// Where the first window begins that is in the way, in bytes.
        start: u32,
    },
}

/// A place in a guest's source. Shown as `FILE:LINE:COLUMN`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceLocation {
    /// The file, as the compiler was given it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl SourceLocation {
    pub(crate) fn new(file: String, line: u32, column: u32) -> Self {
        Self { file, line, column }
    }
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
