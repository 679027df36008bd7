//! Guests that are packages: cargo builds them with their dependencies, and
//! calls this program as their linker.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

use crate::build_guest::{
    Built, LinkSettings, Memory, PanicMode, Request, panic_mode, target_folder, validate,
};
use crate::compile;
use crate::files;
use crate::shell::Shell;
use crate::source;
use crate::toolchain::{self, Choice};

/// The part of `cargo metadata` that matters here.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
    workspace_members: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: PathBuf,
    /// `None` for a package on this machine.
    source: Option<String>,
    targets: Vec<Target>,
    default_run: Option<String>,
}

#[derive(Debug, Deserialize, Clone)]
struct Target {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
}

/// The part of cargo's build messages that matters here.
#[derive(Debug, Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Builds the package at `manifest` into `output`.
pub fn build(
    shell: Shell,
    request: &Request,
    manifest: &Path,
    choice: &Choice,
    output: &Path,
) -> anyhow::Result<Built> {
    ensure!(
        request.link.exports.is_empty(),
        "--export is for .rs and .o guests; a package exports its #[no_mangle] functions"
    );
    let cargo = cargo(choice)?;
    let metadata = metadata(&cargo, manifest, choice)?;
    let package = metadata.package(manifest)?;
    let target = package.target(request.bin.as_deref())?;
    let is_main = target.kind.iter().any(|kind| kind == "bin");

    let mut command = cargo_command(&cargo, choice);
    command
        .args(["rustc", "--release", "--target", &choice.triple])
        .arg("--manifest-path")
        .arg(&package.manifest_path)
        .arg("--target-dir")
        .arg(cargo_target_folder(&package.manifest_path))
        .args(["--message-format", "json-render-diagnostics"])
        .args(["--color", shell.color.name()]);
    match is_main {
        true => command.args(["--bin", &target.name]),
        false => command.args(["--lib", "--crate-type", "cdylib"]),
    };
    if shell.quiet {
        command.arg("--quiet");
    }
    if request.link.debug {
        command.args(["--config", "profile.release.debug=true"]);
    }
    let flags = rustflags(&metadata, &package.manifest_path, choice)?;
    command
        .arg("--config")
        .arg(format!(
            "target.{}.rustflags={}",
            choice.triple,
            toml_array(&flags)
        ))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env(linker_variable(&choice.triple), linker()?)
        .arg("--");
    let folder = target.src_path.parent().unwrap_or(Path::new(""));
    let sources = source::rust_files(folder);
    for argument in link_arguments(request, is_main, &sources)? {
        command.arg("-C").arg(format!("link-arg={argument}"));
    }
    shell.detail("Running", toolchain::display(&command));
    let module = run(command, &package.manifest_path, &target.name)?;

    let bytes = files::read(&module)?;
    validate(&bytes).with_context(|| {
        format!(
            "a bug of genkan's linker: {} is not valid",
            module.display()
        )
    })?;
    let fresh = files::read(output).is_ok_and(|old| *old == *bytes);
    if !fresh {
        files::write(output, &bytes)?;
    }
    let mut watched = metadata.local_sources();
    watched.extend(sources);
    Ok(Built {
        path: output.to_owned(),
        sources: watched,
        fresh,
    })
}

/// The toolchain's own cargo, which suits its rustc; else the one on PATH.
fn cargo(choice: &Choice) -> anyhow::Result<PathBuf> {
    let name = format!("cargo{}", std::env::consts::EXE_SUFFIX);
    let own = choice.toolchain.sysroot.join("bin").join(name);
    if own.is_file() {
        return Ok(own);
    }
    toolchain::on_path("cargo").context("no cargo on PATH; a package guest needs one")
}

fn cargo_command(cargo: &Path, choice: &Choice) -> Command {
    let mut command = toolchain::command(cargo);
    // Else cargo would ask PATH, and get rustup's active one.
    command.env("RUSTC", &choice.toolchain.rustc);
    command
}

fn metadata(cargo: &Path, manifest: &Path, choice: &Choice) -> anyhow::Result<Metadata> {
    let mut command = cargo_command(cargo, choice);
    command
        .args([
            "metadata",
            "--format-version",
            "1",
            "--filter-platform",
            &choice.triple,
        ])
        .arg("--manifest-path")
        .arg(manifest)
        .stderr(Stdio::inherit());
    let text = toolchain::output(&mut command)?;
    serde_json::from_str(&text).context("cannot understand `cargo metadata`")
}

