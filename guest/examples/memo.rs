extern "C" {
    fn read(pointer: i64, offset: u8) -> i32;
}

#[no_mangle]
pub unsafe fn calc(pointer: i64, input: u8) -> i32 {
    input as i32 + read(pointer, 2)
}
