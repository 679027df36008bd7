//! Guests that use directories of the host's: ordinary programs, and those that want more
//! than they were given.

mod guests;

use genkan_host::{
    Captured, Dir, DirAccess, Engine, Error, Guest, Limits, Pool, PoolLimits, Setup, Value,
};
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const BADF: i32 = 8;
const EXIST: i32 = 20;
const FAULT: i32 = 21;
const INVAL: i32 = 28;
const ISDIR: i32 = 31;
const LOOP: i32 = 32;
const MFILE: i32 = 33;
const NAMETOOLONG: i32 = 37;
const NOENT: i32 = 44;
const NOTDIR: i32 = 54;
const NOTSUP: i32 = 58;
const ROFS: i32 = 69;
const SPIPE: i32 = 70;

/// A directory for one test, with `inside` for the guest and `outside` beside it.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inside")).unwrap();
        std::fs::create_dir(folder.path().join("outside")).unwrap();
        std::fs::write(folder.path().join("outside/secret"), "secret").unwrap();
        Self { folder }
    }

    fn inside(&self) -> PathBuf {
        self.folder.path().join("inside")
    }

    fn outside(&self) -> PathBuf {
        self.folder.path().join("outside")
    }

    fn dir(&self, access: DirAccess) -> Dir {
        Dir::open(self.inside(), "/dir", access).unwrap()
    }
}

/// All that is in a directory: paths, and what is in the files and links.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let kind = path.symlink_metadata().unwrap();
        let contents = if kind.is_dir() {
            all.extend(tree(&path));
            Vec::new()
        } else if kind.is_symlink() {
            path.read_link()
                .unwrap()
                .into_os_string()
                .into_encoded_bytes()
        } else if kind.is_file() {
            std::fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        all.insert(path, contents);
    }
    all
}

/// What a program of a page does with files.
const PROGRAM: &str = r#"
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};

#[link(wasm_import_module = "wasi_snapshot_preview1")]
extern "C" {
    fn path_symlink(old: *const u8, len: usize, fd: u32, new: *const u8, new_len: usize) -> u16;
}

fn main() {
    let base = std::env::args().nth(1).unwrap();
    let at = |name: &str| format!("{base}/{name}");
    fs::create_dir(at("d")).unwrap();
    fs::create_dir_all(at("e/f/g")).unwrap();
    fs::write(at("d/a"), "hello").unwrap();
    assert_eq!(fs::read_to_string(at("d/a")).unwrap(), "hello");

    let mut file = OpenOptions::new().append(true).open(at("d/a")).unwrap();
    file.write_all(b" wor").unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(b"ld").unwrap();
    let mut file = OpenOptions::new().read(true).write(true).open(at("d/a")).unwrap();
    file.seek(SeekFrom::Start(6)).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "world");
    file.seek(SeekFrom::End(-5)).unwrap();
    file.write_all(b"W").unwrap();
    assert_eq!(file.stream_position().unwrap(), 7);
    file.set_len(8).unwrap();
    file.sync_all().unwrap();
    file.sync_data().unwrap();
    assert_eq!(file.metadata().unwrap().len(), 8);
    assert_eq!(fs::read(at("d/a")).unwrap(), b"hello Wo");

    fs::rename(at("d/a"), at("e/b")).unwrap();
    assert_eq!(File::open(at("d/a")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(fs::copy(at("e/b"), at("e/c")).unwrap(), 8);
    fs::hard_link(at("e/b"), at("e/h")).unwrap();
    // 3 is the directory that it was given.
    assert_eq!(unsafe { path_symlink("b".as_ptr(), 1, 3, "e/s".as_ptr(), 3) }, 0);
    assert_eq!(fs::read_link(at("e/s")).unwrap().to_str(), Some("b"));
    assert_eq!(fs::read(at("e/s")).unwrap(), b"hello Wo");
    assert!(fs::symlink_metadata(at("e/s")).unwrap().file_type().is_symlink());
    assert!(fs::metadata(at("e/s")).unwrap().is_file());
    let mut names: Vec<_> = fs::read_dir(at("e"))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            (entry.file_name().into_string().unwrap(), kind.is_dir(), kind.is_symlink())
        })
        .collect();
    names.sort();
    println!("{names:?}");

    let big: Vec<u8> = (0..3_000_001u32).map(|n| (n % 251) as u8).collect();
    fs::write(at("big"), &big).unwrap();
    assert_eq!(fs::read(at("big")).unwrap(), big);
    for n in 0..1500 {
        fs::write(at(&format!("d/{n}-{}", "x".repeat(n % 200))), "").unwrap();
    }
    let all = || fs::read_dir(at("d")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut many: Vec<_> = all().collect();
    many.sort();
    many.dedup();
    println!("{}", many.len());
    assert!(fs::remove_dir(at("d")).is_err());
    fs::remove_dir_all(at("d")).unwrap();

    assert_eq!(File::create_new(at("big")).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert!(at("big").parse::<std::path::PathBuf>().unwrap().exists());
    let modified = fs::metadata(at("big")).unwrap().modified().unwrap();
    assert!(modified.elapsed().unwrap().as_secs() < 600);
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000);
    file.set_modified(long_ago).unwrap();
    assert_eq!(fs::metadata(at("e/b")).unwrap().modified().unwrap(), long_ago);
    fs::remove_file(at("e/h")).unwrap();
    fs::remove_file(at("e/s")).unwrap();
    fs::remove_dir(at("e/f/g")).unwrap();
    println!("done");
}"#;

