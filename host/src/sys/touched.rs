//! Which pages of its private memory this process has touched.

use super::fork;
use super::pages::page_size;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Bits of a page's entry in `/proc/self/pagemap`, of 8 bytes: the kernel's
/// Documentation/admin-guide/mm/pagemap.rst.
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
/// The page is a file's own, and not a copy that was made when it was written.
const FILE: u64 = 1 << 61;

/// How many entries are read at a time.
const PIECE: usize = 512;

/// The process's map, with the process that it is of.
static MAP: fork::Mutex<Option<((u32, u64), File)>> = fork::Mutex::new(None);

/// The pages in `addresses`, as ranges of addresses, that have memory of their own: no
/// other page was written since it was mapped. `None` if they are more than `most`.
///
/// # Errors
/// Where the system does not say.
pub(super) fn touched(
    addresses: Range<usize>,
    most: usize,
) -> io::Result<Option<Vec<Range<usize>>>> {
    let mut map = MAP.lock();
    let this = (std::process::id(), fork::count());
    if map.as_ref().is_none_or(|(of, _)| *of != this) {
        *map = Some((this, File::open("/proc/self/pagemap")?));
    }
    let (_, map) = map.as_ref().expect("just opened");
    let page = page_size();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut count = 0;
    let mut entries = [0; PIECE * 8];
    for start in addresses.clone().step_by(PIECE * page) {
        let pages = (addresses.end - start).div_ceil(page).min(PIECE);
        let entries = &mut entries[..pages * 8];
        map.read_exact_at(entries, (start / page * 8) as u64)?;
        let starts = (start..).step_by(page);
        for (start, entry) in starts.zip(entries.as_chunks().0) {
            let entry = u64::from_ne_bytes(*entry);
            if entry & (PRESENT | SWAPPED) == 0 || entry & FILE != 0 {
                continue;
            }
            count += 1;
            if count > most {
                return Ok(None);
            }
            match ranges.last_mut() {
                Some(last) if last.end == start => last.end += page,
                _ => ranges.push(start..start + page),
            }
        }
    }
    Ok(Some(ranges))
}
