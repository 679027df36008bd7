//! What is in a directory, piece by piece.

use super::errno::Errno;
use cap_fs_ext::{FileTypeExt, MetadataExt};
use cap_std::fs::{FileType, ReadDir};
use rustix::fs::DirEntryExt as _;
use std::ffi::OsString;

/// An entry of a directory.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    pub(crate) inode: u64,
    /// As WASI has it.
    pub(crate) file_type: u8,
}

/// The entries of a directory: `.`, `..`, and then those that there are, in the system's
/// order. Of a directory however large, one entry at a time is in memory, besides what
/// the system reads ahead.
pub(crate) struct Listing {
    entries: ReadDir,
    inode: u64,
    /// How many entries came before.
    position: u64,
    /// The one that was given back.
    given_back: Option<Entry>,
}

impl std::fmt::Debug for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listing")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl Listing {
    /// From the beginning.
    pub(super) fn new(dir: &cap_std::fs::Dir) -> Result<Self, Errno> {
        Ok(Self {
            entries: dir.entries()?,
            inode: dir.dir_metadata()?.ino(),
            position: 0,
            given_back: None,
        })
    }

    /// How many entries came before the next.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn next(&mut self) -> Result<Option<Entry>, Errno> {
        let entry = match (self.given_back.take(), self.position) {
            (Some(entry), _) => Some(entry),
            (None, 0) => Some(self.directory(".")),
            // Whoever may not leave it sees no other inode.
            (None, 1) => Some(self.directory("..")),
            _ => self.entries.next().transpose()?.map(|entry| Entry {
                name: entry.file_name(),
                inode: entry.ino(),
                file_type: entry.file_type().map_or(0, file_type),
            }),
        };
        self.position += u64::from(entry.is_some());
        Ok(entry)
    }

    /// Takes back the entry that [`next`](Self::next) has just given.
    pub(crate) fn give_back(&mut self, entry: Entry) {
        self.given_back = Some(entry);
        self.position -= 1;
    }

    fn directory(&self, name: &str) -> Entry {
        Entry {
            name: name.into(),
            inode: self.inode,
            file_type: DIRECTORY,
        }
    }
}

const DIRECTORY: u8 = 3;

/// The type of a file as WASI has it; 0 for those that it does not know, such as pipes.
pub(crate) fn file_type(of: FileType) -> u8 {
    match of {
        of if of.is_block_device() => 1,
        of if of.is_char_device() => 2,
        of if of.is_dir() => DIRECTORY,
        of if of.is_file() => 4,
        of if of.is_socket() => 6,
        of if of.is_symlink() => 7,
        _ => 0,
    }
}
