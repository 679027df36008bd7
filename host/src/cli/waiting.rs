//! What a user at a terminal sees of a module that takes long to compile.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Does `work`. From its first second on, a line on stderr says meanwhile what takes so
/// long, and since when; it is gone at the end. Where stderr is no terminal, nothing.
pub(super) fn during<T>(verb: &str, what: &str, work: impl FnOnce() -> T) -> T {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if dumb || !std::io::stderr().is_terminal() {
        return work();
    }
    let (done, is_done) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut seconds = 0;
            while is_done.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                seconds += 1;
                let what = name(what);
                show(format_args!("\r\x1b[K{verb:>12} {what} ({seconds} s)"));
            }
            if seconds > 0 {
                show(format_args!("\r\x1b[K"));
            }
        });
        let result = work();
        drop(done);
        result
    })
}

fn show(text: std::fmt::Arguments<'_>) {
    let mut stderr = std::io::stderr().lock();
    // A terminal that is gone needs no line.
    let _ = stderr.write_fmt(text).and_then(|()| stderr.flush());
}

/// A file's name, so short that the line is one line, and nothing in it that a terminal
/// obeys.
fn name(path: &str) -> String {
    const LONGEST: usize = 50;
    let name = path.rsplit('/').next().unwrap_or(path);
    let shown = name.chars().filter(|c| !c.is_control());
    shown.take(LONGEST).collect()
}
