//! Calls of a guest's functions.

use crate::calls::{Answer, Arguments, Declaration, FAILED, Results, Ty, WasmArguments};
use crate::engine::Module;
use crate::regions::Space;
use crate::sys::MemoryState;
use crate::types::{Error, Mismatch, Signature, Value, ValueType};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use wasmer::{AsStoreMut, Instance, RuntimeError, TypedFunction};

/// What a call gives: an error of the engine's is how the guest ended, one of ours
/// is about what it gave.
type Called<R> = Result<Result<R, Error>, RuntimeError>;

/// Says what a guest ended in, from what the engine says, and the stack pointer, if somebody
/// asks for it.
pub(crate) type Ended =
    Arc<dyn Fn(RuntimeError, &Space, &mut dyn FnMut() -> Option<u32>) -> Error + Send + Sync>;

/// An instance's functions.
pub(crate) struct Exports {
    instance: Instance,
    module: Module,
    space: Arc<Space>,
    /// Where arguments go: a place in the guest's memory, and its length.
    buffer: Mutex<(u32, u32)>,
    /// How many calls are within each other.
    depth: AtomicU32,
    ended: Ended,
    /// What a call ended in that left the guest in the middle of its work.
    poison: OnceLock<String>,
}

/// How many calls may be within each other: a host function calls the guest that
/// calls it. Each has a stack of its own, and part of the host's.
const DEEPEST: u32 = 16;

/// The smallest buffer for arguments, in bytes.
const SMALLEST_BUFFER: u32 = 1 << 10;

/// A function of a guest's, whose types have been checked: the fast way to call it
/// again and again. [`crate::Guest::function`] gives it, for that guest alone.
pub struct Function<A: Arguments, R: Results> {
    kind: Kind<<A::Wasm as WasmArguments>::Typed<R::Wasm>>,
    /// Which guest it is of.
    exports: Arc<Exports>,
}

enum Kind<T> {
    /// Its parameters and its result are Wasm values.
    Plain(T),
    /// They lie in memory.
    Record {
        function: TypedFunction<i32, i32>,
        declared: Arc<Declaration>,
        /// Whether the caller wants what is in its `Result`.
        unwraps: bool,
    },
    /// They are known by their Wasm types only.
    Values {
        function: wasmer::Function,
        name: String,
    },
}

impl<A: Arguments, R: Results> std::fmt::Debug for Function<A, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function").finish_non_exhaustive()
    }
}

/// Counts a call while it lasts.
struct Depth<'a>(&'a AtomicU32);

impl Drop for Depth<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Exports {
    pub(crate) fn new(
        instance: Instance,
        module: Module,
        space: Arc<Space>,
        ended: Ended,
    ) -> Arc<Self> {
        Arc::new(Self {
            instance,
            module,
            space,
            buffer: Mutex::new((0, 0)),
            depth: AtomicU32::new(0),
            ended,
            poison: OnceLock::new(),
        })
    }

    /// What it is an instance of.
    pub(super) fn module(&self) -> &Module {
        &self.module
    }

