//! The load-time pass: from the module that the embedder gives to the one that is
//! compiled.
//!
//! It writes into the guest's own code what the host needs to be able to end it:
//! the checks of a limit ([`Checks`]), and in every module, helper functions in
//! place of the instructions that trap or work for long inside of the engine
//! (see [`helpers`]). And it writes the reads and writes of regions in place of calls
//! (see [`access`]). A module that has none of those and needs no check stays as it is,
//! to the byte.
//!
//! What it adds comes after what the guest has: imports after the guest's imports (a
//! function, a memory if there are checks, and one if there is access to regions),
//! functions after the guest's functions. So the indices of the functions that the guest
//! defines move by one, and its memory's, if it defines one, by that of the added ones;
//! [`Layout`] has the way back.

mod access;
mod added;
mod body;
mod checks;
mod error;
mod helpers;
mod instruction;
mod layout;
mod module;
mod pass;
mod plan;
mod survey;
#[cfg(test)]
mod tests;

pub(crate) use access::Access;
pub(crate) use added::{Added, End};
pub use checks::Checks;
pub(crate) use helpers::BYTES_OF_FUEL;
pub(crate) use layout::Layout;
pub(crate) use module::Rewritten;
pub(crate) use pass::Pass;

use crate::types::Error;
use wasmparser::{Validator, WasmFeatures};

/// Part of the key of the module cache: changes when the pass's output does.
pub(crate) const VERSION: u32 = 5;

/// Checks that a module is valid, with the features that guests may use.
///
/// # Errors
/// [`Error::Compile`].
pub(crate) fn validate(module: &[u8]) -> Result<(), Error> {
    let mut features = WasmFeatures::WASM2 | WasmFeatures::EXTENDED_CONST;
    // An index of 0 with more bytes than it needs, as rust-lld writes it.
    features |= WasmFeatures::CALL_INDIRECT_OVERLONG;
    Validator::new_with_features(features)
        .validate_all(module)
        .map(drop)
        .map_err(|e| Error::Compile(e.to_string().into()))
}

/// How many imports a module has.
///
/// # Errors
/// [`Error::Compile`].
pub(crate) fn imports(module: &[u8]) -> Result<usize, Error> {
    module::imports(module).map_err(|e| Error::Compile(e.to_string().into()))
}

/// Rewrites a module, which is valid.
///
/// # Errors
/// [`Error::Compile`] when it becomes larger than a module can be.
pub(crate) fn rewrite(module: &[u8], pass: Pass) -> Result<Rewritten, Error> {
    module::rewrite(module, pass).map_err(|e| Error::Compile(e.to_string().into()))
}
