//! The linker: relocatable objects and archives in, one module out.

mod archive;
mod code;
mod custom;
mod error;
mod features;
mod layout;
mod live;
mod made;
mod object;
pub mod options;
mod panic;
mod relocate;
pub mod report;
mod resolve;
mod runtime;
mod shim;
mod start;
mod strings;
mod symbols;
mod types;
mod write;

pub use error::{Error, Result};

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

/// Links `inputs`, in their order, into one module.
///
/// # Errors
///
/// If an input is damaged or not for WebAssembly with a 32-bit memory, symbols
/// conflict or are missing, or the options ask for what is impossible.
pub fn link(inputs: &[Input<'_>], options: &Options) -> Result<Linked> {
    let mut program = resolve::resolve(inputs, options)?;
    panic::replace(&mut program, options.panic);
    let mut live = live::mark(&mut program, options)?;
    let layout = layout::lay_out(&mut program, &mut live, options)?;
    let written = write::write(&program, &live, &layout, options)?;
    let report = if options.report {
        report::report(&program, &live, &layout, &written)
    } else {
        Report::default()
    };
    Ok(Linked {
        module: written.module,
        warnings: program.warnings,
        report,
    })
}
