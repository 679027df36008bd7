//! The command line of `cargo xtask link`: what it knows is what wasm-ld knows,
//! and what it says is said in wasm-ld's manner.

mod linkers;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use linkers::forge::archive;

fn xtask_link() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("link");
    command
}

fn link(folder: &Path, arguments: &[&str]) -> Output {
    xtask_link()
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

/// Asserts that the link fails with exit code 1, that stderr has `text`, and
/// that no module is left.
fn fails(folder: &Path, arguments: &[&str], text: &str) {
    let output = link(folder, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
    assert!(
        stderr.contains(text),
        "{arguments:?}: {text} is not in: {stderr}"
    );
    assert!(
        stderr.starts_with("wasm-ld: error: "),
        "{arguments:?}: {stderr}"
    );
    assert!(!folder.join("out.wasm").exists(), "{arguments:?}");
}

/// An object whose only function is `name`, exported as it is global.
fn object(folder: &Path, name: &str) -> Vec<u8> {
    let (toolchain, target) = linkers::toolchain();
    let source = folder.join("source.rs");
    let text =
        format!("#![no_std]\n#[no_mangle] pub extern \"C\" fn {name}(n: i32) -> i32 {{ n + 1 }}");
    std::fs::write(&source, text).unwrap();
    let mut rustc = genkan::toolchain::command(&toolchain.rustc);
    rustc.args([
        "--target",
        &target,
        "--crate-type=lib",
        "--emit=obj",
        "-Cpanic=abort",
        "-Copt-level=1",
        "-o",
    ]);
    rustc.arg(folder.join("object.o")).arg(&source);
    genkan::toolchain::output(&mut rustc).unwrap();
    std::fs::read(folder.join("object.o")).unwrap()
}

/// Every spelling of every option, right and wrong, is known to both or neither.
#[test]
fn the_same_options_are_known() {
    let (toolchain, _) = linkers::toolchain();
    let help = linkers::rust_lld(&toolchain)
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let mut names: BTreeSet<String> = help
        .lines()
        .filter_map(|line| line.strip_prefix("  -"))
        .map(|line| {
            let name = line.trim_start_matches('-');
            name.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(names.len() > 90, "{names:?}");
    // What the help leaves out; and what other linkers have.
    names.extend(
        "e i u r disable-verify library library-path import-undefined thinlto-index-only lto-obj-path \
         thinlto-emit-index-files thinlto-emit-imports-files thinlto-object-suffix-replace \
         thinlto-prefix-replace version-script dynamic-list as-needed start-group h w n T \
         no-undefined gdb-index eh-frame-hdr hash-style sysroot"
            .split_whitespace()
            .map(str::to_owned),
    );
    let unknown = |output: Output| -> BTreeSet<String> {
        let stderr = String::from_utf8(output.stderr).unwrap();
        let unknown = stderr
            .lines()
            .filter_map(|line| line.split("unknown argument: ").nth(1));
        unknown.map(str::to_owned).collect()
    };
    let mut unknown_to_both = 0;
    // `--reproduce 1` makes a file of that name.
    let place = tempfile::tempdir().unwrap();
    for name in &names {
        let spellings = ["-N", "--N", "-N=1", "--N=1", "-N1", "--N1"];
        // The `1` after each is the value of an option that takes one from there.
        let arguments = spellings.map(|spelling| [spelling.replace('N', name), "1".into()]);
        let arguments = arguments.as_flattened();
        let mut link = xtask_link();
        link.args(arguments).current_dir(&place);
        let ours = unknown(link.output().unwrap());
        let theirs = unknown(
            linkers::rust_lld(&toolchain)
                .args(arguments)
                .current_dir(&place)
                .output()
                .unwrap(),
        );
        assert_eq!(ours, theirs, "{name}");
        unknown_to_both += ours.len();
    }
    assert!(unknown_to_both > 100);
}

#[test]
fn mistakes_are_told_as_wasm_ld_tells_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("a.o"), object(folder, "_start")).unwrap();
    std::fs::write(folder.join("text.o"), "no object").unwrap();
    std::fs::write(folder.join("bitcode.o"), b"BC\xC0\xDE0123").unwrap();
    for (arguments, text) in [
        (&["a.o"][..], "no output file specified"),
        (&["-o", "out.wasm"], "no input files"),
        (&["nowhere.o", "-o", "out.wasm"], "nowhere.o"),
        (&["text.o", "-o", "out.wasm"], "text.o: unknown file type"),
        (&["bitcode.o", "-o", "out.wasm"], "bitcode.o: LLVM bitcode"),
        (
            &["a.o", "-o", "out.wasm", "--frob"],
            "unknown argument: --frob",
        ),
        (&["a.o", "-o"], "-o: missing argument"),
        (
            &["a.o", "-o", "out.wasm", "-lnothing"],
            "unable to find library -lnothing",
        ),
        (&["a.o", "-o", "out.wasm", "--end-lib"], "stray --end-lib"),
        (
            &["a.o", "-o", "out.wasm", "-r", "--entry=f"],
            "entry point specified for relocatable output file",
        ),
        (
            &["a.o", "-o", "out.wasm", "-r", "--gc-sections"],
            "-r and --gc-sections may not be used together",
        ),
        (
            &[
                "a.o",
                "-o",
                "out.wasm",
                "--shared",
                "--export-memory",
                "--experimental-pic",
            ],
            "--export-memory is incompatible with --shared",
        ),
        (
            &[
                "a.o",
                "-o",
                "out.wasm",
                "-shared",
                "--experimental-pic",
                "--shared-memory",
            ],
            "-shared and -pie with --shared-memory: not implemented",
        ),
        (
            &["a.o", "-o", "out.wasm", "-z", "new", "--fatal-warnings"],
            "unknown -z value: new",
        ),
        (
            &["a.o", "-o", "out.wasm", "--compress-relocations"],
            "--strip-debug",
        ),
        (&["-flavor", "gnu", "a.o", "-o", "out.wasm"], "flavor"),
        (&["a.o", "-o", "out.wasm", "--entry=absent"], "absent"),
    ] {
        fails(folder, arguments, text);
    }
}

#[test]
fn errors_stop_at_their_limit() {
    let arguments: Vec<String> = (0..30).map(|n| format!("--unknown-{n}")).collect();
    let lines = |limit: &[&str]| {
        let output = xtask_link().args(&arguments).args(limit).output().unwrap();
        String::from_utf8(output.stderr).unwrap().lines().count()
    };
    assert_eq!(lines(&[]), 21);
    assert_eq!(lines(&["--error-limit=3"]), 4);
    assert_eq!(lines(&["--error-limit", "0"]), 30);
}

#[test]
fn colours_on_demand_only() {
    let stderr = |option: &str| link(Path::new("."), &["--frob", option]).stderr;
    assert!(stderr("--color-diagnostics").contains(&0x1b));
    assert!(!stderr("--color-diagnostics=never").contains(&0x1b));
    assert!(!stderr("--color-diagnostics=auto").contains(&0x1b));
}

#[test]
fn help_and_version_need_no_input() {
    for (option, text) in [
        ("--help", "Usage: "),
        ("--version", "LLD 22"),
        ("-v", "LLD 22"),
    ] {
        let output = link(Path::new("."), &[option]);
        assert!(output.status.success(), "{option}");
        assert!(
            String::from_utf8(output.stdout).unwrap().contains(text),
            "{option}"
        );
    }
}

#[test]
fn libraries_are_searched_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let object = object(folder, "answer");
    std::fs::create_dir(folder.join("second")).unwrap();
    std::fs::create_dir(folder.join("first")).unwrap();
    let members = [("answer.o".to_owned(), object)];
    std::fs::write(folder.join("second/libanswer.a"), archive::write(&members)).unwrap();
    std::fs::write(folder.join("second/odd.name"), archive::write(&members)).unwrap();
    for library in [
        &["-lanswer"][..],
        &["-l", "answer"],
        &["--library=answer"],
        &["-l:odd.name"],
    ] {
        let mut arguments = vec![
            "--no-entry",
            "--export=answer",
            "-Lfirst",
            "-L",
            "second",
            "-o",
            "out.wasm",
        ];
        arguments.extend(library);
        let output = link(folder, &arguments);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let module = std::fs::read(folder.join("out.wasm")).unwrap();
        assert_eq!(linkers::engine::run(&module).end, ["answer: 2"]);
    }
    // Found nowhere, it is an error; `-L` of a later folder does not help.
    std::fs::remove_file(folder.join("out.wasm")).unwrap();
    fails(
        folder,
        &["--no-entry", "-Lfirst", "-lanswer", "-o", "out.wasm"],
        "-lanswer",
    );
}

#[test]
fn thin_archives_name_their_members() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let object = object(folder, "answer");
    std::fs::create_dir_all(folder.join("lib/objects")).unwrap();
    std::fs::write(folder.join("lib/objects/answer_of_all.o"), &object).unwrap();
    let thin = |name: &str| {
        let mut thin = b"!<thin>\n".to_vec();
        archive::member(&mut thin, "//", format!("{name}/\n").as_bytes());
        let header = format!(
            "{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
            "/0",
            0,
            0,
            0,
            644,
            object.len()
        );
        thin.extend(header.bytes());
        thin
    };
    std::fs::write(folder.join("lib/thin.a"), thin("objects/answer_of_all.o")).unwrap();
    let arguments = [
        "--no-entry",
        "--export=answer",
        "lib/thin.a",
        "-o",
        "out.wasm",
    ];
    let output = link(folder, &arguments);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let module = std::fs::read(folder.join("out.wasm")).unwrap();
    assert_eq!(linkers::engine::run(&module).end, ["answer: 2"]);

    std::fs::remove_file(folder.join("out.wasm")).unwrap();
    // One that is its own member ends in an error, as one without its files does.
    std::fs::write(folder.join("lib/thin.a"), thin("thin.a")).unwrap();
    fails(folder, &arguments, "lib/thin.a");
    std::fs::write(folder.join("lib/thin.a"), thin("gone.o")).unwrap();
    fails(folder, &arguments, "gone.o");
    std::fs::write(folder.join("lib/thin.a"), b"!<thin>\nnonsense").unwrap();
    fails(folder, &arguments, "lib/thin.a");
}

