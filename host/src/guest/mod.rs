//! Guests: instances of modules, and calls into them.

mod captured;
mod instance;
mod memory;
mod outcome;
mod setup;

pub use captured::Captured;
pub use setup::Setup;

use crate::calls::{Arguments, Results};
use crate::engine::Module;
use crate::imports::Function;
use crate::profile::Profile;
use crate::regions::{Number, Region};
use crate::rewrite::Checks;
use crate::stop::{self, Canceller, Stop};
use crate::sys::{MemoryState, Origin, faults, stack};
use crate::types::{Access, Error};
use instance::{Live, Recipe, clamp, fault_ranges};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use wasmer::Store;

/// An instance of a module, with what it was granted. It runs on the thread that calls it,
/// and can be moved to another between calls; modules and regions can be shared by threads.
///
/// ```
/// # fn main() -> Result<(), genkan_host::Error> {
/// use genkan_host::{Access, Engine, Guest, Region};
///
/// # let text = br#"(module
/// #     (import "env" "read" (func $read (param i64 i32) (result i32)))
/// #     (func (export "second") (param i64) (result i32)
/// #         (call $read (local.get 0) (i32.const 1))))"#;
/// # let bytes = wat::parse_bytes(text).unwrap();
/// let module = Engine::default().compile(&bytes)?;
/// let mut guest = Guest::new(&module)?;
/// let region = Region::copy_of(&[20, 22])?;
/// guest.grant(&region, Access::Read)?;
/// let second: i32 = guest.call("second", &[region.pointer().into()])?;
/// assert_eq!(second, 22);
/// # Ok(())
/// # }
/// ```
pub struct Guest {
    recipe: Recipe,
    live: Live,
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest")
            .field("limits", &self.recipe.limits)
            .finish_non_exhaustive()
    }
}

impl Guest {
    /// Instantiates a module, within the default [`crate::Limits`].
    ///
    /// # Errors
    /// As for [`Guest::with`].
    pub fn new(module: &Module) -> Result<Self, Error> {
        Self::with(module, Setup::default())
    }

    /// Instantiates a module.
    ///
    /// # Errors
    /// [`Error::Import`] for an import that is not offered; [`Error::MemoryLimit`]
    /// and [`Error::TableLimit`] for a module that begins with more;
    /// [`Error::Memory`]; and what its start function ends in.
    pub fn with(module: &Module, setup: Setup) -> Result<Self, Error> {
        Self::make(module, setup, Origin::default())
    }

    /// The same, in a memory that is made so.
    pub(crate) fn make(module: &Module, setup: Setup, memory: Origin) -> Result<Self, Error> {
        let (setup, mut given) = setup.split();
        let mut checks = Checks::of(&setup.limits);
        checks.interrupt |= stop::inside_of_interruptible();
        let checks = checks.samples(setup.profile.is_some()).complete();
        let period = setup.profile.as_ref().map(Profile::period);
        let stop = Stop::new(checks.interrupt, setup.limits.deadline, period);
        let recipe = Recipe::new(module, setup, checks, stop);
        let live = recipe.instantiate(&mut given, memory)?;
        Ok(Self { recipe, live })
    }

    /// Makes it anew, as if it had never run: with its memory, globals and tables as the
    /// module has them, all of its fuel, and its start function run again. After a call
    /// that ended in the middle of the guest, it runs no more without.
    ///
    /// It keeps the regions that it was granted and that are alive, its state, its output
    /// streams and its cancellers. [`Function`]s that were looked up before have to be
    /// looked up again.
    ///
    /// # Errors
    /// As for [`Guest::with`]; it is as it was then, but for its fuel.
    pub fn reset(&mut self) -> Result<(), Error> {
        let mut given = std::mem::take(&mut self.live.state().given);
        let memory = Origin {
            image: self.recipe.module.image(),
            restored: None,
        };
        let fresh = self.recipe.instantiate(&mut given, memory);
        let fresh = fresh.and_then(|mut fresh| {
            let granted = fresh.space.grant_all_of(&self.live.space);
            granted.inspect_err(|_| given = std::mem::take(&mut fresh.state().given))?;
            Ok(fresh)
        });
        match fresh {
            Ok(fresh) => self.live = fresh,
            Err(error) => {
                self.live.state().given = given;
                return Err(error);
            }
        }
        Ok(())
    }

    /// What it is an instance of.
    pub fn module(&self) -> &Module {
        &self.recipe.module
    }

