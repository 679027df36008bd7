//! Compiled code: from the engine, or from the cache.

use super::plain::plain;
use super::stack_pointer::StackPointer;
use crate::abi;
use crate::rewrite::{self, Pass};
#[cfg(target_os = "linux")]
use crate::sys::apart::{Ended, apart};
use crate::sys::{Cache, Key, from_artifact};
use crate::types::{Error, file_error};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use wasmer::FunctionType;
use wasmer::sys::{Cranelift, EngineBuilder, Features};

/// What compiling a module may take: see [`crate::Config::compile_limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// How long, by the clock.
    pub time: Duration,
    /// How many bytes of addresses, beyond those that the process has.
    pub memory: u64,
}

/// Compiles modules, each in an engine of its own, and the carried ones in one together.
#[derive(Clone)]
pub(crate) struct Compiler(Arc<Inner>);

struct Inner {
    /// What compiling a guest's module may take.
    limits: Option<CompileLimits>,
    /// For the carried modules.
    wasmer: wasmer::Engine,
    cache: Option<Cache>,
    access: OnceLock<wasmer::Module>,
    copy: OnceLock<wasmer::Module>,
}

/// A module's code.
pub(super) struct Compiled {
    pub(super) module: wasmer::Module,
    /// The engine that holds it: its own. An engine knows function types by hashes of 32
    /// bits, and panics where two types of any of its modules have the same one.
    pub(super) wasmer: wasmer::Engine,
}

impl Compiler {
    /// One that keeps what it compiled in this directory, if it has one.
    ///
    /// # Errors
    /// [`Error::File`] when the directory cannot be made, or is not safe.
    pub(super) fn new(cache: Option<&Path>, limits: Option<CompileLimits>) -> Result<Self, Error> {
        let open = |path| Cache::open(path).map_err(|e| file_error(path, e));
        Ok(Self(Arc::new(Inner {
            limits,
            wasmer: engine(),
            cache: cache.map(open).transpose()?,
            access: OnceLock::new(),
            copy: OnceLock::new(),
        })))
    }

    /// Compiles what the pass makes of a module, or takes that from the cache.
    pub(super) fn compile(&self, bytes: &[u8], pass: Pass) -> Result<Compiled, Error> {
        let wasmer = engine();
        let module = self.cached(&wasmer, bytes, &pass.key(), || {
            let rewritten = rewrite::rewrite(bytes, pass)?;
            let rewritten = rewritten.bytes.as_deref().unwrap_or(bytes);
            let pointer = StackPointer::find(bytes);
            let plain = plain(rewritten, &name(bytes, pass), pointer.as_ref());
            let bytes = &plain.map_err(|e| Error::Compile(Box::new(e)))?.bytes;
            match self.0.limits {
                Some(limits) => compile_apart(&wasmer, bytes, limits),
                None => compile_now(&wasmer, bytes),
            }
        })?;
        check_types(&module)?;
        Ok(Compiled { module, wasmer })
    }

    fn cached(
        &self,
        wasmer: &wasmer::Engine,
        bytes: &[u8],
        variant: &[u8],
        compile: impl FnOnce() -> Result<wasmer::Module, Error>,
    ) -> Result<wasmer::Module, Error> {
        let cache = self.0.cache.as_ref();
        let key: Option<(&Cache, Key)> =
            cache.map(|cache| (cache, cache.key(bytes, rewrite::VERSION, variant)));
        if let Some((cache, key)) = &key
            && let Some(module) = cache.load(key, wasmer)
        {
            return Ok(module);
        }
        let module = compile()?;
        if let Some((cache, key)) = &key
            && let Ok(artifact) = module.serialize()
        {
            // A cache that cannot be written makes nothing worse than slow.
            let _ = cache.store(key, &artifact);
        }
        Ok(module)
    }

    /// The carried module with the checked reads and writes.
    pub(crate) fn access(&self) -> Result<&wasmer::Module, Error> {
        let bytes = include_bytes!("carried/access.wasm");
        self.carried(&self.0.access, bytes)
    }

    /// The carried module with the copies from and to the guest's memory.
    pub(crate) fn copy(&self) -> Result<&wasmer::Module, Error> {
        let bytes = include_bytes!("carried/copy.wasm");
        self.carried(&self.0.copy, bytes)
    }

