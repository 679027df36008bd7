//! A linker for WebAssembly: relocatable objects and archives in, one module
//! out. It knows of no file and no command line: bytes come in, bytes go out.
//!
//! [`link`] takes what compilers make (rustc's `--emit=obj`, clang's `-c`, `.a`
//! and `.rlib` archives) as [`Input`]s, and [`Options`]; it gives a [`Linked`]
//! module, or [`Errors`] that say what is wrong in which file, and that can be
//! matched on.
//!
//! ```
//! use genkan_link::{Error, Input, Options, Role};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // `int twice(int n) { return 2 * n; }`, as `clang --target=wasm32 -c` makes it:
//! // usually `std::fs::read("twice.o")?`.
//! let object = b"\0asm\x01\0\0\0\
//!     \x01\x06\x01\x60\x01\x7f\x01\x7f\
//!     \x03\x02\x01\0\
//!     \x0a\x09\x01\x07\0\x20\0\x41\x02\x6c\x0b\
//!     \0\x15\x07linking\x02\x08\x0a\x01\0\0\0\x05twice";
//!
//! let mut options = Options::wasm_ld();
//! options.entry = None;
//! let input = Input::new("twice.o", object).with_role(Role::Guest);
//! options.exports = genkan_link::Exports::Guest;
//! let linked = genkan_link::link(&[input], &options)?;
//! assert!(linked.module.starts_with(b"\0asm"));
//!
//! // What is wrong is data.
//! let errors = genkan_link::link(&[Input::new("cut.o", &object[..20])], &options).unwrap_err();
//! match errors.first() {
//!     Error::Damaged { origin, .. } => assert_eq!(origin.file, "cut.o"),
//!     other => panic!("{other}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What it links: WebAssembly objects as LLVM 12 to 22 make them, with debug
//! information, into modules, objects and shared libraries ([`OutputKind`]), for
//! memories of 32 bits and of 64. What it does not is an error by its name
//! ([`Unsupported`]), such as bitcode: LTO is the compiler's.
//!
//! The same inputs and options give the same bytes, whatever the machine and its
//! number of threads. Work is spread over rayon's global pool. Inputs are not
//! trusted: they may be damaged or forged, and end in an error; but code is
//! copied as it is, unless [`Options::validate`] asks to look at it.
//!
//! # Phases
//!
//! Each borrows what those before it made, and returns a value; nothing is
//! changed afterwards. In the order of their folders' use:
//!
//! | phase | takes | gives |
//! |---|---|---|
//! | `input` | bytes | an object's tables; an archive's index and members |
//! | `symbols` | | what a symbol can stand for, and the table of symbols |
//! | `resolve` | inputs | the objects that take part, what each symbol stands for |
//! | `live` | the resolution | what is reached; what becomes of undefined symbols |
//! | `fold` | what is live | which functions and constants are the same, and written once |
//! | `layout` | what is live | addresses of data, size of memory |
//! | `synthetic` | that, and constructors | the functions that the linker adds |
//! | `indices` | all of it | indices of functions, globals, tables, tags, types |
//! | `output` | all of it | the module |

mod error;
mod fold;
mod index;
mod indices;
mod input;
mod layout;
mod libraries;
mod live;
mod options;
mod origin;
mod output;
mod parallel;
mod report;
mod resolve;
mod signature;
mod symbols;
mod synthetic;

pub use error::{
    Damage, DuplicateSymbol, Error, Errors, FeatureUse, Mangled, MemoryError, MemorySize,
    RelocationMisfit, Result, UndefinedReason, UndefinedSymbol, Unsupported, Warning,
};
pub use libraries::Library;
pub use options::{
    BuildId, Duplicates, Exports, Icf, Input, MemoryOptions, Options, OutputKind, Panic, Role,
    Strip, TableOptions, Unresolved,
};
pub use origin::{Origin, SymbolKind};
pub use output::Output;
pub use report::{Extracted, Folded, Item, Removed, Report};
pub use resolve::trace::{Event, Traced};

/// What a link yields besides the module.
#[derive(Debug)]
#[non_exhaustive]
pub struct Notes {
    /// What the user should know.
    pub warnings: Vec<Warning>,
    /// Filled if [`Options::report`] asks.
    pub report: Report,
}

/// A module and what there is to say about it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Linked {
    /// The module, valid WebAssembly where the objects' code is.
    pub module: Vec<u8>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
    /// Filled if [`Options::report`] asks.
    pub report: Report,
}

/// Links `inputs`, in their order, into one module.
///
/// # Errors
///
/// If an input is damaged or not for WebAssembly, symbols
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
    let resolution = resolve::resolve(inputs, options)?;
    let live = live::mark(&resolution, options)?;
    let folds = fold::fold(&resolution, &live, options)?;
    let layout = layout::lay_out(&resolution, &live, &folds, options)?;
    let uses_tls = layout.has_thread_local() && !options.is_relocatable();
    resolve::features::check(&resolution, options, uses_tls)?;
    let synthetics = synthetic::make(&resolution, &live, &layout, options)?;
    let indices = indices::number(&resolution, &live, &folds, &layout, &synthetics, options)?;
    let parts = output::parts::Parts {
        resolution: &resolution,
        live: &live,
        folds: &folds,
        layout: &layout,
        synthetics: &synthetics,
        indices: &indices,
        options,
    };
    let extents = output::write(&parts, output)?;
    let report = match options.report {
        true => report::report(&parts, &extents),
        false => Report::default(),
    };
    let warnings = resolution.warnings.iter().chain(&live.warnings);
    Ok(Notes {
        warnings: warnings.cloned().collect(),
        report,
    })
}
