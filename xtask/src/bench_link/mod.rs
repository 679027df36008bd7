//! `cargo xtask bench link`: genkan's linker beside whichever of rust-lld, wasm-ld
//! and wild is installed, on the same inputs, turn by turn, in one go.

pub mod inputs;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use wait4::Wait4 as _;

use genkan::context::Repository as _;
use genkan::files;
use genkan::progress::Progress;
use genkan::shell::{self, Shell};
use genkan::toolchain::{self, Toolchain};
use genkan_link::{Input, Options, Role};

use crate::plot::{self, Bar, Group, Surroundings};
use crate::repository::Checkout;
use inputs::{Inputs, Job};

/// A linker as a process.
struct Linker {
    name: String,
    program: PathBuf,
    /// What comes before the linker's own arguments.
    prefix: Vec<String>,
}

impl Linker {
    /// What it says of itself, with its name before, where that is missing.
    fn version(&self) -> String {
        if self.name.starts_with("genkan") {
            return format!("{} {}", self.name, env!("CARGO_PKG_VERSION"));
        }
        let mut command = Command::new(&self.program);
        let output = command.args(&self.prefix).arg("--version").output();
        let text = output.map_or_else(|_| Vec::new(), |output| output.stdout);
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().next().unwrap_or("version unknown");
        // `Debian LLD 19.1.7 (compatible with GNU linkers)`: as far as it counts.
        let line = line.split(" (").next().unwrap_or(line);
        format!("{}: {line}", self.name)
    }
}

/// One run of a linker.
#[derive(Debug, Clone, Copy)]
struct Run {
    wall: Duration,
    cpu: Duration,
    /// The most memory that was resident at once, in bytes.
    peak: u64,
}

/// One linker's figures for one job: medians, and ratios to genkan's.
#[derive(Debug, Serialize)]
struct Figures {
    linker: String,
    wall_ms: f64,
    cpu_ms: f64,
    peak_mb: f64,
    output_bytes: usize,
    /// Medians of the ratios of runs side by side: genkan's divided by this.
    wall_ratio: f64,
    cpu_ratio: f64,
    peak_ratio: f64,
    size_ratio: f64,
}

#[derive(Debug, Serialize)]
struct Row {
    job: String,
    input_bytes: u64,
    rounds: usize,
    linkers: Vec<Figures>,
}

#[derive(Debug, Serialize)]
struct Results {
    /// Microseconds for a tiny object by a call of `genkan_link::link`, the median.
    in_process_us: f64,
    rows: Vec<Row>,
    /// What was not measured, and why.
    skipped: Vec<String>,
}

/// Prepares the inputs, measures, and prints a table, or JSON.
pub fn run(
    shell: Shell,
    checkout: &Checkout,
    json: bool,
    svg: Option<&Path>,
) -> anyhow::Result<()> {
    let toolchain = toolchain()?;
    let exe = std::env::current_exe()?;
    let target_folder = exe
        .ancestors()
        .nth(2)
        .context("xtask lies in a target folder")?;
    let inputs = inputs::prepare(shell, &toolchain, &target_folder.join("bench-link"))?;
    let file = target_folder.join("bench-link/inputs.json");
    files::write(&file, &serde_json::to_vec(&inputs)?)?;

    // Times of an unoptimised linker would say nothing.
    let mut optimised = exe.clone();
    if cfg!(debug_assertions) {
        shell.status("Building", "xtask with optimisation");
        let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
        let mut build = Command::new(cargo);
        build
            .args([
                "build",
                "--release",
                "--quiet",
                "--package=xtask",
                "--manifest-path",
            ])
            .arg(checkout.root().join("Cargo.toml"));
        ensure!(
            build.status()?.success(),
            "cannot build xtask with optimisation"
        );
        optimised = target_folder
            .join("release")
            .join(exe.file_name().context("a file")?);
    }
    // A new process: what this one used for the inputs would count as the peak
    // of each that it starts.
    let mut command = Command::new(optimised);
    command
        .args(["bench", "link", "--inputs"])
        .arg(&file)
        .args(json.then_some("--json"));
    if let Some(svg) = svg {
        command.arg("--svg").arg(svg);
    }
    let status = command.status()?;
    ensure!(status.success(), "cannot measure: {status}");
    Ok(())
}

