//! The README's tutorial, typed line by line.

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn every_command_of_the_tutorial_does_what_it_says() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let readme = std::fs::read_to_string(workspace.join("README.md")).unwrap();
    let section = readme.split("\n## From nothing to a sum\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();

    // A user in a folder of their own, so that `../sum` is nobody else's.
    let place = tempfile::tempdir().unwrap();
    let here = place.path().join("genkan");
    std::fs::create_dir(&here).unwrap();
    std::fs::copy(workspace.join("LICENSE-MIT"), here.join("LICENSE-MIT")).unwrap();

    let mut commands = 0;
    // Every second piece is between fences.
    for block in section.split("```").skip(1).step_by(2) {
        if let Some(source) = block.strip_prefix("rust\n") {
            let path = source.lines().next().unwrap().strip_prefix("// ").unwrap();
            std::fs::write(here.join(path), source).unwrap();
            continue;
        }
        for line in block.lines().filter(|line| !line.is_empty()) {
            let (command, expected) = line.split_once('#').unwrap_or((line, ""));
            let out = types(&here, command.trim());
            assert!(
                out.contains(expected.trim()),
                "{command}: no {expected} in\n{out}"
            );
            commands += 1;
        }
    }
    assert!(commands >= 5, "only {commands} commands were found");
}

/// Runs `cargo xtask …` in `folder`; returns what it prints.
fn types(folder: &PathBuf, command: &str) -> String {
    let arguments = command
        .strip_prefix("cargo xtask ")
        .expect("a command of ours");
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}:\n{out}{err}");
    out
}
