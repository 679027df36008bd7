//! How a guest opens files and directories.

use super::descriptors::Descriptor;
use super::directory::Directory;
use super::errno::Errno;
use super::file::{APPEND, DSYNC, NONBLOCK, OpenFile, RSYNC, SYNC};
use cap_fs_ext::{
    DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsMaybeDirExt, OpenOptionsSyncExt,
};
use cap_std::fs::{Dir, Metadata, OpenOptions};
use std::path::Path;

/// How something is to be opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    /// Whether a symbolic link at the path's end is followed.
    pub(crate) follow: bool,
    pub(crate) create: bool,
    pub(crate) directory: bool,
    /// Whether it must not be there before.
    pub(crate) exclusive: bool,
    pub(crate) truncate: bool,
    pub(crate) read: bool,
    pub(crate) write: bool,
    /// As WASI has them.
    pub(crate) flags: u16,
}

impl Directory {
    /// Opens a regular file or a directory, and nothing else: a pipe or a device may let
    /// the guest wait for longer than its deadline, and a device does something when it is
    /// opened.
    pub(crate) fn open(&self, path: &Path, opening: Opening) -> Result<Descriptor, Errno> {
        if opening.flags & !(APPEND | DSYNC | NONBLOCK | RSYNC | SYNC) != 0 {
            return Err(Errno::INVAL);
        }
        let changes = opening.create || opening.truncate || opening.write;
        if opening.directory && (opening.create || opening.truncate || opening.exclusive) {
            return Err(Errno::INVAL);
        }
        let dir = match changes {
            true => self.changeable()?,
            false => &self.dir,
        };
        // What is not there may be made.
        let found = self.metadata(path, opening.follow);
        let found = found.ok();
        if let Some(found) = &found {
            if opening.create && opening.exclusive {
                return Err(Errno::EXIST);
            }
            check_type(found)?;
        }
        if opening.directory || found.is_some_and(|found| found.is_dir()) {
            return match changes {
                true => Err(Errno::ISDIR),
                false => self.open_directory(path, opening.follow),
            };
        }
        self.open_file(dir, path, opening)
    }

    fn open_directory(&self, path: &Path, follow: bool) -> Result<Descriptor, Errno> {
        let dir = match follow {
            true => self.dir.open_dir(path)?,
            false => self.dir.open_dir_nofollow(path)?,
        };
        let opened = Directory::opened(dir, self.access);
        Ok(Descriptor::Directory(opened))
    }

    fn open_file(&self, dir: &Dir, path: &Path, opening: Opening) -> Result<Descriptor, Errno> {
        let mut options = OpenOptions::new();
        let follow = match opening.follow {
            true => FollowSymlinks::Yes,
            false => FollowSymlinks::No,
        };
        options
            .read(opening.read || !opening.write)
            // The system makes and truncates what is opened for writing.
            .write(opening.write || opening.create || opening.truncate)
            .create(opening.create)
            .create_new(opening.create && opening.exclusive)
            .truncate(opening.truncate)
            .follow(follow)
            .maybe_dir(true)
            .sync(opening.flags & SYNC != 0)
            .dsync(opening.flags & DSYNC != 0)
            .rsync(opening.flags & RSYNC != 0)
            // Should it have become a pipe meanwhile.
            .nonblock(true);
        let file = dir.open_with(path, &options)?.into_std();
        let found = Metadata::from_file(&file)?;
        check_type(&found)?;
        if found.is_dir() {
            // It has become one meanwhile.
            return Err(Errno::ISDIR);
        }
        let mut file = OpenFile {
            file,
            read: opening.read,
            write: opening.write,
            may_change: self.may_change(),
            flags: opening.flags & !APPEND,
        };
        if opening.flags & APPEND != 0 {
            file.set_flags(opening.flags)?;
        }
        Ok(Descriptor::File(file))
    }
}

fn check_type(found: &Metadata) -> Result<(), Errno> {
    match found {
        found if found.is_file() || found.is_dir() => Ok(()),
        // It was not to be followed.
        found if found.is_symlink() => Err(Errno::LOOP),
        _ => Err(Errno::NOTSUP),
    }
}
