//! Which compilation units have which addresses.

use super::finder::{Budget, Finder, Reader, Stop, Unit, Wanted};
use gimli::{
    Abbreviations, Attribute, AttributeValue, DebugAbbrev, DebugAbbrevOffset, DebugAddrBase,
    DebugLineOffset, DebugRngListsBase, Encoding, EndianSlice, LittleEndian, RangeListsOffset,
    Reader as _, UnitHeader,
};
use std::sync::Arc;

/// A unit's header, and those addresses that it says it has.
type Claim<'a> = (UnitHeader<Reader<'a>>, Vec<Wanted>);

/// Tables of abbreviations are at most this long, in bytes; compilers' have some
/// thousand.
const LONGEST_ABBREVIATIONS: usize = 256 << 10;
/// And the headers of line programs; they list a unit's files.
const LONGEST_LINE_HEADER: u64 = 1 << 20;
/// What opening a unit costs beside what is read.
const UNIT: u64 = 16;

/// Where the bases of a unit's indirect values are.
#[derive(Clone, Copy)]
pub(super) struct Bases {
    pub(super) encoding: Encoding,
    pub(super) low_pc: u64,
    pub(super) addresses: DebugAddrBase<usize>,
    pub(super) ranges: DebugRngListsBase<usize>,
}

/// What an entry says of its addresses.
#[derive(Clone, Copy, Default)]
pub(super) struct Extent<'a> {
    low: Option<AttributeValue<Reader<'a>>>,
    high: Option<AttributeValue<Reader<'a>>>,
    ranges: Option<AttributeValue<Reader<'a>>>,
}

impl<'a> Extent<'a> {
    pub(super) fn take(&mut self, attribute: &Attribute<Reader<'a>>) {
        match attribute.name() {
            gimli::DW_AT_low_pc => self.low = Some(attribute.value()),
            gimli::DW_AT_high_pc => self.high = Some(attribute.value()),
            gimli::DW_AT_ranges => self.ranges = Some(attribute.value()),
            _ => {}
        }
    }
}

