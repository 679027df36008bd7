//! Whether the module is for a 64-bit memory.

use crate::error::{Error, Errors, Result};
use crate::index::{IndexVec, ObjectId};
use crate::input::shared::SharedLibrary;
use crate::options::{Options, Panic};
use crate::resolve::resolution::JoinedObject;

/// Whether the module's memory has 64 bits, which the options have to say.
///
/// # Errors
///
/// If an object is for another memory, or the options ask for what 64 bits do not
/// have.
pub fn is_64(
    objects: &IndexVec<ObjectId, JoinedObject>,
    libraries: &[SharedLibrary],
    options: &Options,
) -> Result<bool> {
    let module_is_64 = options.memory.is_64;
    let objects = objects.iter().map(|it| (it.object.name, it.object.is_64));
    let libraries = libraries.iter().map(|it| (it.name, it.is_64));
    let others = objects.chain(libraries).filter_map(|(name, is_64)| {
        let is_64 = is_64.filter(|&is_64| is_64 != module_is_64)?;
        let origin = name.into();
        Some(Error::Machine { origin, is_64 })
    });
    let mut errors: Vec<Error> = others.collect();
    if module_is_64 && options.panic != Panic::Std {
        let what = "reports of panics";
        errors.push(Error::Memory64 { what });
    }
    Errors::check(errors)?;
    Ok(module_is_64)
}
