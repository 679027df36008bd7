//! Checked access to the region space, in the guest's own code.
//!
//! In place of a call of one of the functions that read and write regions, the check and
//! the access are written as `engine/carried/access.wat` has them, which describes the
//! table of regions. Before the guest runs, all that it was granted is entered there. So
//! what does not pass is wrong: then the code branches to the function's end, where the
//! function is called after all, which says what was wrong and ends the guest. A call that
//! could come back would cost a loop registers.
//!
//! Revoking a region from another thread leaves no hole: it clears the entry, and then
//! unmaps the bytes, and the addresses where they were go to no other region before the
//! guest calls the host or returns. So code that has seen the entry, however long ago
//! since then, finds the region or nothing: then it traps. The compiler may keep what it
//! loaded of an entry, but not over a call.

use crate::abi::{self, Source};
use wasm_encoder::{BlockType, InstructionSink, MemArg, MemArgTarget, ValType};
use wasmparser::FuncType;

/// A function whose calls are inlined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// `(pointer, offset) -> value` of so many bytes.
    Read(u32),
    /// `(pointer, offset, value)` of so many bytes.
    Write(u32),
    /// `(pointer) -> len`
    Len,
}

/// About how long it takes, as [`super::body`] weighs instructions.
pub(super) const WEIGHT: i32 = 8;

/// Where an entry in the table of regions has what. The tag is at its beginning, and where
/// the bytes begin next to it.
const READABLE: u64 = 8;
const WRITABLE: u64 = 12;
/// Where the table has the regions' lengths, a quarter as long as the entries.
const LENGTHS: u64 = 0x10_0000;

impl Access {
    /// The one of this name.
    pub(crate) fn named(module: &str, name: &str) -> Option<Self> {
        let function = abi::function(module, name)?;
        if function.source != Source::Access {
            return None;
        }
        Some(match name {
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
        })
    }

    /// The one that a guest imports under this name and with this type.
    pub(super) fn of(module: &str, name: &str, ty: &FuncType) -> Option<Self> {
        Self::named(module, name).filter(|access| access.has_type(ty))
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
}

/// The locals that inlined code uses, from the first on. It sets them before it reads
/// them, so all inlined code of a function has the same.
#[derive(Clone, Copy)]
pub(super) struct Locals(pub(super) u32);

impl Locals {
    pub(super) const TYPES: [ValType; 8] = [
        ValType::I64,
        ValType::I64,
        ValType::I64,
        ValType::I64,
        ValType::I32,
        ValType::I32,
        ValType::I32,
        ValType::I32,
    ];

    /// Whether a function can have them.
    pub(super) fn fit(self) -> bool {
        // The engine validates what the pass made, with the limit that all engines have.
        const MOST_LOCALS: u32 = 50_000;
        self.0 + Self::TYPES.len() as u32 <= MOST_LOCALS
    }

    fn pointer(self) -> u32 {
        self.0
    }

    /// The offset in the region: pointer and offset together.
    fn at(self) -> u32 {
        self.0 + 1
    }

    /// The entry's tag, and above it where the region's bytes begin.
    fn tag_and_base(self) -> u32 {
        self.0 + 2
    }

    fn offset(self) -> u32 {
        self.0 + 4
    }

    /// Where the entry is.
    fn entry(self) -> u32 {
        self.0 + 5
    }

    /// What is written, of so many bytes.
    fn value(self, bytes: u32) -> u32 {
        self.0 + if bytes == 8 { 3 } else { 6 }
    }

