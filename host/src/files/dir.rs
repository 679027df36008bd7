//! Directories that an embedder gives to guests.

use crate::types::{Error, file_error};
use cap_std::ambient_authority;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What a guest may do with a directory and all that is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirAccess {
    /// List it, and read its files.
    Read,
    /// Make, write, rename and remove them as well.
    ReadWrite,
}

/// A directory of the host's, for [`Setup::dirs`](crate::Setup::dirs). It is opened once,
/// and stays the same whatever happens to its path; cheap to clone, for many guests.
///
/// A guest reaches what is in it, and nothing else: neither `..` nor an absolute path nor a
/// symbolic link leads out of it. It opens files and directories, but no devices, pipes or
/// sockets.
#[derive(Clone)]
pub struct Dir(Arc<Given>);

struct Given {
    dir: Arc<cap_std::fs::Dir>,
    /// By what name the guest knows it.
    guest: String,
    access: DirAccess,
}

/// The longest path of a guest's, as Linux has it, in bytes.
pub(crate) const LONGEST_PATH: usize = 4096;

impl Dir {
    /// Opens the directory `host`, which a guest knows as `guest`: such as `/data`, or `.`
    /// for the one that its relative paths begin in.
    ///
    /// # Errors
    /// [`Error::File`] if it is not there or is no directory; or if `guest` is empty, has a
    /// NUL in it, or more than 4,096 bytes.
    pub fn open(
        host: impl AsRef<Path>,
        guest: impl Into<String>,
        access: DirAccess,
    ) -> Result<Self, Error> {
        let (host, guest) = (host.as_ref(), guest.into());
        if guest.is_empty() || guest.contains('\0') || guest.len() > LONGEST_PATH {
            let problem = format!("the guest's name for it, {guest:?}, is no path");
            let error = io::Error::new(io::ErrorKind::InvalidInput, problem);
            return Err(file_error(host, error));
        }
        let dir = cap_std::fs::Dir::open_ambient_dir(host, ambient_authority());
        Ok(Self(Arc::new(Given {
            dir: Arc::new(dir.map_err(|error| file_error(host, error))?),
            guest,
            access,
        })))
    }

    pub(super) fn dir(&self) -> &Arc<cap_std::fs::Dir> {
        &self.0.dir
    }

    pub(super) fn guest(&self) -> &str {
        &self.0.guest
    }

    pub(super) fn access(&self) -> DirAccess {
        self.0.access
    }
}

impl fmt::Debug for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dir")
            .field("guest", &self.0.guest)
            .field("access", &self.0.access)
            .finish_non_exhaustive()
    }
}
