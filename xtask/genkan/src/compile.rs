//! The guest's source to a relocatable object, with rustc.
//!
//! The same source gives the same bytes in any folder: rustc runs in the
//! guest's root folder with a relative path, what is left of absolute paths is
//! remapped, crate name and metadata are fixed.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};

use crate::context::Context;
use crate::files;
use crate::guest_source;
use crate::shell::{Color, Shell};
use crate::source::{self, Shape};
use crate::toolchain::{self, Choice, Version};

/// How to compile.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The edition of a `.rs` file, which has no manifest to say so.
    pub edition: String,
    /// With debug information.
    pub debug: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            edition: "2021".into(),
            debug: false,
        }
    }
}

/// What rustc made of a guest.
#[derive(Debug)]
pub struct Compiled {
    /// The relocatable object.
    pub object: PathBuf,
    /// The guest API as an rlib, if the guest uses it.
    pub api: Option<PathBuf>,
    /// Every file that was read: the crate's and the guest API's.
    pub sources: Vec<PathBuf>,
    /// Variables that `env!` or `option_env!` read, and their values.
    pub environment: Vec<(String, Option<String>)>,
    /// It is a program.
    pub main: bool,
    /// The rustc command of the object, paths as rustc got them.
    pub command: String,
}

/// The source of the guest API.
#[derive(Debug)]
pub struct Api {
    /// Paths in it are relative to this folder.
    pub root: PathBuf,
    /// The crate's root file.
    pub source: PathBuf,
}

/// Compiles the crate at `source` into `folder`. Paths in it will be relative
/// to `root`, the folder that `source` lies under.
pub fn compile(
    context: &Context<'_>,
    choice: &Choice,
    version: &Version,
    (root, source): (&Path, &Path),
    folder: &Path,
    settings: &Settings,
) -> anyhow::Result<Compiled> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let Shape { main, uses_guest } = source::shape(source)?;
    let name = source
        .file_stem()
        .with_context(|| format!("{} has no name", source.display()))?;
    let kind = if main { "bin" } else { "cdylib" };
    let crate_name = crate_name(&name.to_string_lossy());

    let mut read = Read::default();
    let shell = context.shell;
    let api = match uses_guest {
        true => {
            let source = match context.repository {
                Some(repository) => repository.api(),
                None => guest_source::unpack(&context.target_folder()?)?,
            };
            let api = Unit {
                root: &source.root,
                source: &source.source,
                // Its first name, which is in the fixtures' symbols.
                crate_name: "guest",
                kind: "lib",
                edition: "2021",
                output: folder.join("libguest.rlib"),
                api: None,
                debug: settings.debug,
            };
            api.compile(shell, choice, version, &mut read)?;
            Some(api.output)
        }
        false => None,
    };
    let unit = Unit {
        root,
        source,
        crate_name: &crate_name,
        kind,
        edition: &settings.edition,
        output: folder.join(format!("{crate_name}.o")),
        api: api.as_deref(),
        debug: settings.debug,
    };
    let command = unit.compile(shell, choice, version, &mut read)?;
    read.files.sort();
    read.files.dedup();
    Ok(Compiled {
        object: unit.output,
        api,
        sources: read.files,
        environment: read.environment,
        main,
        command,
    })
}

/// The object that `--panic=stderr` links, for this compiler; it is compiled once.
pub fn panic_line(context: &Context<'_>, choice: &Choice) -> anyhow::Result<PathBuf> {
    const SOURCE: &str = include_str!("carried/panic_line.rs");
    let version = choice.toolchain.version()?;
    let key = format!("{version:?} {} {SOURCE}", choice.triple);
    let hash = files::sha256(key.as_bytes());
    let folder = context.target_folder()?.join("objects");
    let folder = folder.join(format!("panic_line-{}", &hash[..12]));
    let object = folder.join("panic_line.o");
    if object.is_file() {
        return Ok(object);
    }
    // Where no other process compiles it.
    let made = folder.join(std::process::id().to_string());
    let source = made.join("panic_line.rs");
    files::write(&source, SOURCE.as_bytes())?;
    let mut rustc = toolchain::command(&choice.toolchain.rustc);
    rustc
        .current_dir(&made)
        .args(["--crate-name", "panic_line", "--crate-type", "lib"])
        .args(["--edition", "2021", "--target", &choice.triple])
        .args(["-C", "opt-level=z", "-C", "codegen-units=1"])
        .args(["-C", "panic=abort", "-C", "metadata=genkan"])
        .args(["--cap-lints", "allow"])
        .args(["--emit=obj=panic_line.o", "panic_line.rs"])
        .stdin(Stdio::null());
    let status = rustc.status();
    let status =
        status.with_context(|| format!("cannot run {}", choice.toolchain.rustc.display()))?;
    if !status.success() {
        bail!("rustc cannot compile what --panic=stderr links ({status})");
    }
    std::fs::rename(made.join("panic_line.o"), &object)
        .and_then(|()| std::fs::remove_dir_all(&made))
        .with_context(|| format!("cannot write {}", object.display()))?;
    Ok(object)
}

