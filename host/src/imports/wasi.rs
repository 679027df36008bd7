//! The few functions of WASI preview 1 that a guest needs which reads and prints, asks for
//! its arguments, the time or a random seed, sleeps, and exits. There are no files and no
//! network: every other function answers that it is not there.

use super::ending::ended;
use super::errno::{
    EBADF, EFAULT, EINVAL, EIO, ENOSPC, ENOSYS, EPIPE, Errno, SUCCESS, errno, load, store,
};
use super::state::{Env, State};
use super::{clock, poll};
use crate::backtrace::Trace;
use crate::types::Error;
use std::io::Write;
use wasmer::{Function, FunctionEnv, FunctionType, RuntimeError, Store, Type, Value};

/// The module that guests import them from.
pub(super) const MODULE: &str = "wasi_snapshot_preview1";

/// How many parts a call may write, as Linux has it; and how many bytes, or ask for:
/// no call keeps the host busy for long.
const MOST_PARTS: u32 = 1024;
const MOST_BYTES: u32 = 1 << 20;

macro_rules! functions {
    ($($name:ident = $function:path;)*) => {
        /// The names of those that are there.
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        /// The function of this name, if it is there.
        fn present(store: &mut Store, env: &FunctionEnv<State>, name: &str) -> Option<Function> {
            match name {
                $(stringify!($name) => Some(Function::new_typed_with_env(store, env, $function)),)*
                _ => None,
            }
        }
    };
}

functions! {
    fd_read = fd_read;
    fd_write = fd_write;
    fd_fdstat_get = fd_fdstat_get;
    args_sizes_get = args_sizes_get;
    args_get = args_get;
    environ_sizes_get = environ_sizes_get;
    environ_get = environ_get;
    clock_time_get = clock::clock_time_get;
    clock_res_get = clock::clock_res_get;
    poll_oneoff = poll::poll_oneoff;
    random_get = random_get;
    sched_yield = sched_yield;
    proc_exit = proc_exit;
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

fn proc_exit(_: Env<'_>, code: i32) -> Result<(), RuntimeError> {
    Err(ended(Error::Exit {
        code,
        trace: Trace::default(),
    }))
}

/// Nothing: a guest has no other thread, and one that yields again and again to busy
/// neighbours would take minutes for little fuel.
fn sched_yield(_: Env<'_>) -> i32 {
    SUCCESS
}

/// How many bytes are read or written at once.
const PIECE: u32 = 64 << 10;

/// Into the first part that has room: as much as there is, up to a piece. So one that blocks
/// does so only when there is nothing.
fn fd_read(
    mut env: Env<'_>,
    fd: i32,
    parts: u32,
    count: u32,
    read: u32,
) -> Result<i32, RuntimeError> {
    if fd != 0 {
        return Ok(EBADF);
    }
    if count > MOST_PARTS {
        return Ok(EINVAL);
    }
    let mut got = 0;
    for part in 0..count {
        let (start, len) = match part_of(&env, parts, part) {
            Ok(part) => part,
            Err(errno) => return Ok(errno),
        };
        env.data().spend(1)?;
        if len == 0 {
            continue;
        }
        let mut buffer = vec![0; len.min(PIECE) as usize];
        env.data().charge_bytes(buffer.len()).map_err(ended)?;
        got = match read_once(&mut env, &mut buffer) {
            Ok(got) => got,
            Err(errno) => return Ok(errno),
        };
        // It may have waited for long.
        env.data().spend(0)?;
        if store(&env, start, &buffer[..got]).is_err() {
            return Ok(EFAULT);
        }
        break;
    }
    Ok(errno(store(&env, read, &(got as u32).to_le_bytes())))
}

fn read_once(env: &mut Env<'_>, buffer: &mut [u8]) -> Result<usize, i32> {
    let stdin = &mut env.data_mut().given.wasi.stdin;
    loop {
        match stdin.read(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // What claims more than there is room for is the embedder's mistake.
            read => return read.map(|got| got.min(buffer.len())).map_err(io_errno),
        }
    }
}

/// A list's entries or the bytes of them, in pieces which are worth a look at whether
/// the guest may go on.
fn fd_write(
    mut env: Env<'_>,
    fd: i32,
    parts: u32,
    count: u32,
    written: u32,
) -> Result<i32, RuntimeError> {
    if !matches!(fd, 1 | 2) {
        return Ok(EBADF);
    }
    if count > MOST_PARTS {
        return Ok(EINVAL);
    }
    let mut total = 0u32;
    let mut buffer = Vec::new();
    for part in 0..count {
        let (start, len) = match part_of(&env, parts, part) {
            Ok(part) => part,
            Err(errno) => return Ok(errno),
        };
        env.data().spend(1)?;
        // The rest is for another call.
        let len = len.min(MOST_BYTES - total);
        total += len;
        for done in (0..len).step_by(PIECE as usize) {
            let piece = (len - done).min(PIECE);
            env.data().charge_bytes(piece as usize).map_err(ended)?;
            buffer.resize(piece as usize, 0);
            if let Err(errno) = write_piece(&mut env, fd, start, done, &mut buffer) {
                return Ok(errno);
            }
        }
    }
    let flushed = stream(&mut env, fd).flush().map_err(io_errno);
    Ok(errno(
        flushed.and_then(|()| store(&env, written, &total.to_le_bytes())),
    ))
}

/// Address and length of one of the parts that `fd_write` gets.
fn part_of(env: &Env<'_>, parts: u32, index: u32) -> Result<(u32, u32), i32> {
    let at = index
        .checked_mul(8)
        .and_then(|n| parts.checked_add(n))
        .ok_or(EFAULT)?;
    let part: [u8; 8] = load(env, at)?;
    let [start, len] =
        [0, 4].map(|at| u32::from_le_bytes(part[at..at + 4].try_into().expect("four bytes")));
    Ok((start, len))
}

fn write_piece(env: &mut Env<'_>, fd: i32, start: u32, done: u32, buffer: &mut [u8]) -> Errno {
    let from = start.checked_add(done).ok_or(EFAULT)?;
    env.data().read(from, buffer).map_err(|_| EFAULT)?;
    stream(env, fd).write_all(buffer).map_err(io_errno)
}

fn stream<'a>(env: &'a mut Env<'_>, fd: i32) -> &'a mut (dyn Write + Send) {
    let wasi = &mut env.data_mut().given.wasi;
    match fd {
        1 => &mut *wasi.stdout,
        _ => &mut *wasi.stderr,
    }
}

fn io_errno(error: std::io::Error) -> i32 {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => EPIPE,
        std::io::ErrorKind::StorageFull => ENOSPC,
        _ => EIO,
    }
}

