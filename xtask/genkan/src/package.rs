//! Guests that are packages: cargo builds them with their dependencies, and
//! calls this program as their linker.

use std::ffi::OsString;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use cargo_metadata::{Message, Metadata, MetadataCommand, Package, Target, TargetKind};

use crate::build_guest::{
    self, Built, Folding, LinkSettings, Memory, PanicMode, Request, folding, panic_mode,
    short_hash, validate,
};
use crate::compile;
use crate::component;
use crate::context::Context;
use crate::files;
use crate::linker_file;
use crate::source;
use crate::toolchain::{self, Choice, Version};

/// Builds the package at `manifest`.
pub fn build(
    context: &Context<'_>,
    request: &Request,
    manifest: &Path,
    choice: &Choice,
) -> anyhow::Result<Built> {
    ensure!(
        request.link.exports.is_empty(),
        "--export is for .rs and .o guests; a package exports its #[no_mangle] functions"
    );
    let shell = context.shell;
    let cargo = cargo(choice)?;
    let metadata = metadata(&cargo, manifest, choice)?;
    let package = find_package(&metadata, manifest)?;
    let target = find_target(package, request.bin.as_deref())?;
    let arguments = run_arguments(package)?;

    let place = Place::of(context, request, &metadata, package)?;
    let output = match request.output_file()? {
        Some(file) => file,
        None => place.default_output(request, package),
    };
    let _lock = build_guest::lock(shell, &place.folder, &request.guest)?;

    let sources = source::rust_files(target.src_path.parent().map_or("".as_ref(), AsRef::as_ref));
    let command = rustc_command(context, request, &metadata, package, target, choice, &place)?;
    let linked = if component::is_target(&choice.triple) {
        component::check(&request.link)?;
        component::arguments(&request.link)
    } else {
        link_arguments(request, is_program(target), &sources)?
    };
    let command = with_link_arguments(command, linked);
    shell.detail("Running", toolchain::display(&command));
    let module = run(command, package, target)?;

    let bytes = files::read(&module)?;
    if component::is_target(&choice.triple) {
        validate(&bytes).context("wasm-component-ld made no valid component")?;
    }
    let fresh = files::read(&output).is_ok_and(|old| *old == *bytes);
    if !fresh {
        build_guest::warn_without_exports(shell, &request.guest, &bytes);
        build_guest::warn_misspelt(shell, &bytes)?;
        files::write(&output, &bytes)?;
    }
    let mut watched = local_sources(&metadata);
    watched.extend(sources);
    Ok(Built {
        path: output,
        sources: watched,
        fresh,
        arguments,
    })
}

/// Where what is built of a package goes.
struct Place {
    /// For modules, and what is needed on the way.
    folder: PathBuf,
    /// The package's name tells it from all others whose modules go there.
    is_unique: bool,
    /// cargo's target folder. Each package has its own: of two that have the same
    /// name, cargo would take the module of one for that of the other.
    cargo: PathBuf,
}

impl Place {
    fn of(
        context: &Context<'_>,
        request: &Request,
        metadata: &Metadata,
        package: &Package,
    ) -> anyhow::Result<Self> {
        let (folder, is_unique) = match context.repository {
            Some(repository) => {
                let known = repository.guest(Some(&request.guest.name()));
                (
                    context.target_folder()?,
                    known.as_ref() == Some(&request.guest),
                )
            }
            None => {
                // By CARGO_TARGET_DIR or cargo's configuration, several workspaces
                // may share one.
                let target = &metadata.target_directory;
                let is_own = target.starts_with(&metadata.workspace_root);
                (target.as_std_path().join("guests"), is_own)
            }
        };
        let cargo = folder
            .join("cargo")
            .join(short_hash(package.manifest_path.as_std_path()));
        Ok(Place {
            folder,
            is_unique,
            cargo,
        })
    }

    fn default_output(&self, request: &Request, package: &Package) -> PathBuf {
        let name = &package.name;
        match &request.bin {
            // Programs of several packages may share a name.
            Some(bin) if self.is_unique => self.folder.join(&**name).join(format!("{bin}.wasm")),
            Some(bin) => {
                let output = build_guest::default_output(&self.folder, &request.guest, name, false);
                output.with_file_name(format!("{bin}.wasm"))
            }
            None => build_guest::default_output(&self.folder, &request.guest, name, self.is_unique),
        }
    }
}

/// What the host is told about a guest that is run without arguments:
/// `package.metadata.genkan.run` in its manifest, a list of strings.
fn run_arguments(package: &Package) -> anyhow::Result<Vec<OsString>> {
    let value = package.metadata.get("genkan").and_then(|it| it.get("run"));
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let words = value.as_array().and_then(|list| {
        let words = list.iter().map(|word| word.as_str().map(OsString::from));
        words.collect::<Option<Vec<_>>>()
    });
    words.with_context(|| {
        format!(
            "{}: package.metadata.genkan.run is not a list of strings, the arguments of the host",
            package.manifest_path
        )
    })
}

