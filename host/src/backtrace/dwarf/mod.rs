//! From places in a module's code to lines of its source, by its DWARF.
//!
//! gimli decodes; what is here walks. A hostile module's sections may have loops,
//! lists that every entry refers to, and numbers of any size, so every step is paid
//! for from a [`Budget`], what gimli reads in one piece is measured first, and what
//! cannot be read or paid for is not known: that is no error.

mod calls;
mod finder;
mod lines;
mod units;

use super::symbols::Symbols;
pub(super) use finder::Call;
use finder::{Budget, Dwarf, Finder};
use gimli::{EndianSlice, LittleEndian, SectionId};

/// The calls at each of these addresses, which are sorted: what is inlined there,
/// innermost first, and then the function itself. Nothing where nothing is known.
pub(super) fn locate(symbols: &Symbols<'_>, addresses: &[u32]) -> Vec<Vec<Call>> {
    locate_within(symbols, addresses, &mut Budget(STEPS))
}

fn locate_within(symbols: &Symbols<'_>, addresses: &[u32], budget: &mut Budget) -> Vec<Vec<Call>> {
    let mut found = vec![Vec::new(); addresses.len()];
    if symbols.section(".debug_info").is_empty() {
        return found;
    }
    let section = |id: SectionId| {
        let data = symbols.section(id.name());
        let strings = matches!(id, SectionId::DebugStr | SectionId::DebugLineStr);
        let usable = !strings || has_bounded_strings(data);
        Ok::<_, gimli::Error>(EndianSlice::new(
            if usable { data } else { &[] },
            LittleEndian,
        ))
    };
    let Ok(dwarf) = Dwarf::load(section) else {
        return found;
    };
    let mut finder = Finder { dwarf, budget };
    for (header, wanted) in finder.units(addresses) {
        // What is damaged, or costs too much, says nothing of the others.
        let _ = finder.calls(header, &wanted, &mut found);
    }
    found
}

/// How many steps may be gone: attributes read, ranges compared, bytes of line
/// programs run. What a large module needs for a whole stack is below a tenth; all
/// of them take some 0.2 s in a release build.
const STEPS: u64 = 20_000_000;

/// gimli looks for a string's end in one go; so that no string is long.
fn has_bounded_strings(section: &[u8]) -> bool {
    const LONGEST: usize = 64 << 10;
    section
        .split(|&byte| byte == 0)
        .all(|string| string.len() <= LONGEST)
}
