//! Guests that are enemies: whatever they do is their query's error, and the next query is
//! none the worse for it.

mod text;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::prelude::SessionContext;
use genkan_datafusion::{GuestOptions, RegisterGuest, resident_array};
use genkan_host::Limits;
use std::time::{Duration, Instant};
use text::{DOUBLE, body, double, error, module_with, numbers, query, session, text};

const ROWS: i64 = 10_000;

/// A session whose function `bad` does this, beside a good one.
fn with(types: &str, code: &str, options: GuestOptions) -> SessionContext {
    let bad = format!("scalar\tbad\tvolatile\t{types}");
    let text = text(&[&bad, DOUBLE], &(body("bad", code) + &double()));
    session(&module_with(&text, options), numbers(ROWS))
}

async fn ends(types: &str, code: &str, options: GuestOptions) -> String {
    let ctx = with(types, code, options);
    let error = error(&ctx, "SELECT bad(a) FROM t").await;
    // The session goes on.
    let doubled = query(&ctx, "SELECT double(a) FROM t").await.unwrap();
    assert_eq!(doubled.as_primitive::<Int64Type>().value(7), 14);
    error
}

#[tokio::test]
async fn a_trap_is_the_querys_error() {
    let error = ends("Int64\tInt64", "(unreachable)", GuestOptions::new()).await;
    assert!(error.contains("the guest's function bad"), "{error}");
    assert!(error.contains("unreachable"), "{error}");
}

