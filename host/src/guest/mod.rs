//! Guests: instances of modules, and calls into them.

mod deadline;
mod outcome;
mod setup;

pub use setup::Setup;

use crate::engine::Module;
use crate::imports::{Binder, Needs, State, Wasi};
use crate::regions::{Region, Space};
use crate::sys::{Bounds, GuestTunables, faults};
use crate::types::{Access, BoxError, Error, Limits, Results, Signature, Trace, Value, ValueType};
use deadline::Watched;
use outcome::{explain, memory_limit};
use std::fmt;
use std::sync::Arc;
use wasmer::sys::NativeEngineExt;
use wasmer::{Function, FunctionEnv, FunctionType, ImportType, Instance, Store, WASM_PAGE_SIZE};
use wasmer_middlewares::metering::{MeteringPoints, get_remaining_points, set_remaining_points};

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
    instance: Instance,
    space: Arc<Space>,
    limits: Limits,
    module: Module,
    _functions: FunctionEnv<State>,
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Guest {
    /// Instantiates a module, without limits.
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
            args,
            env,
            stdout,
            stderr,
        } = setup;
        let imports: Vec<ImportType> = module.module.imports().collect();
        let needs = Needs::of(&imports, &functions)?;
        check_limits(module, &limits)?;
        let space = Space::new(needs.access || needs.copy)?;

        let tunables = GuestTunables::new(bounds(&limits), Arc::clone(&space.memory));
        let mut engine = module.wasmer.clone();
        engine.set_tunables(tunables.clone());
        let mut store = Store::new(engine);
        faults::watch(&mut store);

        let wasi = Wasi {
            args,
            env,
            stdout,
            stderr,
        };
        let state = State {
            space: Arc::clone(&space),
            memory: None,
            wasi,
        };
        let env = FunctionEnv::new(&mut store, state);
        let mut binder = Binder {
            store: &mut store,
            env: &env,
            module,
            tunables: &tunables,
            space: &space,
        };
        let externs = binder.bind(&imports, &needs, &functions)?;

        let guard = Guard::begin(&store, &limits);
        let instance = Instance::new_by_index(&mut store, &module.module, &externs);
        let timed_out = guard.is_over();
        drop(guard);
        let instance = instance.map_err(|error| match error {
            wasmer::InstantiationError::Start(error) => explain(error, &space, &limits, timed_out),
            other => Error::Instantiate(BoxError::from(other)),
        })?;
        if needs.memory.is_none()
            && let Some(memory) = instance.exports.iter().memories().next()
        {
            env.as_mut(&mut store).memory = Some(memory.1.clone());
        }
        let mut guest = Self {
            store,
            instance,
            space,
            limits,
            module: module.clone(),
            _functions: env,
        };
        if let Some(fuel) = guest.limits.fuel {
            guest.set_fuel(fuel);
        }
        Ok(guest)
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

    /// Calls an exported function. Each integer type of Rust's is converted as
    /// Rust's ABI wants it, so a `u8` parameter is given as a `u8`.
    ///
    /// # Errors
    /// [`Error::NoSuchExport`], [`Error::ArgumentCount`], [`Error::Argument`],
    /// [`Error::Results`]; [`Error::RegionInUse`] while the host holds a region's
    /// bytes; and whatever the guest ends in.
    pub fn call<R: Results>(&mut self, name: &str, args: &[Value]) -> Result<R, Error> {
        let function = self.function(name)?;
        let signature = || Signature::of(name, &function.ty(&self.store));
        check_arguments(signature, &function.ty(&self.store), args)?;
        let values = self.run(&function, args)?;
        R::from_values(&values).ok_or_else(|| Error::Results {
            function: Signature::of(name, &function.ty(&self.store)),
            expected: R::NAME,
        })
    }

    /// How much fuel is left; `None` if the engine does not meter.
    pub fn fuel(&mut self) -> Option<u64> {
        if !self.module.metered {
            return None;
        }
        Some(
            match get_remaining_points(&mut self.store, &self.instance) {
                MeteringPoints::Remaining(points) => points,
                MeteringPoints::Exhausted => 0,
            },
        )
    }

    /// Gives the guest this much fuel, whatever it has left. Without effect if the
    /// engine does not meter.
    pub fn set_fuel(&mut self, fuel: u64) {
        if self.module.metered {
            set_remaining_points(&mut self.store, &self.instance, fuel);
        }
    }

    fn function(&self, name: &str) -> Result<Function, Error> {
        let function = self.instance.exports.get_function(name);
        function
            .cloned()
            .map_err(|_| self.module.no_such_export(name))
    }

    fn run(&mut self, function: &Function, args: &[Value]) -> Result<Vec<Value>, Error> {
        let args: Vec<_> = args.iter().map(|value| value.to_wasm()).collect();
        let running = self.space.enter()?;
        faults::take();
        let guard = Guard::begin(&self.store, &self.limits);
        let outcome = function.call(&mut self.store, &args);
        let timed_out = guard.is_over();
        drop((guard, running));
        match outcome {
            Ok(values) => Ok(values.iter().filter_map(Value::from_wasm).collect()),
            Err(_) if self.fuel() == Some(0) => Err(Error::OutOfFuel),
            Err(error) => Err(explain(error, &self.space, &self.limits, timed_out)),
        }
    }
}

/// Has a running guest interrupted at its deadline.
struct Guard(Option<Watched>);

impl Guard {
    fn begin(store: &Store, limits: &Limits) -> Self {
        let watch = |limit| deadline::watch(store.interrupter(), limit);
        Self(limits.deadline.and_then(watch))
    }

    fn is_over(&self) -> bool {
        self.0.as_ref().is_some_and(Watched::is_over)
    }
}

fn check_arguments(
    function: impl Fn() -> Signature,
    ty: &FunctionType,
    args: &[Value],
) -> Result<(), Error> {
    let params = ty.params();
    if params.len() != args.len() {
        return Err(Error::ArgumentCount {
            function: function(),
            found: args.len(),
        });
    }
    for (index, (param, arg)) in params.iter().zip(args).enumerate() {
        if ValueType::of(*param) != arg.ty() {
            return Err(Error::Argument {
                index: index + 1,
                function: function(),
                found: arg.ty(),
            });
        }
    }
    Ok(())
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

fn check_limits(module: &Module, limits: &Limits) -> Result<(), Error> {
    let info = module.module.info();
    let memories = info.memories.values();
    if memories.len() > 1 {
        return Err(Error::Compile("it has more than one memory".into()));
    }
    for memory in memories {
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
