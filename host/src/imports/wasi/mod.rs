//! WASI preview 1: what a guest needs which reads and prints, asks for its arguments, the
//! time or a random seed, sleeps, exits, and uses the directories that it was given. There
//! is no network: every other function answers that it is not there.

mod answer;
mod clock;
mod describe;
mod descriptors;
mod paths;
mod poll;
mod process;
mod read_dir;
mod transfer;

use super::state::{Env, State};
use crate::files::Errno;
use answer::answer;
use wasmer::{Function, FunctionEnv, FunctionType, Store, Type, Value};

/// The module that guests import them from.
pub(super) const MODULE: &str = "wasi_snapshot_preview1";

macro_rules! functions {
    ($($fuel:literal: $file:ident::$name:ident($($param:ident: $ty:ty),*);)*) => {
        /// The names of those that are there.
        const NAMES: &[&str] = &["proc_exit", $(stringify!($name)),*];

        /// The function of this name, if it is there.
        fn present(store: &mut Store, env: &FunctionEnv<State>, name: &str) -> Option<Function> {
            Some(match name {
                "proc_exit" => Function::new_typed_with_env(store, env, process::proc_exit),
                $(stringify!($name) => Function::new_typed_with_env(
                    store,
                    env,
                    |mut env: Env<'_>, $($param: $ty),*| {
                        env.data().spend($fuel)?;
                        answer($file::$name(&mut env, $($param),*))
                    },
                ),)*
                _ => return None,
            })
        }
    };
}

// How much fuel each costs besides what it does for bytes: what the system has to do takes
// as long as so many instructions, about.
functions! {
    100: transfer::fd_read(fd: u32, parts: u32, count: u32, read: u32);
    100: transfer::fd_write(fd: u32, parts: u32, count: u32, written: u32);
    100: transfer::fd_pread(fd: u32, parts: u32, count: u32, offset: u64, read: u32);
    100: transfer::fd_pwrite(fd: u32, parts: u32, count: u32, offset: u64, written: u32);
    100: transfer::fd_seek(fd: u32, offset: i64, whence: u32, to: u32);
    100: transfer::fd_tell(fd: u32, to: u32);
    0: descriptors::fd_close(fd: u32);
    0: descriptors::fd_renumber(from: u32, to: u32);
    0: descriptors::fd_prestat_get(fd: u32, to: u32);
    0: descriptors::fd_prestat_dir_name(fd: u32, to: u32, len: u32);
    100_000: descriptors::fd_sync(fd: u32);
    100_000: descriptors::fd_datasync(fd: u32);
    0: descriptors::fd_advise(fd: u32, from: u64, len: u64, advice: u32);
    0: describe::fd_fdstat_get(fd: u32, to: u32);
    100: describe::fd_fdstat_set_flags(fd: u32, flags: u32);
    1000: describe::fd_filestat_get(fd: u32, to: u32);
    1000: describe::fd_filestat_set_size(fd: u32, size: u64);
    1000: describe::fd_filestat_set_times(fd: u32, accessed: u64, modified: u64, flags: u32);
    1000: read_dir::fd_readdir(fd: u32, to: u32, room: u32, cookie: u64, used: u32);
    1000: paths::path_open(fd: u32, lookup: u32, at: u32, len: u32, how: u32, rights: u64,
        inherited: u64, flags: u32, to: u32);
    1000: paths::path_create_directory(fd: u32, at: u32, len: u32);
    1000: paths::path_remove_directory(fd: u32, at: u32, len: u32);
    1000: paths::path_unlink_file(fd: u32, at: u32, len: u32);
    1000: paths::path_rename(fd: u32, at: u32, len: u32, new_fd: u32, new_at: u32, new_len: u32);
    1000: paths::path_link(fd: u32, lookup: u32, at: u32, len: u32, new_fd: u32, new_at: u32,
        new_len: u32);
    1000: paths::path_symlink(at: u32, len: u32, fd: u32, new_at: u32, new_len: u32);
    1000: paths::path_readlink(fd: u32, at: u32, len: u32, to: u32, room: u32, used: u32);
    1000: paths::path_filestat_get(fd: u32, lookup: u32, at: u32, len: u32, to: u32);
    1000: paths::path_filestat_set_times(fd: u32, lookup: u32, at: u32, len: u32, accessed: u64,
        modified: u64, flags: u32);
    0: process::args_sizes_get(count: u32, size: u32);
    0: process::args_get(pointers: u32, bytes: u32);
    0: process::environ_sizes_get(count: u32, size: u32);
    0: process::environ_get(pointers: u32, bytes: u32);
    0: process::random_get(to: u32, len: u32);
    0: process::sched_yield();
    0: clock::clock_time_get(clock: u32, precision: u64, to: u32);
    0: clock::clock_res_get(clock: u32, to: u32);
    0: poll::poll_oneoff(from: u32, to: u32, count: u32, events: u32);
}

/// The function of this name, for a guest that imports it with type `ty`: one that is not
/// there answers so.
pub(super) fn function(
    store: &mut Store,
    env: &FunctionEnv<State>,
    name: &str,
    ty: &FunctionType,
) -> Option<Function> {
    present(store, env, name).or_else(|| {
        let answer = absent(name);
        let answers = *ty.results() == [Type::I32];
        answers.then(|| Function::new(store, ty, move |_| Ok(vec![answer.clone()])))
    })
}

/// Whether the function of this name does more than answer that it is not there.
pub(super) fn is_present(name: &str) -> bool {
    NAMES.contains(&name)
}

/// What every other function answers: that no descriptor is one of its kind, that the file
/// system cannot do it, or that it is not there.
fn absent(name: &str) -> Value {
    let errno = match name {
        "fd_allocate" | "fd_fdstat_set_rights" => Errno::NOTSUP,
        name if name.starts_with("fd_") => Errno::BADF,
        _ => Errno::NOSYS,
    };
    Value::I32(errno.number().into())
}
