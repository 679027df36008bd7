// A panic's message, and its exit.
fn main() {
    let numbers: Vec<u32> = (0..std::env::args().count() as u32 + 3).collect();
    let result = std::panic::catch_unwind(|| numbers[numbers.len()]);
    println!("{:?}", result.is_ok());
}
