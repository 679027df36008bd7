//! `profile`: builds a guest, has the host run it and say where its time went, and draws
//! that as a flame graph.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use inferno::flamegraph;

use crate::build_guest;
use crate::context::Context;
use crate::files;
use crate::run::{Host, Job};
use crate::shell;
use crate::toolchain;

/// What to profile, and what to make of it.
pub struct Request {
    /// What to build.
    pub build: build_guest::Request,
    /// What the host is told.
    pub arguments: Vec<OsString>,
    /// Samples a second.
    pub rate: u32,
    /// Where the flame graph goes; `-` is stdout.
    pub svg: Option<PathBuf>,
    /// Where the folded stacks go; `-` is stdout.
    pub folded: Option<PathBuf>,
}

/// Runs the guest and writes what is asked for, however it ended: the flame graph if
/// nothing is, as `NAME.svg` in the current folder. The exit code is the host's.
pub fn profile(context: &Context<'_>, mut request: Request) -> anyhow::Result<ExitCode> {
    let host = Host::of(context)?;
    let name = request.build.guest.name();
    if request.folded.is_none() && request.svg.is_none() {
        request.svg = Some(format!("{name}.svg").into());
    }
    let outputs = [&request.folded, &request.svg];
    let outputs: Vec<&Path> = outputs
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
        .collect();
    // Before the guest runs for a minute.
    for output in outputs.iter().filter(|output| !files::is_stdio(output)) {
        files::check_place(output)?;
    }
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let samples = folder.path().join("samples");
    let options: [OsString; 4] = [
        "--profile".into(),
        samples.clone().into(),
        "--profile-rate".into(),
        request.rate.to_string().into(),
    ];
    let job = Job::build(context, &request.build, &request.arguments)?.with(options);
    let mut command = host.command(context, &job)?;
    if outputs.iter().any(|output| files::is_stdio(output)) {
        // What the guest prints is not part of it.
        command.stdout(std::io::stderr());
    }
    context
        .shell
        .detail("Running", toolchain::display(&command));
    let code = toolchain::exit_code(&mut command)?;
    if !samples.exists() {
        // The guest was never run, and the host has said why.
        return Ok(code);
    }
    let stacks = String::from_utf8(files::read(&samples)?.to_vec())?;
    write(context, &request, &name, &stacks)?;
    Ok(code)
}

fn write(context: &Context<'_>, request: &Request, name: &str, stacks: &str) -> anyhow::Result<()> {
    let count: u64 = stacks.lines().filter_map(samples).sum();
    anyhow::ensure!(
        count > 0,
        "no sample of {name} was taken, as it ran for less than a period of 1/{} s: give it more \
         to do, or sample more often (--rate)",
        request.rate
    );
    let counted = shell::count(usize::try_from(count)?, "sample");
    if let Some(folded) = &request.folded {
        files::write_or_stdout(folded, stacks.as_bytes())?;
        if !files::is_stdio(folded) {
            let what = format_args!("{} ({counted})", folded.display());
            context.shell.status("Wrote", what);
        }
    }
    if let Some(svg) = &request.svg {
        let facts = format!("{counted}, {} a second", request.rate);
        files::write_or_stdout(svg, draw(name, &facts, stacks)?.as_bytes())?;
        if !files::is_stdio(svg) {
            let what = format_args!("{} ({counted})", svg.display());
            context.shell.status("Drew", what);
        }
    }
    Ok(())
}

/// How many samples a line of folded stacks stands for.
fn samples(line: &str) -> Option<u64> {
    line.rsplit_once(' ')?.1.parse().ok()
}

/// The flame graph of folded stacks: one file, which needs no other.
fn draw(name: &str, facts: &str, stacks: &str) -> anyhow::Result<String> {
    let mut options = flamegraph::Options::default();
    options.title = format!("Where {name} spent its time");
    options.subtitle = Some(facts.to_owned());
    options.colors = flamegraph::Palette::Multi(flamegraph::color::MultiPalette::Rust);
    // The same stacks, the same bytes.
    options.deterministic = true;
    let mut svg = Vec::new();
    flamegraph::from_lines(&mut options, stacks.lines(), &mut svg)
        .context("cannot draw the flame graph")?;
    Ok(String::from_utf8(svg)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flame_graph_has_names_shares_and_nothing_from_elsewhere() {
        let stacks = "run;a<[u8: 4]>::one;src/lib.rs:3 300\nrun;<b as c>::three 900\n";
        let svg = draw("guest", "1200 samples, 1000 a second", stacks).unwrap();
        for text in [
            "Where guest spent its time",
            "1200 samples, 1000 a second",
            "a&lt;[u8: 4]&gt;::one (300 samples, 25.00%)",
            "&lt;b as c&gt;::three (900 samples, 75.00%)",
            "src/lib.rs:3 (300 samples",
        ] {
            assert!(svg.contains(text), "{text}\n{svg}");
        }
        // But for names of namespaces and a license in a comment.
        for loading in [
            "href=",
            "src=",
            "url(\"http",
            "url(http",
            "@import",
            "fetch(",
        ] {
            assert!(!svg.contains(loading), "{loading}\n{svg}");
        }
        assert_eq!(
            draw("guest", "1200 samples, 1000 a second", stacks).unwrap(),
            svg
        );
    }
}