impl Metadata {
    /// The package of the manifest; of a workspace without one, its only member.
    fn package(&self, manifest: &Path) -> anyhow::Result<&Package> {
        let same = |package: &&Package| {
            package.manifest_path.canonicalize().ok() == manifest.canonicalize().ok()
        };
        if let Some(package) = self.packages.iter().find(same) {
            return Ok(package);
        }
        let is_member = |package: &&Package| self.workspace_members.contains(&package.id);
        let members: Vec<_> = self.packages.iter().filter(is_member).collect();
        match members.as_slice() {
            [one] => Ok(one),
            several => bail!(
                "{} is a workspace of several packages; name one of them:\n    {}",
                manifest.display(),
                several
                    .iter()
                    .map(|package| package.manifest_path.display().to_string())
                    .collect::<Vec<_>>()
                    .join("\n    ")
            ),
        }
    }

    /// Sources of the packages on this machine, and their manifests.
    fn local_sources(&self) -> Vec<PathBuf> {
        let local = self
            .packages
            .iter()
            .filter(|package| package.source.is_none());
        local
            .flat_map(|package| {
                let folder = package.manifest_path.parent().unwrap_or(Path::new(""));
                let mut files = source::rust_files(&folder.join("src"));
                files.push(package.manifest_path.clone());
                files
            })
            .collect()
    }
}

