//! What a guest learns and changes about what it has open.

use super::answer::{Done, store};
use crate::files::{Descriptor, Directory, Errno, OpenFile, Stream, file_type};
use crate::imports::state::Env;
use cap_fs_ext::{MetadataExt, SystemTimeSpec};
use cap_std::fs::{Metadata, MetadataExt as _};
use cap_std::time::SystemTime;
use std::fs::FileTimes;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

const CHARACTER_DEVICE: u8 = 2;
const DIRECTORY: u8 = 3;
const REGULAR_FILE: u8 = 4;

/// Rights as WASI's `typenames.witx` has them, which libc asks for.
mod rights {
    pub(super) const READ: u64 = 1 << 1;
    pub(super) const WRITE: u64 = 1 << 6;
    /// `fd_datasync`, `fd_allocate`, `fd_filestat_set_size`.
    pub(super) const OF_WRITERS: u64 = 1 | WRITE | 1 << 8 | 1 << 22;
    /// `fd_seek`, flags, sync, tell, advice, attributes, polling.
    pub(super) const OF_FILES: u64 = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 21 | 1 << 27;
    pub(super) const SET_TIMES: u64 = 1 << 23;
    /// Opening, reading, links, attributes of paths.
    pub(super) const OF_DIRECTORIES: u64 =
        1 << 3 | 1 << 4 | 1 << 13 | 1 << 14 | 1 << 15 | 1 << 18 | 1 << 21;
    /// Making, linking, renaming, removing.
    pub(super) const OF_CHANGERS: u64 = 1
        | 1 << 9
        | 1 << 10
        | 1 << 11
        | 1 << 12
        | 1 << 16
        | 1 << 17
        | 1 << 19
        | 1 << 20
        | 1 << 24
        | 1 << 25
        | 1 << 26
        | SET_TIMES;
    /// What is opened in a directory may ask for all: it is told what it may not.
    pub(super) const ALL: u64 = (1 << 30) - 1;
    pub(super) const POLL: u64 = 1 << 27;
}

pub(super) fn fd_fdstat_get(env: &mut Env<'_>, fd: u32, to: u32) -> Done {
    let (file_type, flags, rights, inherited) = match env.data().descriptors.get(fd)? {
        Descriptor::Stream(Stream::In) => (CHARACTER_DEVICE, 0, rights::READ | rights::POLL, 0),
        Descriptor::Stream(_) => (CHARACTER_DEVICE, 0, rights::WRITE | rights::POLL, 0),
        Descriptor::File(file) => (REGULAR_FILE, file.flags(), rights_of(file), 0),
        Descriptor::Directory(directory) => {
            let changes = match directory.may_change() {
                true => rights::OF_CHANGERS,
                false => 0,
            };
            let rights = rights::OF_DIRECTORIES | changes;
            (DIRECTORY, 0, rights, rights::ALL)
        }
    };
    let mut stat = [0; 24];
    stat[0] = file_type;
    stat[2..4].copy_from_slice(&flags.to_le_bytes());
    stat[8..16].copy_from_slice(&rights.to_le_bytes());
    stat[16..].copy_from_slice(&inherited.to_le_bytes());
    Ok(store(env, to, &stat)?)
}

fn rights_of(file: &OpenFile) -> u64 {
    let reads = u64::from(file.reads()) * rights::READ;
    let writes = u64::from(file.writes()) * (rights::OF_WRITERS | rights::SET_TIMES);
    rights::OF_FILES | reads | writes
}

pub(super) fn fd_fdstat_set_flags(env: &mut Env<'_>, fd: u32, flags: u32) -> Done {
    let flags = u16::try_from(flags).map_err(|_| Errno::INVAL)?;
    match env.data_mut().descriptors.get_mut(fd)? {
        Descriptor::File(file) => Ok(file.set_flags(flags)?),
        Descriptor::Stream(_) => Err(Errno::NOTSUP.into()),
        Descriptor::Directory(_) => Err(Errno::BADF.into()),
    }
}

