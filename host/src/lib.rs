//! Runs WebAssembly guests on memory that the host grants.
//!
//! An [`Engine`] compiles a [`Module`]; a [`Guest`] is an instance of it. A
//! [`Region`] is bytes of the host's; [granted](Guest::grant) to a guest, the
//! guest reads and writes them through its [`Pointer`], which is no address but is
//! checked at each use, or has them appear in its own memory as a window.
//!
//! ```no_run
//! # fn main() -> Result<(), host::Error> {
//! use host::{Access, Engine, Guest, Region};
//!
//! let module = Engine::default().load("calc.wasm")?;
//! let mut guest = Guest::new(&module)?;
//! let region = Region::copy_of(&[0, 1, 2, 3])?;
//! guest.grant(&region, Access::Read)?;
//! let result: i32 = guest.call("calc", &[region.pointer().into(), 20u8.into()])?;
//! println!("result: {result}");
//! # Ok(())
//! # }
//! ```

#[cfg(not(unix))]
compile_error!(
    "the host maps memory as Unix does; wasmer's Cranelift compiler does not support Windows either"
);

mod cache;
mod deadline;
mod engine;
mod error;
mod functions;
mod guest;
mod imports;
mod map;
mod outcome;
mod region;
mod space;
mod value;
mod wasi;

pub use engine::{Config, Engine, Module};
pub use error::{Error, PointerError, PointerProblem, Trace};
pub use functions::{Caller, Functions, HostResult};
pub use guest::{Guest, Limits, Setup};
pub use map::{Slice, SliceMut};
pub use region::{Access, MAX_REGION_LEN, Pointer, Region};
pub use value::{Results, Value};
pub use wasmer::Type;
