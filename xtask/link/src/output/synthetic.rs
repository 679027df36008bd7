//! The bodies of the functions that the linker adds.

use wasm_encoder::{
    BlockType, Function, InstructionSink, MemArg, MemArgTarget, ValType as EncodedType,
};
use wasmparser::ValType;

use crate::error::{Error, Result, UndefinedReason, UndefinedSymbol};
use crate::index::SyntheticIndex;
use crate::origin::SymbolKind;
use crate::output::data::{self, DataSegment};
use crate::output::dynamic;
use crate::output::parts::Parts;
use crate::resolve::resolution::{FunctionRef, PanicReport};
use crate::symbols::{PanicShape, SyntheticGlobal};
use crate::synthetic::Body;

/// A function's body: locals and instructions, without its size.
///
/// # Errors
///
/// If it calls what is not in the module.
pub fn body(parts: &Parts, added: SyntheticIndex) -> Result<Vec<u8>> {
    let synthetic = &parts.synthetics.functions[added];
    let ty = synthetic.signature.decode();
    let params = ty.params().len() as u32;
    // One that counts addresses.
    let locals = usize::from(matches!(synthetic.body, Body::InitMemory) && !can_fill(parts));
    let mut function = Function::new((0..locals).map(|_| (1, EncodedType::I32)));
    let code = &mut function.instructions();
    match synthetic.body {
        Body::Trap => {
            code.unreachable();
        }
        Body::ReturnZero => match ty.results() {
            [] => {}
            [ValType::I32] => {
                code.i32_const(0);
            }
            _ => {
                code.unreachable();
            }
        },
        Body::ApplyDataRelocs => dynamic::apply_data_relocs(code, parts)?,
        Body::ApplyGlobalRelocs => dynamic::apply_global_relocs(code, parts),
        Body::CallCtors => call_constructors(code, parts)?,
        Body::Panic(shape) => panic(code, parts, shape, params)?,
        Body::InitTls => init_tls(code, parts),
        Body::InitMemory if can_fill(parts) => fill_zeros(code, parts),
        Body::InitMemory => store_zeros(code, parts),
        Body::InitSharedMemory(constructors) => init_shared_memory(code, parts, constructors),
        Body::Both(first, second) => {
            call_added(code, parts, first);
            call_added(code, parts, second);
        }
        Body::Once(callee) => once(code, parts, callee),
        Body::Before(first, callee) => {
            call_added(code, parts, first);
            pass_on(code, params);
            call(code, parts, callee)?;
        }
        Body::Command {
            constructors,
            callee,
            destructors,
        } => {
            if let Some(constructors) = constructors {
                call_added(code, parts, constructors);
            }
            pass_on(code, params);
            call(code, parts, callee)?;
            if let Some(destructors) = destructors {
                call(code, parts, destructors)?;
            }
        }
    }
    code.end();
    Ok(function.into_raw_body())
}

/// Pushes all parameters.
fn pass_on(code: &mut InstructionSink, params: u32) {
    for param in 0..params {
        code.local_get(param);
    }
}

fn call_added(code: &mut InstructionSink, parts: &Parts, added: SyntheticIndex) {
    code.call(parts.indices.functions.synthetic(added).into());
}

fn call(code: &mut InstructionSink, parts: &Parts, function: FunctionRef) -> Result<()> {
    match parts.indices.functions.index(function) {
        Some(index) => {
            code.call(index.into());
            Ok(())
        }
        None => Err(Error::Undefined(UndefinedSymbol {
            symbol: parts.function_name(function).to_owned(),
            kind: SymbolKind::Function,
            used_by: None,
            reason: UndefinedReason::NoInput,
        })
        .into()),
    }
}

fn call_constructors(code: &mut InstructionSink, parts: &Parts) -> Result<()> {
    for &constructor in &parts.live.constructors {
        call(code, parts, constructor)?;
        // One in C may return a value (`int init(void)`).
        let ty = parts.resolution.function_type(constructor);
        for _ in ty.iter().flat_map(|ty| ty.decode().results().to_vec()) {
            code.drop();
        }
    }
    Ok(())
}

