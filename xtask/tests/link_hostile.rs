//! What the linker does with objects and archives that are cut short, altered or
//! forged: it says what is wrong, in bounded memory, or links a valid module.

mod linkers;

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard};

use genkan_link::{Duplicates, Exports, Input, Options, Role, Unresolved};
use linkers::forge::{self, archive};
use object::read::archive::ArchiveFile;
use proptest::prelude::*;

/// Counts what is allocated, for [`attempt`].
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is left to the system's allocator; counting touches no memory of
// the caller's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One attempt at a time: memory is counted for the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Links `inputs`. Panics, saving them, if the linker panics or takes memory out
/// of proportion. The module is checked by those who give objects with valid
/// code: the linker copies code, and leaves its validation to the engine.
fn attempt(inputs: &[Input<'_>], options: &Options) -> Result<Vec<u8>, String> {
    let _alone = alone();
    let size: usize = inputs.iter().map(|input| input.bytes.len()).sum();
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let result = catch_unwind(AssertUnwindSafe(|| genkan_link::link(inputs, options)));
    let taken = PEAK.load(Ordering::Relaxed).saturating_sub(before);
    let complain = |what: &str| -> ! {
        let folder = tempfile::tempdir().unwrap().keep();
        for (number, input) in inputs.iter().enumerate() {
            std::fs::write(folder.join(number.to_string()), input.bytes).unwrap();
        }
        panic!("{what}; the inputs are in {}", folder.display());
    };
    // What any link takes, and what its inputs and their symbols do.
    if taken > (32 << 20) + 64 * size {
        complain(&format!(
            "{taken} bytes of memory for {size} bytes of inputs"
        ));
    }
    match result {
        Err(_) => complain("the linker panicked"),
        Ok(Err(error)) => {
            let text = error.to_string();
            if text.is_empty() {
                complain("an error that says nothing");
            }
            Err(text)
        }
        Ok(Ok(linked)) => Ok(linked.module),
    }
}

fn input<'a>(name: &'a str, bytes: &'a [u8]) -> Input<'a> {
    Input::new(name, bytes)
}

/// Options under which most of an object is live.
fn options() -> Options {
    let mut options = Options::wasm_ld();
    options.entry = None;
    options.export_all = true;
    options.unresolved = Unresolved::Allow;
    options
}

/// A real object: code, data, a table of functions, debug information.
static OBJECT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (toolchain, target) = linkers::toolchain();
    let folder = tempfile::tempdir().unwrap();
    let object = folder.path().join("object.o");
    let mut rustc = genkan::toolchain::command(&toolchain.rustc);
    rustc
        .args([
            "--target",
            &target,
            "--crate-type=lib",
            "--emit=obj",
            "-g",
            "-Copt-level=1",
            "-Cpanic=abort",
            "-o",
        ])
        .arg(&object)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/link_hostile/small.rs"
        ));
    genkan::toolchain::output(&mut rustc).unwrap();
    std::fs::read(object).unwrap()
});

/// A real archive: that object twice, under two names.
static ARCHIVE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    archive::write(&[
        ("first.o".to_owned(), OBJECT.clone()),
        ("a_name_that_is_long.o".to_owned(), OBJECT.clone()),
    ])
});

/// Wants a symbol of the archive.
fn from_archive() -> Options {
    let mut options = options();
    options.undefined = vec!["start".into()];
    options.exports = Exports::Named(["start".to_owned()].into());
    options.export_all = false;
    options
}

#[test]
fn the_samples_link() {
    let module = attempt(&[input("a.o", &OBJECT)], &options()).unwrap();
    linkers::validate("a.o", &module);
    let module = attempt(&[input("a.a", &ARCHIVE)], &from_archive()).unwrap();
    assert!(
        linkers::interface(&module)
            .iter()
            .any(|line| line.starts_with("export start"))
    );
}

#[test]
fn an_object_cut_short_is_an_error_that_names_it() {
    for length in 8..OBJECT.len() {
        // The sections that end here are whole; some ends are no harm.
        if let Err(error) = attempt(&[input("a.o", &OBJECT[..length])], &options()) {
            assert!(error.contains("a.o"), "{length}: {error}");
        }
    }
    for length in 0..8 {
        let error = attempt(&[input("a.o", &OBJECT[..length])], &options()).unwrap_err();
        assert!(error.contains("a.o"), "{length}: {error}");
    }
}

