//! What the caller decides about a link. The command lines of `build-guest`
//! and `link` both end in these types; the phases read nothing else.

use std::collections::BTreeSet;

/// One input file, in the order of the command line.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The file as the user named it; messages begin with it.
    pub name: &'a str,
    /// The whole file: an object or an archive, told apart by their magic.
    pub bytes: &'a [u8],
    /// When the file's objects become part of the link.
    pub role: Role,
}

/// When an input's objects become part of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// An object always, an archive's members when a symbol needs them.
    Default,
    /// Only when a symbol needs it (`--start-lib`).
    Lazy,
    /// Always, each member of an archive too (`--whole-archive`).
    Whole,
    /// The guest's own object, compiled from its source: its functions are the
    /// module's exports, and the functions that it declares are the host's.
    Guest,
}

/// Which custom sections the module keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strip {
    /// Names and debug information stay.
    Nothing,
    /// Names stay, debug information goes.
    Debug,
    /// Nothing that a module can run without stays.
    All,
}

/// Where the module's linear memory comes from, and under which name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryOptions {
    /// Imported from (module, name); defined by the module itself otherwise.
    pub import: Option<(String, String)>,
    /// The name it is exported under, if it is.
    pub export: Option<String>,
    /// Its first size in bytes, a multiple of 65,536; as small as fits if `None`.
    pub initial: Option<u64>,
    /// Its largest size in bytes, a multiple of 65,536.
    pub max: Option<u64>,
    /// Bytes of stack.
    pub stack_size: u64,
}

/// What happens where a guest panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Panic {
    /// As rustc made it: formats the message and writes it to stderr.
    Std,
    /// Hands file, line and column to the host, then traps.
    Report,
    /// Traps.
    Trap,
}

/// Which functions the module exports, besides those an object marks itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exports {
    /// The guest object's global, unmangled functions.
    Guest,
    /// Those named; one that no input defines is an error.
    Named(BTreeSet<String>),
}