    /// Grants a region: from now on, the guest may use its pointer, until the
    /// region is dropped, or granted again with another access.
    ///
    /// # Errors
    /// [`Error::RegionReadOnly`] for a mapped file to write;
    /// [`Error::RegionSpaceFull`]; [`Error::Memory`].
    pub fn grant(&mut self, region: &Region, access: Access) -> Result<(), Error> {
        self.live.space.grant(region, access)
    }

    /// Takes a region back from this guest alone.
    pub fn revoke(&mut self, region: &Region) {
        self.live.space.take_back(region);
    }

    /// Copies bytes out of the guest's memory, from `address` on.
    ///
    /// # Errors
    /// [`Error::GuestRange`] when the guest may not read all of them itself.
    pub fn read(&self, address: u32, to: &mut [u8]) -> Result<(), Error> {
        self.live.read(address, to)
    }

    /// Copies numbers out of the guest's memory, as many as `len`, from `address` on.
    ///
    /// # Errors
    /// [`Error::GuestRange`] when the guest may not read all of them itself; nothing is
    /// allocated then.
    pub fn read_numbers<T: Number>(&self, address: u32, len: usize) -> Result<Vec<T>, Error> {
        self.live.read_numbers(address, len)
    }

    /// Copies bytes into the guest's memory, from `address` on.
    ///
    /// # Errors
    /// [`Error::GuestRange`] when the guest may not write all of them itself.
    pub fn write(&mut self, address: u32, from: &[u8]) -> Result<(), Error> {
        self.live.write(address, from)
    }

    /// Makes bytes of a region appear in the guest's memory, where they stay from call to
    /// call until they are [hidden](Guest::hide) or the region is dropped, and gives their
    /// address. Nothing is copied. The guest finds them there only: it cannot use the
    /// region's pointer, unless the region was [granted](Guest::grant) as well.
    ///
    /// Whole pages are shown, so what shares the first and the last one with the bytes is as
    /// well. To the guest they are a slice, which nobody changes while it is shown: if the
    /// host, or another guest, wants to write the region, this one finds nothing there any
    /// more.
    ///
    /// ```
    /// # fn main() -> Result<(), genkan_host::Error> {
    /// # let text = br#"(module (memory (export "memory") 1)
    /// #     (func (export "first") (param i32) (result i32)
    /// #         (i32.load8_u (local.get 0))))"#;
    /// use genkan_host::{Access, Engine, Guest, Region};
    ///
    /// # let bytes = wat::parse_bytes(text).unwrap();
    /// let mut guest = Guest::new(&Engine::default().compile(&bytes)?)?;
    /// let region = Region::copy_of(b"hello")?;
    /// let address = guest.show(&region, 1..5, Access::Read)?;
    /// assert_eq!(guest.call::<i32>("first", (address,))?, i32::from(b'e'));
    /// guest.hide(address)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Pointer`] for bytes that are not in the region, and to write one that was
    /// shown or granted to be read; [`Error::Window`] where there is no room, or another
    /// window is in the way; [`Error::RegionReadOnly`]; [`Error::GuestTooOld`];
    /// [`Error::Memory`].
    pub fn show(
        &mut self,
        region: &Region,
        bytes: Range<usize>,
        access: Access,
    ) -> Result<u32, Error> {
        self.live.show(region, bytes, access)
    }

    /// Takes a window away that [`Guest::show`] made; the guest finds nothing there then.
    ///
    /// # Errors
    /// [`Error::Window`] if there is none: a guest may take its windows away itself.
    pub fn hide(&mut self, address: u32) -> Result<(), Error> {
        self.live.space.hide(address)
    }

    /// Calls an exported function.
    ///
    /// For one that says its types, as `#[genkan_guest::export]` makes it, the
    /// arguments are a tuple of [`Argument`](crate::Argument)s. Text and rows of
    /// numbers go in with one copy, a region with none, and a result of any length
    /// comes out without a second call:
    ///
    /// ```no_run
    /// # #[derive(serde::Serialize)] struct Config {}
    /// # fn main() -> Result<(), genkan_host::Error> {
    /// # let mut guest = genkan_host::Guest::new(&genkan_host::Engine::default().load("")?)?;
    /// # let config = Config {};
    /// let text: String = guest.call("transform", ("a document", &config))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Any other is called with numbers: in a tuple too, or as a slice of
    /// [`Value`](crate::Value)s, to which each integer type of Rust's is converted as
    /// Rust's ABI wants it, so a `u8` parameter is given as a `u8`.
    ///
    /// # Errors
    /// [`Error::NoSuchExport`]; [`Error::Mismatch`], [`Error::ArgumentCount`],
    /// [`Error::Argument`] and [`Error::Results`] for other types than its own;
    /// [`Error::Encode`], [`Error::NoRoom`] and [`Error::Answer`];
    /// [`Error::Returned`]; [`Error::RegionInUse`] while the host holds a region's
    /// bytes; and whatever the guest ends in.
    pub fn call<R: Results>(&mut self, name: &str, args: impl Arguments) -> Result<R, Error> {
        let exports = Arc::clone(&self.live.exports);
        self.run(|store| exports.call_by_name(store, name, &args))
    }