/// Measures on prepared inputs.
pub fn measure_all(
    shell: Shell,
    inputs: &Path,
    json: bool,
    svg: Option<&Path>,
) -> anyhow::Result<()> {
    let Inputs { jobs, mut skipped } = serde_json::from_slice(&files::read(inputs)?)?;
    let linkers = linkers(&toolchain()?, &mut skipped)?;
    let mut rows = Vec::new();
    let progress = Progress::new(shell, "Measuring", jobs.len());
    for job in &jobs {
        shell.status("Measuring", &job.name);
        progress.step(&job.name);
        rows.push(measure(job, &linkers, &mut skipped)?);
    }
    drop(progress);
    let in_process_us = in_process(&jobs[0])?;
    let results = Results {
        in_process_us,
        rows,
        skipped,
    };
    if let Some(svg) = svg {
        let surroundings = Surroundings {
            title: "Linking, genkan beside other linkers".into(),
            versions: linkers
                .iter()
                .map(Linker::version)
                .collect::<Vec<_>>()
                .join(" · "),
        };
        let picture = plot::svg(&surroundings, &groups(&results));
        files::write(svg, picture.as_bytes())?;
        shell.status("Drew", svg.display());
    }
    let text = match json {
        true => serde_json::to_string_pretty(&results)? + "\n",
        false => table(&results),
    };
    shell::print(&text)
}

fn toolchain() -> anyhow::Result<Toolchain> {
    let mut all = toolchain::all().into_iter();
    all.find(|toolchain| {
        toolchain
            .targets
            .iter()
            .any(|target| target == inputs::TARGET)
    })
    .with_context(|| format!("no rustc with the std of {}", inputs::TARGET))
}

/// genkan with wasm-ld's layout first, then with its own, then the others that are
/// here.
fn linkers(toolchain: &Toolchain, skipped: &mut Vec<String>) -> anyhow::Result<Vec<Linker>> {
    let ours = |name: &str, prefix: &[&str]| -> anyhow::Result<Linker> {
        Ok(Linker {
            name: name.into(),
            program: std::env::current_exe()?,
            prefix: prefix.iter().copied().map(str::to_owned).collect(),
        })
    };
    let mut linkers = vec![
        ours("genkan", &["link"])?,
        ours("genkan-lean", &["link", "--lean"])?,
    ];
    let flavor = || vec!["-flavor".to_owned(), "wasm".to_owned()];
    let rust_lld = toolchain
        .sysroot
        .join("lib/rustlib")
        .read_dir()?
        .flatten()
        .map(|entry| entry.path().join("bin/rust-lld"))
        .find(|path| path.is_file());
    let wasm_ld = (14..40).rev().map(|version| format!("wasm-ld-{version}"));
    let wasm_ld = ["wasm-ld".to_owned()]
        .into_iter()
        .chain(wasm_ld)
        .find_map(|name| on_path(&name));
    for (name, program, prefix) in [
        ("rust-lld", rust_lld, flavor()),
        ("wasm-ld", wasm_ld, Vec::new()),
        ("wild", on_path("wild"), Vec::new()),
    ] {
        match program {
            Some(program) => linkers.push(Linker {
                name: name.into(),
                program,
                prefix,
            }),
            None => skipped.push(format!("{name}: not installed")),
        }
    }
    Ok(linkers)
}

fn on_path(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&paths).map(|folder| folder.join(name));
    let found = places.find(|path| path.is_file())?;
    // A link named wasm-ld may lead to genkan.
    let ours = std::env::current_exe().ok()?.canonicalize().ok()?;
    (found.canonicalize().ok()? != ours).then_some(found)
}

/// Links the tiny object by calls of the library.
fn in_process(job: &Job) -> anyhow::Result<f64> {
    let object = files::read(&job.folder.join(&job.arguments[0]))?;
    let inputs = [Input::new("tiny.o", &object).with_role(Role::Guest)];
    let options = Options::guest();
    let mut times: Vec<f64> = (0..501)
        .map(|_| {
            let start = Instant::now();
            let linked = genkan_link::link(black_box(&inputs), &options).map(black_box);
            let time = start.elapsed().as_secs_f64() * 1e6;
            linked.map(|_| time)
        })
        .collect::<Result<_, _>>()?;
    Ok(median(&mut times))
}

