//! Files: mapped for reading; written whole, or not at all.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

/// A file's bytes.
pub enum Contents {
    /// A regular file, mapped: pages that nobody looks at are never read.
    Mapped(memmap2::Mmap),
    /// What cannot be mapped: a pipe, a device, an empty file.
    Read(Vec<u8>),
}

impl Deref for Contents {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Contents::Mapped(map) => map,
            Contents::Read(bytes) => bytes,
        }
    }
}

/// A file's own name, for headings.
pub fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// Opens `path` for reading. The error names the file.
pub fn read(path: &Path) -> anyhow::Result<Contents> {
    let context = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(context)?;
    let metadata = file.metadata().with_context(context)?;
    if metadata.is_file() && metadata.len() > 0 {
        // SAFETY: the map is private and read-only. If another process truncates
        // the file meanwhile, reading raises SIGBUS and this process ends: every
        // linker's bargain. Nothing here changes a file in place; outputs are
        // renamed into place (`write`), which leaves a mapped inode as it is.
        let map = unsafe { memmap2::Mmap::map(&file) }.with_context(context)?;
        return Ok(Contents::Mapped(map));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).with_context(context)?;
    Ok(Contents::Read(bytes))
}

/// Whether a command line's path means stdin or stdout.
pub fn is_stdio(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// [`read`], where `-` is stdin.
pub fn read_or_stdin(path: &Path) -> anyhow::Result<Contents> {
    if !is_stdio(path) {
        return read(path);
    }
    let mut bytes = Vec::new();
    let mut stdin = std::io::stdin().lock();
    stdin.read_to_end(&mut bytes).context("cannot read stdin")?;
    Ok(Contents::Read(bytes))
}

/// [`write()`], where `-` is stdout. A reader that leaves early is no error.
pub fn write_or_stdout(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if !is_stdio(path) {
        return write(path, bytes);
    }
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to stdout"),
    }
}

/// Writes `bytes` to `path`: beside it first, then renamed, so that a reader
/// sees the old file or the new one. A device or a pipe is written directly.
/// Missing folders are made.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write_with_mode(path, bytes, 0o666)
}

/// [`write()`], for what may be executed: shells that know modules run them.
pub fn write_program(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write_with_mode(path, bytes, 0o777)
}

fn write_with_mode(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let context = || format!("cannot write {}", path.display());
    match Place::of(path) {
        Place::Device => std::fs::write(path, bytes).with_context(context),
        Place::File(target) => {
            let mut file = beside(&target, mode).with_context(context)?;
            file.write_all(bytes).with_context(context)?;
            file.persist(&target).with_context(context)?;
            Ok(())
        }
    }
}

/// Finds out before long work whether [`write()`] can write to `path`, and writes nothing.
/// Missing folders are made.
pub fn check_place(path: &Path) -> anyhow::Result<()> {
    let context = || format!("cannot write {}", path.display());
    anyhow::ensure!(!path.is_dir(), "{}: it is a folder", context());
    match Place::of(path) {
        Place::Device => Ok(()),
        Place::File(target) => beside(&target, 0o666).map(drop).with_context(context),
    }
}

/// What a path leads to.
enum Place {
    /// A regular file, there or not. A symbolic link stays one: this is what
    /// it leads to.
    File(PathBuf),
    /// A device or a pipe.
    Device,
}

impl Place {
    fn of(path: &Path) -> Self {
        if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            return Place::Device;
        }
        Place::File(path.canonicalize().unwrap_or_else(|_| path.to_owned()))
    }
}

/// A temporary file in the folder of `target`, which is made if it is missing.
#[cfg_attr(not(unix), expect(unused_variables))]
fn beside(target: &Path, mode: u32) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".genkan-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // As any new file: the umask decides, not tempfile's 0600.
        builder.permissions(std::fs::Permissions::from_mode(mode));
    }
    builder.tempfile_in(folder)
}

/// A program in the making: the linker writes it into memory of its own, and
/// [`Program::finish`] into its file.
pub struct Program {
    path: PathBuf,
    space: Option<memmap2::MmapMut>,
}

impl Program {
    /// Nothing is made yet.
    pub fn new(path: &Path) -> Self {
        Program {
            path: path.to_owned(),
            space: None,
        }
    }

    /// What has been written.
    pub fn bytes(&self) -> &[u8] {
        self.space.as_deref().unwrap_or_default()
    }

    /// Writes the file, as [`write_program`] does; `-` is stdout.
    pub fn finish(self) -> anyhow::Result<()> {
        match is_stdio(&self.path) {
            true => write_or_stdout(&self.path, self.bytes()),
            false => write_program(&self.path, self.bytes()),
        }
    }
}

impl genkan_link::Output for Program {
    fn space(&mut self, len: usize) -> std::io::Result<&mut [u8]> {
        let map = memmap2::MmapMut::map_anon(len)?;
        // Page by page, megabytes take longer to get than to fill. Where there
        // are no large pages, small ones do.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(self.space.insert(map))
    }
}

/// SHA-256, as lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/file");
        for bytes in [&b"\0asm"[..], b"", b"longer than before"] {
            write(&path, bytes).unwrap();
            assert_eq!(&*read(&path).unwrap(), bytes);
        }
        // Nothing is left beside it.
        assert_eq!(path.parent().unwrap().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_map_outlives_the_file_that_it_was_made_from() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"old").unwrap();
        let old = read(&path).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(&*old, b"old");
        assert_eq!(&*read(&path).unwrap(), b"new");
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (link, file) = (folder.path().join("link"), folder.path().join("file"));
        std::fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
    }

    #[test]
    fn the_error_names_the_file() {
        let Err(error) = read(Path::new("/nowhere/guest.o")) else {
            panic!("there is no such file");
        };
        assert!(error.to_string().contains("/nowhere/guest.o"));
    }

    #[test]
    fn sha256_is_the_standard_one() {
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
