//! What the search for places has: DWARF, and how much of it may still be read.

use crate::backtrace::names;
use crate::backtrace::place::Location;
use gimli::{EndianSlice, LittleEndian};

pub(super) type Reader<'a> = EndianSlice<'a, LittleEndian>;
pub(super) type Dwarf<'a> = gimli::Dwarf<Reader<'a>>;
pub(super) type Unit<'a> = gimli::Unit<Reader<'a>>;

/// A call that was under way at some place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    /// The function's name, demangled.
    pub(crate) name: Option<String>,
    /// Where in it.
    pub(crate) location: Option<Location>,
}

pub(super) struct Finder<'a, 'b> {
    pub(super) dwarf: Dwarf<'a>,
    pub(super) budget: &'b mut Budget,
}

/// An address that is looked for: the address, and its number among them all.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) address: u64,
    pub(super) number: usize,
}

pub(super) struct Budget(pub(super) u64);

impl Budget {
    pub(super) fn spend(&mut self, steps: u64) -> Result<(), Stop> {
        match self.0.checked_sub(steps) {
            Some(rest) => self.0 = rest,
            None => {
                self.0 = 0;
                return Err(Stop);
            }
        }
        Ok(())
    }

    pub(super) fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

/// The DWARF is damaged, or the budget is spent.
#[derive(Debug)]
pub(super) struct Stop;

impl From<gimli::Error> for Stop {
    fn from(_: gimli::Error) -> Self {
        Self
    }
}

/// Text from a section, for people.
pub(super) fn text(bytes: Reader<'_>) -> String {
    const LONGEST: usize = 1 << 10;
    let text = bytes.to_string_lossy();
    names::printable(names::cut(&text, LONGEST))
}
