//! The memo's job: a guest adds its argument to a byte of the host's memory.

#[path = "../tests/guests/mod.rs"]
mod guests;

use genkan_host::{Access, Engine, Error, Guest, Region};

pub(crate) fn main() -> Result<(), Error> {
    let module = Engine::default().load(guests::example("calc"))?;
    let mut guest = Guest::new(&module)?;

    let region = Region::copy_of(&[0, 1, 2, 3])?;
    guest.grant(&region, Access::Read)?;
    let result: i32 = guest.call("calc", &[region.pointer().into(), 20u8.into()])?;
    println!("result: {result}");
    assert_eq!(result, 22);

    // What the guest got is no address, and is worth nothing when the region is gone.
    let pointer = region.pointer();
    drop(region);
    let error = guest.call::<i32>("calc", &[pointer.into(), 20u8.into()]);
    println!("afterwards: {}", error.unwrap_err());
    Ok(())
}