#[tokio::test]
async fn what_runs_for_ever_ends_by_time_and_by_fuel() {
    let start = Instant::now();
    let forever = "(loop (br 0))";
    let limit = Duration::from_millis(50);
    for (options, problem) in [
        (
            GuestOptions::new().batch_deadline(limit),
            "did not end within 50ms",
        ),
        (
            GuestOptions::new().query_deadline(limit),
            "did not end within",
        ),
        (GuestOptions::new().batch_fuel(1_000_000), "fuel"),
        (GuestOptions::new().query_fuel(1_000_000), "fuel"),
    ] {
        let error = ends("Int64\tInt64", forever, options).await;
        assert!(error.contains(problem), "{error}");
    }
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn what_a_query_may_use_is_counted_over_its_batches() {
    let ctx = with("Int64\tInt64", "", GuestOptions::new().query_fuel(300_000));
    // The good function takes some 15 instructions for a row.
    query(&ctx, "SELECT double(a) FROM t").await.unwrap();
    let more = "SELECT double(x.a) FROM t x, t y WHERE y.a < 10";
    let error = error(&ctx, more).await;
    assert!(error.contains("used up its fuel"), "{error}");
    // Each query has its own.
    query(&ctx, "SELECT double(a) FROM t").await.unwrap();
}

#[tokio::test]
async fn memory_is_bounded() {
    let grow = "(loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
        (unreachable)";
    let options = GuestOptions::new().limits(Limits::new().memory(4 << 20));
    let error = ends("Int64\tInt64", grow, options).await;
    assert!(error.contains("memory"), "{error}");
}

#[tokio::test]
async fn what_is_shown_for_reading_is_not_written() {
    let write = "(i64.store (local.get $values) (i64.const 7))";
    let ctx = with("Int64\tInt64", write, GuestOptions::new());
    let array = resident_array(&numbers(ROWS)).unwrap();
    let batch = RecordBatch::try_from_iter([("a", array.clone())]).unwrap();
    ctx.register_batch("resident", batch).unwrap();
    let error = error(&ctx, "SELECT bad(a) FROM resident").await;
    assert!(error.contains("wrote into a window"), "{error}");
    assert_eq!(array.as_primitive::<Int64Type>().value(0), 0);
    // Of what was copied, it has a copy.
    query(&ctx, "SELECT bad(a) FROM t").await.unwrap();
    assert_eq!(query(&ctx, "SELECT min(a) FROM t").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_window_that_the_guest_takes_away_is_its_own_loss() {
    let unmap = "(call $unmap (local.get $values))";
    let ctx = with("Int64\tInt64", unmap, GuestOptions::new());
    let array = resident_array(&numbers(ROWS)).unwrap();
    let batch = RecordBatch::try_from_iter([("a", array)]).unwrap();
    ctx.register_batch("resident", batch).unwrap();
    // The second use finds nothing there.
    let twice = "SELECT bad(a), double(a) FROM resident";
    let error = error(&ctx, twice).await;
    assert!(error.contains("the guest's function"), "{error}");
    let fine = query(&ctx, "SELECT double(a) FROM resident").await.unwrap();
    assert_eq!(fine.as_primitive::<Int64Type>().value(9), 18);
}

#[tokio::test]
async fn lies_about_columns_are_found() {
    let store = |offset: u32, value: &str| {
        format!("(i32.store offset={offset} (local.get $result) {value})")
    };
    let valid_offsets = "(memory.fill (local.get $offsets) (i32.const 0) \
         (i32.shl (i32.add (local.get $rows) (i32.const 1)) (i32.const 2)))";
    let last = "(i32.add (local.get $offsets) (i32.shl (local.get $rows) (i32.const 2)))";
    for (result, code, problem) in [
        (
            "Int64",
            store(0, "(i32.const 0)"),
            "moved the column's values",
        ),
        (
            "Int64",
            store(4, "(i32.const 8)"),
            "moved the column's values",
        ),
        (
            "Boolean",
            store(0, "(i32.const -4)"),
            "moved the column's values",
        ),
        (
            "Int64",
            store(16, "(i32.const 64)"),
            "moved the column's validity",
        ),
        (
            "Utf8",
            store(12, "(i32.const 64)"),
            "moved the column's offsets",
        ),
        // Offsets that do not begin at 0, fall, end beyond the text or below 0.
        (
            "Utf8",
            format!("{valid_offsets} (i32.store (local.get $offsets) (i32.const 1))"),
            "from 1 to 0",
        ),
        (
            "Utf8",
            format!(
                "{valid_offsets} (i32.store offset=8 (local.get $offsets) (i32.const 5)) {}
                 (i32.store {last} (i32.const 9)) ",
                store(4, "(i32.const 9)")
            ),
            "ffset",
        ),
        (
            "Utf8",
            format!("{valid_offsets} (i32.store {last} (i32.const 9))"),
            "from 0 to 9, in 0 bytes",
        ),
        (
            "Binary",
            format!(
                "{valid_offsets} (i32.store {last} (i32.const -9)) {}",
                store(4, "(i32.const -1)")
            ),
            "from 0 to -9",
        ),
        // Text that is nowhere, more of it than there is memory, and none that is UTF-8.
        (
            "Binary",
            format!(
                "{valid_offsets} (i32.store {last} (i32.const 9)) {} {}",
                store(4, "(i32.const 9)"),
                store(0, "(i32.const -4)")
            ),
            "memory",
        ),
        (
            "Binary",
            format!(
                "{valid_offsets} (i32.store {last} (i32.const 0x7fffffff)) {}",
                store(4, "(i32.const -1)")
            ),
            "memory",
        ),
        (
            "Utf8",
            format!(
                "{valid_offsets} (i32.store {last} (i32.const 1)) (i32.store8 (i32.const 9) (i32.const 255)) {} {}",
                store(4, "(i32.const 1)"),
                store(0, "(i32.const 9)")
            ),
            "UTF",
        ),
        ("Int64", "(return (i32.const 7))".into(), "neither 0 nor 1"),
        (
            "Decimal128(3, 0)",
            "(i64.store (local.get $to) (i64.const 1000))".into(),
            "1000",
        ),
        // An error that is nowhere, and one that is no text.
        (
            "Int64",
            "(i32.store offset=28 (local.get $batch) (i32.const -2))
             (i32.store offset=32 (local.get $batch) (i32.const 9)) (return (i32.const 1))"
                .into(),
            "no valid error",
        ),
        (
            "Int64",
            "(i32.store8 (i32.const 9) (i32.const 255))
             (i32.store offset=28 (local.get $batch) (i32.const 9))
             (i32.store offset=32 (local.get $batch) (i32.const 1))
             (i32.store offset=36 (local.get $batch) (i32.const 3)) (return (i32.const 1))"
                .into(),
            "bad failed in row 3 of its batch: \u{fffd}",
        ),
    ] {
        let error = ends(&format!("Int64\t{result}"), &code, GuestOptions::new()).await;
        assert!(error.contains(problem), "{result} {code}: {error}");
    }
}

#[tokio::test]
async fn an_allocator_that_lies_is_found() {
    for (address, problem) in [
        ("(i32.const 0)", "no room"),
        ("(i32.const -16)", "no room"),
        ("(i32.const 8)", "no multiple of 16"),
        ("(i32.const 0x70000000)", "memory"),
        ("(unreachable)", "unreachable"),
    ] {
        let alloc = format!(
            "(module (memory (export \"memory\") 1)
                (@custom \"genkan.columns.1\" \"scalar\\09bad\\09volatile\\09Int64\\09Int64\\0a\")
                (func (export \"genkan_alloc\") (param i32) (result i32) {address})
                (func (export \"genkan_free\") (param i32 i32))
                (func (export \"column:bad\") (param i32) (result i32) (i32.const 0)))"
        );
        let ctx = session(&text::module(&alloc), numbers(ROWS));
        let error = error(&ctx, "SELECT bad(a) FROM t").await;
        assert!(error.contains(problem), "{address}: {error}");
    }
}

#[tokio::test]
async fn nothing_of_a_query_is_seen_by_the_next() {
    // `keep` notes a number in the guest's memory and in a global, far from everything, and
    // leaves all of its arguments where they are; `seek` counts what of it is there.
    let keep = body(
        "keep",
        "(i64.store (i32.const 1024) (i64.load (local.get $values)))
         (global.set $kept (i64.load (local.get $values)))",
    );
    let seek = "(func $seek (result i64)
        (local $at i32) (local $found i64)
        (block $end (loop $next
            (br_if $end (i32.ge_u (local.get $at) (i32.const 1048576)))
            (if (i64.eq (i64.load (local.get $at)) (i64.const 0x5ec2e7)) (then
                (local.set $found (i64.add (local.get $found) (i64.const 1)))))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br $next)))
        (if (i64.eq (global.get $kept) (i64.const 0x5ec2e7)) (then
            (local.set $found (i64.add (local.get $found) (i64.const 1)))))
        (local.get $found))
        (global $kept (mut i64) (i64.const 0))";
    let seen = body("seen", "(i64.store (local.get $to) (call $seek))");
    let text = text(
        &[
            "scalar\tkeep\tvolatile\tInt64\tInt64",
            "scalar\tseen\tvolatile\tInt64\tInt64",
        ],
        &[&keep, seek, &seen].concat(),
    );
    let ctx = session(&text::module(&text), numbers(1));
    let secrets: arrow::array::Int64Array = std::iter::repeat_n(0x5e_c2e7, 20_000).collect();
    let batch = RecordBatch::try_from_iter([("s", std::sync::Arc::new(secrets) as _)]).unwrap();
    ctx.register_batch("secrets", batch).unwrap();
    for _ in 0..3 {
        query(&ctx, "SELECT sum(keep(s)) FROM secrets")
            .await
            .unwrap();
        let seen = query(&ctx, "SELECT seen(a) FROM t").await.unwrap();
        assert_eq!(seen.as_primitive::<Int64Type>().value(0), 0);
        // In one query, it is the guest's own: this shows that it finds what is there.
        let both = "SELECT max(seen(s)) FROM (SELECT s FROM secrets WHERE keep(s) <> 1)";
        let both = query(&ctx, both).await.unwrap();
        assert!(both.as_primitive::<Int64Type>().value(0) > 0);
    }
}

// Two guests run, and a thread is left that can notice that the time is up.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_query_that_is_dropped_ends_its_guests() {
    let ctx = with("Int64\tInt64", "(loop (br 0))", GuestOptions::new());
    ctx.state_ref()
        .write()
        .config_mut()
        .options_mut()
        .execution
        .target_partitions = 2;
    let start = Instant::now();
    for _ in 0..3 {
        let frame = ctx.sql("SELECT bad(a) FROM t").await.unwrap();
        let collected = tokio::time::timeout(Duration::from_millis(100), frame.collect()).await;
        assert!(collected.is_err(), "it does not end by itself");
    }
    // All of its threads work for others again.
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let ctx = ctx.clone();
            tokio::spawn(async move { query(&ctx, "SELECT double(a) FROM t").await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_module_that_promises_what_it_has_not_is_refused() {
    let compiled = |text: &str| {
        let module = genkan_host::Engine::default()
            .compile(text.as_bytes())
            .unwrap();
        genkan_datafusion::GuestModule::new(&module, GuestOptions::new()).unwrap_err()
    };
    let missing = compiled(&text(&[DOUBLE], "")).to_string();
    assert!(missing.contains("column:double"), "{missing}");
    let other = "(func (export \"column:double\") (param i64) (result i32) (i32.const 0))";
    let other = compiled(&text(&[DOUBLE], other)).to_string();
    assert!(other.contains("(i32) -> i32"), "{other}");
    let aggregate = "aggregate\tsum_of\timmutable\tInt64\tInt64\tInt64";
    let aggregate = compiled(&text(&[aggregate], "")).to_string();
    assert!(aggregate.contains("column:sum_of:new"), "{aggregate}");
    let none = compiled("(module)").to_string();
    assert!(none.contains("column_fn"), "{none}");
    let ctx = SessionContext::new();
    let nowhere = ctx.register_guest("nowhere.wasm").unwrap_err().to_string();
    assert!(nowhere.contains("nowhere.wasm"), "{nowhere}");
}
