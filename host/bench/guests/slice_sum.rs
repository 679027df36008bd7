//! Adds up a region's 64-bit words, which are read one after the other.

use genkan_guest::HostPtr;

#[no_mangle]
pub extern "C" fn sum(data: HostPtr) -> u64 {
    data.all().numbers::<u64>().fold(0, u64::wrapping_add)
}
