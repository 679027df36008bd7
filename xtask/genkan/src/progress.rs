//! How far long work is, as cargo shows it: one line on a terminal, which is gone when the
//! work is done. Where stderr is no terminal, nothing.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};

use crate::shell::{GOOD, Shell};

/// Columns of the bar.
const BAR: usize = 25;
/// What is shown of a step's name: with all else, the line fits 80 columns, so that it is one
/// line which can be erased.
const NAME: usize = 28;

/// The line on the terminal, while there is one: what else is printed comes before it.
static LINE: Mutex<Option<String>> = Mutex::new(None);

/// Erases it; the line comes again once something else was printed.
const ERASE: &str = "\r\x1b[K";

/// Long work, in steps; done when it is dropped. One at a time is shown.
pub struct Progress {
    /// Nothing is shown without it.
    shown: Option<Shown>,
}

struct Shown {
    verb: &'static str,
    total: usize,
    done: Mutex<usize>,
}

impl Progress {
    /// Work in `total` steps, shown from the first one on: with `verb`, as in
    /// `Building [===>    ] 3/24: calc`.
    pub fn new(shell: Shell, verb: &'static str, total: usize) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let seen = io::stderr().is_terminal() && !dumb && !shell.quiet && !shell.verbose;
        let done = Mutex::default();
        let shown = seen.then_some(Shown { verb, total, done });
        Progress { shown }
    }

    /// The next step begins.
    pub fn step(&self, what: impl Display) {
        let Some(shown) = &self.shown else { return };
        let mut done = shown.done.lock().unwrap_or_else(PoisonError::into_inner);
        let text = text(shown.verb, *done, shown.total, &what.to_string());
        *done += 1;
        let mut line = LINE.lock().unwrap_or_else(PoisonError::into_inner);
        // A terminal that is gone needs no line.
        let _ = write!(anstream::stderr(), "{ERASE}{text}");
        *line = Some(text);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let mut line = LINE.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = write!(io::stderr(), "{ERASE}");
            *line = None;
        }
    }
}

/// Prints above the line of progress, if there is one.
pub(crate) fn above(print: impl FnOnce()) {
    let line = LINE.lock().unwrap_or_else(PoisonError::into_inner);
    match &*line {
        None => print(),
        Some(text) => {
            let _ = write!(io::stderr(), "{ERASE}");
            print();
            let _ = write!(anstream::stderr(), "{text}");
        }
    }
}

fn text(verb: &str, done: usize, total: usize, what: &str) -> String {
    let filled = (done * BAR).checked_div(total).unwrap_or(0).min(BAR);
    let bar = match filled {
        BAR => "=".repeat(BAR),
        filled => format!("{}>{}", "=".repeat(filled), " ".repeat(BAR - filled - 1)),
    };
    let what: String = match what.chars().count() {
        0..=NAME => what.into(),
        _ => what.chars().take(NAME - 1).chain(['…']).collect(),
    };
    format!("{GOOD}{verb:>12}{GOOD:#} [{bar}] {done}/{total}: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is_and_fits() {
        let shown = |done, what: &str| {
            let text = text("Building", done, 24, what);
            anstream::adapter::strip_str(&text).to_string()
        };
        assert_eq!(
            shown(0, "calc"),
            "    Building [>                        ] 0/24: calc"
        );
        assert_eq!(
            shown(12, "calc"),
            "    Building [============>            ] 12/24: calc"
        );
        assert!(shown(24, "").contains("[=========================] 24/24"));
        assert!(shown(12, &"x".repeat(100)).chars().count() < 80);
        assert!(text("Building", 0, 0, "nothing").contains("0/0"));
    }

    /// Tests have no terminal.
    #[test]
    fn without_a_terminal_there_is_none() {
        if io::stderr().is_terminal() {
            return;
        }
        let progress = Progress::new(Shell::default(), "Building", 2);
        progress.step("one");
        assert!(progress.shown.is_none());
        assert_eq!(*LINE.lock().unwrap(), None);
    }
}
