//! Phase 3: resolve. Takes the inputs; gives the objects that are part of the
//! link and what each of their symbols stands for.
//!
//! Undefined symbols are not looked for here: only what turns out to be live is
//! missed.

mod allocator;
mod bind;
mod extract;
pub mod features;
mod linker_defined;
mod machine;
mod mismatch;
mod panic;
mod request;
pub mod resolution;
mod stubs;
mod substitute;
pub mod trace;

use crate::error::{Error, Errors, Result};
use crate::index::IndexVec;
use crate::input::shared;
use crate::options::{Input, Options};
use crate::resolve::extract::{Extractor, Joined};
use crate::resolve::resolution::Resolution;
use crate::signature::Signature;

/// Resolves `inputs`.
///
/// # Errors
///
/// If an input is damaged, two strong definitions meet, or objects disagree on
/// what a symbol is.
pub fn resolve<'a>(inputs: &[Input<'a>], options: &'a Options) -> Result<Resolution<'a>> {
    if options.is_pic() && options.memory.shared {
        return Err(Error::PlacedThreads.into());
    }
    let mut extractor = Extractor::new(options);
    let mut synthetic = IndexVec::new();
    let symbols = &mut extractor.binder.symbols;
    let has_library = inputs.iter().any(|it| shared::is_shared_library(it.bytes));
    let is_dynamic = options.is_dynamic() || (has_library && !options.is_relocatable());
    let call_ctors = linker_defined::define(symbols, &mut synthetic, is_dynamic, options);
    extractor.take(inputs)?;
    let destructors = request::by_options(&mut extractor, options)?;
    stubs::apply(&mut extractor, options)?;
    if !options.is_relocatable() {
        allocator::define(&mut extractor, &mut synthetic)?;
    }

    let Joined {
        binder,
        objects,
        libraries,
        extracted,
        warnings,
    } = extractor.finish();
    let is_64 = machine::is_64(&objects, &libraries, options)?;
    if is_64 {
        linker_defined::widen(&mut synthetic);
    }
    let mut resolution = Resolution {
        is_64,
        features: features::allowed(&objects, options),
        objects,
        symbols: binder.symbols,
        synthetic,
        call_ctors,
        destructors: None,
        panic_report: None,
        libraries: libraries.into_iter().map(|library| library.name).collect(),
        is_dynamic,
        warnings,
        extracted,
        traced: binder.traced,
    };
    resolution.destructors = destructors.filter(|&id| {
        resolution.symbols[id].is_defined()
            && resolution.symbol_type(id) == Some(Signature::NOTHING)
    });
    if options.is_relocatable() {
        linker_defined::import_table(&mut resolution);
    } else {
        linker_defined::define_optional(&mut resolution.symbols, &resolution.objects, options);
    }
    substitute::defsym(&mut resolution.symbols, options)?;
    substitute::hosts_by_objects(&mut resolution, binder.host.into_values().collect());
    substitute::wrap(&mut resolution, options);
    let mut errors = binder.errors;
    errors.extend(mismatch::stub_mismatched_calls(&mut resolution, options)?);
    Errors::check(errors)?;
    panic::replace(&mut resolution, options.panic);
    Ok(resolution)
}
