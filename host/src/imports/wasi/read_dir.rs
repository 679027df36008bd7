//! How a guest lists a directory.

use super::answer::{Done, store};
use crate::files::{Entry, Errno, Listing};
use crate::imports::state::Env;
use std::os::unix::ffi::OsStrExt;

/// How many bytes are kept until they are written into the guest's memory.
const PIECE: usize = 16 << 10;

/// The entries from the one of number `cookie` on, as far as there is room; the last may be
/// cut off, and less than there is room for means that there are no more.
pub(super) fn fd_readdir(
    env: &mut Env<'_>,
    fd: u32,
    to: u32,
    room: u32,
    cookie: u64,
    used: u32,
) -> Done {
    let directory = env.data_mut().descriptors.directory_mut(fd)?;
    let mut listing = directory.take_listing(cookie)?;
    while listing.position() < cookie {
        // A guest may ask for the last of many again and again.
        env.data().spend(1)?;
        if listing.next()?.is_none() {
            break;
        }
    }
    let written = fill(env, &mut listing, to, room)?;
    let directory = env.data_mut().descriptors.directory_mut(fd)?;
    directory.keep_listing(listing);
    Ok(store(env, used, &written.to_le_bytes())?)
}

fn fill(env: &Env<'_>, listing: &mut Listing, to: u32, room: u32) -> Done<u32> {
    let mut written = 0;
    let mut piece = Vec::new();
    loop {
        let left = room as usize - written as usize - piece.len();
        let next = match left {
            0 => None,
            _ => listing.next()?,
        };
        let cut = next.is_none_or(|entry| {
            let bytes = dirent(&entry, listing.position());
            let cut = bytes.len() > left;
            piece.extend_from_slice(&bytes[..bytes.len().min(left)]);
            if cut {
                listing.give_back(entry);
            }
            cut
        });
        if cut || piece.len() >= PIECE {
            env.data().spend(piece.len() as u32)?;
            let at = to.checked_add(written).ok_or(Errno::FAULT)?;
            store(env, at, &piece)?;
            written += piece.len() as u32;
            piece.clear();
        }
        if cut {
            return Ok(written);
        }
    }
}

/// An entry as WASI has it, and its name; `next` is the number of the one after it.
fn dirent(entry: &Entry, next: u64) -> Vec<u8> {
    let name = entry.name.as_bytes();
    let mut bytes = Vec::with_capacity(24 + name.len());
    bytes.extend_from_slice(&next.to_le_bytes());
    bytes.extend_from_slice(&entry.inode.to_le_bytes());
    bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&[entry.file_type, 0, 0, 0]);
    bytes.extend_from_slice(name);
    bytes
}
