//! Checked access to the region space, in the guest's own code.
//!
//! In place of a call of one of the functions that read and write regions, the check and
//! the access are written as `engine/carried/access.wat` has them, which describes the
//! table of regions. Whatever does not pass is called as before: that enters the region
//! in the table and does the access, or ends the guest.
//!
//! Revoking a region from another thread leaves no hole: it clears the entry, and then
//! unmaps the bytes, and the addresses where they were go to no other region before the
//! guest calls the host or returns. So code that has seen the entry, however long ago
//! since then, finds the region or nothing: then it traps. The compiler may keep what it
//! loaded of an entry, but not over a call.

use super::plan::Plan;
use crate::abi::{self, Source};
use wasm_encoder::{BlockType, InstructionSink, MemArg, MemArgTarget, ValType};
use wasmparser::FuncType;

/// A function whose calls are inlined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// `(pointer, offset) -> value` of so many bytes.
    Read(u32),
    /// `(pointer, offset, value)` of so many bytes.
    Write(u32),
    /// `(pointer) -> len`
    Len,
}

/// About how long it takes, as [`super::body`] weighs instructions.
pub(super) const WEIGHT: i32 = 8;

/// Where an entry in the table of regions has what; its tag is at its beginning.
const BASE: u64 = 4;
const READABLE: u64 = 8;
const WRITABLE: u64 = 12;

impl Access {
    /// The one that a guest imports under this name and with this type.
    pub(super) fn of(module: &str, name: &str, ty: &FuncType) -> Option<Self> {
        let function = abi::function(module, name)?;
        if function.source != Source::Access {
            return None;
        }
        let access = match name {
            "len" => Self::Len,
            "read" | "read_u8" => Self::Read(1),
            "read_u16" => Self::Read(2),
            "read_u32" => Self::Read(4),
            "read_u64" => Self::Read(8),
            "write_u8" => Self::Write(1),
            "write_u16" => Self::Write(2),
            "write_u32" => Self::Write(4),
            "write_u64" => Self::Write(8),
            _ => return None,
        };
        access.has_type(ty).then_some(access)
    }

    /// A guest may import it with any type; with another one, it is refused later.
    fn has_type(self, ty: &FuncType) -> bool {
        use wasmparser::ValType::{I32, I64};
        let value = |bytes| if bytes == 8 { I64 } else { I32 };
        match self {
            Self::Read(bytes) => ty.params() == [I64, I32] && ty.results() == [value(bytes)],
            Self::Write(bytes) => {
                ty.params() == [I64, I32, value(bytes)] && ty.results().is_empty()
            }
            Self::Len => ty.params() == [I64] && ty.results() == [I64],
        }
    }

    fn result(self) -> BlockType {
        match self {
            Self::Read(8) | Self::Len => BlockType::Result(ValType::I64),
            Self::Read(_) => BlockType::Result(ValType::I32),
            Self::Write(_) => BlockType::Empty,
        }
    }
}

/// The locals that inlined code uses, from the first on. It sets them before it reads
/// them, so all inlined code of a function has the same.
#[derive(Clone, Copy)]
pub(super) struct Locals(pub(super) u32);

impl Locals {
    /// Whether a function can have them.
    pub(super) fn fit(self) -> bool {
        // The engine validates what the pass made, with the limit that all engines have.
        const MOST_LOCALS: u32 = 50_000;
        self.0 + Self::TYPES.len() as u32 <= MOST_LOCALS
    }

    pub(super) const TYPES: [ValType; 6] = [
        ValType::I64,
        ValType::I64,
        ValType::I64,
        ValType::I32,
        ValType::I32,
        ValType::I32,
    ];

    fn pointer(self) -> u32 {
        self.0
    }

    /// The offset in the region, as an `i64`: pointer and offset together.
    fn at(self) -> u32 {
        self.0 + 1
    }

    fn offset(self) -> u32 {
        self.0 + 3
    }

    fn entry(self) -> u32 {
        self.0 + 4
    }

    /// What is written, of so many bytes.
    fn value(self, bytes: u32) -> u32 {
        self.0 + if bytes == 8 { 2 } else { 5 }
    }
}

/// A call that is inlined.
pub(super) struct Inlined<'a> {
    pub(super) plan: &'a Plan,
    pub(super) access: Access,
    /// The imported function.
    pub(super) function: u32,
    pub(super) locals: Locals,
    /// The local with the fuel, if it is in one.
    pub(super) fuel: Option<u32>,
}

