//! Guests: instances of modules, and calls into them.

mod outcome;
mod setup;

pub use setup::Setup;

use crate::backtrace::Trace;
use crate::calls::{Arguments, Results};
use crate::engine::{Module, Variant, VariantOrigin};
use crate::imports::{Binder, Called, Ended, Exports, Function, Needs, State, Wasi};
use crate::regions::{Region, Space};
use crate::rewrite::{Checks, Pass};
use crate::stop::{self, Canceller, Stop};
use crate::sys::{Bounds, GuestTunables, MemoryState, faults};
use crate::types::{Access, BoxError, Error, Limits};
use outcome::{explain, memory_limit};
use std::fmt;
use std::sync::{Arc, OnceLock};
use wasmer::sys::NativeEngineExt;
use wasmer::{FunctionEnv, Instance, Store, WASM_PAGE_SIZE};

/// An instance of a module, with what it was granted. It stays on the thread that it
/// was made on; modules and regions can be shared between threads.
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
    store: Store,
    space: Arc<Space>,
    limits: Limits,
    module: Module,
    stop: Arc<Stop>,
    checks: Checks,
    functions: FunctionEnv<State>,
    exports: Arc<Exports>,
    ended: Ended,
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Guest {
    /// Instantiates a module, within the default [`Limits`].
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
        let Setup {
            limits,
            functions,
            state: user,
            args,
            env,
            stdout,
            stderr,
        } = setup;
        let mut checks = Checks::of(&limits);
        checks.interrupt |= stop::inside_of_interruptible();
        let imports = module.imports();
        let needs = Needs::of(&imports, &functions)?;
        let pass = Pass {
            checks,
            inline: !needs.replaced,
        };
        let variant = module.variant(pass)?;
        check_limits(variant, &limits)?;
        let stop = Stop::new(checks.interrupt, limits.deadline);
        if let Some(fuel) = limits.fuel {
            stop.words().set_fuel(clamp(fuel));
        }
        let space = Space::new(needs.access || needs.copy, variant.inlines())?;

        let tunables = GuestTunables::new(bounds(&limits), Arc::clone(&space.memory));
        let mut engine = variant.wasmer.clone();
        engine.set_tunables(tunables.clone());
        let mut store = Store::new(engine);
        faults::watch(&mut store);

        let wasi = Wasi {
            args,
            env,
            stdout,
            stderr,
        };
        let ended = ended(module, pass, &limits);
        let state = State {
            space: Arc::clone(&space),
            memory: None,
            wasi,
            stop: Arc::clone(&stop),
            counted: checks.fuel,
            exports: OnceLock::new(),
            user,
            ended: Arc::clone(&ended),
            waiting: Vec::new(),
        };
        let env = FunctionEnv::new(&mut store, state);
        let mut binder = Binder {
            store: &mut store,
            env: &env,
            module,
            tunables: &tunables,
            space: &space,
        };
        let mut externs = binder.bind(&imports, &needs, &functions)?;
        externs.extend(binder.bind_added(variant, imports.len(), stop.words())?);

        let faults = fault_ranges(&space);
        let running = stop.enter()?;
        let instance = Instance::new_by_index(&mut store, &variant.module, &externs);
        drop((running, faults));
        let instance = instance.map_err(|error| match error {
            wasmer::InstantiationError::Start(error) => ended(error, &space),
            other => Error::Instantiate(BoxError::from(other)),
        })?;
        if needs.memory.is_none()
            && let Some(memory) = instance.exports.iter().memories().next()
        {
            env.as_mut(&mut store).memory = Some(memory.1.clone());
        }
        let exports = Exports::new(instance, module.clone(), Arc::clone(&space));
        let _ = env.as_ref(&store).exports.set(Arc::clone(&exports));
        Ok(Self {
            store,
            space,
            limits,
            module: module.clone(),
            stop,
            checks,
            functions: env,
            exports,
            ended,
        })
    }

    /// What it is an instance of.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Grants a region: from now on, the guest may use its pointer, until the
    /// region is dropped, or granted again with another access.
    ///
    /// # Errors
    /// [`Error::RegionReadOnly`] for a mapped file to write;
    /// [`Error::RegionSpaceFull`]; [`Error::Memory`].
    pub fn grant(&mut self, region: &Region, access: Access) -> Result<(), Error> {
        self.space.grant(region, access)
    }

    /// Takes a region back from this guest alone.
    pub fn revoke(&mut self, region: &Region) {
        self.space.take_back(region);
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
        let exports = Arc::clone(&self.exports);
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
        self.exports.function(&self.store, name)
    }

    /// What functions of the host's keep of this guest, if it is an `S`.
    pub fn state<S: 'static>(&mut self) -> Option<&mut S> {
        self.functions.as_mut(&mut self.store).user.downcast_mut()
    }

    /// How much fuel is left; `None` if it was made without [`Limits::fuel`].
    pub fn fuel(&self) -> Option<u64> {
        let left = self.stop.words().fuel();
        self.checks.fuel.then(|| u64::try_from(left).unwrap_or(0))
    }

    /// Gives the guest this much fuel, whatever it has left; at most 2^63 - 1.
    ///
    /// # Errors
    /// [`Error::Unchecked`] if it was made without [`Limits::fuel`].
    pub fn set_fuel(&mut self, fuel: u64) -> Result<(), Error> {
        if !self.checks.fuel {
            return Err(Error::Unchecked("fuel"));
        }
        self.stop.words().set_fuel(clamp(fuel));
        Ok(())
    }

    /// What ends a call of this guest's from any thread, while it runs or before.
    ///
    /// # Errors
    /// [`Error::Unchecked`] if it was made with neither [`Limits::interruptible`] nor a
    /// deadline.
    pub fn canceller(&self) -> Result<Canceller, Error> {
        Canceller::new(&self.stop).ok_or(Error::Unchecked("cancelling"))
    }

    fn run<R>(&mut self, call: impl FnOnce(&mut Store) -> Called<R>) -> Result<R, Error> {
        let running = self.space.enter()?;
        faults::take();
        let faults = fault_ranges(&self.space);
        let stop = self.stop.enter()?;
        let outcome = call(&mut self.store);
        drop((stop, faults, running));
        outcome.unwrap_or_else(|error| {
            let error = (self.ended)(error, &self.space);
            if matches!(error, Error::Cancelled(_)) {
                self.stop.cancelled();
            }
            Err(error)
        })
    }
}

