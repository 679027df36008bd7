//! The fixtures in this host: every guest of the corpus, from every compiler, does
//! what the table says. `xtask` runs the same table in other engines.

use genkan_host::{Access, Engine, Error, Guest, Module, Pointer, Region, Setup, Value, ValueType};
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
            let setup = Setup::new().stdout(stdout.clone());
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
    let args = arguments(guest.module(), call, &pointers);
    let outcome = guest.call::<Vec<Value>>(&call.export, &args);
    let ended = outcome.is_err();
    match (&call.trap, outcome) {
        (None, Ok(results)) => assert_eq!(
            results.first().map(|&value| number(value)),
            call.result,
            "{call:?}"
        ),
        // A program that ends well.
        (None, Err(Error::Exit { code: 0, .. })) => {}
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
    if ended {
        guest.reset().unwrap();
    }
    let written = std::mem::take(&mut *stdout.0.lock().unwrap());
    assert_eq!(String::from_utf8_lossy(&written), call.stdout, "{call:?}");
}

/// The arguments, with the types that the function wants.
fn arguments(module: &Module, call: &Call, pointers: &[Pointer]) -> Vec<Value> {
    let function = module.exported(&call.export).unwrap();
    let argument = |(argument, ty): (&Argument, &ValueType)| match (argument, ty) {
        (Argument::Data(number), ValueType::I64) => pointers[*number].into(),
        (Argument::Integer(number), ValueType::I32) => Value::I32(*number as i32),
        (Argument::Integer(number), ValueType::I64) => Value::I64(*number),
        (Argument::Float(number), ValueType::F32) => Value::F32(*number as f32),
        (Argument::Float(number), ValueType::F64) => Value::F64(*number),
        other => panic!("{}: {other:?}", call.export),
    };
    call.args
        .iter()
        .zip(&function.params)
        .map(argument)
        .collect()
}

fn number(value: Value) -> Argument {
    match value {
        Value::I32(value) => Argument::Integer(value.into()),
        Value::I64(value) => Argument::Integer(value),
        Value::F32(value) => Argument::Float(value.into()),
        Value::F64(value) => Argument::Float(value),
        other => panic!("{other:?}"),
    }
}
