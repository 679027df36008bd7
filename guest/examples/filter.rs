//! Filters a column of `f64`: those above a limit go to another region, and the
//! host reads them there.

use genkan_guest::HostPtr;

#[no_mangle]
pub extern "C" fn filter(column: HostPtr, above: HostPtr, limit: f64) -> u32 {
    let column = column.all().map();
    let mut above = above.all().map_mut();
    let kept = above.numbers_mut::<f64>().unwrap_or_default();
    let numbers = column.numbers::<f64>().unwrap_or_default();
    let mut count = 0;
    for number in numbers.iter().filter(|number| **number > limit) {
        kept[count] = *number;
        count += 1;
    }
    count as u32
}
