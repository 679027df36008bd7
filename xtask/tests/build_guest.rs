//! The commands, as a user types them: a guest's source beside what it must
//! become and do.

mod second_engine;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use second_engine::Guest;
use xtask::fixtures::Call;

/// A user at a shell: an own folder, an own target folder.
struct User {
    folder: tempfile::TempDir,
}

impl User {
    fn new() -> Self {
        User {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn writes(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("CARGO_TARGET_DIR", self.path("target"))
            .env("NO_COLOR", "1");
        command
    }

    fn types(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Types what must succeed; returns what it says.
    #[track_caller]
    fn does(&self, arguments: &[&str]) -> (String, String) {
        let output = self.types(arguments);
        let (out, err) = texts(&output);
        assert!(output.status.success(), "{arguments:?}:\n{out}{err}");
        (out, err)
    }

    /// Types what must fail, with this code; returns the message.
    #[track_caller]
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.types(arguments);
        let (out, err) = texts(&output);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}:\n{out}{err}"
        );
        assert!(!err.contains("panicked at"), "{err}");
        err
    }

    fn reads(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }
}

/// The path of the module that a build says it made.
fn shown(stderr: &str) -> String {
    let line = stderr.lines().find(|line| line.contains(" → ")).unwrap();
    let path = line.split(" → ").nth(1).unwrap();
    path.rsplit_once(" (").unwrap().0.to_owned()
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[track_caller]
fn check(module: &[u8], calls: &str) {
    let calls: Vec<Call> = serde_json::from_str(calls).unwrap();
    let mut guest = Guest::new(module);
    for call in &calls {
        guest.check(call);
    }
}

const ADD: &str = "#[no_mangle] pub extern \"C\" fn add(a: i32, b: i32) -> i32 { a + b }\n";

#[test]
fn any_rust_file_becomes_a_module() {
    let user = User::new();
    user.writes("my guest.rs", ADD);
    let (out, err) = user.does(&["build-guest", "my guest.rs"]);
    assert_eq!(out, "");
    assert!(
        err.contains("Finished my guest in ") && err.contains("my guest.wasm ("),
        "{err}"
    );
    let module = user.reads(&shown(&err));
    check(
        &module,
        r#"[{ "export": "add", "args": [20, 22], "result": 42 }]"#,
    );

    // Again, there is nothing to do; a change is seen; a touch is none.
    let (_, err) = user.does(&["build-guest", "my guest.rs"]);
    assert!(err.contains("Fresh my guest: nothing to do"), "{err}");
    user.writes("my guest.rs", ADD);
    assert!(
        user.does(&["build-guest", "my guest.rs"])
            .1
            .contains("Fresh")
    );
    user.writes("my guest.rs", &ADD.replace("a + b", "a - b"));
    assert!(
        user.does(&["build-guest", "my guest.rs"])
            .1
            .contains("Finished")
    );
    // So are other options.
    assert!(
        user.does(&["build-guest", "my guest.rs", "--strip"])
            .1
            .contains("Finished")
    );
    assert_eq!(
        user.does(&["-q", "build-guest", "my guest.rs"]),
        Default::default()
    );
}

#[test]
fn the_plain_extern_block_of_the_memo_is_the_hosts() {
    let user = User::new();
    user.writes(
        "guest.rs",
        "extern { fn read(pointer: i64, offset: u8) -> i32; }
         #[no_mangle] pub extern \"C\" fn f(p: i64) -> String2 { String2(unsafe { read(p, 1) }) }
         #[repr(transparent)] pub struct String2(i32);
         #[no_mangle] pub extern \"C\" fn g(n: u32) -> u32 { format!(\"{n}\").len() as u32 }",
    );
    user.does(&["build-guest", "guest.rs", "-o", "g.wasm"]);
    check(
        &user.reads("g.wasm"),
        r#"[{ "export": "f", "data": [[1, 42]], "args": ["data 0"], "result": 42 },
            { "export": "g", "args": [12345], "result": 5 }]"#,
    );
}

#[test]
fn the_same_bytes_wherever_the_source_lies() {
    let source = "#[no_mangle] pub extern \"C\" fn at(i: usize) -> u8 { FILE.as_bytes()[i] }
                  static FILE: &str = file!();";
    let build = |folder: &str, options: &[&str]| {
        let user = User::new();
        user.writes(&format!("{folder}/guest.rs"), source);
        let path = format!("{folder}/guest.rs");
        user.does(&[&["build-guest", &path, "-o", "out.wasm"], options].concat());
        user.reads("out.wasm")
    };
    for options in [&[][..], &["-g"]] {
        assert!(
            build("a", options) == build("deeper/and with spaces", options),
            "{options:?}"
        );
    }
}

