//! The installed command: a copy of the program alone, used in empty folders, with no
//! way to this repository.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A user with the program in a folder of their own, and nothing else.
struct User {
    folder: tempfile::TempDir,
}

impl User {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_genkan"));
        std::fs::copy(program, folder.path().join("genkan")).unwrap();
        std::fs::create_dir(folder.path().join("here")).unwrap();
        User { folder }
    }

    /// A path below the folder that the user works in.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("here").join(name)
    }

    fn writes(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn command_in(&self, folder: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.folder.path().join("genkan"));
        command
            .args(arguments)
            .current_dir(self.path(folder))
            .env("NO_COLOR", "1")
            // No network, and no crates from elsewhere.
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_HOME", self.folder.path().join("cargo-home"));
        // A test runs in cargo's environment; a user does not.
        for name in ["CARGO_MANIFEST_DIR", "CARGO_TARGET_DIR", "GENKAN_CACHE"] {
            command.env_remove(name);
        }
        command
    }

    /// Types what must succeed in `folder`; returns what is on stdout and on stderr.
    #[track_caller]
    fn does_in(&self, folder: &str, arguments: &[&str]) -> (String, String) {
        let output = self.command_in(folder, arguments).output().unwrap();
        let (out, err) = texts(&output);
        assert!(output.status.success(), "{arguments:?}:\n{out}{err}");
        (out, err)
    }

    #[track_caller]
    fn does(&self, arguments: &[&str]) -> (String, String) {
        self.does_in("", arguments)
    }

    /// Types what must fail with this code; returns the message.
    #[track_caller]
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.command_in("", arguments).output().unwrap();
        let (out, err) = texts(&output);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}:\n{out}{err}"
        );
        assert!(!err.contains("panicked at"), "{err}");
        assert!(err.starts_with("error: "), "{err}");
        err
    }
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// A function that returns a number.
fn number(number: i32) -> String {
    format!("#[no_mangle] pub extern \"C\" fn n() -> i32 {{ {number} }}\n")
}

#[test]
#[cfg_attr(not(feature = "host"), ignore = "genkan is built without its host")]
fn from_nothing_to_a_running_guest_without_a_network() {
    let user = User::new();
    let (next, _) = user.does(&["new", "plugin"]);
    // What it says is next is what works.
    assert!(next.contains("cd plugin\n    genkan run\n"), "{next}");
    assert_eq!(user.does_in("plugin", &["run"]).0, "result: 42\n");
    assert_eq!(user.does_in("plugin/src", &["run"]).0, "result: 42\n");
    let arguments = ["run", "--", "--invoke", "add", "1", "2"];
    assert_eq!(user.does_in("plugin", &arguments).0, "result: 3\n");

    // The guest API is there.
    let source = "use genkan_guest::HostPtr;\n\
                  #[no_mangle] pub extern \"C\" fn sum(data: HostPtr) -> u64 {\n\
                      data.all().map().iter().map(|&byte| u64::from(byte)).sum()\n\
                  }\n";
    user.writes("plugin/src/lib.rs", source);
    let arguments = ["run", "--", "--data", "1,2,39"];
    assert_eq!(user.does_in("plugin", &arguments).0, "result: 42\n");
    let (_, err) = user.does_in("plugin", &["build", "--strip"]);
    assert!(err.contains("→ target/guests/plugin.wasm ("), "{err}");
    let (out, _) = user.does_in("plugin", &["inspect", "target/guests/plugin.wasm"]);
    assert!(out.contains("sum: func (i64) -> i64"), "{out}");

    // Nothing is overwritten, and nothing half-made is left.
    let message = user.fails(1, &["new", "plugin"]);
    assert!(message.contains("is there already"), "{message}");
    for name in ["fn", "1st", "a b", "../../Up"] {
        user.fails(1, &["new", name]);
    }
    let entries = user.path("").read_dir().unwrap();
    assert_eq!(entries.count(), 1);
}

/// A clone on a machine without genkan.
#[test]
fn plain_cargo_builds_a_new_package() {
    let user = User::new();
    user.does(&["new", "deep/er/plugin"]);
    let cargo = std::env::var_os("CARGO").unwrap();
    for arguments in [&["check"][..], &["build", "--target", "wasm32-wasip1"]] {
        let output = Command::new(&cargo)
            .args(arguments)
            .arg("--offline")
            .current_dir(user.path("deep/er/plugin"))
            .env("CARGO_HOME", user.path("cargo-home"))
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let (_, err) = texts(&output);
        assert!(!err.contains("warning"), "{err}");
    }
}

