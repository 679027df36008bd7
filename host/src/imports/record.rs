//! Records of arguments and answers of the host's functions, in the guest's memory:
//! `guest/CALLS.md` describes them.

use super::state::State;
use crate::backtrace::Trace;
use crate::calls::{Declaration, Reply, rows};
use crate::types::Error;

/// How many bytes an answer has.
const ANSWER_LEN: usize = 16;

impl State {
    /// Copies the slots of a call's arguments.
    pub(super) fn slots(&self, address: u32, slots: &mut [u64]) -> Result<(), Error> {
        let bytes = bytemuck::cast_slice_mut(slots);
        let len = bytes.len();
        let read = self.read(address, bytes);
        read.map_err(|_| range("arguments for the host", false, address, len))
    }

    /// Copies the rows of a call's arguments, each to a multiple of 8 bytes. Together
    /// they may not have more bytes than the guest's memory: a guest that passes one
    /// again and again would have the host copy it as often.
    pub(super) fn rows(&self, declared: &Declaration, slots: &[u64]) -> Result<Vec<u64>, Error> {
        let mut all = Vec::new();
        rows(declared, slots, |address, len, size| {
            let bytes = len as usize * size;
            let missing = || range("an argument for the host", false, address, bytes);
            if bytes == 0 {
                return Ok(());
            }
            let memory = self.space.memory.get().ok_or_else(missing)?;
            // Before anything is allocated.
            if address as usize + bytes > memory.len() {
                return Err(missing());
            }
            let start = all.len();
            let words = bytes.div_ceil(8);
            if (start + words) * 8 > memory.len() {
                return Err(missing());
            }
            self.charge_bytes(bytes)?;
            all.try_reserve(words).map_err(|_| missing())?;
            all.resize(start + words, 0);
            let row = &mut bytemuck::cast_slice_mut(&mut all[start..])[..bytes];
            self.read(address, row).map_err(|_| missing())
        })?;
        Ok(all)
    }

    /// Fills in the answer at `address`, and its row where the guest has room.
    pub(super) fn answer(&mut self, address: u32, reply: Reply) -> Result<(), Error> {
        let mut answer = [0; ANSWER_LEN];
        let read = self.read(address, &mut answer);
        read.map_err(|_| range("an answer of the host's", false, address, ANSWER_LEN))?;
        let word = |at: usize| u32::from_le_bytes(answer[at..at + 4].try_into().expect("4 bytes"));
        let (room, place) = (word(4), word(8));
        let (mut len, mut value) = (0, reply.value);
        if let Some((elements, bytes)) = reply.row {
            let no_room = || range("a row of the host's answer", true, place, bytes.len());
            len = u32::try_from(elements).map_err(|_| no_room())?;
            value = 0;
            if bytes.len() <= room as usize {
                self.write(place, &bytes).map_err(|_| no_room())?;
                value = place.into();
            } else {
                self.waiting = bytes;
            }
        }
        answer[..4].copy_from_slice(&reply.tag.to_le_bytes());
        answer[4..8].copy_from_slice(&len.to_le_bytes());
        answer[8..].copy_from_slice(&value.to_le_bytes());
        let written = self.write(address, &answer);
        written.map_err(|_| range("an answer of the host's", true, address, ANSWER_LEN))
    }

    /// Copies the row of the last answer that had no room, and forgets it.
    pub(super) fn take_answer(&mut self, address: u32) -> Result<(), Error> {
        let row = std::mem::take(&mut self.waiting);
        let written = self.write(address, &row);
        written.map_err(|_| range("take_answer", true, address, row.len()))
    }
}

/// [`Error::GuestRange`] for a range of any length.
pub(super) fn range(function: &'static str, write: bool, address: u32, len: usize) -> Error {
    Error::GuestRange {
        function,
        write,
        address,
        len: u32::try_from(len).unwrap_or(u32::MAX),
        trace: Trace::default(),
    }
}