    /// Whether the guest may run.
    ///
    /// # Errors
    /// [`Error::Poisoned`] once a call has ended in the middle of it.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.poison.get() {
            None => Ok(()),
            Some(was) => Err(Error::Poisoned { was: was.clone() }),
        }
    }

    /// Finds a function, and checks that it takes `A` and gives `R`.
    pub(crate) fn function<A: Arguments, R: Results>(
        self: &Arc<Self>,
        store: &impl wasmer::AsStoreRef,
        name: &str,
    ) -> Result<Function<A, R>, Error> {
        let function = self.instance.exports.get_function(name);
        let function = function.map_err(|_| self.module.no_such_export(name))?;
        let kind = match (A::count(), self.module.declared().exports.get(name)) {
            (None, _) => Kind::Values {
                function: function.clone(),
                name: name.into(),
            },
            (Some(count), None) => Kind::Plain(undeclared::<A, R>(store, name, function, count)?),
            (Some(count), Some(declared)) => {
                let unwraps = fits::<A, R>(declared, count)?;
                let typed = || function.typed::<i32, i32>(store).ok();
                let kind = match declared.is_plain() {
                    true => A::Wasm::typed(function, store).map(Kind::Plain),
                    false => typed().map(|function| Kind::Record {
                        function,
                        declared: Arc::clone(declared),
                        unwraps,
                    }),
                };
                kind.ok_or_else(|| Error::Answer {
                    function: declared.to_string(),
                    problem: "it does not have the Wasm type of its types".into(),
                })?
            }
        };
        Ok(Function {
            kind,
            exports: Arc::clone(self),
        })
    }

    /// Calls a function. The guest must be running already, as its regions know it. What
    /// ends it in the middle poisons it.
    pub(crate) fn call<A, B, R>(
        self: &Arc<Self>,
        store: &mut impl AsStoreMut,
        function: &Function<A, R>,
        args: &B,
    ) -> Result<R, Error>
    where
        A: Arguments,
        B: Arguments<Wasm = A::Wasm>,
        R: Results,
    {
        if !Arc::ptr_eq(self, &function.exports) {
            return Err(Error::OtherGuest);
        }
        self.check()?;
        let outer = self.depth.fetch_add(1, Ordering::Relaxed);
        let _depth = Depth(&self.depth);
        if outer >= DEEPEST {
            return Err(Error::TooDeep(DEEPEST));
        }
        let called = self.call_kind(store, &function.kind, args, outer > 0);
        called.unwrap_or_else(|error| {
            let mut error = (self.ended)(error, &self.space, &mut || self.stack_pointer(store));
            self.poison.get_or_init(|| without_trace(&mut error));
            Err(error)
        })
    }

    /// Where the stack in the guest's memory ends now.
    fn stack_pointer(&self, store: &mut impl AsStoreMut) -> Option<u32> {
        let name = &self.module.stack_pointer()?.export;
        let global = self.instance.exports.get_global(name).ok()?;
        global.get(store).i32().map(|value| value as u32)
    }

    fn call_kind<B: Arguments, R: Results>(
        &self,
        store: &mut impl AsStoreMut,
        kind: &Kind<<B::Wasm as WasmArguments>::Typed<R::Wasm>>,
        args: &B,
        within: bool,
    ) -> Called<R> {
        match kind {
            Kind::Plain(typed) => {
                let wasm = args.to_wasm().call(typed, store)?;
                Ok(Ok(R::from_wasm(wasm)))
            }
            Kind::Record {
                function,
                declared,
                unwraps,
            } => self.call_record(store, (function, declared), *unwraps, args, within),
            Kind::Values { function, name } => call_values(store, function, name, args.values()),
        }
    }

    /// Finds a function and calls it.
    pub(crate) fn call_by_name<A: Arguments, R: Results>(
        self: &Arc<Self>,
        store: &mut impl AsStoreMut,
        name: &str,
        args: &A,
    ) -> Result<R, Error> {
        let function = self.function::<A, R>(store, name)?;
        self.call(store, &function, args)
    }

    fn call_record<R: Results>(
        &self,
        store: &mut impl AsStoreMut,
        (function, declared): (&TypedFunction<i32, i32>, &Declaration),
        unwraps: bool,
        args: &impl Arguments,
        within: bool,
    ) -> Called<R> {
        let mut record = match args.lower(declared) {
            Ok(record) => record,
            Err(error) => return Ok(Err(error)),
        };
        let len = match u32::try_from(record.len()) {
            Ok(len) if len <= u32::MAX - 64 => len,
            _ => return Ok(Err(no_room(declared, record.len()))),
        };
        let memory = self.space.memory.get().map(|memory| &**memory);
        // A call within another has a place of its own: the outer one's arguments are
        // still borrowed.
        let address = match (len, within) {
            (0, _) => 8,
            (_, false) => self.reserve(store, len)?,
            (_, true) => self.alloc(store, len)?,
        };
        if address == 0 || address.checked_add(len).is_none() {
            return Ok(Err(no_room(declared, record.len())));
        }
        if len > 0 {
            let written = memory.map(|memory| memory.space.write_parts(record.place(address)));
            if !matches!(written, Some(Ok(()))) {
                return Ok(Err(no_room(declared, len as usize)));
            }
        }
        drop(record);
        let answer = function.call(store, address as i32)?;
        let result = lift(declared, memory, answer as u32, unwraps);
        if within && len > 0 {
            self.free(store, address, len)?;
        }
        Ok(result)
    }

    /// The buffer for arguments, with room for `len` bytes; 0 if there is none.
    fn reserve(&self, store: &mut impl AsStoreMut, len: u32) -> Result<u32, RuntimeError> {
        let (address, room) = *self.buffer();
        if len <= room {
            return Ok(address);
        }
        // Should the guest end in one of these, it has no buffer.
        *self.buffer() = (0, 0);
        if room > 0 {
            self.free(store, address, room)?;
        }
        let room = len
            .max(SMALLEST_BUFFER)
            .checked_next_power_of_two()
            .unwrap_or(len);
        let address = self.alloc(store, room)?;
        if address != 0 {
            *self.buffer() = (address, room);
        }
        Ok(address)
    }

    fn buffer(&self) -> std::sync::MutexGuard<'_, (u32, u32)> {
        self.buffer.lock().expect("no panic under this lock")
    }

    /// Has the guest allocate; 0 if it cannot. The address is a multiple of 8.
    fn alloc(&self, store: &mut impl AsStoreMut, len: u32) -> Result<u32, RuntimeError> {
        let alloc = self.instance.exports.get_function("genkan_alloc");
        let Some(alloc) = alloc.ok().and_then(|f| f.typed::<i32, i32>(store).ok()) else {
            return Ok(0);
        };
        let address = alloc.call(store, len as i32)? as u32;
        Ok(if address.is_multiple_of(8) {
            address
        } else {
            0
        })
    }

    fn free(
        &self,
        store: &mut impl AsStoreMut,
        address: u32,
        len: u32,
    ) -> Result<(), RuntimeError> {
        let free = self.instance.exports.get_function("genkan_free");
        let free = free
            .ok()
            .and_then(|f| f.typed::<(i32, i32), ()>(store).ok());
        match free {
            Some(free) => free.call(store, address as i32, len as i32),
            None => Ok(()),
        }
    }
}