fn fill_zeros(code: &mut InstructionSink, parts: &Parts) {
    for (segment, address) in parts.layout.segments() {
        if segment.is_zero && segment.size > 0 {
            parts.push_address(code, address.0).i32_const(0);
            parts.push_address(code, segment.size).memory_fill(0);
        }
    }
}

/// Whether code may fill memory by one instruction.
fn can_fill(parts: &Parts) -> bool {
    parts.resolution.features.contains("bulk-memory")
}

/// The same without that instruction: by a loop over eight bytes at a time, and
/// stores for those that are left. Local 0 is an address.
fn store_zeros(code: &mut InstructionSink, parts: &Parts) {
    let place = |offset: u32| MemArg {
        offset: u64::from(offset),
        align: 0,
        target: MemArgTarget::Memory(0),
        ordering: None,
    };
    for (segment, address) in parts.layout.segments() {
        if !segment.is_zero || segment.size == 0 {
            continue;
        }
        let whole = segment.size / 8 * 8;
        let end = address.plus(whole);
        if whole > 0 {
            code.i32_const(address.0 as i32)
                .local_set(0)
                .loop_(BlockType::Empty)
                .local_get(0)
                .i64_const(0)
                .i64_store(place(0))
                .local_get(0)
                .i32_const(8)
                .i32_add()
                .local_tee(0)
                .i32_const(end.0 as i32)
                .i32_ne()
                .br_if(0)
                .end();
        }
        let mut at = end;
        for bytes in [4, 2, 1] {
            if segment.size & bytes == 0 {
                continue;
            }
            code.i32_const(at.0 as i32).i32_const(0);
            match bytes {
                4 => code.i32_store(place(0)),
                2 => code.i32_store16(place(0)),
                _ => code.i32_store8(place(0)),
            };
            at = at.plus(bytes);
        }
    }
}

/// Calls a function the first time.
fn once(code: &mut InstructionSink, parts: &Parts, callee: SyntheticIndex) {
    match (parts.layout.memory.flags, parts.indices.globals.init_done) {
        (Some(flags), _) => {
            parts
                .push_address(code, flags.constructors.0)
                .i32_const(0)
                .i32_const(1)
                .i32_atomic_rmw_cmpxchg(WORD)
                .i32_eqz()
                .if_(BlockType::Empty);
            call_added(code, parts, callee);
            code.end();
        }
        (None, Some(done)) => {
            code.global_get(done.into())
                .i32_eqz()
                .if_(BlockType::Empty)
                .i32_const(1)
                .global_set(done.into());
            call_added(code, parts, callee);
            code.end();
        }
        (None, None) => {}
    }
}

/// Four bytes at an address on the stack.
const WORD: MemArg = MemArg {
    offset: 0,
    align: 2,
    target: MemArgTarget::Memory(0),
    ordering: None,
};

/// Copies a data segment of the module to the address on the stack.
fn copy(code: &mut InstructionSink, index: usize, segment: &DataSegment) {
    code.i32_const(0)
        .i32_const(segment.size() as i32)
        .memory_init(0, index as u32);
}

/// Sets up a thread's own data, at the address that it is given.
fn init_tls(code: &mut InstructionSink, parts: &Parts) {
    let base = parts.indices.globals.synthetic(SyntheticGlobal::TlsBase);
    if let Some(base) = base {
        code.local_get(0).global_set(base.into());
    }
    for (index, segment) in data::segments(parts).iter().enumerate() {
        if segment.is_thread_local() {
            code.local_get(0);
            copy(code, index, segment);
        }
    }
}

