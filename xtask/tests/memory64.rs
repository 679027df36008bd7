//! Objects for 64-bit memories (`clang --target=wasm64`): modules that do the same as
//! rust-lld's in an engine that has such memories.

mod linkers;

use std::path::Path;
use std::process::Command;

use genkan::toolchain;
use linkers::forge::archive;
use wasmi::{
    Caller, Config, Engine, Error, Extern, ExternType, Func, Global, Linker, Memory,
    MemoryTypeBuilder, Module, Ref, Store, Table, TableType, Val,
};
use xtask::clang;

const A: &str = r#"
extern long order;
long helper(long);
extern long other[8];
static int zero[40];
int data[3] = {10, 20, 30};
int *middle = &data[1];
static long twice(long n) { return 2 * n; }
long (*pointers[3])(long) = {twice, helper, 0};
__attribute__((weak)) long absent(void);
extern int absent_data __attribute__((weak));
const char *text = "some text", *tail = "text";
__attribute__((constructor(300))) static void late(void) { order = order * 10 + 2; }
__attribute__((constructor(200))) static void early(void) { order = order * 10 + 1; }
long before(long n) { return *(&data[1] - 1 + n); }
long stack(long n) {
    volatile long room[40];
    for (int i = 0; i < 40; i++) room[i] = i * n;
    return room[39];
}
long test(void) {
    long sum = order;
    for (int i = 0; pointers[i]; i++) sum = sum * 3 + pointers[i](i + 5);
    sum = sum * 3 + *middle + middle[1] + before(0) + ++zero[33] + other[7];
    sum = sum * 3 + (absent ? absent() : 7) + (&absent_data ? 1 : 9) + stack(3);
    sum = sum * 3 + (tail[0] == text[5]) + (long)(&data[2] - data);
    return sum;
}
"#;

const B: &str = r#"
long order;
long other[8] = {0, 0, 0, 0, 0, 0, 0, 70};
long helper(long n) { return n + 1000; }
"#;

/// What `test` returns.
fn run(what: &str, module: &[u8]) -> i64 {
    linkers::validate(what, module);
    let mut config = Config::default();
    config.wasm_memory64(true);
    let engine = Engine::new(&config);
    let module = Module::new(&engine, module).unwrap();
    let mut store = Store::new(&engine, ());
    let linker = Linker::new(&engine);
    let instance = linker.instantiate_and_start(&mut store, &module).unwrap();
    let test = instance.get_typed_func::<(), i64>(&store, "test").unwrap();
    test.call(&mut store, ()).unwrap()
}

fn compile(folder: &Path, name: &str, text: &str, target: &str) {
    std::fs::write(folder.join(format!("{name}.c")), text).unwrap();
    let mut command = Command::new(clang::newest().unwrap());
    command
        .arg(format!("--target={target}"))
        .args(["-O1", "-g", "-w", "-fno-builtin", "-fdata-sections"])
        .args(["-ffunction-sections", "-mbulk-memory", "-c"])
        .arg(format!("{name}.c"))
        .current_dir(folder);
    toolchain::output(&mut command).unwrap();
}

#[test]
#[cfg_attr(not(has_clang), ignore = "clang 16 or newer is not installed")]
fn modules_with_64_bit_memories_do_the_same() {
    let (toolchain, _) = linkers::toolchain();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    compile(folder, "a", A, "wasm64");
    compile(folder, "b", B, "wasm64");
    let member = ("b.o".to_owned(), std::fs::read(folder.join("b.o")).unwrap());
    std::fs::write(folder.join("lib.a"), archive::write(&[member])).unwrap();
    let inputs = ["a.o", "lib.a", "-mwasm64", "--no-entry", "--export=test"];
    let owned = |parts: &[&[&str]]| -> Vec<String> {
        parts.concat().iter().map(|&it| it.to_owned()).collect()
    };
    for options in [
        &[][..],
        &["--export=data", "--export=__heap_base", "--stack-first"],
        &["--compress-relocations", "--strip-all"],
        &["--no-gc-sections", "--no-merge-data-segments", "-O0"],
        &["--emit-relocs"],
        &["--initial-memory=8589934592", "--max-memory=17179869184"],
    ] {
        let arguments = owned(&[&inputs, options]);
        let what = format!("{options:?}");
        let ours = linkers::ours(folder, &arguments).module(&what);
        let theirs = linkers::theirs(&toolchain, folder, &arguments).module(&what);
        assert_eq!(
            linkers::interface(&ours),
            linkers::interface(&theirs),
            "{what}"
        );
        if options.iter().any(|it| it.starts_with("--initial")) {
            assert_eq!(linkers::limits(&ours), linkers::limits(&theirs), "{what}");
            continue;
        }
        assert_eq!(run(&what, &ours), run(&what, &theirs), "{what}");
    }
    // Made one object first; by either linker.
    let expected = run(
        "whole",
        &linkers::ours(folder, &owned(&[&inputs])).module("whole"),
    );
    for by_us in [true, false] {
        let arguments = owned(&[&["-r", "-mwasm64", "a.o", "lib.a"]]);
        let object = match by_us {
            true => linkers::ours(folder, &arguments).module("-r"),
            false => linkers::theirs(&toolchain, folder, &arguments).module("-r"),
        };
        std::fs::write(folder.join("whole.o"), object).unwrap();
        let arguments = owned(&[&["whole.o"], &inputs[2..]]);
        let ours = linkers::ours(folder, &arguments).module("-r, ours");
        let theirs = linkers::theirs(&toolchain, folder, &arguments).module("-r, theirs");
        assert_eq!(run("-r", &ours), expected, "by us: {by_us}");
        assert_eq!(run("-r", &theirs), expected, "by us: {by_us}");
    }
}