impl Package {
    /// The library, or the program if there is one.
    fn target(&self, bin: Option<&str>) -> anyhow::Result<&Target> {
        let kind = |kind: &str| {
            let is = move |target: &&Target| target.kind.iter().any(|have| have == kind);
            self.targets.iter().filter(is).collect::<Vec<_>>()
        };
        let bins = kind("bin");
        let names = || {
            bins.iter()
                .map(|bin| bin.name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        if let Some(name) = bin {
            let found = bins.iter().find(|bin| bin.name == name);
            return found.copied().with_context(|| {
                format!(
                    "package {} has no program {name}; it has: {}",
                    self.name,
                    names()
                )
            });
        }
        if let Some(&cdylib) = kind("cdylib").first() {
            return Ok(cdylib);
        }
        match (bins.as_slice(), &self.default_run) {
            ([], _) => kind("lib").first().copied().with_context(|| {
                format!("package {} has neither a library nor a program", self.name)
            }),
            ([one], _) => Ok(one),
            (_, Some(name)) => self.target(Some(name)),
            _ => bail!(
                "package {} has several programs; choose with --bin: {}",
                self.name,
                names()
            ),
        }
    }
}

/// What makes the module the same wherever cargo and its packages lie, after
/// the user's own flags.
fn rustflags(metadata: &Metadata, manifest: &Path, choice: &Choice) -> anyhow::Result<Vec<String>> {
    let user = std::env::var("RUSTFLAGS").unwrap_or_default();
    let mut flags: Vec<String> = user.split_whitespace().map(str::to_owned).collect();
    let mut remap = |from: &Path, to: &str| {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    };
    // The last that matches a path counts: the general ones come first.
    remap(&cargo_home(), "/cargo");
    remap(&cargo_target_folder(manifest), "/target");
    for package in &metadata.packages {
        let folder = package.manifest_path.parent().unwrap_or(Path::new(""));
        match (&package.source, folder.file_name()) {
            // The folder above is named by a hash of the registry's address.
            (Some(source), Some(name)) if !source.starts_with("git+") => {
                remap(
                    folder,
                    &format!("/cargo/registry/{}", name.to_string_lossy()),
                );
            }
            (None, Some(name)) => remap(folder, &format!("/package/{}", name.to_string_lossy())),
            _ => {}
        }
    }
    let version = choice.toolchain.version()?;
    for remap in compile::remaps(&metadata.workspace_root, choice, &version) {
        flags.push(format!("--remap-path-prefix={remap}"));
    }
    Ok(flags)
}

/// The folder of cargo's registry.
pub fn cargo_home() -> PathBuf {
    match std::env::var_os("CARGO_HOME") {
        Some(home) => home.into(),
        None => std::env::home_dir().unwrap_or_default().join(".cargo"),
    }
}

/// Each package has its own: of two that have the same name, cargo would take
/// the module of one for that of the other.
fn cargo_target_folder(manifest: &Path) -> PathBuf {
    let hash = files::sha256(manifest.as_os_str().as_encoded_bytes());
    target_folder().join("cargo").join(&hash[..12])
}

fn toml_array(words: &[String]) -> String {
    // A JSON string is a TOML basic string.
    serde_json::to_string(words).expect("strings can be written")
}

fn linker_variable(triple: &str) -> String {
    let triple = triple.to_uppercase().replace(['-', '.'], "_");
    format!("CARGO_TARGET_{triple}_LINKER")
}

/// A file named `wasm-ld` that is this program: rustc knows by the name which
/// command line its linker understands. Another build of this program gets
/// another folder, so that cargo links again.
fn linker() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("cannot find this program's own file")?;
    let metadata = this.metadata()?;
    let identity = format!(
        "{} {} {:?}",
        this.display(),
        metadata.len(),
        metadata.modified()?
    );
    let hash = files::sha256(identity.as_bytes());
    let folder = target_folder().join("linker").join(&hash[..12]);
    let linker = folder.join(format!("wasm-ld{}", std::env::consts::EXE_SUFFIX));
    if !linker.exists() {
        std::fs::create_dir_all(&folder)?;
        let place = tempfile::tempdir_in(&folder)?;
        let temporary = place.path().join("wasm-ld");
        #[cfg(unix)]
        std::os::unix::fs::symlink(&this, &temporary)?;
        #[cfg(not(unix))]
        std::fs::copy(&this, &temporary)?;
        std::fs::rename(&temporary, &linker)
            .with_context(|| format!("cannot make {}", linker.display()))?;
    }
    Ok(linker)
}

fn link_arguments(
    request: &Request,
    is_main: bool,
    sources: &[PathBuf],
) -> anyhow::Result<Vec<String>> {
    let LinkSettings {
        imports,
        allow_undefined,
        memory,
        strip,
        debug,
        ..
    } = &request.link;
    let mut arguments = Vec::new();
    arguments.push(match memory {
        Memory::Import => "--import-memory=env,__linear_memory".to_owned(),
        Memory::Export => "--export-memory=memory".to_owned(),
    });
    // rustc passes --allow-undefined, which would make imports of misspellings.
    if !allow_undefined {
        arguments.push("--no-allow-undefined".to_owned());
    }
    let panic = match panic_mode(&request.link, is_main) {
        PanicMode::Report => "report",
        PanicMode::Trap => "trap",
        PanicMode::Std => "std",
    };
    arguments.push(format!("--panic={panic}"));
    match (strip, debug) {
        (true, _) => arguments.extend(["--strip-all", "--compress-relocations"].map(str::to_owned)),
        (false, false) => {
            arguments.extend(["--strip-debug", "--compress-relocations"].map(str::to_owned));
        }
        (false, true) => {}
    }
    for name in source::host_functions(sources)? {
        arguments.push(format!("--import={name}"));
    }
    arguments.extend(imports.iter().map(|name| format!("--import={name}")));
    for object in &request.objects {
        arguments.push(std::path::absolute(object)?.display().to_string());
    }
    Ok(arguments)
}

/// Runs cargo; its messages tell where the module is.
fn run(mut command: Command, manifest: &Path, target: &str) -> anyhow::Result<PathBuf> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let stdout = child.stdout.take().expect("it is piped");
    let mut module = None;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        // What a build script prints may be anything.
        let Ok(message) = serde_json::from_str::<Message>(&line) else {
            continue;
        };
        let is_it = message.reason == "compiler-artifact"
            && message.manifest_path == manifest
            && message.target.is_some_and(|found| found.name == target);
        if is_it {
            let is_module = |file: &PathBuf| file.extension().is_some_and(|e| e == "wasm");
            module = message.filenames.into_iter().find(is_module).or(module);
        }
    }
    let status = child.wait()?;
    ensure!(
        status.success(),
        "cargo cannot build {} ({status})",
        manifest.display()
    );
    module.with_context(|| format!("cargo made no module of {}", manifest.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(targets: &[(&str, &str)], default_run: Option<&str>) -> Package {
        Package {
            id: "p".into(),
            name: "p".into(),
            manifest_path: "/p/Cargo.toml".into(),
            source: None,
            targets: targets
                .iter()
                .map(|&(kind, name)| Target {
                    name: name.into(),
                    kind: vec![kind.into()],
                    src_path: "/p/src/lib.rs".into(),
                })
                .collect(),
            default_run: default_run.map(str::to_owned),
        }
    }

    #[test]
    fn the_target_that_people_mean() {
        let name =
            |package: &Package, bin| Ok::<_, anyhow::Error>(package.target(bin)?.name.clone());
        let both = package(&[("lib", "p"), ("bin", "run")], None);
        assert_eq!(name(&both, None).unwrap(), "run");
        let cdylib = package(&[("bin", "run"), ("cdylib", "p")], None);
        assert_eq!(name(&cdylib, None).unwrap(), "p");
        assert_eq!(name(&cdylib, Some("run")).unwrap(), "run");
        assert_eq!(name(&package(&[("lib", "p")], None), None).unwrap(), "p");
        let two = package(&[("bin", "a"), ("bin", "b")], None);
        let message = name(&two, None).unwrap_err().to_string();
        assert!(message.contains("--bin: a, b"), "{message}");
        assert!(name(&two, Some("c")).is_err());
        let two = package(&[("bin", "a"), ("bin", "b")], Some("b"));
        assert_eq!(name(&two, None).unwrap(), "b");
        assert!(name(&package(&[], None), None).is_err());
    }

    #[test]
    fn variables_and_flags_are_as_cargo_reads_them() {
        assert_eq!(
            linker_variable("wasm32-wasip1"),
            "CARGO_TARGET_WASM32_WASIP1_LINKER"
        );
        assert_eq!(toml_array(&["a".into(), "b\"c".into()]), r#"["a","b\"c"]"#);
    }
}
