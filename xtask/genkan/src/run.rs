//! `run`: builds a guest, then the host runs it: in this process, or that of a
//! checkout in a process of its own.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::build_guest::{self, Request};
use crate::context::Context;
use crate::guest::Guest;
use crate::toolchain;

/// Runs the guest of `request` with `arguments` for the host; the exit code is
/// the host's.
pub fn run(
    context: &Context<'_>,
    request: &Request,
    arguments: &[OsString],
) -> anyhow::Result<ExitCode> {
    let job = Job::build(context, request, arguments)?;
    #[cfg(feature = "host")]
    if context.repository.is_none() {
        return Ok(job.run_here(context));
    }
    let mut host = Host::of(context)?.command(context, &job)?;
    context.shell.detail("Running", toolchain::display(&host));
    toolchain::exit_code(&mut host)
}

/// The arguments of the command `run` for what cargo has its runner do: a module, and what
/// follows for the program in it.
pub fn for_cargo(mut arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words = vec![OsString::from("run")];
    words.extend(arguments.next());
    // The first ends this program's options, and the second the host's.
    words.extend(["--".into(), "--".into()]);
    words.extend(arguments);
    words
}

/// What the host is to do.
pub struct Job {
    module: PathBuf,
    arguments: Vec<OsString>,
    /// Where compiled modules are kept: a guest then starts at once the second
    /// time.
    cache: Option<PathBuf>,
    /// The files that the module was made of.
    pub sources: BTreeSet<PathBuf>,
}

impl Job {
    /// Builds the guest of `request`. `arguments` are the user's; without any, the
    /// guest has its own.
    pub fn build(
        context: &Context<'_>,
        request: &Request,
        arguments: &[OsString],
    ) -> anyhow::Result<Self> {
        let guest = &request.guest;
        let (module, sources, own) = match guest {
            Guest::Module(path) => (path.clone(), vec![path.clone()], Vec::new()),
            _ => {
                let built = build_guest::build(context, request)?;
                (built.path, built.sources, built.arguments)
            }
        };
        let arguments = match (arguments, context.repository) {
            ([], Some(repository)) => {
                let known = repository.arguments(guest).iter().map(OsString::from);
                own.into_iter().chain(known).collect()
            }
            ([], None) => own,
            (arguments, _) => arguments.to_vec(),
        };
        // A finished module says nothing of a folder that is meant for outputs.
        let builds = !matches!(guest, Guest::Module(_)) || context.repository.is_some();
        let cache = match builds && std::env::var_os("GENKAN_CACHE").is_none() {
            true => Some(context.target_folder()?.join("cache")),
            false => None,
        };
        Ok(Job {
            module,
            arguments,
            cache,
            sources: sources.into_iter().collect(),
        })
    }

    /// With further options of the host's, before those that it has.
    pub fn with(mut self, options: impl IntoIterator<Item = OsString>) -> Self {
        self.arguments.splice(0..0, options);
        self
    }

    #[cfg(feature = "host")]
    fn run_here(self, context: &Context<'_>) -> ExitCode {
        let mut words = vec![OsString::from(format!("{} run", context.program()))];
        let is_cache = |word: &OsString| word.to_string_lossy().starts_with("--cache");
        let options = self.arguments.iter().take_while(|&word| word != "--");
        if let Some(cache) = self.cache.filter(|_| !options.clone().any(is_cache)) {
            words.extend(["--cache".into(), cache.into()]);
        }
        words.push(self.module.into());
        words.extend(self.arguments);
        genkan_host::cli::main(words)
    }
}

/// A program that runs modules.
pub enum Host {
    /// The host, a program of its own.
    Other(PathBuf),
    /// This one, with its command `run`.
    This(PathBuf),
}

impl Host {
    /// The repository's host, which is built if need be; without a repository, this
    /// program.
    pub fn of(context: &Context<'_>) -> anyhow::Result<Self> {
        match context.repository {
            Some(repository) => Ok(Host::Other(repository.host(context.shell)?)),
            None if cfg!(feature = "host") => Ok(Host::This(std::env::current_exe()?)),
            None => anyhow::bail!(
                "this genkan was installed without its host, the feature `host`: it builds \
                 guests, but cannot run them"
            ),
        }
    }

    /// The command that does `job`.
    pub fn command(&self, context: &Context<'_>, job: &Job) -> anyhow::Result<Command> {
        let mut command = match self {
            Host::Other(program) => Command::new(program),
            Host::This(program) => {
                let mut command = Command::new(program);
                command.args(["--color", context.shell.color.name(), "run"]);
                command
            }
        };
        command.arg(&job.module);
        if let Host::This(_) = self {
            command.arg("--");
        }
        command.args(&job.arguments);
        if let Some(cache) = &job.cache {
            command.env("GENKAN_CACHE", cache);
        }
        Ok(command)
    }
}