#[test]
#[cfg_attr(not(has_clang), ignore = "clang 16 or newer is not installed")]
fn objects_for_memories_of_two_widths_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    compile(folder, "a", A, "wasm64");
    compile(folder, "b", B, "wasm32");
    for (arguments, text) in [
        (
            &["b.o", "a.o"][..],
            "a.o: must specify -mwasm64 to process wasm64 object files",
        ),
        (
            &["a.o", "b.o", "-mwasm64"],
            "b.o: wasm32 object file can't be linked in wasm64 mode",
        ),
        (
            &["b.o", "-mwasm64"],
            "b.o: wasm32 object file can't be linked in wasm64 mode",
        ),
    ] {
        let mut arguments: Vec<String> = arguments.iter().map(|&it| it.to_owned()).collect();
        arguments.push("--no-entry".into());
        let ran = linkers::ours(folder, &arguments);
        assert!(ran.module.is_none());
        assert!(
            ran.stderr.contains(text),
            "{text} is not in:\n{}",
            ran.stderr
        );
    }
}

/// What `test` of a position-independent module returns, where a dynamic linker that
/// finds nothing else puts it.
fn run_placed(what: &str, module: &[u8]) -> i64 {
    linkers::validate(what, module);
    let mut config = Config::default();
    config.wasm_memory64(true);
    let engine = Engine::new(&config);
    let module = Module::new(&engine, module).unwrap();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    for import in module.imports() {
        let item: Extern = match import.ty() {
            ExternType::Memory(_) => {
                let mut ty = MemoryTypeBuilder::default();
                ty.memory64(true).min(8);
                Memory::new(&mut store, ty.build().unwrap()).unwrap().into()
            }
            ExternType::Table(ty) => {
                // The module's part begins at 3.
                let ty = TableType::new64(ty.element(), 3 + ty.minimum(), None);
                let null = Ref::default_for_ty(ty.element());
                Table::new(&mut store, ty, null).unwrap().into()
            }
            ExternType::Global(ty) => {
                let value = match import.name() {
                    "__stack_pointer" => 1 << 16,
                    "__memory_base" => 3 << 16,
                    "__table_base" => 3,
                    // Weak, and nobody has it.
                    _ => 0,
                };
                Global::new(&mut store, Val::I64(value), ty.mutability()).into()
            }
            ExternType::Func(ty) => {
                let absent = |_: Caller<()>, _: &[Val], _: &mut [Val]| Err(Error::new("called"));
                Func::new(&mut store, ty.clone(), absent).into()
            }
        };
        linker.define(import.module(), import.name(), item).unwrap();
    }
    let instance = linker.instantiate_and_start(&mut store, &module).unwrap();
    for name in ["__wasm_apply_data_relocs", "__wasm_call_ctors"] {
        let function = instance.get_typed_func::<(), ()>(&store, name);
        function.unwrap().call(&mut store, ()).unwrap();
    }
    let test = instance.get_typed_func::<(), i64>(&store, "test").unwrap();
    test.call(&mut store, ()).unwrap()
}

#[test]
#[cfg_attr(not(has_clang), ignore = "clang 16 or newer is not installed")]
fn position_independent_modules_do_the_same() {
    let (toolchain, _) = linkers::toolchain();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, text) in [("a", A), ("b", B)] {
        std::fs::write(folder.join(format!("{name}.c")), text).unwrap();
        let mut command = Command::new(clang::newest().unwrap());
        command
            .args([
                "--target=wasm64",
                "-O1",
                "-w",
                "-fno-builtin",
                "-fPIC",
                "-c",
            ])
            .arg("-fvisibility=default")
            .arg(format!("{name}.c"))
            .current_dir(folder);
        toolchain::output(&mut command).unwrap();
    }
    let inputs = [
        "a.o",
        "b.o",
        "-mwasm64",
        "--experimental-pic",
        "--export=test",
    ];
    let fixed = ["--no-entry", "--unresolved-symbols=ignore-all"];
    let fixed = [&inputs[..], &fixed].concat();
    let owned =
        |arguments: &[&str]| -> Vec<String> { arguments.iter().map(|&it| it.to_owned()).collect() };
    let expected = linkers::theirs(&toolchain, folder, &owned(&fixed));
    let expected = run("rust-lld", &expected.module("rust-lld"));
    for options in [
        &[
            "-pie",
            "--no-entry",
            "--import-memory",
            "--export=__wasm_call_ctors",
        ][..],
        &["-shared", "-Bsymbolic"],
        &["-shared", "-Bsymbolic", "--extra-features=extended-const"],
    ] {
        let arguments = owned(&[&inputs, options].concat());
        let module = linkers::ours(folder, &arguments).module("genkan");
        assert_eq!(run_placed("genkan", &module), expected, "{options:?}");
        let theirs = linkers::theirs(&toolchain, folder, &arguments).module("rust-lld");
        let interfaces = (linkers::interface(&module), linkers::interface(&theirs));
        assert_eq!(interfaces.0, interfaces.1, "{options:?}");
    }
}
