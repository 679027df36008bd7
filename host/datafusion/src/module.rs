//! Modules with functions over columns, and what their guests may use.

use crate::Error;
use crate::signature::{self, Kind, Signature};
use genkan_host::{Checks, Config, Engine, Limits, Module, Pool, PoolLimits, Setup, ValueType};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// What guests are made with, and what a query may cost.
#[derive(Clone)]
#[non_exhaustive]
pub struct GuestOptions {
    /// How modules are compiled; with a [cache](genkan_host::Config::cache), one that was
    /// compiled before is there in milliseconds. The checks are those that the limits need.
    pub config: Config,
    /// What one guest may use, apart from time and fuel: the default is genkan-host's.
    pub limits: Limits,
    /// How long a function may take for a batch.
    pub batch_deadline: Option<Duration>,
    /// How long the functions of a query may take together, from the first batch on, by the
    /// clock.
    pub query_deadline: Option<Duration>,
    /// How many instructions a function may execute for a batch.
    pub batch_fuel: Option<u64>,
    /// How many instructions the functions of a query may execute together.
    pub query_fuel: Option<u64>,
    /// How many guests there may be at a time: each thread that works for a query has one,
    /// and each aggregate of each partition.
    pub guests: usize,
    setup: Arc<dyn Fn() -> Setup + Send + Sync>,
}

impl Default for GuestOptions {
    fn default() -> Self {
        let setup = || {
            let setup = Setup::new();
            setup.stdout(std::io::sink()).stderr(std::io::sink())
        };
        Self {
            config: Config::default(),
            limits: Limits::default(),
            batch_deadline: None,
            query_deadline: None,
            batch_fuel: None,
            query_fuel: None,
            guests: 1024,
            setup: Arc::new(setup),
        }
    }
}

impl fmt::Debug for GuestOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestOptions")
            .field("limits", &self.limits)
            .field("batch_deadline", &self.batch_deadline)
            .field("query_deadline", &self.query_deadline)
            .field("batch_fuel", &self.batch_fuel)
            .field("query_fuel", &self.query_fuel)
            .finish_non_exhaustive()
    }
}

