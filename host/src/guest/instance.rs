//! The instance that a guest is, until it is reset.

use super::outcome::{explain, memory_limit};
use super::setup::Reused;
use crate::backtrace::Trace;
use crate::engine::{Module, Variant, VariantOrigin};
use crate::files::Descriptors;
use crate::imports::{Binder, Ended, Exports, Functions, Given, Needs, State};
use crate::profile::Profile;
use crate::regions::Space;
use crate::rewrite::{Checks, Pass};
use crate::stop::Stop;
use crate::sys::{Bounds, GuestTunables, MemoryState, MovableStore, Origin, faults};
use crate::types::{BoxError, Error, Limits};
use std::sync::{Arc, OnceLock};
use wasmer::sys::NativeEngineExt;
use wasmer::{FunctionEnv, FunctionEnvMut, Instance, Store, WASM_PAGE_SIZE};

/// What a guest is made from, each time that it is made anew.
pub(super) struct Recipe {
    pub(super) module: Module,
    pub(super) limits: Limits,
    functions: Functions,
    profile: Option<Profile>,
    pub(super) checks: Checks,
    pub(super) stop: Arc<Stop>,
}

/// An instance, with what it was granted.
pub(super) struct Live {
    pub(super) store: MovableStore,
    pub(super) space: Arc<Space>,
    functions: FunctionEnv<State>,
    pub(super) exports: Arc<Exports>,
}

impl Live {
    /// What host functions know of it.
    pub(super) fn state(&mut self) -> &mut State {
        self.functions.as_mut(&mut *self.store)
    }

    /// The same, with the store.
    pub(super) fn env(&mut self) -> FunctionEnvMut<'_, State> {
        self.functions.clone().into_mut(&mut *self.store)
    }
}

impl Recipe {
    pub(super) fn new(module: &Module, setup: Reused, checks: Checks, stop: Arc<Stop>) -> Self {
        Self {
            module: module.clone(),
            limits: setup.limits,
            functions: setup.functions,
            profile: setup.profile,
            checks,
            stop,
        }
    }

    /// Makes an instance, which takes what is in `given`; if it fails, that is there
    /// again.
    pub(super) fn instantiate(&self, given: &mut Given, memory: Origin) -> Result<Live, Error> {
        let imports = self.module.imports();
        let needs = Needs::of(imports, &self.functions)?;
        let variant = self.module.variant(Pass {
            checks: self.checks,
            inline: !needs.replaced,
        })?;
        check_limits(variant, &self.limits)?;
        if let Some(fuel) = self.limits.fuel {
            self.stop.words().set_fuel(clamp(fuel));
        }
        let space = Space::new(needs.access || needs.copy, variant.inlines())?;
        let tunables = GuestTunables::new(bounds(&self.limits), Arc::clone(&space.memory), memory);
        let mut engine = variant.wasmer.clone();
        engine.set_tunables(tunables.clone());
        let mut store = Store::new(engine);
        faults::watch(&mut store);

        let samples = self.profile.as_ref().map(|profile| {
            let origin = VariantOrigin::new(&self.module, variant.pass);
            profile.samples_of(origin)
        });
        let state = State {
            space: Arc::clone(&space),
            memory: None,
            descriptors: Descriptors::new(&given.wasi.dirs),
            given: std::mem::take(given),
            stop: Arc::clone(&self.stop),
            counted: self.checks.fuel,
            exports: OnceLock::new(),
            samples,
            waiting: Vec::new(),
        };
        let env = FunctionEnv::new(&mut store, state);
        let mut binder = Binder {
            store: &mut store,
            env: &env,
            module: &self.module,
            tunables: &tunables,
            space: &space,
        };
        match self.start(&mut binder, variant, &needs) {
            Ok(exports) => Ok(Live {
                store: MovableStore::new(store),
                space,
                functions: env,
                exports,
            }),
            Err(error) => {
                *given = std::mem::take(&mut env.as_mut(&mut store).given);
                Err(error)
            }
        }
    }

    /// Binds the imports, and runs the start function.
    fn start(
        &self,
        binder: &mut Binder<'_>,
        variant: &Variant,
        needs: &Needs,
    ) -> Result<Arc<Exports>, Error> {
        let mut externs = binder.bind(variant, needs, &self.functions)?;
        externs.extend(binder.bind_added(variant, self.stop.words())?);
        let Binder {
            store, env, space, ..
        } = binder;
        let ended = self.ended(variant.pass);
        let faults = fault_ranges(space);
        // A host function that its start function calls may grant regions.
        let using = space.enter()?;
        let running = self.stop.enter()?;
        let instance = Instance::new_by_index(store, &variant.module, &externs);
        drop((running, faults, using));
        let instance = instance.map_err(|error| match error {
            wasmer::InstantiationError::Start(error) => ended(error, space, &mut || None),
            other => Error::Instantiate(BoxError::from(other)),
        })?;
        if needs.memory.is_none()
            && let Some(memory) = instance.exports.iter().memories().next()
        {
            env.as_mut(store).memory = Some(memory.1.clone());
        }
        let exports = Exports::new(instance, self.module.clone(), Arc::clone(space), ended);
        let _ = env.as_ref(store).exports.set(Arc::clone(&exports));
        Ok(exports)
    }

    /// Says what a run ended in.
    fn ended(&self, pass: Pass) -> Ended {
        let limits = self.limits.clone();
        let origin = VariantOrigin::new(&self.module, pass);
        Arc::new(move |error, space, stack_pointer| {
            explain(error, space, &limits, &origin, stack_pointer)
        })
    }
}

/// Tells the signal handlers where the guest may fault.
pub(super) fn fault_ranges(space: &Space) -> faults::Running {
    let of = |memory: &Arc<MemoryState>| memory.addresses();
    faults::enter([space.regions.as_ref().map(of), space.memory.get().map(of)])
}

/// Fuel as the guest's code counts it.
pub(super) fn clamp(fuel: u64) -> i64 {
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