const PRINTS: &str = r#"[("b", false, false), ("c", false, false), ("f", true, false), ("h", false, false), ("s", false, true)]
1500
done
"#;

#[test]
fn an_ordinary_program_uses_files() {
    let module = guests::load(&guests::rust("uses_files", PROGRAM));
    for (guest, base) in [
        ("/dir", "/dir"),
        ("/", ""),
        (".", "."),
        ("some/name", "some/name"),
    ] {
        let place = Place::new();
        let printed = Captured::new(10_000);
        let setup = Setup::new().args(["uses_files", base]).capture(&printed);
        let setup = setup.dir(place.inside(), guest, DirAccess::ReadWrite);
        let mut program = Guest::with(&module, setup.unwrap()).unwrap();
        let outcome = program.call::<()>("_start", ());
        let said = String::from_utf8(printed.stderr()).unwrap();
        assert!(outcome.is_ok(), "{guest}: {outcome:?}\n{said}");
        assert_eq!(String::from_utf8(printed.stdout()).unwrap(), PRINTS);
        let left = tree(&place.inside());
        let names: Vec<_> = left
            .keys()
            .map(|path| path.strip_prefix(place.inside()).unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["big", "e", "e/b", "e/c", "e/f"]);
        assert_eq!(left[&place.inside().join("e/c")], b"hello Wo");
    }
}

/// What it can read it reads, and what it cannot do it is told.
#[test]
fn a_program_reads_in_a_directory_that_it_may_not_change() {
    let path = guests::rust(
        "reads_files",
        r#"
        use std::fs;
        use std::io::ErrorKind::ReadOnlyFilesystem;
        fn main() {
            assert_eq!(fs::read_to_string("/dir/a/b").unwrap(), "text");
            assert_eq!(fs::read_dir("/dir").unwrap().count(), 1);
            let kind = |done: std::io::Result<()>| done.unwrap_err().kind();
            assert_eq!(kind(fs::write("/dir/x", "")), ReadOnlyFilesystem);
            assert_eq!(kind(fs::write("/dir/a/b", "")), ReadOnlyFilesystem);
            let open = fs::OpenOptions::new().write(true).open("/dir/a/b");
            assert_eq!(kind(open.map(drop)), ReadOnlyFilesystem);
            assert_eq!(kind(fs::remove_file("/dir/a/b")), ReadOnlyFilesystem);
            assert_eq!(kind(fs::rename("/dir/a", "/dir/c")), ReadOnlyFilesystem);
            assert_eq!(kind(fs::create_dir("/dir/c")), ReadOnlyFilesystem);
        }"#,
    );
    let place = Place::new();
    std::fs::create_dir(place.inside().join("a")).unwrap();
    std::fs::write(place.inside().join("a/b"), "text").unwrap();
    let setup = Setup::new().dir(place.inside(), "/dir", DirAccess::Read);
    let mut program = Guest::with(&guests::load(&path), setup.unwrap()).unwrap();
    program.call::<()>("_start", ()).unwrap();
}

const FUNCTIONS: &[(&str, &str)] = &[
    ("fd_read", "i32 i32 i32 i32"),
    ("fd_write", "i32 i32 i32 i32"),
    ("fd_pread", "i32 i32 i32 i64 i32"),
    ("fd_pwrite", "i32 i32 i32 i64 i32"),
    ("fd_seek", "i32 i64 i32 i32"),
    ("fd_tell", "i32 i32"),
    ("fd_close", "i32"),
    ("fd_renumber", "i32 i32"),
    ("fd_prestat_get", "i32 i32"),
    ("fd_prestat_dir_name", "i32 i32 i32"),
    ("fd_sync", "i32"),
    ("fd_datasync", "i32"),
    ("fd_advise", "i32 i64 i64 i32"),
    ("fd_allocate", "i32 i64 i64"),
    ("fd_fdstat_get", "i32 i32"),
    ("fd_fdstat_set_flags", "i32 i32"),
    ("fd_fdstat_set_rights", "i32 i64 i64"),
    ("fd_filestat_get", "i32 i32"),
    ("fd_filestat_set_size", "i32 i64"),
    ("fd_filestat_set_times", "i32 i64 i64 i32"),
    ("fd_readdir", "i32 i32 i32 i64 i32"),
    ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
    ("path_create_directory", "i32 i32 i32"),
    ("path_remove_directory", "i32 i32 i32"),
    ("path_unlink_file", "i32 i32 i32"),
    ("path_rename", "i32 i32 i32 i32 i32 i32"),
    ("path_link", "i32 i32 i32 i32 i32 i32 i32"),
    ("path_symlink", "i32 i32 i32 i32 i32"),
    ("path_readlink", "i32 i32 i32 i32 i32 i32"),
    ("path_filestat_get", "i32 i32 i32 i32 i32"),
    ("path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32"),
    ("poll_oneoff", "i32 i32 i32 i32"),
];