    fn carried<'a>(
        &self,
        cell: &'a OnceLock<wasmer::Module>,
        bytes: &[u8],
    ) -> Result<&'a wasmer::Module, Error> {
        if cell.get().is_none() {
            let engine = &self.0.wasmer;
            let module = self.cached(engine, bytes, b"carried", || compile_now(engine, bytes))?;
            let _ = cell.set(module);
        }
        Ok(cell.get().expect("just set"))
    }
}

/// What the engine calls what the pass makes of a module: its frames have it.
fn name(module: &[u8], pass: Pass) -> String {
    use std::fmt::Write;
    let mut name = format!("genkan guest {} ", pass.number());
    for byte in &Sha256::digest(module)[..16] {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// Compiles in threads of its own. The global ones, which the engine uses otherwise, are
/// not there in a forked process, which would wait for them.
fn compile_now(engine: &wasmer::Engine, bytes: &[u8]) -> Result<wasmer::Module, Error> {
    let threads = rayon::ThreadPoolBuilder::new().build();
    let threads = threads.map_err(|e| Error::Thread(std::io::Error::other(e)))?;
    let module = threads.install(|| wasmer::Module::new(engine, bytes));
    module.map_err(|e| Error::Compile(Box::new(e)))
}

/// Compiles in a process of its own: the compiler cannot be stopped in this one.
#[cfg(target_os = "linux")]
fn compile_apart(
    engine: &wasmer::Engine,
    bytes: &[u8],
    limits: CompileLimits,
) -> Result<wasmer::Module, Error> {
    let CompileLimits { time, memory } = limits;
    let ended = apart(time, memory, || {
        let module = compile_now(engine, bytes).map_err(|e| match e {
            Error::Compile(source) => source.to_string(),
            other => other.to_string(),
        })?;
        let artifact = module.serialize().map_err(|e| e.to_string())?;
        Ok(artifact.to_vec())
    });
    let limit = |problem: String| Err(Error::CompileLimit(problem));
    match ended.map_err(Error::Thread)? {
        Ended::Done(artifact) => from_artifact(engine, artifact)
            .ok_or_else(|| Error::Compile("its compiled code cannot be loaded".into())),
        Ended::Failed(error) => Err(Error::Compile(error.into())),
        Ended::TooLong => limit(format!("takes longer than {time:?} to compile")),
        Ended::Gone => limit(format!(
            "cannot be compiled with {memory} bytes of memory (or the compiler failed)"
        )),
    }
}

#[cfg(not(target_os = "linux"))]
fn compile_apart(_: &wasmer::Engine, _: &[u8], _: CompileLimits) -> Result<wasmer::Module, Error> {
    let problem = "cannot be compiled within limits on this system, but on Linux alone";
    Err(Error::CompileLimit(problem.into()))
}

/// Refuses a module with a type that the engine cannot tell from one of the host's own
/// functions'.
fn check_types(module: &wasmer::Module) -> Result<(), Error> {
    let wasm = |ty: &abi::Type| match ty {
        abi::Type::Pointer | abi::Type::U64 | abi::Type::I64 => wasmer::Type::I64,
        _ => wasmer::Type::I32,
    };
    let listed = abi::FUNCTIONS.iter().map(|function| {
        let params: Vec<_> = function.params.iter().map(|(_, ty)| wasm(ty)).collect();
        FunctionType::new(params, function.result.iter().map(wasm).collect::<Vec<_>>())
    });
    let others = abi::OTHER_TYPES.iter().map(|(params, result)| {
        let params: Vec<_> = params.iter().map(wasm).collect();
        FunctionType::new(params, result.iter().map(wasm).collect::<Vec<_>>())
    });
    let hosts: Vec<FunctionType> = listed.chain(others).collect();
    for ty in module.info().signatures.values() {
        let alike = |host: &FunctionType| host.signature_hash() == ty.signature_hash();
        if hosts.iter().any(|host| host != ty && alike(host)) {
            let problem = format!("the engine takes its type {ty} for one of the host's");
            return Err(Error::Compile(problem.into()));
        }
    }
    Ok(())
}

fn engine() -> wasmer::Engine {
    let mut features = Features::default();
    // What is compiled has been found valid before, with the features that guests
    // may use. The carried modules have two memories, and so has what the pass makes of a
    // guest, which loads from one of them atomically. 64-bit memories make the compiler
    // panic, and shared ones could be grown under a window.
    features.multi_memory(true).memory64(false).threads(true);
    EngineBuilder::new(Cranelift::default())
        .set_features(Some(features))
        .engine()
        .into()
}
