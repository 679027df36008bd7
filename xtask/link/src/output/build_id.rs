//! The `build_id` section, the module's last.

use sha2::{Digest, Sha256};
use wasm_encoder::{CustomSection, Encode, Section};

use crate::options::BuildId;

/// Bytes of the section; they depend on the kind of build id alone.
pub fn size(kind: &BuildId) -> usize {
    section(kind, &[]).len()
}

/// The section of a module that is `module` without it; empty if there is none.
pub fn section(kind: &BuildId, module: &[u8]) -> Vec<u8> {
    let hash = || Sha256::digest(module);
    let id: Vec<u8> = match kind {
        BuildId::None => return Vec::new(),
        BuildId::Fast => hash()[..16].to_vec(),
        BuildId::Sha1 => hash()[..20].to_vec(),
        BuildId::Bytes(bytes) => bytes.clone(),
    };
    let mut data = Vec::new();
    id.as_slice().encode(&mut data);
    let mut section = Vec::new();
    CustomSection {
        name: "build_id".into(),
        data: data.into(),
    }
    .append_to(&mut section);
    section
}
