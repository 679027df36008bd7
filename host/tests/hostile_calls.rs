//! Random typed calls of and by a guest whose every slot, length, address, tag and byte
//! is made up, against a model of what must happen. `GENKAN_OPERATIONS` and
//! `GENKAN_SEED` choose others.

mod random;

use genkan_host::{Cx, Encoded, Engine, Error, Function, Functions, Guest, Setup, Value};
use random::Random;

/// The guest's memory, in bytes.
const MEMORY: usize = 1 << 16;
/// Where its answer is said to be.
const ANSWER: u32 = 16;
/// Where its arguments for the host are said to be, and the record for an answer.
const SLOTS: u32 = 64;
const REPLY: u32 = 128;

const SECTION: &str = "export text() -> str\\0a\
    export bytes() -> [u8]\\0a\
    export wide() -> Result<Option<[u64]>, str>\\0a\
    export decoded() -> postcard<Nested>\\0a\
    export json() -> json<Nested>\\0a\
    import host.text(str)\\0a\
    import host.wide(Option<[u64]>, i8) -> Option<[u16]>\\0a\
    import host.decoded(postcard<Nested>)\\0a";

const MODULE: &str = r#"
    (import "host" "text" (func $text (param i32 i32)))
    (import "host" "wide" (func $wide (param i32 i32)))
    (import "host" "decoded" (func $decoded (param i32 i32)))
    (import "genkan" "take_answer" (func $take (param i32)))
    (memory (export "memory") 1 1)
    (global $answer (mut i32) (i32.const 16))
    (func (export "genkan_alloc") (param i32) (result i32) (i32.const 0))
    (func (export "genkan_free") (param i32 i32))
    (func $f (param i32) (result i32) (global.get $answer))
    (export "text" (func $f)) (export "bytes" (func $f)) (export "wide" (func $f))
    (export "decoded" (func $f)) (export "json" (func $f))
    (func (export "set_answer") (param i32) (global.set $answer (local.get 0)))
    (func (export "store") (param i32 i64) (i64.store (local.get 0) (local.get 1)))
    (func (export "call_text") (param i32 i32) (call $text (local.get 0) (local.get 1)))
    (func (export "call_wide") (param i32 i32) (call $wide (local.get 0) (local.get 1)))
    (func (export "call_decoded") (param i32 i32) (call $decoded (local.get 0) (local.get 1)))
    (func (export "take") (param i32) (call $take (local.get 0)))"#;

/// Something to decode: each kind of length that a codec has.
type Nested = Vec<(Option<String>, Vec<u32>, Box<[u8]>)>;

impl Random {
    /// A number of 32 bits that is likely to lie at some border.
    fn edge(&mut self) -> u32 {
        let near = [0, 8, 64, MEMORY as u32, u32::MAX, 1 << 31, 1 << 29];
        match self.below(4) {
            0 => self.next() as u32,
            1 => self.below(MEMORY as u64 + 64) as u32,
            _ => {
                let edge = near[self.below(near.len() as u64) as usize];
                edge.wrapping_add(self.below(33) as u32).wrapping_sub(16)
            }
        }
    }
}

struct World {
    random: Random,
    guest: Guest,
    store: Function<(u32, u64), ()>,
    memory: Vec<u8>,
}