/// cargo's command, so far as it is about compiling.
fn rustc_command(
    context: &Context<'_>,
    request: &Request,
    metadata: &Metadata,
    package: &Package,
    target: &Target,
    choice: &Choice,
    place: &Place,
) -> anyhow::Result<Command> {
    let mut command = cargo_command(&cargo(choice)?, choice);
    command
        .args(["rustc", "--release", "--target", &choice.triple])
        .arg("--manifest-path")
        .arg(&package.manifest_path)
        .arg("--target-dir")
        .arg(&place.cargo)
        .args(["--message-format", "json-render-diagnostics"])
        .args(["--color", context.shell.color.name()]);
    match is_program(target) {
        true => command.args(["--bin", &target.name]),
        false if knows_no_crate_type(&choice.toolchain.version()?) => {
            if !target.kind.contains(&TargetKind::CDyLib) {
                bail!(
                    "cargo before 1.64 cannot be told to make a module of a library; in {}, write\n    \
                     [lib]\n    crate-type = [\"cdylib\"]",
                    package.manifest_path
                );
            }
            command.arg("--lib")
        }
        false => command.args(["--lib", "--crate-type", "cdylib"]),
    };
    if context.shell.quiet {
        command.arg("--quiet");
    }
    if request.link.debug {
        command.args(["--config", "profile.release.debug=true"]);
    }
    let flags = rustflags(metadata, place, choice)?;
    command
        .arg("--config")
        .arg(format!(
            "target.{}.rustflags={}",
            choice.triple,
            toml_array(&flags)
        ))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env(
            linker_file::variable(&choice.triple),
            linker_file::wasm_ld(&place.folder)?,
        );
    if component::is_target(&choice.triple) {
        // It finds the one above beside it.
        command.env(
            linker_file::variable(&choice.triple),
            linker_file::wasm_component_ld(&place.folder)?,
        );
    }
    Ok(command)
}

fn with_link_arguments(mut command: Command, arguments: Vec<String>) -> Command {
    command.arg("--");
    for argument in arguments {
        command.arg("-C").arg(format!("link-arg={argument}"));
    }
    command
}

/// `cargo rustc --crate-type` came with Rust 1.64.
fn knows_no_crate_type(version: &Version) -> bool {
    let minor = version.release.split('.').nth(1);
    minor
        .and_then(|minor| minor.parse().ok())
        .is_some_and(|minor: u32| minor < 64)
}

fn is_program(target: &Target) -> bool {
    target.kind.contains(&TargetKind::Bin)
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
        .args(["metadata", "--format-version", "1"])
        .args(["--filter-platform", &choice.triple])
        .arg("--manifest-path")
        .arg(manifest)
        .stderr(Stdio::inherit());
    let text = toolchain::output(&mut command)
        .context("the compiler's own cargo cannot read the package")?;
    MetadataCommand::parse(text).context("cannot understand `cargo metadata`")
}

/// The package of the manifest; of a workspace without one, its only member.
fn find_package<'a>(metadata: &'a Metadata, manifest: &Path) -> anyhow::Result<&'a Package> {
    let same = |package: &&Package| {
        package.manifest_path.as_std_path().canonicalize().ok() == manifest.canonicalize().ok()
    };
    if let Some(package) = metadata.packages.iter().find(same) {
        return Ok(package);
    }
    match metadata.workspace_packages().as_slice() {
        [one] => Ok(one),
        several => bail!(
            "{} is a workspace of several packages; name one of them:\n    {}",
            manifest.display(),
            several
                .iter()
                .map(|package| package.manifest_path.to_string())
                .collect::<Vec<_>>()
                .join("\n    ")
        ),
    }
}

/// Sources of the packages on this machine, and their manifests.
fn local_sources(metadata: &Metadata) -> Vec<PathBuf> {
    let local = metadata
        .packages
        .iter()
        .filter(|package| package.source.is_none());
    local
        .flat_map(|package| {
            let manifest = package.manifest_path.as_std_path();
            let mut files = source::rust_files(&manifest.with_file_name("src"));
            files.push(manifest.to_owned());
            files
        })
        .collect()
}

/// The library of a package, or its program if there is one.
fn find_target<'a>(package: &'a Package, bin: Option<&str>) -> anyhow::Result<&'a Target> {
    let kind = |kind: TargetKind| {
        let is = move |target: &&Target| target.kind.contains(&kind);
        package.targets.iter().filter(is).collect::<Vec<_>>()
    };
    let bins = kind(TargetKind::Bin);
    let names = || {
        let names: Vec<&str> = bins.iter().map(|bin| bin.name.as_str()).collect();
        names.join(", ")
    };
    if let Some(name) = bin {
        let found = bins.iter().find(|bin| bin.name == name);
        return found.copied().with_context(|| match bins.is_empty() {
            true => format!(
                "package {} has no program {name}, nor another",
                package.name
            ),
            false => format!(
                "package {} has no program {name}; it has: {}",
                package.name,
                names()
            ),
        });
    }
    if let Some(&cdylib) = kind(TargetKind::CDyLib).first() {
        return Ok(cdylib);
    }
    match (bins.as_slice(), &package.default_run) {
        ([], _) => kind(TargetKind::Lib).first().copied().with_context(|| {
            format!(
                "package {} has neither a library nor a program",
                package.name
            )
        }),
        ([one], _) => Ok(one),
        (_, Some(name)) => find_target(package, Some(name)),
        _ => bail!(
            "package {} has several programs; choose with --bin: {}",
            package.name,
            names()
        ),
    }
}

