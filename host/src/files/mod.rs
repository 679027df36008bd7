//! Directories of the host's that guests may use, and what a guest has open of them, as
//! WASI preview 1 has it. No path leads out of a directory: cap-std sees to that.

mod descriptors;
mod dir;
mod directory;
mod errno;
mod file;
mod listing;
mod open;

pub(crate) use descriptors::{Descriptor, Descriptors, Stream};

pub(crate) use dir::LONGEST_PATH;
pub use dir::{Dir, DirAccess};
pub(crate) use directory::Directory;
pub(crate) use errno::Errno;
pub(crate) use file::OpenFile;
pub(crate) use listing::{Entry, Listing, file_type};
pub(crate) use open::Opening;
