//! The command line: what it prints, and the codes that it exits with.

mod guests;

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs the host; its exit code, and what it printed on stdout and stderr.
fn host(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_genkan-host"))
        .args(args)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn prints(args: &[&str], expected: &str) {
    assert_eq!(host(args), (0, expected.into(), String::new()), "{args:?}");
}

fn fails(args: &[&str], message: &str) {
    let (code, stdout, stderr) = host(args);
    assert_eq!((code, stdout.as_str()), (1, ""), "{args:?}: {stderr}");
    assert!(stderr.starts_with("error: "), "{stderr}");
    assert!(stderr.contains(message), "{args:?}: {stderr}");
}

fn file(name: &str, contents: impl AsRef<[u8]>) -> String {
    let path = guests::folder().join(name);
    std::fs::write(&path, contents).unwrap();
    path.to_str().unwrap().into()
}

#[test]
fn the_memos_job() {
    let calc = guests::example("calc");
    let calc = calc.to_str().unwrap();
    prints(
        &[calc, "--invoke", "calc", "--data", "0,1,2,3", "20"],
        "result: 22\n",
    );
    prints(&[calc, "--data", "0,0x1,0xff", "255"], "result: 510\n");
    prints(&[calc, "20", "--data", "0,1,2,3"], "result: 22\n");
    let three = file("three.bin", [7, 8, 9]);
    prints(&[calc, "--data-file", &three, "1"], "result: 10\n");
    // The memo's hazard: this must be no 278.
    fails(
        &[calc, "--data", "0,1,2,3", "276"],
        "argument 2 of calc(i64, i32) -> i32: 276 is not in 0..=255",
    );
    fails(
        &[calc, "--data", "0,1,2,3", "--", "-1"],
        "-1 is not in 0..=255",
    );
    fails(
        &[calc, "--data", "0,1,2,3", "276u8"],
        "276 is not in 0..=255",
    );
    fails(&[calc, "--data", "0,1", "20"], "has 2 bytes");
    fails(&[calc, "--data", "", "20"], "has 0 bytes");
    fails(&[calc, "0", "20"], "0 is never a valid pointer");
    fails(
        &[calc, "4096", "20"],
        "no region that this guest was granted",
    );
}

#[test]
fn what_is_wrong_with_the_call() {
    let add = file(
        "add.wat",
        r#"(module
            (func (export "add") (param i32 i32) (result i32)
                (i32.add (local.get 0) (local.get 1)))
            (func (export "wide") (param i64 f64) (result f64)
                (f64.add (f64.convert_i64_s (local.get 0)) (local.get 1)))
            (func (export "two") (result i32 i64) (i32.const 1) (i64.const 2))
            (func (export "none"))
            (@custom "genkan.calls.1" "export most() -> u64\n")
            (func (export "least") (result i64) (i64.const -1))
            (func (export "most") (result i64) (i64.const -1))
            (func $inner unreachable)
            (func $outer (export "trap") (call $inner)))"#,
    );
    prints(&[&add, "--invoke", "add", "1", "2"], "result: 3\n");
    prints(
        &[&add, "--invoke", "add", "70000i32", "2u8"],
        "result: 70002\n",
    );
    prints(
        &[&add, "--invoke", "add", "--", "-70000i32", "2"],
        "result: -69998\n",
    );
    // A suffix makes it no option.
    prints(
        &[&add, "--invoke", "add", "-70000i32", "-2i8"],
        "result: -70002\n",
    );
    prints(&[&add, "--invoke", "wide", "-3", "0.5"], "result: -2.5\n");
    // What may be a u64, and what says that it is one.
    prints(
        &[&add, "--invoke", "least"],
        "result: -1 (as a u64: 18446744073709551615)\n",
    );
    prints(
        &[&add, "--invoke", "most"],
        "result: 18446744073709551615\n",
    );
    prints(&[&add, "--invoke", "two"], "result: 1, 2\n");
    prints(&[&add, "--invoke", "none"], "");
    fails(
        &[&add, "--invoke", "add", "1"],
        "add(i32, i32) -> i32 takes 2 arguments, but 1 was given",
    );
    fails(
        &[&add, "--invoke", "add", "1", "x"],
        "\"x\" is not a number",
    );
    fails(
        &[&add, "--invoke", "sub"],
        "exports no function \"sub\"; it exports add(i32, i32) -> i32, ",
    );
    fails(&[&add], "it exports add(i32, i32) -> i32");
    fails(
        &[&add, "--invoke", "none", "--data", "1"],
        "takes 0 arguments, but 1 was given",
    );
    fails(
        &[&add, "--invoke", "trap"],
        "unreachable\n  in inner\n  in outer",
    );
}

