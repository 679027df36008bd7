//! The first state of a module's memory.

use super::pages::{page_size, whole_pages};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// What the data segments of a module make of its memory: a file in memory that nobody can
/// write. Instances share its pages, each until it writes there.
#[derive(Debug)]
pub(crate) struct Image {
    pub(super) file: File,
    /// Where in the memory its pages are.
    pub(super) range: Range<usize>,
    /// How many segments are in it.
    pub(super) segments: u32,
}

impl Image {
    /// From a module's active segments, each with its address, in the module's order.
    pub(crate) fn new(segments: &[(u32, &[u8])]) -> io::Result<Self> {
        let filled = || segments.iter().filter(|(_, bytes)| !bytes.is_empty());
        let starts = filled().map(|(at, _)| *at as usize);
        let ends = filled().map(|(at, bytes)| *at as usize + bytes.len());
        let start = starts.min().unwrap_or(0) / page_size() * page_size();
        let end = whole_pages(ends.max().unwrap_or(0));
        let file = sealed(end - start, |file| {
            filled()
                .try_for_each(|(at, bytes)| file.write_all_at(bytes, (*at as usize - start) as u64))
        })?;
        Ok(Self {
            file,
            range: start..end,
            segments: u32::try_from(segments.len()).map_err(io::Error::other)?,
        })
    }
}

/// A file in memory, which is written once.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn sealed(len: usize, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<File> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(memfd_create("genkan-image", flags)?);
    file.set_len(len as u64)?;
    write(&file)?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(&file, seals)?;
    Ok(file)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn sealed(_: usize, _: impl FnOnce(&File) -> io::Result<()>) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}
