//! Functions that the embedder offers.

use super::caller::Caller;
use super::ending::ended;
use super::offered::{HostFunction, Offered, bind, catch_panic};
use super::state::{Env, State};
use super::wasi;
use crate::backtrace::Trace;
use crate::calls::Declaration;
use crate::engine::Module;
use crate::types::{BoxError, Error, Mismatch, Value, ValueType};
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use wasmer::{Function, FunctionEnv, FunctionType, Store};

/// What a function of the embedder's returns.
pub type HostResult = Result<Vec<Value>, BoxError>;

type Callback = dyn Fn(&Caller<'_>, &[Value]) -> HostResult + Send + Sync;

/// Functions that the embedder offers to a guest, by module and name.
#[derive(Clone, Default)]
pub struct Functions(HashMap<(String, String), Offer>);

#[derive(Clone)]
enum Offer {
    /// It gets whatever values the guest passes.
    Values(Arc<Callback>),
    /// It has types, and so has the guest's import.
    Typed(Arc<dyn Offered>),
}

impl Functions {
    /// Offers a function. It gets the arguments of the type that the guest imports
    /// it with, and must return results of that type.
    ///
    /// When it fails or panics, the guest is stopped, and its call ends with
    /// [`Error::HostFunction`] or [`Error::HostPanic`].
    pub fn add(
        &mut self,
        module: &str,
        name: &str,
        function: impl Fn(&Caller<'_>, &[Value]) -> HostResult + Send + Sync + 'static,
    ) {
        self.0.insert(
            (module.into(), name.into()),
            Offer::Values(Arc::new(function)),
        );
    }

    /// Offers a function with Rust's types, in the module `host`, where guests look
    /// for what `#[genkan_guest::import]` declares. Its first parameter is the guest
    /// that calls it. That its types are those that the guest declares is checked
    /// when the guest is made.
    ///
    /// ```
    /// # use genkan_host::{Cx, Functions};
    /// # use std::collections::HashMap;
    /// type Table = HashMap<String, Vec<u8>>;
    /// let mut functions = Functions::default();
    /// functions.offer("lookup", |cx: &mut Cx<Table>, key: &str| -> Option<Vec<u8>> {
    ///     cx.state().get(key).cloned()
    /// });
    /// ```
    ///
    /// When it panics, or returns [`crate::Stop`], the guest is stopped, and its call
    /// ends with [`Error::HostPanic`] or [`Error::HostFunction`].
    pub fn offer<S, T>(&mut self, name: &str, function: impl HostFunction<S, T>) {
        self.offer_in("host", name, function);
    }

    /// As [`Functions::offer`], in another module.
    pub fn offer_in<S, T>(&mut self, module: &str, name: &str, function: impl HostFunction<S, T>) {
        let offer = Offer::Typed(function.offered().0);
        self.0.insert((module.into(), name.into()), offer);
    }

    /// Why a function that is offered with types cannot be the one that the guest
    /// imports.
    pub(crate) fn mismatch(
        &self,
        (module, name): (&str, &str),
        declared: Option<&Declaration>,
        state: &dyn Any,
    ) -> Option<Mismatch> {
        let Some(Offer::Typed(offered)) = self.0.get(&(module.into(), name.into())) else {
            return None;
        };
        let Some(declared) = declared else {
            return Some(Mismatch::Undeclared);
        };
        let (id, expected) = offered.state();
        if id != TypeId::of::<()>() && id != state.type_id() {
            return Some(Mismatch::State { expected });
        }
        offered.misfit(declared)
    }

    /// The functions of WASI's that a module imports and neither the host nor the embedder
    /// has, by their names: they are answered that they are not there, as sockets are. A program may never call them; one that does is told so.
    pub fn absent(&self, module: &Module) -> Vec<String> {
        let imports = module.imports().iter();
        let wasi = imports.filter(|import| import.module() == wasi::MODULE);
        let absent = wasi.filter(|import| {
            !wasi::is_present(import.name()) && !self.has(import.module(), import.name())
        });
        absent.map(|import| import.name().to_owned()).collect()
    }

    pub(crate) fn has(&self, module: &str, name: &str) -> bool {
        self.0.contains_key(&(module.into(), name.into()))
    }

    pub(crate) fn bind(
        &self,
        store: &mut Store,
        env: &FunctionEnv<State>,
        module: &str,
        name: &str,
        ty: &FunctionType,
        declared: Option<&Arc<Declaration>>,
    ) -> Option<Function> {
        let function = match self.0.get(&(module.into(), name.into()))?.clone() {
            Offer::Values(function) => function,
            Offer::Typed(offered) => {
                let name = format!("{module}.{name}");
                return Some(bind(store, env, name, Arc::clone(declared?), offered));
            }
        };
        let results = ty.results().to_vec();
        let name = format!("{module}.{name}");
        let call = move |env: Env<'_>, args: &[wasmer::Value]| {
            let args: Vec<Value> = args.iter().filter_map(Value::from_wasm).collect();
            let caller = Caller(env.data());
            let fail = |source| {
                ended(Error::HostFunction {
                    function: name.clone(),
                    source,
                    trace: Trace::default(),
                })
            };
            let called = catch_panic(&name, || function(&caller, &args));
            let values = called.map_err(ended)?.map_err(fail)?;
            if !values
                .iter()
                .map(|value| value.ty())
                .eq(results.iter().copied().map(ValueType::of))
            {
                return Err(fail("its results are of another type".into()));
            }
            env.data().go_on()?;
            Ok(values.into_iter().map(Value::to_wasm).collect())
        };
        Some(Function::new_with_env(store, env, ty, call))
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