impl World {
    fn new(seed: u64) -> Self {
        let text = format!(r#"(module (@custom "genkan.calls.1" "{SECTION}") {MODULE})"#);
        let module = Engine::default().compile(text.as_bytes()).unwrap();
        let mut functions = Functions::default();
        functions.offer("text", |cx: &mut Cx<Vec<u8>>, text: &str| {
            *cx.state() = text.as_bytes().to_vec();
        });
        functions.offer(
            "wide",
            |cx: &mut Cx<Vec<u8>>, numbers: Option<&[u64]>, small: i8| -> Option<Vec<u16>> {
                let numbers = numbers?;
                *cx.state() = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
                Some(vec![0xabcd; small.unsigned_abs().into()])
            },
        );
        functions.offer("decoded", |_: &mut Cx, _: Encoded<Nested>| {});
        let setup = Setup::new().functions(functions).state(Vec::<u8>::new());
        let guest = Guest::with(&module, setup).unwrap();
        Self {
            random: Random(seed | 1),
            store: guest.function("store").unwrap(),
            guest,
            memory: vec![0; MEMORY],
        }
    }

    fn store(&mut self, at: u32, value: u64) {
        self.store.call(&mut self.guest, (at, value)).unwrap();
        self.memory[at as usize..][..8].copy_from_slice(&value.to_le_bytes());
    }

    /// The bytes of a row, if all of them are in the memory.
    fn row(&self, address: u64, len: u32, size: usize) -> Option<Vec<u8>> {
        let bytes = len as usize * size;
        if bytes == 0 {
            return u32::try_from(address).ok().map(|_| Vec::new());
        }
        let start = usize::try_from(address).ok()?;
        self.memory
            .get(start..start.checked_add(bytes)?)
            .map(<[u8]>::to_vec)
    }

    fn step(&mut self) {
        match self.random.below(8) {
            0..2 => {
                let at = self.random.below(MEMORY as u64 - 8) as u32;
                let value = self.random.next();
                // Text and small numbers are likely.
                let value = match self.random.below(3) {
                    0 => value & 0x7f7f_7f7f_7f7f_7f7f,
                    1 => value & 0x0303_0301_0101_0202,
                    _ => value,
                };
                self.store(at, value);
            }
            2..5 => self.answer(),
            _ => self.argument(),
        }
        self.revive();
    }

    /// If it was ended, it is made anew.
    fn revive(&mut self) {
        let word = self.memory[..8].try_into().unwrap();
        match self
            .store
            .call(&mut self.guest, (0, u64::from_le_bytes(word)))
        {
            Ok(()) => {}
            Err(Error::Poisoned { .. }) => {
                self.guest.reset().unwrap();
                self.store = self.guest.function("store").unwrap();
                self.memory.fill(0);
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The guest answers a call with whatever it likes.
    fn answer(&mut self) {
        let tags = [0, 1, 2, 3, u32::MAX, self.random.next() as u32];
        let tag = tags[self.random.below(6) as usize];
        let (len, mut value) = (self.random.edge(), u64::from(self.random.edge()));
        if self.random.below(16) == 0 {
            value |= 1 << 32;
        }
        self.store(ANSWER, u64::from(len) << 32 | u64::from(tag));
        self.store(ANSWER + 8, value);
        if self.random.below(32) == 0 {
            return self.misplaced_answer();
        }
        let text = self.row(value, len, 1).map(String::from_utf8);
        let failed = tag == u32::MAX;
        match self.random.below(4) {
            0 => {
                let found = self.guest.call::<String>("text", ());
                match (failed, text) {
                    (false, Some(Ok(text))) => assert_eq!(found.unwrap(), text),
                    (_, text) => refused(found, text.is_none()),
                }
            }
            1 => {
                let found = self.guest.call::<Vec<u8>>("bytes", ());
                match (failed, self.row(value, len, 1)) {
                    (false, Some(bytes)) => assert_eq!(found.unwrap(), bytes),
                    (_, bytes) => refused(found, bytes.is_none()),
                }
            }
            2 => {
                type Wide = Result<Option<Vec<u64>>, String>;
                let found = self.guest.call::<Wide>("wide", ());
                match (failed, tag & 1, tag >> 1 & 1) {
                    (true, ..) => refused(found, text.is_none()),
                    (_, 1, _) => match text {
                        Some(Ok(text)) => assert_eq!(found.unwrap(), Err(text)),
                        other => refused(found, other.is_none()),
                    },
                    (_, _, 0) => assert_eq!(found.unwrap(), Ok(None)),
                    _ => match self.row(value, len, 8) {
                        Some(bytes) => assert_eq!(found.unwrap(), Ok(Some(numbers(&bytes)))),
                        None => refused(found, true),
                    },
                }
            }
            _ => {
                let bytes = self.row(value, len, 1);
                let name = ["decoded", "json"][self.random.below(2) as usize];
                let found = self.guest.call::<Encoded<Nested>>(name, ());
                match (failed, bytes) {
                    (true, _) => refused(found, text.is_none()),
                    (_, None) => refused(found, true),
                    (_, Some(bytes)) => match decoded(name, &bytes) {
                        Some(value) => assert_eq!(found.unwrap(), Encoded(value)),
                        None => refused(found, false),
                    },
                }
            }
        }
    }

    fn misplaced_answer(&mut self) {
        let at = self.random.edge();
        self.guest
            .call::<()>("set_answer", &[Value::from(at)])
            .unwrap();
        let found = self.guest.call::<Vec<u8>>("bytes", ());
        if at as usize + 16 > MEMORY {
            refused(found, true);
        }
        self.guest
            .call::<()>("set_answer", &[Value::from(ANSWER)])
            .unwrap();
    }

    /// The guest passes whatever it likes.
    fn argument(&mut self) {
        let (len, address) = (self.random.edge(), self.random.edge());
        let (room, place) = (self.random.edge(), self.random.edge());
        self.store(REPLY, u64::from(room) << 32);
        self.store(REPLY + 8, place.into());
        let row = u64::from(len) << 32 | u64::from(address);
        match self.random.below(4) {
            0 => self.text_argument(row),
            1 => self.misplaced_argument(),
            2 => {
                self.store(SLOTS, row);
                let found = self.host("decoded", SLOTS);
                match self.row(address.into(), len, 1) {
                    None => refused(found, true),
                    Some(bytes) if decoded("decoded", &bytes).is_none() => refused(found, false),
                    Some(_) => {
                        found.unwrap();
                        self.replied(0, 0, 0);
                    }
                }
            }
            _ => self.wide_argument(row, room, place),
        }
    }

    fn host(&mut self, name: &str, slots: u32) -> Result<(), Error> {
        let args = [Value::from(slots), Value::from(REPLY)];
        self.guest.call(&format!("call_{name}"), &args)
    }

    fn text_argument(&mut self, row: u64) {
        self.store(SLOTS, row);
        self.text_at(SLOTS);
    }

    fn misplaced_argument(&mut self) {
        let slots = self.random.edge();
        match slots as usize + 8 <= MEMORY {
            true => self.text_at(slots),
            false => refused(self.host("text", slots), true),
        }
    }

    fn text_at(&mut self, slots: u32) {
        let row = self.memory[slots as usize..][..8].try_into().unwrap();
        let row = u64::from_le_bytes(row);
        let found = self.host("text", slots);
        let row = self.row(row & u64::from(u32::MAX), (row >> 32) as u32, 1);
        match row.map(String::from_utf8) {
            Some(Ok(text)) => {
                found.unwrap();
                let state = self.guest.state::<Vec<u8>>().unwrap();
                assert_eq!(*state, text.into_bytes());
                self.replied(0, 0, 0);
            }
            text => refused(found, text.is_none()),
        }
    }

    fn wide_argument(&mut self, row: u64, room: u32, place: u32) {
        let is_some = self.random.below(2);
        let small = self.random.next();
        self.store(SLOTS, is_some);
        self.store(SLOTS + 8, row);
        self.store(SLOTS + 16, small);
        let found = self.host("wide", SLOTS);
        if is_some == 0 {
            found.unwrap();
            return self.replied(0, 0, 0);
        }
        let Some(numbers) = self.row(row & u64::from(u32::MAX), (row >> 32) as u32, 8) else {
            return refused(found, true);
        };
        let len = u32::from((small as i8).unsigned_abs());
        let bytes = [0xcd, 0xab].repeat(len as usize);
        let waits = bytes.len() > room as usize;
        if !waits && !bytes.is_empty() && place as usize + bytes.len() > MEMORY {
            return refused(found, true);
        }
        found.unwrap();
        assert_eq!(*self.guest.state::<Vec<u8>>().unwrap(), numbers);
        match waits {
            true => self.replied(1, len, 0),
            false => {
                if !bytes.is_empty() {
                    self.memory[place as usize..][..bytes.len()].copy_from_slice(&bytes);
                }
                self.replied(1, len, place);
            }
        }
        if waits {
            // It can be fetched once, to where there is room.
            let to = self.random.edge();
            let found = self.guest.call::<()>("take", &[Value::from(to)]);
            match self.memory.get_mut(to as usize..to as usize + bytes.len()) {
                Some(there) => {
                    found.unwrap();
                    there.copy_from_slice(&bytes);
                }
                None => refused(found, true),
            }
        }
    }

    /// The host has filled in the answer's record.
    fn replied(&mut self, tag: u32, len: u32, value: u32) {
        let words = [tag, len, value, 0].map(u32::to_le_bytes);
        self.memory[REPLY as usize..][..16].copy_from_slice(words.as_flattened());
    }

    /// All of the guest's memory is as it must be: nothing else was written.
    fn compare(&mut self) {
        self.store(ANSWER, (MEMORY as u64) << 32);
        self.store(ANSWER + 8, 0);
        let found: Vec<u8> = self.guest.call("bytes", ()).unwrap();
        assert!(found == self.memory);
    }
}

fn decoded(codec: &str, bytes: &[u8]) -> Option<Nested> {
    match codec {
        "json" => serde_json::from_slice(bytes).ok(),
        _ => match postcard::take_from_bytes(bytes) {
            Ok((value, [])) => Some(value),
            _ => None,
        },
    }
}

fn numbers(bytes: &[u8]) -> Vec<u64> {
    let words = bytes.chunks_exact(8);
    words
        .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
        .collect()
}

/// Refused for where it lies, or else for what it is.
fn refused<T: std::fmt::Debug>(found: Result<T, Error>, range: bool) {
    match found {
        Err(Error::GuestRange { .. }) if range => {}
        Err(Error::Answer { .. } | Error::GuestArgument { .. }) if !range => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn random_calls() {
    let number = |name: &str, default| {
        let value = std::env::var(name).ok();
        value.map_or(default, |value| value.parse().expect(name))
    };
    let operations = number("GENKAN_OPERATIONS", 100_000);
    let seed = number("GENKAN_SEED", 0x5eed);
    let mut world = World::new(seed);
    for operation in 0..operations {
        let step = std::panic::AssertUnwindSafe(|| {
            world.step();
            if operation % 1000 == 0 {
                world.compare();
            }
        });
        if let Err(panic) = std::panic::catch_unwind(step) {
            eprintln!("operation {operation} with GENKAN_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
    world.compare();
}

/// A guest whose function has the host call it, which has the host call it, and so on: it is
/// told, or ends, and its host goes on.
#[test]
fn calling_back_without_end_has_an_end() {
    let module = Engine::default().compile(
        br#"(module
            (@custom "genkan.calls.1" "export go(u32) -> u32\nimport host.again(u32) -> u32\n")
            (import "host" "again" (func $again (param i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "go") (param i32) (result i32)
                (call $again (i32.add (local.get 0) (i32.const 1)))))"#,
    );
    let module = module.unwrap();
    let guest =
        |functions: Functions| Guest::with(&module, Setup::new().functions(functions)).unwrap();
    // A host that lets the guest have the answer.
    let mut told = Functions::default();
    told.offer("again", |cx: &mut Cx, depth: u32| {
        match cx.call::<u32>("go", (depth,)) {
            Ok(deepest) => deepest,
            Err(Error::TooDeep(most)) => {
                assert_eq!(depth, most);
                depth
            }
            Err(error) => panic!("{error:?}"),
        }
    });
    let mut first = guest(told);
    for _ in 0..3 {
        assert_eq!(first.call::<u32>("go", (0u32,)).unwrap(), 16);
    }
    // And one that passes it on: it is the guest's end.
    let mut ends = Functions::default();
    ends.offer(
        "again",
        |cx: &mut Cx, depth: u32| -> Result<u32, genkan_host::Stop> {
            Ok(cx.call::<u32>("go", (depth,))?)
        },
    );
    let mut second = guest(ends);
    let error = second.call::<u32>("go", (0u32,)).unwrap_err();
    assert!(matches!(error, Error::HostFunction { .. }), "{error:?}");
    second.reset().unwrap();
    assert!(second.call::<u32>("go", (0u32,)).is_err());
    assert_eq!(first.call::<u32>("go", (0u32,)).unwrap(), 16);
}
