//! A guest with functions over columns: calls with batches, and the memory that those need.

use crate::batch::{Batch, Frame};
use crate::results::{Results, Taken as Place};
use crate::windows::Windows;
use crate::{Error, GuestModule};
use arrow::array::ArrayRef;
use genkan_host::{Arguments, Canceller, Function, Guest, Pooled, Results as Returned};
use std::collections::HashMap;
use std::time::Duration;

/// The smallest room for batches, in bytes.
const SMALLEST_ROOM: u32 = 64 << 10;

/// A guest.
pub(crate) struct Instance {
    guest: Pooled,
    canceller: Canceller,
    scalars: Exports<(u32,)>,
    aggregates: Exports<(u32, u32)>,
    /// Where batches go, which stays from call to call: its address and its length.
    room: (u32, u32),
    windows: Windows,
    results: Results,
    /// Whether no call has ended in the middle of it.
    usable: bool,
}

/// Exports that are called for each batch, by their names.
struct Exports<A: Arguments>(HashMap<String, Function<A, u32>>);

impl<A: Arguments> Exports<A> {
    fn call(
        &mut self,
        guest: &mut Guest,
        name: &str,
        args: A::Of<'_>,
    ) -> Result<u32, genkan_host::Error> {
        if let Some(function) = self.0.get(name) {
            return function.call(guest, args);
        }
        let function = guest.function(name)?;
        let function = self.0.entry(name.into()).or_insert(function);
        function.call(guest, args)
    }
}

impl Instance {
    pub(crate) fn new(module: &GuestModule, function: &str) -> Result<Self, Error> {
        let failed = |source| guest_error(function, source);
        let guest = module.pool().take(module.options().make_setup());
        let guest = guest.map_err(failed)?;
        let canceller = guest.canceller().map_err(failed)?;
        let mut instance = Self {
            guest,
            canceller,
            scalars: Exports(HashMap::new()),
            aggregates: Exports(HashMap::new()),
            room: (0, 0),
            windows: Windows::default(),
            results: Results::default(),
            usable: true,
        };
        // A module of WASI's is a library with something to do first.
        if instance.guest.module().exported("_initialize").is_ok() {
            instance
                .guest
                .call::<()>("_initialize", ())
                .map_err(failed)?;
        }
        Ok(instance)
    }

    pub(crate) fn canceller(&self) -> &Canceller {
        &self.canceller
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.usable
    }

    pub(crate) fn set_deadline(&mut self, function: &str, time: Duration) -> Result<(), Error> {
        let set = self.guest.set_deadline(time);
        set.map_err(|source| guest_error(function, source))
    }

    pub(crate) fn set_fuel(&mut self, function: &str, fuel: u64) -> Result<(), Error> {
        let set = self.guest.set_fuel(fuel);
        set.map_err(|source| guest_error(function, source))
    }

    /// What is left of it.
    pub(crate) fn fuel(&self) -> u64 {
        self.guest.fuel().unwrap_or(u64::MAX)
    }

    /// Calls a function with a batch, and gives its results.
    ///
    /// # Errors
    /// [`Error::Guest`], [`Error::Failed`], [`Error::Returned`], [`Error::NoRoom`].
    pub(crate) fn call(&mut self, batch: &Batch<'_>) -> Result<Vec<ArrayRef>, Error> {
        let function = batch.function;
        self.windows.next_call();
        self.results.next_call(&mut self.guest);
        let mut frame = Frame::new(batch, |resident| {
            self.windows.show(&mut self.guest, resident)
        });
        let mut places: Vec<Place> = Vec::new();
        for result in 0..batch.results.len() {
            let len = frame.fixed_len(result);
            let place = len.and_then(|len| self.results.take(&mut self.guest, len, &places));
            frame.place_result(result, place.as_ref().map(|place| place.address));
            places.extend(place);
        }
        let address = self.reserve(function, frame.len())?;
        frame
            .write(&mut self.guest, address)
            .map_err(|source| self.broken(function, source))?;
        let guest = &mut self.guest;
        let code = match batch.handle {
            Some(handle) => self.aggregates.call(guest, batch.export, (handle, address)),
            None => self.scalars.call(guest, batch.export, (address,)),
        };
        let code = code.map_err(|source| self.broken(function, source))?;
        let (guest, results) = (&self.guest, &mut self.results);
        let mut places = places.iter();
        let lifted = frame.lift(guest, address, code, |len| {
            let place = places.next().expect("one for each that was given");
            results.finish(place, len)
        });
        lifted.inspect_err(|error| {
            if !matches!(error, Error::Failed { .. }) {
                self.usable = false;
            }
        })
    }

    /// Room for a batch of so many bytes.
    fn reserve(&mut self, function: &str, len: usize) -> Result<u32, Error> {
        let (address, room) = self.room;
        if len <= room as usize {
            return Ok(address);
        }
        let no_room = || Error::NoRoom {
            function: function.into(),
            len,
        };
        self.room = (0, 0);
        if room > 0 {
            self.call_export::<()>(function, "genkan_free", (address, room))?;
        }
        let wanted = u32::try_from(len.max(SMALLEST_ROOM as usize)).map_err(|_| no_room())?;
        let wanted = wanted.checked_next_power_of_two().unwrap_or(wanted);
        let address = self.call_export::<u32>(function, "genkan_alloc", (wanted,))?;
        if address == 0 || address.checked_add(wanted).is_none() {
            return Err(no_room());
        }
        if !address.is_multiple_of(16) {
            self.usable = false;
            return Err(Error::Returned {
                function: function.into(),
                expected: "address from genkan_alloc".into(),
                problem: format!("{address:#x} is no multiple of 16"),
            });
        }
        self.room = (address, wanted);
        Ok(address)
    }

    /// Calls an export, which is looked up for that.
    pub(crate) fn call_export<R: Returned>(
        &mut self,
        function: &str,
        export: &str,
        args: impl Arguments,
    ) -> Result<R, Error> {
        self.results.next_call(&mut self.guest);
        let called = self.guest.call(export, args);
        called.map_err(|source| self.broken(function, source))
    }

    fn broken(&mut self, function: &str, source: genkan_host::Error) -> Error {
        self.usable = false;
        guest_error(function, source)
    }
}

fn guest_error(function: &str, source: genkan_host::Error) -> Error {
    Error::Guest {
        function: function.into(),
        source: Box::new(source),
    }
}