/// What makes the module the same wherever cargo and its packages lie, after
/// the user's own flags.
fn rustflags(metadata: &Metadata, place: &Place, choice: &Choice) -> anyhow::Result<Vec<String>> {
    let user = std::env::var("RUSTFLAGS").unwrap_or_default();
    let mut flags: Vec<String> = user.split_whitespace().map(str::to_owned).collect();
    let mut remap = |from: &Path, to: &str| {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    };
    // The last that matches a path counts: the general ones come first.
    remap(&cargo_home(), "/cargo");
    remap(&place.cargo, "/target");
    for package in &metadata.packages {
        let folder = package.manifest_path.as_std_path().parent();
        let Some((folder, name)) = folder.and_then(|folder| Some((folder, folder.file_name()?)))
        else {
            continue;
        };
        let name = name.to_string_lossy();
        match &package.source {
            // The folder above is named by a hash of the registry's address.
            Some(source) if !source.repr.starts_with("git+") => {
                remap(folder, &format!("/cargo/registry/{name}"));
            }
            None => remap(folder, &format!("/package/{name}")),
            Some(_) => {}
        }
    }
    let version = choice.toolchain.version()?;
    for remap in compile::remaps(metadata.workspace_root.as_std_path(), choice, &version) {
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

fn toml_array(words: &[String]) -> String {
    // A JSON string is a TOML basic string.
    serde_json::to_string(words).expect("strings can be written")
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
    let mut arguments = vec!["--lean".to_owned(), "--validate".to_owned()];
    arguments.push(match memory {
        Memory::Import => "--import-memory=env,__linear_memory".to_owned(),
        Memory::Export => "--export-memory=memory".to_owned(),
    });
    // rustc passes --allow-undefined, which would make imports of misspellings.
    if !allow_undefined {
        arguments.push("--no-allow-undefined".to_owned());
    }
    let panic = match panic_mode(&request.link, is_main) {
        PanicMode::Report | PanicMode::Stderr => "report",
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
    arguments.push(match folding(&request.link) {
        Folding::Safe => "--icf=safe".into(),
        Folding::None => "--icf=none".into(),
    });
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
fn run(mut command: Command, package: &Package, target: &Target) -> anyhow::Result<PathBuf> {
    let manifest = &package.manifest_path;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let stdout = child.stdout.take().expect("it is piped");
    let mut module = None;
    for message in Message::parse_stream(BufReader::new(stdout)) {
        let Message::CompilerArtifact(artifact) = message? else {
            continue;
        };
        if artifact.package_id == package.id && artifact.target.name == target.name {
            let mut files = artifact.filenames.into_iter();
            module = files
                .find(|file| file.extension() == Some("wasm"))
                .or(module);
        }
    }
    let status = child.wait()?;
    ensure!(status.success(), "cargo cannot build {manifest} ({status})");
    let module = module.with_context(|| format!("cargo made no module of {manifest}"))?;
    Ok(module.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `cargo metadata` shows it.
    fn package(targets: &[(&str, &str)], default_run: Option<&str>) -> Package {
        let targets: Vec<_> = targets
            .iter()
            .map(|(kind, name)| {
                serde_json::json!({
                    "name": name, "kind": [kind], "crate_types": [kind],
                    "src_path": "/p/src/lib.rs", "edition": "2021",
                })
            })
            .collect();
        serde_json::from_value(serde_json::json!({
            "name": "p", "version": "0.1.0", "id": "p", "manifest_path": "/p/Cargo.toml",
            "dependencies": [], "features": {}, "targets": targets, "default_run": default_run,
        }))
        .unwrap()
    }

    #[test]
    fn the_target_that_people_mean() {
        let name = |package: &Package, bin| {
            Ok::<_, anyhow::Error>(find_target(package, bin)?.name.clone())
        };
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
    fn the_manifest_says_how_it_is_run() {
        let mut package = package(&[("lib", "p")], None);
        assert!(run_arguments(&package).unwrap().is_empty());
        package.metadata = serde_json::json!({ "genkan": { "run": ["--invoke", "f"] } });
        assert_eq!(run_arguments(&package).unwrap(), ["--invoke", "f"]);
        package.metadata = serde_json::json!({ "genkan": { "run": "f" } });
        let message = run_arguments(&package).unwrap_err().to_string();
        assert!(message.contains("/p/Cargo.toml"), "{message}");
    }

    #[test]
    fn flags_are_as_cargo_reads_them() {
        assert_eq!(toml_array(&["a".into(), "b\"c".into()]), r#"["a","b\"c"]"#);
    }
}
