//! What the code of all functions has in common: where things are, and the checks.

use super::access::Access;
use super::added::End;
use super::checks::Checks;
use crate::sys::Words;
use wasm_encoder::{BlockType, InstructionSink, MemArg, MemArgTarget};

/// Which checks are written, and what they use.
pub(super) struct Plan {
    pub(super) checks: Checks,
    /// How many functions the guest imports.
    pub(super) function_imports: u32,
    /// The guest's memory, where it is now.
    pub(super) memory: u32,
    /// The memory with the host's words.
    pub(super) words: u32,
    /// The memory that is the region space.
    pub(super) space: u32,
    /// By the index of an imported function: whether calls of it are inlined. Empty if
    /// none are.
    pub(super) accesses: Vec<Option<Access>>,
}

impl Plan {
    /// The function that ends the guest: after the guest's imports.
    pub(super) fn end(&self) -> u32 {
        self.function_imports
    }

    /// A function of the guest's, where it is now.
    pub(super) fn function(&self, index: u32) -> u32 {
        index + u32::from(index >= self.function_imports)
    }

    /// What is inlined in place of calls of a function of the guest's.
    pub(super) fn access(&self, function: u32) -> Option<Access> {
        *self.accesses.get(function as usize)?
    }

    fn word(&self, offset: u64, align: u32) -> MemArg {
        MemArg {
            offset,
            align,
            target: MemArgTarget::Memory(self.words),
            ordering: None,
        }
    }

    /// Ends the guest.
    pub(super) fn emit_end(&self, code: &mut InstructionSink<'_>, end: End) {
        code.i32_const(end.code()).call(self.end());
    }

    /// Ends the guest if the host wants that.
    pub(super) fn emit_look(&self, code: &mut InstructionSink<'_>) {
        self.emit_call(code, None, End::Stopped);
    }

    /// The same, with what the host has to know: the local that the fuel is in, if it is in
    /// one, and where the guest is.
    pub(super) fn emit_call(&self, code: &mut InstructionSink<'_>, fuel: Option<u32>, end: End) {
        self.emit_word(code);
        code.if_(BlockType::Empty);
        if let Some(fuel) = fuel {
            self.emit_store_fuel(code, fuel);
        }
        self.emit_end(code, end);
        if !self.checks.samples {
            code.unreachable();
        }
        code.end();
    }

    /// Has the guest leave by the block at `depth`, where it is ended, if the host wants
    /// that; one that is sampled calls the host right here.
    pub(super) fn emit_stop(&self, code: &mut InstructionSink<'_>, fuel: Option<u32>, depth: u32) {
        if self.checks.samples {
            return self.emit_call(code, fuel, End::Stopped);
        }
        self.emit_word(code);
        code.br_if(depth);
    }

    /// The same in a loop, where the local `work` is negative. Its sign is in the address,
    /// which the compiler takes for another one in each turn: so it loads again, as it
    /// does for an atomic load, but may go on to use what it loaded of the guest's own
    /// memory's whereabouts.
    pub(super) fn emit_stop_in_loop(
        &self,
        code: &mut InstructionSink<'_>,
        work: u32,
        fuel: Option<u32>,
        depth: u32,
    ) {
        if self.checks.samples {
            return self.emit_call(code, fuel, End::Stopped);
        }
        code.local_get(work)
            .i32_const(31)
            .i32_shr_u()
            .i32_load(self.word(Words::INTERRUPT - 1, 0))
            .br_if(depth);
    }

    /// Pushes the host's word: not 0 if the guest is to end. The load is an atomic one: the
    /// compiler may not take an earlier load's value for it, as it may for a plain one in a
    /// loop that stores nothing.
    pub(super) fn emit_word(&self, code: &mut InstructionSink<'_>) {
        code.i32_const(0)
            .i32_atomic_load(self.word(Words::INTERRUPT, 2));
    }

    /// Pushes the fuel that the host knows of.
    pub(super) fn emit_fuel(&self, code: &mut InstructionSink<'_>) {
        code.i32_const(0).i64_load(self.word(Words::FUEL, 3));
    }

    /// Stores the fuel that is on the stack, above the address.
    pub(super) fn emit_store(&self, code: &mut InstructionSink<'_>) {
        code.i64_store(self.word(Words::FUEL, 3));
    }

    pub(super) fn emit_load_fuel(&self, code: &mut InstructionSink<'_>, local: u32) {
        self.emit_fuel(code);
        code.local_set(local);
    }

    pub(super) fn emit_store_fuel(&self, code: &mut InstructionSink<'_>, local: u32) {
        code.i32_const(0)
            .local_get(local)
            .i64_store(self.word(Words::FUEL, 3));
    }

    /// Ends the guest if no fuel is left.
    pub(super) fn emit_look_at_fuel(&self, code: &mut InstructionSink<'_>, local: u32) {
        code.local_get(local)
            .i64_const(0)
            .i64_lt_s()
            .if_(BlockType::Empty);
        self.emit_store_fuel(code, local);
        self.emit_end(code, End::Stopped);
        code.unreachable().end();
    }
}
