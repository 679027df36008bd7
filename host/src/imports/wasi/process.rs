//! What a program knows of itself, random bytes, and its exit.

use super::answer::{Done, store};
use super::transfer::MOST_BYTES;
use crate::backtrace::Trace;
use crate::files::Errno;
use crate::imports::ending::ended;
use crate::imports::state::Env;
use crate::types::Error;
use wasmer::RuntimeError;

pub(super) fn proc_exit(_: Env<'_>, code: i32) -> Result<(), RuntimeError> {
    Err(ended(Error::Exit {
        code,
        trace: Trace::default(),
    }))
}

/// Nothing: a guest has no other thread, and one that yields again and again to busy
/// neighbours would take minutes for little fuel.
pub(super) fn sched_yield(_: &mut Env<'_>) -> Done {
    Ok(())
}

pub(super) fn args_sizes_get(env: &mut Env<'_>, count: u32, size: u32) -> Done {
    let args = &env.data().given.wasi.args;
    store_sizes(env, args.iter().map(|arg| arg.len() + 1), count, size)
}

pub(super) fn args_get(env: &mut Env<'_>, pointers: u32, bytes: u32) -> Done {
    let args = env.data().given.wasi.args.iter();
    store_strings(env, args.map(|arg| format!("{arg}\0")), pointers, bytes)
}

pub(super) fn environ_sizes_get(env: &mut Env<'_>, count: u32, size: u32) -> Done {
    let vars = &env.data().given.wasi.env;
    let lens = vars.iter().map(|(k, v)| k.len() + v.len() + 2);
    store_sizes(env, lens, count, size)
}

pub(super) fn environ_get(env: &mut Env<'_>, pointers: u32, bytes: u32) -> Done {
    let vars = env.data().given.wasi.env.iter();
    let vars = vars.map(|(k, v)| format!("{k}={v}\0"));
    store_strings(env, vars, pointers, bytes)
}

fn store_sizes(
    env: &Env<'_>,
    lens: impl ExactSizeIterator<Item = usize>,
    count: u32,
    size: u32,
) -> Done {
    store(env, count, &(lens.len() as u32).to_le_bytes())?;
    Ok(store(
        env,
        size,
        &(lens.sum::<usize>() as u32).to_le_bytes(),
    )?)
}

fn store_strings(
    env: &Env<'_>,
    strings: impl Iterator<Item = String>,
    mut pointers: u32,
    mut bytes: u32,
) -> Done {
    for string in strings {
        store(env, pointers, &bytes.to_le_bytes())?;
        store(env, bytes, string.as_bytes())?;
        pointers = pointers.checked_add(4).ok_or(Errno::FAULT)?;
        let len = string.len() as u32;
        bytes = bytes.checked_add(len).ok_or(Errno::FAULT)?;
    }
    Ok(())
}

pub(super) fn random_get(env: &mut Env<'_>, to: u32, len: u32) -> Done {
    if len > MOST_BYTES {
        return Err(Errno::INVAL.into());
    }
    let mut buffer = [0; 4096];
    let mut done = 0;
    while done < len {
        let piece = &mut buffer[..(len - done).min(4096) as usize];
        env.data().charge_bytes(piece.len()).map_err(ended)?;
        let at = to.checked_add(done).ok_or(Errno::FAULT)?;
        getrandom::fill(piece).map_err(|_| Errno::IO)?;
        store(env, at, piece)?;
        done += piece.len() as u32;
    }
    Ok(())
}