#[test]
fn exports_can_be_narrowed_and_a_wrong_name_is_explained() {
    let user = User::new();
    user.writes("guest.rs", &(ADD.to_owned() + &ADD.replace("add", "other")));
    user.does(&["build-guest", "guest.rs", "--export", "add", "-o", "g.wasm"]);
    let (out, _) = user.does(&["inspect", "g.wasm"]);
    assert!(
        out.contains("add: func (i32, i32) -> i32") && !out.contains("other"),
        "{out}"
    );

    let err = user.fails(
        1,
        &["build-guest", "guest.rs", "--export", "ad", "-o", "x.wasm"],
    );
    assert!(err.contains("ad") && err.contains("add"), "{err}");
    assert!(!user.path("x.wasm").exists());
}

#[test]
fn the_memory_is_the_hosts_or_the_modules_own() {
    let user = User::new();
    user.writes("guest.rs", ADD);
    let interface = |option| {
        user.does(&[
            "build-guest",
            "guest.rs",
            "--memory",
            option,
            "-o",
            "g.wasm",
        ]);
        user.does(&["inspect", "g.wasm"]).0
    };
    let own = interface("export");
    assert!(
        own.contains("memory: memory") && !own.contains("__linear_memory"),
        "{own}"
    );
    let hosts = interface("import");
    assert!(
        hosts.contains("env.__linear_memory: memory 0 or more pages"),
        "{hosts}"
    );
}

#[test]
fn what_nobody_defines_is_named_and_can_be_offered() {
    let user = User::new();
    user.writes(
        "guest.rs",
        "extern \"C\" { fn helper() -> i32; }
         #[no_mangle] pub extern \"C\" fn f() -> i32 { unsafe { helper() } }",
    );
    user.writes(
        "helper.rs",
        "extern \"C\" { fn nobody_has_this(n: i32) -> i32; }
         #[no_mangle] pub extern \"C\" fn helper() -> i32 { unsafe { nobody_has_this(1) } }",
    );
    compiles(&user, "helper");
    let err = user.fails(1, &["build-guest", "guest.rs", "helper.o"]);
    for words in ["nobody_has_this", "helper.o", "--import"] {
        assert!(err.contains(words), "{words} in:\n{err}");
    }
    for option in [&["--import", "nobody_has_this"][..], &["--allow-undefined"]] {
        user.does(
            &[
                &["build-guest", "guest.rs", "helper.o", "-o", "g.wasm"],
                option,
            ]
            .concat(),
        );
        let (out, _) = user.does(&["inspect", "g.wasm"]);
        assert!(
            out.contains("env.nobody_has_this: func (i32) -> i32"),
            "{out}"
        );
    }
}

/// An object by rustc itself, as any other tool would leave it.
fn compiles(user: &User, name: &str) {
    let (rustc, target) = used_rustc(user);
    let status = Command::new(rustc)
        .args([
            "--crate-type",
            "cdylib",
            "-O",
            "--emit",
            "obj",
            "--target",
            &target,
        ])
        .args(["-o", &format!("{name}.o"), &format!("{name}.rs")])
        .current_dir(user.folder.path())
        .status()
        .unwrap();
    assert!(status.success());
}

/// How long the module's own functions are, in bytes, without that length.
fn lengths(module: &[u8]) -> Vec<usize> {
    let payloads = wasmparser::Parser::new(0).parse_all(module);
    let bodies = payloads.filter_map(|payload| match payload.unwrap() {
        wasmparser::Payload::CodeSectionEntry(body) => Some(body.as_bytes().len()),
        _ => None,
    });
    bodies.collect()
}

#[test]
fn with_debug_information_the_code_stays_where_it_says() {
    let user = User::new();
    user.writes(
        "guest.rs",
        "extern \"C\" { fn helper(n: i32) -> i32; }
         #[no_mangle] pub extern \"C\" fn f(n: i32) -> i32 { unsafe { helper(n) + 1 } }",
    );
    compiles(&user, "guest");
    let length = |option| {
        let import = ["--import", "helper", "-o", "g.wasm"];
        user.does(&[&["build-guest", "guest.o", option], &import[..]].concat());
        lengths(&user.reads("g.wasm"))
    };
    // A call takes as many bytes as in the object: lines count from there.
    assert_eq!(length("-g"), lengths(&user.reads("guest.o")));
    assert_ne!(length("--strip"), lengths(&user.reads("guest.o")));
}

