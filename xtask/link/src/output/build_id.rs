//! The `build_id` section, the module's last.

use rayon::prelude::*;
use sha1::{Digest, Sha1};
use wasm_encoder::{CustomSection, Encode, Section};
use xxhash_rust::xxh3::xxh3_64;

use crate::options::BuildId;

/// Bytes of the section; they depend on the kind of build id alone.
pub fn size(kind: &BuildId) -> usize {
    encoded(vec![0; len(kind)]).map_or(0, |section| section.len())
}

/// Bytes of the id.
fn len(kind: &BuildId) -> usize {
    match kind {
        BuildId::None => 0,
        BuildId::Fast => 16,
        BuildId::Sha1 => 20,
        BuildId::Bytes(bytes) => bytes.len(),
    }
}

/// The section, if there is one.
fn encoded(id: Vec<u8>) -> Option<Vec<u8>> {
    if id.is_empty() {
        return None;
    }
    let mut data = Vec::new();
    id.as_slice().encode(&mut data);
    let mut section = Vec::new();
    CustomSection {
        name: "build_id".into(),
        data: data.into(),
    }
    .append_to(&mut section);
    Some(section)
}

/// Writes the section into the end of `module`, whose last [`size`] bytes are for
/// it. Hashes are of the whole module with spaces in place of the id.
pub fn write(kind: &BuildId, module: &mut [u8]) {
    let len = len(kind);
    if len == 0 {
        return;
    }
    let start = module.len() - size(kind);
    let end = module.len();
    module[start..].copy_from_slice(&encoded(vec![b' '; len]).unwrap_or_default());
    let id = match kind {
        BuildId::None => return,
        BuildId::Fast => uuid(hash_of_hashes(module, &|bytes| {
            xxh3_64(bytes).to_le_bytes()
        })),
        BuildId::Sha1 => {
            hash_of_hashes(module, &|bytes| <[u8; 20]>::from(Sha1::digest(bytes))).to_vec()
        }
        BuildId::Bytes(bytes) => bytes.clone(),
    };
    module[end - len..].copy_from_slice(&id);
}

/// LLD's hash of what may be large: that of the hashes of its mebibytes.
fn hash_of_hashes<const N: usize>(
    bytes: &[u8],
    hash: &(impl Fn(&[u8]) -> [u8; N] + Sync),
) -> [u8; N] {
    let parts: Vec<[u8; N]> = bytes.par_chunks(1 << 20).map(hash).collect();
    hash(parts.as_flattened())
}

/// The namespace of LLD's UUIDs, which its authors drew.
const NAMESPACE: [u8; 16] = [
    0xA1, 0xFA, 0x48, 0x2D, 0x0E, 0x22, 0x03, 0x8D, 0x33, 0x8B, 0x52, 0x1C, 0xD6, 0xD2, 0x12, 0xB2,
];

/// A UUID of version 5 (RFC 9562): of a name in a namespace.
fn uuid(name: [u8; 8]) -> Vec<u8> {
    let hash = Sha1::new().chain_update(NAMESPACE).chain_update(name);
    let mut id = hash.finalize()[..16].to_vec();
    id[6] = 0x50 | (id[6] & 0x0F);
    id[8] = 0x80 | (id[8] & 0x3F);
    id
}
