//! Whether the module is for a 64-bit memory.

use crate::error::{Error, Errors, Result};
use crate::index::{IndexVec, ObjectId};
use crate::options::{Options, Panic};
use crate::resolve::resolution::JoinedObject;

/// Whether the module's memory has 64 bits, which the options have to say.
///
/// # Errors
///
/// If an object is for another memory, or the options ask for what 64 bits do not
/// have.
pub fn is_64(objects: &IndexVec<ObjectId, JoinedObject>, options: &Options) -> Result<bool> {
    let module_is_64 = options.memory.is_64;
    let others = objects.iter().filter_map(|joined| {
        let is_64 = joined.object.is_64.filter(|&is_64| is_64 != module_is_64)?;
        let origin = joined.object.name.into();
        Some(Error::Machine { origin, is_64 })
    });
    let mut errors: Vec<Error> = others.collect();
    for (is_asked, what) in [
        (options.is_dynamic(), "dynamic linking"),
        (options.panic != Panic::Std, "reports of panics"),
    ] {
        if module_is_64 && is_asked {
            errors.push(Error::Memory64 { what });
        }
    }
    Errors::check(errors)?;
    Ok(module_is_64)
}