impl<A: Arguments, R: Results> Function<A, R> {
    /// Calls it.
    ///
    /// # Errors
    /// [`Error::OtherGuest`] for another guest than the one that it is of; and those
    /// of [`Guest::call`].
    pub fn call(&self, guest: &mut Guest, args: A::Of<'_>) -> Result<R, Error> {
        let exports = Arc::clone(&guest.exports);
        guest.run(|store| exports.call(store, self, &args))
    }
}

/// Tells the signal handlers where the guest may fault.
fn fault_ranges(space: &Space) -> faults::Running {
    let of = |memory: &Arc<MemoryState>| memory.addresses();
    faults::enter([space.regions.as_ref().map(of), space.memory.get().map(of)])
}

/// Says what a run of such a guest ended in.
fn ended(module: &Module, pass: Pass, limits: &Limits) -> Ended {
    let limits = limits.clone();
    let origin = VariantOrigin::new(module, pass);
    Arc::new(move |error, space| explain(error, space, &limits, &origin))
}

/// Fuel as the guest's code counts it.
fn clamp(fuel: u64) -> i64 {
    i64::try_from(fuel).unwrap_or(i64::MAX)
}

fn bounds(limits: &Limits) -> Bounds {
    let pages = limits
        .memory
        .map_or(u64::MAX, |bytes| bytes / WASM_PAGE_SIZE as u64);
    Bounds {
        memory_pages: u32::try_from(pages).unwrap_or(u32::MAX),
        table: limits.table,
        stack: limits.stack,
    }
}

fn check_limits(variant: &Variant, limits: &Limits) -> Result<(), Error> {
    let info = variant.module.info();
    for memory in variant.guest_memories() {
        if limits
            .memory
            .is_some_and(|limit| memory.minimum.bytes().0 as u64 > limit)
        {
            return Err(memory_limit(limits, Trace::default()));
        }
    }
    for table in info.tables.values() {
        if let Some(limit) = limits.table
            && table.minimum > limit
        {
            return Err(Error::TableLimit { limit });
        }
    }
    Ok(())
}