    /// Which of the function's accesses did not pass. It is 0 until one does not.
    fn which(self) -> u32 {
        self.0 + 7
    }
}

/// A call that is inlined.
#[derive(Clone, Copy)]
pub(super) struct Inlined {
    pub(super) access: Access,
    /// The imported function.
    pub(super) function: u32,
    /// Its number among those of the function that it is in.
    pub(super) which: u32,
    /// The memory that is the region space.
    pub(super) space: u32,
    pub(super) locals: Locals,
}

impl Inlined {
    /// Writes it. The arguments are on the stack, and its result is afterwards. Branches
    /// to the block at `depth` if it does not pass.
    pub(super) fn emit(&self, depth: u32, code: &mut InstructionSink<'_>) {
        let locals = self.locals;
        match self.access {
            Access::Read(_) => code.local_set(locals.offset()),
            Access::Write(bytes) => code
                .local_set(locals.value(bytes))
                .local_set(locals.offset()),
            Access::Len => code,
        };
        code.local_set(locals.pointer());
        self.emit_entry(code);
        match self.access {
            Access::Read(bytes) => {
                self.emit_check(depth, code, bytes, READABLE);
                self.emit_address(code);
                self.emit_load(code, bytes);
            }
            Access::Write(bytes) => {
                self.emit_check(depth, code, bytes, WRITABLE);
                self.emit_address(code);
                code.local_get(locals.value(bytes));
                self.emit_store(code, bytes);
            }
            Access::Len => self.emit_len(depth, code),
        }
    }

    /// Calls the function if this is what did not pass: it says why, and ends the guest.
    pub(super) fn emit_call(&self, code: &mut InstructionSink<'_>) {
        let locals = self.locals;
        code.local_get(locals.which())
            .i32_const(self.which as i32)
            .i32_eq()
            .if_(BlockType::Empty)
            .local_get(locals.pointer());
        if self.access != Access::Len {
            code.local_get(locals.offset());
        }
        if let Access::Write(bytes) = self.access {
            code.local_get(locals.value(bytes));
        }
        code.call(self.function);
        if !matches!(self.access, Access::Write(_)) {
            code.drop();
        }
        code.end();
    }

    fn memory(&self, offset: u64) -> MemArg {
        MemArg {
            offset,
            align: 0,
            target: MemArgTarget::Memory(self.space),
            ordering: None,
        }
    }

    /// Branches if the condition on the stack holds.
    fn emit_branch(&self, depth: u32, code: &mut InstructionSink<'_>) {
        match self.which {
            0 => code.br_if(depth),
            which => code
                .if_(BlockType::Empty)
                .i32_const(which as i32)
                .local_set(self.locals.which())
                .br(depth + 1)
                .end(),
        };
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
    fn emit_tag(&self, depth: u32, code: &mut InstructionSink<'_>) {
        let locals = self.locals;
        code.local_get(locals.entry())
            .i64_load(self.memory(0))
            .local_tee(locals.tag_and_base())
            .i32_wrap_i64()
            .local_get(locals.pointer())
            .i64_const(32)
            .i64_shr_u()
            .i32_wrap_i64()
            .i32_ne();
        self.emit_branch(depth, code);
    }

    fn emit_pointer_offset(&self, code: &mut InstructionSink<'_>) {
        code.local_get(self.locals.pointer())
            .i64_const(0xffff_ffff)
            .i64_and();
    }

    /// Branches if the entry is not the region's, or not all bytes are within what it has
    /// at `word`.
    fn emit_check(&self, depth: u32, code: &mut InstructionSink<'_>, bytes: u32, word: u64) {
        let locals = self.locals;
        self.emit_tag(depth, code);
        self.emit_pointer_offset(code);
        code.local_get(locals.offset())
            .i64_extend_i32_u()
            .i64_add()
            .local_tee(locals.at())
            .i64_const(bytes.into())
            .i64_add()
            .local_get(locals.entry())
            .i64_load32_u(self.memory(word))
            .i64_gt_u();
        self.emit_branch(depth, code);
    }

    fn emit_address(&self, code: &mut InstructionSink<'_>) {
        code.local_get(self.locals.tag_and_base())
            .i64_const(32)
            .i64_shr_u()
            .local_get(self.locals.at())
            .i64_add()
            .i32_wrap_i64();
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

    fn emit_len(&self, depth: u32, code: &mut InstructionSink<'_>) {
        let locals = self.locals;
        // Before the tag: whoever revokes the region clears that first.
        code.local_get(locals.entry())
            .i32_const(2)
            .i32_shr_u()
            .i64_load32_u(self.memory(LENGTHS))
            .local_set(locals.at());
        self.emit_tag(depth, code);
        self.emit_pointer_offset(code);
        code.local_get(locals.at()).i64_gt_u();
        self.emit_branch(depth, code);
        code.local_get(locals.at());
        self.emit_pointer_offset(code);
        code.i64_sub();
    }
}
