//! Frames on the stack in memory: deep ones work, endless ones trap.

/// The sum of 1 to `n`, with 1,024 bytes of stack for each step.
#[no_mangle]
pub extern "C" fn sum(n: u32) -> u64 {
    let mut frame = [0u64; 128];
    let place = n as usize % frame.len();
    // Volatile, or the compiler would do without the frame.
    unsafe { std::ptr::write_volatile(&mut frame[place], u64::from(n)) };
    let below = if n == 0 { 0 } else { sum(n - 1) };
    below + unsafe { std::ptr::read_volatile(&frame[place]) }
}