/// Standard input, output and error are there, as terminals are; nothing else is.
fn fd_fdstat_get(env: Env<'_>, fd: i32, to: u32) -> i32 {
    const CHARACTER_DEVICE: u8 = 2;
    if !(0..=2).contains(&fd) {
        return EBADF;
    }
    let mut stat = [0; 24];
    stat[0] = CHARACTER_DEVICE;
    errno(store(&env, to, &stat))
}

fn args_sizes_get(env: Env<'_>, count: u32, size: u32) -> i32 {
    let args = &env.data().given.wasi.args;
    errno(store_sizes(
        &env,
        args.iter().map(|arg| arg.len() + 1),
        count,
        size,
    ))
}

fn args_get(env: Env<'_>, pointers: u32, bytes: u32) -> i32 {
    let args = env.data().given.wasi.args.iter();
    errno(store_strings(
        &env,
        args.map(|arg| format!("{arg}\0")),
        pointers,
        bytes,
    ))
}

fn environ_sizes_get(env: Env<'_>, count: u32, size: u32) -> i32 {
    let vars = env.data().given.wasi.env.iter();
    errno(store_sizes(
        &env,
        vars.map(|(k, v)| k.len() + v.len() + 2),
        count,
        size,
    ))
}

fn environ_get(env: Env<'_>, pointers: u32, bytes: u32) -> i32 {
    let vars = env.data().given.wasi.env.iter();
    errno(store_strings(
        &env,
        vars.map(|(k, v)| format!("{k}={v}\0")),
        pointers,
        bytes,
    ))
}

fn store_sizes(
    env: &Env<'_>,
    lens: impl ExactSizeIterator<Item = usize>,
    count: u32,
    size: u32,
) -> Errno {
    store(env, count, &(lens.len() as u32).to_le_bytes())?;
    store(env, size, &(lens.sum::<usize>() as u32).to_le_bytes())
}

fn store_strings(
    env: &Env<'_>,
    strings: impl Iterator<Item = String>,
    mut pointers: u32,
    mut bytes: u32,
) -> Errno {
    for string in strings {
        store(env, pointers, &bytes.to_le_bytes())?;
        store(env, bytes, string.as_bytes())?;
        pointers = pointers.checked_add(4).ok_or(EFAULT)?;
        bytes = bytes.checked_add(string.len() as u32).ok_or(EFAULT)?;
    }
    Ok(())
}

fn random_get(env: Env<'_>, to: u32, len: u32) -> Result<i32, RuntimeError> {
    if len > MOST_BYTES {
        return Ok(EINVAL);
    }
    let mut buffer = [0; 4096];
    let mut done = 0;
    while done < len {
        let piece = &mut buffer[..(len - done).min(4096) as usize];
        env.data().charge_bytes(piece.len()).map_err(ended)?;
        let Some(at) = to.checked_add(done) else {
            return Ok(EFAULT);
        };
        if getrandom::fill(piece).is_err() {
            return Ok(EIO);
        }
        if let Err(errno) = store(&env, at, piece) {
            return Ok(errno);
        }
        done += piece.len() as u32;
    }
    Ok(SUCCESS)
}

/// What every other function answers.
fn absent(name: &str) -> Value {
    Value::I32(if name.starts_with("fd_") {
        EBADF
    } else {
        ENOSYS
    })
}
