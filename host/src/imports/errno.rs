//! WASI's error numbers, and what its functions do with a guest's memory.

use super::state::Env;

pub(super) const SUCCESS: i32 = 0;
pub(super) const EBADF: i32 = 8;
pub(super) const EFAULT: i32 = 21;
pub(super) const EINVAL: i32 = 28;
pub(super) const EIO: i32 = 29;
pub(super) const ENOSPC: i32 = 51;
pub(super) const ENOSYS: i32 = 52;
pub(super) const EPIPE: i32 = 64;

pub(super) type Errno = Result<(), i32>;

pub(super) fn errno(result: Errno) -> i32 {
    result.err().unwrap_or(SUCCESS)
}

pub(super) fn store(env: &Env<'_>, at: u32, bytes: &[u8]) -> Errno {
    env.data().write(at, bytes).map_err(|_| EFAULT)
}

pub(super) fn load<const N: usize>(env: &Env<'_>, at: u32) -> Result<[u8; N], i32> {
    let mut bytes = [0; N];
    env.data().read(at, &mut bytes).map_err(|_| EFAULT)?;
    Ok(bytes)
}
