//! What a host does with a guest between calls: bytes in the guest's memory, regions that
//! it shows it there, results that it keeps, and on which thread the guest runs next.

use genkan_host::{Access, Engine, Error, Guest, Limits, PointerProblem, Region, Setup};
use std::time::Duration;

const GUEST: &str = r#"(module
    (import "genkan" "read_u8" (func $read (param i64 i32) (result i32)))
    (import "genkan" "map" (func $map (param i64 i32 i32) (result i32)))
    (import "genkan" "unmap" (func $unmap (param i32)))
    (memory (export "memory") 1 4)
    (data (i32.const 16) "\01\00\02\00\03\00")
    (@custom "of.mine" "one")
    (@custom "of.mine" "two")
    (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
    (func (export "read") (param i64) (result i32) (call $read (local.get 0) (i32.const 0)))
    (func (export "map") (param i64) (result i32)
        (call $map (local.get 0) (i32.const 1) (i32.const 0)))
    (func (export "unmap") (param i32) (call $unmap (local.get 0)))
    (func (export "grow") (result i32) (memory.grow (i32.const 1)))
    (func (export "loop") (loop (br 0))))"#;

fn guest() -> Guest {
    with(Limits::new())
}

fn with(limits: Limits) -> Guest {
    let module = Engine::default().compile(GUEST.as_bytes()).unwrap();
    Guest::with(&module, Setup::new().limits(limits)).unwrap()
}

fn load(guest: &mut Guest, address: u32) -> Result<i32, Error> {
    guest.call("load", (address,))
}

#[test]
fn the_host_reads_and_writes_the_guests_memory() {
    let mut guest = guest();
    assert_eq!(guest.read_numbers::<u16>(16, 3).unwrap(), [1, 2, 3]);
    guest.write(17, &[9]).unwrap();
    let mut two = [0; 2];
    guest.read(16, &mut two).unwrap();
    assert_eq!(two, [1, 9]);
    let end = 1 << 16;
    for error in [
        guest.read(end - 1, &mut two).unwrap_err(),
        guest.write(end - 1, &two).unwrap_err(),
        guest.write(u32::MAX, &two).unwrap_err(),
        guest.read_numbers::<u64>(0, usize::MAX).unwrap_err(),
        guest.read_numbers::<u64>(end - 8, 2).unwrap_err(),
    ] {
        assert!(matches!(error, Error::GuestRange { .. }), "{error}");
    }
}

#[test]
fn custom_sections_are_found_by_name() {
    let module = Engine::default().compile(GUEST.as_bytes()).unwrap();
    assert_eq!(module.custom_sections("of.mine"), [b"one", b"two"]);
    assert!(module.custom_sections("mine").is_empty());
    assert_eq!(&module.bytes()[..4], b"\0asm");
}

#[test]
fn what_is_shown_stays_from_call_to_call() {
    let mut guest = guest();
    let region = Region::copy_of(&[7; 10_000]).unwrap();
    let address = guest.show(&region, 4096..10_000, Access::Read).unwrap();
    for _ in 0..3 {
        assert_eq!(load(&mut guest, address + 5903).unwrap(), 7);
    }
    // The guest's own memory grows behind it.
    assert!(guest.call::<i32>("grow", ()).unwrap() > 0);
    // What lies before it in the region is not there, but the guest's own memory.
    assert_eq!(load(&mut guest, address - 1).unwrap(), 0);
    assert_eq!(region.as_slice().unwrap()[4096], 7);
}

#[test]
fn what_is_shown_for_reading_cannot_be_written() {
    let mut guest = guest();
    let region = Region::copy_of(&[7]).unwrap();
    let address = guest.show(&region, 0..1, Access::Read).unwrap();
    let written = guest.call::<()>("store", (address, 1));
    assert!(matches!(
        written,
        Err(Error::WindowAccess { write: true, .. })
    ));
    let again = guest.show(&region, 0..1, Access::ReadWrite);
    assert!(matches!(again, Err(Error::Pointer(_))), "{again:?}");
}

