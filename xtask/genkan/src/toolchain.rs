//! Which rustc compiles a guest, and for which Wasm target: looks at what is
//! installed, says why it chose, adds a target but never a toolchain.

use std::cmp::Reverse;
use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, bail, ensure};

use crate::shell::Shell;

/// Wasm targets, best first. Rust 1.84 dropped the name `wasm32-wasi` for
/// `wasm32-wasip1`; the last has a std that can neither print nor read.
const TRIPLES: [&str; 3] = ["wasm32-wasip1", "wasm32-wasi", "wasm32-unknown-unknown"];

/// What the user says about the compiler.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `--rustc`: a path, or the name of a toolchain.
    pub rustc: Option<PathBuf>,
    /// `--target TRIPLE`.
    pub target: Option<String>,
}

/// A rustc on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// The compiler itself, no rustup proxy unless the user named one.
    pub rustc: PathBuf,
    /// The folder that holds its libraries.
    pub sysroot: PathBuf,
    /// Where it was found, in words.
    pub origin: String,
    /// The Wasm targets whose std is installed, best first.
    pub targets: Vec<String>,
}

/// The compiler and target that a guest is compiled with.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The compiler.
    pub toolchain: Toolchain,
    /// The target triple.
    pub triple: String,
    /// Why this one, in words.
    pub why: String,
}

/// There is no compiler with a Wasm std, and none could be added.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotFound(String);

/// What `rustc -vV` says.
#[derive(Debug, Clone)]
pub struct Version {
    /// All of it.
    pub text: String,
    /// `1.95.0`.
    pub release: String,
    /// The compiler's commit, for the paths in std's panics.
    pub commit_hash: String,
}

impl Toolchain {
    fn at(rustc: PathBuf, sysroot: PathBuf, origin: impl Into<String>) -> Self {
        let targets = installed_targets(&sysroot);
        Toolchain {
            rustc,
            sysroot,
            origin: origin.into(),
            targets,
        }
    }

    /// Asks a rustc of unknown nature (a proxy, a wrapper) where it lives.
    fn ask(rustc: &Path, origin: &str) -> anyhow::Result<Self> {
        let sysroot = output(command(rustc).args(["--print", "sysroot"]))?;
        let sysroot = PathBuf::from(sysroot.trim_end());
        Ok(Self::at(rustc.to_owned(), sysroot, origin))
    }

    fn in_rustup(folder: &Path, origin: impl Into<String>) -> Option<Self> {
        let rustc = folder.join("bin").join(exe("rustc"));
        (rustc.is_file()).then(|| Self::at(rustc, folder.to_owned(), origin))
    }

    /// Runs `rustc -vV`.
    pub fn version(&self) -> anyhow::Result<Version> {
        let text = output(command(&self.rustc).arg("-vV"))?;
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or("unknown")
                .trim()
                .to_owned()
        };
        Ok(Version {
            release: field("release:"),
            commit_hash: field("commit-hash:"),
            text,
        })
    }

    /// The libraries of a target.
    pub fn libraries(&self, triple: &str) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(triple).join("lib")
    }

    /// The targets that this compiler knows, installed or not.
    fn known_targets(&self) -> anyhow::Result<Vec<String>> {
        let list = output(command(&self.rustc).args(["--print", "target-list"]))?;
        Ok(list.lines().map(str::to_owned).collect())
    }

    /// The name by which rustup knows it.
    fn rustup_name(&self) -> Option<&str> {
        let within = self.sysroot.parent()? == rustup_toolchains();
        self.sysroot.file_name()?.to_str().filter(|_| within)
    }
}

/// A command that runs as in the user's own shell: without what `cargo run`
/// set for xtask, which another rustc, or a guest's `env!`, must not see.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        if ["CARGO", "CARGO_BIN_NAME", "CARGO_CRATE_NAME", "OUT_DIR"].contains(&text)
            || ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_PRIMARY_"]
                .iter()
                .any(|prefix| text.starts_with(prefix))
            || text == "RUSTUP_TOOLCHAIN"
        {
            command.env_remove(name);
        }
    }
    for variable in ["LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"] {
        if let Some(paths) = env::var_os(variable) {
            match without_cargos_paths(&paths) {
                Some(paths) => command.env(variable, paths),
                None => command.env_remove(variable),
            };
        }
    }
    command
}

