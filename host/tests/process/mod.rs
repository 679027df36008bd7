//! Attacks in a process of their own, whose exit is checked.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs `attack` in a process of its own: this test's program again, with this test
/// alone. It must end well, and within ten minutes, or by when the tests are told to go on
/// for longer: what hangs does so for ever.
pub fn alone(test: &str, attack: impl FnOnce()) {
    const THIS: &str = "GENKAN_HOSTILE_TEST";
    if std::env::var(THIS).is_ok_and(|name| name == test) {
        attack();
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(THIS, test)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let long = ["GENKAN_DEADLINES", "GENKAN_SECONDS"];
    let long = long.iter().any(|name| std::env::var_os(name).is_some());
    let limit = Duration::from_secs(if long { 36_000 } else { 600 });
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > limit {
            child.kill().unwrap();
            panic!("{test} hangs");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "{test}: {status}");
}
