//! What can be wrong with a guest, in the words of its author and its user.

use datafusion::error::DataFusionError;
use std::path::PathBuf;

/// Why a module's functions cannot be used, or what one of them ended in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The module cannot be loaded or compiled.
    #[error("{}: {source}", path.display())]
    Load {
        /// The module's file.
        path: PathBuf,
        /// Why not.
        source: Box<genkan_host::Error>,
    },
    /// The module says of no function that it is one over columns.
    #[error(
        "the module has no section {section}: it offers no function over columns \
         (`#[genkan_guest::column_fn]` makes one)"
    )]
    NoFunctions {
        /// The section's name.
        section: &'static str,
    },
    /// The module's section about its functions is not what it is to be.
    #[error("the module's section {section}, line {line}: {problem}")]
    Section {
        /// The section's name.
        section: &'static str,
        /// Which line, from 1 on.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// The module has not the exports that its functions need.
    #[error(
        "the module does not export {export:?} with the type {expected}, which its section \
         says it has"
    )]
    Export {
        /// The export's name.
        export: String,
        /// Its type.
        expected: &'static str,
    },
    /// A guest could not be made, or ended in the middle of a call.
    #[error("the guest's function {function}: {source}")]
    Guest {
        /// The function's name in SQL.
        function: String,
        /// What happened.
        source: Box<genkan_host::Error>,
    },
    /// A function said that it failed.
    #[error("{function} failed{}: {message}", row.map_or_else(String::new, |row| {
        format!(" in row {row} of its batch")
    }))]
    Failed {
        /// The function's name in SQL.
        function: String,
        /// The row of the batch, from 0 on, if it was about one.
        row: Option<u32>,
        /// What it said.
        message: String,
    },
    /// A guest returned what is no column of the type that it promised.
    #[error("the guest's function {function} returned no valid {expected}: {problem}")]
    Returned {
        /// The function's name in SQL.
        function: String,
        /// The type.
        expected: String,
        /// What is wrong.
        problem: String,
    },
    /// A batch has no place in the guest's memory.
    #[error(
        "the guest's function {function} has no room for a batch of {len} bytes: give it more \
         memory, or the query smaller batches"
    )]
    NoRoom {
        /// The function's name in SQL.
        function: String,
        /// How many bytes.
        len: usize,
    },
    /// An argument's type that functions over columns do not take.
    #[error(
        "argument {index} of {function} is of type {found}, which is not cast by itself: \
         arrow_cast(…, '{expected}') does so"
    )]
    Argument {
        /// The function, with its types.
        function: String,
        /// Which argument, from 1 on.
        index: usize,
        /// What the query has.
        found: String,
        /// What the function takes.
        expected: String,
    },
    /// The query is over: it was dropped, or its time or its fuel is used up.
    #[error("the guest's function {function} was ended: {reason}")]
    Ended {
        /// The function's name in SQL.
        function: String,
        /// Why.
        reason: &'static str,
    },
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        Self::External(Box::new(error))
    }
}