/// Drops what cargo and rustup put in front of a library path: the target
/// folder's `deps`, and the libraries of the toolchain that runs cargo.
fn without_cargos_paths(paths: &OsString) -> Option<OsString> {
    let ours = env::current_exe().ok();
    let ours = ours.as_deref().and_then(Path::parent);
    let rustup = rustup_home();
    let kept: Vec<PathBuf> = env::split_paths(paths)
        .filter(|path| {
            !(ours.is_some_and(|ours| path.starts_with(ours) || ours.starts_with(path))
                || path.starts_with(&rustup)
                || path.iter().any(|part| part == "rustlib"))
        })
        .collect();
    (!kept.is_empty()).then(|| env::join_paths(kept).ok())?
}

/// Runs `command` and returns its stdout; the error has its stderr.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let program = command.get_program().to_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(
        output.status.success(),
        "{} failed ({}):\n{}",
        display(command),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `command` in the place of this program: on its terminal, and its exit code
/// is this one's.
pub fn exit_code(command: &mut Command) -> anyhow::Result<ExitCode> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    // A signal has no code; 1 is what people expect of a failure.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// A command as one would type it.
pub fn display(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| quote(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    // shlex quotes `a=b` as well, which every shell takes as it is.
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    match shlex::try_quote(word) {
        Ok(quoted) => quoted.into_owned(),
        // A NUL, which no command line can have.
        Err(_) => format!("{word:?}"),
    }
}

/// A toolchain of rustup's, as its users name it: `1.63.0`, `stable`, with or
/// without the machine's triple, or a path.
fn rustup_toolchain(name: &str, origin: &str) -> Option<Toolchain> {
    // `join` takes an absolute path as it is.
    let exact = Toolchain::in_rustup(&rustup_toolchains().join(name), origin);
    exact.or_else(|| {
        let entries = rustup_toolchains().read_dir().ok()?.flatten();
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        folders.sort();
        let is_it = |folder: &&PathBuf| {
            let found = folder.file_name().unwrap_or_default().to_string_lossy();
            let rest = found.strip_prefix(name).and_then(|it| it.strip_prefix('-'));
            // `nightly-2026-01-01-…` is another than `nightly-…`.
            rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
        };
        Toolchain::in_rustup(folders.iter().find(is_it)?, origin)
    })
}

/// The rustc that `cargo` and `rustc` mean where the user stands.
fn active() -> Option<Toolchain> {
    // The user chose it, or rustup's cargo, and says so.
    if let Ok(name) = env::var("RUSTUP_TOOLCHAIN") {
        let origin = format!("active toolchain, {name}");
        if let Some(found) = rustup_toolchain(&name, &origin) {
            return Some(found);
        }
    }
    let asked = Toolchain::ask(&on_path("rustc")?, "rustc on PATH").ok()?;
    // Behind a rustup proxy, call the compiler itself from now on.
    Some(Toolchain::in_rustup(&asked.sysroot, asked.origin.clone()).unwrap_or(asked))
}

/// The toolchain that `RUSTUP_TOOLCHAIN` names, if rustup has toolchains, but not
/// that one: another would not be what the user asked for.
fn missing_active() -> Option<String> {
    let name = env::var("RUSTUP_TOOLCHAIN").ok()?;
    let is_there = rustup_toolchain(&name, "").is_some();
    (rustup_toolchains().is_dir() && !is_there).then_some(name)
}

/// Every rustc that can be found, in the order of preference, without running
/// any but the one on PATH.
pub fn all() -> Vec<Toolchain> {
    let mut found: Vec<Toolchain> = active().into_iter().collect();
    let mut folders: Vec<PathBuf> = rustup_toolchains()
        .read_dir()
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    folders.sort_by_key(|folder| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let version = version_numbers(&name);
        (
            Reverse(name.starts_with("stable")),
            Reverse(version),
            name.into_owned(),
        )
    });
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().display().to_string();
        found.extend(Toolchain::in_rustup(
            &folder,
            format!("rustup toolchain {name}"),
        ));
    }
    let on_path = on_path("rustc").filter(|path| !is_rustup_proxy(path));
    found.extend(on_path.and_then(|path| Toolchain::ask(&path, "rustc on PATH").ok()));
    let mut seen: Vec<PathBuf> = Vec::new();
    found.retain(|toolchain| {
        let place = toolchain.sysroot.canonicalize();
        let place = place.unwrap_or_else(|_| toolchain.sysroot.clone());
        let new = !seen.contains(&place);
        seen.push(place);
        new
    });
    found
}