#[test]
#[cfg_attr(not(feature = "host"), ignore = "genkan is built without its host")]
fn a_single_file_has_the_guest_api_too() {
    let user = User::new();
    let source = "use genkan_guest::HostPtr;\n\
                  #[no_mangle] pub extern \"C\" fn at(p: HostPtr, i: u32) -> u8 { p.byte(i) }\n";
    let source = source.replace("p.byte(i)", "p.all().map()[i as usize]");
    user.writes("at.rs", source);
    let arguments = ["run", "at.rs", "--", "--data", "7,8,9", "1"];
    assert_eq!(user.does(&arguments).0, "result: 8\n");
}

/// Two guests of one name never share a module, and one guest is built by one process
/// at a time.
#[test]
#[cfg_attr(not(feature = "host"), ignore = "genkan is built without its host")]
fn guests_that_are_built_at_the_same_time_do_not_meet() {
    let user = User::new();
    for folder in ["a", "b"] {
        user.writes(
            &format!("{folder}/g.rs"),
            number(folder.as_bytes()[0].into()),
        );
    }
    let start = |guest: &str| -> Child {
        let mut command = user.command_in("", &["-q", "run", guest]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    for round in 0..3 {
        let running: Vec<_> = ["a/g.rs", "b/g.rs", "a/g.rs", "b/g.rs"]
            .map(|guest| (guest, start(guest)))
            .into();
        for (guest, child) in running {
            let (out, err) = texts(&child.wait_with_output().unwrap());
            let expected = format!("result: {}\n", guest.as_bytes()[0]);
            assert_eq!(out, expected, "{guest}, round {round}: {err}");
        }
    }
}

#[test]
fn wrong_input_is_explained() {
    let user = User::new();
    let message = user.fails(1, &["build"]);
    assert!(message.contains("genkan new"), "{message}");
    let message = user.fails(1, &["build", "nonesuch"]);
    assert!(message.contains("there is no guest nonesuch"), "{message}");
    assert!(!message.contains("xtask"), "{message}");
    user.fails(1, &["build", "nonesuch.rs"]);
    user.fails(1, &["run", "nonesuch.wasm"]);
    user.fails(2, &["build", "--no-such-option"]);
    let message = user.fails(1, &["toolchain", "--rustc", "9.9.9"]);
    assert!(
        message.contains("rustup toolchain install 9.9.9"),
        "{message}"
    );
    user.writes("silent.rs", "pub fn nobody_sees_this() {}\n");
    let (_, err) = user.does(&["build", "silent.rs"]);
    assert!(err.contains("exports no function"), "{err}");
}

#[test]
fn modules_come_from_stdin_and_go_to_stdout() {
    let user = User::new();
    user.writes("n.rs", number(42));
    let module = user
        .command_in("", &["build", "n.rs", "-o", "-"])
        .output()
        .unwrap()
        .stdout;
    assert!(module.starts_with(b"\0asm"));
    for (arguments, expected) in [
        (&["inspect", "-"][..], "n: func () -> i32"),
        (&["wat", "-"], "(module"),
    ] {
        let mut command = user.command_in("", arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&module).unwrap();
        let (out, _) = texts(&child.wait_with_output().unwrap());
        assert!(out.contains(expected), "{arguments:?}: {out}");
    }
}

#[test]
fn diff_tells_different_from_unreadable() {
    let user = User::new();
    let module = |byte: u8| [b"\0asm\x01\0\0\0\0\x02\x01a".as_slice(), &[byte]].concat();
    user.writes("a.wasm", &module(b'x')[..11]);
    for (name, byte) in [("a.wasm", b'x'), ("b.wasm", b'x'), ("c.wasm", b'y')] {
        let mut module = module(byte);
        module[9] = 3;
        user.writes(name, module);
    }
    let code = |arguments: &[&str]| {
        let output = user.command_in("", arguments).output().unwrap();
        output.status.code().unwrap()
    };
    assert_eq!(code(&["diff", "a.wasm", "b.wasm"]), 0);
    assert_eq!(code(&["diff", "a.wasm", "c.wasm"]), 1);
    user.writes("text", "no module");
    assert_eq!(code(&["diff", "a.wasm", "text"]), 2);
    assert_eq!(code(&["diff", "a.wasm", "nonesuch"]), 2);
    assert_eq!(code(&["diff", "a.wasm"]), 2);
}

#[test]
fn a_component_is_no_module() {
    let user = User::new();
    let component = wat::parse_str(
        r#"(component
            (core module $m (func (export "f") (result i32) i32.const 1))
            (core instance $i (instantiate $m))
            (func (export "f") (result u32) (canon lift (core func $i "f"))))"#,
    );
    user.writes("c.wasm", component.unwrap());
    let message = user.fails(1, &["inspect", "c.wasm"]);
    assert!(message.contains("component"), "{message}");
}

/// As users name their toolchains: with or without the machine's triple.
#[cfg(unix)]
#[test]
fn a_toolchain_may_be_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let user = User::new();
    let name = "rustup/toolchains/mine-x86_64-unknown-linux-gnu";
    user.writes(
        &format!("{name}/bin/rustc"),
        "#!/bin/sh\necho rustc 1.99.0\n",
    );
    let rustc = user.path(name).join("bin/rustc");
    std::fs::set_permissions(&rustc, std::fs::Permissions::from_mode(0o755)).unwrap();
    let core = format!("{name}/lib/rustlib/wasm32-wasip1/lib/libcore-1.rlib");
    user.writes(&core, "");
    for (by_option, variable) in [(true, "other"), (false, "mine")] {
        let mut command = user.command_in("", &["toolchain"]);
        command
            .args(
                by_option
                    .then_some(["--rustc", "mine"])
                    .into_iter()
                    .flatten(),
            )
            .env("RUSTUP_HOME", user.path("rustup"))
            .env("RUSTUP_TOOLCHAIN", variable);
        let (out, err) = texts(&command.output().unwrap());
        let used = format!("* rustc 1.99.0\n    {}\n", rustc.display());
        assert!(out.contains(&used), "{out}{err}");
        // And what cargo needs to link with genkan.
        assert!(
            out.contains("[target.wasm32-wasip1]\n    linker = \"genkan-ld\""),
            "{out}"
        );
    }
}

