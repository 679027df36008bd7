//! Which line an address belongs to.

use super::finder::{Dwarf, Finder, Reader, Stop, Unit, Wanted, text};
use crate::backtrace::place::Location;
use gimli::{ColumnType, LineProgramHeader, LineRow};

type Header<'a> = LineProgramHeader<Reader<'a>>;

/// A place, its file still a number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) file: u64,
    pub(super) line: u64,
    pub(super) column: u64,
}

impl Place {
    fn of(row: &LineRow) -> Self {
        Self {
            file: row.file_index(),
            line: row.line().map_or(0, |line| line.get()),
            column: match row.column() {
                ColumnType::LeftEdge => 0,
                ColumnType::Column(column) => column.get(),
            },
        }
    }

    /// With the file's name.
    pub(super) fn location(self, dwarf: &Dwarf<'_>, unit: &Unit<'_>) -> Option<Location> {
        let header = unit.line_program.as_ref()?.header();
        Some(Location {
            file: file(dwarf, unit, header, self.file)?,
            line: u32::try_from(self.line).ok().filter(|&line| line != 0)?,
            column: u32::try_from(self.column).unwrap_or(0),
        })
    }
}

impl<'a> Finder<'a, '_> {
    /// The place of each wanted address, as the unit's line program has it.
    pub(super) fn places(
        &mut self,
        unit: &Unit<'a>,
        wanted: &[Wanted],
    ) -> Result<Vec<Option<Place>>, Stop> {
        let mut places = vec![None; wanted.len()];
        let Some(program) = unit.line_program.clone() else {
            return Ok(places);
        };
        // Each byte makes one row, or none.
        let len = program.header().raw_program_buf().len();
        self.budget.spend(len as u64)?;
        let mut rows = program.rows();
        let mut before: Option<(u64, Place)> = None;
        let mut is_left_out = None;
        while let Some((_, row)) = rows.next_row()? {
            let address = row.address();
            // Nothing is at 0: it stands for code that was left out.
            let left_out = *is_left_out.get_or_insert(address == 0);
            if let Some((start, place)) = before
                && !left_out
            {
                let from = wanted.partition_point(|wanted| wanted.address < start);
                for (wanted, found) in wanted[from..].iter().zip(&mut places[from..]) {
                    if wanted.address >= address {
                        break;
                    }
                    found.get_or_insert(place);
                }
            }
            let place = Place::of(row);
            // Code that the compiler made up counts to what is before it: a jump to
            // the head of a loop, to the loop's end.
            let made_up = before.filter(|_| place.line == 0);
            before = Some((address, made_up.map_or(place, |(_, place)| place)));
            if row.end_sequence() {
                before = None;
                is_left_out = None;
            }
        }
        Ok(places)
    }
}

/// A file's name: as the compiler was told of it if that is relative, so that it
/// reads as in a panic's message.
fn file(dwarf: &Dwarf<'_>, unit: &Unit<'_>, header: &Header<'_>, index: u64) -> Option<String> {
    let file = header.file(index)?;
    let name = text(dwarf.attr_string(unit, file.path_name()).ok()?);
    if name.starts_with('/') || file.directory_index() == 0 {
        return Some(name);
    }
    let directory = file.directory(header);
    let directory = directory.and_then(|directory| dwarf.attr_string(unit, directory).ok());
    Some(match directory.map(text) {
        Some(directory) if !directory.is_empty() => format!("{directory}/{name}"),
        _ => name,
    })
}
