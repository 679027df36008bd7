//! An instance's memory, as the host reads and writes it between calls, and what it shows
//! there.

use super::instance::Live;
use crate::backtrace::Trace;
use crate::regions::{Number, Region};
use crate::sys::MemoryState;
use crate::types::{Access, Error, WindowProblem};
use std::ops::Range;
use std::sync::Arc;

impl Live {
    pub(super) fn read(&self, address: u32, to: &mut [u8]) -> Result<(), Error> {
        let len = to.len();
        let memory = self.memory();
        let read = memory.and_then(|memory| memory.space.read(address as usize, to).ok());
        read.ok_or_else(|| range("Guest::read", false, address, len))
    }

    pub(super) fn read_numbers<T: Number>(
        &self,
        address: u32,
        len: usize,
    ) -> Result<Vec<T>, Error> {
        let memory = self.memory();
        let read = memory.and_then(|memory| memory.space.read_vec(address as usize, len).ok());
        read.ok_or_else(|| {
            let bytes = len.saturating_mul(size_of::<T>());
            range("Guest::read_numbers", false, address, bytes)
        })
    }

    pub(super) fn write(&mut self, address: u32, from: &[u8]) -> Result<(), Error> {
        let memory = self.memory();
        let written = memory.and_then(|memory| memory.space.write(address as usize, from).ok());
        written.ok_or_else(|| range("Guest::write", true, address, from.len()))
    }

    pub(super) fn show(
        &mut self,
        region: &Region,
        bytes: Range<usize>,
        access: Access,
    ) -> Result<u32, Error> {
        // A region is shorter than that, so such bytes are not in it.
        let word = |value| u32::try_from(value).unwrap_or(u32::MAX);
        let len = word(bytes.end.saturating_sub(bytes.start));
        if len == 0 {
            return Err(WindowProblem::Empty.into());
        }
        let space = Arc::clone(&self.space);
        let mut env = self.env();
        let (state, mut store) = env.data_and_store_mut();
        let grow = |pages| state.grow_for_window(&mut store, pages, len);
        space.show(region, (word(bytes.start), len), access, grow)
    }

    fn memory(&self) -> Option<&MemoryState> {
        self.space.memory.get().map(|memory| &**memory)
    }
}

fn range(function: &'static str, write: bool, address: u32, len: usize) -> Error {
    Error::GuestRange {
        function,
        write,
        address,
        len: u32::try_from(len).unwrap_or(u32::MAX),
        trace: Trace::default(),
    }
}
