//! Functions over columns: what a database calls for a batch of rows at once.
//!
//! ```ignore
//! #[genkan_guest::column_fn]
//! fn gcd(a: i64, b: i64) -> i64 {
//!     if b == 0 { a } else { gcd(b, a % b) }
//! }
//! ```
//!
//! `COLUMNS.md` has the types, and what lies in memory.

mod aggregate;
mod argument;
mod batch;
mod bits;
mod column;
mod element;
mod function;
mod kept;
mod output;
mod result;
mod sink;
mod types;
mod writer;

pub use column::Column;
pub use output::Output;
pub use types::{
    Date32, Date64, Decimal128, TimestampMicrosecond, TimestampMillisecond, TimestampNanosecond,
    TimestampSecond,
};

/// What the attributes expand to uses.
#[doc(hidden)]
pub mod expanded {
    pub use super::aggregate::{fill_in, fold, Groups};
    pub use super::argument::{Argument, Arguments};
    pub use super::batch::Batch;
    pub use super::column::vectorised;
    pub use super::element::Element;
    pub use super::function::{by_row, nullable, same_type};
    pub use super::result::{Give, Returned, Updated};
    pub use super::sink::{BytesSink, TextSink};
}

#[cfg(all(target_family = "wasm", not(target_pointer_width = "32")))]
compile_error!("columns lie in memories of 32-bit addresses: compile for wasm32");
