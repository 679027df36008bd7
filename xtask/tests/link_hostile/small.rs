//! Compiled to the object that `link_hostile.rs` alters: small, with some of all.
#![no_std]

#[link(wasm_import_module = "host")]
extern "C" {
    fn log(pointer: *const u8, length: usize) -> i32;
}

static TEXTS: [&str; 3] = ["one", "two", "one"];
static TABLE: [fn(i32) -> i32; 3] = [double, square, negate];
static mut COUNT: [u32; 20] = [0; 20];

fn double(n: i32) -> i32 {
    n.wrapping_mul(2)
}
fn square(n: i32) -> i32 {
    n.wrapping_mul(n)
}
fn negate(n: i32) -> i32 {
    n.wrapping_neg()
}

#[no_mangle]
pub unsafe extern "C" fn start(n: usize) -> i32 {
    COUNT[n % 20] += 1;
    let text = TEXTS[n % 3];
    log(text.as_ptr(), text.len()) + TABLE[n % 3](n as i32)
}