    /// Looks an exported function up and checks its types, once for many calls.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), genkan_host::Error> {
    /// # let mut guest = genkan_host::Guest::new(&genkan_host::Engine::default().load("")?)?;
    /// let greet = guest.function::<(&str,), String>("greet")?;
    /// for name in ["Ada", "Grace"] {
    ///     println!("{}", greet.call(&mut guest, (name,))?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSuchExport`], [`Error::Mismatch`], [`Error::ArgumentCount`].
    pub fn function<A: Arguments, R: Results>(&self, name: &str) -> Result<Function<A, R>, Error> {
        self.live.exports.function(&*self.live.store, name)
    }

    /// What functions of the host's keep of this guest, if it is an `S`.
    pub fn state<S: 'static>(&mut self) -> Option<&mut S> {
        self.live.state().given.user.downcast_mut()
    }

    /// How much fuel is left; `None` if it was made without [`crate::Limits::fuel`].
    pub fn fuel(&self) -> Option<u64> {
        let left = self.recipe.stop.words().fuel();
        self.recipe
            .checks
            .fuel
            .then(|| u64::try_from(left).unwrap_or(0))
    }

    /// Gives the guest this much fuel, whatever it has left; at most 2^63 - 1.
    ///
    /// # Errors
    /// [`Error::Unchecked`] if it was made without [`crate::Limits::fuel`].
    pub fn set_fuel(&mut self, fuel: u64) -> Result<(), Error> {
        if !self.recipe.checks.fuel {
            return Err(Error::Unchecked("fuel"));
        }
        self.recipe.stop.words().set_fuel(clamp(fuel));
        Ok(())
    }

    /// Gives each of the guest's calls to come this long.
    ///
    /// # Errors
    /// [`Error::Unchecked`] as for [`Guest::canceller`].
    pub fn set_deadline(&mut self, deadline: Duration) -> Result<(), Error> {
        match self.recipe.stop.set_deadline(deadline) {
            true => Ok(()),
            false => Err(Error::Unchecked("a deadline")),
        }
    }

    /// What ends a call of this guest's from any thread, while it runs or before.
    ///
    /// # Errors
    /// [`Error::Unchecked`] if it was made with neither [`crate::Limits::interruptible`] nor a
    /// deadline, nor a profile.
    pub fn canceller(&self) -> Result<Canceller, Error> {
        Canceller::new(&self.recipe.stop).ok_or(Error::Unchecked("cancelling"))
    }

    /// Its memory, once nothing else is left of it.
    pub(crate) fn into_memory(self) -> Option<Arc<MemoryState>> {
        self.live.space.memory.get().cloned()
    }

    fn run<R>(&mut self, call: impl FnOnce(&mut Store) -> Result<R, Error>) -> Result<R, Error> {
        // Before anything is taken that a call takes: a cancellation is for one that runs.
        self.live.exports.check()?;
        let running = self.live.space.enter()?;
        faults::take();
        faults::prepare_thread();
        stack::forget();
        let faults = fault_ranges(&self.live.space);
        let stop = self.recipe.stop.enter()?;
        let outcome = call(&mut self.live.store);
        drop((stop, faults, running));
        if matches!(outcome, Err(Error::Cancelled(_))) {
            self.recipe.stop.cancelled();
        }
        outcome
    }
}

impl<A: Arguments, R: Results> Function<A, R> {
    /// Calls it.
    ///
    /// # Errors
    /// [`Error::OtherGuest`] for another guest than the one that it is of; and those
    /// of [`Guest::call`].
    pub fn call(&self, guest: &mut Guest, args: A::Of<'_>) -> Result<R, Error> {
        let exports = Arc::clone(&guest.live.exports);
        guest.run(|store| exports.call(store, self, &args))
    }
}
