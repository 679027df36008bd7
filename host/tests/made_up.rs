//! Modules that nobody wrote: made up from random bytes, with the host's functions as
//! imports, and run under every limit. Each call ends, in time, in a result or an error,
//! and a good guest runs afterwards.
//!
//! `GENKAN_SECONDS=3600 cargo test --release -p genkan-host --test made_up` does so for an
//! hour, from another beginning each time; `GENKAN_SEED=…` begins where it is said.

#![cfg(target_os = "linux")]

mod attack;
mod process;

use attack::{attack, expect_panics};
use process::alone;
use std::time::Instant;

#[test]
fn they_end_in_time() {
    alone("they_end_in_time", || {
        expect_panics();
        let begun = Instant::now();
        let number = |name| {
            let text = std::env::var(name).ok();
            text.map(|n| {
                n.parse::<u64>()
                    .unwrap_or_else(|_| panic!("{name} is a number"))
            })
        };
        let (seconds, seed) = (number("GENKAN_SECONDS"), number("GENKAN_SEED"));
        let mut state = match (seed, seconds) {
            (Some(seed), _) => seed,
            (None, Some(_)) => std::process::id().into(),
            (None, None) => 1,
        };
        let (mut modules, mut calls) = (0u64, 0u64);
        loop {
            let seed = state;
            let bytes: Vec<u8> = (0..6000)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    (state >> 56) as u8
                })
                .collect();
            let called = std::panic::catch_unwind(|| attack(&bytes));
            match called {
                Ok(called) => calls += u64::from(called.unwrap_or(0)),
                Err(_) => panic!("GENKAN_SEED={seed} begins with this module"),
            }
            modules += 1;
            match seconds {
                Some(seconds) if begun.elapsed().as_secs() < seconds => {}
                None if modules < 60 => {}
                _ => break,
            }
        }
        eprintln!("{modules} modules, {calls} calls");
        assert!(calls > modules, "too few could be called");
    });
}