/// `1.63.0-x86_64-…` → `[1, 63, 0]`; empty for `nightly-…`.
fn version_numbers(name: &str) -> Vec<u32> {
    let version = name.split('-').next().unwrap_or_default();
    version.split('.').map_while(|n| n.parse().ok()).collect()
}

/// Chooses by `request`; adds the target to the active toolchain if no rustc
/// has one.
pub fn choose(shell: Shell, request: &Request) -> anyhow::Result<Choice> {
    let candidates = match &request.rustc {
        Some(rustc) => vec![named_rustc(rustc)?],
        None => all(),
    };
    if let Some(name) = missing_active() {
        bail!(
            "RUSTUP_TOOLCHAIN={name}: there is no such toolchain. To get it:\n{}",
            install(&name)
        );
    }
    if let Some(choice) = first_with_target(&candidates, request) {
        if choice.toolchain != candidates[0] {
            shell.status("Using", &choice.why);
        }
        return Ok(choice);
    }
    match candidates.first() {
        Some(first) => add_target(shell, first, request, &candidates),
        None => Err(NotFound(nothing_found(&candidates, request, None)).into()),
    }
}

/// The compiler of `--rustc`: a path, a toolchain of rustup's, or a name on PATH.
fn named_rustc(rustc: &Path) -> anyhow::Result<Toolchain> {
    let path = if rustc.components().count() == 1 && !rustc.is_file() {
        let name = rustc.to_string_lossy();
        if let Some(found) = rustup_toolchain(&name, &format!("toolchain {name}, by --rustc")) {
            return Ok(found);
        }
        on_path(&name).with_context(|| {
            format!(
                "--rustc {name}: neither a file, nor a toolchain of rustup's, nor a program on \
                 PATH. A toolchain is installed by\n{}",
                install(&name)
            )
        })?
    } else {
        std::path::absolute(rustc)?
    };
    Toolchain::ask(&path, "named by --rustc")
}

/// A compiler of exactly this version that has a Wasm target, whatever its
/// toolchain is named. Adds nothing.
pub fn of_version(version: &str) -> Option<Choice> {
    let has = |toolchain: &Toolchain| {
        let named = toolchain.rustup_name().unwrap_or_default();
        // Only a name that is another version's saves asking.
        let other = !version_numbers(named).is_empty() && !named.starts_with(version);
        let triple = toolchain.targets.first().filter(|_| !other)?.clone();
        (toolchain.version().ok()?.release == version).then(|| Choice {
            why: toolchain.origin.clone(),
            toolchain: toolchain.clone(),
            triple,
        })
    };
    all().iter().find_map(has)
}

/// The command that installs a toolchain with the Wasm target it needs.
pub fn install(toolchain: &str) -> String {
    let version = version_numbers(toolchain);
    let old = !version.is_empty() && version < vec![1, 78];
    let triple = if old { TRIPLES[1] } else { TRIPLES[0] };
    format!("    rustup toolchain install {toolchain} --profile minimal --target {triple}")
}

fn first_with_target(candidates: &[Toolchain], request: &Request) -> Option<Choice> {
    let has = |toolchain: &Toolchain| match &request.target {
        Some(target) => toolchain.libraries(target).is_dir().then(|| target.clone()),
        None => toolchain.targets.first().cloned(),
    };
    let (place, triple) = candidates
        .iter()
        .enumerate()
        .find_map(|(place, toolchain)| Some((place, has(toolchain)?)))?;
    let toolchain = candidates[place].clone();
    let what = request.target.as_deref().unwrap_or("a Wasm target");
    let why = match place {
        0 => format!("{}; it has {what}", toolchain.origin),
        _ => format!(
            "{}, because the {} lacks {what}",
            toolchain.origin, candidates[0].origin
        ),
    };
    Some(Choice {
        toolchain,
        triple,
        why,
    })
}