#[test]
fn the_linker_alone_and_completions() {
    let user = User::new();
    let (help, _) = user.does(&["link", "--help"]);
    assert!(help.contains("Usage: genkan link "), "{help}");
    let linker = Command::new(env!("CARGO_BIN_EXE_genkan-ld"))
        .arg("--version")
        .output();
    assert!(texts(&linker.unwrap()).0.starts_with("genkan "));
    for command in [
        "build",
        "run",
        "watch",
        "new",
        "inspect",
        "diff",
        "wat",
        "toolchain",
    ] {
        let (help, _) = user.does(&[command, "--help"]);
        assert!(
            help.contains("Example") && !help.contains("xtask"),
            "{help}"
        );
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(user.does(&["completions", shell]).0.contains("genkan"));
    }
}

/// cargo's exit code is this one's, and its options are not taken for genkan's.
#[test]
fn cargo_is_run_as_it_is() {
    let user = User::new();
    let (out, _) = user.does(&["cargo", "-V"]);
    assert!(out.starts_with("cargo "), "{out}");
    let output = user
        .command_in("", &["cargo", "nonesuch"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(101));
    user.does(&["new", "plugin"]);
    // A user's flags reach the linker, which is no other: none else knows this one.
    let mut build = user.command_in("plugin", &["cargo", "build", "-q"]);
    build
        .args(["--target", "wasm32-wasip1"])
        .env("RUSTFLAGS", "-Clink-arg=--panic=trap");
    let output = build.output().unwrap();
    assert!(output.status.success(), "{}", texts(&output).1);
    let module = user.path("plugin/target/wasm32-wasip1/debug/plugin.wasm");
    let (out, _) = user.does(&["inspect", module.to_str().unwrap()]);
    assert!(out.contains("add: func (i32, i32) -> i32"), "{out}");
}

fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = channel();
    let out: [Box<dyn std::io::Read + Send>; 2] = [
        Box::new(child.stdout.take().unwrap()),
        Box::new(child.stderr.take().unwrap()),
    ];
    for stream in out {
        let sender = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
    }
    lines
}

