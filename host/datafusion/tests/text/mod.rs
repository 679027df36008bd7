//! Guests as text: what no compiler would make of a function over columns.

#![allow(dead_code, reason = "each test file has its own copy of this module")]

use arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::SessionContext;
use genkan_datafusion::{GuestModule, GuestOptions, RegisterGuest};
use genkan_host::Engine;
use std::sync::Arc;

/// A module with such functions: a declaration for each, and WebAssembly's text for all of
/// it. `$rows`, `$values`, `$result`, `$to` and `$offsets` are there for a body: see [`body`].
pub fn text(declarations: &[&str], rest: &str) -> String {
    text_with_memory(declarations, "(memory (export \"memory\") 16)", rest)
}

pub fn text_with_memory(declarations: &[&str], memory: &str, rest: &str) -> String {
    let section: String = declarations
        .iter()
        .map(|line| line.replace('\t', "\\09") + "\\0a")
        .collect();
    format!(
        r#"(module
            (import "genkan" "unmap" (func $unmap (param i32)))
            {memory}
            (@custom "genkan.columns.1" "{section}")
            (func (export "genkan_free") (param i32 i32))
            {ALLOC}
            {rest})"#
    )
}

/// Gives the one place that there is.
const ALLOC: &str = r#"(func (export "genkan_alloc") (param $len i32) (result i32)
    (select (i32.const 65536) (i32.const 0)
        (i32.le_u (local.get $len) (i32.const 983040))))"#;

/// A function that does this with its batch, and gives 0.
pub fn body(name: &str, code: &str) -> String {
    format!(
        r#"(func (export "column:{name}") (param $batch i32) (result i32)
            (local $rows i32) (local $values i32) (local $result i32) (local $to i32)
            (local $offsets i32) (local $row i32)
            (local.set $rows (i32.load (local.get $batch)))
            (if (i32.load offset=8 (local.get $batch)) (then
                (local.set $values (i32.load (i32.load offset=4 (local.get $batch))))))
            (local.set $result (i32.load offset=12 (local.get $batch)))
            (local.set $to (i32.load (local.get $result)))
            (local.set $offsets (i32.load offset=12 (local.get $result)))
            (i32.store offset=16 (local.get $result) (i32.const 0))
            {code}
            (i32.const 0))"#
    )
}

/// `double(Int64) -> Int64`, which does as it says.
pub fn double() -> String {
    body(
        "double",
        "(block $end (loop $next
            (br_if $end (i32.ge_u (local.get $row) (local.get $rows)))
            (i64.store (i32.add (local.get $to) (i32.shl (local.get $row) (i32.const 3)))
                (i64.shl (i64.load (i32.add (local.get $values)
                    (i32.shl (local.get $row) (i32.const 3)))) (i64.const 1)))
            (local.set $row (i32.add (local.get $row) (i32.const 1)))
            (br $next)))",
    )
}

pub const DOUBLE: &str = "scalar\tdouble\timmutable\tInt64\tInt64";

pub fn module_with(text: &str, options: GuestOptions) -> GuestModule {
    let module = Engine::default().compile(text.as_bytes()).unwrap();
    GuestModule::new(&module, options).unwrap()
}

pub fn module(text: &str) -> GuestModule {
    module_with(text, GuestOptions::default())
}

/// A session with these functions, and a table `t` of one column `a`.
pub fn session(module: &GuestModule, a: ArrayRef) -> SessionContext {
    let ctx = SessionContext::new();
    ctx.register_module(module);
    let batch = RecordBatch::try_from_iter([("a", a)]).unwrap();
    ctx.register_batch("t", batch).unwrap();
    ctx
}

/// The first column of a query's result.
pub async fn query(ctx: &SessionContext, sql: &str) -> Result<ArrayRef> {
    let batches = ctx.sql(sql).await?.collect().await?;
    let columns: Vec<_> = batches
        .iter()
        .map(|batch| batch.column(0).as_ref())
        .collect();
    Ok(arrow::compute::concat(&columns)?)
}

/// What a query ends in.
pub async fn error(ctx: &SessionContext, sql: &str) -> String {
    match query(ctx, sql).await {
        Err(error) => error.to_string(),
        Ok(array) => panic!("{sql} gives {} rows", array.len()),
    }
}

pub fn found<T: std::error::Error + 'static>(error: &DataFusionError) -> Option<&T> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        source = error.source();
    }
    None
}

pub fn numbers(count: i64) -> ArrayRef {
    Arc::new((0..count).collect::<arrow::array::Int64Array>())
}
