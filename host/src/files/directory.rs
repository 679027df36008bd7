//! Directories that a guest has open.

use super::dir::{Dir, DirAccess};
use super::errno::Errno;
use super::listing::Listing;
use cap_fs_ext::{DirExt, OpenOptionsMaybeDirExt, SystemTimeSpec};
use cap_std::fs::{Metadata, OpenOptions};
use std::path::Path;
use std::sync::Arc;

/// A directory that a guest has open.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(super) dir: Arc<cap_std::fs::Dir>,
    pub(super) access: DirAccess,
    /// By what name the guest was given it; `None` for one that it opened.
    name: Option<String>,
    /// Where it is read on.
    listing: Option<Listing>,
}

impl Directory {
    pub(super) fn given(dir: &Dir) -> Self {
        Self {
            dir: Arc::clone(dir.dir()),
            access: dir.access(),
            name: Some(dir.guest().into()),
            listing: None,
        }
    }

    pub(super) fn opened(dir: cap_std::fs::Dir, access: DirAccess) -> Self {
        Self {
            dir: Arc::new(dir),
            access,
            name: None,
            listing: None,
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// For looking.
    pub(crate) fn dir(&self) -> &cap_std::fs::Dir {
        &self.dir
    }

    pub(crate) fn may_change(&self) -> bool {
        self.access == DirAccess::ReadWrite
    }

    /// For whatever changes something.
    ///
    /// # Errors
    /// [`Errno::ROFS`] if the guest may only read.
    pub(crate) fn changeable(&self) -> Result<&cap_std::fs::Dir, Errno> {
        if self.may_change() {
            Ok(&self.dir)
        } else {
            Err(Errno::ROFS)
        }
    }

    pub(crate) fn metadata(&self, path: &Path, follow: bool) -> Result<Metadata, Errno> {
        Ok(match follow {
            true => self.dir.metadata(path)?,
            false => self.dir.symlink_metadata(path)?,
        })
    }

    pub(crate) fn set_times(
        &self,
        path: &Path,
        follow: bool,
        accessed: Option<SystemTimeSpec>,
        modified: Option<SystemTimeSpec>,
    ) -> Result<(), Errno> {
        let dir = self.changeable()?;
        match follow {
            true => dir.set_times(path, accessed, modified)?,
            false => dir.set_symlink_times(path, accessed, modified)?,
        }
        Ok(())
    }

    /// Has the system write down what is in it. It was opened for looking things up alone.
    pub(crate) fn sync(&self) -> Result<(), Errno> {
        let mut options = OpenOptions::new();
        let dir = self
            .dir
            .open_with(".", options.read(true).maybe_dir(true))?;
        Ok(dir.sync_all()?)
    }

    /// The listing that stands before the entry of this number, if it is there; else one
    /// from the beginning.
    pub(crate) fn take_listing(&mut self, position: u64) -> Result<Listing, Errno> {
        match self.listing.take() {
            Some(listing) if listing.position() <= position => Ok(listing),
            _ => Listing::new(&self.dir),
        }
    }

    /// Keeps it for the next part.
    pub(crate) fn keep_listing(&mut self, listing: Listing) {
        self.listing = Some(listing);
    }
}
