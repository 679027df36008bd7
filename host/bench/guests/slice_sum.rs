//! Adds up a region's 64-bit words, which are read one by one.

use genkan_guest::HostPtr;

#[no_mangle]
pub extern "C" fn sum(data: HostPtr) -> u64 {
    let data = data.all();
    let words = data.len() / 8;
    (0..words).fold(0, |sum, word| sum.wrapping_add(data.read::<u64>(8 * word)))
}
