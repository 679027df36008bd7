//! The linker: relocatable objects and archives in, one module out.
//!
//! It knows of no file and no command line: bytes come in, bytes go out.
//!
//! ```
//! use genkan_link::{Input, Options, Role};
//!
//! let object = std::fs::read("../../fixtures/rustc-1.95.0/calc.o")?;
//! let input = Input {
//!     name: "calc.o",
//!     bytes: &object,
//!     role: Role::Guest,
//! };
//! let linked = genkan_link::link(&[input], &Options::guest())?;
//! let text = wasmprinter::print_bytes(&linked.module)?;
//! assert!(text.contains(r#"(import "env" "read""#));
//! assert!(text.contains(r#"(export "calc""#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
pub use write::Output;

pub use options::{
    BuildId, Exports, Input, MemoryOptions, Options, Panic, Role, Strip, TableOptions, Unresolved,
};
pub use report::{Item, Origin, Pulled, Report};

/// What a link yields besides the module.
#[derive(Debug)]
pub struct Notes {
    /// What the user should know, one line each.
    pub warnings: Vec<String>,
    /// Filled if [`Options::report`] asks.
    pub report: Report,
}

/// A module and what there is to say about it.
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
    let mut module = Vec::new();
    let Notes { warnings, report } = link_into(inputs, options, &mut module)?;
    Ok(Linked {
        module,
        warnings,
        report,
    })
}

/// Links `inputs`, in their order, and writes the module to `output`, such as
/// a mapped file.
///
/// # Errors
///
/// Those of [`link`], and what `output` says. It may have been written in part.
pub fn link_into(
    inputs: &[Input<'_>],
    options: &Options,
    output: &mut dyn Output,
) -> Result<Notes> {
    let mut program = resolve::resolve(inputs, options)?;
    panic::replace(&mut program, options.panic);
    let mut live = live::mark(&mut program, options)?;
    let layout = layout::lay_out(&mut program, &mut live, options)?;
    let extents = write::write(&program, &live, &layout, options, output)?;
    let report = if options.report {
        report::report(&program, &live, &layout, &extents)
    } else {
        Report::default()
    };
    Ok(Notes {
        warnings: program.warnings,
        report,
    })
}
