// Frames on the stack in linear memory, up to most of its size.
#[inline(never)]
fn depth(n: u32, above: &[u64; 64]) -> u64 {
    let mut frame = [n as u64; 64];
    frame[n as usize % 64] += above[0];
    if n == 0 {
        return frame.iter().sum();
    }
    depth(n - 1, &frame).wrapping_mul(31).wrapping_add(black_box(frame)[1])
}

#[inline(never)]
fn ackermann(m: u64, n: u64) -> u64 {
    match (m, n) {
        (0, n) => n + 1,
        (m, 0) => ackermann(m - 1, 1),
        (m, n) => ackermann(m - 1, ackermann(m, n - 1)),
    }
}

/// Keeps the compiler from computing it all (`std::hint`'s is younger than 1.63).
#[inline(never)]
fn black_box<T: Copy>(value: T) -> T {
    // SAFETY: a reference can be read.
    unsafe { std::ptr::read_volatile(&value) }
}

fn main() {
    println!("{}", depth(900, &[1; 64]));
    println!("{}", ackermann(2, 9));
    let mut large = [0_u8; 400_000];
    for index in 0..large.len() {
        large[black_box(index)] = 7;
    }
    println!("{}", large.iter().map(|&byte| byte as u32).sum::<u32>());
}
