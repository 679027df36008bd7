//! Modules run as they are, and as the pass writes them: nothing but the limits differs.

use super::*;
use crate::sys::Words;
use arbitrary::Unstructured;
use wasm_smith::{Config, Module as Made};
use wasmer::sys::{Cranelift, EngineBuilder, Features};
use wasmer::{
    Extern, ExternType, Function, Instance, Memory, MemoryType, Module, RuntimeError, Store, Type,
    Value,
};

fn engine() -> wasmer::Engine {
    let mut features = Features::default();
    features.multi_memory(true).memory64(false).threads(true);
    EngineBuilder::new(Cranelift::default())
        .set_features(Some(features))
        .engine()
        .into()
}

/// A module in the engine, with nothing but what the pass imports.
struct Run {
    store: Store,
    instance: Instance,
    words: Option<Memory>,
}

impl Run {
    fn new(bytes: &[u8]) -> Option<Self> {
        let mut store = Store::new(engine());
        let module = Module::new(&store, bytes).unwrap();
        let mut words = None;
        let mut externs = Vec::new();
        for import in module.imports() {
            externs.push(match import.ty() {
                ExternType::Memory(_) => {
                    let ty = MemoryType::new(1, Some(1), false);
                    let memory = Memory::new(&mut store, ty).unwrap();
                    words = Some(memory.clone());
                    memory.into()
                }
                ExternType::Function(ty) => {
                    Extern::from(Function::new(&mut store, ty, |args| match args {
                        // There is no reason to end.
                        [Value::I32(code)] if [0, 1].contains(code) => Ok(vec![]),
                        _ => Err(RuntimeError::new(format!("ended: {args:?}"))),
                    }))
                }
                other => panic!("{other:?}"),
            });
        }
        let mut run = Self {
            instance: Instance::new_by_index(&mut store, &module, &externs).ok()?,
            store,
            words,
        };
        run.set(Words::FUEL, &i64::MAX.to_le_bytes());
        Some(run)
    }

    fn set(&mut self, at: u64, bytes: &[u8]) {
        if let Some(words) = &self.words {
            words.view(&self.store).write(at, bytes).unwrap();
        }
    }

    fn fuel(&self) -> i64 {
        let mut bytes = [0; 8];
        let words = self.words.as_ref().expect("it counts");
        words
            .view(&self.store)
            .read(Words::FUEL, &mut bytes)
            .unwrap();
        i64::MAX - i64::from_le_bytes(bytes)
    }

    fn call(&mut self, name: &str, args: &[Value]) -> Result<Box<[Value]>, RuntimeError> {
        let function = self.instance.exports.get_function(name).unwrap();
        function.call(&mut self.store, args)
    }

    /// What each function gives, and what is in the memory and the globals afterwards.
    fn everything(&mut self) -> String {
        let mut seen = String::new();
        let exports: Vec<_> = self.instance.exports.iter().collect();
        let exports: Vec<_> = exports
            .into_iter()
            .map(|(name, export)| (name.clone(), export.clone()))
            .collect();
        for (name, export) in &exports {
            let Extern::Function(function) = export else {
                continue;
            };
            let ty = function.ty(&self.store);
            let args: Vec<_> = ty.params().iter().map(|ty| argument(*ty)).collect();
            seen += &match function.call(&mut self.store, &args) {
                Ok(results) => format!(
                    "{name}: {:?}\n",
                    results.iter().map(text).collect::<Vec<_>>()
                ),
                // Which trap it is, the engine's words and the pass's codes say differently.
                Err(_) => format!("{name}: trap\n"),
            };
        }
        for (name, export) in &exports {
            seen += &match export {
                Extern::Global(global) => {
                    format!("{name}: {}\n", text(&global.get(&mut self.store)))
                }
                Extern::Memory(memory) => {
                    let bytes = memory.view(&self.store).copy_to_vec().unwrap();
                    let sum = bytes.iter().fold(bytes.len() as u64, |sum, byte| {
                        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
                    });
                    format!("{name}: {sum:x}\n")
                }
                Extern::Table(table) => {
                    let filled = (0..table.size(&self.store)).filter(|index| {
                        let element = table.get(&mut self.store, *index);
                        !matches!(element, Some(Value::FuncRef(None) | Value::ExternRef(None)))
                    });
                    format!("{name}: {:?}\n", filled.collect::<Vec<_>>())
                }
                _ => continue,
            };
        }
        seen
    }
}

