//! SQL with a guest's functions: over files, with DataFusion's own casts, plans and errors.

mod guests;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, Decimal128Array, Float64Array, Int32Array,
    Int64Array, ListArray, StringArray, StringViewArray, TimestampMillisecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type, TimestampNanosecondType};
use arrow::util::pretty::pretty_format_batches;
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::prelude::{CsvReadOptions, ParquetReadOptions};
use genkan_datafusion::RegisterGuest;
use guests::{error, options, path, query, session, table};
use std::sync::Arc;

fn strings(array: &ArrayRef) -> Vec<Option<&str>> {
    array.as_string::<i32>().iter().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_read_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let ctx = session();
    let a: Int64Array = (0..10_000).map(|n| (n % 10 != 3).then_some(n)).collect();
    let words = (0..10_000).map(|n| (n % 9 != 2).then(|| format!("word {n}")));
    let words: StringArray = words.collect();
    table(&ctx, "t", [("a", Arc::new(a)), ("w", Arc::new(words))]);
    let frame = ctx.table("t").await.unwrap();
    let options = DataFrameWriteOptions::new;
    frame
        .clone()
        .write_parquet(&file("t.parquet"), options(), None)
        .await
        .unwrap();
    frame
        .write_csv(&file("t.csv"), options(), None)
        .await
        .unwrap();
    let parquet = ParquetReadOptions::default();
    ctx.register_parquet("parquet", file("t.parquet"), parquet)
        .await
        .unwrap();
    let csv = CsvReadOptions::default();
    ctx.register_csv("csv", file("t.csv"), csv).await.unwrap();
    let text = |batches: &[_]| pretty_format_batches(batches).unwrap().to_string();
    let mut results = Vec::new();
    for table in ["t", "parquet", "csv"] {
        let sql = format!(
            "SELECT gcd(a, 24) AS g, count(*) AS n, longest(upper_of(w)) AS l, sum_of(a) AS s
             FROM {table} WHERE odd_i64(a) IS NOT NULL GROUP BY 1 ORDER BY 1"
        );
        let batches = ctx.sql(&sql).await.unwrap().collect().await.unwrap();
        results.push(text(&batches));
    }
    assert!(results[0].contains("WORD 9999"), "{}", results[0]);
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0], results[2]);
}

#[tokio::test]
async fn other_layouts_are_cast_by_themselves() {
    let ctx = session();
    let text: StringViewArray = vec![Some("a"), None, Some("longer than twelve bytes")]
        .into_iter()
        .collect();
    let bytes: BinaryViewArray = vec![Some(b"ab" as &[u8]), None, Some(b"cd")]
        .into_iter()
        .collect();
    let small: Int32Array = vec![Some(4), None, Some(6)].into_iter().collect();
    let time: TimestampMillisecondArray = vec![Some(1), None, Some(3)].into_iter().collect();
    let decimal: Decimal128Array = vec![Some(150), None, Some(10)].into_iter().collect();
    let decimal = decimal.with_precision_and_scale(9, 2).unwrap();
    let columns: [(&str, ArrayRef); 5] = [
        ("text", Arc::new(text)),
        ("bytes", Arc::new(bytes)),
        ("small", Arc::new(small)),
        ("time", Arc::new(time)),
        ("decimal", Arc::new(decimal)),
    ];
    table(&ctx, "t", columns);
    let sql = "SELECT upper_of(text), reversed(bytes), gcd(small, 12), next_nanosecond(time),
        next_decimal(decimal), upper_of(arrow_cast(text, 'Dictionary(Int32, Utf8)')),
        upper_of(small) FROM t";
    let got = query(&ctx, sql).await.unwrap();
    let upper = [Some("A"), None, Some("LONGER THAN TWELVE BYTES")];
    assert_eq!(strings(&got[0]), upper);
    assert_eq!(got[1].as_binary::<i32>().value(2), b"dc");
    assert_eq!(got[2].as_primitive::<Int64Type>().value(0), 4);
    assert_eq!(
        got[3].as_primitive::<TimestampNanosecondType>().value(2),
        3_000_001
    );
    assert_eq!(
        got[4]
            .as_primitive::<arrow::datatypes::Decimal128Type>()
            .value(0),
        751
    );
    assert_eq!(strings(&got[5]), upper);
    assert_eq!(strings(&got[6])[0], Some("4"));
    assert!(got.iter().all(|column| column.is_null(1)));
}

#[tokio::test]
async fn other_types_are_refused_by_name() {
    let ctx = session();
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)])]);
    let float: Float64Array = vec![1.5].into();
    table(&ctx, "t", [("l", Arc::new(lists)), ("f", Arc::new(float))]);
    for (sql, parts) in [
        (
            "SELECT gcd(l, 1) FROM t",
            &["argument 1 of gcd(Int64, Int64)", "List"][..],
        ),
        (
            "SELECT gcd(1, f) FROM t",
            &["argument 2", "Float64", "arrow_cast"],
        ),
        (
            "SELECT gcd(1) FROM t",
            &["takes 2 arguments", "called with 1"],
        ),
        (
            "SELECT next_second(arrow_cast(0, 'Timestamp(Nanosecond, None)'))",
            &["Timestamp"],
        ),
        ("SELECT sum_of(f) FROM t", &["sum_of(Int64)", "Float64"]),
        ("SELECT answer(1)", &["answer"]),
    ] {
        let error = error(&ctx, sql).await;
        assert!(
            parts.iter().all(|part| error.contains(part)),
            "{sql}: {error}"
        );
    }
}

