//! Bytes into and out of what a guest has open.

use super::answer::{Done, load, store};
use crate::files::{Descriptor, Errno, Stream};
use crate::imports::ending::ended;
use crate::imports::state::Env;
use std::io::{self, Read, SeekFrom, Write};

/// How many parts a call may have, as Linux has it; and how many bytes: no call keeps the
/// host busy for long.
const MOST_PARTS: u32 = 1024;
pub(super) const MOST_BYTES: u32 = 1 << 20;

/// How many bytes are read or written at once.
const PIECE: u32 = 64 << 10;

pub(super) fn fd_read(env: &mut Env<'_>, fd: u32, parts: u32, count: u32, read: u32) -> Done {
    let done = read_parts(env, fd, parts, count, None)?;
    Ok(store(env, read, &done.to_le_bytes())?)
}

pub(super) fn fd_pread(
    env: &mut Env<'_>,
    fd: u32,
    parts: u32,
    count: u32,
    offset: u64,
    read: u32,
) -> Done {
    let done = read_parts(env, fd, parts, count, Some(offset))?;
    Ok(store(env, read, &done.to_le_bytes())?)
}

pub(super) fn fd_write(env: &mut Env<'_>, fd: u32, parts: u32, count: u32, written: u32) -> Done {
    let done = write_parts(env, fd, parts, count, None)?;
    Ok(store(env, written, &done.to_le_bytes())?)
}

pub(super) fn fd_pwrite(
    env: &mut Env<'_>,
    fd: u32,
    parts: u32,
    count: u32,
    offset: u64,
    written: u32,
) -> Done {
    let done = write_parts(env, fd, parts, count, Some(offset))?;
    Ok(store(env, written, &done.to_le_bytes())?)
}

/// Reads part after part, in pieces, until there is no more; of a stream, as much as there
/// is at once, so that it blocks only when there is nothing.
fn read_parts(
    env: &mut Env<'_>,
    fd: u32,
    parts: u32,
    count: u32,
    offset: Option<u64>,
) -> Done<u32> {
    if count > MOST_PARTS {
        return Err(Errno::INVAL.into());
    }
    let stream = matches!(env.data().descriptors.get(fd)?, Descriptor::Stream(_));
    let mut total = 0;
    let mut buffer = Vec::new();
    for part in 0..count {
        let (start, len) = part_of(env, parts, part)?;
        env.data().spend(1)?;
        let len = len.min(MOST_BYTES - total);
        for done in (0..len).step_by(PIECE as usize) {
            let piece = (len - done).min(PIECE);
            env.data().charge_bytes(piece as usize).map_err(ended)?;
            buffer.resize(piece as usize, 0);
            let at = offset_by(offset, total)?;
            let got = match read_piece(env, fd, &mut buffer, at) {
                // What was read before is read.
                Err(_) if total > 0 => return Ok(total),
                got => got?,
            };
            // It may have waited for long.
            env.data().spend(0)?;
            let to = start.checked_add(done).ok_or(Errno::FAULT)?;
            store(env, to, &buffer[..got])?;
            total += got as u32;
            if stream || got < buffer.len() {
                return Ok(total);
            }
        }
    }
    Ok(total)
}

fn read_piece(
    env: &mut Env<'_>,
    fd: u32,
    buffer: &mut [u8],
    offset: Option<u64>,
) -> Result<usize, Errno> {
    let state = env.data_mut();
    match state.descriptors.get(fd)? {
        Descriptor::File(file) => file.read(buffer, offset),
        Descriptor::Directory(_) => Err(Errno::ISDIR),
        Descriptor::Stream(_) if offset.is_some() => Err(Errno::SPIPE),
        Descriptor::Stream(Stream::In) => loop {
            match state.given.wasi.stdin.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What claims more than there is room for is the embedder's mistake.
                read => return Ok(read?.min(buffer.len())),
            }
        },
        Descriptor::Stream(_) => Err(Errno::BADF),
    }
}

