//! The bodies of the functions that the linker makes.

use wasm_encoder::{BlockType, Function, MemArg, MemArgTarget};

use super::layout::Layout;
use super::live::{FunctionRef, Live};
use super::symbols::{Body, Constructors, Made, MadeGlobal, PanicShape, Program};
use super::types;

/// The function's body: locals and instructions, without its size.
pub fn body(made: &Made, program: &Program, live: &Live, layout: &Layout) -> Vec<u8> {
    let (params, results) = types::split(&made.signature).unwrap_or_default();
    let params = params.len() as u32;
    let mut function = Function::new([]);
    let mut code = function.instructions();
    let index_of = |body: Body| {
        let made = program.made.iter().position(|m| m.body == body);
        made.map_or(0, |made| {
            layout.function_index(FunctionRef::Made(made as u32))
        })
    };
    match made.body {
        Body::Unreachable => {
            code.unreachable();
        }
        Body::Zero => match results {
            [] => {}
            [0x7f] => {
                code.i32_const(0);
            }
            _ => {
                code.unreachable();
            }
        },
        Body::CallCtors => {
            for &constructor in &live.constructors {
                code.call(layout.function_index(constructor));
                drop_results(&mut code, program, layout, constructor);
            }
        }
        Body::InitMemory => {
            for segment in layout
                .segments_in_order()
                .filter(|s| s.is_bss && s.size > 0)
            {
                code.i32_const(segment.address as i32)
                    .i32_const(0)
                    .i32_const(segment.size as i32)
                    .memory_fill(0);
            }
        }
        Body::Start => {
            code.call(index_of(Body::InitMemory))
                .call(index_of(Body::CallCtors));
        }
        Body::InitOnce => {
            let done = layout.made_global(MadeGlobal::InitDone);
            code.global_get(done)
                .i32_eqz()
                .if_(BlockType::Empty)
                .i32_const(1)
                .global_set(done)
                .call(index_of(Body::CallCtors))
                .end();
        }
        Body::Export(id) => {
            code.call(index_of(Body::InitOnce));
            for param in 0..params {
                code.local_get(param);
            }
            code.call(layout.function_index(program.function(id)));
        }
        Body::Entry(entry) => {
            match entry.constructors {
                Some(Constructors::Always) => {
                    code.call(index_of(Body::CallCtors));
                }
                Some(Constructors::Once) => {
                    code.call(index_of(Body::InitOnce));
                }
                None => {}
            }
            for param in 0..params {
                code.local_get(param);
            }
            code.call(layout.function_index(program.function(entry.entry)));
            if let Some(destructors) = entry.destructors {
                code.call(layout.function_index(program.function(destructors)));
            }
        }
        Body::Panic(shape) => {
            if let Some(import) = program.panic_import {
                report(&mut code, shape, params);
                code.call(layout.import_index(import));
            }
            code.unreachable();
        }
    }
    code.end();
    function.into_raw_body()
}

/// A constructor in C may return a value (`int init(void)`).
fn drop_results(
    code: &mut wasm_encoder::InstructionSink,
    program: &Program,
    layout: &Layout,
    constructor: FunctionRef,
) {
    let signature = layout.function_type(program, constructor);
    let results = types::split(&signature).map_or(0, |(_, results)| results.len());
    for _ in 0..results {
        code.drop();
    }
}

/// Pushes what `__genkan_panic` takes. A `Location` is address and length of
/// the file's name, line and column, 4 bytes each, in rustc 1.63 to today.
fn report(code: &mut wasm_encoder::InstructionSink, shape: PanicShape, params: u32) {
    if shape == PanicShape::Message {
        code.local_get(0).local_get(1);
    } else {
        code.i32_const(0).i32_const(0);
    }
    for field in 0..4 {
        if shape == PanicShape::Nothing {
            code.i32_const(0);
        } else {
            code.local_get(params - 1).i32_load(MemArg {
                offset: field * 4,
                align: 2,
                target: MemArgTarget::Memory(0),
                ordering: None,
            });
        }
    }
    if shape == PanicShape::Bounds {
        code.local_get(0)
            .i64_extend_i32_u()
            .local_get(1)
            .i64_extend_i32_u();
    } else {
        code.i64_const(-1).i64_const(-1);
    }
}
