//! Adds up a region's 64-bit words, which appear in the guest's memory as a window:
//! nothing is copied.

use genkan_guest::HostPtr;

#[no_mangle]
pub extern "C" fn sum(data: HostPtr) -> u64 {
    let window = data.all().map();
    let words = window.numbers::<u64>().unwrap_or_default();
    words.iter().fold(0, |sum, word| sum.wrapping_add(*word))
}