/// One call of rustc.
struct Unit<'a> {
    root: &'a Path,
    source: &'a Path,
    crate_name: &'a str,
    kind: &'a str,
    edition: &'a str,
    output: PathBuf,
    api: Option<&'a Path>,
    debug: bool,
}

impl Unit<'_> {
    /// Returns the command; adds what rustc read to `read`.
    fn compile(
        &self,
        shell: Shell,
        choice: &Choice,
        version: &Version,
        read: &mut Read,
    ) -> anyhow::Result<String> {
        let dep_info = self.output.with_extension("d");
        let relative = self.source.strip_prefix(self.root).unwrap_or(self.source);
        let emit = if self.kind == "lib" { "link" } else { "obj" };
        let mut rustc = toolchain::command(&choice.toolchain.rustc);
        rustc
            .current_dir(self.root)
            .args(["--crate-name", self.crate_name, "--crate-type", self.kind])
            .args(["--edition", self.edition, "--target", &choice.triple])
            .args(["-O", "-C", "codegen-units=1", "-C", "panic=abort"])
            // Not cargo's: one fixed value, so that symbols are the same
            // whatever the folder. The crate's name tells crates apart.
            .args(["-C", "metadata=genkan"]);
        if self.kind == "lib" {
            // As cargo compiles a dependency: its lints are not its user's.
            rustc.args(["--cap-lints", "allow"]);
        }
        if self.debug {
            rustc.args(["-C", "debuginfo=2"]);
        }
        for remap in remaps(self.root, choice, version) {
            rustc.arg("--remap-path-prefix").arg(remap);
        }
        if let Some(api) = self.api {
            for name in source::GUEST_API {
                rustc
                    .arg("--extern")
                    .arg(format!("{name}={}", api.display()));
            }
        }
        if shell.color != Color::Auto {
            rustc.args(["--color", shell.color.name()]);
        }
        // Where its temporary files go, too: with fixed names, in old versions, so
        // that two guests that are compiled at once would mix up theirs here.
        if let Some(folder) = self.output.parent() {
            rustc.arg("--out-dir").arg(folder);
        }
        rustc
            .arg(format!(
                "--emit={emit}={},dep-info={}",
                self.output.display(),
                dep_info.display()
            ))
            .arg(relative)
            .stdin(Stdio::null());
        let command = toolchain::display(&rustc);
        shell.detail(
            "Running",
            format_args!("(cd {} && {command})", self.root.display()),
        );
        let what = format!("{} for {}", relative.display(), choice.triple);
        let status = shell
            .during("Compiling", what, || rustc.status())
            .with_context(|| format!("cannot run {}", choice.toolchain.rustc.display()))?;
        if !status.success() {
            bail!("rustc cannot compile {} ({status})", self.source.display());
        }
        let text = std::fs::read_to_string(&dep_info)
            .with_context(|| format!("cannot read {}", dep_info.display()))?;
        read.add(&text, self.root);
        Ok(command)
    }
}

/// `--remap-path-prefix` arguments; the last that matches a path counts.
pub fn remaps(root: &Path, choice: &Choice, version: &Version) -> Vec<String> {
    let rust_src = choice.toolchain.sysroot.join("lib/rustlib/src/rust");
    vec![
        format!("{}=.", root.display()),
        // Where rust-src is installed, rustc puts its path into panics in
        // inlined code of std; elsewhere, this name.
        format!("{}=/rustc/{}", rust_src.display(), version.commit_hash),
    ]
}

/// A file's name as rustc takes it for a crate's.
fn crate_name(stem: &str) -> String {
    let valid = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    stem.chars().map(valid).collect()
}

/// What rustc read, by its dep-info.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    files: Vec<PathBuf>,
    environment: Vec<(String, Option<String>)>,
}

impl Read {
    /// Each file has a rule without prerequisites; variables are in comments.
    fn add(&mut self, dep_info: &str, root: &Path) {
        for line in dep_info.lines() {
            if let Some(variable) = line.strip_prefix("# env-dep:") {
                let (name, value) = match variable.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (variable, None),
                };
                self.environment.push((name.to_owned(), value));
            } else if let Some(path) = line.strip_suffix(':')
                && !line.starts_with('#')
            {
                self.files.push(root.join(path.replace("\\ ", " ")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dep_info_names_files_and_variables() {
        let text = "out/a.o: src/a.rs src/b\\ c.rs\n\nout/a.d: src/a.rs src/b\\ c.rs\n\n\
                    src/a.rs:\nsrc/b\\ c.rs:\n\n# env-dep:X=y\n# env-dep:UNSET\n";
        let mut read = Read::default();
        read.add(text, Path::new("/root"));
        let files = ["/root/src/a.rs", "/root/src/b c.rs"].map(PathBuf::from);
        assert_eq!(read.files, files);
        let variables = [("X".into(), Some("y".into())), ("UNSET".into(), None)];
        assert_eq!(read.environment, variables);
    }

    #[test]
    fn any_file_name_gives_a_crate_name() {
        assert_eq!(crate_name("my-guest 2é"), "my_guest_2_");
    }
}
