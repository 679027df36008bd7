//! What a guest does with a descriptor as such.

use super::answer::{Done, store};
use crate::files::{Descriptor, Errno};
use crate::imports::state::Env;

pub(super) fn fd_close(env: &mut Env<'_>, fd: u32) -> Done {
    Ok(env.data_mut().descriptors.close(fd)?)
}

pub(super) fn fd_renumber(env: &mut Env<'_>, from: u32, to: u32) -> Done {
    Ok(env.data_mut().descriptors.renumber(from, to)?)
}

/// By what name the guest was given a directory.
fn given_name<'a>(env: &'a Env<'_>, fd: u32) -> Result<&'a str, Errno> {
    match env.data().descriptors.get(fd)? {
        Descriptor::Directory(directory) => directory.name().ok_or(Errno::BADF),
        _ => Err(Errno::BADF),
    }
}

/// A `prestat`: what it is, a directory, and the length of its name.
pub(super) fn fd_prestat_get(env: &mut Env<'_>, fd: u32, to: u32) -> Done {
    let len = given_name(env, fd)?.len() as u32;
    let mut stat = [0; 8];
    stat[4..].copy_from_slice(&len.to_le_bytes());
    Ok(store(env, to, &stat)?)
}

pub(super) fn fd_prestat_dir_name(env: &mut Env<'_>, fd: u32, to: u32, len: u32) -> Done {
    let name = given_name(env, fd)?.as_bytes();
    if name.len() > len as usize {
        return Err(Errno::NAMETOOLONG.into());
    }
    Ok(store(env, to, name)?)
}

pub(super) fn fd_sync(env: &mut Env<'_>, fd: u32) -> Done {
    match env.data().descriptors.get(fd)? {
        Descriptor::File(file) => Ok(file.file().sync_all()?),
        Descriptor::Directory(directory) => Ok(directory.sync()?),
        Descriptor::Stream(_) => Err(Errno::INVAL.into()),
    }
}

pub(super) fn fd_datasync(env: &mut Env<'_>, fd: u32) -> Done {
    match env.data().descriptors.get(fd)? {
        Descriptor::File(file) => Ok(file.file().sync_data()?),
        Descriptor::Directory(directory) => Ok(directory.sync()?),
        Descriptor::Stream(_) => Err(Errno::INVAL.into()),
    }
}

/// Advice is taken note of, and nothing is done.
pub(super) fn fd_advise(env: &mut Env<'_>, fd: u32, _from: u64, _len: u64, advice: u32) -> Done {
    const MOST: u32 = 5;
    match env.data().descriptors.get(fd)? {
        Descriptor::File(_) if advice <= MOST => Ok(()),
        Descriptor::File(_) => Err(Errno::INVAL.into()),
        Descriptor::Stream(_) => Err(Errno::SPIPE.into()),
        Descriptor::Directory(_) => Err(Errno::BADF.into()),
    }
}
