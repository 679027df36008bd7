//! What a command knows that its own arguments do not say.

use std::path::{Path, PathBuf};

use crate::compile::Api;
use crate::guest::Guest;
use crate::shell::Shell;

/// What every command is given.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// What the user sees.
    pub shell: Shell,
    /// The checkout of genkan's own repository that `cargo xtask` works on; the
    /// installed command has none.
    pub repository: Option<&'a dyn Repository>,
}

/// What a checkout of genkan's repository adds to the commands.
pub trait Repository: Sync {
    /// Its folder: paths of sources in it are shown, and recorded in modules,
    /// relative to this.
    fn root(&self) -> &Path;
    /// The guest that `argument` means here and nowhere else, and the one that is
    /// meant without an argument.
    fn guest(&self, argument: Option<&str>) -> Option<Guest>;
    /// The names that [`Repository::guest`] takes.
    fn names(&self) -> Vec<String>;
    /// The object that is kept of the source `file` as it is now, for machines
    /// without a compiler.
    fn kept_object(&self, file: &Path) -> Option<PathBuf>;
    /// The source of the guest API.
    fn api(&self) -> Api;
    /// What the host is told about `guest` if the user says nothing.
    fn arguments(&self, guest: &Guest) -> &'static [&'static str];
    /// Builds the host, so far as that is needed, and returns its executable.
    fn host(&self, shell: Shell) -> anyhow::Result<PathBuf>;
}

impl<'a> Context<'a> {
    /// The installed command's.
    pub fn installed(shell: Shell) -> Self {
        Context {
            shell,
            repository: None,
        }
    }

    /// The same, for work that nobody watches.
    pub fn quiet(self) -> Context<'a> {
        Context {
            shell: Shell {
                quiet: true,
                ..self.shell
            },
            ..self
        }
    }

    /// How the user calls this program.
    pub fn program(&self) -> &'static str {
        match self.repository {
            Some(_) => "cargo xtask",
            None => "genkan",
        }
    }

    /// The folder for modules and what is needed on the way, of guests without a
    /// target folder of their own: below `CARGO_TARGET_DIR`, the repository's
    /// `target`, or that of the current folder.
    pub fn target_folder(&self) -> anyhow::Result<PathBuf> {
        let target = match (std::env::var_os("CARGO_TARGET_DIR"), self.repository) {
            (Some(target), _) => target.into(),
            (None, Some(repository)) => repository.root().join("target"),
            (None, None) => PathBuf::from("target"),
        };
        // Relative to where the user stands, as cargo takes it.
        Ok(std::path::absolute(target)?.join("guests"))
    }
}
