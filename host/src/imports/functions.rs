//! Functions that the embedder offers.

use super::caller::Caller;
use super::state::{Env, State, ended};
use crate::types::{BoxError, Error, Value, ValueType};
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use wasmer::{Function, FunctionEnv, FunctionType, Store};

/// What a function of the embedder's returns.
pub type HostResult = Result<Vec<Value>, BoxError>;

type Callback = dyn Fn(&Caller<'_>, &[Value]) -> HostResult + Send + Sync;

/// Functions that the embedder offers to a guest, by module and name.
#[derive(Clone, Default)]
pub struct Functions(HashMap<(String, String), Arc<Callback>>);

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
        self.0
            .insert((module.into(), name.into()), Arc::new(function));
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
    ) -> Option<Function> {
        let function = self.0.get(&(module.into(), name.into()))?.clone();
        let results = ty.results().to_vec();
        let name = format!("{module}.{name}");
        let call = move |env: Env<'_>, args: &[wasmer::Value]| {
            let args: Vec<Value> = args.iter().filter_map(Value::from_wasm).collect();
            let caller = Caller(env.data());
            // A panic must not unwind through the guest.
            let outcome = catch_unwind(AssertUnwindSafe(|| function(&caller, &args)));
            let fail = |source| Error::HostFunction {
                function: name.clone(),
                source,
            };
            let values = match outcome {
                Ok(Ok(values)) => values,
                Ok(Err(error)) => return Err(ended(fail(error))),
                Err(panic) => {
                    return Err(ended(Error::HostPanic {
                        function: name.clone(),
                        message: panic_message(&*panic),
                    }));
                }
            };
            if !values
                .iter()
                .map(|value| value.ty())
                .eq(results.iter().copied().map(ValueType::of))
            {
                return Err(ended(fail("its results are of another type".into())));
            }
            // What was raised meanwhile counts, whatever the guest's code does next.
            env.data().spend(0)?;
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

fn panic_message(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(message), _) => (*message).into(),
        (_, Some(message)) => message.clone(),
        _ => "with a value that is no text".into(),
    }
}
