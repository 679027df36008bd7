//! The `target_features` section: which features of WebAssembly the objects
//! use, and whether they agree.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Damage, Error, Errors, FeatureUse, Result};
use crate::index::{IndexVec, ObjectId};
use crate::options::Options;
use crate::origin::ObjectName;
use crate::resolve::resolution::{JoinedObject, Resolution};

/// `WASM_FEATURE_PREFIX_USED`.
pub const USED: u8 = b'+';
/// `WASM_FEATURE_PREFIX_REQUIRED`, of LLVM before 18.
const REQUIRED: u8 = b'=';
/// `WASM_FEATURE_PREFIX_DISALLOWED`.
pub const DISALLOWED: u8 = b'-';

/// What LLVM disallows in objects whose atomic operations it made plain ones.
const SHARED_MEMORY: &str = "shared-mem";

/// The features that the module may use: those named by option, or those which
/// the objects use.
pub fn allowed<'a>(
    objects: &IndexVec<ObjectId, JoinedObject<'a>>,
    options: &'a Options,
) -> BTreeSet<&'a str> {
    let extra = options.extra_features.iter();
    let mut allowed: BTreeSet<&str> = extra.map(String::as_str).collect();
    // What a dynamic linker gives comes in mutable globals, `__stack_pointer` first;
    // hand-written objects do not say so.
    if options.is_pic() {
        allowed.insert("mutable-globals");
    }
    match &options.features {
        Some(named) => allowed.extend(named.iter().map(String::as_str)),
        None => {
            let used = objects.iter().flat_map(|joined| &joined.object.features);
            let used = used.filter(|(policy, _)| *policy != DISALLOWED);
            allowed.extend(used.map(|(_, name)| *name));
        }
    }
    allowed
}

/// The features that objects must not meet, each with the first object that says so.
pub fn disallowed<'a>(resolution: &Resolution<'a>) -> BTreeMap<&'a str, ObjectName<'a>> {
    let mut found = BTreeMap::new();
    for (_, object) in resolution.all_objects() {
        for &(policy, feature) in &object.features {
            if policy == DISALLOWED {
                found.entry(feature).or_insert(object.name);
            }
        }
    }
    found
}

/// Checks that no object refuses what another uses, and that all is allowed.
///
/// # Errors
///
/// If one does, or is not.
pub fn check(resolution: &Resolution, options: &Options, uses_tls: bool) -> Result<()> {
    if !options.check_features {
        return Ok(());
    }
    let allowed = &resolution.features;
    let mut errors = Vec::new();
    let disallowed = disallowed(resolution);
    for (_, object) in resolution.all_objects() {
        for &(policy, feature) in &object.features {
            if !matches!(policy, USED | REQUIRED | DISALLOWED) {
                errors.push(Error::Damaged {
                    origin: object.name.into(),
                    damage: Damage::FeaturePolicy {
                        policy,
                        feature: feature.to_owned(),
                    },
                });
            }
        }
    }
    if let (true, Some(&by)) = (options.memory.shared, disallowed.get(SHARED_MEMORY)) {
        errors.push(Error::SharedMemoryDisallowed { by: by.into() });
    }
    let uses = [
        (options.memory.shared, FeatureUse::SharedMemory),
        (uses_tls, FeatureUse::ThreadLocal),
    ];
    for (_, needed_for) in uses.into_iter().filter(|(is_used, _)| *is_used) {
        for feature in ["atomics", "bulk-memory"] {
            if !allowed.contains(feature) {
                errors.push(Error::FeatureNeeded {
                    feature,
                    needed_for,
                });
            }
        }
    }
    for (_, object) in resolution.all_objects() {
        let used = object.features.iter().filter(|(p, _)| *p != DISALLOWED);
        for &(policy, feature) in used {
            if options.features.is_some() && policy == USED && !allowed.contains(feature) {
                errors.push(Error::FeatureNotAllowed {
                    feature: feature.to_owned(),
                    used_by: object.name.into(),
                });
            }
            if let Some(&by) = disallowed.get(feature) {
                errors.push(Error::FeatureDisallowed {
                    feature: feature.to_owned(),
                    used_by: object.name.into(),
                    disallowed_by: by.into(),
                });
            }
        }
    }
    Errors::check(errors)
}
