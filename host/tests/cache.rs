//! The module cache: what is damaged or foreign is not loaded.

mod guests;

use genkan_host::{Checks, Config, Engine, Error, Guest};
use std::path::{Path, PathBuf};

const GUEST: &[u8] = br#"(module (func (export "f") (result i32) (i32.const 7)))"#;

fn config(cache: &Path) -> Config {
    Config::new().cache(cache)
}

/// Compiles or loads the guest, in a new engine, and calls it.
fn run(config: Config, guest: &[u8]) -> i32 {
    let module = Engine::new(config).unwrap().compile(guest).unwrap();
    Guest::new(&module).unwrap().call("f", &[]).unwrap()
}

fn directory(name: &str) -> PathBuf {
    let path = guests::folder().join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

fn only_file(cache: &Path) -> PathBuf {
    let files: Vec<_> = cache
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.into_iter().next().unwrap()
}

#[test]
fn damage_is_found_and_mended() {
    let cache = directory("damaged");
    assert_eq!(run(config(&cache), GUEST), 7);
    let file = only_file(&cache);
    let whole = std::fs::read(&file).unwrap();
    // Any bit of it, its end, its beginning, all of it.
    let mut damaged: Vec<Vec<u8>> = (0..whole.len())
        .step_by(whole.len() / 20 + 1)
        .map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            bytes
        })
        .collect();
    damaged.extend([
        vec![],
        whole[..10].to_vec(),
        whole[..whole.len() - 1].to_vec(),
    ]);
    damaged.push([&whole[..], &[0]].concat());
    for bytes in damaged {
        std::fs::write(&file, &bytes).unwrap();
        assert_eq!(run(config(&cache), GUEST), 7);
        assert_eq!(std::fs::read(&file).unwrap().len(), whole.len());
    }
    std::fs::remove_dir_all(&cache).unwrap();
}

#[test]
fn what_is_kept_is_used() {
    let cache = directory("used");
    assert_eq!(run(config(&cache), GUEST), 7);
    let file = only_file(&cache);
    let before = std::fs::metadata(&file).unwrap().modified().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(run(config(&cache), GUEST), 7);
    assert_eq!(
        std::fs::metadata(&file).unwrap().modified().unwrap(),
        before
    );
    // Another module, and the same one metered, have their own.
    assert_eq!(
        run(
            config(&cache),
            br#"(module (func (export "f") (result i32) (i32.const 8)))"#
        ),
        8
    );
    let metered = config(&cache).checks(Checks::none().fuel(true));
    assert_eq!(run(metered.clone(), GUEST), 7);
    assert_eq!(run(metered, GUEST), 7);
    assert_eq!(cache.read_dir().unwrap().count(), 3);
    std::fs::remove_dir_all(&cache).unwrap();
}

#[test]
#[cfg(unix)]
fn only_its_owner_may_write_it() {
    use std::os::unix::fs::PermissionsExt;
    let cache = directory("shared");
    assert_eq!(run(config(&cache), GUEST), 7);
    assert_eq!(
        std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777,
        0o700
    );
    std::fs::set_permissions(&cache, PermissionsExt::from_mode(0o770)).unwrap();
    let error = Engine::new(config(&cache)).err().unwrap();
    assert!(matches!(error, Error::File { .. }), "{error:?}");
    let message = guests::chain(&error);
    assert!(message.contains("others can write it"), "{message}");
    std::fs::remove_dir_all(&cache).unwrap();
    std::fs::write(&cache, "a file").unwrap();
    assert!(Engine::new(config(&cache)).is_err());
    std::fs::remove_file(&cache).unwrap();
}

#[test]
fn many_at_once_write_the_same() {
    let cache = directory("many");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(run(config(&cache), GUEST), 7));
        }
    });
    only_file(&cache);
    std::fs::remove_dir_all(&cache).unwrap();
}

/// Other processes load and write the same file, while this one damages and removes it.
#[test]
#[cfg(target_os = "linux")]
fn processes_race_for_one_file() {
    let cache = directory("raced");
    assert_eq!(run(config(&cache), GUEST), 7);
    let file = only_file(&cache);
    let others: Vec<_> = (0..3)
        // SAFETY: the child runs guests and ends without returning from here.
        .map(|_| match unsafe { libc::fork() } {
            0 => {
                let right = (0..30).all(|_| run(config(&cache), GUEST) == 7);
                // SAFETY: ends the process.
                unsafe { libc::_exit(i32::from(!right)) };
            }
            child => child,
        })
        .collect();
    for round in 0..300 {
        let damage = match round % 3 {
            0 => std::fs::remove_file(&file),
            1 => std::fs::write(&file, "short"),
            _ => std::fs::File::options()
                .write(true)
                .open(&file)
                .and_then(|file| file.set_len(1000)),
        };
        // It may have been removed.
        let _ = damage;
        std::thread::sleep(std::time::Duration::from_micros(500));
    }
    for child in others {
        let mut status = 0;
        // SAFETY: waits for a process of ours.
        unsafe { libc::waitpid(child, &mut status, 0) };
        assert_eq!(status, 0);
    }
    assert_eq!(run(config(&cache), GUEST), 7);
    std::fs::remove_dir_all(&cache).unwrap();
}
