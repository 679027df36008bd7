//! From where things are in the rewritten module to where they were.

/// A piece of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// Where it is now, and where it was.
    now: u32,
    source: u32,
    /// Whether it was written by the pass, and all of it stands for the one
    /// instruction at `source`.
    written: bool,
}

/// Pieces of code, in order; each goes on to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs(Vec<Run>);

impl Runs {
    /// From `now` on comes what was at `source`.
    pub(super) fn copied(&mut self, now: usize, source: usize) {
        self.push(now, source, false);
    }

    /// From `now` on comes what stands for the instruction at `source`.
    pub(super) fn written(&mut self, now: usize, source: usize) {
        self.push(now, source, true);
    }

    fn push(&mut self, now: usize, source: usize, written: bool) {
        // A module has less than 4 GiB.
        let (now, source) = (now as u32, source as u32);
        let run = Run {
            now,
            source,
            written,
        };
        match self.0.last_mut() {
            Some(last) if last.now == now => *last = run,
            _ => self.0.push(run),
        }
    }

    /// Appends pieces, the first of which begins at `now`.
    pub(super) fn append(&mut self, now: usize, runs: &Self) {
        let moved = runs.0.iter().map(|run| Run {
            now: run.now + now as u32,
            ..*run
        });
        self.0.extend(moved);
    }

    /// The sources of all pieces begin at `start`.
    pub(super) fn shift_source(&mut self, start: usize) {
        for run in &mut self.0 {
            run.source += start as u32;
        }
    }

    fn source(&self, now: u32) -> Option<u32> {
        let next = self.0.partition_point(|run| run.now <= now);
        let run = self.0[..next].last()?;
        Some(match run.written {
            true => run.source,
            false => run.source + (now - run.now),
        })
    }
}

/// Where the guest's functions and code are in the rewritten module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// How many functions the guest imports, and has together.
    pub(super) function_imports: u32,
    pub(super) functions: u32,
    /// How many function imports were added.
    pub(super) added: u32,
    pub(super) runs: Runs,
}

impl Layout {
    /// The guest's index of a function, or `None` for one that the pass added.
    pub(crate) fn function(&self, index: u32) -> Option<u32> {
        if index < self.function_imports {
            return Some(index);
        }
        let index = index.checked_sub(self.added)?;
        (self.function_imports..self.functions)
            .contains(&index)
            .then_some(index)
    }

    /// The offset that an instruction had in the guest's module, from that in the
    /// rewritten one: both from the beginning of the file. `None` before the guest's
    /// code.
    pub(crate) fn offset(&self, offset: u32) -> Option<u32> {
        match self.runs.0.is_empty() {
            true => Some(offset),
            false => self.runs.source(offset),
        }
    }
}
