//! Which functions are inlined at an address, and who calls whom.

use super::finder::{Call, Finder, Reader, Stop, Unit, Wanted, text};
use super::lines::Place;
use super::units::{Bases, Extent};
use crate::backtrace::names;
use gimli::{Attribute, AttributeValue, UnitHeader, UnitOffset};

/// At most so many functions are shown at one place.
const DEEPEST: usize = 32;
/// So many times one entry may say that another has its name.
const LONGEST_CHAIN: usize = 8;

/// An entry of a function, or of a call of one that was inlined.
#[derive(Clone, Default)]
struct Scope<'a> {
    entry: Option<UnitOffset>,
    inlined: bool,
    extent: Extent<'a>,
    /// Where it was called, if it is inlined.
    call: Place,
}

impl<'a> Scope<'a> {
    fn take(&mut self, attribute: &Attribute<Reader<'a>>) {
        self.extent.take(attribute);
        let number = || match attribute.value() {
            AttributeValue::FileIndex(file) => file,
            value => value.udata_value().unwrap_or(0),
        };
        match attribute.name() {
            gimli::DW_AT_call_file => self.call.file = number(),
            gimli::DW_AT_call_line => self.call.line = number(),
            gimli::DW_AT_call_column => self.call.column = number(),
            _ => {}
        }
    }
}

impl<'a> Finder<'a, '_> {
    /// Fills in the calls at those addresses that a unit has.
    pub(super) fn calls(
        &mut self,
        header: UnitHeader<Reader<'a>>,
        wanted: &[Wanted],
        found: &mut [Vec<Call>],
    ) -> Result<(), Stop> {
        let unit = self.open(header)?;
        // Lines alone are worth something, and so are functions without lines.
        let places = self.places(&unit, wanted);
        let places = places.unwrap_or_else(|_| vec![None; wanted.len()]);
        let mut scopes = vec![Vec::new(); wanted.len()];
        let _ = self.scopes(&unit, wanted, &mut scopes);
        for ((wanted, place), scopes) in wanted.iter().zip(places).zip(scopes) {
            let mut place = place;
            let mut calls = Vec::new();
            for scope in scopes.iter().rev() {
                let name = scope.entry.and_then(|entry| self.name(&unit, entry));
                let location = place.and_then(|place| place.location(&self.dwarf, &unit));
                calls.push(Call { name, location });
                place = Some(scope.call);
            }
            if calls.is_empty() {
                let location = place.and_then(|place| place.location(&self.dwarf, &unit));
                calls.push(Call {
                    name: None,
                    location,
                });
            }
            found[wanted.number] = calls;
        }
        Ok(())
    }

    /// For each wanted address its function, and the inlined calls within it,
    /// outermost first.
    fn scopes(
        &mut self,
        unit: &Unit<'a>,
        wanted: &[Wanted],
        scopes: &mut [Vec<Scope<'a>>],
    ) -> Result<(), Stop> {
        let bases = Bases {
            encoding: unit.encoding(),
            low_pc: unit.low_pc,
            addresses: unit.addr_base,
            ranges: unit.rnglists_base,
        };
        let mut entries = unit.entries_raw(None)?;
        while !entries.is_empty() {
            let mut scope = Scope {
                entry: Some(entries.next_offset()),
                ..Scope::default()
            };
            self.budget.spend(1)?;
            let Some(abbreviation) = entries.read_abbreviation()? else {
                continue;
            };
            let attributes = abbreviation.attributes();
            self.budget.spend(attributes.len() as u64)?;
            scope.inlined = match abbreviation.tag() {
                gimli::DW_TAG_subprogram => false,
                gimli::DW_TAG_inlined_subroutine => true,
                _ => {
                    entries.skip_attributes(attributes)?;
                    continue;
                }
            };
            for spec in attributes {
                scope.take(&entries.read_attribute(*spec)?);
            }
            let extent = scope.extent;
            self.each_hit(&bases, &extent, wanted, |index| {
                let scopes = &mut scopes[index];
                // A function has no other around it; what is inlined has.
                if scopes.is_empty() != scope.inlined && scopes.len() < DEEPEST {
                    scopes.push(scope.clone());
                }
            })?;
        }
        Ok(())
    }

    /// The name of the function of an entry, which may be with another one.
    fn name(&mut self, unit: &Unit<'a>, entry: UnitOffset) -> Option<String> {
        let mut other: Option<Unit<'a>> = None;
        let mut entry = entry;
        let mut plain = None;
        for _ in 0..LONGEST_CHAIN {
            let unit = other.as_ref().unwrap_or(unit);
            let named = self.naming(unit, entry).ok()?;
            if let Some(name) = named.linkage.as_deref().and_then(names::demangled) {
                return Some(names::readable(&name));
            }
            plain = plain.or(named.plain).or(named.linkage);
            match named.origin {
                Some(AttributeValue::UnitRef(offset)) => entry = offset,
                Some(AttributeValue::DebugInfoRef(offset)) => {
                    let header = self.unit_of(offset).ok()?;
                    entry = offset.to_unit_offset(&header)?;
                    other = Some(self.open(header).ok()?);
                }
                _ => break,
            }
        }
        plain.map(|name| names::readable(&name))
    }

    fn naming(&mut self, unit: &Unit<'a>, entry: UnitOffset) -> Result<Naming<'a>, Stop> {
        let mut naming = Naming::default();
        let mut entries = unit.entries_raw(Some(entry))?;
        let abbreviation = entries.read_abbreviation()?.ok_or(Stop)?;
        self.budget.spend(abbreviation.attributes().len() as u64)?;
        for spec in abbreviation.attributes() {
            let attribute = entries.read_attribute(*spec)?;
            let string = || {
                let string = self.dwarf.attr_string(unit, attribute.value());
                string.ok().map(text)
            };
            match attribute.name() {
                gimli::DW_AT_linkage_name | gimli::DW_AT_MIPS_linkage_name => {
                    naming.linkage = string();
                }
                gimli::DW_AT_name => naming.plain = string(),
                gimli::DW_AT_abstract_origin | gimli::DW_AT_specification => {
                    naming.origin = Some(attribute.value());
                }
                _ => {}
            }
        }
        Ok(naming)
    }

    fn unit_of(&mut self, offset: gimli::DebugInfoOffset) -> Result<UnitHeader<Reader<'a>>, Stop> {
        let mut headers = self.dwarf.units();
        while let Some(header) = headers.next()? {
            self.budget.spend(1)?;
            if offset.to_unit_offset(&header).is_some() {
                return Ok(header);
            }
        }
        Err(Stop)
    }
}

/// What an entry says of its name.
#[derive(Default)]
struct Naming<'a> {
    linkage: Option<String>,
    plain: Option<String>,
    origin: Option<AttributeValue<Reader<'a>>>,
}
