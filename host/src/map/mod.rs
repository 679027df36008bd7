//! Memory mapping: the only module with `unsafe`.
//!
//! - [`SharedBytes`]: a region's bytes, as the host reads and writes them.
//! - [`AddressSpace`]: a reserved range of addresses that bytes are mapped into,
//!   and that knows which of its pages may be touched.
//! - [`LinearMemory`]: an address space as the engine's linear memory.
//! - [`faults`]: what the signal handler learns of a fault.
//! - [`load_artifact`]: compiled code, from the module cache.

mod address_space;
pub(crate) mod faults;
mod linear;
mod ranges;
mod shared;

pub(crate) use address_space::{AddressSpace, Inaccessible, Protection};
pub(crate) use linear::{LinearMemory, MemoryState};
pub(crate) use ranges::FreeList;
pub(crate) use shared::SharedBytes;
pub use shared::{Slice, SliceMut};

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

/// Loads compiled code.
///
/// # Safety
/// `bytes` must be what [`wasmer::Module::serialize`] gave for this engine's
/// version and this machine: they become code without a further check.
pub(crate) unsafe fn load_artifact(
    engine: &wasmer::Engine,
    bytes: Vec<u8>,
) -> Result<wasmer::Module, wasmer::DeserializeError> {
    // SAFETY: passed on to the caller.
    unsafe { wasmer::Module::deserialize(engine, bytes) }
}

/// Who runs this process.
pub(crate) fn user_id() -> u32 {
    // SAFETY: asks the system; touches no memory and cannot fail.
    unsafe { libc::geteuid() }
}