fn add_target(
    shell: Shell,
    toolchain: &Toolchain,
    request: &Request,
    candidates: &[Toolchain],
) -> anyhow::Result<Choice> {
    let known = toolchain.known_targets()?;
    let triple = match &request.target {
        Some(target) if known.contains(target) => target.as_str(),
        Some(target) => bail!(
            "{} knows no target {target}; its Wasm targets: {}",
            toolchain.rustc.display(),
            wasm_names(&known)
        ),
        None => TRIPLES
            .into_iter()
            .find(|triple| known.iter().any(|known| known == triple))
            .with_context(|| format!("{} has no Wasm target", toolchain.rustc.display()))?,
    };
    let nothing = |tried| NotFound(nothing_found(candidates, request, tried));
    let Some(name) = toolchain.rustup_name() else {
        return Err(nothing(None).into());
    };
    let mut rustup = command(&on_path("rustup").ok_or_else(|| nothing(None))?);
    rustup.args(["target", "add", "--toolchain", name, triple]);
    shell.status(
        "Adding",
        format_args!("{triple} to {name} (rustup target add)"),
    );
    // rustup's own progress goes to the terminal.
    if shell.quiet {
        rustup.stderr(Stdio::null());
    }
    if !rustup
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?
        .success()
    {
        return Err(nothing(Some(display(&rustup))).into());
    }
    let found = Toolchain::at(
        toolchain.rustc.clone(),
        toolchain.sysroot.clone(),
        toolchain.origin.clone(),
    );
    Ok(Choice {
        why: format!("{}; {triple} was added to it", found.origin),
        toolchain: found,
        triple: triple.to_owned(),
    })
}

fn wasm_names(targets: &[String]) -> String {
    let names: Vec<_> = targets
        .iter()
        .filter(|name| name.starts_with("wasm"))
        .collect();
    names
        .iter()
        .map(|name| name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

fn nothing_found(candidates: &[Toolchain], request: &Request, tried: Option<String>) -> String {
    let wanted = match &request.target {
        Some(target) => target.clone(),
        None => TRIPLES.join(" or "),
    };
    let mut text = format!("no rustc here has the std of {wanted}. Looked at:\n");
    for toolchain in candidates {
        let _ = writeln!(
            text,
            "    {} ({})",
            toolchain.rustc.display(),
            toolchain.origin
        );
    }
    if candidates.is_empty() {
        let _ = writeln!(
            text,
            "    RUSTUP_TOOLCHAIN, {}, PATH: no rustc",
            rustup_toolchains().display()
        );
    }
    if let Some(tried) = tried {
        let _ = writeln!(text, "and `{tried}` failed (offline?).");
    }
    text.push_str("What to type, with a network:\n");
    let triple = request.target.as_deref().unwrap_or(TRIPLES[0]);
    text.push_str(&match candidates.first().and_then(Toolchain::rustup_name) {
        Some(name) => format!("    rustup target add --toolchain {name} {triple}"),
        None => format!(
            "    rustup toolchain install stable --profile minimal --target {triple}\n\
             (rustup itself: https://rustup.rs), or name a compiler with --rustc PATH"
        ),
    });
    text
}

/// The report of the command `toolchain`, to read or to paste into a bug report;
/// the flag says whether a guest can be compiled.
pub fn report(request: &Request) -> anyhow::Result<(String, bool)> {
    let mut text = format!(
        "genkan {} on {} {}\n",
        env!("CARGO_PKG_VERSION"),
        env::consts::OS,
        env::consts::ARCH
    );
    let first_line = |program: &str| {
        let text = output(command(&on_path(program)?).arg("--version")).ok()?;
        text.lines().next().map(str::to_owned)
    };
    for tool in ["rustup", "cargo", "node"] {
        let version = first_line(tool).unwrap_or_else(|| "not found".into());
        let _ = writeln!(text, "{tool}: {version}");
    }
    let candidates = match &request.rustc {
        Some(rustc) => vec![named_rustc(rustc)?],
        None => all(),
    };
    let choice = first_with_target(&candidates, request);
    text.push_str("\nrustc, in the order of preference:\n");
    for toolchain in &candidates {
        let used = choice
            .as_ref()
            .is_some_and(|choice| choice.toolchain == *toolchain);
        let version = match toolchain.version() {
            Ok(version) => version.text.lines().next().unwrap_or_default().to_owned(),
            Err(error) => error
                .to_string()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
        };
        let targets = match toolchain.targets.as_slice() {
            [] => "no Wasm target".to_owned(),
            targets => targets.join(", "),
        };
        let _ = write!(
            text,
            "{} {version}\n    {}\n    {}: {targets}\n",
            if used { '*' } else { '-' },
            toolchain.rustc.display(),
            toolchain.origin,
        );
    }
    text.push('\n');
    match &choice {
        Some(choice) => {
            let _ = writeln!(
                text,
                "used (*): {}\ntarget:   {}",
                choice.why, choice.triple
            );
        }
        None => {
            text.push_str(&nothing_found(&candidates, request, None));
            text.push('\n');
        }
    }
    text.push('\n');
    text.push_str(&crate::cargo::configuration());
    Ok((text, choice.is_some()))
}

fn installed_targets(sysroot: &Path) -> Vec<String> {
    let has_core = |triple: &&str| {
        let folder = sysroot.join("lib/rustlib").join(triple).join("lib");
        folder.read_dir().is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with("libcore-") && name.ends_with(".rlib")
            })
        })
    };
    TRIPLES
        .into_iter()
        .filter(has_core)
        .map(str::to_owned)
        .collect()
}