/// Runs every linker on one job, turn by turn, `job.rounds` times.
fn measure(job: &Job, linkers: &[Linker], skipped: &mut Vec<String>) -> anyhow::Result<Row> {
    let output = |linker: &Linker| job.folder.join(format!("{}.wasm", linker.name));
    // The first run brings files into memory, and tells who can do it at all.
    let able: Vec<&Linker> = linkers
        .iter()
        .filter(|linker| match link_once(linker, job, &output(linker)) {
            Ok(_) => true,
            Err(error) => {
                skipped.push(format!("{}, {}: {error:#}", job.name, linker.name));
                false
            }
        })
        .collect();
    ensure!(
        able.first().is_some_and(|linker| linker.name == "genkan"),
        "{}",
        skipped.join("\n")
    );
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); able.len()];
    for _ in 0..job.rounds {
        for (linker, runs) in able.iter().zip(&mut runs) {
            runs.push(link_once(linker, job, &output(linker))?);
        }
    }
    let size =
        |linker: &Linker| -> anyhow::Result<usize> { Ok(files::read(&output(linker))?.len()) };
    let our_size = size(able[0])?;
    let linkers = able
        .iter()
        .zip(&runs)
        .map(|(linker, theirs)| {
            let ms = |time: Duration| time.as_secs_f64() * 1e3;
            let of = |value: &dyn Fn(&Run) -> f64| {
                median(&mut theirs.iter().map(value).collect::<Vec<_>>())
            };
            let ratio = |value: &dyn Fn(&Run) -> f64| {
                let pairs = runs[0].iter().zip(theirs);
                median(
                    &mut pairs
                        .map(|(our, their)| value(our) / value(their))
                        .collect::<Vec<_>>(),
                )
            };
            let output_bytes = size(linker)?;
            Ok(Figures {
                linker: linker.name.clone(),
                wall_ms: of(&|run| ms(run.wall)),
                cpu_ms: of(&|run| ms(run.cpu)),
                peak_mb: of(&|run| run.peak as f64 / 1e6),
                output_bytes,
                wall_ratio: ratio(&|run| ms(run.wall)),
                cpu_ratio: ratio(&|run| ms(run.cpu)),
                peak_ratio: ratio(&|run| run.peak as f64),
                size_ratio: our_size as f64 / output_bytes as f64,
            })
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(Row {
        job: job.name.clone(),
        input_bytes: job.input_bytes(),
        rounds: job.rounds,
        linkers,
    })
}

fn link_once(linker: &Linker, job: &Job, output: &Path) -> anyhow::Result<Run> {
    let mut command = Command::new(&linker.program);
    command
        .args(&linker.prefix)
        .args(&job.arguments)
        .arg("-o")
        .arg(output)
        .current_dir(&job.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let used = command.spawn()?.wait4()?;
    let wall = start.elapsed();
    if !used.status.success() {
        // Once more, for what it says.
        let output = command.stderr(Stdio::piped()).output()?;
        let text = String::from_utf8_lossy(&output.stderr);
        anyhow::bail!(
            "{}: {}",
            output.status,
            text.lines().next().unwrap_or_default()
        );
    }
    Ok(Run {
        wall,
        cpu: used.rusage.utime + used.rusage.stime,
        peak: used.rusage.maxrss,
    })
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn table(results: &Results) -> String {
    let mut text = format!(
        "A tiny object, in process: {:.0} µs (median of 501)\n",
        results.in_process_us
    );
    for row in &results.rows {
        text += &format!(
            "\n{}: {} of inputs, {} rounds\n{:<12}{:>11}{:>11}{:>11}{:>12}   genkan's share: wall   CPU  peak  size\n",
            row.job,
            shell::bytes(row.input_bytes),
            row.rounds,
            "",
            "wall",
            "CPU",
            "peak",
            "output",
        );
        for it in &row.linkers {
            text += &format!(
                "{:<12}{:>8.1} ms{:>8.1} ms{:>8.1} MB{:>12}",
                it.linker,
                it.wall_ms,
                it.cpu_ms,
                it.peak_mb,
                shell::bytes(it.output_bytes as u64),
            );
            if it.linker != "genkan" {
                text += &format!(
                    "{:>24.2}{:>6.2}{:>6.2}{:>6.2}",
                    it.wall_ratio, it.cpu_ratio, it.peak_ratio, it.size_ratio
                );
            }
            text.push('\n');
        }
    }
    for skipped in &results.skipped {
        text += &format!("\nnot measured: {skipped}");
    }
    if !results.skipped.is_empty() {
        text.push('\n');
    }
    text
}

/// Time, memory and size of each job, for a picture.
fn groups(results: &Results) -> Vec<Group> {
    type Figure = (&'static str, fn(&Figures) -> f64, fn(f64) -> String);
    const FIGURES: [Figure; 3] = [
        ("time", |it| it.wall_ms, |value| format!("{value:.1} ms")),
        (
            "peak memory",
            |it| it.peak_mb,
            |value| format!("{value:.1} MB"),
        ),
        (
            "size of the module",
            |it| it.output_bytes as f64,
            |value| shell::bytes(value as u64),
        ),
    ];
    let of_row = |row: &Row| {
        let group = |(what, value, show): Figure| Group {
            title: format!("{}: {what}, less is better", row.job),
            bars: row
                .linkers
                .iter()
                .map(|it| Bar {
                    name: it.linker.clone(),
                    value: value(it),
                    shown: show(value(it)),
                })
                .collect(),
        };
        FIGURES.map(group)
    };
    results.rows.iter().flat_map(of_row).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(super::median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(super::median(&mut [0.5]), 0.5);
    }
}