#[test]
fn an_archive_cut_short_is_an_error_that_names_it() {
    // Every length would take long; every one around the headers is tried.
    let lengths = (0..ARCHIVE.len()).filter(|length| *length < 600 || length % 53 == 0);
    for length in lengths {
        if let Err(error) = attempt(&[input("a.a", &ARCHIVE[..length])], &from_archive()) {
            assert!(
                error.contains("a.a") || error.contains("start"),
                "{length}: {error}"
            );
        }
    }
}

/// Five bytes for 2^32 - 1, and eleven for a number that needs none of them.
const LARGEST: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0x0f];
const TOO_LONG: &[u8] = &[
    0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00,
];

/// Changes that a disk, a network or an enemy makes.
#[derive(Debug, Clone)]
enum Change {
    Flip(prop::sample::Index, u8),
    Overwrite(prop::sample::Index, &'static [u8]),
    Insert(prop::sample::Index, &'static [u8]),
    Remove(prop::sample::Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let text = || {
        prop::sample::select(vec![
            LARGEST,
            TOO_LONG,
            b"\0",
            b"\x7f",
            b"\xc3\x28",
            b"4294967295",
        ])
    };
    prop_oneof![
        4 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, with)| Change::Flip(at, with)),
        2 => (any::<prop::sample::Index>(), text()).prop_map(|(at, with)| Change::Overwrite(at, with)),
        1 => (any::<prop::sample::Index>(), text()).prop_map(|(at, with)| Change::Insert(at, with)),
        1 => (any::<prop::sample::Index>(), 1..20_usize).prop_map(|(at, count)| Change::Remove(at, count)),
    ]
}

fn apply(changes: &[Change], original: &[u8]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for change in changes {
        match change {
            Change::Flip(at, with) => {
                let at = at.index(bytes.len());
                bytes[at] ^= with;
            }
            Change::Overwrite(at, with) => {
                let at = at.index(bytes.len());
                let end = (at + with.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&with[..end - at]);
            }
            Change::Insert(at, with) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, with.iter().copied());
            }
            Change::Remove(at, count) => {
                let at = at.index(bytes.len());
                let end = (at + count).min(bytes.len() - 1);
                bytes.drain(at.min(end)..end);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn altered_objects_are_refused_or_linked(changes in prop::collection::vec(change(), 1..4)) {
        let bytes = apply(&changes, &OBJECT);
        let _ = attempt(&[input("a.o", &bytes)], &options());
    }

    #[test]
    fn altered_archives_are_refused_or_linked(changes in prop::collection::vec(change(), 1..4)) {
        let bytes = apply(&changes, &ARCHIVE);
        let _ = attempt(&[input("a.a", &bytes)], &from_archive());
    }

    #[test]
    fn altered_heads_of_archives_are_refused_or_linked(changes in prop::collection::vec(change(), 1..4)) {
        // Magic, index, names, the first member's header.
        let (head, rest) = ARCHIVE.split_at(400);
        let bytes = [&apply(&changes, head), rest].concat();
        let _ = attempt(&[input("a.a", &bytes)], &from_archive());
    }

    #[test]
    fn noise_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), magic in 0..3) {
        let magic: &[u8] = [b"".as_slice(), b"\0asm\x01\0\0\0", b"!<arch>\n"][magic as usize];
        let _ = attempt(&[input("noise", &[magic, &bytes].concat())], &options());
    }
}

