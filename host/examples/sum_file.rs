//! A guest sums a file of 256 MiB. Nothing is copied: the file's pages appear in the
//! guest's memory, and only what it touches is read.

#[path = "../tests/guests/mod.rs"]
mod guests;

use genkan_host::{Access, Engine, Error, Guest, Region};
use std::io::Write;

const WORDS: u64 = 32 << 20;

pub(crate) fn main() -> Result<(), Error> {
    let path = guests::folder().join("sum_file.bin");
    write_numbers(&path).expect("the file can be written");

    let module = Engine::default().load(guests::example("window_sum"))?;
    let mut guest = Guest::new(&module)?;
    let region = Region::from_file(&path)?;
    guest.grant(&region, Access::Read)?;
    let start = std::time::Instant::now();
    let sum: u64 = guest.call("sum", &[region.pointer().into()])?;
    println!(
        "{sum}, {} MiB in {:.1?}",
        region.len() >> 20,
        start.elapsed()
    );
    assert_eq!(sum, WORDS * (WORDS - 1) / 2);

    std::fs::remove_file(&path).expect("the file can be removed");
    Ok(())
}

/// 0, 1, 2 and so on.
fn write_numbers(path: &std::path::Path) -> std::io::Result<()> {
    let mut file = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let mut block = [0; 8 << 10];
    for first in (0..WORDS).step_by(block.len() / 8) {
        for (word, number) in block.as_chunks_mut::<8>().0.iter_mut().zip(first..) {
            *word = number.to_le_bytes();
        }
        file.write_all(&block)?;
    }
    file.flush()
}
