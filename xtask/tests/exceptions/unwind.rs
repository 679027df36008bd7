//! Unwinding without std: destructors run, and what is thrown is caught.
#![no_std]
#![allow(internal_features)]
#![feature(core_intrinsics, asm_experimental_arch, link_llvm_intrinsics, lang_items)]
static mut DROPS: i32 = 0;
struct Guard(i32);
impl Drop for Guard {
    fn drop(&mut self) {
        unsafe { DROPS = DROPS * 10 + self.0 }
    }
}
#[inline(never)]
fn throws(n: i32) -> i32 {
    let _guard = Guard(n);
    if n > 2 {
        static mut PAYLOAD: i32 = 0;
        unsafe {
            PAYLOAD = n;
            throw(0, &raw mut PAYLOAD as *mut u8)
        }
    }
    n
}
fn attempt(data: *mut u8) {
    let n = data as *mut i32;
    let _guard = Guard(9);
    unsafe { *n = throws(*n) }
}
fn caught(data: *mut u8, exception: *mut u8) {
    unsafe { *(data as *mut i32) = 1000 + *(exception as *mut i32) }
}
#[no_mangle]
pub extern "C" fn test(n: i32) -> i32 {
    let mut value = n + 1;
    let data = &raw mut value as *mut u8;
    unsafe {
        DROPS = 0;
        core::intrinsics::catch_unwind(attempt, data, caught);
        DROPS * 10000 + value
    }
}
#[lang = "eh_personality"]
fn personality() {}
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
extern "C-unwind" {
    #[link_name = "llvm.wasm.throw"]
    fn throw(tag: i32, exception: *mut u8) -> !;
}
// As panic_unwind has it.
core::arch::global_asm!(".globl __cpp_exception", ".tagtype __cpp_exception i32", "__cpp_exception:");
