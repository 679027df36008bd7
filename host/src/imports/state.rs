//! What host functions know of the guest that calls them.

use super::ending::ended;
use super::exports::Exports;
use crate::files::{Descriptors, Dir};
use crate::profile::Samples;
use crate::regions::Space;
use crate::rewrite::BYTES_OF_FUEL;
use crate::stop::Stop;
use crate::sys::Inaccessible;
use crate::types::{Error, WindowProblem};
use std::any::Any;
use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};
use wasmer::{AsStoreMut, FunctionEnvMut, Memory, RuntimeError};

/// What a guest of WASI's can see and reach.
pub(crate) struct Wasi {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) stdin: Box<dyn Read + Send>,
    pub(crate) stdout: Box<dyn Write + Send>,
    pub(crate) stderr: Box<dyn Write + Send>,
    pub(crate) dirs: Vec<Dir>,
}

/// What the embedder gave a guest: each of its instances takes it over from the last.
pub(crate) struct Given {
    pub(crate) wasi: Wasi,
    /// What the embedder's functions keep of this guest.
    pub(crate) user: Box<dyn Any + Send>,
}

impl Default for Given {
    fn default() -> Self {
        let wasi = Wasi {
            args: Vec::new(),
            env: Vec::new(),
            stdin: Box::new(std::io::empty()),
            stdout: Box::new(std::io::sink()),
            stderr: Box::new(std::io::sink()),
            dirs: Vec::new(),
        };
        Self {
            wasi,
            user: Box::new(()),
        }
    }
}

/// What host functions know of the guest that calls them.
pub(crate) struct State {
    pub(crate) space: Arc<Space>,
    pub(crate) memory: Option<Memory>,
    pub(crate) given: Given,
    /// What it has open.
    pub(crate) descriptors: Descriptors,
    pub(crate) stop: Arc<Stop>,
    /// Whether it has fuel.
    pub(crate) counted: bool,
    /// The instance's functions, once it is there.
    pub(crate) exports: OnceLock<Arc<Exports>>,
    /// Where it is noted where it is, if it is made with a profile.
    pub(crate) samples: Option<Samples>,
    /// The row of a host function's answer, which the guest has yet to fetch.
    pub(crate) waiting: Vec<u8>,
}

impl State {
    /// Makes the guest's memory that many Wasm pages larger, for a window of `len` bytes.
    ///
    /// # Errors
    /// [`Error::Window`].
    pub(crate) fn grow_for_window(
        &self,
        store: &mut impl AsStoreMut,
        pages: u32,
        len: u32,
    ) -> Result<(), Error> {
        let (Some(memory), Some(own)) = (&self.memory, self.space.memory.get()) else {
            return Err(WindowProblem::HiddenMemory.into());
        };
        own.grow_for_window();
        let grown = memory.grow(store, pages);
        grown
            .map(drop)
            .map_err(|_| WindowProblem::NoRoom { len }.into())
    }

    /// Notes where the guest is, if that is asked; or where its caller is, which it has
    /// `entered` a function from.
    pub(super) fn sampled(&self, entered: bool) -> &Self {
        if let Some(samples) = &self.samples {
            let ticks = self.stop.take_ticks();
            if ticks > 0 {
                samples.add(ticks, entered);
                // What passed meanwhile is no time of the guest's.
                self.stop.take_ticks();
            }
        }
        self
    }

    /// Before a host function does some work for its guest: charges fuel for it, and
    /// asks whether the guest may go on.
    pub(super) fn spend(&self, fuel: u32) -> Result<(), RuntimeError> {
        self.stop.spend(fuel, self.counted).map_err(ended)
    }

    /// The same for so many bytes that it handles.
    pub(super) fn charge_bytes(&self, bytes: usize) -> Result<(), Error> {
        // A guest's memory has less than 4 GiB.
        let fuel = bytes as u32 / BYTES_OF_FUEL;
        self.stop.spend(fuel, self.counted)
    }

    /// After a function of the embedder's: whether the guest may go on with what it gave.
    /// What was raised meanwhile counts, whatever the guest's code does next; and so does
    /// that a call back into the guest ended it.
    pub(super) fn go_on(&self) -> Result<(), RuntimeError> {
        self.spend(0)?;
        let alive = self.exports.get().map_or(Ok(()), |exports| exports.check());
        alive.map_err(ended)
    }

    /// Copies bytes out of the guest's memory.
    pub(crate) fn read(&self, at: u32, to: &mut [u8]) -> Result<(), Inaccessible> {
        let memory = self.space.memory.get().ok_or(Inaccessible)?;
        memory.space.read(at as usize, to)
    }

    /// Copies bytes into the guest's memory.
    pub(crate) fn write(&self, at: u32, from: &[u8]) -> Result<(), Inaccessible> {
        let memory = self.space.memory.get().ok_or(Inaccessible)?;
        memory.space.write(at as usize, from)
    }
}

/// What a host function gets of the guest that calls it.
pub(super) type Env<'a> = FunctionEnvMut<'a, State>;
