//! The linker: relocatable objects and archives in, one module out.

pub mod options;
pub mod report;

pub use options::{
    BuildId, Exports, Input, MemoryOptions, Options, Panic, Role, Strip, TableOptions, Unresolved,
};
pub use report::{Item, Origin, Pulled, Report};

/// What a link yields.
#[derive(Debug)]
pub struct Linked {
    /// The module, valid WebAssembly.
    pub module: Vec<u8>,
    /// What the user should know, one line each.
    pub warnings: Vec<String>,
    /// Filled if [`Options::report`] asks.
    pub report: Report,
}

/// Why a link failed; its `Display` is the message for the user.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// Links `inputs`, in their order, into one module.
pub fn link(_inputs: &[Input<'_>], _options: &Options) -> Result<Linked, Error> {
    Err(Error("not there yet".into()))
}
