//! The functions that the host offers. `include/genkan.h` has them for C.
//!
//! This file is written from the host's table, `host/src/abi.rs`.

#[cfg(target_family = "wasm")]
#[link(wasm_import_module = "genkan")]
extern "C" {
    pub fn len(pointer: u64) -> u64;
    pub fn check(pointer: u64, length: u64, write: i32) -> i32;
    pub fn read_u8(pointer: u64, offset: u32) -> u32;
    pub fn read_u16(pointer: u64, offset: u32) -> u32;
    pub fn read_u32(pointer: u64, offset: u32) -> u32;
    pub fn read_u64(pointer: u64, offset: u32) -> u64;
    pub fn write_u8(pointer: u64, offset: u32, value: u32);
    pub fn write_u16(pointer: u64, offset: u32, value: u32);
    pub fn write_u32(pointer: u64, offset: u32, value: u32);
    pub fn write_u64(pointer: u64, offset: u32, value: u64);
    pub fn compare_exchange_u32(pointer: u64, offset: u32, expected: u32, value: u32) -> u32;
    pub fn compare_exchange_u64(pointer: u64, offset: u32, expected: u64, value: u64) -> u64;
    pub fn read_into(pointer: u64, target: *mut u8, length: usize);
    pub fn write_from(pointer: u64, source: *const u8, length: usize);
    pub fn map(pointer: u64, length: usize, write: i32) -> *mut u8;
    pub fn try_map(pointer: u64, length: usize, write: i32) -> i64;
    pub fn unmap(address: *const u8);
    pub fn take_answer(target: *mut u8);
}

/// Built for another machine, so that documentation and tools work there.
#[cfg(not(target_family = "wasm"))]
macro_rules! only_in_a_guest {
    ($($name:ident($($param:ident: $ty:ty),*) $(-> $result:ty)?;)*) => {
        $(pub unsafe fn $name($($param: $ty),*) $(-> $result)? {
            $(let _ = $param;)*
            panic!("there is a host only for a guest, compiled for Wasm")
        })*
    };
}

#[cfg(not(target_family = "wasm"))]
only_in_a_guest! {
    len(pointer: u64) -> u64;
    check(pointer: u64, length: u64, write: i32) -> i32;
    read_u8(pointer: u64, offset: u32) -> u32;
    read_u16(pointer: u64, offset: u32) -> u32;
    read_u32(pointer: u64, offset: u32) -> u32;
    read_u64(pointer: u64, offset: u32) -> u64;
    write_u8(pointer: u64, offset: u32, value: u32);
    write_u16(pointer: u64, offset: u32, value: u32);
    write_u32(pointer: u64, offset: u32, value: u32);
    write_u64(pointer: u64, offset: u32, value: u64);
    compare_exchange_u32(pointer: u64, offset: u32, expected: u32, value: u32) -> u32;
    compare_exchange_u64(pointer: u64, offset: u32, expected: u64, value: u64) -> u64;
    read_into(pointer: u64, target: *mut u8, length: usize);
    write_from(pointer: u64, source: *const u8, length: usize);
    map(pointer: u64, length: usize, write: i32) -> *mut u8;
    try_map(pointer: u64, length: usize, write: i32) -> i64;
    unmap(address: *const u8);
    take_answer(target: *mut u8);
}
