//! A guest's aggregates, in all the ways in which DataFusion runs one, beside its own.

mod guests;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, StringArray};
use datafusion::prelude::{SessionConfig, SessionContext};
use genkan_datafusion::RegisterGuest;
use guests::{error, module, query, session, table};
use std::sync::Arc;

const ROWS: i64 = 20_000;

fn fill(ctx: &SessionContext) {
    let random = |n: i64| (n.wrapping_mul(6_364_136_223_846_793_005) >> 40) & 0xffff;
    let a: Int64Array = (0..ROWS)
        .map(|n| (random(n) % 13 != 1).then(|| random(n) - 20_000))
        .collect();
    let x: Float64Array = (0..ROWS)
        .map(|n| (random(n) % 7 != 1).then(|| random(n + 1) as f64))
        .collect();
    let g: Int64Array = (0..ROWS).map(|n| random(n) % 101).collect();
    let many: Int64Array = (0..ROWS).map(|n| random(n * 3)).collect();
    let w: StringArray = (0..ROWS)
        .map(|n| (random(n) % 5 != 1).then(|| "x".repeat(random(n) as usize % 40)))
        .collect();
    let columns: [(&str, ArrayRef); 5] = [
        ("a", Arc::new(a)),
        ("x", Arc::new(x)),
        ("g", Arc::new(g)),
        ("many", Arc::new(many)),
        ("w", Arc::new(w)),
    ];
    table(ctx, "t", columns);
}

/// The guest's column, and one of DataFusion's that is to be the same.
async fn same(ctx: &SessionContext, sql: &str) {
    let columns = query(ctx, sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let [ours, theirs] = &columns[columns.len() - 2..] else {
        panic!("{sql} gives two columns or more");
    };
    assert!(!ours.is_empty(), "{sql}");
    if let (Some(ours), Some(theirs)) = (
        ours.as_primitive_opt::<arrow::datatypes::Float64Type>(),
        theirs.as_primitive_opt::<arrow::datatypes::Float64Type>(),
    ) {
        for (ours, theirs) in ours.iter().zip(theirs) {
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
            let same = match (ours, theirs) {
                (Some(ours), Some(theirs)) => near(ours, theirs),
                (ours, theirs) => ours == theirs,
            };
            assert!(same, "{sql}: {ours:?}, {theirs:?}");
        }
        return;
    }
    assert_eq!(ours, theirs, "{sql}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_gives_what_datafusions_own_gives() {
    let ctx = session();
    fill(&ctx);
    for sql in [
        "SELECT sum_of(a), sum(a) FROM t",
        "SELECT mean_of(x), avg(x) FROM t",
        "SELECT longest(w), max(w) FROM t",
        "SELECT g, sum_of(a), coalesce(sum(a), 0) FROM t GROUP BY g ORDER BY g",
        "SELECT g, mean_of(x), avg(x) FROM t GROUP BY g ORDER BY g",
        "SELECT g, longest(w), max(w) FROM t GROUP BY g ORDER BY g",
        "SELECT many, mean_of(x), avg(x) FROM t GROUP BY many ORDER BY many",
        // Groups that no row is left in, and no row at all.
        "SELECT g, sum_of(a) FILTER (WHERE g < 50), coalesce(sum(a) FILTER (WHERE g < 50), 0)
         FROM t GROUP BY g ORDER BY g",
        "SELECT g, mean_of(x) FILTER (WHERE a > 30000), avg(x) FILTER (WHERE a > 30000)
         FROM t GROUP BY g ORDER BY g",
        "SELECT mean_of(x), avg(x) FROM t WHERE g < 0",
        "SELECT mean_of(x) FILTER (WHERE a IS NULL), avg(x) FILTER (WHERE a IS NULL) FROM t",
        "SELECT sum_of(NULL), coalesce(sum(NULL::BIGINT), 0) FROM t",
        // Over windows, and twice in one query.
        "SELECT sum_of(a) OVER (PARTITION BY g), coalesce(sum(a) OVER (PARTITION BY g), 0) FROM t",
        "SELECT sum_of(a) OVER (ORDER BY many, x, a), coalesce(sum(a) OVER (ORDER BY many, x, a), 0)
         FROM t ORDER BY many, x, a",
        "SELECT sum_of(a) + sum_of(a + 1), sum(a) + sum(a + 1) FROM t",
        // DataFusion makes groups of it first.
        "SELECT s, t FROM (SELECT sum_of(DISTINCT a) AS s FROM t),
         (SELECT sum(DISTINCT a) AS t FROM t)",
        "SELECT g % 3, sum_of(s), coalesce(sum(s), 0) FROM
         (SELECT g, sum_of(a) AS s FROM t GROUP BY g) GROUP BY g % 3 ORDER BY 1",
    ] {
        same(&ctx, sql).await;
    }
}

#[tokio::test]
async fn groups_are_emitted_in_order_and_states_are_passed_on() {
    // Sorted input has groups emitted as they end; and few rows in each group have the first
    // phase pass states on, one for each row.
    let config = SessionConfig::new()
        .with_target_partitions(3)
        .with_batch_size(100)
        .set_usize(
            "datafusion.execution.skip_partial_aggregation_probe_rows_threshold",
            10,
        )
        .set_str(
            "datafusion.execution.skip_partial_aggregation_probe_ratio_threshold",
            "0.01",
        );
    let ctx = SessionContext::new_with_config(config);
    ctx.register_module(module());
    fill(&ctx);
    for sql in [
        "SELECT many, sum_of(a), coalesce(sum(a), 0) FROM t GROUP BY many ORDER BY many",
        "SELECT many, mean_of(x) FILTER (WHERE g > 7), avg(x) FILTER (WHERE g > 7)
         FROM t GROUP BY many ORDER BY many",
        "SELECT many, longest(w), max(w) FROM t GROUP BY many ORDER BY many",
        "SELECT many, mean_of(x), avg(x) FROM (SELECT * FROM t ORDER BY many)
         GROUP BY many ORDER BY many",
        "SELECT many, g, mean_of(x), avg(x) FROM (SELECT * FROM t ORDER BY many)
         GROUP BY many, g ORDER BY many, g",
    ] {
        same(&ctx, sql).await;
    }
}

#[tokio::test]
async fn what_it_is_not_given_is_said() {
    let ctx = session();
    fill(&ctx);
    for sql in [
        "SELECT sum_of(DISTINCT a), sum_of(DISTINCT g) FROM t",
        "SELECT sum_of(a ORDER BY x) FROM t",
    ] {
        let error = error(&ctx, sql).await;
        assert!(error.contains("neither DISTINCT nor ORDER BY"), "{error}");
    }
}
