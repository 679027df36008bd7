//! What a function of the embedder's sees of the guest that calls it.

use super::record::range;
use super::state::State;
use crate::types::Error;

/// What a function that the embedder offers gets to see of the guest that calls
/// it.
pub struct Caller<'a>(pub(super) &'a State);

impl Caller<'_> {
    /// Copies bytes out of the guest's memory, from `address` on.
    ///
    /// # Errors
    /// [`Error::GuestRange`] when the guest may not read all of them itself.
    pub fn read(&self, address: u32, to: &mut [u8]) -> Result<(), Error> {
        let done = self.0.read(address, to);
        done.map_err(|_| range("read", false, address, to.len()))
    }

    /// Copies bytes into the guest's memory, from `address` on.
    ///
    /// # Errors
    /// [`Error::GuestRange`] when the guest may not write all of them itself.
    pub fn write(&self, address: u32, from: &[u8]) -> Result<(), Error> {
        let done = self.0.write(address, from);
        done.map_err(|_| range("write", true, address, from.len()))
    }
}