/// A guest that calls WASI's functions with what it is told to.
struct Raw {
    guest: Guest,
}

/// Where it keeps what.
const PATH: i32 = 0x1000;
const OTHER: i32 = 0x3000;
const RESULT: i32 = 0x5000;
const BUFFER: i32 = 0x6000;

const CREATE: i32 = 1;
const DIRECTORY: i32 = 2;
const EXCLUSIVE: i32 = 4;
const TRUNCATE: i32 = 8;
const READ: i64 = 1 << 1;
const WRITE: i64 = 1 << 6;

impl Raw {
    fn new(setup: Setup) -> Self {
        let mut text = String::from("(module ");
        for (name, params) in FUNCTIONS {
            text += &format!(
                r#"(import "wasi_snapshot_preview1" "{name}" (func ${name} (param {params}) (result i32)))"#
            );
        }
        text += r#"(memory (export "memory") 4)
            (func (export "put") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
            (func (export "word") (param i32) (result i32) (i32.load (local.get 0)))
            (func (export "long") (param i32) (result i64) (i64.load (local.get 0)))
            (func (export "put_word") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
            (func (export "list_forever") (param i64)
                (loop (drop (call $fd_readdir (i32.const 3) (i32.const 0x6000) (i32.const 1000)
                    (local.get 0) (i32.const 0x5000))) (br 0)))"#;
        for (name, params) in FUNCTIONS {
            let count = params.split(' ').count();
            let gets: String = (0..count).map(|i| format!("(local.get {i})")).collect();
            text += &format!(
                r#"(func (export "{name}") (param {params}) (result i32) (call ${name} {gets}))"#
            );
        }
        let module = Engine::default().compile((text + ")").as_bytes()).unwrap();
        Self {
            guest: Guest::with(&module, setup).unwrap(),
        }
    }

    fn of(place: &Place, access: DirAccess) -> Self {
        let mut setup = Setup::new().capture(&Captured::new(1 << 20));
        setup.dirs.push(place.dir(access));
        Self::new(setup)
    }

    fn call(&mut self, name: &str, args: &[Value]) -> i32 {
        self.guest.call(name, args).unwrap()
    }

    fn put(&mut self, at: i32, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            let args = [(at + index as i32).into(), i32::from(*byte).into()];
            self.guest.call::<()>("put", &args).unwrap();
        }
    }

    fn word(&mut self, at: i32) -> i32 {
        self.guest.call("word", &[at.into()]).unwrap()
    }

    /// One part of what is read or written: so many bytes in the buffer.
    fn part(&mut self, len: i32) {
        for (at, word) in [(OTHER, BUFFER), (OTHER + 4, len)] {
            self.guest
                .call::<()>("put_word", &[at.into(), word.into()])
                .unwrap();
        }
    }

    /// The descriptor, or what it was told.
    fn open_with(
        &mut self,
        fd: i32,
        path: &str,
        follow: bool,
        how: i32,
        rights: i64,
    ) -> Result<i32, i32> {
        self.put(PATH, path.as_bytes());
        let args = [
            fd.into(),
            i32::from(follow).into(),
            PATH.into(),
            (path.len() as i32).into(),
            how.into(),
            rights.into(),
            0i64.into(),
            0i32.into(),
            RESULT.into(),
        ];
        match self.call("path_open", &args) {
            0 => Ok(self.word(RESULT)),
            errno => Err(errno),
        }
    }

    fn open(&mut self, path: &str, how: i32, rights: i64) -> Result<i32, i32> {
        self.open_with(3, path, true, how, rights)
    }

    /// A function of a path in the directory, with what comes after it.
    fn path(&mut self, name: &str, path: &str, more: &[Value]) -> i32 {
        self.put(PATH, path.as_bytes());
        let mut args: Vec<Value> = vec![3i32.into()];
        if name.contains("filestat") {
            args.push(1i32.into());
        }
        args.extend([PATH, path.len() as i32].map(Value::from));
        args.extend_from_slice(more);
        self.call(name, &args)
    }

    /// A function of two paths.
    fn paths(&mut self, name: &str, from: &str, to: &str) -> i32 {
        self.put(PATH, from.as_bytes());
        self.put(OTHER, to.as_bytes());
        let from: [Value; 2] = [PATH.into(), (from.len() as i32).into()];
        let to: [Value; 2] = [OTHER.into(), (to.len() as i32).into()];
        let (three, zero) = (Value::from(3i32), Value::from(0i32));
        let args: Vec<Value> = match name {
            "path_symlink" => [&from[..], &[three], &to].concat(),
            "path_rename" => [&[three], &from[..], &[three], &to].concat(),
            _ => [&[three, zero], &from[..], &[three], &to].concat(),
        };
        self.call(name, &args)
    }

    /// Everything that changes something, at this path: what it is told.
    fn change_all(&mut self, path: &str) -> Vec<(String, i32)> {
        let mut told = Vec::new();
        for how in [0, CREATE, TRUNCATE, CREATE | TRUNCATE, CREATE | EXCLUSIVE] {
            for rights in [READ, WRITE, READ | WRITE] {
                if how == 0 && rights == READ {
                    continue;
                }
                let errno = self.open(path, how, rights).err().unwrap_or(0);
                told.push((format!("path_open {how} {rights:#x}"), errno));
            }
        }
        for name in [
            "path_create_directory",
            "path_remove_directory",
            "path_unlink_file",
        ] {
            told.push((name.into(), self.path(name, path, &[])));
        }
        for (from, to) in [(path, "new"), ("file", path)] {
            for name in ["path_rename", "path_link"] {
                told.push((format!("{name} {from}"), self.paths(name, from, to)));
            }
        }
        told.push((
            "path_symlink".into(),
            self.paths("path_symlink", "file", path),
        ));
        let times = [0i64.into(), 0i64.into(), 5i32.into()];
        told.push((
            "path_filestat_set_times".into(),
            self.path("path_filestat_set_times", path, &times),
        ));
        told
    }
}

/// Each function that takes a path, with each way out that there is.
#[test]
fn no_path_leads_out() {
    let place = Place::new();
    let outside = place.outside();
    std::fs::create_dir_all(place.inside().join("deep/deeper")).unwrap();
    std::fs::write(place.inside().join("file"), "text").unwrap();
    symlink("../outside", place.inside().join("up")).unwrap();
    symlink("../outside/secret", place.inside().join("up-file")).unwrap();
    symlink("../outside/new", place.inside().join("up-new")).unwrap();
    symlink(&outside, place.inside().join("absolute")).unwrap();
    symlink("/proc/self/root", place.inside().join("root")).unwrap();
    symlink("deep/../..", place.inside().join("winding")).unwrap();
    symlink("up", place.inside().join("twice")).unwrap();
    let absolute = outside.join("secret");
    let ways = [
        "..",
        "../outside/secret",
        "../outside/new",
        "deep/../../outside/secret",
        "deep/deeper/../../../outside/secret",
        "./../outside/new",
        "up/secret",
        "up/new",
        "up-file/.",
        "absolute/secret",
        "absolute/new",
        "root/etc/passwd",
        "winding/outside/secret",
        "twice/secret",
        "/",
        "/etc/passwd",
        "//etc/passwd",
        "/proc/self/cwd",
        absolute.to_str().unwrap(),
    ];
    let before = tree(place.folder.path());
    let mut raw = Raw::of(&place, DirAccess::ReadWrite);
    for way in ways {
        for (what, errno) in raw.change_all(way) {
            assert_ne!(errno, 0, "{what} {way}");
        }
        for how in [0, DIRECTORY] {
            assert!(raw.open(way, how, READ).is_err(), "{way}");
        }
        let stat = raw.path("path_filestat_get", way, &[BUFFER.into()]);
        assert_ne!(stat, 0, "{way}");
        let read = [BUFFER.into(), 100i32.into(), RESULT.into()];
        assert_ne!(raw.path("path_readlink", way, &read), 0, "{way}");
        assert_eq!(tree(place.folder.path()), before, "{way}");
    }
    // What is at the end of a path is followed, or not: it leads out in no case.
    for link in [
        "up", "up-file", "up-new", "absolute", "root", "winding", "twice",
    ] {
        for follow in [false, true] {
            for how in [0, DIRECTORY, CREATE, TRUNCATE, CREATE | EXCLUSIVE] {
                let opened = raw.open_with(3, link, follow, how, READ | WRITE);
                assert!(opened.is_err(), "{link} {how}");
            }
        }
        let stat = raw.path("path_filestat_get", link, &[BUFFER.into()]);
        assert_ne!(stat, 0, "{link}");
        assert_eq!(tree(place.folder.path()), before, "{link}");
    }
    // A link that leads out can neither be made with an absolute path nor followed later.
    assert_ne!(raw.paths("path_symlink", "/etc/passwd", "made"), 0);
    assert_eq!(raw.paths("path_symlink", "../outside/secret", "made"), 0);
    assert!(raw.open("made", 0, READ).is_err());
    // Nor does a directory's own descriptor.
    let deep = raw.open("deep", DIRECTORY, READ).unwrap();
    assert!(raw.open_with(deep, "../file", true, 0, READ).is_err());
    assert!(raw.open_with(deep, "..", true, DIRECTORY, READ).is_err());
}

#[test]
fn what_may_only_be_read_is_not_changed() {
    let place = Place::new();
    std::fs::create_dir_all(place.inside().join("folder/empty")).unwrap();
    for name in ["file", "folder/file"] {
        std::fs::write(place.inside().join(name), "text").unwrap();
    }
    symlink("file", place.inside().join("link")).unwrap();
    let before = tree(place.folder.path());
    let mut setup = Setup::new();
    setup.dirs.push(place.dir(DirAccess::Read));
    // The same place, but for writing.
    let writable = Place::new();
    std::fs::write(writable.inside().join("mine"), "mine").unwrap();
    setup.dirs.push(writable.dir(DirAccess::ReadWrite));
    let mut raw = Raw::new(setup);
    let paths = [
        "file",
        "folder",
        "folder/file",
        "folder/empty",
        "link",
        "new",
        "folder/new",
        ".",
    ];
    for path in paths {
        for (what, errno) in raw.change_all(path) {
            assert_eq!(errno, ROFS, "{what} {path}");
        }
    }
    // A descriptor that it opened is no way either; nor is a folder in it.
    let file = raw.open("file", 0, READ).unwrap();
    raw.part(4);
    let write = [file.into(), OTHER.into(), 1i32.into(), RESULT.into()];
    assert_eq!(raw.call("fd_write", &write), BADF);
    let write = [
        file.into(),
        OTHER.into(),
        1i32.into(),
        0i64.into(),
        RESULT.into(),
    ];
    assert_eq!(raw.call("fd_pwrite", &write), BADF);
    assert_eq!(
        raw.call("fd_filestat_set_size", &[file.into(), 0i64.into()]),
        BADF
    );
    assert_ne!(
        raw.call("fd_allocate", &[file.into(), 0i64.into(), 9i64.into()]),
        0
    );
    let times = [file.into(), 0i64.into(), 0i64.into(), 5i32.into()];
    assert_eq!(raw.call("fd_filestat_set_times", &times), ROFS);
    let times = [3i32.into(), 0i64.into(), 0i64.into(), 5i32.into()];
    assert_eq!(raw.call("fd_filestat_set_times", &times), ROFS);
    let folder = raw.open("folder", DIRECTORY, READ).unwrap();
    assert_eq!(raw.open_with(folder, "file", true, 0, WRITE), Err(ROFS));
    // From one directory into the other, in both ways.
    for (from, to) in [(3i32, 4i32), (4, 3)] {
        raw.put(PATH, b"file");
        raw.put(OTHER, b"mine");
        let [a, b]: [Value; 2] = match from {
            3 => [PATH.into(), OTHER.into()],
            _ => [OTHER.into(), PATH.into()],
        };
        let four = Value::from(4i32);
        let rename = [from.into(), a, four, to.into(), b, four];
        assert_eq!(raw.call("path_rename", &rename), ROFS);
        let link = [from.into(), 0i32.into(), a, four, to.into(), b, four];
        assert_eq!(raw.call("path_link", &link), ROFS);
    }
    assert_eq!(tree(place.folder.path()), before);
}

/// They are there, and are not opened: what waits for somebody does so for longer than the
/// deadline.
#[test]
fn pipes_devices_and_sockets_are_not_opened() {
    let place = Place::new();
    let made = std::process::Command::new("mkfifo")
        .arg(place.inside().join("pipe"))
        .status();
    assert!(made.unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(place.inside().join("socket")).unwrap();
    symlink("pipe", place.inside().join("to-pipe")).unwrap();
    let limits = Limits::new().deadline(Duration::from_secs(20));
    let mut setup = Setup::new().limits(limits);
    setup.dirs.push(place.dir(DirAccess::ReadWrite));
    setup = setup.dir("/dev", "/dev", DirAccess::ReadWrite).unwrap();
    let mut raw = Raw::new(setup);
    let start = Instant::now();
    for (fd, name) in [
        (3, "pipe"),
        (3, "to-pipe"),
        (3, "socket"),
        (4, "null"),
        (4, "zero"),
        (4, "tty"),
    ] {
        for how in [0, CREATE, TRUNCATE, CREATE | TRUNCATE] {
            for rights in [READ, WRITE, READ | WRITE] {
                let opened = raw.open_with(fd, name, true, how, rights);
                assert_eq!(opened, Err(NOTSUP), "{name} {how} {rights}");
            }
        }
    }
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn errors_are_those_of_wasi() {
    let place = Place::new();
    std::fs::write(place.inside().join("file"), "text").unwrap();
    std::fs::create_dir(place.inside().join("folder")).unwrap();
    symlink("file", place.inside().join("link")).unwrap();
    symlink("circle", place.inside().join("circle")).unwrap();
    let mut raw = Raw::of(&place, DirAccess::ReadWrite);
    assert_eq!(raw.open("nothing", 0, READ), Err(NOENT));
    assert_eq!(raw.open("", 0, READ), Err(NOENT));
    assert_eq!(raw.open("a\0b", 0, READ), Err(INVAL));
    assert_eq!(raw.open(&"x".repeat(300), 0, READ), Err(NAMETOOLONG));
    assert_eq!(raw.open(&"x/".repeat(2049), 0, READ), Err(NAMETOOLONG));
    assert_eq!(raw.open("file/x", 0, READ), Err(NOTDIR));
    assert_eq!(raw.open("file", DIRECTORY, READ), Err(NOTDIR));
    assert_eq!(raw.open("folder", 0, WRITE), Err(ISDIR));
    assert_eq!(raw.open("folder", CREATE, READ), Err(ISDIR));
    assert_eq!(raw.open("file", CREATE | EXCLUSIVE, READ), Err(EXIST));
    assert_eq!(raw.open("file", CREATE | DIRECTORY, READ), Err(INVAL));
    assert_eq!(raw.open("file", 16, READ), Err(INVAL));
    assert_eq!(raw.open("circle", 0, READ), Err(LOOP));
    assert_eq!(raw.open_with(3, "link", false, 0, READ), Err(LOOP));
    assert_eq!(raw.open_with(0, "file", true, 0, READ), Err(NOTDIR));
    assert_eq!(raw.open_with(9, "file", true, 0, READ), Err(BADF));
    assert_eq!(raw.open_with(-1, "file", true, 0, READ), Err(BADF));
    // Of the kind that it is.
    let file = raw.open("file", 0, READ).unwrap();
    let folder = raw.open("folder", 0, READ).unwrap();
    assert_eq!((file, folder), (4, 5));
    assert_eq!(raw.open_with(file, "x", true, 0, READ), Err(NOTDIR));
    raw.part(9);
    for (fd, read, write) in [
        (file, 0, BADF),
        (folder, ISDIR, ISDIR),
        (1, BADF, 0),
        (7, BADF, BADF),
    ] {
        let args = [fd.into(), OTHER.into(), 1i32.into(), RESULT.into()];
        assert_eq!(raw.call("fd_read", &args), read, "{fd}");
        assert_eq!(raw.call("fd_write", &args), write, "{fd}");
    }
    for (fd, errno) in [(file, 0), (folder, BADF), (0, SPIPE), (7, BADF)] {
        let seek = [fd.into(), 0i64.into(), 1i32.into(), RESULT.into()];
        assert_eq!(raw.call("fd_seek", &seek), errno, "{fd}");
    }
    for (offset, whence, errno) in [
        (-1i64, 0i32, INVAL),
        (-100, 2, INVAL),
        (0, 3, INVAL),
        (3, 0, 0),
    ] {
        let seek = [file.into(), offset.into(), whence.into(), RESULT.into()];
        assert_eq!(raw.call("fd_seek", &seek), errno, "{offset} {whence}");
    }
    assert_eq!(raw.call("fd_tell", &[file.into(), RESULT.into()]), 0);
    assert_eq!(raw.word(RESULT), 3);
    let list = |fd: i32| {
        [
            fd.into(),
            BUFFER.into(),
            100i32.into(),
            0i64.into(),
            RESULT.into(),
        ]
    };
    assert_eq!(raw.call("fd_readdir", &list(file)), NOTDIR);
    assert_eq!(raw.call("fd_prestat_get", &[3i32.into(), RESULT.into()]), 0);
    assert_eq!(raw.word(RESULT + 4), 4);
    assert_eq!(
        raw.call("fd_prestat_get", &[folder.into(), RESULT.into()]),
        BADF
    );
    let name = [3i32.into(), BUFFER.into(), 3i32.into()];
    assert_eq!(raw.call("fd_prestat_dir_name", &name), NAMETOOLONG);
    // Numbers are used again, the lowest first; streams can be closed as well.
    assert_eq!(raw.call("fd_close", &[file.into()]), 0);
    assert_eq!(raw.call("fd_close", &[file.into()]), BADF);
    assert_eq!(raw.open("file", 0, READ), Ok(file));
    assert_eq!(raw.call("fd_renumber", &[file.into(), 0i32.into()]), 0);
    let args = [0i32.into(), OTHER.into(), 1i32.into(), RESULT.into()];
    assert_eq!(raw.call("fd_read", &args), 0);
    assert_eq!(raw.word(BUFFER), i32::from_le_bytes(*b"text"));
    assert_eq!(raw.call("fd_renumber", &[file.into(), 0i32.into()]), BADF);
    assert_eq!(raw.call("fd_renumber", &[0i32.into(), file.into()]), BADF);
    assert_eq!(raw.call("fd_close", &[1i32.into()]), 0);
    let args = [1i32.into(), OTHER.into(), 1i32.into(), RESULT.into()];
    assert_eq!(raw.call("fd_write", &args), BADF);
}

#[test]
fn descriptors_are_bounded_and_a_reset_closes_them() {
    let place = Place::new();
    std::fs::write(place.inside().join("file"), "text").unwrap();
    let mut raw = Raw::of(&place, DirAccess::ReadWrite);
    for round in 0..3 {
        let mut opened = 0;
        let errno = loop {
            match raw.open("file", 0, READ) {
                Ok(_) => opened += 1,
                Err(errno) => break errno,
            }
        };
        assert_eq!((opened, errno), (128, MFILE), "{round}");
        // Nothing is made that there is no descriptor for.
        assert_eq!(raw.open("new", CREATE, WRITE), Err(MFILE));
        assert!(!place.inside().join("new").exists());
        assert_eq!(raw.call("fd_close", &[3i32.into()]), 0);
        assert_eq!(raw.open_with(4, "file", true, 0, READ), Err(NOTDIR));
        raw.guest.reset().unwrap();
        let stat = [4i32.into(), RESULT.into()];
        assert_eq!(raw.call("fd_fdstat_get", &stat), BADF);
    }
    let here = || {
        let open = Path::new("/proc/self/fd").read_dir().unwrap();
        let open = open.filter_map(|fd| fd.unwrap().path().read_link().ok());
        open.filter(|path| path.starts_with(place.folder.path()))
            .count()
    };
    assert!(here() > 0);
    drop(raw);
    assert_eq!(here(), 0);
}

/// Each use of a pool's has what it opened itself.
#[test]
fn uses_of_a_pool_share_a_directory_and_no_descriptor() {
    let module = guests::load(&guests::rust(
        "appends",
        r#"use std::io::Write;
        fn main() {
            let name = std::env::args().nth(1).unwrap();
            let mut file = std::fs::File::create_new(format!("/dir/{name}")).unwrap();
            writeln!(file, "{name}").unwrap();
            std::mem::forget(file);
        }"#,
    ));
    let place = Place::new();
    let dir = place.dir(DirAccess::ReadWrite);
    let pool = Pool::new(&module, PoolLimits::new().guests(2));
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (pool, dir) = (pool.clone(), dir.clone());
            scope.spawn(move || {
                for turn in 0..200 {
                    let name = format!("{thread}-{turn}");
                    let mut setup = Setup::new().args(["appends", &name]);
                    setup.dirs.push(dir.clone());
                    let mut guest = pool.take(setup).unwrap();
                    guest.call::<()>("_start", ()).unwrap();
                }
            });
        }
    });
    assert_eq!(tree(&place.inside()).len(), 400);
}

