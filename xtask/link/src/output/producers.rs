//! The sections that say what the module was made by and needs: `producers` and
//! `target_features`.

use std::collections::BTreeMap;

use wasm_encoder::{CustomSection, Encode, ProducersField, ProducersSection, Section};
use wasmparser::{BinaryReader, ProducersSectionReader};

use crate::output::parts::Parts;
use crate::resolve::features;

/// A field's name, and what it lists: names and versions.
type Field<'p> = (&'static str, Vec<(&'p str, &'p str)>);

/// Who made the objects: field, then name, in the order of first mention; the
/// first version of each.
pub fn producers(parts: &Parts, out: &mut Vec<u8>) {
    if !parts.options.keeps("producers") {
        return;
    }
    let mut fields: Vec<Field> = ["language", "processed-by", "sdk"]
        .map(|field| (field, Vec::new()))
        .into();
    for (_, object) in parts.resolution.all_objects() {
        let Some(section) = &object.producers else {
            continue;
        };
        // Nothing depends on it: what cannot be read is left out.
        let reader = BinaryReader::new(section.data(), 0);
        let Ok(reader) = ProducersSectionReader::new(reader) else {
            continue;
        };
        for field in reader.into_iter().flatten() {
            let Some((_, values)) = fields.iter_mut().find(|(name, _)| *name == field.name) else {
                continue;
            };
            for value in field.values.into_iter().flatten() {
                if !values.iter().any(|(name, _)| *name == value.name) {
                    values.push((value.name, value.version));
                }
            }
        }
    }
    fields.retain(|(_, values)| !values.is_empty());
    if fields.is_empty() {
        return;
    }
    let mut section = ProducersSection::new();
    for (name, values) in &fields {
        let mut field = ProducersField::new();
        for (name, version) in values {
            field.value(name, version);
        }
        section.field(name, &field);
    }
    section.append_to(out);
}

/// The features that the module may use.
pub fn target_features(parts: &Parts, out: &mut Vec<u8>) {
    let allowed = &parts.resolution.features;
    // What another object must not use, the final link has to know.
    let disallowed = match parts.options.is_relocatable() {
        true => features::disallowed(parts.resolution),
        false => BTreeMap::new(),
    };
    let count = allowed.len() + disallowed.len();
    if count == 0 || !parts.options.keeps("target_features") {
        return;
    }
    let mut data = Vec::new();
    count.encode(&mut data);
    let used = allowed.iter().map(|name| (features::USED, name));
    let disallowed = disallowed.keys().map(|name| (features::DISALLOWED, name));
    for (policy, name) in used.chain(disallowed) {
        data.push(policy);
        name.encode(&mut data);
    }
    CustomSection {
        name: "target_features".into(),
        data: data.into(),
    }
    .append_to(out);
}
