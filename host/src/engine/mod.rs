//! Modules: from a file or bytes to compiled code.

mod bounds;
mod compiler;
mod constant;
mod data;
mod elements;
pub(crate) mod frames;
mod module;
mod plain;
pub(crate) mod stack_pointer;

pub use module::Module;
pub(crate) use module::{Variant, VariantOrigin};

pub use compiler::CompileLimits;
pub(crate) use compiler::Compiler;

use crate::calls::{Declarations, SECTION};
use crate::rewrite::{self, Checks};
use crate::types::{Error, FormatProblem, file_error};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wasmparser::Payload;

/// How modules are compiled.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// Keep compiled modules in this directory, and load them from there. It is
    /// made if it is not there, for its owner alone; one that others can write is
    /// not used, because what is in it becomes code.
    pub cache: Option<PathBuf>,
    /// The checks that modules are compiled with at once. For a guest whose limits
    /// need others, its module is compiled again when the first such guest is made;
    /// or ahead, with [`Module::prepare`]. Checks make guests slower: `cargo xtask bench
    /// host` measures how much.
    pub checks: Checks,
    /// The most bytes that a module may have; 64 MiB if it is not given.
    pub largest: Option<usize>,
    /// What compiling a module may take, if that is bounded. The compiler takes minutes for
    /// some modules of a few KB, and cannot be stopped: with limits, modules are compiled
    /// in a forked process, on Linux. For a stranger's modules.
    pub compile_limits: Option<CompileLimits>,
}

impl Config {
    /// No cache, and no checks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Config::cache`].
    #[must_use]
    pub fn cache(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cache = Some(directory.into());
        self
    }

    /// Sets [`Config::checks`].
    #[must_use]
    pub fn checks(mut self, checks: Checks) -> Self {
        self.checks = checks;
        self
    }

    /// Sets [`Config::largest`].
    #[must_use]
    pub fn largest(mut self, bytes: usize) -> Self {
        self.largest = Some(bytes);
        self
    }

    /// Sets [`Config::compile_limits`].
    #[must_use]
    pub fn compile_limits(mut self, time: Duration, memory: u64) -> Self {
        self.compile_limits = Some(CompileLimits { time, memory });
        self
    }
}

/// Compiles modules. Cheap to clone; its clones share what is compiled.
#[derive(Clone)]
pub struct Engine {
    compiler: Compiler,
    checks: Checks,
    largest: usize,
}

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
        Ok(Self {
            compiler: Compiler::new(config.cache.as_deref(), config.compile_limits)?,
            checks: config.checks,
            largest: config.largest.unwrap_or(64 << 20),
        })
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
    /// [`Error::NotWasm`], [`Error::NotLinked`], [`Error::CompileLimit`],
    /// [`Error::Compile`].
    pub fn compile(&self, bytes: &[u8]) -> Result<Module, Error> {
        let bytes = match bytes {
            [b'\0', b'a', b's', b'm', ..] => Cow::Borrowed(bytes),
            _ => Cow::Owned(text_to_module(bytes)?),
        };
        bounds::check_size(&bytes, self.largest)?;
        let declared = inspect(&bytes)?;
        bounds::check_code(&bytes)?;
        rewrite::validate(&bytes)?;
        Module::new(&self.compiler, &bytes, declared, self.checks)
    }
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

/// Finds what the engine would reject in less helpful words, or accept; and the
/// functions that say their types.
fn inspect(bytes: &[u8]) -> Result<Declarations, Error> {
    let mut sections = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        match payload.map_err(|e| Error::NotWasm(FormatProblem::Damaged(e.to_string())))? {
            Payload::Version { encoding, .. } if encoding != wasmparser::Encoding::Module => {
                return Err(Error::NotWasm(FormatProblem::Component));
            }
            Payload::CustomSection(section) if section.name() == "linking" => {
                return Err(Error::NotLinked);
            }
            Payload::CustomSection(section) if section.name() == SECTION => {
                sections.push(section.data());
            }
            _ => {}
        }
    }
    Declarations::parse(sections.into_iter()).map_err(|problem| Error::Compile(problem.into()))
}