fn argument(ty: Type) -> Value {
    match ty {
        Type::I32 => Value::I32(3),
        Type::I64 => Value::I64(1 << 33),
        Type::F32 => Value::F32(1.5),
        Type::F64 => Value::F64(-2.25),
        Type::V128 => Value::V128(7),
        Type::FuncRef => Value::FuncRef(None),
        _ => Value::ExternRef(None),
    }
}

/// By its bits; a function by whether there is one.
fn text(value: &Value) -> String {
    match value {
        Value::F32(value) => format!("{:x}", value.to_bits()),
        Value::F64(value) => format!("{:x}", value.to_bits()),
        Value::FuncRef(function) => format!("function {}", function.is_some()),
        other => other.to_string(),
    }
}

const ALL: [Checks; 4] = [
    Checks {
        interrupt: false,
        fuel: false,
        samples: false,
    },
    Checks {
        interrupt: true,
        fuel: false,
        samples: false,
    },
    Checks {
        interrupt: false,
        fuel: true,
        samples: false,
    },
    Checks {
        interrupt: true,
        fuel: true,
        samples: false,
    },
];

/// A module of everything that guests may be made of, which ends.
fn made(seed: u64) -> Option<Vec<u8>> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let bytes: Vec<u8> = (0..4096)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect();
    let config = Config {
        max_imports: 0,
        min_funcs: 3,
        max_funcs: 12,
        max_instructions: 200,
        max_memory32_bytes: 4 << 16,
        max_tables: 3,
        max_table_elements: 2000,
        table_max_size_required: true,
        memory_max_size_required: true,
        canonicalize_nans: true,
        export_everything: true,
        allow_start_export: false,
        bulk_memory_enabled: true,
        reference_types_enabled: true,
        simd_enabled: true,
        relaxed_simd_enabled: false,
        exceptions_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        memory64_enabled: false,
        gc_enabled: false,
        custom_page_sizes_enabled: false,
        wide_arithmetic_enabled: false,
        extended_const_enabled: true,
        max_memories: 1,
        ..Config::default()
    };
    let mut module = Made::new(config, &mut Unstructured::new(&bytes)).ok()?;
    module.ensure_termination(1000).ok()?;
    Some(module.to_bytes())
}

#[test]
fn modules_do_the_same_with_checks_and_samples() {
    let count = std::env::var("GENKAN_MODULES").map_or(60, |n| n.parse().unwrap());
    let mut compared = 0;
    for seed in 0..count {
        let Some(bytes) = made(seed) else { continue };
        if validate(&bytes).is_err() {
            continue;
        }
        let Some(mut plain) = Run::new(&bytes) else {
            continue;
        };
        let expected = plain.everything();
        let sampled = [false, true].map(|fuel| Checks::none().fuel(fuel).samples(true));
        for checks in ALL.into_iter().chain(sampled) {
            let rewritten = rewrite(&bytes, Pass::inlining(checks)).unwrap();
            let bytes = rewritten.bytes.as_deref().unwrap_or(&bytes);
            let mut run = Run::new(bytes).expect("it has a beginning as before");
            if checks.samples {
                // At each look.
                run.set(Words::INTERRUPT, &1u32.to_le_bytes());
            }
            assert_eq!(run.everything(), expected, "module {seed} with {checks:?}");
            compared += 1;
        }
    }
    assert!(
        compared > count,
        "only {compared} of {count} modules were compared"
    );
}

/// The shapes of code that loops, calls and branches in the ways the pass tells apart.
const COUNTED: &str = r#"(module
    (func (export "empty"))
    (func (export "line") (result i32) (i32.add (i32.const 1) (i32.const 2)))
    (func (export "loop") (param i32)
        (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
    (func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func (export "call") (result i32) (call $leaf (i32.const 1)))
    (memory 1)
    (func (export "fill") (memory.fill (i32.const 0) (i32.const 1) (i32.const 1600))))"#;

#[test]
fn fuel_is_what_the_documentation_says() {
    let bytes = wat::parse_str(COUNTED).unwrap();
    let fueled = Checks::none().fuel(true);
    let rewritten = rewrite(&bytes, Pass::inlining(fueled))
        .unwrap()
        .bytes
        .unwrap();
    let mut run = Run::new(&rewritten).unwrap();
    let mut cost = |name: &str, args: &[Value]| {
        let before = run.fuel();
        run.call(name, args).unwrap();
        run.fuel() - before
    };
    assert_eq!(cost("empty", &[]), 1);
    assert_eq!(cost("line", &[]), 1 + 3);
    assert_eq!(cost("loop", &[Value::I32(10)]), 1 + 10 * 5);
    assert_eq!(cost("call", &[]), (1 + 2) + (1 + 3));
    assert_eq!(cost("fill", &[]), 1 + 4 + 1600 / 16);
}

#[test]
fn a_module_that_needs_nothing_stays_as_it_is() {
    let plain = wat::parse_str(
        r#"(module (func (export "f") (param i32) (result i32)
        (loop (br_if 0 (local.get 0))) (local.get 0)))"#,
    )
    .unwrap();
    assert!(
        rewrite(&plain, Pass::inlining(Checks::none()))
            .unwrap()
            .bytes
            .is_none()
    );
    assert!(
        rewrite(&plain, Pass::inlining(Checks::none().interrupt(true)))
            .unwrap()
            .bytes
            .is_some()
    );
}

