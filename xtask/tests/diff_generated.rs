//! Programs made up from seeds (`generated/`), compiled by clang, linked by genkan
//! and by rust-lld, each under options by chance: the modules must do the same.

mod generated;
mod linkers;

use std::path::Path;
use std::process::Command;

use generated::{Chance, File};
use genkan::toolchain::{self, Toolchain};
use linkers::forge::archive;
use linkers::{engine, validate};
use xtask::clang;

/// Compiles the files into `folder`; gives the linker's inputs, in an order by
/// chance.
fn compile(files: &[File], chance: &mut Chance, clang: &Path, folder: &Path) -> Vec<String> {
    let optimise = *chance.pick(&["-O0", "-O1", "-O2", "-Os"]);
    // Without these two features there is no thread-local data.
    let features: &[&str] = match chance.once_in(3) {
        true => &["-matomics", "-mbulk-memory"],
        false => &[],
    };
    let sections: &[&str] = match chance.once_in(4) {
        true => &["-fno-function-sections", "-fno-data-sections"],
        false => &["-ffunction-sections", "-fdata-sections"],
    };
    let mut objects = Vec::new();
    let mut members = Vec::new();
    for file in files {
        std::fs::write(folder.join(&file.name), &file.text).unwrap();
        let object = format!("{}.o", file.name);
        let mut command = Command::new(clang);
        command
            .args(["--target=wasm32-unknown-unknown", "-ffreestanding", "-w"])
            .args([
                "-fno-exceptions",
                "-fno-rtti",
                "-fno-threadsafe-statics",
                optimise,
            ])
            .args(features)
            .args(sections)
            .args(chance.once_in(4).then_some("-g"))
            .args(["-c", &file.name, "-o", &object])
            .current_dir(folder);
        toolchain::output(&mut command).unwrap_or_else(|error| panic!("{error:#}\n{}", file.text));
        match file.in_archive {
            true => {
                let bytes = std::fs::read(folder.join(&object)).unwrap();
                members.push((object, bytes));
            }
            false => objects.push(object),
        }
    }
    if !members.is_empty() {
        std::fs::write(folder.join("lib.a"), archive::write(&members)).unwrap();
        let at = chance.below(objects.len() + 1);
        objects.insert(at, "lib.a".to_owned());
        match chance.below(4) {
            0 => objects.insert(at, "--whole-archive".to_owned()),
            1 if objects.len() > at + 1 => objects[at + 1..].rotate_left(1),
            _ => {}
        }
    }
    objects
}

/// Options under which no program may do anything else.
const OPTIONS: [&str; 10] = [
    "--strip-all",
    "--strip-debug",
    "-O0",
    "-O2",
    "--no-gc-sections",
    "--no-merge-data-segments",
    "--no-stack-first",
    "--export-dynamic",
    "--import-memory",
    "--icf=safe",
];

/// Links and runs the program of `seed` with both.
fn differ(seed: u64, toolchain: &Toolchain, clang: &Path) {
    let mut chance = Chance::new(seed);
    let files = generated::program(&mut chance);
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = compile(&files, &mut chance, clang, folder.path());
    arguments.extend(["--no-entry", "--export=run", "--allow-undefined"].map(str::to_owned));
    for _ in 0..3 {
        let mut arguments = arguments.clone();
        for option in OPTIONS {
            arguments.extend(chance.once_in(4).then(|| option.to_owned()));
        }
        let what = format!("seed {seed}: {arguments:?}");
        let theirs = linkers::theirs(toolchain, folder.path(), &arguments);
        let ours = linkers::ours(folder.path(), &arguments);
        let (ours, theirs) = match (ours.module, theirs.module) {
            (Some(ours), Some(theirs)) => (ours, theirs),
            (None, None) => continue,
            (None, Some(_)) => panic!("{what}: wasm-ld links it, genkan says:\n{}", ours.stderr),
            (Some(_), None) => panic!("{what}: genkan links it, wasm-ld says:\n{}", theirs.stderr),
        };
        validate(&what, &ours);
        let result = |module: &[u8]| {
            let outcome = engine::run(module);
            let mut ends = outcome.end.into_iter();
            ends.find(|end| end.starts_with("run:"))
        };
        let expected = result(&theirs);
        assert!(expected.is_some(), "{what}: it did not run");
        if result(&ours) != expected {
            let kept = folder.keep();
            panic!(
                "{what}: another result; the files are in {}",
                kept.display()
            );
        }
    }
}

/// So many seeds for each test; the tests run side by side.
const SEEDS: u64 = 12;

#[test]
#[cfg_attr(not(has_clang), ignore = "clang 16 or newer is not installed")]
fn programs_from_even_seeds() {
    let (toolchain, _) = linkers::toolchain();
    let clang = clang::newest().unwrap();
    for seed in 0..SEEDS {
        differ(2 * seed, &toolchain, &clang);
    }
}

#[test]
#[cfg_attr(not(has_clang), ignore = "clang 16 or newer is not installed")]
fn programs_from_odd_seeds() {
    let (toolchain, _) = linkers::toolchain();
    let clang = clang::newest().unwrap();
    for seed in 0..SEEDS {
        differ(2 * seed + 1, &toolchain, &clang);
    }
}

#[test]
fn a_seed_is_a_program() {
    let text = |seed| {
        let files = generated::program(&mut Chance::new(seed));
        let texts = files.into_iter().map(|file| file.name + &file.text);
        texts.collect::<String>()
    };
    assert_eq!(text(7), text(7));
    assert_ne!(text(7), text(8));
}
