//! `fixtures`: on a copy of the corpus with a few guests, changed as people and
//! accidents change things.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A workspace with the guests `strings` and `bounds` only.
struct Workspace {
    folder: tempfile::TempDir,
}

const GUESTS: [&str; 2] = ["strings", "bounds"];

impl Workspace {
    fn new() -> Self {
        let workspace = Workspace {
            folder: tempfile::tempdir().unwrap(),
        };
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for name in GUESTS {
            let source = format!("guest/examples/{name}.rs");
            workspace.write(&source, &std::fs::read(from.join(&source)).unwrap());
        }
        let text = std::fs::read(from.join("fixtures/guests.json")).unwrap();
        let mut table: Vec<serde_json::Value> = serde_json::from_slice(&text).unwrap();
        table.retain(|guest| GUESTS.iter().any(|name| guest["name"] == *name));
        workspace.write("fixtures/guests.json", &serde_json::to_vec(&table).unwrap());
        workspace
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .arg("fixtures")
            .args(arguments)
            // So cargo tells xtask where it is.
            .env("CARGO_MANIFEST_DIR", self.path("xtask"))
            .env("CARGO_TARGET_DIR", self.path("target"))
            .env("NO_COLOR", "1");
        command
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        said(&self.command(arguments).output().unwrap())
    }

    /// A compiler of which there are fixtures now.
    fn compiler(&self) -> &'static str {
        let here = |version: &&str| self.path(&format!("fixtures/rustc-{version}")).is_dir();
        let found = ["1.95.0", "1.63.0"].into_iter().find(here);
        found.unwrap_or_else(|| panic!("neither rustc 1.95.0 nor 1.63.0 is here to test with"))
    }
}

fn said(output: &Output) -> (Option<i32>, String) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains("panicked at xtask"), "{text}");
    (output.status.code(), text)
}

#[test]
fn what_was_made_is_checked_and_what_differs_is_shown() {
    let workspace = Workspace::new();
    let (code, text) = workspace.run(&[]);
    assert_eq!(code, Some(0), "{text}");
    let compiler = workspace.compiler();
    assert_eq!(workspace.run(&["--check"]).0, Some(0));
    let manifest = std::fs::read(workspace.path("fixtures/manifest.json")).unwrap();

    // A byte of the code of one module.
    let module = format!("rustc-{compiler}/strings.wasm");
    let place = workspace.path(&format!("fixtures/{module}"));
    let good = std::fs::read(&place).unwrap();
    let mut bad = good.clone();
    // `i32.const 3` becomes `i32.const 2`: the shift by which a string is found.
    let at = bad
        .windows(3)
        .position(|bytes| bytes == [0x41, 3, 0x74])
        .unwrap();
    bad[at + 1] = 2;
    std::fs::write(&place, &bad).unwrap();
    let (code, text) = workspace.run(&["--check", "--toolchain", compiler]);
    assert_eq!(code, Some(1));
    for words in [
        format!("{module} is not what manifest.json records"),
        format!("{module} differs"),
        "in section code".into(),
        "-      i32.const 2".into(),
        "+      i32.const 3".into(),
        "cargo xtask fixtures".into(),
    ] {
        assert!(text.contains(&words), "{words} in:\n{text}");
    }
    // Nothing was mended by looking.
    assert_eq!(std::fs::read(&place).unwrap(), bad);

    // A file that nothing made, and a source that was changed.
    workspace.write(&format!("fixtures/rustc-{compiler}/stray.wasm"), b"");
    let source = workspace.path("guest/examples/bounds.rs");
    let text = std::fs::read_to_string(&source).unwrap();
    std::fs::write(&source, text.replace("7, 11", "7, 13")).unwrap();
    let (code, text) = workspace.run(&["--check"]);
    assert_eq!(code, Some(1));
    for words in [
        "stray.wasm is recorded nowhere",
        "bounds.o differs",
        "bounds.rs",
    ] {
        assert!(text.contains(words), "{words} in:\n{text}");
    }

    // Back as it was, made anew: the same bytes, and nothing stray.
    std::fs::write(
        &source,
        std::fs::read_to_string(&source)
            .unwrap()
            .replace("7, 13", "7, 11"),
    )
    .unwrap();
    assert_eq!(workspace.run(&[]).0, Some(0));
    assert_eq!(std::fs::read(&place).unwrap(), good);
    assert_eq!(
        std::fs::read(workspace.path("fixtures/manifest.json")).unwrap(),
        manifest
    );
    assert!(
        !workspace
            .path(&format!("fixtures/rustc-{compiler}/stray.wasm"))
            .exists()
    );
}

#[test]
fn a_missing_compiler_is_named_and_its_fixtures_stay() {
    let workspace = Workspace::new();
    assert_eq!(workspace.run(&[]).0, Some(0));
    let manifest = std::fs::read(workspace.path("fixtures/manifest.json")).unwrap();
    for arguments in [&["--check"][..], &[]] {
        let mut command = workspace.command(arguments);
        command
            .env("PATH", workspace.path("empty"))
            .env("RUSTUP_HOME", workspace.path("empty"))
            .env_remove("RUSTUP_TOOLCHAIN");
        let (code, text) = said(&command.output().unwrap());
        assert_eq!(code, Some(0), "{text}");
        for version in ["1.63.0", "1.95.0"] {
            let install = format!("rustup toolchain install {version} ");
            assert!(text.contains(&install), "{install} in:\n{text}");
        }
        assert_eq!(
            std::fs::read(workspace.path("fixtures/manifest.json")).unwrap(),
            manifest
        );
    }
    let (code, text) = workspace.run(&["--toolchain", "1.2.3"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("1.63.0, 1.95.0"), "{text}");
}
