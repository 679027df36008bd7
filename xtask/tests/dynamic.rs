//! A program and a library in C, linked each by itself, by genkan or by rust-lld, and
//! put together by a dynamic linker in node: functions, data and pointers to both go in
//! both directions, and the result is that of a static link.

mod linkers;

use std::path::Path;
use std::process::Command;

use genkan::toolchain::{self, Toolchain};
use xtask::clang;

/// How the program is linked.
const PROGRAMS: [&[&str]; 2] = [
    &["-pie", "--no-entry", "--import-memory", "--export-dynamic"],
    // With a place of its own.
    &[
        "--no-entry",
        "--export-dynamic",
        "--export-table",
        "--growable-table",
        "--export=__heap_base",
    ],
];

/// How the library is linked.
const LIBRARIES: [&[&str]; 3] = [
    &["-shared"],
    &["-shared", "-Bsymbolic"],
    &["-shared", "--no-gc-sections"],
];

fn compile(folder: &Path, name: &str, options: &[&str]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/dynamic/{name}.c"));
    let mut command = Command::new(clang::newest().unwrap());
    command
        .args(["--target=wasm32-unknown-unknown", "-O1", "-fno-builtin"])
        .args([
            "-ffunction-sections",
            "-fdata-sections",
            "-fvisibility=default",
        ])
        .args(options)
        .arg("-c")
        .arg(source)
        .current_dir(folder);
    toolchain::output(&mut command).unwrap();
}

/// The module that one linker makes, which must be valid.
fn link(by_us: bool, toolchain: &Toolchain, folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let arguments: Vec<String> = arguments.iter().map(|&it| it.to_owned()).collect();
    let what = arguments.join(" ");
    let module = match by_us {
        true => linkers::ours(folder, &arguments).module(&what),
        false => linkers::theirs(toolchain, folder, &arguments).module(&what),
    };
    linkers::validate(&what, &module);
    module
}

/// What `test` returns.
fn run(folder: &Path, modules: &[(&str, &[u8])]) -> String {
    let mut node = Command::new("node");
    node.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dynamic/node.mjs"));
    for (name, module) in modules {
        std::fs::write(folder.join(name), module).unwrap();
        node.arg(folder.join(name));
    }
    toolchain::output(&mut node).unwrap().trim().to_owned()
}

#[test]
#[cfg_attr(
    not(all(has_clang, has_node)),
    ignore = "clang 16 or newer and node are not both installed"
)]
fn a_program_and_a_library_find_each_other() {
    let (toolchain, _) = linkers::toolchain();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for name in ["main", "side"] {
        compile(folder, name, &["-fPIC"]);
    }
    let dynamic = ["--experimental-pic", "--unresolved-symbols=import-dynamic"];
    let linked = |by_us, file: &str, options: &[&str]| {
        let arguments = [
            &[file],
            &dynamic[..],
            options,
            &["--export-if-defined=test"],
        ]
        .concat();
        link(by_us, &toolchain, folder, &arguments)
    };
    let whole = ["main.o", "side.o", "--no-entry", "--export=test"];
    let whole = linkers::engine::run(&link(false, &toolchain, folder, &whole));
    let expected = whole.end[0].strip_prefix("test: ").unwrap();
    for (program, library) in PROGRAMS
        .iter()
        .flat_map(|p| LIBRARIES.iter().map(move |l| (p, l)))
    {
        for (program_is_ours, library_is_ours) in [(true, true), (true, false), (false, true)] {
            let main = linked(program_is_ours, "main.o", program);
            let side = linked(library_is_ours, "side.o", library);
            let result = run(folder, &[("main.wasm", &main), ("side.so", &side)]);
            let who = (program_is_ours, library_is_ours);
            assert_eq!(result, expected, "{program:?} {library:?} {who:?}");
        }
    }
    // Where constants may be sums, no function has to set globals.
    let sums = ["-shared", "-Bsymbolic", "--extra-features=extended-const"];
    let has_start = |module: &[u8]| {
        let mut payloads = wasmparser::Parser::new(0).parse_all(module);
        payloads.any(|it| matches!(it, Ok(wasmparser::Payload::StartSection { .. })))
    };
    assert!(has_start(&linked(true, "side.o", &sums[..2])));
    assert!(!has_start(&linked(true, "side.o", &sums)));
    // Both libraries' interfaces are those of wasm-ld's.
    for options in PROGRAMS.iter().chain(&LIBRARIES) {
        let file = if options[0] == "-shared" {
            "side.o"
        } else {
            "main.o"
        };
        let (ours, theirs) = (linked(true, file, options), linked(false, file, options));
        let interfaces = (linkers::interface(&ours), linkers::interface(&theirs));
        assert_eq!(interfaces.0, interfaces.1, "{options:?}");
    }
}

