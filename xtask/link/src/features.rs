//! The `target_features` section: which features of WebAssembly the objects
//! use, and whether they agree.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{Error, Result};
use super::options::Options;
use super::symbols::Program;

/// `WASM_FEATURE_PREFIX_USED`.
pub const USED: u8 = b'+';
/// `WASM_FEATURE_PREFIX_DISALLOWED`.
const DISALLOWED: u8 = b'-';

/// The features that the module may use: those named by option, or those which
/// the objects use.
pub fn allowed<'p>(program: &'p Program, options: &'p Options) -> BTreeSet<&'p str> {
    let extra = options.extra_features.iter();
    let mut allowed: BTreeSet<&str> = extra.map(String::as_str).collect();
    match &options.features {
        Some(named) => allowed.extend(named.iter().map(String::as_str)),
        None => {
            let used = program.objects.iter().flat_map(|o| &o.features);
            let used = used.filter(|(policy, _)| *policy != DISALLOWED);
            allowed.extend(used.map(|(_, name)| *name));
        }
    }
    allowed
}

/// Checks that no object refuses what another uses, and that all is allowed.
pub fn check(program: &Program, options: &Options, uses_tls: bool) -> Result<()> {
    if !options.check_features {
        return Ok(());
    }
    let allowed = allowed(program, options);
    let mut errors = Vec::new();
    let mut disallowed: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, object) in program.objects.iter().enumerate() {
        for &(policy, name) in &object.features {
            match policy {
                USED | b'=' => {}
                DISALLOWED => {
                    disallowed.entry(name).or_insert(number);
                }
                other => errors.push(format!(
                    "{}: target_features: unknown policy {other:#x} for `{name}`",
                    object.place
                )),
            }
        }
    }
    if uses_tls {
        for name in ["atomics", "bulk-memory"] {
            if !allowed.contains(name) {
                errors.push(format!(
                    "'{name}' feature must be used in order to use thread-local storage"
                ));
            }
        }
    }
    for object in &program.objects {
        for &(policy, name) in object
            .features
            .iter()
            .filter(|(policy, _)| *policy != DISALLOWED)
        {
            if options.features.is_some() && policy == USED && !allowed.contains(name) {
                errors.push(format!(
                    "Target feature '{name}' used by {} is not allowed.",
                    object.place
                ));
            }
            if let Some(&by) = disallowed.get(name) {
                errors.push(format!(
                    "Target feature '{name}' used in {} is disallowed by {}. \
                     Use --no-check-features to suppress.",
                    object.place, program.objects[by].place
                ));
            }
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::all(errors))
    }
}
