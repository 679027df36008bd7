//! Two guests work on one region: one writes, the other reads. The region's pointer is
//! the same for both, and dropping the region takes it from both.

#[path = "../tests/guests/mod.rs"]
mod guests;

use genkan_host::{Access, Engine, Error, Guest, Region};

pub(crate) fn main() -> Result<(), Error> {
    let engine = Engine::default();
    let mut writer = Guest::new(&engine.load(guests::example("copy"))?)?;
    let mut reader = Guest::new(&engine.load(guests::example("careful"))?)?;

    let text = Region::copy_of(b"two guests, one region")?;
    writer.grant(&text, Access::ReadWrite)?;
    reader.grant(&text, Access::Read)?;

    let changed: u32 = writer.call("upper", &[text.pointer().into()])?;
    let first: i64 = reader.call("number", &[text.pointer().into(), 0u32.into()])?;
    println!("{changed} letters changed; it begins with {first:#x}");
    assert_eq!(changed, 18);
    assert_eq!(first, i64::from(u32::from_le_bytes(*b"TWO ")));
    assert_eq!(*text.as_slice()?, *b"TWO GUESTS, ONE REGION");

    // The reader may not write: it asks first, and says so.
    let refused: i64 = reader.call("fill", &[text.pointer().into(), 0u8.into()])?;
    assert_eq!(refused, -3);

    let pointer = text.pointer();
    drop(text);
    let gone: i64 = reader.call("number", &[pointer.into(), 0u32.into()])?;
    assert_eq!(gone, -1);
    let error = writer.call::<u32>("upper", &[pointer.into()]);
    println!("afterwards: {}", error.unwrap_err());
    Ok(())
}
