//! Where a guest was when it ended: its functions, innermost first, with the
//! names and the lines that its module has for them.
//!
//! A [`Trace`] is taken when a guest ends and costs little then; names and DWARF
//! are read when somebody looks. Whatever a module says about itself, that ends
//! in bounded time and memory: [`stack`] bounds how many frames are shown,
//! [`names`] how long a name is, and [`dwarf`] has a budget.

mod dwarf;
mod names;
mod place;
mod stack;
mod symbols;
mod trace;

pub use place::Location;
pub(crate) use place::RawFrame;
pub(crate) use symbols::names;
pub use trace::{Entry, Frame, Trace};
pub(crate) use trace::{Frames, Origin, describe};
