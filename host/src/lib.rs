#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(unix))]
compile_error!(
    "the host maps memory as Unix does; wasmer's Cranelift compiler does not support Windows either"
);

// Each layer knows those before it, and none behind it; `tests/layers.rs` checks that.
mod abi;
mod backtrace;
mod calls;
#[cfg(feature = "cli")]
pub mod cli;
mod engine;
mod files;
mod guest;
mod imports;
mod pool;
mod profile;
mod regions;
mod rewrite;
mod stop;
mod sys;
mod types;

/// For `host/bench`, which measures it: what is written into a module before it is compiled
/// with these checks. How many bytes the module has then.
#[doc(hidden)]
pub fn measure_rewriting(module: &[u8], checks: Checks) -> Result<usize, Error> {
    let rewritten = rewrite::rewrite(module, rewrite::Pass::inlining(checks))?;
    Ok(rewritten.bytes.map_or(module.len(), |bytes| bytes.len()))
}

pub use backtrace::{Entry, Frame, Location, Trace};
pub use calls::{Argument, Arguments, Encoded, Parameter, Results, Return, Stop};
pub use engine::{CompileLimits, Config, Engine, Module};
pub use files::{Dir, DirAccess};
pub use guest::{Captured, Guest, Setup};
pub use imports::{Caller, Cx, Function, Functions, HostFunction, HostResult};
pub use pool::{Pool, PoolLimits, Pooled};
pub use profile::Profile;
pub use regions::{Number, Region, RegionVec};
pub use rewrite::Checks;
pub use stop::Canceller;
pub use sys::{Atomic, Atomics, Pinned, Slice, SliceMut};
pub use types::{
    Access, Error, FormatProblem, Import, ImportKind, Limits, MAX_REGION_LEN, Mismatch, Pointer,
    PointerError, PointerProblem, RegionUser, ReturnedError, Signature, SourceLocation, Value,
    ValueType, WindowProblem,
};
