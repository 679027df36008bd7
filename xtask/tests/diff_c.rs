//! C, C++ and assembly objects linked by genkan and by rust-lld: the modules
//! must do the same, and what the case says. Skipped without clang.
//!
//! A case in `diff_c/` begins with what it shows, then says `link:` (arguments),
//! `archive NAME: MEMBERS`, `result: EXPORT: VALUES` (`any` for what is up to the
//! linker), `output: LINE`, `warning:` or `error: TEXT` that must be said, `exact`
//! where the sizes of memory and table are compared too, `separate` where it matters
//! that the objects are not made one by `-r` first, `libc` for a program
//! over wasi-libc; a line of another kind among these fails. Its files follow,
//! each after `--- NAME FLAGS`.

mod linkers;

use std::path::Path;
use std::process::Command;

use genkan::toolchain::{self, Toolchain};
use linkers::forge::archive;
use linkers::{Size, engine};
use xtask::clang;

/// Options under which every case must do what it says; with sizes compared.
const VARIANTS: [(&[&str], Size); 9] = [
    (&[], Size::Free),
    (&["--emit-relocs"], Size::Free),
    (&["--strip-all"], Size::Compared),
    (&["--strip-all", "-O2"], Size::Compared),
    (&["--icf=safe"], Size::Free),
    (&["--strip-all", "--icf=safe"], Size::Compared),
    (&["--strip-debug", "--compress-relocations"], Size::Free),
    (&["--strip-all", "--no-gc-sections"], Size::Compared),
    (
        &["--strip-all", "--no-merge-data-segments", "-O0"],
        Size::Compared,
    ),
];

/// The arguments of a program over wasi-libc.
fn libc(clang: &Path) -> Vec<String> {
    let libc = clang::wasi_libc(clang).expect("wasi-libc is installed");
    vec![
        format!("-L{}", libc.folder.display()),
        libc.start_up.display().to_string(),
        "a.o".into(),
        "-lc".into(),
        libc.builtins.display().to_string(),
    ]
}