#[test]
fn forged_archives_are_refused() {
    let size = OBJECT.len().to_string();
    let object = ("a.o/", size.as_str(), OBJECT.as_slice());
    let with_index = |index: &[u8]| {
        let size = index.len().to_string();
        archive::by_hand(&[("/", &size, index), object])
    };
    for (what, bytes) in [
        (
            "2^32 - 1 symbols",
            with_index(&archive::index(u32::MAX, &[76], b"start\0")),
        ),
        (
            "more symbols than the index has room for",
            with_index(&archive::index(1000, &[76], b"start\0")),
        ),
        (
            "a symbol past the end",
            with_index(&archive::index(1, &[0x7fff_ffff], b"start\0")),
        ),
        (
            "a symbol in the middle of a member",
            with_index(&archive::index(1, &[300], b"start\0")),
        ),
        (
            "a symbol in the index itself",
            with_index(&archive::index(1, &[8], b"start\0")),
        ),
        (
            "a symbol in the magic",
            with_index(&archive::index(1, &[3], b"start\0")),
        ),
        (
            "a name without an end",
            with_index(&archive::index(1, &[88], b"start")),
        ),
        (
            "a member larger than the file",
            archive::by_hand(&[("a.o/", "4294967295", &OBJECT)]),
        ),
        (
            "a size that is no number",
            archive::by_hand(&[("a.o/", "many", &OBJECT)]),
        ),
        (
            "a negative size",
            archive::by_hand(&[("a.o/", "-1", &OBJECT)]),
        ),
        (
            "a name past the table of names",
            archive::by_hand(&[("//", "2", b"x\n"), ("/99", &size, &OBJECT)]),
        ),
        (
            "a name without a table",
            archive::by_hand(&[("/0", &size, &OBJECT)]),
        ),
    ] {
        // Without its index, an archive may still be read member by member.
        if let Err(error) = attempt(&[input("lib.a", &bytes)], &from_archive()) {
            assert!(
                error.contains("lib.a") || error.contains("start"),
                "{what}: {error}"
            );
        }
    }
}

#[test]
fn overlapping_members_are_no_harm() {
    // The first member is said to be as long as both: it holds the second.
    let mut bytes = ARCHIVE.clone();
    let place = bytes
        .windows(8)
        .position(|window| window == b"first.o/")
        .unwrap();
    let size = format!("{:<10}", 2 * OBJECT.len() + 60);
    bytes[place + 48..place + 58].copy_from_slice(size.as_bytes());
    if let Err(error) = attempt(&[input("lib.a", &bytes)], &from_archive()) {
        assert!(error.contains("lib.a"), "{error}");
    }
}

/// An object with one function and one segment; what is forged is given.
struct Forged {
    name: &'static [u8],
    /// Offset and addend of a relocation of the code, and its symbol; the operand
    /// is at 4, the function is symbol 2, the data 3.
    relocation: (u32, i32, u32),
    /// The segment's alignment, as a power of two.
    align: u32,
    segment_size: usize,
    /// The place that the data symbol claims in the segment.
    symbol: (u32, u32),
}

impl Default for Forged {
    fn default() -> Self {
        Forged {
            name: b"f",
            relocation: (4, 0, 3),
            align: 2,
            segment_size: 8,
            symbol: (0, 4),
        }
    }
}

impl Forged {
    fn bytes(&self) -> Vec<u8> {
        let (offset, addend, symbol) = self.relocation;
        let function = forge::Function {
            name: self.name.to_vec(),
            ty: forge::Type {
                results: vec![forge::I32],
                ..forge::Type::default()
            },
            // `i32.const` with a padded operand.
            body: vec![forge::Code::Bytes(vec![0x41, 0x80, 0x80, 0x80, 0x80, 0])],
            ..forge::Function::default()
        };
        let segment = forge::Segment {
            name: ".".to_owned(),
            align: self.align,
            contents: vec![forge::Data::Bytes(vec![1; self.segment_size])],
            symbol: b"d".to_vec(),
            claim: Some(self.symbol),
            ..forge::Segment::default()
        };
        let kind = forge::reloc::MEMORY_ADDR_SLEB;
        forge::Object {
            functions: vec![function],
            segments: vec![segment],
            forged_relocations: vec![(kind, offset, symbol, Some(addend))],
            ..forge::Object::default()
        }
        .bytes()
    }
}

#[test]
fn the_forger_makes_good_objects_too() {
    let module = attempt(&[input("a.o", &Forged::default().bytes())], &options()).unwrap();
    let address = linkers::engine::run(&module);
    assert!(
        address
            .end
            .iter()
            .any(|end| end.starts_with("f: ") && end != "f: 0"),
        "{address:?}"
    );
}

