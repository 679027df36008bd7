//! `watch`: builds again when a source changes, and only then.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// Until what must happen has happened: builds can be slow on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Until it is sure that nothing happens any more.
const SILENCE: Duration = Duration::from_millis(700);

fn wait_for(lines: &Receiver<String>, words: &str) {
    let mut seen = String::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) if line.contains(words) => return,
            Ok(line) => seen += &(line + "\n"),
            Err(_) => panic!("no {words} in:\n{seen}"),
        }
    }
}

/// A host in the place of the real one would be a mock; without any, `watch`
/// Without a cargo to build the host, it says so and watches on: what is tested
/// is when it builds the guest.
#[test]
fn it_builds_at_each_change_and_only_then() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("guest.rs");
    let write = |number: i32| {
        let text = format!("#[no_mangle] pub extern \"C\" fn n() -> i32 {{ {number} }}\n");
        std::fs::write(&source, text).unwrap();
    };
    write(1);
    let mut child = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["watch", "guest.rs", "-o", "guest.wasm"])
        .current_dir(place.path())
        .env("CARGO_TARGET_DIR", place.path().join("target"))
        .env("CARGO", Path::new("/nonexistent/cargo"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = child.stderr.take().unwrap();
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });

    for number in 2..4 {
        wait_for(&lines, "Finished guest");
        wait_for(&lines, "Watching 1 files");
        // Its own outputs are no change, and neither are other files.
        std::fs::write(place.path().join("other.rs"), "").unwrap();
        let more = lines.recv_timeout(SILENCE);
        assert_eq!(more, Err(RecvTimeoutError::Timeout));
        write(number);
    }
    wait_for(&lines, "Finished guest");
    // An error is shown, and mended by the next change.
    wait_for(&lines, "Watching");
    std::fs::write(&source, "fn broken( {").unwrap();
    wait_for(&lines, "rustc cannot compile");
    wait_for(&lines, "Watching");
    write(5);
    wait_for(&lines, "Finished guest");
    child.kill().unwrap();
    child.wait().unwrap();
}
