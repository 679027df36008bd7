//! What WASI's functions answer, and what they do with a guest's memory.

use crate::files::{Errno, LONGEST_PATH};
use crate::imports::state::Env;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use wasmer::RuntimeError;

/// Why a function did not do what it is for.
pub(super) enum Failure {
    /// The guest is told.
    Errno(Errno),
    /// The guest ends.
    End(RuntimeError),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Errno(error.into())
    }
}

impl From<RuntimeError> for Failure {
    fn from(end: RuntimeError) -> Self {
        Self::End(end)
    }
}

pub(super) type Done<T = ()> = Result<T, Failure>;

/// What the guest gets as the function's result.
pub(super) fn answer(done: Done) -> Result<i32, RuntimeError> {
    match done {
        Ok(()) => Ok(0),
        Err(Failure::Errno(errno)) => Ok(errno.number().into()),
        Err(Failure::End(end)) => Err(end),
    }
}

pub(super) fn store(env: &Env<'_>, at: u32, bytes: &[u8]) -> Result<(), Errno> {
    env.data().write(at, bytes).map_err(|_| Errno::FAULT)
}

pub(super) fn load<const N: usize>(env: &Env<'_>, at: u32) -> Result<[u8; N], Errno> {
    let mut bytes = [0; N];
    let read = env.data().read(at, &mut bytes);
    read.map_err(|_| Errno::FAULT)?;
    Ok(bytes)
}

/// A path in the guest's memory.
pub(super) fn path(env: &Env<'_>, at: u32, len: u32) -> Result<PathBuf, Errno> {
    if len as usize > LONGEST_PATH {
        return Err(Errno::NAMETOOLONG);
    }
    let mut bytes = vec![0; len as usize];
    let read = env.data().read(at, &mut bytes);
    read.map_err(|_| Errno::FAULT)?;
    Ok(OsString::from_vec(bytes).into())
}
