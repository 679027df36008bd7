// What needs compiler_builtins or libm: 128 bits, float remainders, roots.
/// Keeps the compiler from computing it all (`std::hint`'s is younger than 1.63).
#[inline(never)]
fn black_box<T: Copy>(value: T) -> T {
    // SAFETY: a reference can be read.
    unsafe { std::ptr::read_volatile(&value) }
}

fn main() {
    let a = black_box(0x0123_4567_89ab_cdef_0011_2233_4455_6677_i128);
    let b = black_box(-0x1_0000_0001_i128);
    println!("{} {} {} {}", a.wrapping_mul(b), a / b, a % b, a.rotate_left(77));
    println!("{} {} {}", a >> 70, (a as u128).leading_zeros(), a as f64);
    let c = black_box(u128::MAX / 3);
    println!("{} {:x} {:?}", c / 1_000_000_007, c.wrapping_pow(5), c.checked_mul(4));
    println!("{} {}", c as f32, black_box(3.7e37_f64) as u128);
    for x in [0.5_f64, 2.0, -3.25, 1e300, f64::NAN, f64::INFINITY] {
        let x = black_box(x);
        println!("{:?} {:?} {:?} {:?}", x % 0.7, x.sqrt(), x.floor(), x.round());
        println!("{:?} {:?} {:?}", x.mul_add(2.0, 1.0), x.powi(3), x as i32);
        println!("{:?} {:?} {:?}", x.sin(), x.exp(), x.powf(1.5));
        println!("{:?} {:?} {:?}", x.ln(), x.atan2(2.0), (x as f32).cbrt());
    }
    println!("{:?} {:?}", black_box(u64::MAX) as f32, black_box(i64::MIN) as f64);
    println!("{:?}", black_box(7_u32).checked_rem(black_box(0)));
    println!("{:?} {}", black_box(u64::MAX).overflowing_mul(3), black_box(40_u64).pow(9));
}
