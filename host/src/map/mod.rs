//! Memory mapping: the only module with `unsafe`.
//!
//! - [`SharedBytes`]: a region's bytes, as the host reads and writes them.
//! - [`AddressSpace`]: a reserved range of addresses that bytes are mapped into,
//!   and that knows which of its pages may be touched.
//! - [`MemoryState`]: an address space as the engine's linear memory.
//! - [`GuestTunables`]: what makes the engine use such memories.
//! - [`faults`]: what the signal handler learns of a fault.
//! - [`load_artifact`]: compiled code, from the module cache.

mod address_space;
pub(crate) mod faults;
mod linear;
mod ranges;
mod shared;
mod tunables;

pub(crate) use address_space::{AddressSpace, Inaccessible, Protection};
use linear::LinearMemory;
pub(crate) use linear::MemoryState;
pub(crate) use ranges::FreeList;
pub(crate) use shared::SharedBytes;
pub use shared::{Slice, SliceMut};
pub(crate) use tunables::GuestTunables;

use crate::cache::Artifact;
use std::sync::OnceLock;

/// The size of a page of this machine's memory, in bytes.
pub(crate) fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        // SAFETY: asks for a constant of the system; touches no memory.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).expect("the page size is positive")
    })
}

/// `len` rounded up to whole pages.
pub(crate) fn whole_pages(len: usize) -> usize {
    len.next_multiple_of(page_size())
}

/// Loads compiled code from the module cache.
pub(crate) fn load_artifact(
    engine: &wasmer::Engine,
    artifact: Artifact,
) -> Result<wasmer::Module, wasmer::DeserializeError> {
    // SAFETY: the cache alone makes an `Artifact`, of what `serialize` gave for a key
    // that has the engine's version and the CPU's features in it. It checks the bytes
    // against their hash, in a directory that only the user can write.
    unsafe { wasmer::Module::deserialize(engine, artifact.into_bytes()) }
}

/// Who runs this process.
pub(crate) fn user_id() -> u32 {
    // SAFETY: asks the system; touches no memory and cannot fail.
    unsafe { libc::geteuid() }
}
