//! Places in a guest's code, and in its source.

use super::names;
use std::fmt;

/// A function that was running, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RawFrame {
    /// Its index among the module's functions, imported ones first.
    pub(crate) function: u32,
    /// The instruction, in bytes from the beginning of the file, if that is known.
    pub(crate) offset: Option<u32>,
}

/// A place in a source file. Its `Display` leaves out where Rust's own libraries were
/// built: `library/core/src/option.rs:10:5`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Location {
    /// The file, as the compiler was told of it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1; 0 if it is not known.
    pub column: u32,
}

impl Location {
    /// File and line, without the column.
    pub(crate) fn file_and_line(&self) -> String {
        format!("{}:{}", names::shorter_path(&self.file), self.line)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file_and_line())?;
        match self.column {
            0 => Ok(()),
            column => write!(f, ":{column}"),
        }
    }
}
