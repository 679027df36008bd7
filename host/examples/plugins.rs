//! A plug-in loop: a pool of threads, 1,000 instances of one module. The module is
//! compiled once and shared; each instance has memory and a region of its own.

#[path = "../tests/guests/mod.rs"]
mod guests;

use genkan_host::{Access, Engine, Error, Guest, Limits, Region, Setup};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const INSTANCES: usize = 1000;
const THREADS: usize = 4;

pub(crate) fn main() -> Result<(), Error> {
    let module = Engine::default().load(guests::example("copy"))?;
    let (next, changed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let start = std::time::Instant::now();

    let work = || -> Result<(), Error> {
        loop {
            let job = next.fetch_add(1, Ordering::Relaxed);
            if job >= INSTANCES {
                return Ok(());
            }
            let setup = Setup::new().limits(
                Limits::new()
                    .deadline(Duration::from_secs(10))
                    .memory(4 << 20),
            );
            let mut guest = Guest::with(&module, setup)?;
            let text = Region::copy_of(format!("job {job}: abc").as_bytes())?;
            guest.grant(&text, Access::ReadWrite)?;
            let count: u32 = guest.call("upper", &[text.pointer().into()])?;
            assert_eq!(*text.as_slice()?, *format!("JOB {job}: ABC").as_bytes());
            changed.fetch_add(count as usize, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("no thread panics"))
    })?;

    println!(
        "{INSTANCES} instances on {THREADS} threads in {:.1?}",
        start.elapsed()
    );
    assert_eq!(changed.into_inner(), 6 * INSTANCES);
    Ok(())
}