impl<'a> Finder<'a, '_> {
    /// For each address the first unit that has it.
    pub(super) fn units(&mut self, addresses: &[u32]) -> Vec<Claim<'a>> {
        let number = |(number, &address): (usize, &u32)| Wanted {
            address: address.into(),
            number,
        };
        let mut wanted: Vec<Wanted> = addresses.iter().enumerate().map(number).collect();
        let mut claims = Vec::new();
        let mut headers = self.dwarf.units();
        while !wanted.is_empty()
            && !self.budget.is_spent()
            && let Ok(Some(header)) = headers.next()
        {
            let mut claimed = vec![false; wanted.len()];
            // One that is damaged has what it said up to there.
            let _ = self.claims(&header, &wanted, &mut claimed);
            let mut claim = claimed.iter();
            let is_claimed = |_: &mut Wanted| *claim.next().unwrap_or(&false);
            let of_unit: Vec<Wanted> = wanted.extract_if(.., is_claimed).collect();
            if !of_unit.is_empty() {
                claims.push((header, of_unit));
            }
        }
        claims
    }

    fn claims(
        &mut self,
        header: &UnitHeader<Reader<'a>>,
        wanted: &[Wanted],
        claimed: &mut [bool],
    ) -> Result<(), Stop> {
        self.budget.spend(UNIT)?;
        let abbreviations = self.abbreviations(header)?;
        let mut entries = header.entries_raw(&abbreviations, None)?;
        let root = entries.read_abbreviation()?.ok_or(Stop)?;
        self.budget.spend(root.attributes().len() as u64)?;
        let mut bases = Bases {
            encoding: header.encoding(),
            low_pc: 0,
            addresses: DebugAddrBase(0),
            ranges: DebugRngListsBase(0),
        };
        let mut extent = Extent::default();
        for spec in root.attributes() {
            let attribute = entries.read_attribute(*spec)?;
            extent.take(&attribute);
            match attribute.value() {
                AttributeValue::DebugAddrBase(base) => bases.addresses = base,
                AttributeValue::DebugRngListsBase(base) => bases.ranges = base,
                _ => {}
            }
        }
        if let Some(low) = extent.low {
            bases.low_pc = self.address(&bases, low)?.unwrap_or(0);
        }
        self.each_hit(&bases, &extent, wanted, |index| claimed[index] = true)
    }

    /// Calls `hit` with the index of each wanted address that an entry has.
    pub(super) fn each_hit(
        &mut self,
        bases: &Bases,
        extent: &Extent<'a>,
        wanted: &[Wanted],
        mut hit: impl FnMut(usize),
    ) -> Result<(), Stop> {
        let mut range = |begin: u64, end: u64| {
            // Nothing is at 0: it stands for code that was left out.
            if begin == 0 {
                return;
            }
            let from = wanted.partition_point(|wanted| wanted.address < begin);
            let within = wanted[from..]
                .iter()
                .take_while(|wanted| wanted.address < end);
            for index in from..from + within.count() {
                hit(index);
            }
        };
        let offset = match extent.ranges {
            Some(AttributeValue::RangeListsRef(offset)) => Some(RangeListsOffset(offset.0)),
            Some(AttributeValue::DebugRngListsIndex(index)) => {
                let lists = &self.dwarf.ranges;
                Some(lists.get_offset(bases.encoding, bases.ranges, index)?)
            }
            _ => None,
        };
        if let Some(offset) = offset {
            let mut ranges = self.dwarf.ranges.ranges(
                offset,
                bases.encoding,
                bases.low_pc,
                &self.dwarf.debug_addr,
                bases.addresses,
            )?;
            // Its `next` goes over any number of entries without a range.
            while let Some(raw) = ranges.next_raw()? {
                self.budget.spend(1)?;
                if let Some(found) = ranges.convert_raw(raw)? {
                    range(found.begin, found.end);
                }
            }
            return Ok(());
        }
        let Some(low) = extent.low else {
            return Ok(());
        };
        let Some(begin) = self.address(bases, low)? else {
            return Ok(());
        };
        let end = match extent.high {
            Some(AttributeValue::Udata(len)) => begin.checked_add(len),
            Some(high) => self.address(bases, high)?,
            None => None,
        };
        if let Some(end) = end {
            range(begin, end);
        }
        Ok(())
    }

    fn address(
        &self,
        bases: &Bases,
        value: AttributeValue<Reader<'a>>,
    ) -> Result<Option<u64>, Stop> {
        Ok(match value {
            AttributeValue::Addr(address) => Some(address),
            AttributeValue::DebugAddrIndex(index) => {
                let size = bases.encoding.address_size;
                let addresses = &self.dwarf.debug_addr;
                Some(addresses.get_address(size, bases.addresses, index)?)
            }
            _ => None,
        })
    }

    /// A unit with all that gimli reads at its start.
    pub(super) fn open(&mut self, header: UnitHeader<Reader<'a>>) -> Result<Unit<'a>, Stop> {
        self.budget.spend(UNIT)?;
        let abbreviations = self.abbreviations(&header)?;
        let mut entries = header.entries_raw(&abbreviations, None)?;
        let root = entries.read_abbreviation()?.ok_or(Stop)?;
        self.budget.spend(root.attributes().len() as u64)?;
        for spec in root.attributes() {
            let attribute = entries.read_attribute(*spec)?;
            if let AttributeValue::DebugLineRef(offset) = attribute.value() {
                let len = self.line_header_len(offset)?;
                self.budget.spend(len.min(LONGEST_LINE_HEADER))?;
                if len > LONGEST_LINE_HEADER {
                    return Err(Stop);
                }
            }
        }
        let unit = Unit::new_with_abbreviations(&self.dwarf, header, abbreviations)?;
        Ok(unit)
    }

    /// How long a line program's header is, which gimli reads in one go.
    fn line_header_len(&self, offset: DebugLineOffset<usize>) -> Result<u64, Stop> {
        let mut reader = *gimli::Section::reader(&self.dwarf.debug_line);
        reader.skip(offset.0)?;
        let (_, format) = reader.read_initial_length()?;
        if reader.read_u16()? >= 5 {
            reader.skip(2)?;
        }
        Ok(reader.read_length(format)? as u64)
    }

    fn abbreviations(
        &mut self,
        header: &UnitHeader<Reader<'a>>,
    ) -> Result<Arc<Abbreviations>, Stop> {
        let section = *gimli::Section::reader(&self.dwarf.debug_abbrev);
        let table = section.slice().get(header.debug_abbrev_offset().0..);
        let table = table.ok_or(Stop)?;
        let len = table_len(table, self.budget)?;
        let table = DebugAbbrev::from(EndianSlice::new(&table[..len], LittleEndian));
        Ok(Arc::new(table.abbreviations(DebugAbbrevOffset(0))?))
    }
}

/// How long the table of abbreviations is that these bytes begin with.
fn table_len(bytes: &[u8], budget: &mut Budget) -> Result<usize, Stop> {
    let bytes = &bytes[..bytes.len().min(LONGEST_ABBREVIATIONS)];
    let mut reader = EndianSlice::new(bytes, LittleEndian);
    while reader.read_uleb128()? != 0 {
        reader.read_uleb128()?;
        reader.read_u8()?;
        loop {
            budget.spend(1)?;
            let name = reader.read_uleb128()?;
            let form = reader.read_uleb128()?;
            if form == u64::from(gimli::DW_FORM_implicit_const.0) {
                reader.read_sleb128()?;
            }
            if (name, form) == (0, 0) {
                break;
            }
        }
    }
    Ok(bytes.len() - reader.len())
}
