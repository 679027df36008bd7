//! Modules: from a file or bytes to compiled code.

use crate::sys::{Cache, Key};
use crate::types::{Error, FormatProblem, Signature, file_error};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use wasmer::sys::wasmparser::{self, Payload};
use wasmer::sys::{CompilerConfig, Cranelift, EngineBuilder, Features};
use wasmer_middlewares::Metering;

/// How modules are compiled.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// Keep compiled modules in this directory, and load them from there. It is
    /// made if it is not there, for its owner alone; one that others can write is
    /// not used, because what is in it becomes code.
    pub cache: Option<PathBuf>,
    /// Count what guests execute, so that [`crate::Limits::fuel`] can limit it.
    /// It makes them slower: `cargo xtask bench host` measures how much.
    pub metered: bool,
}

impl Config {
    /// No cache, and nothing counted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Config::cache`].
    #[must_use]
    pub fn cache(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cache = Some(directory.into());
        self
    }

    /// Sets [`Config::metered`].
    #[must_use]
    pub fn metered(mut self, metered: bool) -> Self {
        self.metered = metered;
        self
    }
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
            cache: config.cache.as_deref().map(open_cache).transpose()?,
            access: OnceLock::new(),
            copy: OnceLock::new(),
        })))
    }

    /// Loads and compiles a module from a file, or takes it from the cache. With the
    /// feature `wat`, the file may be text.
    ///
    /// # Errors
    /// [`Error::File`], and those of [`Engine::compile`].
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Module, Error> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| file_error(path, e))?;
        self.compile(&bytes)
    }

    /// Compiles a module, or takes it from the cache. With the feature `wat`, it may
    /// be in text form.
    ///
    /// # Errors
    /// [`Error::NotWasm`], [`Error::NotLinked`], [`Error::Compile`].
    pub fn compile(&self, bytes: &[u8]) -> Result<Module, Error> {
        let bytes = match bytes {
            [b'\0', b'a', b's', b'm', ..] => Cow::Borrowed(bytes),
            _ => Cow::Owned(text_to_module(bytes)?),
        };
        inspect(&bytes)?;
        let wasmer = match self.0.metered {
            // Its middleware is for one module.
            true => engine(Some(START_FUEL)),
            false => self.0.engine.clone(),
        };
        Ok(Module {
            module: self.compiled(&wasmer, &bytes, self.0.metered)?,
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
        let cache = self.0.cache.as_ref();
        let key: Option<(&Cache, Key)> = cache.map(|cache| (cache, cache.key(bytes, metered)));
        if let Some((cache, key)) = &key
            && let Some(module) = cache.load(key, engine)
        {
            return Ok(module);
        }
        let module = wasmer::Module::new(engine, bytes).map_err(|e| Error::Compile(Box::new(e)))?;
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
        let functions = self.functions();
        match &functions[..] {
            _ if self.function("_start").is_some() => Ok("_start".into()),
            [one] => Ok(one.name.clone()),
            _ => Err(self.no_such_export("_start")),
        }
    }

    /// The exported functions, in the module's order.
    pub fn functions(&self) -> Vec<Signature> {
        let exports = self.module.exports().functions();
        exports
            .map(|export| Signature::of(export.name(), export.ty()))
            .collect()
    }

    fn function(&self, name: &str) -> Option<Signature> {
        let mut exports = self.module.exports().functions();
        exports
            .find(|export| export.name() == name)
            .map(|export| Signature::of(export.name(), export.ty()))
    }

    /// The exported function of this name.
    ///
    /// # Errors
    /// [`Error::NoSuchExport`].
    pub fn exported(&self, name: &str) -> Result<Signature, Error> {
        self.function(name).ok_or_else(|| self.no_such_export(name))
    }

    pub(crate) fn no_such_export(&self, name: &str) -> Error {
        Error::NoSuchExport {
            name: name.into(),
            exports: self.functions(),
        }
    }
}

fn open_cache(path: &Path) -> Result<Cache, Error> {
    Cache::open(path).map_err(|e| file_error(path, e))
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

/// Translates a module's text.
fn text_to_module(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| {
        let text = text.trim_start();
        text.starts_with(['(', ';'])
    });
    Err(Error::NotWasm(match text {
        #[cfg(feature = "wat")]
        Some(text) => match wat::parse_str(text) {
            Ok(module) => return Ok(module),
            Err(e) => FormatProblem::Text(e.to_string()),
        },
        #[cfg(not(feature = "wat"))]
        Some(_) => FormatProblem::NoText,
        None if bytes.is_empty() => FormatProblem::Empty,
        None => FormatProblem::Unknown,
    }))
}

/// Finds what the engine would reject in less helpful words, or accept.
fn inspect(bytes: &[u8]) -> Result<(), Error> {
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        match payload.map_err(|e| Error::NotWasm(FormatProblem::Damaged(e.to_string())))? {
            Payload::Version { encoding, .. } if encoding != wasmparser::Encoding::Module => {
                return Err(Error::NotWasm(FormatProblem::Component));
            }
            Payload::CustomSection(section) if section.name() == "linking" => {
                return Err(Error::NotLinked);
            }
            _ => {}
        }
    }
    Ok(())
}
