//! The heap: vectors, strings, and a hash map, whose seed is the host's.

use std::collections::{BTreeMap, HashMap};

/// How many different remainders the squares below `n` leave modulo `m`.
#[no_mangle]
pub extern "C" fn remainders(n: u32, m: u32) -> u32 {
    let mut counts: HashMap<u32, u32> = HashMap::new();
    for square in (0..n).map(|i| i * i) {
        *counts.entry(square % m).or_default() += 1;
    }
    counts.len() as u32
}

/// The digits of 0 to `n - 1` in one string: its length.
#[no_mangle]
pub extern "C" fn digits(n: u32) -> u32 {
    let mut text = String::new();
    for i in 0..n {
        text.push_str(&i.to_string());
    }
    text.len() as u32
}

/// The median of `n` numbers of a generator, sorted by a tree.
#[no_mangle]
pub extern "C" fn median(n: u32) -> u32 {
    let mut seed = 1u32;
    let mut sorted = BTreeMap::new();
    for _ in 0..n {
        seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        sorted.insert(seed >> 8, ());
    }
    sorted.keys().nth(n as usize / 2).copied().unwrap_or(0)
}
