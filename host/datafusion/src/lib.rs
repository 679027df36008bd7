#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod aggregate;
mod arguments;
mod batch;
mod create_function;
mod error;
mod guest_exec;
mod instance;
mod module;
mod planner;
mod query;
mod resident;
mod results;
mod scalar;
mod session;
mod signature;
mod windows;

pub use error::Error;
pub use module::{GuestModule, GuestOptions};
pub use resident::{resident_array, resident_batch, resident_buffer, resident_table};
pub use session::RegisterGuest;
pub use signature::{Column, Kind, Signature};