pub(super) fn fd_filestat_get(env: &mut Env<'_>, fd: u32, to: u32) -> Done {
    let metadata = match env.data().descriptors.get(fd)? {
        Descriptor::Stream(_) => {
            let mut stat = [0; 64];
            stat[16] = CHARACTER_DEVICE;
            return Ok(store(env, to, &stat)?);
        }
        Descriptor::File(file) => Metadata::from_file(file.file())?,
        Descriptor::Directory(directory) => directory.dir().dir_metadata()?,
    };
    store_metadata(env, &metadata, to)
}

/// A `filestat`.
pub(super) fn store_metadata(env: &Env<'_>, metadata: &Metadata, to: u32) -> Done {
    // Before 1970 there is nothing in WASI.
    let time = |seconds: i64, nanos: i64| {
        let seconds = u64::try_from(seconds).unwrap_or(0);
        let nanos = u64::try_from(nanos).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
    };
    let words = [
        MetadataExt::dev(metadata),
        MetadataExt::ino(metadata),
        file_type(metadata.file_type()).into(),
        MetadataExt::nlink(metadata),
        metadata.len(),
        time(metadata.atime(), metadata.atime_nsec()),
        time(metadata.mtime(), metadata.mtime_nsec()),
        time(metadata.ctime(), metadata.ctime_nsec()),
    ];
    Ok(store(env, to, words.map(u64::to_le_bytes).as_flattened())?)
}

pub(super) fn fd_filestat_set_size(env: &mut Env<'_>, fd: u32, size: u64) -> Done {
    match env.data().descriptors.get(fd)? {
        Descriptor::File(file) => Ok(file.set_len(size)?),
        _ => Err(Errno::BADF.into()),
    }
}

/// A time to set, or to leave as it is.
#[derive(Clone, Copy)]
enum Time {
    Kept,
    Now,
    At(std::time::SystemTime),
}

/// Times of access and modification, from what the guest asks for.
fn times(accessed: u64, modified: u64, flags: u32) -> Result<[Time; 2], Errno> {
    if flags > 0b1111 {
        return Err(Errno::INVAL);
    }
    let time = |nanos: u64, flags: u32| match flags & 0b11 {
        0 => Ok(Time::Kept),
        1 => Ok(Time::At(UNIX_EPOCH + Duration::from_nanos(nanos))),
        2 => Ok(Time::Now),
        _ => Err(Errno::INVAL),
    };
    Ok([time(accessed, flags)?, time(modified, flags >> 2)?])
}

pub(super) fn fd_filestat_set_times(
    env: &mut Env<'_>,
    fd: u32,
    accessed: u64,
    modified: u64,
    flags: u32,
) -> Done {
    let [accessed, modified] = times(accessed, modified, flags)?;
    match env.data().descriptors.get(fd)? {
        Descriptor::File(file) => {
            let mut set = FileTimes::new();
            let time = |time| match time {
                Time::Kept => None,
                Time::Now => Some(std::time::SystemTime::now()),
                Time::At(time) => Some(time),
            };
            if let Some(time) = time(accessed) {
                set = set.set_accessed(time);
            }
            if let Some(time) = time(modified) {
                set = set.set_modified(time);
            }
            Ok(file.set_times(set)?)
        }
        Descriptor::Directory(directory) => {
            set_path_times(directory, Path::new("."), true, [accessed, modified])
        }
        Descriptor::Stream(_) => Err(Errno::BADF.into()),
    }
}

/// The same for a path.
pub(super) fn set_times(
    directory: &Directory,
    path: &Path,
    follow: bool,
    accessed: u64,
    modified: u64,
    flags: u32,
) -> Done {
    set_path_times(directory, path, follow, times(accessed, modified, flags)?)
}

fn set_path_times(directory: &Directory, path: &Path, follow: bool, times: [Time; 2]) -> Done {
    let [accessed, modified] = times.map(|time| match time {
        Time::Kept => None,
        Time::Now => Some(SystemTimeSpec::SymbolicNow),
        Time::At(time) => Some(SystemTimeSpec::Absolute(SystemTime::from_std(time))),
    });
    Ok(directory.set_times(path, follow, accessed, modified)?)
}
