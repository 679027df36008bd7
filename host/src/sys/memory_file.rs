//! Files that are memory.

use std::fs::File;
use std::io;

/// A file in memory that keeps its length: touching a mapped page beyond a file's end is a
/// SIGBUS.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(super) fn memory_file(len: usize) -> io::Result<File> {
    use rustix::fs::{MemfdFlags, SealFlags};
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(rustix::fs::memfd_create("genkan", flags)?);
    file.set_len(len as u64)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW)?;
    Ok(file)
}

/// Where there are no memory files: a shared memory object without a name.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(super) fn memory_file(len: usize) -> io::Result<File> {
    use rustix::fs::Mode;
    use rustix::shm::OFlags;
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("/genkan-{}-{count}", std::process::id());
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
    let file = File::from(rustix::shm::open(&name, flags, Mode::RUSR | Mode::WUSR)?);
    rustix::shm::unlink(&name)?;
    file.set_len(len as u64)?;
    Ok(file)
}
