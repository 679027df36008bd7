//! What the other layers speak of: pointers, access, limits, values, errors.

mod access;
mod error;
mod limits;
mod pointer;
mod signature;
mod value;

pub use access::Access;
pub(crate) use error::{BoxError, file_error};
pub use error::{
    Error, FormatProblem, Import, ImportKind, Mismatch, PointerError, PointerProblem, RegionUser,
    ReturnedError, SourceLocation, WindowProblem,
};
pub use limits::Limits;
pub use pointer::{MAX_REGION_LEN, Pointer};
pub(crate) use pointer::{TABLE_LEN, Tag};
pub use signature::{Signature, ValueType};
pub use value::Value;
