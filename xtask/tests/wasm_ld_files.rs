//! Files that the linker's command line takes and makes besides objects and modules:
//! stub libraries, bitcode, archives for `--reproduce`; and what it tells of symbols.
//! Compared with rust-lld where it does the same.

mod linkers;

use std::path::Path;
use std::process::Output;

use linkers::forge::{archive, text};
use wasmparser::{Parser, Payload};

const USER: &str = "
import helper () -> i32
import host (i32) -> i32
func test () -> i32 export
  i32.const 7
  call host
  drop
  call helper
func dead () -> i32
  i32.const 1
data unused .data.unused
  \"1234\"
";

/// Both linkers' names, outputs and modules, in the same folder with the same
/// arguments.
fn both(folder: &Path, arguments: &[&str]) -> [(&'static str, Output, Vec<u8>); 2] {
    let (toolchain, _) = linkers::toolchain();
    let mut ours = std::process::Command::new(env!("CARGO_BIN_EXE_xtask"));
    ours.arg("link");
    let commands = [("ours", ours), ("theirs", linkers::rust_lld(&toolchain))];
    commands.map(|(who, mut command)| {
        command.args(arguments).current_dir(folder);
        let place = folder.join("out.wasm");
        let _ = std::fs::remove_file(&place);
        let output = command.output().unwrap();
        (who, output, std::fs::read(place).unwrap_or_default())
    })
}

/// A folder with `user.o`, and `lib.a` of `helper.o` and `needed.o`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let object = |source: &str| text::object(source).bytes();
    let function = |name: &str, n: i32| object(&format!("func {name} () -> i32\n  i32.const {n}"));
    let members = [
        ("helper.o".to_owned(), function("helper", 3)),
        ("needed.o".to_owned(), function("needed", 4)),
    ];
    std::fs::write(folder.path().join("user.o"), object(USER)).unwrap();
    std::fs::write(folder.path().join("lib.a"), archive::write(&members)).unwrap();
    folder
}

#[test]
fn stub_libraries_name_the_host_s_functions_and_what_they_need() {
    let folder = folder();
    let folder = folder.path();
    let stub = |text: &str| std::fs::write(folder.join("host.so"), text).unwrap();
    let arguments = ["user.o", "lib.a", "host.so", "--no-entry", "-o", "out.wasm"];
    stub("#STUB\n# of the host\nhost: needed\nunused: absent\n");
    for (who, output, module) in both(folder, &arguments) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{who}: {stderr}");
        let interface: Vec<_> = linkers::interface(&module).into_iter().collect();
        let expected = [
            "export memory: memory",
            "export needed: func [] -> [I32]",
            "export test: func [] -> [I32]",
            "import env.host: func [I32] -> [I32]",
        ];
        assert_eq!(interface, expected, "{who}");
        let end = linkers::engine::run(&module).end;
        assert_eq!(end, ["needed: 4", "test: 3"], "{who}");
    }
    stub("#STUB\nhost: needed, absent\n");
    for (who, output, _) in both(folder, &arguments) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{who}");
        let text = "error: host.so: undefined symbol: absent. Required by host";
        assert!(stderr.contains(text), "{who}: {stderr}");
    }
    stub("#STUB\n");
    for (who, output, _) in both(folder, &arguments) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("undefined symbol: host"), "{who}: {stderr}");
    }
}

#[test]
fn symbols_are_traced_and_what_is_left_out_is_listed() {
    let folder = folder();
    std::fs::write(folder.path().join("host.so"), "#STUB\nhost: needed").unwrap();
    let arguments = ["user.o", "lib.a", "host.so", "--no-entry", "-o", "out.wasm"];
    for options in [
        &["--trace-symbol=helper", "-y", "test", "-yhost"][..],
        &["--print-gc-sections"],
        &["--print-gc-sections", "--no-print-gc-sections"],
    ] {
        let arguments = [&arguments[..], options].concat();
        let [ours, theirs] = both(folder.path(), &arguments);
        let lines = |(_, output, _): (_, Output, _)| -> Vec<String> {
            let text = String::from_utf8(output.stdout).unwrap();
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            // Which is first told of an archive's members is up to the linker.
            lines.sort();
            lines
        };
        assert_eq!(lines(ours), lines(theirs), "{options:?}");
    }
}

#[test]
fn bitcode_is_named_with_its_member_and_what_to_do() {
    let folder = folder();
    let folder = folder.path();
    let bitcode = b"BC\xC0\xDE0123".to_vec();
    let members = [("optimise.o".to_owned(), bitcode.clone())];
    std::fs::write(folder.join("bitcode.o"), bitcode).unwrap();
    std::fs::write(folder.join("bitcode.a"), archive::write(&members)).unwrap();
    for (arguments, origin) in [
        (&["bitcode.o"][..], "bitcode.o"),
        (&["--whole-archive", "bitcode.a"], "bitcode.a(optimise.o)"),
    ] {
        let arguments = [arguments, &["--no-entry", "-o", "out.wasm"]].concat();
        let [(_, ours, _), _] = both(folder, &arguments);
        let stderr = String::from_utf8(ours.stderr).unwrap();
        assert_eq!(ours.status.code(), Some(1));
        let text = format!("error: {origin}: LLVM bitcode");
        assert!(stderr.contains(&text), "{stderr}");
        assert!(stderr.contains("-C lto"), "{stderr}");
    }
}