/// The first instance copies the data, and those that come meanwhile wait for it.
fn init_shared_memory(
    code: &mut InstructionSink,
    parts: &Parts,
    constructors: Option<SyntheticIndex>,
) {
    let Some(flags) = parts.layout.memory.flags else {
        return;
    };
    let flag = flags.memory.0;
    let segments = data::segments(parts);
    // 0: it is this one that copies. 1: another does. 2: it is done.
    code.block(BlockType::Empty)
        .block(BlockType::Empty)
        .block(BlockType::Empty);
    parts
        .push_address(code, flag)
        .i32_const(0)
        .i32_const(1)
        .i32_atomic_rmw_cmpxchg(WORD)
        .br_table([0, 1], 2)
        .end();
    let base = parts.indices.globals.synthetic(SyntheticGlobal::TlsBase);
    for (index, segment) in segments.iter().enumerate() {
        let address = segment.address().0;
        parts.push_address(code, address);
        // The first thread's own data is where the linker put it.
        if let Some(base) = base.filter(|_| segment.is_thread_local()) {
            parts.push_address(code, address).global_set(base.into());
        }
        copy(code, index, segment);
    }
    if parts.layout.fills_zeros() || !parts.options.lean {
        fill_zeros(code, parts);
    }
    if let Some(constructors) = constructors {
        call_added(code, parts, constructors);
    }
    parts
        .push_address(code, flag)
        .i32_const(2)
        .i32_atomic_store(WORD);
    parts
        .push_address(code, flag)
        .i32_const(-1)
        .memory_atomic_notify(WORD)
        .drop()
        .br(1)
        .end();
    parts
        .push_address(code, flag)
        .i32_const(1)
        .i64_const(-1)
        .memory_atomic_wait32(WORD)
        .drop()
        .end();
    // Threads copy thread-local data again; nobody needs the others.
    for (index, segment) in segments.iter().enumerate() {
        if !segment.is_thread_local() {
            code.data_drop(index as u32);
        }
    }
}

/// Calls `__genkan_panic`, if somebody is to know, and traps.
fn panic(code: &mut InstructionSink, parts: &Parts, shape: PanicShape, params: u32) -> Result<()> {
    let resolution = &parts.resolution;
    if let Some(PanicReport { symbol, is_own }) = resolution.panic_report {
        match is_own {
            true => push_own_report(code, shape, params),
            false => push_report(code, shape, params),
        }
        let function = resolution.target_function(resolution.shared_target(symbol));
        call(
            code,
            parts,
            function.unwrap_or(FunctionRef::Undefined(symbol)),
        )?;
    }
    code.unreachable();
    Ok(())
}

/// Pushes what an input's `__genkan_panic` takes.
fn push_own_report(code: &mut InstructionSink, shape: PanicShape, params: u32) {
    let kind = match shape {
        PanicShape::Location | PanicShape::Nothing => 0,
        PanicShape::Message => 1,
        PanicShape::Format => 2,
        PanicShape::Bounds => 3,
        PanicShape::Allocation | PanicShape::AllocationNowhere => 4,
    };
    match kind {
        1..=3 => code.local_get(0).local_get(1),
        _ => code.i32_const(0).i32_const(0),
    };
    match shape {
        PanicShape::Nothing | PanicShape::AllocationNowhere => code.i32_const(0),
        _ => code.local_get(params - 1),
    };
    code.i32_const(kind);
}

/// Pushes what the host's `__genkan_panic` takes. A `Location` is address and length of
/// the file's name, line and column, 4 bytes each, in rustc 1.63 to today.
fn push_report(code: &mut InstructionSink, shape: PanicShape, params: u32) {
    if matches!(shape, PanicShape::Message | PanicShape::Format) {
        code.local_get(0).local_get(1);
    } else {
        code.i32_const(0).i32_const(0);
    }
    for field in 0..4 {
        if matches!(shape, PanicShape::Nothing | PanicShape::AllocationNowhere) {
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
    match shape {
        PanicShape::Bounds => {
            code.local_get(0)
                .i64_extend_i32_u()
                .local_get(1)
                .i64_extend_i32_u();
        }
        PanicShape::Allocation | PanicShape::AllocationNowhere => {
            code.i64_const(-2).i64_const(-2);
        }
        PanicShape::Format => {
            code.i64_const(-3).i64_const(-3);
        }
        PanicShape::Location | PanicShape::Message | PanicShape::Nothing => {
            code.i64_const(-1).i64_const(-1);
        }
    }
}