#[test]
fn who_is_shown_a_region_cannot_use_its_pointer() {
    for name in ["read", "map"] {
        let mut guest = guest();
        let region = Region::copy_of(&[7]).unwrap();
        guest.show(&region, 0..1, Access::Read).unwrap();
        let used = guest.call::<i32>(name, (region.pointer(),));
        match used {
            Err(Error::Pointer(error)) => assert_eq!(error.problem, PointerProblem::Unknown),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn bytes_that_are_not_in_the_region_are_refused() {
    let mut guest = guest();
    let region = Region::copy_of(&[7; 100]).unwrap();
    for bytes in [0..101, 101..102, usize::MAX - 1..usize::MAX] {
        let shown = guest.show(&region, bytes.clone(), Access::Read);
        assert!(
            matches!(shown, Err(Error::Pointer(_))),
            "{bytes:?}: {shown:?}"
        );
    }
    let shown = guest.show(&region, 5..5, Access::Read);
    assert!(matches!(shown, Err(Error::Window { .. })), "{shown:?}");
    // The memory may have four pages in all.
    let large = Region::zeroed(4 << 16).unwrap();
    let shown = guest.show(&large, 0..4 << 16, Access::Read);
    assert!(matches!(shown, Err(Error::Window { .. })), "{shown:?}");
}

#[test]
fn what_is_shown_goes_when_somebody_writes_it() {
    let mut guest = guest();
    let mut region = Region::copy_of(&[7]).unwrap();
    let address = guest.show(&region, 0..1, Access::Read).unwrap();
    assert_eq!(load(&mut guest, address).unwrap(), 7);
    region.as_mut_slice().unwrap()[0] = 8;
    let seen = load(&mut guest, address);
    assert!(
        matches!(seen, Err(Error::RegionGone(_))),
        "another's bytes: {seen:?}"
    );
}

#[test]
fn what_is_shown_goes_with_its_region_or_when_it_is_hidden() {
    let mut one = guest();
    let region = Region::copy_of(&[7]).unwrap();
    let address = one.show(&region, 0..1, Access::Read).unwrap();
    drop(region);
    assert!(matches!(load(&mut one, address), Err(Error::RegionGone(_))));
    one.hide(address).unwrap();
    assert!(matches!(one.hide(address), Err(Error::Window { .. })));

    let mut two = guest();
    let mut region = Region::copy_of(&[7]).unwrap();
    let address = two.show(&region, 0..1, Access::ReadWrite).unwrap();
    two.call::<()>("store", (address, 9)).unwrap();
    two.hide(address).unwrap();
    assert_eq!(region.as_mut_slice().unwrap()[0], 9);
    // Its place is free for the next one, of other bytes.
    let other = Region::copy_of(&[3]).unwrap();
    assert_eq!(two.show(&other, 0..1, Access::Read).unwrap(), address);
    assert_eq!(load(&mut two, address).unwrap(), 3);
    // A guest may take it away itself.
    two.call::<()>("unmap", (address,)).unwrap();
    assert!(matches!(two.hide(address), Err(Error::Window { .. })));
}

#[test]
fn a_result_that_is_kept_cannot_be_written_any_more() {
    let mut guest = guest();
    let region = Region::zeroed(1).unwrap();
    let address = guest.show(&region, 0..1, Access::ReadWrite).unwrap();
    guest.call::<()>("store", (address, 5)).unwrap();
    let kept = region.pin().unwrap();
    let write = |guest: &mut Guest| guest.call::<()>("store", (address, 6));
    assert!(matches!(write(&mut guest), Err(Error::RegionInUse { .. })));
    drop(kept);
    // Nobody took the window away meanwhile.
    write(&mut guest).unwrap();
    let kept = region.pin().unwrap();
    guest.hide(address).unwrap();
    assert_eq!(load(&mut guest, 16).unwrap(), 1);
    drop(region);
    assert_eq!(*kept, [6]);
}

#[test]
fn a_guest_runs_on_any_thread_and_ends_there_too() {
    let mut guest = guest();
    let region = Region::copy_of(&[7]).unwrap();
    let address = guest.show(&region, 0..1, Access::Read).unwrap();
    guest.write(100, &[4]).unwrap();
    let mut guest = std::thread::spawn(move || {
        assert_eq!(load(&mut guest, address).unwrap(), 7);
        assert_eq!(load(&mut guest, 100).unwrap(), 4);
        guest
    })
    .join()
    .unwrap();
    std::thread::spawn(move || {
        let ended = guest.call::<()>("store", (address, 1));
        assert!(
            matches!(ended, Err(Error::WindowAccess { .. })),
            "{ended:?}"
        );
        let trace = ended.unwrap_err().to_string();
        assert!(trace.contains("store"), "{trace}");
        guest.reset().unwrap();
        assert_eq!(load(&mut guest, 100).unwrap(), 0);
        let beyond = load(&mut guest, address);
        assert!(matches!(beyond, Err(Error::Trap { .. })), "{beyond:?}");
    })
    .join()
    .unwrap();
}

#[test]
fn a_deadline_can_be_set_for_the_calls_to_come() {
    let day = Duration::from_secs(86_400);
    let mut guest = with(Limits::new().deadline(day));
    let short = Duration::from_millis(20);
    guest.set_deadline(short).unwrap();
    match guest.call::<()>("loop", ()) {
        Err(Error::Deadline { limit, .. }) => assert_eq!(limit, short),
        other => panic!("{other:?}"),
    }
    let mut unchecked = with(Limits::new());
    assert!(matches!(
        unchecked.set_deadline(short),
        Err(Error::Unchecked(_))
    ));
}