#[test]
fn a_guest_may_be_an_object_and_bring_objects() {
    let user = User::new();
    user.writes(
        "guest.rs",
        "extern \"C\" { fn helper(n: i32) -> i32; fn read(p: i64, o: u8) -> i32; }
         #[no_mangle] pub extern \"C\" fn f(p: i64) -> i32 { unsafe { helper(read(p, 0)) } }",
    );
    user.writes(
        "helper.rs",
        "#[no_mangle] pub extern \"C\" fn helper(n: i32) -> i32 { n * 2 }",
    );
    compiles(&user, "guest");
    compiles(&user, "helper");
    let calls = r#"[{ "export": "f", "data": [[21]], "args": ["data 0"], "result": 42 }]"#;
    for guest in ["guest.rs", "guest.o"] {
        user.does(&["build-guest", guest, "helper.o", "-o", "g.wasm"]);
        check(&user.reads("g.wasm"), calls);
    }
    let (text, _) = user.does(&["wat", "guest.o"]);
    assert!(
        text.contains("(func $f ") && text.contains("call $helper"),
        "{text}"
    );
    let err = user.fails(1, &["build-guest", "g.wasm"]);
    assert!(err.contains("finished module"), "{err}");
}

/// The compiler and target that `toolchain` says are used.
fn used_rustc(user: &User) -> (String, String) {
    let (text, _) = user.does(&["toolchain"]);
    let used = text.split("\n* ").nth(1).unwrap();
    let target = text
        .lines()
        .find_map(|line| line.strip_prefix("target:"))
        .unwrap();
    (
        used.lines().nth(1).unwrap().trim().to_owned(),
        target.trim().to_owned(),
    )
}

#[test]
fn a_symbol_can_be_traced_to_its_root() {
    let user = User::new();
    user.writes(
        "guest.rs",
        "#[inline(never)] #[no_mangle] pub extern \"C\" fn inner(n: u64) -> u128 { n as u128 * 7 / (n as u128 | 3) }
         #[no_mangle] pub extern \"C\" fn outer(n: u64) -> u64 { inner(n) as u64 }",
    );
    let (text, _) = user.does(&[
        "build-guest",
        "guest.rs",
        "--export",
        "outer",
        "--why",
        "__udivti3",
    ]);
    for line in [
        "compiler_builtins",
        "used by inner",
        "used by outer",
        "which is an export",
    ] {
        assert!(text.contains(line), "{line} in:\n{text}");
    }
    let err = user.fails(1, &["build-guest", "guest.rs", "--why", "nothing_like_it"]);
    assert!(err.contains("not in the module"), "{err}");
}

#[test]
fn a_package_is_built_by_cargo_and_linked_here() {
    let user = User::new();
    user.does(&["new", "--package", "sum"]);
    let manifest = String::from_utf8(user.reads("sum/Cargo.toml")).unwrap();
    assert!(manifest.contains("cdylib"));
    let module = user.reads(&shown(&user.does(&["build-guest", "sum"]).1));
    check(
        &module,
        r#"[{ "export": "add", "args": [20, 22], "result": 42 }]"#,
    );
    assert!(
        user.does(&["build-guest", "sum/Cargo.toml"])
            .1
            .contains("Fresh sum")
    );
    let err = user.fails(1, &["new", "--package", "sum"]);
    assert!(err.contains("is there already"), "{err}");

    // Another package of that name is another guest.
    user.does(&["new", "--package", "other/sum"]);
    let text = String::from_utf8(user.reads("other/sum/src/lib.rs")).unwrap();
    user.writes(
        "other/sum/src/lib.rs",
        &text.replace("a.wrapping_add(b)", "a - b"),
    );
    user.does(&["build-guest", "other/sum", "-o", "other.wasm"]);
    user.does(&["build-guest", "sum", "-o", "again.wasm"]);
    assert_eq!(user.reads("again.wasm"), module);
    assert_ne!(user.reads("other.wasm"), module);

    // Its own host function comes before libc's of that name.
    user.writes(
        "sum/src/lib.rs",
        "extern \"C\" { fn read(pointer: i64, offset: u8) -> i32; }
         #[no_mangle] pub unsafe extern \"C\" fn f(p: i64) -> i32 { read(p, 1) + format!(\"{p}\").len() as i32 }",
    );
    user.does(&["build-guest", "sum", "-o", "g.wasm"]);
    check(
        &user.reads("g.wasm"),
        r#"[{ "export": "f", "data": [[1, 32]], "args": ["data 0"], "result": 42 }]"#,
    );
}

