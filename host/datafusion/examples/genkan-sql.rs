//! Runs SQL with guests' functions over Parquet and CSV files:
//!
//! ```text
//! genkan-sql -g functions.wasm "SELECT gcd(a, b) FROM 'numbers.parquet' LIMIT 10"
//! ```

use clap::Parser;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::{ExecutionPlan, StatisticsArgs, StatisticsContext, execute_stream};
use datafusion::prelude::{DataFrame, SessionContext};
use futures::StreamExt;
use genkan_datafusion::{GuestModule, GuestOptions, RegisterGuest};
use genkan_host::{Config, Limits};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Runs SQL with guests' functions over Parquet and CSV files.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example: genkan-sql -g functions.wasm \"SELECT gcd(a, b) FROM 'numbers.parquet'\""
)]
struct Arguments {
    /// Offer the functions of this module
    #[arg(short, long = "guest", value_name = "MODULE")]
    guests: Vec<PathBuf>,
    /// The time that functions may take, together
    #[arg(long, value_name = "SECONDS")]
    time: Option<f64>,
    /// The memory that each guest may have
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    memory: u64,
    /// Keep compiled modules there
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,
    /// Statements, one after another; files are tables: FROM 'numbers.parquet'
    #[arg(required = true, value_name = "SQL")]
    statements: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let ctx = SessionContext::new().enable_url_table();
    let options = options(arguments)?;
    for path in &arguments.guests {
        ctx.register_module(&GuestModule::load(path, options.clone())?);
    }
    ctx.create_functions_from_guests(options);
    for statement in &arguments.statements {
        let frame = ctx.sql(statement).await?;
        show(&ctx, frame).await?;
    }
    Ok(())
}

fn options(arguments: &Arguments) -> Result<GuestOptions> {
    let mut config = Config::new();
    if let Some(folder) = &arguments.cache {
        config = config.cache(folder);
    }
    let limits = Limits::new().memory(arguments.memory.saturating_mul(1 << 20));
    let options = GuestOptions::new().config(config).limits(limits);
    Ok(match arguments.time.map(Duration::try_from_secs_f64) {
        None => options,
        Some(Ok(time)) => options.query_deadline(time),
        Some(Err(error)) => {
            return Err(DataFusionError::Configuration(format!("--time: {error}")));
        }
    })
}

/// Runs a query and prints its result, with a bar for the rows that were read until then.
async fn show(ctx: &SessionContext, frame: DataFrame) -> Result<()> {
    let plan = frame.create_physical_plan().await?;
    let mut leaves = Vec::new();
    find_leaves(&plan, &mut leaves);
    let bar = bar(&leaves);
    let mut stream = execute_stream(Arc::clone(&plan), ctx.task_ctx())?;
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let mut batches = Vec::new();
    loop {
        tokio::select! {
            batch = stream.next() => match batch {
                Some(batch) => batches.push(batch.inspect_err(|_| bar.finish_and_clear())?),
                None => break,
            },
            _ = tick.tick() => {
                let read = leaves.iter().filter_map(|leaf| leaf.metrics()?.output_rows());
                bar.set_position(read.sum::<usize>() as u64);
            }
        }
    }
    bar.finish_and_clear();
    let schema = plan.schema();
    if schema.fields().is_empty() {
        return Ok(());
    }
    let table = arrow::util::pretty::pretty_format_batches_with_schema(schema, &batches)?;
    println!("{table}");
    Ok(())
}

/// Those parts of a plan that read files.
fn find_leaves(plan: &Arc<dyn ExecutionPlan>, leaves: &mut Vec<Arc<dyn ExecutionPlan>>) {
    let children = plan.children();
    if children.is_empty() {
        leaves.push(Arc::clone(plan));
    }
    children.iter().for_each(|child| find_leaves(child, leaves));
}

/// A bar on a terminal, as long as the rows that there are, if the files say so.
fn bar(leaves: &[Arc<dyn ExecutionPlan>]) -> ProgressBar {
    let statistics = StatisticsContext::new();
    let rows = leaves.iter().map(|leaf| {
        let of_all = StatisticsArgs::new();
        let statistics = statistics.compute(leaf.as_ref(), &of_all).ok()?;
        statistics.num_rows.get_value().copied()
    });
    let template = |template| ProgressStyle::with_template(template).expect("a template of ours");
    match rows.sum::<Option<usize>>() {
        Some(rows) => ProgressBar::new(rows as u64).with_style(template(
            "{bar:40} {human_pos} of {human_len} rows, {eta} left",
        )),
        None => ProgressBar::no_length().with_style(template("{spinner} {human_pos} rows")),
    }
}
