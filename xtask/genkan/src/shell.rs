//! What the user sees: status lines in cargo's manner on stderr, results on
//! stdout. Colours on a terminal only; a closed pipe is no error.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};

use crate::progress;

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Makes it this process's way.
    pub fn apply(self) {
        match self {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }

    /// As other tools' `--color` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Color::Auto => "auto",
            Color::Always => "always",
            Color::Never => "never",
        }
    }
}

/// How much is said, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shell {
    /// `-q`: errors only.
    pub quiet: bool,
    /// `--verbose`: also what is run.
    pub verbose: bool,
    /// `--color`.
    pub color: Color,
}

/// The bold green of cargo's status lines.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// A warning's word.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// An error's word, and what a diff removes.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Headings.
pub const BOLD: Style = Style::new().bold();

impl Shell {
    /// A status line: `verb` right-aligned to column 12, then `what`.
    pub fn status(&self, verb: &str, what: impl Display) {
        if !self.quiet {
            line(GOOD, &format!("{verb:>12}"), what);
        }
    }

    /// A status line under `--verbose` only.
    pub fn detail(&self, verb: &str, what: impl Display) {
        if self.verbose {
            line(GOOD, &format!("{verb:>12}"), what);
        }
    }

    /// `warning: what`.
    pub fn warn(&self, what: impl Display) {
        if !self.quiet {
            line(WARNING, "warning:", what);
        }
    }

    /// Does `work`. If that takes longer than a second, the status line shows
    /// meanwhile: what is over sooner needs no line.
    pub fn during<T>(&self, verb: &str, what: impl Display, work: impl FnOnce() -> T) -> T {
        if self.quiet || self.verbose {
            self.status(verb, what);
            return work();
        }
        let what = what.to_string();
        let (done, is_done) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let what = &what;
            scope.spawn(move || {
                let timeout = mpsc::RecvTimeoutError::Timeout;
                if is_done.recv_timeout(Duration::from_secs(1)) == Err(timeout) {
                    self.status(verb, what);
                }
            });
            let result = work();
            drop(done);
            result
        })
    }

    /// The line that ends a build: `Finished calc in 0.12 s → path (1.2 KiB)`.
    pub fn finished(&self, name: &str, since: Instant, path: &Path, size: u64) {
        let seconds = since.elapsed().as_secs_f64();
        self.status(
            "Finished",
            format_args!(
                "{name} in {seconds:.2} s → {} ({})",
                path.display(),
                bytes(size)
            ),
        );
    }
}

/// `error: what`, whatever the verbosity.
pub fn error(what: impl Display) {
    line(BAD, "error:", what);
}

fn line(style: Style, word: &str, what: impl Display) {
    progress::above(|| {
        // Nobody may be reading; there is nobody to tell, then.
        let _ = writeln!(anstream::stderr(), "{style}{word}{style:#} {what}");
    });
}

/// Writes a command's result to stdout. Its reader may leave early (`| head`):
/// then the process ends, as quietly as `cat` would.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => Ok(result?),
    }
}

/// So many of something: `1 function`, `12 functions`.
pub fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// A size for people: `87 B`, `1.2 KiB`, `3.4 MiB`.
pub fn bytes(size: u64) -> String {
    match size {
        0..1024 => format!("{size} B"),
        1024..0x10_0000 => format!("{:.1} KiB", size as f64 / 1024.0),
        _ => format!("{:.1} MiB", size as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_read_well() {
        let shown = [0, 87, 1023, 1024, 1234, 3_565_158].map(super::bytes);
        assert_eq!(
            shown,
            ["0 B", "87 B", "1023 B", "1.0 KiB", "1.2 KiB", "3.4 MiB"]
        );
    }
}
