//! Text to the host's stdout, from a function that is no program.

/// Greets `n` times; returns `n`.
#[no_mangle]
pub extern "C" fn greet(n: i32) -> i32 {
    for i in 1..=n {
        println!("hello {i}, {:.3}", f64::from(i) / 3.0);
    }
    n
}