/// In any order of parts, and in any piece's size: each entry once.
#[test]
fn a_large_directory_is_listed_in_pieces() {
    let place = Place::new();
    for n in 0..3000 {
        let name = format!("{n:04}{}", "-".repeat(n % 240));
        std::fs::write(place.inside().join(name), "").unwrap();
    }
    let mut raw = Raw::of(&place, DirAccess::Read);
    for room in [24 + 244, 1000, 4096, 150_000] {
        let mut seen = Vec::new();
        let mut cookie = 0i64;
        loop {
            let args = [
                3i32.into(),
                BUFFER.into(),
                room.into(),
                cookie.into(),
                RESULT.into(),
            ];
            assert_eq!(raw.call("fd_readdir", &args), 0);
            let used = raw.word(RESULT);
            let mut at = 0;
            while at + 24 <= used {
                let len = raw.word(BUFFER + at + 16);
                if at + 24 + len > used {
                    break;
                }
                cookie = raw.guest.call("long", &[(BUFFER + at).into()]).unwrap();
                seen.push(raw.word(BUFFER + at + 24) as u32);
                at += 24 + len;
            }
            if used < room {
                break;
            }
        }
        assert_eq!(cookie, 3002, "{room}");
        let mut numbers: Vec<_> = seen[2..].to_vec();
        numbers.sort();
        numbers.dedup();
        assert_eq!(numbers.len(), 3000, "{room}");
    }
    // Backwards, it begins anew; behind the end, there is nothing.
    for (cookie, empty) in [
        (0i64, false),
        (3001, false),
        (7, false),
        (3002, true),
        (-1, true),
    ] {
        let args = [
            3i32.into(),
            BUFFER.into(),
            500i32.into(),
            cookie.into(),
            RESULT.into(),
        ];
        assert_eq!(raw.call("fd_readdir", &args), 0);
        assert_eq!(raw.word(RESULT) == 0, empty, "{cookie}");
    }
}

