//! Reads a region in pieces into a buffer, changes them, and writes them back.

use genkan_guest::HostPtr;

#[no_mangle]
pub extern "C" fn upper(text: HostPtr) -> u32 {
    let mut changed = 0;
    let mut buffer = [0; 4096];
    let (mut at, end) = (text, text.len());
    for done in (0..end).step_by(buffer.len()) {
        let len = buffer.len().min(end - done);
        let piece = &mut buffer[..len];
        at.read_into(piece);
        for byte in piece.iter_mut().filter(|byte| byte.is_ascii_lowercase()) {
            byte.make_ascii_uppercase();
            changed += 1;
        }
        at.write_from(piece);
        at = at + len as u32;
    }
    changed
}
