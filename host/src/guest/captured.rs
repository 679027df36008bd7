//! What a guest printed.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What guests printed that were made with [`Setup::capture`](crate::Setup::capture).
///
/// ```no_run
/// # fn main() -> Result<(), genkan_host::Error> {
/// # use genkan_host::{Captured, Engine, Guest, Setup};
/// let printed = Captured::new(1 << 20);
/// let module = Engine::default().load("program.wasm")?;
/// Guest::with(&module, Setup::new().capture(&printed))?.call::<()>("_start", ())?;
/// println!("{}", String::from_utf8_lossy(&printed.stdout()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Captured {
    stdout: Stream,
    stderr: Stream,
}

impl Captured {
    /// With room for so many bytes of each stream. For more, the guest gets an error, as
    /// from a full disk.
    pub fn new(most: usize) -> Self {
        let stream = || Stream {
            bytes: Arc::default(),
            most,
        };
        Self {
            stdout: stream(),
            stderr: stream(),
        }
    }

    /// What was written to standard output until now.
    pub fn stdout(&self) -> Vec<u8> {
        self.stdout.lock().clone()
    }

    /// What was written to standard error until now.
    pub fn stderr(&self) -> Vec<u8> {
        self.stderr.lock().clone()
    }

    /// Where standard output and standard error go.
    pub(super) fn streams(&self) -> [Stream; 2] {
        [self.stdout.clone(), self.stderr.clone()]
    }
}

#[derive(Clone, Debug)]
pub(super) struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    most: usize,
}

impl Stream {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.lock();
        let room = self.most.saturating_sub(kept.len());
        if room == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let fits = &bytes[..bytes.len().min(room)];
        kept.extend_from_slice(fits);
        Ok(fits.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