#[test]
fn response_files_replace_long_command_lines() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("an object.o"), object(folder, "answer")).unwrap();
    std::fs::write(
        folder.join("args"),
        "--no-entry --export=answer\n'an object.o' -o \"out.wasm\"",
    )
    .unwrap();
    let output = link(folder, &["@args"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(folder.join("out.wasm").exists());
}

#[cfg(unix)]
#[test]
fn the_module_may_be_executed() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("a.o"), object(folder, "_start")).unwrap();
    let output = link(folder, &["a.o", "-o", "out.wasm"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mode = folder
        .join("out.wasm")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o100, 0o100, "{mode:o}");
}

/// The texts about a link: in wasm-ld's form, as far as it has one.
#[test]
fn listings() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let start = object(folder, "_start");
    std::fs::write(folder.join("a.o"), start).unwrap();
    let members = [("answer.o".to_owned(), object(folder, "answer"))];
    std::fs::write(folder.join("lib.a"), archive::write(&members)).unwrap();
    let arguments = [
        "a.o",
        "lib.a",
        "-u",
        "answer",
        "--export=answer",
        "-o",
        "out.wasm",
    ];
    let listing = |options: &[&str]| {
        let output = link(folder, &[&arguments, options].concat());
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(listing(&["--trace"]), "a.o\nlib.a(answer.o)\n");
    assert_eq!(
        listing(&["--why-extract=-"]),
        "reference\textracted\tsymbol\n<internal>\tlib.a(answer.o)\tanswer\n"
    );
    let map = listing(&["-M"]);
    assert!(
        map.starts_with("    Addr      Off     Size Out     In      Symbol\n"),
        "{map}"
    );
    for text in [
        "CODE",
        "a.o:(_start)",
        "lib.a(answer.o):(answer)",
        "                answer",
    ] {
        assert!(map.contains(text), "{text}: {map}");
    }
    assert_eq!(listing(&["-Map=out.map"]), "");
    assert_eq!(
        std::fs::read_to_string(folder.join("out.map")).unwrap(),
        map
    );
    // The map's places are the module's: a function's body is where it says.
    let module = std::fs::read(folder.join("out.wasm")).unwrap();
    let line = map
        .lines()
        .find(|line| line.ends_with("                answer"))
        .unwrap();
    let columns: Vec<_> = line.split_whitespace().collect();
    let number = |column: usize| usize::from_str_radix(columns[column], 16).unwrap();
    let body = &module[number(1)..number(1) + number(2)];
    assert_eq!(body.last(), Some(&0x0b), "{line}: ends with `end`");
    assert_eq!(
        body[0] as usize,
        body.len() - 1,
        "{line}: begins with its size"
    );
}

