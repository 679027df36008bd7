//! Modules: from a file or bytes to compiled code.

use crate::cache::Cache;
use crate::error::file_error;
use crate::guest::describe;
use crate::{Error, map};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use wasmer::FunctionType;
use wasmer::sys::wasmparser::{self, Payload};
use wasmer::sys::{CompilerConfig, Cranelift, EngineBuilder, Features};
use wasmer_middlewares::Metering;

/// How modules are compiled.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Keep compiled modules in this directory, and load them from there. It is
    /// made if it is not there, for its owner alone; one that others can write is
    /// not used, because what is in it becomes code.
    pub cache: Option<PathBuf>,
    /// Count what guests execute, so that [`crate::Limits::fuel`] can limit it.
    /// It makes them slower: `cargo xtask bench host` measures how much.
    pub metered: bool,
}

/// Compiles modules. Cheap to clone; its clones share what is compiled.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    engine: wasmer::Engine,
    metered: bool,
    cache: Option<Cache>,
    access: OnceLock<wasmer::Module>,
    copy: OnceLock<wasmer::Module>,
}

/// A compiled module. It can be instantiated any number of times, on any thread;
/// cheap to clone.
#[derive(Clone)]
pub struct Module {
    pub(crate) module: wasmer::Module,
    /// The engine that holds its code: its own if it is metered.
    pub(crate) wasmer: wasmer::Engine,
    pub(crate) engine: Engine,
    pub(crate) metered: bool,
}

/// The fuel of a module's start function, which runs before the guest has its own.
const START_FUEL: u64 = 1 << 30;

impl Default for Engine {
    fn default() -> Self {
        Self::new(Config::default()).expect("no cache directory that could fail")
    }
}

impl Engine {
    /// An engine.
    ///
    /// # Errors
    /// [`Error::File`] when the cache directory cannot be made, or is not safe.
    pub fn new(config: Config) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            engine: engine(None),
            metered: config.metered,
            cache: config.cache.as_deref().map(Cache::open).transpose()?,
            access: OnceLock::new(),
            copy: OnceLock::new(),
        })))
    }

    /// Loads and compiles a module from a `.wasm` or `.wat` file, or takes it
    /// from the cache.
    ///
    /// # Errors
    /// [`Error::File`], and those of [`Engine::compile`].
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Module, Error> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| file_error(path, e))?;
        self.compile(&bytes)
    }

    /// Compiles a module, in binary or text form, or takes it from the cache.
    ///
    /// # Errors
    /// [`Error::NotWasm`], [`Error::NotLinked`], [`Error::Compile`].
    pub fn compile(&self, bytes: &[u8]) -> Result<Module, Error> {
        let text;
        let bytes = match bytes {
            [b'\0', b'a', b's', b'm', ..] => bytes,
            _ => {
                text = text_to_module(bytes)?;
                &text
            }
        };
        inspect(bytes)?;
        let wasmer = match self.0.metered {
            // Its middleware is for one module.
            true => engine(Some(START_FUEL)),
            false => self.0.engine.clone(),
        };
        Ok(Module {
            module: self.compiled(&wasmer, bytes, self.0.metered)?,
            wasmer,
            engine: self.clone(),
            metered: self.0.metered,
        })
    }

    fn compiled(
        &self,
        engine: &wasmer::Engine,
        bytes: &[u8],
        metered: bool,
    ) -> Result<wasmer::Module, Error> {
        let key = self
            .0
            .cache
            .as_ref()
            .map(|cache| (cache, cache.key(bytes, metered)));
        if let Some((cache, key)) = &key
            && let Some(artifact) = cache.load(key)
            && let Ok(module) = map::load_artifact(engine, artifact)
        {
            return Ok(module);
        }
        let module =
            wasmer::Module::new(engine, bytes).map_err(|e| Error::Compile(e.to_string()))?;
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
        let bytes = include_bytes!(concat!(env!("OUT_DIR"), "/access.wasm"));
        self.carried(&self.0.access, bytes)
    }

    /// The carried module with the copies from and to the guest's memory.
    pub(crate) fn copy(&self) -> Result<&wasmer::Module, Error> {
        let bytes = include_bytes!(concat!(env!("OUT_DIR"), "/copy.wasm"));
        self.carried(&self.0.copy, bytes)
    }

    fn carried<'a>(
        &self,
        cell: &'a OnceLock<wasmer::Module>,
        bytes: &[u8],
    ) -> Result<&'a wasmer::Module, Error> {
        if cell.get().is_none() {
            let _ = cell.set(self.compiled(&self.0.engine, bytes, false)?);
        }
        Ok(cell.get().expect("just set"))
    }
}

impl Module {
    /// The function to call if none is named: `_start` of a program, or the one
    /// that is exported.
    ///
    /// # Errors
    /// [`Error::NoSuchExport`] if there is more than one, or none.
    pub fn only_function(&self) -> Result<String, Error> {
        let names: Vec<String> = self.functions().map(|(name, _)| name).collect();
        match &names[..] {
            names if names.iter().any(|name| name == "_start") => Ok("_start".into()),
            [name] => Ok(name.clone()),
            _ => Err(self.no_such_export("_start")),
        }
    }

    pub(crate) fn no_such_export(&self, name: &str) -> Error {
        let functions = self.functions().map(|(name, ty)| describe(&name, &ty));
        let functions: Vec<_> = functions.collect();
        Error::NoSuchExport {
            name: name.into(),
            exports: match functions.is_empty() {
                true => "none".into(),
                false => functions.join(", "),
            },
        }
    }

    fn functions(&self) -> impl Iterator<Item = (String, FunctionType)> {
        let exports = self.module.exports().functions();
        exports.map(|export| (export.name().to_string(), export.ty().clone()))
    }
}

fn engine(fuel: Option<u64>) -> wasmer::Engine {
    let mut compiler = Cranelift::default();
    if let Some(fuel) = fuel {
        compiler.push_middleware(Arc::new(Metering::new(fuel, |_| 1)));
    }
    let mut features = Features::default();
    // The carried modules have two memories. 64-bit memories make the compiler
    // panic, and shared ones could be grown under a window.
    features.multi_memory(true).memory64(false).threads(false);
    EngineBuilder::new(compiler)
        .set_features(Some(features))
        .engine()
        .into()
}

fn text_to_module(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| {
        let text = text.trim_start();
        text.starts_with(['(', ';'])
    });
    match text {
        Some(text) => wat::parse_str(text).map_err(|e| Error::NotWasm(e.to_string())),
        None if bytes.is_empty() => Err(Error::NotWasm("it is empty".into())),
        None => Err(Error::NotWasm(
            "it begins neither with \\0asm, as a module does, nor with (, as its text does".into(),
        )),
    }
}

/// Finds what the engine would reject in less helpful words, or accept.
fn inspect(bytes: &[u8]) -> Result<(), Error> {
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        match payload.map_err(|e| Error::NotWasm(e.to_string()))? {
            Payload::Version { encoding, .. } if encoding != wasmparser::Encoding::Module => {
                return Err(Error::NotWasm("it is a component, not a module".into()));
            }
            Payload::CustomSection(section) if section.name() == "linking" => {
                return Err(Error::NotLinked);
            }
            _ => {}
        }
    }
    Ok(())
}
