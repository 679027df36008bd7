//! What a guest links that was built with `--panic stderr`: a panic becomes one line on
//! standard error, by WASI's `fd_write` alone. genkan compiles it with the guest's compiler,
//! Rust 1.63 or newer; the linker has panics call it (genkan-link's
//! `Panic::Report` says how). Written to be small.
#![no_std]

use core::ptr::{addr_of, addr_of_mut};

#[link(wasm_import_module = "wasi_snapshot_preview1")]
extern "C" {
    fn fd_write(fd: u32, parts: *const Text, count: usize, written: *mut usize) -> i32;
}

/// A text; and a `ciovec` of WASI's.
#[repr(C)]
pub struct Text {
    start: *const u8,
    len: usize,
}

/// A `core::panic::Location`, in rustc 1.63 to today.
#[repr(C)]
pub struct Location {
    file: Text,
    line: u32,
    column: u32,
}

/// What is longer is cut off.
const LONGEST: usize = 1000;

// Not on the stack, which may be what is used up.
static mut LINE: [u8; LONGEST] = [0; LONGEST];
static mut TEXT: Text = Text {
    start: unsafe { addr_of!(LINE) } as *const u8,
    len: 0,
};
static mut WRITTEN: usize = 0;

/// Of a line that is full, it is the last: so in the end that is the line feed.
#[inline(never)]
unsafe fn byte(byte: u8) {
    // Once: another thread may panic, too.
    let len = TEXT.len;
    let end = if len < LONGEST { len } else { LONGEST - 1 };
    *(addr_of_mut!(LINE) as *mut u8).add(end) = byte;
    TEXT.len = end + 1;
}

#[inline(never)]
unsafe fn put(mut start: *const u8, mut len: usize) {
    while len != 0 {
        byte(*start);
        start = start.add(1);
        len -= 1;
    }
}

unsafe fn text(text: &'static str) {
    put(text.as_ptr(), text.len());
}

#[inline(never)]
unsafe fn number(value: u32) {
    if value > 9 {
        number(value / 10);
    }
    byte(b'0' + (value % 10) as u8);
}

/// The text of a `core::fmt::Arguments` of Rust 1.95 to 1.97 (as core's `fmt/mod.rs` has it),
/// with `{}` for its values: `a` and `b` are the address of a text and `len << 1 | 1`, or
/// those of a template and of the values.
unsafe fn arguments(a: *const u8, b: usize) {
    if b & 1 == 1 {
        return put(a, b >> 1);
    }
    let mut at = a;
    loop {
        let first = usize::from(*at);
        at = at.add(1);
        if first > 0x80 {
            // Flags, width, precision, index.
            at = at.add((first & 1) * 4 + (first & 0b1110).count_ones() as usize * 2);
            byte(b'{');
            byte(b'}');
            continue;
        }
        let mut len = first;
        if len == 0 {
            return;
        }
        if len == 0x80 {
            len = usize::from((at as *const u16).read_unaligned());
            at = at.add(2);
        }
        put(at, len);
        at = at.add(len);
    }
}

/// What the linker has each panic call: what `a` and `b` are says `kind`; `location` may be
/// null.
///
/// # Safety
///
/// The linker calls it, with what rustc passes.
#[no_mangle]
pub unsafe extern "C" fn __genkan_panic(
    a: *const u8,
    b: usize,
    location: *const Location,
    kind: u32,
) {
    TEXT.len = 0;
    text("panicked at ");
    if !location.is_null() {
        put((*location).file.start, (*location).file.len);
        byte(b':');
        number((*location).line);
        byte(b':');
        number((*location).column);
    }
    if kind != 0 {
        byte(b':');
        byte(b' ');
    }
    match kind {
        1 => put(a, b),
        2 => arguments(a, b),
        3 => {
            text("index out of bounds: the len is ");
            number(b as u32);
            text(" but the index is ");
            number(a as u32);
        }
        4 => text("out of memory"),
        _ => {}
    }
    byte(b'\n');
    fd_write(2, addr_of!(TEXT), 1, addr_of_mut!(WRITTEN));
}
