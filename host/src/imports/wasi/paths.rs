//! What a guest does with paths: each begins in a directory that it has open.

use super::answer::{Done, path, store};
use super::describe::{set_times, store_metadata};
use crate::files::{Errno, Opening};
use crate::imports::state::Env;
use std::os::unix::ffi::OsStrExt;

/// Whether a symbolic link at the path's end is followed, as WASI says it.
fn follows(flags: u32) -> Result<bool, Errno> {
    match flags {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Errno::INVAL),
    }
}

#[allow(clippy::too_many_arguments, reason = "they are WASI's")]
pub(super) fn path_open(
    env: &mut Env<'_>,
    fd: u32,
    lookup: u32,
    at: u32,
    len: u32,
    how: u32,
    rights: u64,
    _inherited: u64,
    flags: u32,
    to: u32,
) -> Done {
    const READ: u64 = 1 << 1;
    const WRITE: u64 = 1 << 6;
    if how > 0b1111 {
        return Err(Errno::INVAL.into());
    }
    let opening = Opening {
        follow: follows(lookup)?,
        create: how & 1 != 0,
        directory: how & 2 != 0,
        exclusive: how & 4 != 0,
        truncate: how & 8 != 0,
        read: rights & READ != 0,
        write: rights & WRITE != 0,
        flags: u16::try_from(flags).map_err(|_| Errno::INVAL)?,
    };
    let path = path(env, at, len)?;
    let descriptors = &env.data().descriptors;
    let directory = descriptors.directory(fd)?;
    let free = descriptors.free()?;
    // So that nothing is made that the guest does not get.
    store(env, to, &free.to_le_bytes())?;
    let opened = directory.open(&path, opening)?;
    env.data_mut().descriptors.put(free, opened);
    Ok(())
}

pub(super) fn path_create_directory(env: &mut Env<'_>, fd: u32, at: u32, len: u32) -> Done {
    let path = path(env, at, len)?;
    let directory = env.data().descriptors.directory(fd)?;
    Ok(directory.changeable()?.create_dir(path)?)
}

pub(super) fn path_remove_directory(env: &mut Env<'_>, fd: u32, at: u32, len: u32) -> Done {
    let path = path(env, at, len)?;
    let directory = env.data().descriptors.directory(fd)?;
    Ok(directory.changeable()?.remove_dir(path)?)
}

pub(super) fn path_unlink_file(env: &mut Env<'_>, fd: u32, at: u32, len: u32) -> Done {
    let path = path(env, at, len)?;
    let directory = env.data().descriptors.directory(fd)?;
    Ok(directory.changeable()?.remove_file(path)?)
}

pub(super) fn path_rename(
    env: &mut Env<'_>,
    fd: u32,
    at: u32,
    len: u32,
    new_fd: u32,
    new_at: u32,
    new_len: u32,
) -> Done {
    let [from, to] = [path(env, at, len)?, path(env, new_at, new_len)?];
    let descriptors = &env.data().descriptors;
    let old = descriptors.directory(fd)?.changeable()?;
    let new = descriptors.directory(new_fd)?.changeable()?;
    Ok(old.rename(from, new, to)?)
}

/// What is linked to can be written through the link, so both directories have to be
/// writable.
#[allow(clippy::too_many_arguments, reason = "they are WASI's")]
pub(super) fn path_link(
    env: &mut Env<'_>,
    fd: u32,
    lookup: u32,
    at: u32,
    len: u32,
    new_fd: u32,
    new_at: u32,
    new_len: u32,
) -> Done {
    let [from, to] = [path(env, at, len)?, path(env, new_at, new_len)?];
    if follows(lookup)? {
        return Err(Errno::NOTSUP.into());
    }
    let descriptors = &env.data().descriptors;
    let old = descriptors.directory(fd)?.changeable()?;
    let new = descriptors.directory(new_fd)?.changeable()?;
    Ok(old.hard_link(from, new, to)?)
}

pub(super) fn path_symlink(
    env: &mut Env<'_>,
    at: u32,
    len: u32,
    fd: u32,
    new_at: u32,
    new_len: u32,
) -> Done {
    let [to, link] = [path(env, at, len)?, path(env, new_at, new_len)?];
    let directory = env.data().descriptors.directory(fd)?;
    Ok(directory.changeable()?.symlink(to, link)?)
}

/// What a link says, as far as there is room.
pub(super) fn path_readlink(
    env: &mut Env<'_>,
    fd: u32,
    at: u32,
    len: u32,
    to: u32,
    room: u32,
    used: u32,
) -> Done {
    let path = path(env, at, len)?;
    let link = env
        .data()
        .descriptors
        .directory(fd)?
        .dir()
        .read_link(path)?;
    let link = link.as_os_str().as_bytes();
    let fits = &link[..link.len().min(room as usize)];
    store(env, to, fits)?;
    Ok(store(env, used, &(fits.len() as u32).to_le_bytes())?)
}

pub(super) fn path_filestat_get(
    env: &mut Env<'_>,
    fd: u32,
    lookup: u32,
    at: u32,
    len: u32,
    to: u32,
) -> Done {
    let path = path(env, at, len)?;
    let directory = env.data().descriptors.directory(fd)?;
    let metadata = directory.metadata(&path, follows(lookup)?)?;
    store_metadata(env, &metadata, to)
}

#[allow(clippy::too_many_arguments, reason = "they are WASI's")]
pub(super) fn path_filestat_set_times(
    env: &mut Env<'_>,
    fd: u32,
    lookup: u32,
    at: u32,
    len: u32,
    accessed: u64,
    modified: u64,
    flags: u32,
) -> Done {
    let path = path(env, at, len)?;
    let directory = env.data().descriptors.directory(fd)?;
    set_times(
        directory,
        &path,
        follows(lookup)?,
        accessed,
        modified,
        flags,
    )
}
