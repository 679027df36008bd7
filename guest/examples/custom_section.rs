//! Bytes in a section of the module that code cannot see, for tools.

#[used]
#[link_section = "genkan.note"]
static NOTE: [u8; 6] = *b"a note";

/// Its length.
#[no_mangle]
pub extern "C" fn length() -> u32 {
    NOTE.len() as u32
}
