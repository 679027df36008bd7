//! Closures that the embedder offers, with Rust's types.

use super::context::Cx;
use super::ending::ended;
use super::state::{Env, State};
use crate::backtrace::Trace;
use crate::calls::{Declaration, Parameter, Reply, Return, Stop, Taken};
use crate::types::{Error, Mismatch};
use smallvec::SmallVec;
use std::any::{Any, TypeId};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use wasmer::{Function, FunctionEnv, RuntimeError, Store, Type};

/// A function that is offered, whatever its types.
pub(crate) trait Offered: Send + Sync {
    /// Why it is not the function that the guest imports, if it is not.
    fn misfit(&self, declared: &Declaration) -> Option<Mismatch>;
    /// The type of the state that it wants, and its name.
    fn state(&self) -> (TypeId, &'static str);
    /// Calls it with the arguments in `slots`: an error of ours is about what the guest
    /// passed, a [`Stop`] is the function's own.
    fn call(
        &self,
        env: Env<'_>,
        declared: &Declaration,
        slots: &[u64],
        reply: &mut Reply,
    ) -> Result<Result<(), Stop>, Error>;
}

/// A closure that can be offered: of the guest that calls it, and up to eight
/// parameters. It may run for several guests at once.
pub trait HostFunction<State, Types>: Send + Sync + 'static {
    #[doc(hidden)]
    fn offered(self) -> OfferedFunction;
}

/// A function with its types erased.
pub struct OfferedFunction(pub(crate) Arc<dyn Offered>);

struct Typed<F, S, T> {
    function: F,
    types: PhantomData<fn(S) -> T>,
}