#[tokio::test]
async fn constants_are_folded_and_plans_show_their_guests() {
    let ctx = session();
    table(&ctx, "t", [("a", Arc::new(Int64Array::from(vec![8])))]);
    let plan = query(&ctx, "EXPLAIN SELECT gcd(12, 18) + a FROM t")
        .await
        .unwrap();
    let plan = strings(&plan[1]).into_iter().flatten().collect::<String>();
    assert!(plan.contains("expr=[6 + a@0 as"), "{plan}");
    let plan = ctx.sql("SELECT gcd(a, 18), answer() FROM t").await.unwrap();
    let plan = plan.create_physical_plan().await.unwrap();
    let shown = datafusion::physical_plan::displayable(plan.as_ref());
    let shown = shown.indent(false).to_string();
    assert!(shown.starts_with("GuestExec: modules=["), "{shown}");
    let got = query(&ctx, "SELECT gcd(a, 18), answer() FROM t")
        .await
        .unwrap();
    assert_eq!(got[1].as_primitive::<Int32Type>().value(0), 42);
}

#[tokio::test]
async fn a_guests_error_and_its_panic_are_the_querys() {
    let ctx = session();
    let numbers: Int64Array = (0..10).collect();
    table(&ctx, "t", [("a", Arc::new(numbers))]);
    let failed = error(&ctx, "SELECT divide(10, a) FROM t").await;
    assert!(
        failed.contains("divide failed in row 0 of its batch: 10 / 0"),
        "{failed}"
    );
    let failed = error(&ctx, "SELECT picky(a + 10) FROM t").await;
    assert!(
        failed.contains("picky failed in row 3 of its batch: not 13"),
        "{failed}"
    );
    let panicked = error(&ctx, "SELECT panics(a) FROM t").await;
    assert!(
        panicked.contains("guest panicked at ") && panicked.contains("lib.rs:"),
        "{panicked}"
    );
    assert!(panicked.contains("5 is not to be here"), "{panicked}");
    // Rows that do not panic, in the next query.
    let fine = query(&ctx, "SELECT panics(a) FROM t WHERE a < 5")
        .await
        .unwrap();
    assert_eq!(fine[0].len(), 5);
}

#[tokio::test]
async fn functions_are_created_in_sql() {
    let ctx = datafusion::prelude::SessionContext::new();
    ctx.create_functions_from_guests(options());
    let file = path().display();
    let run = async |sql: &str| ctx.sql(sql).await.unwrap().collect().await.unwrap();
    run(&format!(
        "CREATE FUNCTION gcd(BIGINT, BIGINT) RETURNS BIGINT LANGUAGE wasm AS '{file}'"
    ))
    .await;
    run(&format!(
        "CREATE FUNCTION mean_of(DOUBLE) RETURNS DOUBLE AS '{file}'"
    ))
    .await;
    let got = query(
        &ctx,
        "SELECT gcd(12, 18), mean_of(x) FROM (VALUES (1.0), (4.0)) AS t(x)",
    );
    let got = got.await.unwrap();
    assert_eq!(got[0].as_primitive::<Int64Type>().value(0), 6);
    for (sql, part) in [
        (
            format!("CREATE FUNCTION lcm(BIGINT) RETURNS BIGINT AS '{file}'"),
            "it has answer, axpy, divide, gcd",
        ),
        (
            format!("CREATE FUNCTION gcd(BIGINT) RETURNS BIGINT AS '{file}'"),
            "gcd(Int64, Int64)",
        ),
        (
            format!("CREATE FUNCTION gcd(BIGINT, BIGINT) RETURNS INT AS '{file}'"),
            "does not return Int32",
        ),
        (
            format!("CREATE FUNCTION gcd(BIGINT, BIGINT) RETURNS BIGINT LANGUAGE c AS '{file}'"),
            "language wasm",
        ),
        (
            "CREATE FUNCTION gcd(BIGINT) RETURNS BIGINT AS 'nowhere'".into(),
            "nowhere",
        ),
        (
            "CREATE FUNCTION gcd(BIGINT) RETURNS BIGINT RETURN $1".into(),
            "AS 'FILE'",
        ),
    ] {
        let error = error(&ctx, &sql).await;
        assert!(error.contains(part), "{sql}: {error}");
    }
}

#[tokio::test]
async fn guests_are_in_every_part_of_a_query() {
    let ctx = session();
    let numbers: Int64Array = (0..3_000).collect();
    table(&ctx, "t", [("a", Arc::new(numbers))]);
    let sql = "WITH u AS (SELECT a, gcd(a, 6) AS g FROM t)
        SELECT u.g, max(v.g) OVER (PARTITION BY u.g), (SELECT sum_of(a) FROM t WHERE gcd(a, 2) = 1)
        FROM u JOIN (SELECT gcd(a, 10) AS g, a FROM t) v ON next_i64(u.a) = v.a
        WHERE u.a IN (SELECT next_i64(a) FROM t WHERE gcd(a, 5) = 5)
        ORDER BY next_i64(u.g), u.a LIMIT 5";
    let got = query(&ctx, sql).await.unwrap();
    assert_eq!(got[0].len(), 5);
    assert_eq!(
        got[2].as_primitive::<Int64Type>().value(0),
        (0..3000_i64).filter(|a| a % 2 == 1).sum::<i64>()
    );
    // The same plan runs again, where DataFusion's own parts can.
    ctx.state_ref()
        .write()
        .config_mut()
        .options_mut()
        .execution
        .target_partitions = 1;
    let frame = ctx.sql("SELECT sum(next_i64(a)) FROM t").await.unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    for _ in 0..2 {
        let batches = datafusion::physical_plan::collect(plan.clone(), ctx.task_ctx()).await;
        let batches = batches.unwrap();
        let sum = batches[0].column(0).as_primitive::<Int64Type>().value(0);
        assert_eq!(sum, (1..=3_000).sum::<i64>());
    }
}