/// A library may have been packed for two machines: what is not for this one is
/// passed over, with a warning, and looked for in the next.
#[test]
fn members_for_another_machine_are_passed_over() {
    let folder = folder();
    let folder = folder.path();
    // An index that says that an ELF object has what `lib.a` has, too.
    let index = archive::index(1, &[84], b"helper\0");
    let mut mixed = b"!<arch>\n".to_vec();
    archive::member(&mut mixed, "/", &index);
    assert_eq!(mixed.len(), 84);
    archive::member(&mut mixed, "elf.o/", b"\x7fELF and so on");
    std::fs::write(folder.join("mixed.a"), mixed).unwrap();
    let more = ["lib.a", "--allow-undefined", "--no-entry", "-o", "out.wasm"];
    for first in [
        &["user.o", "mixed.a"][..],
        &["user.o", "--whole-archive", "mixed.a", "--no-whole-archive"],
    ] {
        let arguments = [first, &more].concat();
        // wasm-ld does so as well, but reads the member before it says so.
        let [(_, output, module), _] = both(folder, &arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        let warning = "warning: mixed.a(elf.o): neither";
        assert!(stderr.contains(warning), "{stderr}");
        let end = linkers::engine::run(&module).end;
        assert!(end.iter().any(|it| it == "test: 3"), "{end:?}");
    }
}

/// The archive links the same, in another folder, by either linker.
#[test]
fn an_archive_of_the_inputs_links_the_same() {
    let folder = folder();
    let folder = folder.path();
    std::fs::create_dir(folder.join("a folder")).unwrap();
    std::fs::rename(folder.join("lib.a"), folder.join("a folder/libhelp.a")).unwrap();
    let arguments = [
        "user.o",
        "-La folder",
        "-lhelp",
        "--allow-undefined",
        "--no-entry",
        "--export",
        "needed",
        "-o",
        "a folder/out.wasm",
        "--reproduce=all.tar",
    ];
    let [(_, ours, _), _] = both(folder, &arguments[..9]);
    assert!(ours.status.success());
    let mut ours = std::process::Command::new(env!("CARGO_BIN_EXE_xtask"));
    let ours = ours.arg("link").args(arguments).current_dir(folder);
    assert!(ours.status().unwrap().success());
    let module = std::fs::read(folder.join("a folder/out.wasm")).unwrap();

    let elsewhere = tempfile::tempdir().unwrap();
    let packed = std::fs::File::open(folder.join("all.tar")).unwrap();
    tar::Archive::new(packed).unpack(elsewhere.path()).unwrap();
    let unpacked = elsewhere.path().join("all");
    let version = std::fs::read_to_string(unpacked.join("version.txt")).unwrap();
    assert!(version.starts_with("genkan "), "{version}");
    let mut again = std::process::Command::new(env!("CARGO_BIN_EXE_xtask"));
    let again = again.args(["link", "@response.txt"]).current_dir(&unpacked);
    assert!(again.status().unwrap().success());
    assert!(std::fs::read(unpacked.join("out.wasm")).unwrap() == module);
    for (who, output, _) in both(&unpacked, &["@response.txt"]) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{who}: {stderr}");
    }
}

#[test]
fn pages_may_be_single_bytes() {
    let folder = folder();
    let arguments = [
        "user.o",
        "lib.a",
        "--allow-undefined",
        "--no-entry",
        "--page-size=1",
        "-zstack-size=64",
        "-o",
        "out.wasm",
    ];
    let mut pages = Vec::new();
    for (who, output, module) in both(folder.path(), &arguments) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{who}: {stderr}");
        linkers::validate(who, &module);
        for payload in Parser::new(0).parse_all(&module) {
            if let Payload::MemorySection(memories) = payload.unwrap() {
                let memory = memories.into_iter().next().unwrap().unwrap();
                assert_eq!(memory.page_size_log2, Some(0), "{who}");
                pages.push(memory.initial);
            }
        }
        let mut config = wasmi::Config::default();
        config.wasm_custom_page_sizes(true);
        wasmi::Module::new(&wasmi::Engine::new(&config), &module).unwrap();
    }
    assert_eq!(pages, [64, 64]);
    let [(_, ours, _), _] = both(folder.path(), &["user.o", "-o", "x.wasm", "--page-size=2"]);
    let stderr = String::from_utf8(ours.stderr).unwrap();
    assert!(
        stderr.contains("--page-size=N must be either 1 or 65536"),
        "{stderr}"
    );
}
