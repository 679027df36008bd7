//! The first state of a module's memory.

use super::memory_file::memory_file;
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
        let file = memory_file(end - start)?;
        for (at, bytes) in filled() {
            file.write_all_at(bytes, (*at as usize - start) as u64)?;
        }
        seal(&file)?;
        Ok(Self {
            file,
            range: start..end,
            segments: u32::try_from(segments.len()).map_err(io::Error::other)?,
        })
    }

    /// Copies what is in the image of the bytes at `at` in the memory.
    #[cfg(target_os = "linux")]
    pub(super) fn read(&self, at: usize, to: &mut [u8]) -> io::Result<()> {
        let (start, end) = (
            at.max(self.range.start),
            (at + to.len()).min(self.range.end),
        );
        if start >= end {
            return Ok(());
        }
        let to = &mut to[start - at..end - at];
        self.file
            .read_exact_at(to, (start - self.range.start) as u64)
    }
}

/// Lets nobody write it any more.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn seal(file: &File) -> io::Result<()> {
    use rustix::fs::{SealFlags, fcntl_add_seals};
    fcntl_add_seals(file, SealFlags::WRITE | SealFlags::SEAL)?;
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn seal(_: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
