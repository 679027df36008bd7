//! What a guest is given.

use super::captured::Captured;
use crate::files::{Dir, DirAccess};
use crate::imports::{Functions, Given, Wasi};
use crate::profile::Profile;
use crate::types::{Error, Limits};
use std::any::Any;
use std::fmt;
use std::io::{Read, Write};
use std::path::Path;

/// What a guest is given when it is instantiated.
#[non_exhaustive]
pub struct Setup {
    /// What it may use.
    pub limits: Limits,
    /// Functions of yours that it may import.
    pub functions: Functions,
    /// Where it is noted where the guest's time goes.
    pub profile: Option<Profile>,
    /// What functions of yours keep of this guest, their [`state`](crate::Cx::state);
    /// `()` if nothing else is said.
    pub state: Box<dyn Any + Send>,
    /// Its program arguments, for WASI; the first is the program's name.
    pub args: Vec<String>,
    /// Its environment variables, for WASI.
    pub env: Vec<(String, String)>,
    /// Where its standard input comes from; it is empty if nothing else is said.
    pub stdin: Box<dyn Read + Send>,
    /// Where its standard output goes; to the process's if nothing else is said.
    pub stdout: Box<dyn Write + Send>,
    /// Where its standard error goes; to the process's if nothing else is said.
    pub stderr: Box<dyn Write + Send>,
    /// Directories that it may use, for WASI; none if nothing else is said.
    pub dirs: Vec<Dir>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            functions: Functions::default(),
            profile: None,
            state: Box::new(()),
            args: vec!["guest".into()],
            env: Vec::new(),
            stdin: Box::new(std::io::empty()),
            stdout: Box::new(std::io::stdout()),
            stderr: Box::new(std::io::stderr()),
            dirs: Vec::new(),
        }
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("limits", &self.limits)
            .field("functions", &self.functions)
            .field("args", &self.args)
            .field("env", &self.env)
            .field("dirs", &self.dirs)
            .finish_non_exhaustive()
    }
}

/// What each instance of a guest is made with.
pub(super) struct Reused {
    pub(super) limits: Limits,
    pub(super) functions: Functions,
    pub(super) profile: Option<Profile>,
}

impl Setup {
    /// What each instance of the guest is made with, and what they pass on.
    pub(super) fn split(self) -> (Reused, Given) {
        let wasi = Wasi {
            args: self.args,
            env: self.env,
            stdin: self.stdin,
            stdout: self.stdout,
            stderr: self.stderr,
            dirs: self.dirs,
        };
        let reused = Reused {
            limits: self.limits,
            functions: self.functions,
            profile: self.profile,
        };
        let user = self.state;
        (reused, Given { wasi, user })
    }

    /// No limit, no function, no argument but a name, no variable, no directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Setup::limits`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets [`Setup::functions`].
    #[must_use]
    pub fn functions(mut self, functions: Functions) -> Self {
        self.functions = functions;
        self
    }

    /// Sets [`Setup::profile`].
    #[must_use]
    pub fn profile(mut self, profile: &Profile) -> Self {
        self.profile = Some(profile.clone());
        self
    }

    /// Sets [`Setup::state`].
    #[must_use]
    pub fn state(mut self, state: impl Any + Send) -> Self {
        self.state = Box::new(state);
        self
    }

    /// Sets [`Setup::args`].
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a variable to [`Setup::env`].
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets [`Setup::stdin`]: to bytes (`&b"text"[..]`, `Cursor::new(vec)`), a file, or the
    /// process's own (`std::io::stdin()`). One that blocks does so whatever the guest's
    /// deadline.
    #[must_use]
    pub fn stdin(mut self, stream: impl Read + Send + 'static) -> Self {
        self.stdin = Box::new(stream);
        self
    }

    /// Sets [`Setup::stdout`].
    #[must_use]
    pub fn stdout(mut self, stream: impl Write + Send + 'static) -> Self {
        self.stdout = Box::new(stream);
        self
    }

    /// Sets [`Setup::stderr`].
    #[must_use]
    pub fn stderr(mut self, stream: impl Write + Send + 'static) -> Self {
        self.stderr = Box::new(stream);
        self
    }

    /// Opens the directory `host`, and adds it to [`Setup::dirs`]: the guest may use what is
    /// in it, by paths that begin with `guest`.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), genkan_host::Error> {
    /// use genkan_host::{DirAccess, Setup};
    ///
    /// let setup = Setup::new()
    ///     .dir("/srv/texts", "/texts", DirAccess::Read)?
    ///     .dir("/tmp/work", ".", DirAccess::ReadWrite)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`Dir::open`]. For many guests it is cheaper to open it once, with that.
    pub fn dir(
        mut self,
        host: impl AsRef<Path>,
        guest: impl Into<String>,
        access: DirAccess,
    ) -> Result<Self, Error> {
        self.dirs.push(Dir::open(host, guest, access)?);
        Ok(self)
    }

    /// Keeps standard output and standard error for the host to look at.
    #[must_use]
    pub fn capture(self, captured: &Captured) -> Self {
        let [stdout, stderr] = captured.streams();
        self.stdout(stdout).stderr(stderr)
    }
}
