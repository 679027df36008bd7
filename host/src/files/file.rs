//! Files that a guest has open.

use super::errno::Errno;
use rustix::fs::OFlags;
use std::fs::{File, FileTimes};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

/// A regular file that a guest has open.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(super) file: File,
    pub(super) read: bool,
    pub(super) write: bool,
    /// Whether it is in a directory that the guest may change.
    pub(super) may_change: bool,
    /// Flags as WASI has them.
    pub(super) flags: u16,
}

/// Flags of a descriptor, as WASI has them.
pub(super) const APPEND: u16 = 1;
pub(super) const DSYNC: u16 = 1 << 1;
pub(super) const NONBLOCK: u16 = 1 << 2;
pub(super) const RSYNC: u16 = 1 << 3;
pub(super) const SYNC: u16 = 1 << 4;

impl OpenFile {
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn reads(&self) -> bool {
        self.read
    }

    pub(crate) fn writes(&self) -> bool {
        self.write
    }

    pub(crate) fn flags(&self) -> u16 {
        self.flags
    }

    /// Sets [`APPEND`] and [`NONBLOCK`]; the others cannot change.
    pub(crate) fn set_flags(&mut self, flags: u16) -> Result<(), Errno> {
        if (flags ^ self.flags) & !(APPEND | NONBLOCK) != 0 {
            return Err(Errno::NOTSUP);
        }
        let mut system = rustix::fs::fcntl_getfl(&self.file).map_err(std::io::Error::from)?;
        system.set(OFlags::APPEND, flags & APPEND != 0);
        rustix::fs::fcntl_setfl(&self.file, system).map_err(std::io::Error::from)?;
        self.flags = flags;
        Ok(())
    }

    /// Reads from where it is, or from `offset` on.
    pub(crate) fn read(&self, to: &mut [u8], offset: Option<u64>) -> Result<usize, Errno> {
        if !self.read {
            return Err(Errno::BADF);
        }
        uninterrupted(|| match offset {
            Some(offset) => self.file.read_at(to, offset),
            None => (&self.file).read(to),
        })
    }

    /// Writes where it is, or from `offset` on.
    pub(crate) fn write(&self, from: &[u8], offset: Option<u64>) -> Result<usize, Errno> {
        if !self.write {
            return Err(Errno::BADF);
        }
        uninterrupted(|| match offset {
            Some(offset) => self.file.write_at(from, offset),
            None => (&self.file).write(from),
        })
    }

    pub(crate) fn seek(&self, to: SeekFrom) -> Result<u64, Errno> {
        Ok((&self.file).seek(to)?)
    }

    pub(crate) fn set_len(&self, len: u64) -> Result<(), Errno> {
        if !self.write {
            return Err(Errno::BADF);
        }
        Ok(self.file.set_len(len)?)
    }

    pub(crate) fn set_times(&self, times: FileTimes) -> Result<(), Errno> {
        if !self.may_change {
            return Err(Errno::ROFS);
        }
        Ok(self.file.set_times(times)?)
    }
}

/// Does it again when a signal came between.
fn uninterrupted(mut work: impl FnMut() -> std::io::Result<usize>) -> Result<usize, Errno> {
    loop {
        match work() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            done => return Ok(done?),
        }
    }
}