#[test]
fn what_is_wrong_with_the_module() {
    fails(&["/no/such/file.wasm"], "/no/such/file.wasm: No such file");
    fails(&[&file("text.wasm", "hello")], "not a Wasm module");
    fails(&[&file("empty.wasm", "")], "it is empty");
    fails(
        &[&file("cut.wasm", b"\0asm\x01\0\0\0\x01")],
        "not a Wasm module",
    );
    fails(
        &[&file("component.wasm", b"\0asm\x0d\0\x01\0")],
        "a component",
    );
    fails(
        &[&file("bad.wat", "(module (func (result i32)))")],
        "cannot compile",
    );
    fails(&[&file("worse.wat", "(module (fun))")], "not a Wasm module");
    fails(
        &[&file(
            "import.wat",
            r#"(module (import "env" "f" (func (param i32))))"#,
        )],
        "exports no function",
    );
    fails(
        &[&file(
            "import2.wat",
            r#"(module (import "env" "f" (func (param i32))) (func (export "g")))"#,
        )],
        "imports the function env.f(i32), which the host does not offer",
    );
}

#[test]
fn an_object_is_not_a_module() {
    // A module with a `linking` section, as compilers write objects.
    let object = b"\0asm\x01\0\0\0\0\x09\x07linking\x02";
    fails(&[&file("object.o", object)], "cargo xtask build-guest");
}

#[test]
fn a_programs_code_is_the_hosts() {
    let program = guests::rust(
        "program_code",
        r#"fn main() {
            let args: Vec<String> = std::env::args().skip(1).collect();
            println!("{args:?} {:?}", std::env::var("V"));
            std::process::exit(args.len() as i32)
        }"#,
    );
    let program = program.to_str().unwrap();
    let (code, stdout, _) = host(&[program, "--env", "V=1", "a", "b", "c"]);
    assert_eq!(
        (code, stdout.as_str()),
        (3, "[\"a\", \"b\", \"c\"] Ok(\"1\")\n")
    );
    let (code, stdout, _) = host(&[program, "--", "--env", "V=1"]);
    assert_eq!(
        (code, stdout.as_str()),
        (2, "[\"--env\", \"V=1\"] Err(NotPresent)\n")
    );
    let (code, ..) = host(&[program]);
    assert_eq!(code, 0);
}

#[test]
fn limits_end_a_guest() {
    let text = r#"(module (memory 1) (func (export "f") (loop (br 0))))"#;
    let endless = file("endless.wat", text);
    fails(&[&endless, "--fuel", "10000"], "used up its fuel");
    fails(&[&endless, "--timeout", "0.05"], "did not end within 50ms");
    fails(&[&endless, "--max-memory", "0"], "0 bytes of memory");
}

#[test]
fn usage_errors_are_clap_s() {
    assert_eq!(host(&[]).0, 2);
    assert_eq!(host(&["x.wasm", "--nonsense"]).0, 2);
    assert_eq!(host(&["x.wasm", "--timeout", "soon"]).0, 2);
    let (code, help, _) = host(&["--help"]);
    assert_eq!(code, 0);
    for said in ["Examples:", "Exit codes:", "--invoke", "1000u32"] {
        assert!(help.contains(said), "{said}");
    }
    fails(&["x.wasm", "--data", "256"], "");
    let calc = guests::example("calc");
    fails(
        &[calc.to_str().unwrap(), "--data", "256", "1"],
        "not a byte",
    );
}

