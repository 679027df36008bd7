//! Zeros of a memory that the host gives, which need not be zero: the smallest module
//! makes them by a loop, or by `memory.fill` where objects use that, and does not have
//! them in its file. Skipped without clang.

mod linkers;

use std::process::Command;

use genkan::toolchain;
use linkers::engine;
use xtask::clang;

const SOURCE: &str = "
unsigned char zeros[70001], few[9];
int seven = 7;
int test(void) {
    int sum = 0;
    for (int i = 0; i < 70001; i++) sum += zeros[i];
    for (int i = 0; i < 9; i++) sum += few[i];
    return sum + seven * 1000;
}
";

#[test]
#[cfg_attr(not(has_clang), ignore = "clang 16 or newer is not installed")]
fn zeros_of_a_used_memory_are_made() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.c"), SOURCE).unwrap();
    for features in [&["-mcpu=mvp"][..], &["-mcpu=mvp", "-mbulk-memory"]] {
        let mut command = Command::new(clang::newest().unwrap());
        command
            .args(["--target=wasm32-unknown-unknown", "-ffreestanding", "-Os"])
            .args(features)
            .args(["-c", "a.c"])
            .current_dir(folder.path());
        toolchain::output(&mut command).unwrap();
        let arguments = [
            "a.o",
            "--no-entry",
            "--export=test",
            "--import-memory",
            "--lean",
            "--strip-all",
        ];
        let module = linkers::ours(folder.path(), &arguments.map(str::to_owned));
        let module = module.module(&format!("{features:?}"));
        assert!(module.len() < 300, "{features:?}: {} bytes", module.len());
        // The engine's memory is full of other bytes.
        assert_eq!(engine::run(&module).end, ["test: 7000"], "{features:?}");
    }
}
