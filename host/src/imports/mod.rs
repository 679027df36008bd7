//! What guests import: the carried modules' functions, the host's own, and those
//! that the embedder offers.

mod binder;
mod caller;
mod end;
mod functions;
mod genkan;
mod state;
mod wasi;

pub(crate) use binder::{Binder, Needs};
pub use caller::Caller;
pub(crate) use end::Trapped;
pub use functions::{Functions, HostResult};
pub(crate) use state::{State, Wasi};
pub(crate) use wasi::Exit;
