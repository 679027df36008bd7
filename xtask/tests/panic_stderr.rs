//! `--panic stderr`: one line on standard error, in genkan's host and in engines that know
//! nothing of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use genkan::build_guest::{self, LinkSettings, Memory, PanicMode, Request};
use genkan::guest::Guest;
use genkan::shell::Shell;
use genkan::toolchain;
use wasmi::{Caller, Engine, Extern, Linker, Module, Store, Val};
use xtask::repository::Checkout;

const PROGRAM: &str = r#"
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let n = args.len();
    match n {
        1 => println!("{}", args[n + 3]),
        2 => panic!("constant"),
        3 => panic!("number {n} is too large, {n:?} {:#06x} {0}", n),
        4 => { std::fs::read("nothing").unwrap(); }
        5 => { args.get(9).expect("it is there"); }
        6 => println!("{}", 1 / (n - 6)),
        7 => panic!("{}{n}", concat!(
            "0123456789012345678901234567890123456789012345678901234567890123456789",
            "0123456789012345678901234567890123456789012345678901234567890123456789")),
        8 => panic!("{}", "long ".repeat(1000)),
        9 => { let cell = std::cell::RefCell::new(n); let _a = cell.borrow_mut(); cell.borrow_mut(); }
        _ => println!("hello"),
    }
}
"#;

/// What the line ends in, of the program with so many arguments, its name included.
fn expected() -> Vec<(usize, String)> {
    let long = "0123456789".repeat(14);
    let line = |line: &str| format!("/panic_stderr.rs:{line}\n");
    vec![
        (
            1,
            line("6:33: index out of bounds: the len is 1 but the index is 4"),
        ),
        (2, line("7:14: constant")),
        (3, line("8:14: number {} is too large, {} {} {}")),
        (4, line("9:41: called `Result::unwrap()` on an `Err` value")),
        (5, line("10:28: it is there")),
        (6, line("11:29")),
        (7, line(&format!("12:14: {long}{{}}"))),
        (8, line("15:14: {}")),
        (9, line("16:88")),
    ]
}

fn build(name: &str, source: &str, panic: PanicMode, change: impl FnOnce(&mut Request)) -> Vec<u8> {
    let folder = folder();
    let path = folder.join(format!("{name}.rs"));
    std::fs::write(&path, source).unwrap();
    let shell = Shell {
        quiet: true,
        ..Shell::default()
    };
    let checkout = Checkout::find();
    let context = checkout.context(shell);
    let guest = Guest::find(&context, path.to_str()).unwrap();
    let mut request = Request {
        link: LinkSettings {
            panic: Some(panic),
            // As other engines want it.
            memory: Memory::Export,
            ..LinkSettings::default()
        },
        output: Some(folder.join(format!("{name}-{panic:?}.wasm"))),
        ..Request::new(guest)
    };
    change(&mut request);
    let built = build_guest::build(&context, &request);
    let built = built.unwrap_or_else(|e| panic!("{name}: {e:#}"));
    std::fs::read(built.path).unwrap()
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("panic_stderr");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[derive(Default)]
struct Wasi {
    args: usize,
    stderr: Arc<Mutex<Vec<u8>>>,
}

/// Standard error of a program in wasmi, with as much of WASI as it needs.
fn in_wasmi(wasm: &[u8], args: usize) -> String {
    let engine = Engine::default();
    let module = Module::new(&engine, wasm).unwrap();
    let wasi = Wasi {
        args,
        ..Wasi::default()
    };
    let stderr = Arc::clone(&wasi.stderr);
    let mut store = Store::new(&engine, wasi);
    let mut linker = Linker::new(&engine);
    for import in module.imports() {
        let name = import.name().to_owned();
        let ty = import.ty().func().expect("a function").clone();
        assert_eq!(import.module(), "wasi_snapshot_preview1", "{name}");
        let function = move |mut caller: Caller<'_, Wasi>, args: &[Val], results: &mut [Val]| {
            let memory = caller.get_export("memory").and_then(Extern::into_memory);
            let memory = memory.expect("a memory");
            let arg = |index: usize| args[index].i32().unwrap() as usize;
            let word = |bytes: &[u8], at: usize| {
                u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
            };
            let (bytes, wasi) = memory.data_and_store_mut(&mut caller);
            let errno = match &*name {
                "args_sizes_get" => {
                    for (at, value) in [(arg(0), wasi.args), (arg(1), 2 * wasi.args)] {
                        bytes[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
                    }
                    0
                }
                "args_get" => {
                    for index in 0..wasi.args {
                        let at = arg(0) + 4 * index;
                        let text = arg(1) + 2 * index;
                        bytes[at..at + 4].copy_from_slice(&(text as u32).to_le_bytes());
                        bytes[text..text + 2].copy_from_slice(b"a\0");
                    }
                    0
                }
                "environ_sizes_get" => {
                    for at in [arg(0), arg(1)] {
                        bytes[at..at + 4].fill(0);
                    }
                    0
                }
                "environ_get" => 0,
                "fd_write" => {
                    assert_eq!((arg(0), arg(2)), (2, 1));
                    let (start, len) = (word(bytes, arg(1)), word(bytes, arg(1) + 4));
                    let text = bytes[start..start + len].to_vec();
                    wasi.stderr.lock().unwrap().extend(text);
                    0
                }
                _ => 8,
            };
            if let Some(result) = results.first_mut() {
                *result = Val::I32(errno);
            }
            Ok(())
        };
        let name = import.name();
        linker
            .func_new("wasi_snapshot_preview1", name, ty, function)
            .unwrap();
    }
    let instance = linker.instantiate_and_start(&mut store, &module).unwrap();
    let start = instance.get_typed_func::<(), ()>(&store, "_start").unwrap();
    let error = start.call(&mut store, ()).unwrap_err();
    assert!(error.as_trap_code().is_some(), "{error}");
    let stderr = stderr.lock().unwrap().clone();
    String::from_utf8(stderr).unwrap()
}

/// Standard error of a program in node's WASI; `None` without node.
fn in_node(wasm: &Path, args: usize) -> Option<String> {
    const SCRIPT: &str = "
        const { WASI } = require('node:wasi');
        const [, file, ...args] = process.argv;
        const wasi = new WASI({ version: 'preview1', args });
        const module = new WebAssembly.Module(require('node:fs').readFileSync(file));
        try {
            wasi.start(new WebAssembly.Instance(module, wasi.getImportObject()));
        } catch (error) {
            process.exit(error instanceof WebAssembly.RuntimeError ? 7 : 8);
        }";
    let output = Command::new("node")
        .args(["--no-warnings", "-e", SCRIPT])
        .arg(wasm)
        .args(vec!["a"; args])
        .output()
        .ok()?;
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7), "{stderr}");
    Some(stderr)
}