/// What an error says, without its backtrace: to find names and lines takes long.
fn without_trace(error: &mut Error) -> String {
    let trace = error.trace_mut().map(std::mem::take);
    let text = error.to_string();
    if let (Some(place), Some(trace)) = (error.trace_mut(), trace) {
        *place = trace;
    }
    text
}

fn lift<R: Results>(
    declared: &Declaration,
    memory: Option<&MemoryState>,
    address: u32,
    unwraps: bool,
) -> Result<R, Error> {
    let answer = Answer::read(declared, memory, address)?;
    if answer.tag == FAILED {
        return Err(Error::Answer {
            function: declared.to_string(),
            problem: answer.text()?,
        });
    }
    match &declared.result {
        Ty::Result(ok, error) if unwraps => match answer.tag & 1 {
            0 => R::lift(ok, &answer, 1),
            _ => Err(answer.returned(error)?),
        },
        ty => R::lift(ty, &answer, 0),
    }
}

fn no_room(declared: &Declaration, len: usize) -> Error {
    Error::NoRoom {
        function: declared.to_string(),
        len,
    }
}

/// Checks types against a function's own: whether the caller wants what is in its
/// `Result`.
fn fits<A: Arguments, R: Results>(declared: &Declaration, found: usize) -> Result<bool, Error> {
    let expected = declared.params.len();
    let mismatch = if expected != found {
        Mismatch::Count { expected, found }
    } else if let Some((index, found)) = A::misfit(declared) {
        Mismatch::Argument {
            index: index + 1,
            expected: declared.params[index].to_string(),
            found,
        }
    } else {
        match &declared.result {
            ty if R::accepts(ty) => return Ok(false),
            Ty::Result(ok, _) if R::accepts(ok) => return Ok(true),
            ty => Mismatch::Result {
                expected: ty.to_string(),
                found: std::any::type_name::<R>(),
            },
        }
    };
    Err(Error::Mismatch {
        function: declared.to_string(),
        mismatch,
    })
}

/// A function that does not say its types: its Wasm types are checked.
fn undeclared<A: Arguments, R: Results>(
    store: &impl wasmer::AsStoreRef,
    name: &str,
    function: &wasmer::Function,
    found: usize,
) -> Result<<A::Wasm as WasmArguments>::Typed<R::Wasm>, Error> {
    let function_type = Signature::of(name, &function.ty(store));
    if function_type.params.len() != found {
        return Err(Error::ArgumentCount {
            function: function_type,
            found,
        });
    }
    let typed = (A::are_plain() && R::is_plain()).then(|| A::Wasm::typed(function, store));
    match typed {
        Some(Some(typed)) => Ok(typed),
        Some(None) => Err(Error::Mismatch {
            function: function_type.to_string(),
            mismatch: Mismatch::Result {
                expected: function_type.to_string(),
                found: std::any::type_name::<(A, R)>(),
            },
        }),
        None => Err(Error::Mismatch {
            function: function_type.to_string(),
            mismatch: Mismatch::Undeclared,
        }),
    }
}

fn call_values<R: Results>(
    store: &mut impl AsStoreMut,
    function: &wasmer::Function,
    name: &str,
    args: &[Value],
) -> Called<R> {
    let ty = function.ty(store);
    let signature = || Signature::of(name, &ty);
    let params = ty.params();
    if params.len() != args.len() {
        return Ok(Err(Error::ArgumentCount {
            function: signature(),
            found: args.len(),
        }));
    }
    for (index, (param, arg)) in params.iter().zip(args).enumerate() {
        if ValueType::of(*param) != arg.ty() {
            return Ok(Err(Error::Argument {
                index: index + 1,
                function: signature(),
                found: arg.ty(),
            }));
        }
    }
    let args: Vec<_> = args.iter().map(|value| value.to_wasm()).collect();
    let values = function.call(store, &args)?;
    let values: Vec<Value> = values.iter().filter_map(Value::from_wasm).collect();
    Ok(R::from_values(&values).ok_or_else(|| Error::Results {
        function: signature(),
        expected: R::NAME,
    }))
}