#[test]
fn names_are_shown_as_the_options_want_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("a.o"), object(folder, "_start")).unwrap();
    let function = object(folder, "_Z1fi");
    std::fs::write(folder.join("f.o"), &function).unwrap();
    let members = [("f.o".to_owned(), function)];
    std::fs::write(folder.join("lib.a"), archive::write(&members)).unwrap();
    let arguments = ["a.o", "--export=_Z1fi", "-o", "out.wasm"];
    for (option, name) in [("--demangle", "f(int)"), ("--no-demangle", "_Z1fi")] {
        let twice = [&arguments[..], &["f.o", "f.o", option]].concat();
        fails(folder, &twice, &format!("duplicate symbol: {name}\n"));
        let listings = [
            "lib.a",
            "--why-extract=-",
            "-M",
            option,
            "-o",
            "listed.wasm",
        ];
        let output = link(folder, &[&arguments[..2], &listings].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        for line in [
            format!("<internal>\tlib.a(f.o)\t{name}\n"),
            format!("lib.a(f.o):({name})\n"),
        ] {
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
    }
}

/// Any number of threads, any folder: the same bytes.
#[test]
fn the_same_inputs_make_the_same_module() {
    let (toolchain, target) = linkers::toolchain();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diff_rust/collections.rs");
    let folder = tempfile::tempdir().unwrap();
    let arguments = linkers::compile(&toolchain, &target, &source, &["-g"], folder.path());
    let module = |threads: &str| {
        let elsewhere = tempfile::tempdir().unwrap();
        let mut arguments = arguments.clone();
        arguments.push(format!("--threads={threads}"));
        linkers::ours(elsewhere.path(), &arguments).module("collections")
    };
    let first = module("1");
    for threads in ["1", "2", "3", "16"] {
        assert!(module(threads) == first, "{threads} threads");
    }
}
