//! An asynchronous program and its guests: each call is a task that may block, on a thread
//! that tokio keeps for such, and a host function waits for what is asynchronous.

use genkan_host::{Cx, Engine, Functions, Limits, Pool, PoolLimits, Setup};
use std::time::Duration;
use tokio::runtime::{Builder, Handle};

/// Asks the host for a price, and adds to it.
const GUEST: &str = r#"(module
    (@custom "genkan.calls.1" "export total(u32) -> u32\nimport host.price(u32) -> u32\n")
    (import "host" "price" (func $price (param i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "total") (param i32) (result i32)
        (i32.add (call $price (local.get 0)) (i32.const 1))))"#;

/// What is asynchronous: here a timer, else a database or another service.
async fn price(item: u32) -> u32 {
    tokio::time::sleep(Duration::from_millis(5)).await;
    item * 10
}

/// The host function: it runs on a thread that may block. The guest's deadline does not
/// interrupt it, so it has a limit of its own.
fn wait_for_price(item: u32) -> u32 {
    let limited = tokio::time::timeout(Duration::from_secs(1), price(item));
    Handle::current().block_on(limited).unwrap_or(0)
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = Builder::new_multi_thread().enable_time().build()?;
    let bytes = wat::parse_str(GUEST)?;
    let pool = Pool::new(
        &Engine::default().compile(&bytes)?,
        PoolLimits::new().guests(8),
    );
    let totals = runtime.block_on(async {
        let mut calls = Vec::new();
        for item in 0..20u32 {
            let pool = pool.clone();
            calls.push(tokio::task::spawn_blocking(move || {
                let mut functions = Functions::default();
                functions.offer("price", |_: &mut Cx, item: u32| wait_for_price(item));
                let limits = Limits::new().deadline(Duration::from_secs(10));
                let setup = Setup::new().functions(functions).limits(limits);
                pool.take(setup)?.call::<u32>("total", (item,))
            }));
        }
        let mut totals = Vec::new();
        for call in calls {
            totals.push(call.await??);
        }
        Ok::<_, Box<dyn std::error::Error>>(totals)
    })?;
    assert_eq!(
        totals,
        (0..20).map(|item| item * 10 + 1).collect::<Vec<u32>>()
    );
    println!("20 calls, each of which waited for the host: {totals:?}");
    Ok(())
}
