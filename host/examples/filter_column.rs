//! A guest filters a column of `f64` into a region that the host reads back.

#[path = "../tests/guests/mod.rs"]
mod guests;

use genkan_host::{Access, Engine, Error, Guest, Region};

pub(crate) fn main() -> Result<(), Error> {
    const COUNT: usize = 100_000;
    let temperature = |i: usize| (i * 7919 % 1000) as f64 / 10.0 - 30.0;

    // The host fills the region in place, and goes on using it.
    let mut column = Region::zeroed(COUNT * 8)?;
    for (i, number) in column
        .as_mut_slice()?
        .as_chunks_mut::<8>()
        .0
        .iter_mut()
        .enumerate()
    {
        *number = temperature(i).to_le_bytes();
    }
    let warm = Region::zeroed(COUNT * 8)?;

    let module = Engine::default().load(guests::example("filter"))?;
    let mut guest = Guest::new(&module)?;
    guest.grant(&column, Access::Read)?;
    guest.grant(&warm, Access::ReadWrite)?;
    let args = [column.pointer().into(), warm.pointer().into(), 25.0.into()];
    let count: u32 = guest.call("filter", &args)?;

    let bytes = warm.as_slice()?;
    let numbers = bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|bytes| f64::from_le_bytes(*bytes));
    let found: Vec<f64> = numbers.take(count as usize).collect();
    println!("{count} of {COUNT} are above 25, the first is {}", found[0]);
    let expected: Vec<f64> = (0..COUNT).map(temperature).filter(|t| *t > 25.0).collect();
    assert_eq!(found, expected);
    Ok(())
}