#[derive(Default)]
struct Case {
    link: Vec<String>,
    archives: Vec<(String, Vec<String>)>,
    results: Vec<String>,
    output: Vec<String>,
    warnings: Vec<String>,
    errors: Vec<String>,
    exact: bool,
    separate: bool,
    libc: bool,
    /// Name, flags, contents.
    files: Vec<(String, Vec<String>, String)>,
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Whether a line has the form of a directive: one word, and what it is about.
fn is_directive(line: &str) -> bool {
    let key = line.split_once(':').map_or(line, |(key, _)| key);
    let is_word = !key.contains(' ') || key.starts_with("archive ");
    is_word && key.starts_with(|c: char| c.is_ascii_lowercase())
}

fn read(path: &Path) -> Case {
    let text = std::fs::read_to_string(path).unwrap();
    let mut case = Case::default();
    let mut parts = text.split("--- ");
    let mut in_prose = true;
    for line in parts.next().unwrap().lines() {
        in_prose &= !is_directive(line);
        if in_prose {
            continue;
        }
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim();
        match key {
            "link" => case.link = words(value),
            "result" => case.results.push(value.to_owned()),
            "output" => case.output.push(value.to_owned()),
            "warning" => case.warnings.push(value.to_owned()),
            "error" => case.errors.push(value.to_owned()),
            "exact" => case.exact = true,
            "separate" => case.separate = true,
            "libc" => case.libc = true,
            _ => match key.strip_prefix("archive ") {
                Some(name) => case.archives.push((name.to_owned(), words(value))),
                None => panic!("{}: what is `{line}`?", path.display()),
            },
        }
    }
    for part in parts {
        let (head, contents) = part.split_once('\n').unwrap();
        let mut head = words(head);
        let name = head.remove(0);
        case.files.push((name, head, contents.to_owned()));
    }
    case
}

/// Compiles the case's files into `folder`, and packs its archives.
fn build(case: &Case, clang: &Path, folder: &Path) {
    for (name, flags, contents) in &case.files {
        let path = folder.join(name);
        std::fs::write(&path, contents).unwrap();
        if !["c", "cpp", "s"].contains(&path.extension().unwrap().to_str().unwrap()) {
            continue;
        }
        let mut command = Command::new(clang);
        if case.libc {
            command.args([
                "--target=wasm32-wasip1",
                "-isystem",
                "/usr/include/wasm32-wasi",
            ]);
        } else {
            command.args(["--target=wasm32-unknown-unknown", "-ffreestanding"]);
        }
        command
            .args([
                "-O1",
                "-fno-builtin",
                "-ffunction-sections",
                "-fdata-sections",
                "-w",
                "-c",
            ])
            .args(flags)
            .arg(name)
            .current_dir(folder);
        toolchain::output(&mut command).unwrap();
    }
    for (name, members) in &case.archives {
        let members: Vec<_> = members
            .iter()
            .map(|member| (member.clone(), std::fs::read(folder.join(member)).unwrap()))
            .collect();
        std::fs::write(folder.join(name), archive::write(&members)).unwrap();
    }
}

fn differ(name: &str) {
    let clang = &clang::newest().unwrap();
    let mut case =
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/diff_c/{name}.txt")));
    if case.libc {
        case.link = libc(clang);
    }
    let (toolchain, _) = linkers::toolchain();
    let folder = tempfile::tempdir().unwrap();
    build(&case, clang, folder.path());
    for (options, size) in VARIANTS {
        let what = format!("{name} {options:?}");
        let mut arguments = case.link.clone();
        arguments.extend(options.iter().map(|&option| option.to_owned()));
        let theirs = linkers::theirs(&toolchain, folder.path(), &arguments);
        let ours = linkers::ours(folder.path(), &arguments);
        for text in case.errors.iter().chain(&case.warnings) {
            assert!(
                ours.stderr.contains(text.as_str()),
                "{what}: {text} is not in:\n{}",
                ours.stderr
            );
        }
        if !case.errors.is_empty() {
            assert!(theirs.module.is_none(), "{what}: wasm-ld links it");
            assert!(ours.module.is_none(), "{what}: no error");
            continue;
        }
        if case.warnings.is_empty() {
            assert_eq!(ours.stderr, "", "{what}");
        }
        let (ours, theirs) = (ours.module(&what), theirs.module(&what));
        if case.exact {
            assert_eq!(linkers::limits(&ours), linkers::limits(&theirs), "{what}");
        }
        check(&what, &case, &ours);
        // wasm-ld keeps the other copies of a group's data; and symbols that nothing
        // relocates.
        let keeps_copies = name == "comdat" && options.contains(&"--no-gc-sections");
        if !keeps_copies && !options.contains(&"--emit-relocs") {
            linkers::assert_same(&what, &toolchain, folder.path(), &arguments);
        }
        // What is up to the linker may differ.
        if !case.results.iter().any(|result| result.ends_with(": any")) {
            linkers::assert_alike(&what, &ours, &theirs, size);
        }
    }
    if case.errors.is_empty() && !case.separate {
        relink(name, &case, &toolchain, folder.path());
    }
}

/// The case's objects made one by `-r`, by either linker: what either makes of that
/// does what the case says.
fn relink(name: &str, case: &Case, toolchain: &Toolchain, folder: &Path) {
    let mut in_lib = false;
    let (objects, rest): (Vec<String>, Vec<String>) =
        case.link.iter().cloned().partition(|argument| {
            in_lib = (in_lib || argument == "--start-lib") && argument != "--end-lib";
            !in_lib && argument.ends_with(".o") && !argument.starts_with('-')
        });
    let mut whole = [vec!["-r".into()], objects].concat();
    if rest.iter().any(|argument| argument == "muldefs") {
        whole.push("-zmuldefs".into());
    }
    for by_us in [true, false] {
        let what = format!("{name} -r, {}", if by_us { "ours" } else { "theirs" });
        let object = if by_us {
            linkers::ours(folder, &whole).module(&what)
        } else {
            linkers::theirs(toolchain, folder, &whole).module(&what)
        };
        linkers::validate(&what, &object);
        std::fs::write(folder.join("whole.o"), object).unwrap();
        let arguments = [vec!["whole.o".into()], rest.clone()].concat();
        let theirs = linkers::theirs(toolchain, folder, &arguments);
        // Its `-r` forgets segments to retain and names of exports.
        if !by_us && (theirs.module.is_none() || name == "exports") {
            continue;
        }
        check(
            &format!("{what}, linked by them"),
            case,
            &theirs.module(&what),
        );
        let ours = linkers::ours(folder, &arguments).module(&what);
        check(&format!("{what}, linked by us"), case, &ours);
    }
}

/// Asserts that `module` does what the case says.
fn check(what: &str, case: &Case, module: &[u8]) {
    linkers::validate(what, module);
    let outcome = engine::run(module);
    for result in &case.results {
        let (export, value) = result.split_once(':').unwrap();
        let value = value.trim();
        let end = outcome
            .end
            .iter()
            .find_map(|end| end.strip_prefix(export)?.strip_prefix(": "));
        let end = end.unwrap_or_else(|| panic!("{what}: no export {export}: {:?}", outcome.end));
        match value {
            "any" => {}
            "trap" => assert!(end.starts_with("trap"), "{what}: {export}: {end}"),
            value => assert_eq!(end, value, "{what}: {export}"),
        }
    }
    for line in &case.output {
        assert!(
            outcome.output.lines().any(|it| it == line),
            "{what}: {}",
            outcome.output
        );
    }
}

#[test]
#[should_panic(expected = "what is `eror: no such symbol`?")]
fn a_directive_that_nobody_knows_fails() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("case.txt");
    std::fs::write(&path, "What is wrong.\neror: no such symbol\n--- a.c\n").unwrap();
    read(&path);
}

/// A test for each case, so that they run side by side.
macro_rules! cases {
    ($($case:ident)*; $($libc_case:ident)*) => {
        $(#[test]
        #[cfg_attr(not(has_clang), ignore = "clang 16 or newer is not installed")]
        fn $case() {
            differ(stringify!($case));
        })*

        $(#[test]
        #[cfg_attr(
            not(has_wasi_libc),
            ignore = "clang 16 or newer, its builtins for wasm32 and wasi-libc are not all installed"
        )]
        fn $libc_case() {
            differ(stringify!($libc_case));
        })*

        #[test]
        fn every_case_has_its_test() {
            let tested = [$(stringify!($case),)* $(stringify!($libc_case)),*];
            for path in linkers::cases("diff_c", "txt") {
                let name = path.file_stem().unwrap().to_str().unwrap();
                assert!(tested.contains(&name), "{name}");
            }
        }
    };
}

cases! {
    aliases
    allowed_duplicate
    allowed_undefined
    archives
    assembly
    called_constructors
    commands
    comdat
    constructors
    dead_mention
    debug
    debug_import
    disallowed_feature
    duplicate
    entry
    export_all
    exports
    hidden
    host_memory
    host_memory_filled
    icf
    ignored_undefined
    imported_table
    imports
    layout
    member_order
    mismatch
    missing_export
    mutable_global
    named_exports
    named_memory
    no_entry_symbol
    old_table
    pointers
    retain
    section_symbols
    stack_last
    start_lib
    strings
    table
    thread_local
    unchecked_global
    undefined
    undefined_weak
    variables
    warned_undefined
    weak
    whole_archive
    wide_strings
    wrap;
    // Over wasi-libc:
    program
    returning_program
}
