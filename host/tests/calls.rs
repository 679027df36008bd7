//! Calls with Rust's types, in both directions, of guests that were built by genkan.

mod guests;

use genkan_host::{
    Access, Cx, Encoded, Engine, Error, Functions, Guest, Module, Pointer, Region, Setup, Stop,
    Value,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::LazyLock;

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Config {
    prefix: String,
    times: u32,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
enum Failure {
    Empty,
    TooLong { len: u32, most: u32 },
}

/// What the host's functions keep of a guest.
#[derive(Default)]
struct State {
    table: HashMap<String, Vec<u8>>,
    log: Vec<String>,
}

fn config() -> Config {
    Config {
        prefix: "ab".into(),
        times: 2,
    }
}

fn module() -> &'static Module {
    static MODULE: LazyLock<Module> = LazyLock::new(|| guests::load(&guests::package("calls")));
    &MODULE
}

fn functions() -> Functions {
    let mut functions = Functions::default();
    functions.offer("log", |cx: &mut Cx<State>, text: &str| {
        cx.state().log.push(text.into());
    });
    functions.offer(
        "lookup",
        |cx: &mut Cx<State>, key: &str| -> Option<Vec<u8>> { cx.state().table.get(key).cloned() },
    );
    functions.offer("add", |_: &mut Cx, a: i32, b: i32| a + b);
    functions.offer("mean", |_: &mut Cx, numbers: &[f64]| {
        numbers.iter().sum::<f64>() / numbers.len() as f64
    });
    functions.offer(
        "describe",
        |_: &mut Cx,
         config: Encoded<Config>,
         sizes: Option<u32>|
         -> Result<Encoded<Config>, String> {
            let Encoded(mut config) = config;
            config.times = sizes.ok_or("no size")?;
            Ok(Encoded(config))
        },
    );
    functions
}

fn guest() -> Guest {
    guest_with(functions()).unwrap()
}

fn guest_with(functions: Functions) -> Result<Guest, Error> {
    let mut setup = Setup::default();
    setup.functions = functions;
    setup.state = Box::new(State::default());
    Guest::with(module(), setup)
}

#[test]
fn a_document_and_its_configuration() {
    let mut guest = guest();
    let text: String = guest.call("transform", ("doc", &config())).unwrap();
    assert_eq!(text, "ababdoc");
    let result: Result<String, Encoded<Failure>> =
        guest.call("transform", ("", &config())).unwrap();
    assert_eq!(result, Err(Encoded(Failure::Empty)));
    let long = "x".repeat((1 << 20) + 1);
    let error = guest
        .call::<String>("transform", (&*long, &config()))
        .unwrap_err();
    assert!(
        error.to_string().starts_with("transform failed: a Failure"),
        "{error}"
    );
    let Error::Returned { error, .. } = error else {
        panic!("{error:?}")
    };
    let most = 1 << 20;
    assert_eq!(
        error.decode(),
        Some(Failure::TooLong {
            len: most + 1,
            most
        })
    );
}

#[test]
fn numbers_rows_and_options() {
    let mut guest = guest();
    assert_eq!(guest.call::<i32>("add", (20, 22)).unwrap(), 42);
    assert_eq!(
        guest
            .call::<i32>("add", &[Value::I32(20), Value::I32(22)])
            .unwrap(),
        42
    );
    guest.call::<()>("nothing", ()).unwrap();
    assert!(guest.call::<bool>("negate", (false,)).unwrap());
    assert_eq!(
        guest.call::<String>("greet", ("Ada",)).unwrap(),
        "hello, Ada"
    );
    let scaled: Vec<f64> = guest.call("scale", (&[1.5, -2.0][..], 2.0)).unwrap();
    assert_eq!(scaled, [3.0, -4.0]);
    let narrow = |guest: &mut Guest, small: i8| -> Option<Vec<i16>> {
        guest
            .call("narrow", (&[1i16, -1][..], small, 7u64))
            .unwrap()
    };
    assert_eq!(narrow(&mut guest, -1), Some(vec![8, 6]));
    assert_eq!(narrow(&mut guest, 1), None);
    let mut perhaps = |number: Option<u32>, text: Option<&str>| -> Result<Option<u64>, String> {
        guest.call("perhaps", (number, text, 1u8)).unwrap()
    };
    assert_eq!(perhaps(None, None), Ok(None));
    assert_eq!(perhaps(Some(4), Some("four")), Ok(Some(9)));
    assert_eq!(perhaps(Some(4), None), Ok(Some(5)));
    assert_eq!(
        perhaps(None, Some("")),
        Err("a text without a number".into())
    );
}

#[test]
fn types_of_serde() {
    let mut guest = guest();
    let Encoded(words) = guest
        .call::<Encoded<Vec<String>>>("split", ("a b  c",))
        .unwrap();
    assert_eq!(words, ["a", "b", "", "c"]);
    let Encoded(pair): Encoded<(String, u32)> = guest.call("pair", (&(7u32, "x"),)).unwrap();
    assert_eq!(pair, ("x".to_string(), 7u32));
}

#[test]
fn text_of_any_length_comes_back() {
    let mut guest = guest();
    for len in [0, 1, 7, 8, 1000, 1024, 1025, 1 << 20, 5 << 20, 3] {
        let text = "ö".repeat(len);
        assert_eq!(guest.call::<String>("same_text", (&*text,)).unwrap(), text);
        let bytes: Vec<u8> = guest.call("same_bytes", (text.as_bytes(),)).unwrap();
        assert_eq!(bytes, text.as_bytes());
    }
}

#[test]
fn regions_go_in_without_a_copy() {
    let mut guest = guest();
    let region = Region::copy_of(&[7, 8, 9]).unwrap();
    guest.grant(&region, Access::Read).unwrap();
    assert_eq!(guest.call::<u8>("first", (&region,)).unwrap(), 7);
    assert_eq!(
        guest.call::<u8>("first", (region.pointer() + 2,)).unwrap(),
        9
    );
    assert_eq!(guest.call::<u64>("total", (&region,)).unwrap(), 24);
}

#[test]
fn the_hosts_functions_have_types_and_a_state() {
    let mut guest = guest();
    let long = vec![5; 1000];
    let state = guest.state::<State>().unwrap();
    state.table.insert("short".into(), vec![1, 2, 3]);
    state.table.insert("long".into(), long.clone());
    let mut ask = |key: &str| guest.call::<Option<Vec<u8>>>("ask", (key,)).unwrap();
    assert_eq!(ask("short"), Some(vec![1, 2, 3]));
    assert_eq!(ask("long"), Some(long));
    assert_eq!(ask("none"), None);
    assert_eq!(
        guest.state::<State>().unwrap().log,
        ["short", "long", "none"]
    );
    assert_eq!(
        guest
            .call::<f64>("of_the_host", (&[1.0, 2.0][..],))
            .unwrap(),
        4.5
    );
    type Described = Result<Encoded<Config>, String>;
    let mut through = |sizes: Option<u32>| {
        guest
            .call::<Described>("through", (&config(), sizes))
            .unwrap()
    };
    let Ok(Encoded(described)) = through(Some(9)) else {
        panic!("it was described")
    };
    assert_eq!(
        described,
        Config {
            times: 9,
            ..config()
        }
    );
    assert_eq!(through(None), Err("no size".into()));
}

#[test]
fn a_function_is_looked_up_once() {
    let mut guest = guest();
    let greet = guest.function::<(&str,), String>("greet").unwrap();
    for name in ["Ada", "Grace"] {
        let name = name.to_string();
        assert_eq!(
            greet.call(&mut guest, (&name,)).unwrap(),
            format!("hello, {name}")
        );
    }
    let add = guest.function::<(i32, i32), i32>("add").unwrap();
    assert_eq!(add.call(&mut guest, (1, 2)).unwrap(), 3);
    let mut other = guest_with(functions()).unwrap();
    assert!(matches!(
        add.call(&mut other, (1, 2)),
        Err(Error::OtherGuest)
    ));
}

#[test]
fn types_that_do_not_fit_are_named() {
    let mut guest = guest();
    for (error, message) in [
        (
            guest.call::<String>("greet", (7i32,)).unwrap_err(),
            "greet(str) -> str takes a str as argument 1, not a i32",
        ),
        (
            guest.call::<i32>("greet", ("x",)).unwrap_err(),
            "greet(str) -> str gives a str, not a i32",
        ),
        (
            guest.call::<String>("greet", ()).unwrap_err(),
            "greet(str) -> str takes 1 argument, not 0",
        ),
        (
            guest.call::<i32>("add", (1u8, 2)).unwrap_err(),
            "add(i32, i32) -> i32 takes a i32 as argument 1, not a u8",
        ),
        (
            guest.call::<()>("gone", ()).unwrap_err(),
            "the module exports no function \"gone\"",
        ),
        (
            guest.call::<String>("panics", ("no",)).unwrap_err(),
            "guest panicked at",
        ),
    ] {
        assert!(error.to_string().starts_with(message), "{error}");
    }
}

#[test]
fn functions_that_do_not_fit_are_refused_before_any_call() {
    let refused = |functions: Functions| guests::chain(&guest_with(functions).unwrap_err());
    let mut wrong = functions();
    wrong.offer("lookup", |_: &mut Cx, _: &str| -> Option<String> { None });
    let message = refused(wrong);
    assert!(
        message.contains("host.lookup(str) -> Option<[u8]>"),
        "{message}"
    );
    assert!(
        message.contains("gives a Option<[u8]>, not a core::option::Option<alloc::string::String>"),
        "{message}"
    );
    let mut wrong = functions();
    wrong.offer("mean", |_: &mut Cx, _: &[f32]| 0.0);
    assert!(refused(wrong).contains("takes a [f64] as argument 1, not a &[f32]"));
    let mut wrong = functions();
    wrong.offer("log", |_: &mut Cx<String>, _: &str| {});
    assert!(refused(wrong).contains("wants a state of type alloc::string::String"));
    assert!(refused(Functions::default()).contains("host."));
}

#[test]
fn a_function_may_end_the_guest_or_panic() {
    let mut stops = functions();
    stops.offer("log", |_: &mut Cx, text: &str| -> Result<(), Stop> {
        Err(format!("not {text}").into())
    });
    let error = guest_with(stops)
        .unwrap()
        .call::<Option<Vec<u8>>>("ask", ("x",))
        .unwrap_err();
    assert_eq!(
        guests::chain(&error),
        "the host's function host.log failed\n  in ask: not x"
    );
    let mut panics = functions();
    panics.offer("log", |_: &mut Cx, text: &str| assert_eq!(text, "oh"));
    let error = guest_with(panics)
        .unwrap()
        .call::<Option<Vec<u8>>>("ask", ("x",))
        .unwrap_err();
    assert!(matches!(error, Error::HostPanic { .. }), "{error}");
}

#[test]
fn a_function_uses_the_guest_that_calls_it() {
    let region = Region::copy_of(&[3, 4]).unwrap();
    let pointer = region.pointer();
    let mut uses = functions();
    uses.offer(
        "lookup",
        move |cx: &mut Cx<State>, key: &str| -> Result<Option<Vec<u8>>, Stop> {
            cx.grant(&region, Access::ReadWrite)?;
            let greeting: String = cx.call("greet", (key,))?;
            assert_eq!(cx.call::<u8>("first", (pointer,))?, 3);
            let mut bytes = [0; 2];
            cx.read_region(pointer, &mut bytes)?;
            cx.write_region(pointer, &[9])?;
            cx.read_region(pointer + 1, &mut bytes).unwrap_err();
            cx.read_region(Pointer::from_bits(5), &mut bytes)
                .unwrap_err();
            cx.state().log.push(greeting.clone());
            Ok(Some([&bytes[..], greeting.as_bytes()].concat()))
        },
    );
    let mut guest = guest_with(uses).unwrap();
    let key = "k".repeat(2000);
    let answer: Option<Vec<u8>> = guest.call("ask", (&*key,)).unwrap();
    assert_eq!(
        answer.unwrap(),
        [&[3, 4][..], b"hello, ", key.as_bytes()].concat()
    );
    assert_eq!(guest.call::<u8>("first", (pointer,)).unwrap(), 9);
    assert_eq!(
        guest.state::<State>().unwrap().log,
        [key.clone(), format!("hello, {key}")]
    );
}

#[test]
fn a_guest_that_calls_back_without_end_is_ended() {
    let mut again = functions();
    again.offer(
        "log",
        |cx: &mut Cx<State>, text: &str| -> Result<(), Stop> {
            cx.call::<Option<Vec<u8>>>("ask", (text,))?;
            Ok(())
        },
    );
    let mut guest = guest_with(again).unwrap();
    let error = guest.call::<Option<Vec<u8>>>("ask", ("x",)).unwrap_err();
    let error = guests::chain(&error);
    assert!(error.contains("16 calls are within each other"), "{error}");
}

/// The C of `guest/CALLS.md`, from there.
#[test]
fn a_guest_by_hand_in_c() {
    let page = include_str!("../../guest/CALLS.md");
    let parts = page.split("```c\n").skip(1);
    let code: String = parts
        .map(|part| part.split("```").next().unwrap())
        .collect();
    let Some(path) = guests::c("shout", &code) else {
        println!("no clang here that compiles for Wasm: not tested");
        return;
    };
    let mut guest = Guest::new(&guests::load(&path)).unwrap();
    assert_eq!(guest.call::<String>("shout", ("hello",)).unwrap(), "HELLO");
    assert_eq!(guest.call::<String>("shout", ("",)).unwrap(), "");
    let long = "x".repeat(5000);
    let error = guest.call::<String>("shout", (&*long,)).unwrap_err();
    assert!(matches!(error, Error::NoRoom { .. }), "{error}");
}

/// A guest by hand, in text form: whatever a guest of ours would never do.
fn by_hand(signatures: &str, functions: &str) -> Result<Module, Error> {
    let section: String = signatures
        .bytes()
        .map(|byte| format!("\\{byte:02x}"))
        .collect();
    let text = format!(
        r#"(module (@custom "genkan.calls.1" "{section}")
            (memory (export "memory") 1)
            (func (export "genkan_alloc") (param i32) (result i32) (i32.const 4096))
            (func (export "genkan_free") (param i32 i32))
            {functions})"#
    );
    Engine::default().compile(text.as_bytes())
}