/// Writes part after part, in pieces, until one is not written whole.
fn write_parts(
    env: &mut Env<'_>,
    fd: u32,
    parts: u32,
    count: u32,
    offset: Option<u64>,
) -> Done<u32> {
    if count > MOST_PARTS {
        return Err(Errno::INVAL.into());
    }
    // Of nothing, too, it is said where it cannot be written.
    write_piece(env, fd, &[], offset)?;
    let mut total = 0;
    let mut buffer = Vec::new();
    'parts: for part in 0..count {
        let (start, len) = part_of(env, parts, part)?;
        env.data().spend(1)?;
        // The rest is for another call.
        let len = len.min(MOST_BYTES - total);
        for done in (0..len).step_by(PIECE as usize) {
            let piece = (len - done).min(PIECE);
            env.data().charge_bytes(piece as usize).map_err(ended)?;
            buffer.resize(piece as usize, 0);
            let from = start.checked_add(done).ok_or(Errno::FAULT)?;
            let read = env.data().read(from, &mut buffer);
            read.map_err(|_| Errno::FAULT)?;
            let at = offset_by(offset, total)?;
            let written = write_piece(env, fd, &buffer, at)?;
            total += written as u32;
            if written < buffer.len() {
                break 'parts;
            }
        }
    }
    if let Descriptor::Stream(stream) = *env.data().descriptors.get(fd)? {
        output(env, stream)?.flush()?;
    }
    Ok(total)
}

fn write_piece(
    env: &mut Env<'_>,
    fd: u32,
    bytes: &[u8],
    offset: Option<u64>,
) -> Result<usize, Errno> {
    match env.data().descriptors.get(fd)? {
        Descriptor::File(file) => file.write(bytes, offset),
        Descriptor::Directory(_) => Err(Errno::ISDIR),
        Descriptor::Stream(_) if offset.is_some() => Err(Errno::SPIPE),
        &Descriptor::Stream(stream) => {
            output(env, stream)?.write_all(bytes)?;
            Ok(bytes.len())
        }
    }
}

fn output<'a>(env: &'a mut Env<'_>, stream: Stream) -> Result<&'a mut dyn Write, Errno> {
    let wasi = &mut env.data_mut().given.wasi;
    match stream {
        Stream::Out => Ok(&mut *wasi.stdout),
        Stream::Error => Ok(&mut *wasi.stderr),
        Stream::In => Err(Errno::BADF),
    }
}

/// Address and length of one of the parts that a call gets.
fn part_of(env: &Env<'_>, parts: u32, index: u32) -> Result<(u32, u32), Errno> {
    let at = parts.checked_add(index * 8).ok_or(Errno::FAULT)?;
    let part: [u8; 8] = load(env, at)?;
    let [start, len] =
        [0, 4].map(|at| u32::from_le_bytes(part[at..at + 4].try_into().expect("four bytes")));
    Ok((start, len))
}

fn offset_by(offset: Option<u64>, done: u32) -> Result<Option<u64>, Errno> {
    let add = |offset: u64| offset.checked_add(done.into()).ok_or(Errno::INVAL);
    offset.map(add).transpose()
}

pub(super) fn fd_seek(env: &mut Env<'_>, fd: u32, offset: i64, whence: u32, to: u32) -> Done {
    let to_seek = match whence {
        0 => SeekFrom::Start(u64::try_from(offset).map_err(|_| Errno::INVAL)?),
        1 => SeekFrom::Current(offset),
        2 => SeekFrom::End(offset),
        _ => return Err(Errno::INVAL.into()),
    };
    seek(env, fd, to_seek, to)
}

pub(super) fn fd_tell(env: &mut Env<'_>, fd: u32, to: u32) -> Done {
    seek(env, fd, SeekFrom::Current(0), to)
}

fn seek(env: &mut Env<'_>, fd: u32, to: SeekFrom, at: u32) -> Done {
    let position = match env.data().descriptors.get(fd)? {
        Descriptor::File(file) => file.seek(to)?,
        Descriptor::Stream(_) => return Err(Errno::SPIPE.into()),
        Descriptor::Directory(_) => return Err(Errno::BADF.into()),
    };
    Ok(store(env, at, &position.to_le_bytes())?)
}