#[test]
fn nobody_needs_to_read_the_result() {
    let calc = guests::example("calc");
    let mut child = Command::new(env!("CARGO_BIN_EXE_genkan-host"))
        .args([calc.to_str().unwrap(), "--data", "0,1,2,3", "20"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_cache_is_used_the_second_time() {
    let calc = guests::example("calc");
    let cache = guests::folder().join(format!("cli-cache-{}", std::process::id()));
    let cache = cache.to_str().unwrap();
    for _ in 0..2 {
        prints(
            &[
                calc.to_str().unwrap(),
                "--cache",
                cache,
                "--data",
                "0,1,2,3",
                "20",
            ],
            "result: 22\n",
        );
    }
    // The guest, which needs no carried module.
    assert_eq!(Path::new(cache).read_dir().unwrap().count(), 1);
    std::fs::remove_dir_all(cache).unwrap();
}

/// A module whose compilation takes more than a second, in a debug build.
fn large() -> String {
    let step = "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.const 1)))";
    let block = format!("(if (i32.and (local.get 0) (i32.const 2)) (then {step}))").repeat(20);
    let function = format!("(func (param i32) (result i32) {block} (local.get 0))\n");
    let functions = function.repeat(if cfg!(debug_assertions) { 400 } else { 20_000 });
    format!("(module {functions} (func (export \"run\") (result i32) (i32.const 5)))")
}

/// On a terminal, who waits sees for what; anywhere else, nothing is added.
#[test]
fn long_compilation_says_so_on_a_terminal_alone() {
    let module = file("large.wat", large());
    let (code, stdout, stderr) = host(&[&module, "--invoke", "run"]);
    assert_eq!((code, &*stdout, &*stderr), (0, "result: 5\n", ""));
    let command = format!(
        "{} {module} --invoke run",
        env!("CARGO_BIN_EXE_genkan-host")
    );
    let terminal = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output();
    let Ok(output) = terminal else {
        eprintln!("not tested: there is no `script`, which gives a terminal");
        return;
    };
    let seen = String::from_utf8(output.stdout).unwrap();
    assert!(
        seen.contains("\r\u{1b}[K   Compiling large.wat (1 s)"),
        "{seen:?}"
    );
    // It is gone before anything else is printed.
    assert!(seen.ends_with("\r\u{1b}[Kresult: 5\r\n"), "{seen:?}");
    let calc = guests::example("calc");
    let calc = calc.to_str().unwrap();
    let command = format!(
        "{} {calc} --data 0,1,2,3 20",
        env!("CARGO_BIN_EXE_genkan-host")
    );
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "result: 22\r\n");
}

#[test]
fn a_profile_is_written_however_the_guest_ends() {
    let text = r#"(module
        (func $busy (param $n i32)
            (loop (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
        (func (export "returns") (param i32) (call $busy (local.get 0)))
        (func (export "traps") (param i32) (call $busy (local.get 0)) unreachable))"#;
    let module = file("profiled.wat", text);
    let folded = file("profiled.txt", "");
    for (function, expected) in [("returns", 0), ("traps", 1)] {
        let args = [
            &*module,
            "--invoke",
            function,
            "--profile",
            &folded,
            "200000000u32",
        ];
        assert_eq!(host(&args).0, expected);
        let stacks = std::fs::read_to_string(&folded).unwrap();
        assert!(stacks.contains(&format!("{function};busy ")), "{stacks}");
    }
    let args = [&*module, "--invoke", "returns", "--profile", "/", "1"];
    fails(&args, "cannot write /");
    assert_eq!(host(&[&*module, "--profile-rate", "5"]).0, 2);
    assert_eq!(
        host(&[&*module, "--profile", "x", "--profile-rate", "0"]).0,
        2
    );
}

#[test]
fn a_directory_is_given_with_dir() {
    let program = guests::rust(
        "copies_a_file",
        r#"fn main() {
            let mut args = std::env::args().skip(1);
            let (from, to) = (args.next().unwrap(), args.next().unwrap());
            match std::fs::copy(from, to) {
                Ok(bytes) => println!("{bytes} bytes"),
                Err(error) => {
                    println!("{:?}", error.kind());
                    std::process::exit(3);
                }
            }
        }"#,
    );
    let program = program.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let texts = folder.path().join("texts");
    std::fs::create_dir(&texts).unwrap();
    std::fs::write(texts.join("a"), "twelve bytes").unwrap();
    let texts = texts.to_str().unwrap();
    let copied = Path::new(texts).join("b");
    let gives = |dir: &str, base: &str| {
        let [from, to] = ["a", "b"].map(|name| format!("{base}/{name}"));
        host(&["--dir", dir, program, &from, &to])
    };
    for (suffix, base) in [
        ("", texts),
        (":rw", texts),
        ("::/here", "/here"),
        ("::/here:rw", "/here"),
        ("::.", "."),
    ] {
        let dir = format!("{texts}{suffix}");
        let expected = (0, "12 bytes\n".into(), String::new());
        assert_eq!(gives(&dir, base), expected, "{dir}");
        assert_eq!(std::fs::read(&copied).unwrap(), b"twelve bytes");
        std::fs::remove_file(&copied).unwrap();
    }
    for (suffix, base) in [(":ro", texts), ("::/here:ro", "/here")] {
        let dir = format!("{texts}{suffix}");
        let expected = (3, "ReadOnlyFilesystem\n".into(), String::new());
        assert_eq!(gives(&dir, base), expected, "{dir}");
        assert!(!copied.exists());
    }
    // Without one, it is said what is missing; and one that is not there is an error of usage.
    let (code, _, stderr) = host(&[program, "a", "b"]);
    assert_eq!(code, 3);
    assert!(
        stderr.starts_with("note: ") && stderr.contains("--dir"),
        "{stderr}"
    );
    let (code, _, stderr) = host(&["--dir", "/nowhere", program, "a", "b"]);
    assert_eq!(code, 2);
    assert!(
        stderr.contains("cannot use /nowhere: No such file"),
        "{stderr}"
    );
}
