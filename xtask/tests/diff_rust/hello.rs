// Prints, by std's formatting and WASI's fd_write.
fn main() {
    println!("hello, {}", "world");
    eprintln!("{:?} {:#x} {:>8.3}", Some("x"), 255, 1.5_f32);
    println!("{} arguments", std::env::args().count());
}