macro_rules! function {
    ($count:literal, $($name:ident $param:ident $index:tt),*) => {
        impl<F, S, R, $($name),*> HostFunction<S, fn($($name),*) -> R> for F
        where
            F: Fn(&mut Cx<'_, S>, $($name),*) -> R
                + for<'a> Fn(&mut Cx<'_, S>, $($name::Of<'a>),*) -> R
                + Send
                + Sync
                + 'static,
            S: 'static,
            R: Return + 'static,
            $($name: Parameter + 'static),*
        {
            fn offered(self) -> OfferedFunction {
                OfferedFunction(Arc::new(Typed::<F, S, fn($($name),*) -> R> {
                    function: self,
                    types: PhantomData,
                }))
            }
        }

        impl<F, S, R, $($name),*> Offered for Typed<F, S, fn($($name),*) -> R>
        where
            F: for<'a> Fn(&mut Cx<'_, S>, $($name::Of<'a>),*) -> R + Send + Sync,
            S: 'static,
            R: Return,
            $($name: Parameter),*
        {
            fn misfit(&self, declared: &Declaration) -> Option<Mismatch> {
                if declared.params.len() != $count {
                    return Some(Mismatch::Count {
                        expected: declared.params.len(),
                        found: $count,
                    });
                }
                $(if !$name::accepts(&declared.params[$index]) {
                    return Some(Mismatch::Argument {
                        index: $index + 1,
                        expected: declared.params[$index].to_string(),
                        found: std::any::type_name::<$name>(),
                    });
                })*
                (!R::accepts(&declared.result)).then(|| Mismatch::Result {
                    expected: declared.result.to_string(),
                    found: std::any::type_name::<R>(),
                })
            }

            fn state(&self) -> (TypeId, &'static str) {
                (TypeId::of::<S>(), std::any::type_name::<S>())
            }

            #[allow(unused_mut, unused_variables, reason = "there may be no parameters")]
            fn call(
                &self,
                mut env: Env<'_>,
                declared: &Declaration,
                slots: &[u64],
                reply: &mut Reply,
            ) -> Result<Result<(), Stop>, Error> {
                let rows = env.data().rows(declared, slots)?;
                let mut args = Taken { slots: slots.iter(), rows: &rows };
                $(
                    let $param = $name::take(&declared.params[$index], &mut args)
                        .map_err(|problem| Error::GuestArgument {
                            index: $index + 1,
                            function: declared.to_string(),
                            problem,
                        })?;
                )*
                let result = (self.function)(&mut Cx::new(env), $($param),*);
                Ok(result.give(&declared.result, 0, reply))
            }
        }
    };
}

function!(0,);
function!(1, A a 0);
function!(2, A a 0, B b 1);
function!(3, A a 0, B b 1, C c 2);
function!(4, A a 0, B b 1, C c 2, D d 3);
function!(5, A a 0, B b 1, C c 2, D d 3, E e 4);
function!(6, A a 0, B b 1, C c 2, D d 3, E e 4, G g 5);
function!(7, A a 0, B b 1, C c 2, D d 3, E e 4, G g 5, H h 6);
function!(8, A a 0, B b 1, C c 2, D d 3, E e 4, G g 5, H h 6, I i 7);

/// A function with types, as the Wasm function that its declaration says it is.
pub(super) fn bind(
    store: &mut Store,
    env: &FunctionEnv<State>,
    name: String,
    declared: Arc<Declaration>,
    offered: Arc<dyn Offered>,
) -> Function {
    let bound = Bound {
        name,
        declared,
        offered,
    };
    match bound.declared.is_plain() {
        true => bound.plain(store, env),
        false => bound.record(store, env),
    }
}

struct Bound {
    name: String,
    declared: Arc<Declaration>,
    offered: Arc<dyn Offered>,
}

impl Bound {
    fn call(&self, env: Env<'_>, slots: &[u64]) -> Result<Reply, Error> {
        let mut reply = Reply::default();
        let called = catch_panic(&self.name, || {
            self.offered.call(env, &self.declared, slots, &mut reply)
        });
        match called?? {
            Ok(()) => Ok(reply),
            Err(stop) => Err(Error::HostFunction {
                function: self.name.clone(),
                source: stop.0,
                trace: Trace::default(),
            }),
        }
    }

    /// Its arguments and its answer lie in memory.
    fn record(self, store: &mut Store, env: &FunctionEnv<State>) -> Function {
        let count = self.declared.slots();
        let call = move |mut env: Env<'_>, args: u32, answer: u32| -> Result<(), RuntimeError> {
            let mut slots: SmallVec<[u64; 16]> = SmallVec::from_elem(0, count);
            env.data().slots(args, &mut slots).map_err(ended)?;
            let reply = self.call(env.as_mut(), &slots).map_err(ended)?;
            env.data_mut().answer(answer, reply).map_err(ended)?;
            env.data().go_on()
        };
        Function::new_typed_with_env(store, env, call)
    }

    /// They are Wasm values.
    fn plain(self, store: &mut Store, env: &FunctionEnv<State>) -> Function {
        let ty = self.declared.wasm(true);
        let result = ty.results().first().copied();
        let call = move |mut env: Env<'_>, args: &[wasmer::Value]| {
            let slots = args.iter().map(|value| match value {
                wasmer::Value::I32(n) => u64::from(*n as u32),
                wasmer::Value::I64(n) => *n as u64,
                wasmer::Value::F32(n) => n.to_bits().into(),
                wasmer::Value::F64(n) => n.to_bits(),
                _ => 0,
            });
            let slots: SmallVec<[u64; 8]> = slots.collect();
            let value = self.call(env.as_mut(), &slots).map_err(ended)?.value;
            env.data().go_on()?;
            Ok(match result {
                None => Vec::new(),
                Some(Type::I32) => vec![wasmer::Value::I32(value as i32)],
                Some(Type::I64) => vec![wasmer::Value::I64(value as i64)],
                Some(Type::F32) => vec![wasmer::Value::F32(f32::from_bits(value as u32))],
                Some(_) => vec![wasmer::Value::F64(f64::from_bits(value))],
            })
        };
        Function::new_with_env(store, env, ty, call)
    }
}

/// Calls a function of the embedder's. A panic must not unwind through the guest.
///
/// # Errors
/// [`Error::HostPanic`].
pub(super) fn catch_panic<T>(function: &str, call: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| Error::HostPanic {
        function: function.into(),
        message: panic_message(&*panic),
        trace: Trace::default(),
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(message), _) => (*message).into(),
        (_, Some(message)) => message.clone(),
        _ => "with a value that is no text".into(),
    }
}
