//! What a function that is offered can do with the guest that calls it.

use super::record::range;
use super::state::Env;
use crate::calls::{Arguments, Results};
use crate::regions::Region;
use crate::types::{Access, Error, Pointer};
use std::marker::PhantomData;
use wasmer::AsStoreMut;

/// The guest that calls a function of the host's, with the state `S` that the
/// embedder gave it: `()` if the function needs none.
pub struct Cx<'a, S = ()> {
    env: Env<'a>,
    state: PhantomData<fn() -> S>,
}

impl<'a, S: 'static> Cx<'a, S> {
    pub(crate) fn new(env: Env<'a>) -> Self {
        Self {
            env,
            state: PhantomData,
        }
    }

    /// The guest's state, as [`crate::Setup::state`] began it.
    ///
    /// # Panics
    /// If `S` is `()` and the guest has another: a function without a state may be
    /// offered to any guest, but sees none.
    pub fn state(&mut self) -> &mut S {
        let state = self.env.data_mut().given.user.downcast_mut();
        state.expect("the state's type was checked when the guest was made")
    }

    /// Copies bytes out of the guest's memory, from `address` on.
    ///
    /// # Errors
    /// [`Error::GuestRange`] when the guest may not read all of them itself.
    pub fn read(&self, address: u32, to: &mut [u8]) -> Result<(), Error> {
        let len = to.len();
        let read = self.env.data().read(address, to);
        read.map_err(|_| range("Cx::read", false, address, len))
    }

    /// Copies bytes into the guest's memory, from `address` on.
    ///
    /// # Errors
    /// [`Error::GuestRange`] when the guest may not write all of them itself.
    pub fn write(&mut self, address: u32, from: &[u8]) -> Result<(), Error> {
        let written = self.env.data().write(address, from);
        written.map_err(|_| range("Cx::write", true, address, from.len()))
    }

    /// Copies bytes out of a region that was granted to the guest.
    ///
    /// # Errors
    /// [`Error::Pointer`] when the guest may not read all of them itself.
    pub fn read_region(&self, pointer: Pointer, to: &mut [u8]) -> Result<(), Error> {
        self.env.data().space.read_region(pointer, to)
    }

    /// Copies bytes into a region that was granted to the guest.
    ///
    /// # Errors
    /// [`Error::Pointer`] when the guest may not write all of them itself.
    pub fn write_region(&mut self, pointer: Pointer, from: &[u8]) -> Result<(), Error> {
        self.env.data().space.write_region(pointer, from)
    }

    /// Grants a region, as [`crate::Guest::grant`] does.
    ///
    /// # Errors
    /// As there; and [`Error::RegionInUse`].
    pub fn grant(&mut self, region: &Region, access: Access) -> Result<(), Error> {
        self.env.data().space.grant_running(region, access)
    }

    /// Calls a function of the guest's, as [`crate::Guest::call`] does, while the
    /// guest waits for this one. If that ends the guest, by a trap or whatever it is, the
    /// call that waits ends as well, when this function returns.
    ///
    /// # Errors
    /// As there; and [`Error::TooDeep`] when too many calls are within each other.
    pub fn call<R: Results>(&mut self, name: &str, args: impl Arguments) -> Result<R, Error> {
        let exports = self.env.data().exports.get().cloned();
        let exports = exports
            .ok_or_else(|| Error::Instantiate("its start function cannot be called back".into()))?;
        let mut store = self.env.as_store_mut();
        exports.call_by_name(&mut store, name, &args)
    }
}
