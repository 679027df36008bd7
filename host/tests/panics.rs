//! What a panic says, of a guest that has no code to format it.

mod guests;

use genkan_host::{Engine, Error, Guest, Value};

const GUEST: &str = r##"
#[derive(Debug)]
struct Own(#[allow(dead_code)] u8);

#[no_mangle]
pub extern "C" fn run(case: u32, n: i64, f: f64) {
    let text: &str = if n == 3 { "three" } else { "other" };
    match case {
        0 => panic!("constant"),
        1 => panic!("number {n} is too large, {n:?}, {:#x} {:X} {:b} {:o}", n, n, n as u8, n as u16),
        2 => panic!("{}", String::from("own text")),
        3 => panic!("{f} and {f:.2}, {:?}, {}", f as f32, n == 3),
        4 => panic!("{0} {1} {0} {2:?}", n as u8, n as u8 as char, (n as u8 + 60) as char),
        5 => panic!("[{:?}] {:?}", Own(n as u8), Some(n)),
        6 => assert!(n != 3, "{n} of {} {}", usize::MAX, i128::MIN),
        7 => panic!("{}{n}", "a long literal ".repeat(0) + concat!(
            "0123456789012345678901234567890123456789012345678901234567890123456789",
            "0123456789012345678901234567890123456789012345678901234567890123456789")),
        8 => panic!("0123456789012345678901234567890123456789012345678901234567890123456789\
            0123456789012345678901234567890123456789012345678901234567890123456789 {n:>5}"),
        _ => panic!("{text} {text:?}"),
    }
}
"##;

fn message(guest: &mut Guest, case: u32) -> Option<String> {
    let args = [case.into(), Value::I64(3), Value::F64(2.5)];
    let error = guests::call::<()>(guest, "run", &args).unwrap_err();
    let Error::Panic {
        message, location, ..
    } = &error
    else {
        panic!("{case}: {error:?}");
    };
    assert!(location.is_some(), "{case}: {error:?}");
    message.clone()
}

#[test]
fn the_host_formats_it() {
    let path = guests::rust("panic-messages", GUEST);
    let mut guest = Guest::new(&guests::load(&path)).unwrap();
    let digits = "0123456789".repeat(14);
    let expected = [
        "constant",
        "number 3 is too large, 3, 0x3 3 11 3",
        "own text",
        "2.5 and 2.50, 2.5, true",
        "3 \u{fffd} 3 '?'",
        // What only the guest's own code can format.
        "[{}] {}",
        "3 of 4294967295 -170141183460469231731687303715884105728",
        &format!("{digits}3"),
        &format!("{digits} 3"),
    ];
    for (case, expected) in expected.iter().enumerate() {
        let message = message(&mut guest, case as u32).unwrap_or_default();
        assert_eq!(message.replace('\u{3}', "\u{fffd}"), *expected, "{case}");
    }
    // The library's name for what formats a reference says of what in some versions only.
    let message = message(&mut guest, 9).unwrap();
    assert!(
        ["three \"three\"", "{} {}", "three {}", "{} \"three\""].contains(&&*message),
        "{message}"
    );
}

/// Without names, what is constant is left.
#[test]
fn what_has_no_name_is_left_out() {
    let settings = genkan::build_guest::LinkSettings {
        strip: true,
        ..Default::default()
    };
    let path = guests::rust_with("panic-messages-stripped", GUEST, settings);
    let mut guest = Guest::new(&guests::load(&path)).unwrap();
    assert_eq!(message(&mut guest, 0).unwrap(), "constant");
    assert_eq!(
        message(&mut guest, 1).unwrap(),
        "number {} is too large, {}, {} {} {} {}"
    );
}

/// A guest can have anything in its memory, its table and its names.
#[test]
fn hostile_arguments() {
    let name = format!("<{}u8 as core::fmt::Display>::fmt", "&".repeat(4000));
    let text = format!(
        r#"(module
            (import "env" "__genkan_panic" (func $panic (param i32 i32 i32 i32 i32 i32 i64 i64)))
            (memory (export "memory") 1)
            (table 8 funcref)
            (elem (i32.const 1) $string $str $references $u128 $f64)
            (func $string (@name "<alloc::string::String as core::fmt::Debug>::fmt"))
            (func $str (@name "<&&str as core::fmt::Display>::fmt"))
            (func $references (@name "{name}"))
            (func $u128 (@name "<u128 as core::fmt::LowerHex>::fmt"))
            (func $f64 (@name "<f64 as core::fmt::Display>::fmt"))
            (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
            (func (export "run") (param i32 i32)
                (call $panic (local.get 0) (local.get 1) (i32.const 0) (i32.const 0) (i32.const 0)
                    (i32.const 0) (i64.const -3) (i64.const -3))))"#
    );
    let module = Engine::default().compile(text.as_bytes()).unwrap();
    let mut guest = Guest::new(&module).unwrap();
    let mut state = 1u64;
    let mut random = move |below: u32| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u32 % below
    };
    let panics = |guest: &mut Guest, template: u32, arguments: u32| {
        let args = [(template as i32).into(), (arguments as i32).into()];
        let error = guest.call::<()>("run", &args).unwrap_err();
        let Error::Panic { message, .. } = error else {
            panic!("{error:?}");
        };
        let message = message.unwrap_or_default();
        assert!(message.len() < 200_000, "{}", message.len());
        guest.reset().unwrap();
        message
    };
    for (template, arguments) in [
        (0, 0),
        (u32::MAX, 0),
        (0, u32::MAX),
        (u32::MAX, u32::MAX),
        (65_535, 8),
        (8, 65_532),
        (0, 65_537 << 1 | 1),
    ] {
        panics(&mut guest, template, arguments);
    }
    for _ in 0..300 {
        // Placeholders, pieces, places of the table and small addresses.
        for at in 0..200 {
            let byte =
                [0xc0, 0xff, 0xc8, 0xc4, 1, 2, 3, 4, 5, 0, 0, 0, 0x80, 0x7f][random(14) as usize];
            let byte = if at < 100 && random(8) > 0 {
                0xc0
            } else {
                byte
            };
            guest
                .call::<()>("store", &[at.into(), byte.into()])
                .unwrap();
        }
        let (template, arguments) = (random(100), 100 + random(20) * 4);
        panics(&mut guest, template, arguments);
    }
}
