//! What guests can do with the host's memory, and what they cannot.

mod guests;

use genkan_host::{
    Access, Engine, Error, Guest, Pointer, PointerError, PointerProblem, Region, RegionVec, Setup,
    Value,
};

/// Every function that a guest can import for the host's memory, passed on.
const ALL: &str = r#"
    (import "env" "read" (func $read (param i64 i32) (result i32)))
    (import "genkan" "len" (func $len (param i64) (result i64)))
    (import "genkan" "check" (func $check (param i64 i64 i32) (result i32)))
    (import "genkan" "read_u8" (func $read_u8 (param i64 i32) (result i32)))
    (import "genkan" "read_u16" (func $read_u16 (param i64 i32) (result i32)))
    (import "genkan" "read_u32" (func $read_u32 (param i64 i32) (result i32)))
    (import "genkan" "read_u64" (func $read_u64 (param i64 i32) (result i64)))
    (import "genkan" "write_u8" (func $write_u8 (param i64 i32 i32)))
    (import "genkan" "write_u16" (func $write_u16 (param i64 i32 i32)))
    (import "genkan" "write_u32" (func $write_u32 (param i64 i32 i32)))
    (import "genkan" "write_u64" (func $write_u64 (param i64 i32 i64)))
    (import "genkan" "read_into" (func $read_into (param i64 i32 i32)))
    (import "genkan" "write_from" (func $write_from (param i64 i32 i32)))
    (import "genkan" "map" (func $map (param i64 i32 i32) (result i32)))
    (import "genkan" "try_map" (func $try_map (param i64 i32 i32) (result i64)))
    (import "genkan" "unmap" (func $unmap (param i32)))
    (export "read" (func $read)) (export "len" (func $len)) (export "check" (func $check))
    (export "read_u8" (func $read_u8)) (export "read_u16" (func $read_u16))
    (export "read_u32" (func $read_u32)) (export "read_u64" (func $read_u64))
    (export "write_u8" (func $write_u8)) (export "write_u16" (func $write_u16))
    (export "write_u32" (func $write_u32)) (export "write_u64" (func $write_u64))
    (export "read_into" (func $read_into)) (export "write_from" (func $write_from))
    (export "map" (func $map)) (export "try_map" (func $try_map))
    (export "unmap" (func $unmap))
    (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
    (func (export "fill") (param i32 i32 i32)
        (memory.fill (local.get 0) (local.get 1) (local.get 2)))
    (func (export "copy") (param i32 i32 i32)
        (memory.copy (local.get 0) (local.get 1) (local.get 2)))
    (func (export "init") (param i32) (memory.init 0 (local.get 0) (i32.const 0) (i32.const 4)))
    (func (export "drop_data") (data.drop 0))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (data "data")"#;

/// With a memory that the host makes, under the name that others give it.
fn importing() -> Guest {
    guests::wat(&format!(
        r#"(module (import "env" "memory" (memory 1)) {ALL})"#
    ))
}

/// With a memory of its own.
fn exporting() -> Guest {
    guests::wat(&format!(r#"(module {ALL} (memory (export "memory") 1))"#))
}

fn both() -> [Guest; 2] {
    [importing(), exporting()]
}

fn problem(result: Result<i32, Error>) -> PointerProblem {
    match result {
        Err(Error::Pointer(PointerError { problem, .. })) => problem,
        other => panic!("{other:?}"),
    }
}

fn values<const N: usize>(values: [i64; N], pointer: Pointer) -> Vec<Value> {
    let rest = values.iter().map(|value| Value::from(*value as i32));
    std::iter::once(Value::from(pointer)).chain(rest).collect()
}

#[test]
fn numbers_are_little_endian() {
    let region = Region::copy_of(&[1, 2, 3, 4, 5, 6, 7, 0x88]).unwrap();
    for mut guest in both() {
        guest.grant(&region, Access::ReadWrite).unwrap();
        let p = region.pointer();
        assert_eq!(guest.call::<i32>("read", &values([7], p)).unwrap(), 0x88);
        assert_eq!(guest.call::<i32>("read_u8", &values([7], p)).unwrap(), 0x88);
        assert_eq!(
            guest.call::<i32>("read_u16", &values([6], p)).unwrap(),
            0x8807
        );
        assert_eq!(
            guest.call::<u32>("read_u32", &values([4], p)).unwrap(),
            0x8807_0605
        );
        let all: u64 = guest.call("read_u64", &values([0], p)).unwrap();
        assert_eq!(all, 0x8807_0605_0403_0201);
        guest
            .call::<()>("write_u16", &values([0, 0xbeef], p))
            .unwrap();
        guest
            .call::<()>("write_u8", &values([2, 0x1ff], p))
            .unwrap();
        let args = [p.into(), 0.into(), 0x1122_3344_5566_7788u64.into()];
        assert_eq!(region.as_slice().unwrap()[..3], [0xef, 0xbe, 0xff]);
        guest.call::<()>("write_u64", &args).unwrap();
        guest.call::<()>("write_u32", &values([4, -1], p)).unwrap();
        assert_eq!(region.as_slice().unwrap()[..4], [0x88, 0x77, 0x66, 0x55]);
        assert_eq!(region.as_slice().unwrap()[4..], [0xff; 4]);
        guest
            .call::<()>(
                "write_u64",
                &[p.into(), 0.into(), 0x8807_0605_0403_0201u64.into()],
            )
            .unwrap();
    }
}

#[test]
fn every_way_out_of_a_region_is_an_error() {
    let region = Region::copy_of(&[7; 5]).unwrap();
    let neighbour = Region::copy_of(&[9; 5]).unwrap();
    for mut guest in both() {
        guest.grant(&region, Access::Read).unwrap();
        guest.grant(&neighbour, Access::Read).unwrap();
        let p = region.pointer();
        let bounds = PointerProblem::OutOfBounds { region: p, len: 5 };
        let mut read =
            |name: &str, p, offset| guests::call::<i32>(&mut guest, name, &values([offset], p));
        assert_eq!(read("read", p, 4).unwrap(), 7);
        assert_eq!(read("read", p + 4, 0).unwrap(), 7);
        assert_eq!(problem(read("read", p, 5)), bounds);
        assert_eq!(problem(read("read", p + 5, 0)), bounds);
        assert_eq!(problem(read("read", p, -1)), bounds);
        assert_eq!(problem(read("read", p + u32::MAX, 1)), bounds);
        assert_eq!(problem(read("read", p + u32::MAX, -1)), bounds);
        assert_eq!(problem(read("read_u32", p, 2)), bounds);
        assert_eq!(problem(read("read_u16", p + 4, 0)), bounds);
        let at = |bits| Pointer::from_bits(bits);
        let bits = p.to_bits();
        assert_eq!(problem(read("read", at(0), 0)), PointerProblem::Null);
        assert_eq!(problem(read("read", at(5), 0)), PointerProblem::Unknown);
        assert_eq!(
            problem(read("read", at(u64::MAX), 0)),
            PointerProblem::Unknown
        );
        assert_eq!(
            problem(read("read", at(bits.wrapping_neg()), 0)),
            PointerProblem::Unknown
        );
        assert_eq!(
            problem(read("read", at(bits | 1 << 63), 0)),
            PointerProblem::Unknown
        );
        assert_eq!(
            problem(read("read", at(bits + (1 << 48)), 0)),
            PointerProblem::Unknown
        );
        // A run into the next slot meets another generation.
        assert_eq!(
            problem(read("read", at(bits + (1 << 32)), 0)),
            PointerProblem::Unknown
        );
        assert_eq!(
            problem(read("read", at(bits - 1), 0)),
            PointerProblem::Unknown
        );
    }
}

#[test]
fn bulk_copies_check_both_ends() {
    let region = Region::copy_of(b"hello, host").unwrap();
    for mut guest in both() {
        guest.grant(&region, Access::ReadWrite).unwrap();
        let p = region.pointer();
        guest.call::<()>("read_into", &values([100, 5], p)).unwrap();
        assert_eq!(
            guest.call::<i32>("load", &[104.into()]).unwrap(),
            i32::from(b'o')
        );
        assert_eq!(guest.call::<i32>("load", &[105.into()]).unwrap(), 0);
        guest
            .call::<()>("write_from", &values([100, 5], p + 6))
            .unwrap();
        assert_eq!(*region.as_slice().unwrap(), *b"hello,hello");
        guest
            .call::<()>("write_from", &values([102, 4], p + 7))
            .unwrap();
        assert_eq!(*region.as_slice().unwrap(), *b"hello,hllo\0");

        let mut copy =
            |name: &str, p, at, len| guests::call::<()>(&mut guest, name, &values([at, len], p));
        // Nothing, at the very end of both.
        copy("read_into", p + 11, 65536, 0).unwrap();
        for name in ["read_into", "write_from"] {
            assert!(matches!(copy(name, p, 0, 12), Err(Error::Pointer(_))));
            assert!(matches!(copy(name, p, 0, -1), Err(Error::Pointer(_))));
            assert!(matches!(copy(name, p + 12, 0, 0), Err(Error::Pointer(_))));
            for (at, len) in [(65536 - 10, 11), (65536, 1), (-1, 11), (-11, 11)] {
                let error = copy(name, p, at, len).unwrap_err();
                assert!(
                    matches!(error, Error::GuestRange { .. } | Error::Trap { .. }),
                    "{name} {at} {len}: {error:?}"
                );
            }
        }
        let mut region = Region::copy_of(b"").unwrap();
        region.as_mut_slice().unwrap();
    }
    assert_eq!(*region.as_slice().unwrap(), *b"hello,hllo\0");
}

#[test]
fn a_region_for_reading_cannot_be_written() {
    let region = Region::copy_of(&[1; 16]).unwrap();
    for mut guest in both() {
        guest.grant(&region, Access::Read).unwrap();
        let p = region.pointer();
        let read_only = PointerProblem::ReadOnly { region: p, len: 16 };
        for name in ["write_u8", "write_u16", "write_u32", "write_from"] {
            let result = guests::call::<()>(&mut guest, name, &values([0, 4], p));
            assert_eq!(problem(result.map(|()| 0)), read_only, "{name}");
        }
        let mapped = guests::call(&mut guest, "map", &values([4, 1], p));
        assert_eq!(problem(mapped), read_only);
        assert_eq!(
            guest.call::<i64>("try_map", &values([4, 1], p)).unwrap(),
            -3
        );
        let check = |len: u64, write: i32| [p.into(), len.into(), write.into()];
        assert_eq!(guest.call::<i32>("check", &check(16, 0)).unwrap(), 0);
        assert_eq!(guest.call::<i32>("check", &check(16, 1)).unwrap(), 3);
        assert_eq!(guest.call::<i32>("check", &check(17, 1)).unwrap(), 2);
        assert_eq!(guest.call::<i32>("check", &check(u64::MAX, 0)).unwrap(), 2);
        // Until it is granted anew.
        guest.grant(&region, Access::ReadWrite).unwrap();
        assert_eq!(guest.call::<i32>("check", &check(16, 1)).unwrap(), 0);
        guest.grant(&region, Access::Read).unwrap();
        assert_eq!(guest.call::<i32>("check", &check(16, 1)).unwrap(), 3);
    }
    assert_eq!(*region.as_slice().unwrap(), [1; 16]);
}

#[test]
fn the_length_from_a_pointer_on() {
    let region = Region::zeroed(10_000).unwrap();
    let empty = Region::zeroed(0).unwrap();
    for mut guest in both() {
        guest.grant(&region, Access::Read).unwrap();
        guest.grant(&empty, Access::Read).unwrap();
        let mut len = |p: Pointer| guests::call::<i64>(&mut guest, "len", &[p.into()]);
        assert_eq!(len(region.pointer()).unwrap(), 10_000);
        assert_eq!(len(region.pointer() + 9_999).unwrap(), 1);
        assert_eq!(len(region.pointer() + 10_000).unwrap(), 0);
        assert!(len(region.pointer() + 10_001).is_err());
        assert_eq!(len(empty.pointer()).unwrap(), 0);
        assert!(len(Pointer::from_bits(0)).is_err());
        let error = guest
            .call::<i32>("map", &values([0, 0], empty.pointer()))
            .unwrap_err();
        assert!(matches!(error, Error::Window { .. }), "{error:?}");
    }
}

#[test]
fn dropping_a_region_revokes_it_for_all() {
    let mut guests = both();
    let region = Region::copy_of(&[3]).unwrap();
    let other = Region::copy_of(&[4]).unwrap();
    let p = region.pointer();
    for guest in &mut guests {
        guest.grant(&region, Access::Read).unwrap();
        guest.grant(&other, Access::Read).unwrap();
        assert_eq!(guest.call::<i32>("read", &values([0], p)).unwrap(), 3);
    }
    drop(region);
    // The slot is used again; the old pointer stays dead.
    let next = Region::copy_of(&[5]).unwrap();
    for guest in &mut guests {
        assert_eq!(
            problem(guests::call(guest, "read", &values([0], p))),
            PointerProblem::Revoked
        );
        guest.grant(&next, Access::Read).unwrap();
        assert_eq!(
            problem(guests::call(guest, "read", &values([0], p))),
            PointerProblem::Revoked
        );
        assert_eq!(
            guest
                .call::<i32>("check", &[p.into(), 1u64.into(), 0.into()])
                .unwrap(),
            1
        );
        let other = other.pointer();
        assert_eq!(guest.call::<i32>("read", &values([0], other)).unwrap(), 4);
        let next = next.pointer();
        assert_eq!(guest.call::<i32>("read", &values([0], next)).unwrap(), 5);
    }
}

#[test]
fn a_region_can_be_taken_from_one_guest() {
    let region = Region::copy_of(&[3]).unwrap();
    let args = values([0], region.pointer());
    let [mut one, mut two] = both();
    one.grant(&region, Access::Read).unwrap();
    assert_eq!(
        problem(guests::call(&mut two, "read", &args)),
        PointerProblem::Unknown
    );
    two.grant(&region, Access::Read).unwrap();
    one.revoke(&region);
    assert_eq!(
        problem(guests::call(&mut one, "read", &args)),
        PointerProblem::Unknown
    );
    assert_eq!(two.call::<i32>("read", &args).unwrap(), 3);
}

#[test]
fn a_window_is_the_region_itself() {
    let mut region = Region::zeroed(100_000).unwrap();
    for mut guest in both() {
        guest.grant(&region, Access::ReadWrite).unwrap();
        region.as_mut_slice().unwrap()[70_001] = 42;
        // Neither the pointer nor the length are at a page's beginning or end.
        let args = values([20_000, 1], region.pointer() + 70_000);
        let window: i32 = guest.call("map", &args).unwrap();
        assert_eq!(window % 16, 70_000 % 16);
        assert_eq!(
            guest.call::<i32>("load", &[(window + 1).into()]).unwrap(),
            42
        );
        guest
            .call::<()>("store", &[(window + 19_999).into(), 43.into()])
            .unwrap();
        assert_eq!(region.as_slice().unwrap()[89_999], 43);
        // The host's next bytes are there as well.
        region.as_mut_slice().unwrap()[70_002] = 44;
        assert_eq!(
            guest.call::<i32>("load", &[(window + 2).into()]).unwrap(),
            44
        );
        // Wasm's bulk operations work on it, in both directions.
        guest
            .call::<()>("fill", &[(window + 5).into(), 1.into(), 3.into()])
            .unwrap();
        guest
            .call::<()>(
                "copy",
                &[(window + 9).into(), (window + 5).into(), 3.into()],
            )
            .unwrap();
        assert_eq!(
            region.as_slice().unwrap()[70_004..70_013],
            [0, 1, 1, 1, 0, 1, 1, 1, 0]
        );
        guest.call::<()>("init", &[window.into()]).unwrap();
        assert_eq!(region.as_slice().unwrap()[70_000..70_004], *b"data");
        // And the host's copies.
        guest
            .call::<()>(
                "read_into",
                &values([i64::from(window), 4], region.pointer()),
            )
            .unwrap();
        assert_eq!(region.as_slice().unwrap()[70_000..70_004], [0; 4]);
        guest.call::<()>("unmap", &[window.into()]).unwrap();
        region.as_mut_slice().unwrap().fill(0);
    }
}

#[test]
fn what_a_guest_may_not_do_with_windows_is_a_clean_error() {
    let region = Region::zeroed(10_000).unwrap();
    for mut guest in both() {
        guest.grant(&region, Access::Read).unwrap();
        let p = region.pointer();
        let window: i32 = guest.call("map", &values([10_000, 0], p)).unwrap();
        let at = |address: i32| Value::from(address);
        let mut call = |name: &str, args: &[Value]| {
            let result = guests::call::<()>(&mut guest, name, args);
            let again: i32 = guest.call("map", &values([10_000, 0], p)).unwrap();
            assert_eq!(again, window);
            result
        };
        let read_only = [
            call("store", &[at(window), 1.into()]),
            call("fill", &[at(window + 5000), 1.into(), 1.into()]),
            // Straddles the end of the memory before it and the window.
            call("fill", &[at(window - 2), 1.into(), 4.into()]),
            call("copy", &[at(window), 0.into(), 4.into()]),
        ];
        for result in read_only {
            assert!(
                matches!(result, Err(Error::WindowAccess { .. })),
                "{result:?}"
            );
        }
        // Here it is the host that copies; it checks, and does not fault.
        for result in [
            call("init", &[at(window)]),
            call("read_into", &[p.into(), at(window), 4.into()]),
            call("read_into", &[p.into(), at(window - 2), 4.into()]),
        ] {
            assert!(
                matches!(
                    result,
                    Err(Error::Trap { .. } | Error::GuestRange { .. } | Error::WindowAccess { .. })
                ),
                "{result:?}"
            );
        }
        guest.call::<()>("drop_data", &[]).unwrap();
        assert_eq!(*region.as_slice().unwrap(), [0; 10_000]);

        // Maps, grows and unmaps.
        let old_size: i32 = guest.call("grow", &[3.into()]).unwrap();
        assert!(old_size > 1);
        guest
            .call::<()>("store", &[at(old_size * 65536), 9.into()])
            .unwrap();
        guest.call::<()>("unmap", &[at(window)]).unwrap();
        // Its addresses are given out again, and the memory does not grow.
        let again: i32 = guest.call("map", &values([10_000, 0], p)).unwrap();
        assert_eq!(again, window);
        assert_eq!(
            guest.call::<i32>("grow", &[0.into()]).unwrap(),
            old_size + 3
        );
        assert_eq!(
            guest.call::<i32>("load", &[at(old_size * 65536)]).unwrap(),
            9
        );
        // Neither does anything lie behind the region's end, or the memory's.
        assert_eq!(
            guest.call::<i32>("load", &[at(window + 10_000)]).unwrap(),
            0
        );
        let beyond = guest.call::<i32>("load", &[at((old_size + 3) * 65536)]);
        assert!(matches!(beyond, Err(Error::Trap { .. })), "{beyond:?}");
        // Maps, unmaps, keeps the address and loads.
        for name in ["load", "unmap"] {
            guest.reset().unwrap();
            let window: i32 = guest.call("map", &values([10_000, 0], p)).unwrap();
            guest.call::<()>("unmap", &[at(window)]).unwrap();
            let result = guest.call::<Vec<Value>>(name, &[at(window)]);
            assert!(
                matches!(
                    result,
                    Err(Error::WindowAccess { .. } | Error::Window { .. })
                ),
                "{result:?}"
            );
        }
    }
}

#[test]
fn a_window_goes_with_its_region() {
    for mut guest in both() {
        let lost = |guest: &mut Guest| -> i32 {
            let region = Region::copy_of(&[1; 4096]).unwrap();
            guest.grant(&region, Access::ReadWrite).unwrap();
            let args = values([4096, 1], region.pointer());
            guest.call("map", &args).unwrap()
        };
        let window = lost(&mut guest);
        let result = guests::call::<i32>(&mut guest, "load", &[window.into()]);
        assert!(matches!(result, Err(Error::RegionGone(_))), "{result:?}");
        // The host's copies meet nothing there either.
        let other = Region::copy_of(&[2; 8]).unwrap();
        guest.grant(&other, Access::ReadWrite).unwrap();
        for name in ["read_into", "write_from"] {
            let window = lost(&mut guest);
            let args = values([i64::from(window), 4], other.pointer());
            assert!(guests::call::<()>(&mut guest, name, &args).is_err());
        }
        assert_eq!(*other.as_slice().unwrap(), [2; 8]);
        let window = lost(&mut guest);
        guest.call::<()>("unmap", &[window.into()]).unwrap();
    }
}

#[test]
fn windows_need_room() {
    // Its author has said how large it may become.
    let mut guest = guests::wat(&format!(
        r#"(module (import "env" "memory" (memory 1 2)) {ALL})"#
    ));
    let region = Region::zeroed(100_000).unwrap();
    guest.grant(&region, Access::Read).unwrap();
    let p = region.pointer();
    assert_eq!(
        guest
            .call::<i64>("try_map", &values([100_000, 0], p))
            .unwrap(),
        -4
    );
    let result = guests::call::<i32>(&mut guest, "map", &values([100_000, 0], p));
    assert!(matches!(result, Err(Error::Window { .. })), "{result:?}");
    assert!(
        guest
            .call::<i64>("try_map", &values([60_000, 0], p))
            .unwrap()
            > 0
    );
}

#[test]
fn the_host_and_a_running_guest_do_not_share_bytes() {
    let module = Engine::default()
        .compile(
            br#"(module (import "env" "touch" (func $touch)) (func (export "run") (call $touch)))"#,
        )
        .unwrap();
    let region = std::sync::Arc::new(Region::zeroed(8).unwrap());
    let mut setup = genkan_host::Setup::default();
    let seen = std::sync::Arc::clone(&region);
    setup.functions.add("env", "touch", move |_, _| {
        seen.as_slice()?;
        Ok(Vec::new())
    });
    let mut guest = Guest::with(&module, setup).unwrap();
    guest.grant(&region, Access::Read).unwrap();
    guest.call::<()>("run", &[]).unwrap();
    guest.grant(&region, Access::ReadWrite).unwrap();
    let error = guest.call::<()>("run", &[]).unwrap_err();
    assert!(guests::chain(&error).contains("in use"), "{error:?}");
    guest.reset().unwrap();
    let held = region.as_slice().unwrap();
    assert!(matches!(
        guest.call::<()>("run", &[]),
        Err(Error::RegionInUse { .. })
    ));
    drop(held);
}

#[test]
fn a_file_is_mapped_and_not_copied() {
    let path = guests::folder().join("mapped.bin");
    std::fs::write(&path, [5; 5000]).unwrap();
    let region = Region::from_file(&path).unwrap();
    let copy = Region::copy_of_file(&path).unwrap();
    for mut guest in both() {
        guest.grant(&region, Access::Read).unwrap();
        guest.grant(&copy, Access::Read).unwrap();
        assert!(matches!(
            guest.grant(&region, Access::ReadWrite),
            Err(Error::RegionReadOnly)
        ));
        assert_eq!(
            guest
                .call::<i32>("read", &values([4999], region.pointer()))
                .unwrap(),
            5
        );
        let beyond = values([5000], region.pointer());
        assert!(guests::call::<i32>(&mut guest, "read", &beyond).is_err());
        assert_eq!(
            guest
                .call::<i32>("read", &values([4999], copy.pointer()))
                .unwrap(),
            5
        );
    }
}

#[test]
fn a_guest_with_many_regions() {
    let mut guest = importing();
    let regions: Vec<Region> = (0..2000)
        .map(|i| Region::copy_of(&[i as u8, (i >> 8) as u8]).unwrap())
        .collect();
    for region in &regions {
        guest.grant(region, Access::Read).unwrap();
    }
    for (i, region) in regions.iter().enumerate() {
        let args = values([0], region.pointer());
        assert_eq!(guest.call::<i32>("read_u16", &args).unwrap(), i as i32);
    }
    drop(regions);
    let big = Region::zeroed(1 << 30).unwrap();
    let others: Vec<Region> = (0..3).map(|_| Region::zeroed(1 << 30).unwrap()).collect();
    guest.grant(&big, Access::Read).unwrap();
    guest.grant(&others[0], Access::Read).unwrap();
    guest.grant(&others[1], Access::Read).unwrap();
    assert!(matches!(
        guest.grant(&others[2], Access::Read),
        Err(Error::RegionSpaceFull(_))
    ));
    drop(big);
    guest.grant(&others[2], Access::Read).unwrap();
}

/// Numbers that the host collects are where guests see them, and nothing else is there.
#[test]
fn a_vector_becomes_a_region() {
    let mut numbers = RegionVec::<u32>::with_capacity(3).unwrap();
    assert!(numbers.capacity() >= 3 && numbers.is_empty());
    for n in 0..5000u32 {
        numbers.push(n).unwrap();
    }
    numbers.extend_from_slice(&[7; 3000]).unwrap();
    assert_eq!(numbers.len(), 8000);
    numbers[10] = 0xa1b2_c3d4;
    numbers.truncate(1001);
    let place = numbers.as_ptr();
    let region = numbers.into_region().unwrap();
    assert_eq!(region.len(), 4004);
    assert_eq!(region.as_slice().unwrap().as_ptr(), place.cast());
    for mut guest in both() {
        guest.grant(&region, Access::Read).unwrap();
        let pointer = region.pointer();
        let read = |guest: &mut Guest, at: u32| {
            let args = values([i64::from(at)], pointer);
            guests::call::<i32>(guest, "read_u32", &args)
        };
        assert_eq!(read(&mut guest, 40).unwrap() as u32, 0xa1b2_c3d4);
        assert_eq!(read(&mut guest, 4000).unwrap(), 1000);
        assert!(matches!(
            problem(read(&mut guest, 4001)),
            PointerProblem::OutOfBounds { .. }
        ));
        // What was behind the end is in its last page, which a window shows.
        let args = [pointer.into(), Value::I32(4004), Value::I32(0)];
        let address: i32 = guest.call("map", &args).unwrap();
        let behind = guest.call::<i32>("load", &[(address + 4004).into()]);
        assert_eq!(behind.unwrap(), 0);
    }
    let empty = RegionVec::<u64>::with_capacity(0).unwrap();
    assert_eq!(empty.into_region().unwrap().len(), 0);
    let error = RegionVec::<u64>::with_capacity(usize::MAX).unwrap_err();
    assert!(matches!(error, Error::RegionTooLarge(_)), "{error:?}");
}

/// A slice's numbers one after the other are those that are read one by one, of each size
/// and from any byte on.
#[test]
fn the_numbers_of_a_slice_are_all_there() {
    let source = r#"
        use genkan_guest::HostPtr;

        #[no_mangle]
        pub extern "C" fn of_8_bytes(data: HostPtr, from: u32, len: u32) -> u64 {
            let slice = (data + from).slice(len as usize);
            slice.numbers::<u64>().fold(7, |sum, number| sum.rotate_left(5) ^ number)
        }

        #[no_mangle]
        pub extern "C" fn of_2_bytes(data: HostPtr, from: u32, len: u32) -> u64 {
            let mut numbers = (data + from).slice(len as usize).numbers::<i16>();
            let mut sum = numbers.len() as u64;
            while let Some(number) = numbers.next() {
                sum = sum.rotate_left(5) ^ number as u16 as u64;
                if sum % 7 == 0 {
                    break;
                }
            }
            numbers.fold(sum, |sum, number| sum.rotate_left(5) ^ number as u16 as u64)
        }
    "#;
    let module = guests::load(&guests::rust("numbers", source));
    let mut guest = Guest::with(&module, Setup::new()).unwrap();
    let bytes: Vec<u8> = (0..10_000u32)
        .map(|i| (i.wrapping_mul(0x9e37_79b1) >> 13) as u8)
        .collect();
    let region = Region::copy_of(&bytes).unwrap();
    guest.grant(&region, Access::Read).unwrap();
    let pointer = region.pointer();
    let lengths = [0, 1, 7, 8, 9, 2047, 2048, 2049, 4096, 4103, 9990];
    for (from, len) in [0, 1, 3]
        .into_iter()
        .flat_map(|from| lengths.map(|len| (from, len)))
    {
        let slice = &bytes[from..from + len];
        let fold = |sum: u64, number: u64| sum.rotate_left(5) ^ number;
        let of_8 = slice
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().unwrap()));
        let of_2 = slice
            .chunks_exact(2)
            .map(|word| u16::from_le_bytes(word.try_into().unwrap()));
        let expected = (
            of_8.fold(7, fold),
            of_2.fold(len as u64 / 2, |sum, word| fold(sum, word.into())),
        );
        let args: [Value; 3] = [pointer.into(), (from as i32).into(), (len as i32).into()];
        let sums =
            ["of_8_bytes", "of_2_bytes"].map(|name| guest.call::<i64>(name, &args).unwrap() as u64);
        assert_eq!(sums, [expected.0, expected.1], "{len} bytes from {from}");
    }
    let args: [Value; 3] = [pointer.into(), 1.into(), 10_000.into()];
    let error = guest.call::<i64>("of_8_bytes", &args).unwrap_err();
    assert!(error.to_string().contains("has 10000 bytes"), "{error}");
}