#[test]
fn other_engines_print_the_line() {
    let wasm = build("panic_stderr", PROGRAM, PanicMode::Stderr, |_| {});
    let file = folder().join("panic_stderr-Stderr.wasm");
    for (args, expected) in expected() {
        let found = in_wasmi(&wasm, args);
        assert!(found.starts_with("panicked at "), "{args}: {found}");
        assert!(found.ends_with(&expected), "{args}: {found} {expected}");
        assert_eq!(found.lines().count(), 1, "{args}: {found}");
        match in_node(&file, args) {
            Some(same) => assert_eq!(same, found, "{args}"),
            None => eprintln!("not run in node: it is not installed"),
        }
    }
}

/// The oldest compiler's `core::fmt::Arguments` is not known; the place and the rest are.
#[test]
fn the_oldest_compiler_has_it_too() {
    let old = toolchain::Request {
        rustc: Some("1.63.0".into()),
        target: None,
    };
    let source = PROGRAM.replace("std::fs::read(\"nothing\").unwrap();", "");
    let name = "panic_stderr";
    let wasm = build(name, &source, PanicMode::Stderr, |request| {
        request.toolchain = old;
        request.output = Some(folder().join("old.wasm"));
    });
    let printed = in_wasmi(&wasm, 1);
    let ends = ": index out of bounds: the len is 1 but the index is 4\n";
    assert!(printed.contains("/panic_stderr.rs:6:"), "{printed}");
    assert!(printed.ends_with(ends), "{printed}");
    assert!(in_wasmi(&wasm, 2).ends_with("/panic_stderr.rs:7:14\n"));
}

/// Less than 600 bytes more than a trap, with names and without.
#[test]
fn it_is_small() {
    let small = "fn main() { if std::env::args().count() > 2 { panic!(\"too many\") } }";
    let prints = "fn main() { println!(\"{}\", std::env::args().nth(1).unwrap()); }";
    for (name, source) in [("small", small), ("prints", prints), ("all", PROGRAM)] {
        for strip in [false, true] {
            let size = |panic| {
                let wasm = build(name, source, panic, |request| {
                    request.link.strip = strip;
                    request.link.memory = Memory::Import;
                    let output = format!("{name}-{panic:?}-{strip}.wasm");
                    request.output = Some(folder().join(output));
                });
                wasm.len()
            };
            let (trap, stderr, std) = (
                size(PanicMode::Trap),
                size(PanicMode::Stderr),
                size(PanicMode::Std),
            );
            println!("{name}, stripped: {strip}: {trap} trap, {stderr} stderr, {std} std");
            assert!(stderr < trap + 600, "{name}: {stderr} {trap}");
            assert!(stderr < std, "{name}: {stderr} {std}");
        }
    }
}

/// A package is linked by cargo, which is given the same object.
#[test]
fn a_package_has_it_as_well() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("src")).unwrap();
    let manifest =
        "[package]\nname = \"loud\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n";
    std::fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    let main = "fn main() { panic!(\"as a package\") }\n";
    std::fs::write(folder.path().join("src/main.rs"), main).unwrap();
    let module = folder.path().join("loud.wasm");
    let built = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("build-guest")
        .arg(folder.path())
        .args(["--panic", "stderr", "--memory", "export", "-o"])
        .arg(&module)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    let printed = in_wasmi(&std::fs::read(module).unwrap(), 1);
    assert!(printed.starts_with("panicked at "), "{printed}");
    assert!(
        printed.ends_with("src/main.rs:1:13: as a package\n"),
        "{printed}"
    );
}
