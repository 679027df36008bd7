//! The package `guest`, from the oldest and the newest compiler, in guests whose
//! memory the host makes and in those with their own.

mod guests;

use genkan::build_guest::{LinkSettings, Memory};
use genkan_host::{Access, Engine, Error, Guest, Region, Value};
use std::path::PathBuf;
use std::process::Command;

/// Rust 1.63, if it is here with a target for guests.
fn oldest() -> Option<PathBuf> {
    let output = Command::new("rustup")
        .args(["which", "--toolchain", "1.63.0", "rustc"])
        .output()
        .ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    path.is_file().then_some(path)
}

/// An example, built in each way that there is.
fn each_way(name: &str) -> Vec<(String, Guest)> {
    let mut compilers = vec![("newest", None)];
    match oldest() {
        Some(rustc) => compilers.push(("oldest", Some(rustc))),
        None => println!("no Rust 1.63.0 here: tested with the newest alone"),
    }
    let mut guests = Vec::new();
    for (compiler, rustc) in compilers {
        for (kind, memory) in [("import", Memory::Import), ("export", Memory::Export)] {
            let link = LinkSettings {
                memory,
                ..LinkSettings::default()
            };
            let output = format!("{name}-{compiler}-{kind}");
            let path = guests::example_with(name, &output, link, rustc.clone());
            let module = Engine::default().load(path).unwrap();
            guests.push((output, Guest::new(&module).unwrap()));
        }
    }
    guests
}

#[test]
fn copies() {
    for (way, mut guest) in each_way("copy") {
        let text: String = (0..5000).map(|i| format!("{i}a")).collect();
        let region = Region::copy_of(text.as_bytes()).unwrap();
        guest.grant(&region, Access::ReadWrite).unwrap();
        let changed: u32 = guest.call("upper", &[region.pointer().into()]).unwrap();
        assert_eq!(changed, 5000, "{way}");
        assert_eq!(*region.as_slice().unwrap(), *text.to_uppercase().as_bytes());
        guest.grant(&region, Access::Read).unwrap();
        let error = guest.call::<u32>("upper", &[(region.pointer() + 3).into()]);
        // There is nothing left to change, but it writes all back.
        assert!(matches!(error, Err(Error::Pointer(_))), "{way}: {error:?}");
    }
}

#[test]
fn windows() {
    for (way, mut guest) in each_way("window_sum") {
        for len in [0, 8, 4096, 100_000] {
            let mut region = Region::zeroed(len).unwrap();
            region.as_mut_slice().unwrap().fill(1);
            guest.grant(&region, Access::Read).unwrap();
            let sum: u64 = guest.call("sum", &[region.pointer().into()]).unwrap();
            let word = 0x0101_0101_0101_0101u64;
            assert_eq!(sum, word.wrapping_mul(len as u64 / 8), "{way}");
        }
    }
}

#[test]
fn errors_as_results() {
    for (way, mut guest) in each_way("careful") {
        let region = Region::copy_of(&[1, 2, 3, 4, 5]).unwrap();
        guest.grant(&region, Access::Read).unwrap();
        let p = Value::from(region.pointer());
        let mut number = |p: Value, offset: u32| {
            let number: i64 = guest.call("number", &[p, offset.into()]).unwrap();
            number
        };
        assert_eq!(number(p, 1), 0x0504_0302, "{way}");
        assert_eq!(number(p, 2), -2, "{way}");
        assert_eq!(number(p, u32::MAX), -2, "{way}");
        assert_eq!(number(0i64.into(), 0), -1, "{way}");
        assert_eq!(number((-1i64).into(), 0), -1, "{way}");
        assert_eq!(
            guest.call::<i64>("fill", &[p, 9u8.into()]).unwrap(),
            -3,
            "{way}"
        );
        guest.grant(&region, Access::ReadWrite).unwrap();
        assert_eq!(
            guest.call::<i64>("fill", &[p, 9u8.into()]).unwrap(),
            0,
            "{way}"
        );
        assert_eq!(*region.as_slice().unwrap(), [9; 5], "{way}");
    }
}

#[test]
fn a_column_of_floats() {
    for (way, mut guest) in each_way("filter") {
        let numbers = [1.5, -2.0, 3.25, f64::NAN, 1e300];
        let bytes: Vec<u8> = numbers.iter().flat_map(|n: &f64| n.to_le_bytes()).collect();
        let column = Region::copy_of(&bytes).unwrap();
        let above = Region::zeroed(bytes.len()).unwrap();
        guest.grant(&column, Access::Read).unwrap();
        guest.grant(&above, Access::ReadWrite).unwrap();
        let args = [column.pointer().into(), above.pointer().into(), 1.5.into()];
        assert_eq!(guest.call::<u32>("filter", &args).unwrap(), 2, "{way}");
        let kept = above.as_slice().unwrap();
        assert_eq!(kept[..8], 3.25f64.to_le_bytes(), "{way}");
        assert_eq!(kept[8..16], 1e300f64.to_le_bytes(), "{way}");
    }
}

#[test]
fn the_memos_own_way_works_beside_it() {
    for (way, mut guest) in each_way("calc") {
        let region = Region::copy_of(&[0, 1, 2, 3]).unwrap();
        guest.grant(&region, Access::Read).unwrap();
        let args = [region.pointer().into(), 20u8.into()];
        assert_eq!(guest.call::<i32>("calc", &args).unwrap(), 22, "{way}");
    }
}