#[test]
fn a_compile_error_is_rustcs_and_ends_with_1() {
    let user = User::new();
    user.writes("guest.rs", "fn broken( {");
    let err = user.fails(1, &["build-guest", "guest.rs"]);
    assert!(
        err.contains("guest.rs:1:") && err.contains("rustc cannot compile"),
        "{err}"
    );
    assert!(!user.path("target/guests/guest.wasm").exists());
}

#[test]
fn wrong_input_is_explained() {
    let user = User::new();
    user.writes("text.o", "no object");
    user.writes("bitcode.o", "BC\u{40}");
    for (guest, words) in [
        ("nonesuch", "there is no guest nonesuch"),
        ("nonesuch.rs", "there is no file"),
        ("text.o", "neither a Rust source"),
    ] {
        let err = user.fails(1, &["build-guest", guest]);
        assert!(err.starts_with("error: ") && err.contains(words), "{err}");
    }
    let err = user.fails(1, &["build-guest", "--rustc", "/no/such/rustc"]);
    assert!(err.contains("/no/such/rustc"), "{err}");
    let err = user.fails(1, &["build-guest", "--target", "wasm99-none"]);
    assert!(
        err.contains("wasm99-none") && err.contains("wasm32-"),
        "{err}"
    );
    user.fails(2, &["build-guest", "--no-such-option"]);
    user.fails(1, &["wat", "text.o"]);
    user.fails(1, &["inspect", "nonesuch.wasm"]);
}

#[test]
fn without_a_compiler_the_kept_object_is_linked() {
    let user = User::new();
    let build = |guest: &str| {
        user.command(&["build-guest", guest, "-o", "g.wasm"])
            .env("PATH", user.folder.path())
            .env("RUSTUP_HOME", user.path("no-rustup"))
            .env_remove("RUSTUP_TOOLCHAIN")
            .output()
            .unwrap()
    };
    let output = build("calc");
    let (_, err) = texts(&output);
    assert!(output.status.success(), "{err}");
    assert!(err.contains("Using") && err.contains("calc.o"), "{err}");
    check(
        &user.reads("g.wasm"),
        r#"[{ "export": "calc", "data": [[0, 1, 2, 3]], "args": ["data 0", 20], "result": 22 }]"#,
    );
    // Of another source there is no object: then it says what to type.
    user.writes("guest.rs", ADD);
    let (_, err) = texts(&build("guest.rs"));
    assert!(
        err.contains("rustup toolchain install") && err.contains("Looked at"),
        "{err}"
    );
}

#[test]
fn offline_without_a_target_it_says_what_to_type() {
    // A toolchain that rustup knows and that has no Wasm target.
    let user = User::new();
    let rustc = "#!/bin/sh\ncase \"$*\" in *target-list*) echo wasm32-wasip1;; esac\n";
    user.writes("rustup/toolchains/mine/bin/rustc", rustc);
    user.writes("bin/rustup", "#!/bin/sh\nexit 1\n");
    #[cfg(unix)]
    for script in ["rustup/toolchains/mine/bin/rustc", "bin/rustup"] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(user.path(script), PermissionsExt::from_mode(0o755)).unwrap();
    }
    user.writes("guest.rs", ADD);
    let output = user
        .command(&["build-guest", "guest.rs"])
        .env("PATH", user.path("bin"))
        .env("RUSTUP_HOME", user.path("rustup"))
        .env("RUSTUP_TOOLCHAIN", "mine")
        .output()
        .unwrap();
    let (_, err) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{err}");
    for words in [
        "Adding wasm32-wasip1 to mine",
        "rustup target add --toolchain mine wasm32-wasip1` failed (offline?)",
        "What to type",
    ] {
        assert!(err.contains(words), "{words} in:\n{err}");
    }
}

