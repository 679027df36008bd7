//! The guest of the tests, built by genkan itself.

#![allow(dead_code, reason = "no test uses all of it")]

use arrow::array::{ArrayRef, RecordBatch};
use datafusion::error::Result;
use datafusion::prelude::{SessionConfig, SessionContext};
use genkan_datafusion::{GuestModule, GuestOptions, RegisterGuest};
use genkan_host::Config;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The module's file.
pub fn path() -> &'static Path {
    static PATH: LazyLock<PathBuf> = LazyLock::new(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let output = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("columns-{}.wasm", std::process::id()));
        let built = Command::new(env!("CARGO"))
            .args(["xtask", "build-guest", "--quiet", "--panic", "report", "-o"])
            .arg(&output)
            .arg(here.join("tests/guest"))
            .current_dir(here.join("../.."))
            .status();
        assert!(built.unwrap().success(), "the tests' guest is not built");
        output
    });
    &PATH
}

pub fn module() -> &'static GuestModule {
    static MODULE: LazyLock<GuestModule> =
        LazyLock::new(|| GuestModule::load(path(), options()).unwrap());
    &MODULE
}

/// The default, but for a cache.
pub fn options() -> GuestOptions {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("modules");
    GuestOptions::new().config(Config::new().cache(cache))
}

/// A session with the guest's functions, whose queries have several partitions, and small
/// batches.
pub fn session() -> SessionContext {
    session_with(module())
}

pub fn session_with(module: &GuestModule) -> SessionContext {
    let config = SessionConfig::new()
        .with_target_partitions(4)
        .with_batch_size(1000);
    let ctx = SessionContext::new_with_config(config);
    ctx.register_module(module);
    ctx
}

/// A table of these columns.
pub fn table<const N: usize>(ctx: &SessionContext, name: &str, columns: [(&str, ArrayRef); N]) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    ctx.register_batch(name, batch).unwrap();
}

/// The columns of a query's result.
pub async fn query(ctx: &SessionContext, sql: &str) -> Result<Vec<ArrayRef>> {
    let frame = ctx.sql(sql).await?;
    let schema = frame.schema().inner().clone();
    let batches = frame.collect().await?;
    let schema = batches.first().map_or(schema, RecordBatch::schema);
    let whole = arrow::compute::concat_batches(&schema, &batches)?;
    Ok(whole.columns().to_vec())
}

/// What a query ends in.
pub async fn error(ctx: &SessionContext, sql: &str) -> String {
    match query(ctx, sql).await {
        Err(error) => error.to_string(),
        Ok(columns) => panic!("{sql} gives {columns:?}"),
    }
}
