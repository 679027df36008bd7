// options: --crate-type=cdylib -Copt-level=s -Cpanic=abort
// Without std: a host function in a module of its own, memory by hand.
#![no_std]

#[link(wasm_import_module = "host")]
extern "C" {
    fn log(pointer: *const u8, length: usize) -> i32;
    #[link_name = "clock"]
    fn now() -> i64;
}

static GREETING: &str = "greeting";
static mut BUFFER: [u32; 5000] = [0; 5000];

#[no_mangle]
pub unsafe extern "C" fn greet(times: i32) -> i64 {
    (0..times).map(|_| i64::from(log(GREETING.as_ptr(), GREETING.len()))).sum::<i64>() + now()
}

#[no_mangle]
pub unsafe extern "C" fn fill(n: u32) -> u32 {
    let buffer = &mut *core::ptr::addr_of_mut!(BUFFER);
    for (index, cell) in buffer.iter_mut().enumerate() {
        *cell = n.wrapping_mul(index as u32);
    }
    buffer.copy_within(10..2000, 2500);
    buffer[2600 + n as usize]
}

#[no_mangle]
pub extern "C" fn at(index: usize) -> u8 {
    GREETING.as_bytes()[index]
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