#[test]
fn two_modules_are_compared_in_their_own_terms() {
    let user = User::new();
    user.writes("guest.rs", ADD);
    user.does(&["build-guest", "guest.rs", "-o", "a.wasm"]);
    user.writes("guest.rs", &ADD.replace("add", "sum"));
    user.does(&["build-guest", "guest.rs", "-o", "b.wasm"]);
    user.does(&["diff", "a.wasm", "a.wasm"]);
    let output = user.types(&["diff", "a.wasm", "b.wasm"]);
    assert_eq!(output.status.code(), Some(1));
    let (out, _) = texts(&output);
    assert!(
        out.contains("- add: func") && out.contains("+ sum: func"),
        "{out}"
    );
    let (json, _) = user.does(&["inspect", "a.wasm", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["exports"][0]["name"], "add");
    assert_eq!(json["exports"][0]["type"], "func (i32, i32) -> i32");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let user = User::new();
    let module =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/rustc-1.95.0/println.wasm");
    let mut child = user
        .command(&["wat", module.to_str().unwrap()])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(texts(&output).1, "");
    assert!(output.status.success());
}

#[test]
fn every_command_has_help_and_completions_exist() {
    let user = User::new();
    for command in [
        "build-guest",
        "run",
        "watch",
        "wat",
        "inspect",
        "diff",
        "fixtures",
        "toolchain",
        "new",
        "completions",
        "link",
    ] {
        let (help, _) = user.does(&[command, "--help"]);
        assert!(help.contains("Usage"), "{help}");
        assert!(
            help.contains("Example") && help.contains("cargo xtask"),
            "{help}"
        );
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(user.does(&["completions", shell]).0.contains("build-guest"));
    }
}

#[test]
fn a_misspelt_function_of_the_hosts_is_noticed() {
    let user = User::new();
    let source = |name: &str| {
        format!(
            "extern \"C\" {{ fn {name}(pointer: i64, offset: u8) -> i32; }}\n\
             #[no_mangle]\npub extern \"C\" fn f(p: i64) -> i32 {{ unsafe {{ {name}(p, 2) }} }}\n"
        )
    };
    for (name, is_noticed) in [("raed", true), ("read", false), ("lookup", false)] {
        user.writes("f.rs", &source(name));
        let (_, said) = user.does(&["build-guest", "f.rs"]);
        let warning = "env.raed, which genkan's host does not have: is env.read meant?";
        assert_eq!(said.contains(warning), is_noticed, "{name}: {said}");
    }
    user.writes(
        "f.rs",
        "#[link(wasm_import_module = \"genkan\")]\nextern \"C\" { fn raed_u8(p: u64, o: u32) -> u32; }\n\
         #[no_mangle]\npub extern \"C\" fn f(p: u64) -> u32 { unsafe { raed_u8(p, 2) } }\n",
    );
    let (_, said) = user.does(&["build-guest", "f.rs"]);
    assert!(said.contains("is genkan.read_u8 meant?"), "{said}");
}

/// cargo 1.63 cannot be told to make a module of a library that is none.
#[test]
fn a_package_is_built_with_the_oldest_toolchain() {
    let user = User::new();
    let manifest = |lib: &str| {
        format!(
            "[package]\nname = \"old\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{lib}[workspace]\n"
        )
    };
    user.writes(
        "old/src/lib.rs",
        "#[no_mangle]\npub extern \"C\" fn f() -> u8 { 7 }\n",
    );
    user.writes(
        "old/Cargo.toml",
        &manifest("[lib]\ncrate-type = [\"cdylib\"]\n"),
    );
    let build = ["build-guest", "old", "--rustc", "1.63.0", "-o", "old.wasm"];
    user.does(&build);
    assert!(user.reads("old.wasm").starts_with(b"\0asm"));
    user.writes("old/Cargo.toml", &manifest(""));
    let said = user.fails(1, &build);
    assert!(said.contains("crate-type = [\"cdylib\"]"), "{said}");
    let manifest = "[workspace]\nmembers = [\".\"]\n[workspace.package]\nversion = \"0.1.0\"\n\
                    [package]\nname = \"old\"\nversion.workspace = true\nedition = \"2021\"\n";
    user.writes("old/Cargo.toml", manifest);
    let said = user.fails(1, &build);
    assert!(said.contains("workspace-inheritance"), "{said}");
    assert!(
        said.contains("the compiler's own cargo cannot read the package"),
        "{said}"
    );
}