/// With the imports of those functions that can be inlined, and of one that cannot.
fn importing(rest: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
        (import "env" "read" (func $read (param i64 i32) (result i32)))
        (import "genkan" "check" (func $check (param i64 i64 i32) (result i32)))
        (import "genkan" "len" (func $len (param i32) (result i64)))
        {rest})"#
    );
    wat::parse_str(text).unwrap()
}

#[test]
fn a_module_that_inlines_nothing_stays_as_it_is() {
    for rest in [
        "",
        r#"(export "read" (func $read))"#,
        "(table 1 funcref) (elem (i32.const 0) $read)",
        "(table 1 funcref) (elem (i32.const 0) $read) (func (param i64 i32) (result i32)
            (call_indirect (param i64 i32) (result i32)
                (local.get 0) (local.get 1) (i32.const 0)))",
        "(elem declare func $read) (func (result funcref) (ref.func $read))",
        "(func (param i64) (drop (call $check (local.get 0) (i64.const 1) (i32.const 0))))",
        // It has another type than the host's.
        "(func (result i64) (call $len (i32.const 1)))",
    ] {
        let plain = importing(rest);
        assert!(
            rewrite(&plain, Pass::inlining(Checks::none()))
                .unwrap()
                .bytes
                .is_none()
        );
    }
    // More calls than would be written out.
    let call = "(drop (call $read (i64.const 0) (i32.const 0)))".repeat(70_000);
    let plain = importing(&format!("(func {call})"));
    assert!(
        rewrite(&plain, Pass::inlining(Checks::none()))
            .unwrap()
            .bytes
            .is_none()
    );
}

/// What is written in place of a call stands for that call.
#[test]
fn inlined_access_leads_back_to_the_call() {
    let bytes = importing(
        "(memory 1)
        (func (param i64) (result i32)
            (i32.store (i32.const 8) (call $read (local.get 0) (i32.const 1)))
            (i32.add (i32.load (i32.const 8)) (call $read (local.get 0) (i32.const 2))))",
    );
    let before = instructions(&bytes);
    let calls: Vec<u32> = before
        .iter()
        .filter(|(_, operator)| operator.starts_with("Call"))
        .map(|(offset, _)| *offset)
        .collect();
    for checks in ALL {
        let rewritten = rewrite(&bytes, Pass::inlining(checks)).unwrap();
        let space = 1 - u32::from(!checks.any());
        let memory = format!("Memory({space})");
        let mut found = Vec::new();
        for (offset, operator) in instructions(rewritten.bytes.as_deref().unwrap()) {
            let source = rewritten.layout.offset(offset).unwrap();
            if operator.contains(&memory) {
                found.push(source);
            } else if operator.contains(&format!("Memory({})", space + 1)) {
                // The guest's own memory is the last one.
                let same = |other: &&(u32, String)| other.0 == source;
                let own = before.iter().find(same).unwrap();
                assert!(own.1.starts_with("I32"), "{operator} for {own:?}");
            }
        }
        // The tag and where the bytes are, how much can be read; and the byte.
        let expected = [[calls[0]; 3], [calls[1]; 3]].concat();
        assert_eq!(found, expected, "{checks:?}");
    }
}

/// The fast reader finds the instructions that the validator's does, and says of each what
/// it is.
#[test]
fn instructions_are_read_as_they_are_validated() {
    let mut read = 0;
    for module in (0..1000).filter_map(made) {
        read += compare_instructions(&module);
    }
    for fixture in [
        &include_bytes!("../../../fixtures/rustc-1.95.0/json.wasm")[..],
        include_bytes!("../../../fixtures/rustc-1.95.0/program.wasm"),
    ] {
        read += compare_instructions(fixture);
    }
    assert!(read > 100_000, "{read}");
}

