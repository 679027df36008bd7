//! Regions, and what each guest has been granted of them.

mod region;
mod region_vec;
mod slots;
mod space;

pub use region::Region;
pub use region_vec::{Number, RegionVec};
pub(crate) use space::{Fault, Space, WindowKind};