/// What a dynamic linker is told: the section `dylink.0`.
fn dylink(module: &[u8]) -> Vec<u8> {
    let payloads = wasmparser::Parser::new(0).parse_all(module);
    let mut sections = payloads.filter_map(|it| match it.unwrap() {
        wasmparser::Payload::CustomSection(it) if it.name() == "dylink.0" => Some(it.data()),
        _ => None,
    });
    sections.next().unwrap().to_owned()
}

#[test]
#[cfg_attr(
    not(all(has_clang, has_node)),
    ignore = "clang 16 or newer and node are not both installed"
)]
fn a_shared_library_is_an_input() {
    let (toolchain, _) = linkers::toolchain();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for name in ["main", "side"] {
        compile(folder, name, &["-fPIC"]);
    }
    let whole = ["main.o", "side.o", "--no-entry", "--export=test"];
    let whole = linkers::engine::run(&link(false, &toolchain, folder, &whole));
    let expected = whole.end[0].strip_prefix("test: ").unwrap();
    let side = [
        "side.o",
        "-shared",
        "--experimental-pic",
        "--unresolved-symbols=import-dynamic",
    ];
    for library_is_ours in [true, false] {
        let side = link(library_is_ours, &toolchain, folder, &side);
        std::fs::write(folder.join("libside.so"), &side).unwrap();
        for (program, library) in [(PROGRAMS[0], "-lside"), (PROGRAMS[1], "-l:libside.so")] {
            let search = ["main.o", "-L.", library, "--export=test", "-rpath", "lib"];
            let arguments = [&search[..], &["--experimental-pic"], program].concat();
            let main = link(true, &toolchain, folder, &arguments);
            let result = run(folder, &[("main.wasm", &main), ("side.so", &side)]);
            assert_eq!(result, expected, "{program:?} {library_is_ours}");
            // LLD of LLVM 22 does not do it for a program with a place of its own: it
            // writes null for the library's addresses in data.
            if program == PROGRAMS[0] {
                let theirs = link(false, &toolchain, folder, &arguments);
                assert_eq!(dylink(&main), dylink(&theirs));
                assert_eq!(linkers::interface(&main), linkers::interface(&theirs));
            }
        }
    }
    // What no library has is missing all the same, and so is a function of another type.
    std::fs::write(
        folder.join("wrong.c"),
        "long long side_fn(long long); int nowhere(void);
         long long wrong(void) { return side_fn(nowhere()); }",
    )
    .unwrap();
    let mut clang = Command::new(clang::newest().unwrap());
    clang
        .args(["--target=wasm32-unknown-unknown", "-fPIC", "-c", "wrong.c"])
        .arg("-fvisibility=default")
        .current_dir(folder);
    toolchain::output(&mut clang).unwrap();
    let arguments = ["wrong.o", "libside.so", "-shared", "--experimental-pic"];
    let arguments = |more: &[&str]| -> Vec<String> {
        [&arguments, more]
            .concat()
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let failed = linkers::ours(folder, &arguments(&[]));
    assert!(failed.module.is_none());
    for text in ["function signature mismatch: side_fn", "in libside.so"] {
        assert!(failed.stderr.contains(text), "{}", failed.stderr);
    }
    let failed = linkers::ours(folder, &arguments(&["--no-shlib-sigcheck"]));
    assert!(failed.module.is_none());
    let text = "wrong.o: undefined symbol: nowhere";
    assert!(failed.stderr.contains(text), "{}", failed.stderr);
}

#[test]
#[cfg_attr(not(has_clang), ignore = "clang 16 or newer is not installed")]
fn what_is_not_position_independent_is_named() {
    let folder = tempfile::tempdir().unwrap();
    compile(folder.path(), "side", &[]);
    let arguments = ["side.o", "-shared", "--unresolved-symbols=import-dynamic"];
    let ran = linkers::ours(folder.path(), &arguments.map(str::to_owned));
    assert!(ran.module.is_none());
    for text in [
        "side.o: relocation R_WASM_MEMORY_ADDR_LEB cannot be used against symbol `side_data`",
        "recompile with -fPIC",
        "warning: creating shared libraries, with -shared, is not yet stable",
    ] {
        assert!(
            ran.stderr.contains(text),
            "{text} is not in:\n{}",
            ran.stderr
        );
    }
}
