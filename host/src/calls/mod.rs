//! Values with Rust's types between a guest and the host. What lies in the guest's
//! memory for them is described in `guest/CALLS.md`.

mod argument;
mod codec;
mod declaration;
mod parameter;
mod result;

pub(crate) use argument::WasmArguments;
pub use argument::{Argument, Arguments};
pub use codec::Encoded;
pub(crate) use declaration::{Declaration, Declarations, SECTION, Ty};
pub use parameter::{Parameter, Return, Stop};
pub(crate) use parameter::{Reply, Taken, rows};
pub use result::Results;
pub(crate) use result::{Answer, FAILED};
