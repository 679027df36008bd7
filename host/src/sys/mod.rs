//! What the host does to this process: its memory, its signals, its code. The only
//! module with `unsafe`; it knows of nothing above it.
//!
//! - [`SharedBytes`]: a region's bytes, as the host reads and writes them.
//! - [`Buffer`]: the same before anybody else has them.
//! - `arena`: the pages that they are in, in `memory_file`s.
//! - `AddressSpace`: a reserved range of addresses that bytes are mapped into,
//!   and that knows which of its pages may be touched.
//! - [`Image`]: the first state of a module's memory.
//! - [`MemoryState`]: an address space as the engine's linear memory.
//! - [`GuestTunables`]: what makes the engine use such memories.
//! - [`MovableStore`]: a guest's store, on whatever thread.
//! - [`Words`]: what a guest's own code looks at.
//! - [`faults`]: what the signal handler learns of a fault.
//! - `touched`: which pages have memory of their own.
//! - [`stack`]: the frames on a guest's stack.
//! - [`fork`]: what a forked process finds.
//! - `apart`: work in a process of its own.
//! - [`Cache`]: compiled code, on disk.

mod address_space;
#[cfg(target_os = "linux")]
pub(crate) mod apart;
mod arena;
mod buffer;
mod cache;
pub(crate) mod faults;
pub(crate) mod fork;
mod image;
mod memory;
mod memory_file;
mod pages;
mod ranges;
mod shared;
pub(crate) mod stack;
mod store;
#[cfg(target_os = "linux")]
mod touched;
mod tunables;
mod words;

pub(crate) use address_space::{AddressSpace, Inaccessible, Protection};
pub(crate) use buffer::Buffer;
pub(crate) use cache::{Cache, Key, from_artifact};
pub(crate) use image::Image;
pub(crate) use memory::{MemoryCell, MemoryState};
pub(crate) use pages::{page_size, whole_pages};
pub(crate) use ranges::FreeList;
pub use shared::{Atomic, Atomics, Pinned, Slice, SliceMut};
pub(crate) use shared::{SharedBytes, Use};
pub(crate) use store::MovableStore;
pub(crate) use tunables::{Bounds, GuestTunables, Origin};
pub(crate) use words::Words;