impl GuestOptions {
    /// The default: no bounds on time, and guests that print nowhere.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`GuestOptions::config`].
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets [`GuestOptions::limits`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets [`GuestOptions::batch_deadline`].
    #[must_use]
    pub fn batch_deadline(mut self, time: Duration) -> Self {
        self.batch_deadline = Some(time);
        self
    }

    /// Sets [`GuestOptions::query_deadline`].
    #[must_use]
    pub fn query_deadline(mut self, time: Duration) -> Self {
        self.query_deadline = Some(time);
        self
    }

    /// Sets [`GuestOptions::batch_fuel`].
    #[must_use]
    pub fn batch_fuel(mut self, instructions: u64) -> Self {
        self.batch_fuel = Some(instructions);
        self
    }

    /// Sets [`GuestOptions::query_fuel`].
    #[must_use]
    pub fn query_fuel(mut self, instructions: u64) -> Self {
        self.query_fuel = Some(instructions);
        self
    }

    /// What each guest is given: functions of yours, output streams. Its limits are
    /// replaced by [`GuestOptions::limits`].
    #[must_use]
    pub fn setup(mut self, setup: impl Fn() -> Setup + Send + Sync + 'static) -> Self {
        self.setup = Arc::new(setup);
        self
    }

    /// What a guest is made with.
    pub(crate) fn make_setup(&self) -> Setup {
        (self.setup)().limits(self.all_limits())
    }

    /// With the checks that time and fuel need; how much there is of them is said before
    /// each call.
    fn all_limits(&self) -> Limits {
        let mut limits = self.limits.clone().interruptible(true);
        if self.has_deadline() {
            limits.deadline = limits.deadline.or(Some(Duration::MAX));
        }
        if self.has_fuel() {
            limits.fuel = limits.fuel.or(Some(u64::MAX));
        }
        limits
    }

    pub(crate) fn has_deadline(&self) -> bool {
        self.batch_deadline.or(self.query_deadline).is_some()
    }

    pub(crate) fn has_fuel(&self) -> bool {
        self.batch_fuel.or(self.query_fuel).is_some()
    }
}

/// A module with functions over columns. Cheap to clone.
#[derive(Clone)]
pub struct GuestModule(Arc<Inner>);

/// A module, for as long as somebody else has it.
#[derive(Debug)]
pub(crate) struct WeakModule(Weak<Inner>);

impl WeakModule {
    pub(crate) fn upgrade(&self) -> Option<GuestModule> {
        self.0.upgrade().map(GuestModule)
    }
}

struct Inner {
    module: Module,
    hash: [u8; 32],
    functions: Vec<Arc<Signature>>,
    options: GuestOptions,
    pool: Pool,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestModule")
            .field("functions", &self.functions)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for GuestModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl GuestModule {
    /// Loads a module from a file.
    ///
    /// # Errors
    /// [`Error::Load`], [`Error::NoFunctions`], [`Error::Section`], [`Error::Export`].
    pub fn load(path: impl AsRef<Path>, options: GuestOptions) -> Result<Self, Error> {
        let path = path.as_ref();
        let failed = |source| Error::Load {
            path: path.into(),
            source: Box::new(source),
        };
        let checks = Checks::of(&options.all_limits());
        let engine = Engine::new(options.config.clone().checks(checks)).map_err(failed)?;
        let module = engine.load(path).map_err(failed)?;
        Self::new(&module, options)
    }

    /// Takes a module that was compiled already, by an engine with the checks that functions
    /// of a query need, which can be ended: else it is compiled once more.
    ///
    /// # Errors
    /// [`Error::NoFunctions`], [`Error::Section`], [`Error::Export`].
    pub fn new(module: &Module, options: GuestOptions) -> Result<Self, Error> {
        let sections = module.custom_sections(signature::SECTION);
        let functions = signature::parse(&sections)?;
        for function in &functions {
            check_exports(module, function)?;
        }
        // With its checks, before the first query waits for it.
        let prepared = module.prepare(&options.all_limits());
        prepared.map_err(|source| Error::Load {
            path: "the module".into(),
            source: Box::new(source),
        })?;
        let kept = std::thread::available_parallelism().map_or(1, usize::from);
        let limits = PoolLimits::new().guests(options.guests).kept(kept);
        Ok(Self(Arc::new(Inner {
            hash: Sha256::digest(module.bytes()).into(),
            pool: Pool::new(module, limits),
            module: module.clone(),
            functions: functions.into_iter().map(Arc::new).collect(),
            options,
        })))
    }

    /// Its functions, in the module's order.
    pub fn functions(&self) -> &[Arc<Signature>] {
        &self.0.functions
    }

    /// Its bytes, and what guests of it are made with: enough to make it elsewhere.
    pub fn module(&self) -> &Module {
        &self.0.module
    }

    /// The SHA-256 of its bytes.
    pub fn hash(&self) -> [u8; 32] {
        self.0.hash
    }

    /// Whether it is the same, and not only one of the same bytes.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn downgrade(&self) -> WeakModule {
        WeakModule(Arc::downgrade(&self.0))
    }

    pub(crate) fn options(&self) -> &GuestOptions {
        &self.0.options
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.0.pool
    }

    pub(crate) fn hash_text(&self) -> String {
        self.0
            .hash
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// The parts of an aggregate, with their types.
const AGGREGATE: [(&str, usize, usize); 8] = [
    ("new", 0, 1),
    ("update", 2, 1),
    ("merge", 2, 1),
    ("state", 2, 1),
    ("finish", 2, 1),
    ("remove", 2, 0),
    ("size", 1, 1),
    ("drop", 1, 0),
];

fn check_exports(module: &Module, function: &Signature) -> Result<(), Error> {
    check_export(module, "genkan_alloc".into(), 1, 1)?;
    check_export(module, "genkan_free".into(), 2, 0)?;
    let name = &function.name;
    match function.kind {
        Kind::Scalar => check_export(module, format!("column:{name}"), 1, 1),
        Kind::Aggregate => AGGREGATE.iter().try_for_each(|(part, params, results)| {
            check_export(module, format!("column:{name}:{part}"), *params, *results)
        }),
    }
}

/// Checks that a function is there which takes and gives so many `i32`.
fn check_export(module: &Module, name: String, params: usize, results: usize) -> Result<(), Error> {
    let words = |types: &[ValueType], count| {
        types.len() == count && types.iter().all(|ty| *ty == ValueType::I32)
    };
    let found = module.exported(&name);
    if found.is_ok_and(|it| words(&it.params, params) && words(&it.results, results)) {
        return Ok(());
    }
    let expected = match (params, results) {
        (0, _) => "() -> i32",
        (1, 0) => "(i32)",
        (1, _) => "(i32) -> i32",
        (_, 0) => "(i32, i32)",
        _ => "(i32, i32) -> i32",
    };
    Err(Error::Export {
        export: name,
        expected,
    })
}
