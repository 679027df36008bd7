//! Guests: instances of modules, and calls into them.

use crate::deadline::{self, Watched};
use crate::engine::Module;
use crate::error::{Error, Trace};
use crate::functions::{Functions, State};
use crate::imports::{Binder, Needs};
use crate::map::{GuestTunables, faults};
use crate::outcome::{explain, memory_limit};
use crate::region::{Access, Region};
use crate::space::Space;
use crate::value::{Results, Value};
use crate::wasi::Wasi;
use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use wasmer::sys::NativeEngineExt;
use wasmer::{Function, FunctionEnv, FunctionType, ImportType, Instance, Store};
use wasmer_middlewares::metering::{MeteringPoints, get_remaining_points, set_remaining_points};

/// What a guest may use. The default is everything that the engine can give.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// How many instructions it may execute, all calls together, if its engine
    /// is [`metered`](crate::Config::metered). Ends in [`Error::OutOfFuel`].
    pub fuel: Option<u64>,
    /// How long each call may take, by the clock; and its start. Ends in
    /// [`Error::Deadline`].
    pub deadline: Option<Duration>,
    /// How many bytes of memory it may have of its own, without its windows; full
    /// pages of 64 KiB count. `memory.grow` beyond it gives -1, and if the guest
    /// traps then, that is [`Error::MemoryLimit`].
    pub memory: Option<u64>,
    /// How many elements its tables may have, each. `table.grow` beyond it gives
    /// -1; a table that begins with more is [`Error::TableLimit`].
    pub table: Option<u32>,
    /// How many bytes of the native stack it may use: at least 64 KiB, 1 MiB if it
    /// is not given. Ends in [`Error::StackOverflow`].
    pub stack: Option<usize>,
}

/// What a guest is given when it is instantiated.
pub struct Setup {
    /// What it may use.
    pub limits: Limits,
    /// Functions of yours that it may import.
    pub functions: Functions,
    /// Its program arguments, for WASI; the first is the program's name.
    pub args: Vec<String>,
    /// Its environment variables, for WASI.
    pub env: Vec<(String, String)>,
    /// Where its standard output goes; to the process's if nothing else is said.
    pub stdout: Box<dyn Write + Send>,
    /// Where its standard error goes; to the process's if nothing else is said.
    pub stderr: Box<dyn Write + Send>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            functions: Functions::default(),
            args: vec!["guest".into()],
            env: Vec::new(),
            stdout: Box::new(std::io::stdout()),
            stderr: Box::new(std::io::stderr()),
        }
    }
}

/// An instance of a module, with what it was granted. It stays on the thread that it
/// was made on; modules and regions can be shared between threads.
///
/// ```
/// # fn main() -> Result<(), host::Error> {
/// use host::{Access, Engine, Guest, Region};
///
/// let module = Engine::default().compile(br#"(module
///     (import "env" "read" (func $read (param i64 i32) (result i32)))
///     (func (export "second") (param i64) (result i32)
///         (call $read (local.get 0) (i32.const 1))))"#)?;
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

        let tunables = GuestTunables::new(&limits, Arc::clone(&space));
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
            other => Error::Instantiate(other.to_string()),
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
        self.space.revoke(region.shared().tag());
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
        let ty = function.ty(&self.store);
        check_arguments(name, &ty, args)?;
        let values = self.run(&function, args)?;
        R::from_values(&values).ok_or_else(|| Error::Results {
            function: describe(name, &ty),
            expected: R::NAME,
        })
    }

    /// Reads a function's arguments as a command line gives them, but for its
    /// first `given` ones. [`Value::parse`] says how.
    ///
    /// # Errors
    /// [`Error::NoSuchExport`], [`Error::ArgumentCount`], [`Error::Argument`].
    pub fn parse_arguments(
        &self,
        name: &str,
        given: usize,
        args: &[String],
    ) -> Result<Vec<Value>, Error> {
        let ty = self.function(name)?.ty(&self.store);
        if ty.params().len() != given + args.len() {
            return Err(argument_count(name, &ty, given + args.len()));
        }
        let parse = |(index, (arg, param)): (usize, (&String, &wasmer::Type))| {
            Value::parse(arg, *param).map_err(|problem| Error::Argument {
                index: given + index + 1,
                function: describe(name, &ty),
                problem,
            })
        };
        args.iter()
            .zip(&ty.params()[given..])
            .enumerate()
            .map(parse)
            .collect()
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

fn check_arguments(name: &str, ty: &FunctionType, args: &[Value]) -> Result<(), Error> {
    let params = ty.params();
    if params.len() != args.len() {
        return Err(argument_count(name, ty, args.len()));
    }
    for (index, (param, arg)) in params.iter().zip(args).enumerate() {
        if *param != arg.ty() {
            return Err(Error::Argument {
                index: index + 1,
                function: describe(name, ty),
                problem: format!("it is an {}, not an {param}", arg.ty()),
            });
        }
    }
    Ok(())
}

/// The error for a wrong number of arguments.
fn argument_count(name: &str, ty: &FunctionType, found: usize) -> Error {
    let count = |n: usize| match n {
        1 => "1 argument".to_string(),
        n => format!("{n} arguments"),
    };
    Error::ArgumentCount {
        function: describe(name, ty),
        expected: count(ty.params().len()),
        found: match found {
            1 => "1 was".into(),
            n => format!("{n} were"),
        },
    }
}

/// `name(i64, i32) -> i32`.
pub(crate) fn describe(name: &str, ty: &FunctionType) -> String {
    let list = |types: &[wasmer::Type]| {
        let types: Vec<_> = types
            .iter()
            .map(|ty| ty.to_string().to_lowercase())
            .collect();
        types.join(", ")
    };
    let params = list(ty.params());
    match ty.results() {
        [] => format!("{name}({params})"),
        [one] => format!("{name}({params}) -> {}", list(&[*one])),
        results => format!("{name}({params}) -> ({})", list(results)),
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