impl Inlined<'_> {
    /// Writes it. The arguments are on the stack, and its result is afterwards.
    pub(super) fn emit(&self, code: &mut InstructionSink<'_>) {
        let locals = self.locals;
        match self.access {
            Access::Read(_) => code.local_set(locals.offset()),
            Access::Write(bytes) => code
                .local_set(locals.value(bytes))
                .local_set(locals.offset()),
            Access::Len => code,
        };
        code.local_set(locals.pointer());
        code.block(self.access.result()).block(BlockType::Empty);
        self.emit_entry(code);
        if self.access == Access::Len {
            // Before the tag: whoever revokes the region clears that first.
            code.local_get(locals.entry())
                .i64_load32_u(self.memory(READABLE))
                .local_set(locals.at());
        }
        self.emit_tag(code);
        match self.access {
            Access::Read(bytes) => {
                self.emit_check(code, bytes, READABLE);
                self.emit_address(code);
                self.emit_load(code, bytes);
            }
            Access::Write(bytes) => {
                self.emit_check(code, bytes, WRITABLE);
                self.emit_address(code);
                code.local_get(locals.value(bytes));
                self.emit_store(code, bytes);
            }
            Access::Len => self.emit_len(code),
        }
        code.br(1).end();
        self.emit_call(code);
        code.end();
    }

    fn memory(&self, offset: u64) -> MemArg {
        MemArg {
            offset,
            align: 0,
            target: MemArgTarget::Memory(self.plan.space),
            ordering: None,
        }
    }

    /// Finds the region's entry.
    fn emit_entry(&self, code: &mut InstructionSink<'_>) {
        let locals = self.locals;
        code.local_get(locals.pointer())
            .i64_const(28)
            .i64_shr_u()
            .i32_wrap_i64()
            .i32_const(0xf_fff0)
            .i32_and()
            .local_set(locals.entry());
    }

    /// Branches if the entry is another region's, or nobody's.
    fn emit_tag(&self, code: &mut InstructionSink<'_>) {
        let locals = self.locals;
        code.local_get(locals.entry())
            .i32_load(self.memory(0))
            .local_get(locals.pointer())
            .i64_const(32)
            .i64_shr_u()
            .i32_wrap_i64()
            .i32_ne()
            .br_if(0);
    }

    fn emit_pointer_offset(&self, code: &mut InstructionSink<'_>) {
        code.local_get(self.locals.pointer())
            .i64_const(0xffff_ffff)
            .i64_and();
    }

    /// Branches if not all bytes are within what the entry has at `word`.
    fn emit_check(&self, code: &mut InstructionSink<'_>, bytes: u32, word: u64) {
        let locals = self.locals;
        self.emit_pointer_offset(code);
        code.local_get(locals.offset())
            .i64_extend_i32_u()
            .i64_add()
            .local_tee(locals.at())
            .i64_const(bytes.into())
            .i64_add()
            .local_get(locals.entry())
            .i64_load32_u(self.memory(word))
            .i64_gt_u()
            .br_if(0);
    }

    fn emit_address(&self, code: &mut InstructionSink<'_>) {
        code.local_get(self.locals.entry())
            .i32_load(self.memory(BASE))
            .local_get(self.locals.at())
            .i32_wrap_i64()
            .i32_add();
    }

    fn emit_load(&self, code: &mut InstructionSink<'_>, bytes: u32) {
        match bytes {
            1 => code.i32_load8_u(self.memory(0)),
            2 => code.i32_load16_u(self.memory(0)),
            4 => code.i32_load(self.memory(0)),
            _ => code.i64_load(self.memory(0)),
        };
    }

    fn emit_store(&self, code: &mut InstructionSink<'_>, bytes: u32) {
        match bytes {
            1 => code.i32_store8(self.memory(0)),
            2 => code.i32_store16(self.memory(0)),
            4 => code.i32_store(self.memory(0)),
            _ => code.i64_store(self.memory(0)),
        };
    }

    fn emit_len(&self, code: &mut InstructionSink<'_>) {
        let locals = self.locals;
        self.emit_pointer_offset(code);
        code.local_get(locals.at())
            .i64_gt_u()
            .br_if(0)
            .local_get(locals.at());
        self.emit_pointer_offset(code);
        code.i64_sub();
    }

    /// Calls the function, which may end the guest, or use fuel if it is the embedder's.
    fn emit_call(&self, code: &mut InstructionSink<'_>) {
        let locals = self.locals;
        if let Some(fuel) = self.fuel {
            self.plan.emit_store_fuel(code, fuel);
        }
        code.local_get(locals.pointer());
        if self.access != Access::Len {
            code.local_get(locals.offset());
        }
        if let Access::Write(bytes) = self.access {
            code.local_get(locals.value(bytes));
        }
        code.call(self.function);
        if let Some(fuel) = self.fuel {
            self.plan.emit_load_fuel(code, fuel);
        }
    }
}
