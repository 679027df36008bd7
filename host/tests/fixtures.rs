//! The fixtures in this host: every guest of the corpus, from every compiler, does
//! what the table says. `xtask` runs the same table in other engines.

use host::{Access, Engine, Error, Guest, Pointer, Region, Setup, Value};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use xtask::fixtures::{Argument, Call, entries, module};
use xtask::repository::Checkout;

/// What a guest wrote.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn they_do_what_the_table_says() {
    for entry in entries(&Checkout::find()).unwrap() {
        for compiler in entry.compilers() {
            println!("{} by {compiler}", entry.name);
            let module = Engine::default()
                .load(module(&Checkout::find(), &entry.name, &compiler))
                .unwrap();
            let stdout = Output::default();
            let setup = Setup {
                stdout: Box::new(stdout.clone()),
                ..Setup::default()
            };
            let mut guest = Guest::with(&module, setup).unwrap();
            for call in &entry.calls {
                check(&mut guest, &stdout, call);
            }
        }
    }
}

fn check(guest: &mut Guest, stdout: &Output, call: &Call) {
    let regions: Vec<Region> = call
        .data
        .iter()
        .map(|bytes| Region::copy_of(bytes).unwrap())
        .collect();
    for region in &regions {
        guest.grant(region, Access::ReadWrite).unwrap();
    }
    let pointers: Vec<Pointer> = regions.iter().map(Region::pointer).collect();
    let args = arguments(guest, call, &pointers);
    let outcome = guest.call::<Vec<Value>>(&call.export, &args);
    match (&call.trap, outcome) {
        (None, Ok(results)) => assert_eq!(
            results.first().map(|&value| number(value)),
            call.result,
            "{call:?}"
        ),
        // A program that ends well.
        (None, Err(Error::Exit(0))) => {}
        (None, Err(error)) => panic!("{call:?}: {error}"),
        (Some(_), Ok(results)) => panic!("{call:?} gave {results:?}"),
        (Some(report), Err(error)) => {
            let message = error.to_string();
            assert!(message.contains(report.as_str()), "{call:?}: {message}");
        }
    }
    let wanted = call.after.as_ref().unwrap_or(&call.data);
    let after: Vec<Vec<u8>> = regions
        .iter()
        .map(|region| region.as_slice().unwrap().to_vec())
        .collect();
    assert_eq!(after, *wanted, "{call:?}");
    for region in &regions {
        guest.revoke(region);
    }
    let written = std::mem::take(&mut *stdout.0.lock().unwrap());
    assert_eq!(String::from_utf8_lossy(&written), call.stdout, "{call:?}");
}

/// The arguments, with the types that the function wants.
fn arguments(guest: &Guest, call: &Call, pointers: &[Pointer]) -> Vec<Value> {
    let mut values = Vec::new();
    for argument in &call.args {
        let text = |suffix: &str| match argument {
            Argument::Integer(number) => format!("{number}{suffix}"),
            Argument::Float(number) => number.to_string(),
            Argument::Data(number) => (pointers[*number].to_bits() as i64).to_string(),
        };
        // The rest only fills up: each is parsed for its own place.
        let rest = call.args.len() - values.len() - 1;
        let parse = |suffix| {
            let mut texts = vec![text(suffix)];
            texts.extend(std::iter::repeat_n("0".to_owned(), rest));
            guest.parse_arguments(&call.export, values.len(), &texts)
        };
        let parsed = parse("i32").or_else(|_| parse("")).unwrap();
        values.push(parsed[0]);
    }
    values
}

fn number(value: Value) -> Argument {
    match value {
        Value::I32(value) => Argument::Integer(value.into()),
        Value::I64(value) => Argument::Integer(value),
        Value::F32(value) => Argument::Float(value.into()),
        Value::F64(value) => Argument::Float(value),
    }
}
