//! What a guest has open, by number.

use super::dir::Dir;
use super::directory::Directory;
use super::errno::Errno;
use super::file::OpenFile;

/// How many descriptors a guest may have besides the three streams and the directories
/// that it was given. Each is at most three of the process's.
const MOST: usize = 128;

/// A stream of the embedder's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    In,
    Out,
    Error,
}

/// What one descriptor stands for.
#[derive(Debug)]
pub(crate) enum Descriptor {
    Stream(Stream),
    File(OpenFile),
    Directory(Directory),
}

/// A guest's descriptors: 0 to 2 are its streams, from 3 on come the directories that it
/// was given, as libc expects it.
#[derive(Debug)]
pub(crate) struct Descriptors {
    open: Vec<Option<Descriptor>>,
    most: usize,
}

impl Descriptors {
    pub(crate) fn new(dirs: &[Dir]) -> Self {
        let streams = [Stream::In, Stream::Out, Stream::Error].map(Descriptor::Stream);
        let given = dirs
            .iter()
            .map(|dir| Descriptor::Directory(Directory::given(dir)));
        let open: Vec<_> = streams.into_iter().chain(given).map(Some).collect();
        let most = open.len() + MOST;
        Self { open, most }
    }

    /// # Errors
    /// [`Errno::BADF`] if it is not open, as for all that follow.
    pub(crate) fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        let descriptor = self.open.get(fd as usize).and_then(Option::as_ref);
        descriptor.ok_or(Errno::BADF)
    }

    pub(crate) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        let descriptor = self.open.get_mut(fd as usize).and_then(Option::as_mut);
        descriptor.ok_or(Errno::BADF)
    }

    /// # Errors
    /// [`Errno::NOTDIR`] if it is something else.
    pub(crate) fn directory(&self, fd: u32) -> Result<&Directory, Errno> {
        match self.get(fd)? {
            Descriptor::Directory(directory) => Ok(directory),
            _ => Err(Errno::NOTDIR),
        }
    }

    /// # Errors
    /// [`Errno::NOTDIR`] if it is something else.
    pub(crate) fn directory_mut(&mut self, fd: u32) -> Result<&mut Directory, Errno> {
        match self.get_mut(fd)? {
            Descriptor::Directory(directory) => Ok(directory),
            _ => Err(Errno::NOTDIR),
        }
    }

    /// The lowest number that is free.
    ///
    /// # Errors
    /// [`Errno::MFILE`] if the guest has as many as it may have.
    pub(crate) fn free(&self) -> Result<u32, Errno> {
        let hole = self.open.iter().position(Option::is_none);
        let free = hole.unwrap_or(self.open.len());
        if free < self.most {
            Ok(free as u32)
        } else {
            Err(Errno::MFILE)
        }
    }

    /// Opens it under a number that is [free](Self::free).
    pub(crate) fn put(&mut self, fd: u32, descriptor: Descriptor) {
        let at = fd as usize;
        if at == self.open.len() {
            self.open.push(Some(descriptor));
        } else {
            self.open[at] = Some(descriptor);
        }
    }

    pub(crate) fn close(&mut self, fd: u32) -> Result<(), Errno> {
        self.get(fd)?;
        self.open[fd as usize] = None;
        Ok(())
    }

    /// Closes `to`, and opens there what was `from`; both have to be open.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        self.get(from)?;
        self.get(to)?;
        let moved = self.open[from as usize].take();
        self.open[to as usize] = moved;
        Ok(())
    }
}
