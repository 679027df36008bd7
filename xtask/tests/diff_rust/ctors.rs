// target: wasm32-wasip1
// Functions that run before `main`; rustc 1.63 refuses to make them.
use std::sync::atomic::{AtomicU32, Ordering};

static ORDER: AtomicU32 = AtomicU32::new(0);

extern "C" fn first() {
    ORDER.store(ORDER.load(Ordering::SeqCst) * 10 + 1, Ordering::SeqCst);
}
extern "C" fn second() {
    ORDER.store(ORDER.load(Ordering::SeqCst) * 10 + 2, Ordering::SeqCst);
}

#[used]
#[link_section = ".init_array"]
static FIRST: extern "C" fn() = first;
#[used]
#[link_section = ".init_array.00050"]
static SECOND: extern "C" fn() = second;

fn main() {
    println!("{}", ORDER.load(Ordering::SeqCst));
}