fn rustup_home() -> PathBuf {
    match env::var_os("RUSTUP_HOME") {
        Some(home) => home.into(),
        None => env::home_dir().unwrap_or_default().join(".rustup"),
    }
}

fn rustup_toolchains() -> PathBuf {
    rustup_home().join("toolchains")
}

fn exe(name: &str) -> String {
    format!("{name}{}", env::consts::EXE_SUFFIX)
}

/// The file that `name` means on PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let name = exe(name);
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(&name))
        .find(|file| file.is_file())
}

/// rustup's proxies all are rustup, or lie beside it.
fn is_rustup_proxy(path: &Path) -> bool {
    path.with_file_name(exe("rustup")).is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toolchain(origin: &str, targets: &[&str]) -> Toolchain {
        Toolchain {
            rustc: "/r/bin/rustc".into(),
            sysroot: "/r".into(),
            origin: origin.into(),
            targets: targets.iter().map(|&target| target.into()).collect(),
        }
    }

    #[test]
    fn the_active_compiler_wins_if_it_has_a_target() {
        let all = [
            toolchain("active toolchain, stable", &["wasm32-wasip1"]),
            toolchain("rustup toolchain 1.63.0", &["wasm32-wasi"]),
        ];
        let choice = first_with_target(&all, &Request::default()).unwrap();
        assert_eq!(choice.triple, "wasm32-wasip1");
        assert_eq!(choice.why, "active toolchain, stable; it has a Wasm target");
    }

    #[test]
    fn another_is_taken_and_the_reason_given() {
        let all = [
            toolchain("active toolchain, beta", &[]),
            toolchain("rustup toolchain 1.63.0", &["wasm32-wasi"]),
        ];
        let choice = first_with_target(&all, &Request::default()).unwrap();
        assert_eq!(choice.triple, "wasm32-wasi");
        assert!(
            choice
                .why
                .contains("because the active toolchain, beta lacks a Wasm target")
        );
        assert!(first_with_target(&all[..1], &Request::default()).is_none());
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(version_numbers("1.100.0-x86_64") > version_numbers("1.99.1-x86_64"));
        assert!(version_numbers("nightly-x86_64").is_empty());
        assert!(install("1.63.0").contains("--target wasm32-wasi"));
        assert!(!install("1.63.0").contains("wasip1"));
        assert!(install("1.95.0").ends_with("wasm32-wasip1"));
    }

    #[test]
    fn cargos_library_paths_are_dropped_and_the_users_kept() {
        let paths = env::join_paths([
            rustup_home().join("toolchains/x/lib"),
            "/usr/lib/rustlib/x/lib".into(),
            PathBuf::from("/opt/mine/lib"),
        ])
        .unwrap();
        assert_eq!(without_cargos_paths(&paths), Some("/opt/mine/lib".into()));
        let paths = env::join_paths(["/usr/lib/rustlib/x"]).unwrap();
        assert_eq!(without_cargos_paths(&paths), None);
    }

    #[test]
    fn commands_can_be_pasted() {
        let mut command = Command::new("rustc");
        command.args(["-O", "a b.rs", "it's"]);
        assert_eq!(display(&command), r#"rustc -O 'a b.rs' "it's""#);
    }
}
