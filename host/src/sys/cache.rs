//! Compiled modules, on disk.
//!
//! What is loaded from here becomes code, so a file counts only if it is in a
//! directory that nobody else can write, has the name that its key gives it, and
//! begins with the hash of what follows. The key is the hash of the module, of
//! the engine's version and settings, and of this machine's CPU features.

use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use wasmer::sys::CpuFeature;

pub(crate) struct Cache(PathBuf);

pub(crate) struct Key(String);

impl Key {
    /// The hash of this key and an artifact: a file of another key's does not have it.
    fn seal(&self, artifact: &[u8]) -> [u8; HASH_LEN] {
        let hash = Sha256::new().chain_update(&self.0).chain_update(artifact);
        hash.finalize().into()
    }
}

const HASH_LEN: usize = 32;

impl Cache {
    /// Opens the directory, or makes it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        make_private(path)?;
        check_private(path)?;
        Ok(Self(path.into()))
    }

    /// The key of a module that the load-time pass of this version made of `module`,
    /// as `variant` says.
    pub(crate) fn key(&self, module: &[u8], pass: u32, variant: &[u8]) -> Key {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        field(wasmer::sys::vm::VERSION.as_bytes());
        field(env!("CARGO_PKG_VERSION").as_bytes());
        field(std::env::consts::ARCH.as_bytes());
        field(std::env::consts::OS.as_bytes());
        field(format!("{:?}", CpuFeature::for_host()).as_bytes());
        field(&pass.to_le_bytes());
        field(variant);
        field(module);
        Key(hex(&hash.finalize()))
    }

    /// The compiled module, if it is there and whole.
    pub(crate) fn load(&self, key: &Key, engine: &wasmer::Engine) -> Option<wasmer::Module> {
        check_private(&self.0).ok()?;
        let mut hash = read_own(&self.path(key)).ok()?;
        if hash.len() < HASH_LEN {
            return None;
        }
        let artifact = hash.split_off(HASH_LEN);
        if hash != key.seal(&artifact) {
            return None;
        }
        // What `serialize` gave for a key that has the engine's version and the CPU's
        // features in it: it matches its hash, in a directory that only the user can
        // write.
        from_artifact(engine, artifact)
    }

    /// Stores an artifact: whole, or not at all.
    pub(crate) fn store(&self, key: &Key, artifact: &[u8]) -> io::Result<()> {
        check_private(&self.0)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
        file.write_all(&key.seal(artifact))?;
        file.write_all(artifact)?;
        file.persist(self.path(key))?;
        Ok(())
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.0.join(&key.0)
    }
}

/// A module from what this version of the engine serialized on this machine; `None` if
/// the engine sees that it is something else.
///
/// Not `unsafe`, as all its callers are in this crate: bytes that somebody else can have
/// written must not come here.
pub(crate) fn from_artifact(engine: &wasmer::Engine, artifact: Vec<u8>) -> Option<wasmer::Module> {
    // SAFETY: as above.
    unsafe { wasmer::Module::deserialize(engine, artifact) }.ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a file that is the user's own, and no link.
fn read_own(path: &Path) -> io::Result<Vec<u8>> {
    let no_link = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let mut file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(no_link)
        .open(path)?;
    let metadata = file.metadata()?;
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    if !metadata.is_file() || !own || metadata.mode() & 0o022 != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn make_private(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

fn check_private(path: &Path) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    let problem = if metadata.uid() != rustix::process::geteuid().as_raw() {
        "it belongs to somebody else"
    } else if metadata.mode() & 0o022 != 0 {
        "others can write it (chmod go-w)"
    } else {
        return Ok(());
    };
    Err(io::Error::other(format!(
        "no cache for compiled code: {problem}"
    )))
}