/// How many instructions a module has, which both readers agree on.
fn compare_instructions(module: &[u8]) -> usize {
    use instruction::{Instruction as I, Instructions, depths};
    use wasmparser::Operator as O;
    validate(module).unwrap();
    let mut count = 0;
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        let wasmparser::Payload::CodeSectionEntry(body) = payload.unwrap() else {
            continue;
        };
        let start = body.range().start;
        let mut theirs = body.get_operators_reader().unwrap();
        let begin = (theirs.original_position() - start) as usize;
        let mut ours = Instructions::new(body.as_bytes(), begin);
        while !theirs.eof() {
            let at = (theirs.original_position() - start) as usize;
            let operator = theirs.read().unwrap();
            let end = (theirs.original_position() - start) as usize;
            let (instruction, our_at, our_end) = ours.read().unwrap();
            assert_eq!((our_at, our_end), (at, end), "{operator:?}");
            count += 1;
            let alike = match (&operator, instruction) {
                (O::Block { .. }, I::Block) | (O::If { .. }, I::If) => true,
                (O::Else, I::Else) | (O::End, I::End) => true,
                (O::Loop { blockty }, I::Loop { typed }) => {
                    typed == matches!(blockty, wasmparser::BlockType::FuncType(_))
                }
                (O::Br { relative_depth }, I::Br(depth)) => *relative_depth == depth,
                (O::BrIf { relative_depth }, I::BrIf(depth)) => *relative_depth == depth,
                (O::BrTable { targets }, I::BrTable) => {
                    let all = targets.targets().map(Result::unwrap);
                    let all: Vec<_> = all.chain([targets.default()]).collect();
                    all == depths(&body.as_bytes()[at..end]).collect::<Vec<_>>()
                }
                (O::Return, I::Return) | (O::Unreachable, I::Unreachable) => true,
                (O::Call { function_index }, I::Call(index)) => *function_index == index,
                (O::CallIndirect { .. }, I::CallIndirect) => true,
                (O::RefFunc { function_index }, I::RefFunc(index)) => *function_index == index,
                (O::DataDrop { data_index }, I::DataDrop(index)) => *data_index == index,
                (O::ElemDrop { elem_index }, I::ElemDrop(index)) => *elem_index == index,
                (O::MemorySize { .. }, I::MemorySize) => true,
                (O::MemoryGrow { .. }, I::MemoryGrow) => true,
                (_, I::Helped(helper)) => {
                    // `MemoryInit(7)` for `MemoryInit { data_index: 7, mem: 0 }`
                    let name = |debug: String| debug[..debug.find(['(', ' ']).unwrap()].to_owned();
                    let ours = format!("{helper:?} ").replace("elements", "elem_index");
                    let theirs = format!("{operator:?} ");
                    name(ours) == name(theirs)
                }
                (_, I::Memory(_)) => {
                    let name = format!("{operator:?}");
                    name.contains("Load") || name.contains("Store")
                }
                (O::Nop | O::Drop, I::Other(weight)) => weight == 0,
                (_, I::Other(weight)) => {
                    let name = format!("{operator:?}");
                    weight == 1 && !name.contains("memarg")
                }
                _ => false,
            };
            assert!(alike, "{operator:?}: {instruction:?}");
        }
        assert!(ours.is_at_end());
    }
    count
}

/// Each instruction of the guest's is found again from where it came to be.
#[test]
fn offsets_lead_back() {
    let bytes = wat::parse_str(COUNTED).unwrap();
    for checks in ALL {
        let rewritten = rewrite(&bytes, Pass::inlining(checks)).unwrap();
        let now = rewritten.bytes.as_deref().unwrap_or(&bytes);
        let before = instructions(&bytes);
        let mut found = Vec::new();
        for (offset, operator) in instructions(now) {
            let source = rewritten.layout.offset(offset).unwrap();
            // Written ones stand for an instruction of the guest's, which has its place.
            if before
                .iter()
                .any(|other| *other == (source, operator.clone()))
            {
                found.push(source);
            }
        }
        let missing: Vec<_> = before
            .iter()
            .filter(|(offset, operator)| {
                !found.contains(offset)
                    && !operator.starts_with("Call")
                    && !operator.starts_with("Memory")
            })
            .collect();
        assert!(missing.is_empty(), "{checks:?}: {missing:?}");
    }
}

fn instructions(module: &[u8]) -> Vec<(u32, String)> {
    let mut all = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        if let wasmparser::Payload::CodeSectionEntry(body) = payload.unwrap() {
            for operator in body
                .get_operators_reader()
                .unwrap()
                .into_iter_with_offsets()
            {
                let (operator, offset) = operator.unwrap();
                all.push((offset as u32, format!("{operator:?}")));
            }
        }
    }
    all
}
