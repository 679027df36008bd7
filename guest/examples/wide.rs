//! Arithmetic that WebAssembly lacks: 128-bit integers and what libm knows.

/// The high half of the product of two numbers.
#[no_mangle]
pub extern "C" fn multiply_high(a: i64, b: i64) -> i64 {
    ((i128::from(a) * i128::from(b)) >> 64) as i64
}

/// (a · 2⁶⁴ + b) / c, low half.
#[no_mangle]
pub extern "C" fn divide(a: u64, b: u64, c: u64) -> u64 {
    (((u128::from(a) << 64) | u128::from(b)) / u128::from(c)) as u64
}

/// The remainder of a division of floats.
#[no_mangle]
pub extern "C" fn remainder(a: f64, b: f64) -> f64 {
    a % b
}

/// 100 · sin(x)² + 100 · cos(x)², rounded.
#[no_mangle]
pub extern "C" fn circle(x: f64) -> f64 {
    let (sin, cos) = x.sin_cos();
    (100.0 * sin.powi(2) + 100.0 * cos.powi(2)).round()
}