#[test]
fn forged_objects_are_refused_with_their_names() {
    for (what, forged) in [
        (
            "a relocation past the section",
            Forged {
                relocation: (1000, 0, 3),
                ..Forged::default()
            },
        ),
        (
            "one that ends past the section",
            Forged {
                relocation: (8, 0, 3),
                ..Forged::default()
            },
        ),
        (
            "one at 2^32 - 1",
            Forged {
                relocation: (u32::MAX, 0, 3),
                ..Forged::default()
            },
        ),
        (
            "one of no symbol",
            Forged {
                relocation: (4, 0, 9),
                ..Forged::default()
            },
        ),
        (
            "one of a symbol of another kind",
            Forged {
                relocation: (4, 0, 2),
                ..Forged::default()
            },
        ),
        (
            "alignment 2^32",
            Forged {
                align: 32,
                ..Forged::default()
            },
        ),
        (
            "alignment 2^(2^32 - 1)",
            Forged {
                align: u32::MAX,
                ..Forged::default()
            },
        ),
        (
            "a symbol past its segment",
            Forged {
                symbol: (1000, 4),
                ..Forged::default()
            },
        ),
        (
            "a name that is not UTF-8",
            Forged {
                name: b"\xff\xfe",
                ..Forged::default()
            },
        ),
    ] {
        let bytes = forged.bytes();
        match attempt(&[input("forged.o", &bytes)], &options()) {
            Err(error) => assert!(error.contains("forged.o"), "{what}: {error}"),
            Ok(_) => panic!("{what}: it links"),
        }
        // In an archive, the member is named too.
        let archive = archive::write(&[("member.o".to_owned(), bytes)]);
        let whole = input("lib.a", &archive).with_role(Role::Whole);
        let error = attempt(&[whole], &options()).unwrap_err();
        assert!(error.contains("lib.a(member.o)"), "{what}: {error}");
    }
}

#[test]
fn an_alignment_of_2_to_the_31_takes_no_memory() {
    let forged = Forged {
        align: 31,
        ..Forged::default()
    };
    let bytes = forged.bytes();
    let two = [input("a.o", &bytes), input("b.o", &bytes)];
    let mut options = options();
    options.duplicates = Duplicates::First;
    for inputs in [&two[..1], &two[..]] {
        match attempt(inputs, &options) {
            Ok(module) => {
                linkers::validate("aligned", &module);
                assert!(module.len() < 10_000, "{} bytes", module.len());
            }
            Err(error) => assert!(!error.is_empty()),
        }
    }
}

#[test]
fn a_symbol_larger_than_its_segment_is_no_harm() {
    for size in [1000, u32::MAX] {
        let forged = Forged {
            symbol: (4, size),
            ..Forged::default()
        };
        if let Ok(module) = attempt(&[input("a.o", &forged.bytes())], &options()) {
            linkers::validate("a.o", &module);
        }
    }
}

/// All objects of a program: those on the command line and the members of the
/// smaller libraries.
static PROGRAM: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let (toolchain, target) = linkers::toolchain();
    let folder = tempfile::tempdir().unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/diff_rust/dynamic.rs");
    let arguments = linkers::compile(
        &toolchain,
        &target,
        source.as_ref(),
        &["-Copt-level=1"],
        folder.path(),
    );
    let mut objects = Vec::new();
    for argument in arguments {
        let path = std::path::Path::new(&argument);
        let Ok(bytes) = std::fs::read(folder.path().join(path)) else {
            continue;
        };
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match ArchiveFile::parse(&*bytes) {
            Err(_) => objects.push((name, bytes)),
            // In one run of 2 cores: not the 20 MB of `core` and `compiler_builtins`.
            Ok(_) if bytes.len() > 6 << 20 => {}
            Ok(archive) => {
                for member in archive.members().flatten() {
                    let data = member.data(&*bytes).unwrap();
                    if data.starts_with(b"\0asm") {
                        objects.push((
                            String::from_utf8_lossy(member.name()).into_owned(),
                            data.to_vec(),
                        ));
                    }
                }
            }
        }
    }
    assert!(objects.len() > 10);
    objects
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_subset_of_a_programs_objects_links_or_fails(
        chosen in prop::collection::vec(any::<bool>(), PROGRAM.len()),
        allow in any::<bool>(),
        gc in any::<bool>(),
    ) {
        let inputs: Vec<Input<'_>> = PROGRAM
            .iter()
            .zip(&chosen)
            .filter(|(_, chosen)| **chosen)
            .map(|((name, bytes), _)| input(name, bytes))
            .collect();
        let mut options = options();
        options.unresolved = if allow { Unresolved::Allow } else { Unresolved::Error };
        options.gc_sections = gc;
        options.duplicates = Duplicates::First;
        if let Ok(module) = attempt(&inputs, &options) {
            linkers::validate("a subset", &module);
        }
    }
}