#[test]
#[cfg_attr(not(feature = "host"), ignore = "genkan is built without its host")]
fn watch_ends_a_guest_that_never_ends() {
    let user = User::new();
    user.writes(
        "g.rs",
        "#[no_mangle] pub extern \"C\" fn n() -> i32 { loop {} }\n",
    );
    let mut command = user.command_in("", &["watch", "g.rs"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = lines_of(&mut child);
    let wait_for = |words: &str| {
        let mut seen = String::new();
        loop {
            match lines.recv_timeout(Duration::from_secs(60)) {
                Ok(line) if line.contains(words) => return,
                Ok(line) => seen += &(line + "\n"),
                Err(_) => panic!("no {words} in:\n{seen}"),
            }
        }
    };
    wait_for("Watching");
    user.writes("g.rs", number(7));
    wait_for("Ending");
    wait_for("result: 7");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Does for a while in one function three times what it does in another.
const BUSY: &str = "use std::hint::black_box;
#[inline(never)] fn spin(n: u32) -> u32 { (0..n).fold(1, |x, n| black_box(x ^ n)) }
#[inline(never)] fn three(n: u32) -> u32 { black_box(spin(black_box(3) * n)) }
#[inline(never)] fn one(n: u32) -> u32 { black_box(spin(n)) }
#[no_mangle] pub extern \"C\" fn run(n: u32) -> u32 { three(n) + one(n) }
#[no_mangle] pub extern \"C\" fn ends(n: u32) -> u32 { let _ = spin(n); panic!(\"enough\") }
";

#[test]
#[cfg_attr(not(feature = "host"), ignore = "genkan is built without its host")]
fn a_profile_is_drawn_and_written() {
    let user = User::new();
    user.writes("busy.rs", BUSY);
    let run = ["--", "--invoke", "run", "30000000u32"];
    let with = |options: &[&'static str]| [&["profile", "busy.rs"], options, &run].concat();

    // What is on stdout is stacks alone.
    let (folded, err) = user.does(&with(&["--folded", "-"]));
    assert!(err.contains("result: "), "{err}");
    let samples = |part: &str| -> u64 {
        let lines = folded.lines().map(|line| line.rsplit_once(' ').unwrap());
        lines
            .filter(|(stack, _)| stack.split(';').any(|name| name == part))
            .map(|(_, samples)| samples.parse::<u64>().unwrap())
            .sum()
    };
    let [three, one] = ["busy::three", "busy::one"].map(samples);
    assert!(one > 10 && (2..5).contains(&(three / one)), "{folded}");
    assert!(!user.path("busy.svg").exists());

    // A flame graph by itself, and where it is said.
    let (_, err) = user.does(&with(&[]));
    assert!(err.contains("Drew busy.svg ("), "{err}");
    let svg = std::fs::read_to_string(user.path("busy.svg")).unwrap();
    assert!(svg.starts_with("<?xml") && svg.contains("<title>busy::three ("));
    user.does(&with(&["-g", "--svg", "a/b.svg", "--folded", "a/b.txt"]));
    let svg = std::fs::read_to_string(user.path("a/b.svg")).unwrap();
    let folded = std::fs::read_to_string(user.path("a/b.txt")).unwrap();
    for text in [&svg, &folded] {
        assert!(text.contains("busy.rs:2"), "{text}");
    }
    let (svg, _) = user.does(&with(&["--svg", "-", "--rate", "200"]));
    assert!(svg.starts_with("<?xml") && svg.contains(" samples, 200 a second"));

    // What the guest did before it failed.
    let arguments = [
        "profile", "busy.rs", "--folded", "f.txt", "--", "--invoke", "ends",
    ];
    let message = user.command_in("", &[&arguments[..], &["30000000u32"]].concat());
    let output = { message }.output().unwrap();
    let (_, err) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.contains("guest panicked at busy.rs:6") && err.contains("Wrote f.txt"),
        "{err}"
    );
    let folded = std::fs::read_to_string(user.path("f.txt")).unwrap();
    assert!(folded.contains("ends;busy::spin "), "{folded}");
}

#[test]
#[cfg_attr(not(feature = "host"), ignore = "genkan is built without its host")]
fn a_profile_of_nothing_says_what_to_do() {
    let user = User::new();
    let message = user.fails(1, &["profile"]);
    assert!(message.contains("no package"), "{message}");
    let message = user.fails(1, &["profile", "absent.wasm"]);
    assert!(message.contains("absent.wasm"), "{message}");
    user.writes("n.rs", number(7));
    let output = user.command_in("", &["profile", "n.rs"]).output().unwrap();
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert!(err.contains("no sample of n was taken"), "{err}");
    assert!(err.contains("--rate"), "{err}");
    assert!(!user.path("n.svg").exists());
    // The host's own refusals.
    user.writes("busy.rs", BUSY);
    let arguments = ["profile", "busy.rs", "--", "--invoke", "absent"];
    let output = user.command_in("", &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(texts(&output).1.contains("absent"));
    // Before anything is built or run.
    user.writes("folder/file", "");
    for place in ["folder", "folder/file/x.svg"] {
        let message = user.fails(1, &["profile", "busy.rs", "--svg", place]);
        assert!(
            message.contains(&format!("cannot write {place}")),
            "{message}"
        );
        assert!(!message.contains("result"), "{message}");
    }
    for rate in ["0", "10001", "fast"] {
        user.fails(2, &["profile", "busy.rs", "--rate", rate]);
    }
    user.fails(2, &["profile", "busy.rs", "--svg", "-", "--folded", "-"]);
}

#[test]
#[cfg_attr(feature = "host", ignore = "genkan is built with its host")]
fn without_a_host_a_profile_is_refused() {
    let user = User::new();
    user.writes("n.rs", number(7));
    let message = user.fails(1, &["profile", "n.rs"]);
    assert!(message.contains("without its host"), "{message}");
}
