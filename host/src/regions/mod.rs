//! Regions, and what each guest has been granted of them.

mod region;
mod slots;
mod space;

pub use region::Region;
pub(crate) use space::{Fault, Space, WindowKind};
