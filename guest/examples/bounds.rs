//! A bounds check that fails: the host is told where.

static PRIMES: [i32; 5] = [2, 3, 5, 7, 11];

/// The prime with this number; a panic from 5 on.
#[no_mangle]
pub extern "C" fn prime(index: u32) -> i32 {
    PRIMES[index as usize]
}

/// A panic with a message.
#[no_mangle]
pub extern "C" fn refuse(n: i32) -> i32 {
    assert!(n >= 0, "negative numbers are not for me");
    n
}
