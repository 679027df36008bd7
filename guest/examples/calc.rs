//! The memo's guest: one byte of the host's memory, plus its argument.

#[link(wasm_import_module = "env")]
extern "C" {
    /// The byte at `pointer + offset` in memory that the host granted.
    fn read(pointer: i64, offset: u8) -> i32;
}

#[no_mangle]
pub fn calc(pointer: i64, input: u8) -> i32 {
    input as i32 + unsafe { read(pointer, 2) }
}
