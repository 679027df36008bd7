//! Work in a process of its own, which ends when it takes too long or too much.

use super::fork;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getrlimit, pidfd_open,
    pidfd_send_signal, setrlimit, waitid,
};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// How it ended.
pub(crate) enum Ended {
    /// With this.
    Done(Vec<u8>),
    /// With an error, in words.
    Failed(String),
    /// It was stopped.
    TooLong,
    /// By itself, without a result: an allocation failed, most likely.
    Gone,
}

/// Does `work` in a forked process, which is stopped after `time`, and may have `memory`
/// bytes of addresses more than this one has.
///
/// The process has one thread when it begins, and the locks as they were: if another
/// thread held one then that `work` needs, it waits until it is stopped.
///
/// # Errors
/// The system's, if it gives no process.
pub(crate) fn apart(
    time: Duration,
    memory: u64,
    work: impl FnOnce() -> Result<Vec<u8>, String>,
) -> io::Result<Ended> {
    let result = File::from(memfd_create("genkan-result", MemfdFlags::CLOEXEC)?);
    // SAFETY: the child does its work, and ends without returning from here. It has this
    // process's memory as it was, and what it does to it is its own.
    let pid = match unsafe { fork::for_work() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => child(&result, memory, work),
        pid => Pid::from_raw(pid).expect("a process has a number"),
    };
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let over = !wait(&process, time);
    if over {
        // It may have ended just now.
        let _ = pidfd_send_signal(&process, Signal::KILL);
    }
    // An embedder that ignores the ends of its processes has none to wait for.
    let _ = waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED);
    Ok(match (read(result)?, over) {
        (Some(Ok(bytes)), _) => Ended::Done(bytes),
        (Some(Err(error)), _) => Ended::Failed(error),
        (None, true) => Ended::TooLong,
        (None, false) => Ended::Gone,
    })
}

/// Waits until the process ends; whether it did in time.
fn wait(process: &OwnedFd, time: Duration) -> bool {
    let start = Instant::now();
    loop {
        let left = time.saturating_sub(start.elapsed());
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(process, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) => return false,
            Err(Errno::INTR) => {}
            Ok(_) | Err(_) => return true,
        }
    }
}

/// The first bytes of a result that is whole: whether it is one, and its length.
const HEAD: usize = 16;
const DONE: u64 = 1;
const FAILED: u64 = 2;

fn child(result: &File, memory: u64, work: impl FnOnce() -> Result<Vec<u8>, String>) -> ! {
    let done = catch_unwind(AssertUnwindSafe(|| {
        limit(memory).ok()?;
        let (kind, bytes) = match work() {
            Ok(bytes) => (DONE, bytes),
            Err(error) => (FAILED, error.into_bytes()),
        };
        let mut file = result;
        file.write_all(&[0; HEAD]).ok()?;
        file.write_all(&bytes).ok()?;
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&kind.to_le_bytes());
        head[8..].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        result.write_all_at(&head, 0).ok()
    }));
    // SAFETY: ends this process, without the handlers and destructors that are its
    // parent's.
    unsafe { libc::_exit(i32::from(!matches!(done, Ok(Some(()))))) }
}

/// Limits this process, and silences it: a failed allocation says so on standard error.
fn limit(memory: u64) -> io::Result<()> {
    let used = std::fs::read_to_string("/proc/self/statm")?;
    let pages = used.split(' ').next().and_then(|pages| pages.parse().ok());
    let used = pages.unwrap_or(0u64) * rustix::param::page_size() as u64;
    for (resource, most) in [
        (Resource::As, used.saturating_add(memory)),
        (Resource::Core, 0),
    ] {
        let Rlimit { maximum, .. } = getrlimit(resource);
        let current = Some(maximum.map_or(most, |maximum| maximum.min(most)));
        setrlimit(resource, Rlimit { current, maximum })?;
    }
    let nothing = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stderr(&nothing)?;
    Ok(())
}

fn read(mut result: File) -> io::Result<Option<Result<Vec<u8>, String>>> {
    let mut bytes = Vec::new();
    result.rewind()?;
    result.read_to_end(&mut bytes)?;
    if bytes.len() < HEAD {
        return Ok(None);
    }
    let content = bytes.split_off(HEAD);
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
    Ok(match number(0) {
        DONE if number(8) == content.len() as u64 => Some(Ok(content)),
        FAILED => Some(Err(String::from_utf8_lossy(&content).into_owned())),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_end_is_told() {
        let big = vec![7u8; 1 << 20];
        let ended = apart(60 * SECOND, 1 << 30, || Ok(big.clone())).unwrap();
        assert!(matches!(ended, Ended::Done(bytes) if bytes == big));
        let ended = apart(60 * SECOND, 1 << 30, || Err("no".into())).unwrap();
        assert!(matches!(ended, Ended::Failed(error) if error == "no"));
        let ended = apart(60 * SECOND, 1 << 30, || panic!("a bug")).unwrap();
        assert!(matches!(ended, Ended::Gone));
        let start = Instant::now();
        let ended = apart(SECOND / 20, 1 << 30, || {
            loop {
                std::thread::park();
            }
        });
        assert!(matches!(ended.unwrap(), Ended::TooLong));
        assert!(start.elapsed() < 10 * SECOND);
        let ended = apart(60 * SECOND, 64 << 20, || Ok(vec![1; 256 << 20])).unwrap();
        assert!(matches!(ended, Ended::Gone));
    }
}
