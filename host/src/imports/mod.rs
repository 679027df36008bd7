//! What guests import: the carried modules' functions, the host's own, and those
//! that the embedder offers.

mod access;
mod binder;
mod caller;
mod context;
mod end;
mod ending;
mod exports;
mod functions;
mod genkan;
mod message;
mod offered;
mod panic;
mod record;
mod state;
mod wasi;

pub(crate) use binder::{Binder, Needs};
pub use caller::Caller;
pub use context::Cx;
pub(crate) use ending::{Cause, Ending};
pub use exports::Function;
pub(crate) use exports::{Ended, Exports};
pub use functions::{Functions, HostResult};
pub use offered::HostFunction;
pub(crate) use state::{Given, State, Wasi};