/// To go to the end of a directory again and again takes long: the guest ends as any other
/// that takes long.
#[test]
fn listing_ends_with_the_guest() {
    let place = Place::new();
    for n in 0..2000 {
        std::fs::write(place.inside().join(n.to_string()), "").unwrap();
    }
    let limits = [
        Limits::new().deadline(Duration::from_millis(100)),
        Limits::new().fuel(1_000_000),
    ];
    for limits in limits {
        let mut setup = Setup::new().limits(limits);
        setup.dirs.push(place.dir(DirAccess::Read));
        let mut raw = Raw::new(setup);
        let start = Instant::now();
        let error = raw.guest.call::<()>("list_forever", &[1_000_000i64.into()]);
        assert!(
            matches!(error, Err(Error::Deadline { .. } | Error::OutOfFuel { .. })),
            "{error:?}"
        );
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

/// Whatever it passes, the guest gets an error number or has its will, and nobody else is
/// touched.
#[test]
fn wild_arguments_do_no_harm() {
    let place = Place::new();
    let outside = tree(&place.outside());
    std::fs::create_dir(place.inside().join("a")).unwrap();
    std::fs::write(place.inside().join("b"), "text").unwrap();
    let mut raw = Raw::of(&place, DirAccess::ReadWrite);
    raw.put(PATH, b"a/../b/../../outside/secret\0..//.");
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let words = [
        0,
        1,
        2,
        3,
        4,
        5,
        8,
        16,
        100,
        PATH,
        PATH + 2,
        OTHER,
        RESULT,
        BUFFER,
        4096,
        65_535,
        262_140,
        262_143,
        262_144,
        i32::MAX,
        i32::MIN,
        -1,
        -8,
        -48,
        -4096,
    ];
    let longs = [
        0,
        1,
        2,
        63,
        66,
        4096,
        i64::MAX,
        i64::MIN,
        -1,
        i64::from(u32::MAX),
        1 << 40,
    ];
    let mut counts = BTreeMap::new();
    for _ in 0..40_000 {
        let (name, params) = FUNCTIONS[random(FUNCTIONS.len() as u64) as usize];
        let args: Vec<Value> = params
            .split(' ')
            .map(|ty| match ty {
                "i32" => words[random(words.len() as u64) as usize].into(),
                _ => longs[random(longs.len() as u64) as usize].into(),
            })
            .collect();
        // To wait for an hour is its right.
        if name == "poll_oneoff" {
            raw.put(BUFFER, &[0; 48]);
        }
        // And a file of an exabyte that takes no room.
        let errno: i32 = raw.guest.call(name, &args).unwrap();
        assert!((0..=76).contains(&errno), "{name} {args:?}: {errno}");
        *counts.entry(errno).or_insert(0) += 1;
        if random(500) == 0 {
            raw.guest.reset().unwrap();
            raw.put(PATH, b"a/../b/../../outside/secret\0..//.");
        }
    }
    for errno in [0, BADF, FAULT, INVAL] {
        assert!(counts.contains_key(&errno), "{counts:?}");
    }
    assert_eq!(tree(&place.outside()), outside);
    assert_eq!(place.folder.path().read_dir().unwrap().count(), 2);
}

/// As many parts as a number can count, each of as many bytes.
#[test]
fn billions_of_parts_are_refused() {
    let place = Place::new();
    std::fs::write(place.inside().join("file"), vec![7; 3 << 20]).unwrap();
    let mut raw = Raw::of(&place, DirAccess::ReadWrite);
    let file = raw.open("file", 0, READ | WRITE).unwrap();
    for name in ["fd_read", "fd_write"] {
        for count in [-1i32, i32::MAX, 1025] {
            let args = [file.into(), OTHER.into(), count.into(), RESULT.into()];
            assert_eq!(raw.call(name, &args), INVAL, "{name} {count}");
        }
    }
    raw.part(-1);
    let args = [file.into(), OTHER.into(), 1i32.into(), RESULT.into()];
    assert_eq!(raw.call("fd_read", &args), FAULT);
    // Each of 1,024 parts is all of the memory: one call moves a bounded number of bytes.
    for part in 0..1024 {
        let at = 0x8000 + part * 8;
        for (at, word) in [(at, 0x10000i32), (at + 4, 0x20000)] {
            let put = [at.into(), word.into()];
            raw.guest.call::<()>("put_word", &put).unwrap();
        }
    }
    let seek = [file.into(), 0i64.into(), 0i32.into(), RESULT.into()];
    assert_eq!(raw.call("fd_seek", &seek), 0);
    for name in ["fd_read", "fd_write"] {
        let args = [file.into(), 0x8000i32.into(), 1024i32.into(), RESULT.into()];
        assert_eq!(raw.call(name, &args), 0);
        assert_eq!(raw.word(RESULT), 1 << 20, "{name}");
    }
}

#[test]
fn what_is_no_directory_is_not_given() {
    let place = Place::new();
    let open = |host: &Path, guest: &str| Dir::open(host, guest, DirAccess::Read);
    let secret = place.outside().join("secret");
    for (host, guest) in [
        (&*place.inside().join("nothing"), "/dir"),
        (&secret, "/dir"),
        (&place.inside(), ""),
        (&place.inside(), "a\0b"),
        (&place.inside(), &"x".repeat(5000)),
    ] {
        let error = open(host, guest).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error}");
    }
}