#[test]
fn hostile_answers() {
    // An answer at 16: tag, length, value.
    let answer = |tag: u32, len: u32, value: u64| {
        let bytes = [
            &tag.to_le_bytes()[..],
            &len.to_le_bytes(),
            &value.to_le_bytes(),
        ]
        .concat();
        let bytes: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let functions = format!(
            r#"(data (i32.const 16) "{bytes}") (data (i32.const 64) "\ff\fe")
            (func (export "f") (param i32) (result i32) (i32.const 16))"#
        );
        Guest::new(&by_hand("export f(str) -> str", &functions).unwrap()).unwrap()
    };
    let call = |mut guest: Guest| guest.call::<String>("f", ("x",));
    assert_eq!(call(answer(0, 0, 0)).unwrap(), "");
    assert_eq!(call(answer(0, 4, 0)).unwrap(), "\0\0\0\0");
    for (len, value) in [
        (u32::MAX, 0),
        (u32::MAX, u32::MAX.into()),
        (65537, 0),
        (1, 65536),
        (1, 1 << 32),
        (1, u64::MAX),
    ] {
        let error = call(answer(0, len, value)).unwrap_err();
        assert!(matches!(error, Error::GuestRange { .. }), "{error}");
    }
    let error = call(answer(0, 2, 64)).unwrap_err();
    assert!(error.to_string().contains("not UTF-8"), "{error}");
    let error = call(answer(u32::MAX, 2, 64)).unwrap_err();
    assert!(matches!(error, Error::Answer { .. }), "{error}");
    for address in ["-1", "65530", "65536"] {
        let functions =
            format!(r#"(func (export "f") (param i32) (result i32) (i32.const {address}))"#);
        let mut guest = Guest::new(&by_hand("export f(str) -> str", &functions).unwrap()).unwrap();
        let error = guest.call::<String>("f", ("x",)).unwrap_err();
        assert!(matches!(error, Error::GuestRange { .. }), "{error}");
    }
}

#[test]
fn hostile_signatures() {
    for (signatures, message) in [
        ("export f(str", "f(str"),
        ("export f(u7)", "u7"),
        ("something", "something"),
    ] {
        let error = guests::chain(&by_hand(signatures, "").err().unwrap());
        assert!(
            error.contains(message) && error.contains("genkan.calls.1"),
            "{error}"
        );
    }
    // What it says it has is not what it has.
    let module = by_hand("export f(str) -> str", r#"(func (export "f"))"#).unwrap();
    let mut guest = Guest::new(&module).unwrap();
    guest.call::<String>("f", ("x",)).unwrap_err();
    let module = by_hand("export f(str) -> str", "").unwrap();
    Guest::new(&module)
        .unwrap()
        .call::<String>("f", ("x",))
        .unwrap_err();
}

#[test]
fn hostile_allocations() {
    for place in ["0", "-8", "65536", "65528", "3", "-1"] {
        let text = format!(
            r#"(module (@custom "genkan.calls.1" "export f(str) -> str\0a")
                (memory (export "memory") 1)
                (func (export "genkan_alloc") (param i32) (result i32) (i32.const {place}))
                (func (export "f") (param i32) (result i32) (unreachable)))"#
        );
        let mut guest = Guest::new(&Engine::default().compile(text.as_bytes()).unwrap()).unwrap();
        let error = guest.call::<String>("f", ("twelve bytes",)).unwrap_err();
        assert!(matches!(error, Error::NoRoom { .. }), "{place}: {error}");
    }
}

#[test]
fn hostile_arguments_for_the_host() {
    let call = |slots: &str, args: &str, answer: &str| {
        let functions = format!(
            r#"(import "host" "log" (func $log (param i32 i32)))
            (memory (export "memory") 1)
            (data (i32.const 64) "\ff\fe")
            (data (i32.const 16) "{slots}")
            (func (export "f") (call $log (i32.const {args}) (i32.const {answer})))"#
        );
        let text =
            format!(r#"(module (@custom "genkan.calls.1" "import host.log(str)\0a") {functions})"#);
        let mut functions = Functions::default();
        functions.offer("log", |_: &mut Cx, _: &str| {});
        let mut setup = Setup::default();
        setup.functions = functions;
        let module = Engine::default().compile(text.as_bytes()).unwrap();
        Guest::with(&module, setup).unwrap().call::<()>("f", ())
    };
    let row = |address: u32, len: u32| -> String {
        let slot = u64::from(len) << 32 | u64::from(address);
        slot.to_le_bytes()
            .iter()
            .map(|byte| format!("\\{byte:02x}"))
            .collect()
    };
    call(&row(0, 0), "16", "32").unwrap();
    call(&row(u32::MAX, 0), "16", "32").unwrap();
    for (slots, args, answer) in [
        (row(0, u32::MAX), "16", "32"),
        (row(u32::MAX, u32::MAX), "16", "32"),
        (row(65535, 2), "16", "32"),
        (row(64, 2), "16", "32"),
        (row(0, 0), "-1", "32"),
        (row(0, 0), "65532", "32"),
        (row(0, 0), "16", "-1"),
        (row(0, 0), "16", "65532"),
    ] {
        let error = call(&slots, args, answer).unwrap_err();
        assert!(!matches!(error, Error::Trap { .. }), "{error}");
    }
}

#[test]
fn a_guests_own_tests_need_no_wasm() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let tested = std::process::Command::new(env!("CARGO"))
        .args(["test", "--quiet", "--locked", "--lib", "--target-dir"])
        .arg(guests::folder().join("native"))
        .current_dir(root.join("tests/packages/calls"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&tested.stdout);
    assert!(tested.status.success(), "{text}");
    assert!(text.contains("2 passed"), "{text}");
}
