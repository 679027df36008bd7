//! One function's code, with the checks in it.
//!
//! # Where the host's word is looked at
//!
//! On entry into each function, unless it is a tiny one that neither loops nor calls; and
//! wherever more than [`STRETCH`] would be done since the last look, or more than
//! [`TAIL`] since a call came back: a deep stack also comes to an end that does nothing
//! more than return. Loops count what they do in a local, which costs next to nothing
//! where a look at memory doubles a short loop's time, and look once it was [`PERIOD`].
//!
//! # What fuel counts
//!
//! Each call of a function, and each instruction that is executed, but for `block`,
//! `loop`, `else` and `end`; the helpers charge more for long work. What comes in a
//! straight line, with the calls in it, is charged together, before it begins. Whether any is left is
//! looked at where a function that calls others begins, and at the head of each loop.
//! The counter is in the host's memory. A function that loops has it in a local; in the
//! memory while something else runs: during calls, and after the function.
//!
//! An access to a region is one instruction, a call, whether it is inlined or not.
//!
//! # Where samples are taken
//!
//! For a profile, the host sets the word and wants to know where the guest is, which goes
//! on then. So what looks at the word calls the host and comes back, and looks are where
//! functions return as well: what the host learns of is what ran until then, not what
//! begins.
//!
//! # How the guest ends
//!
//! By a branch to the function's end, where the host is called: a call within a loop,
//! even one that is never made, costs the loop the registers that calls do not keep.

use super::access::{self, Access, Inlined, Locals};
use super::added::End;
use super::helpers::{Helper, Helpers};
use super::instruction::{self, Instruction, Instructions, Unknown};
use super::layout::Runs;
use super::plan::Plan;
use wasm_encoder::{BlockType, Encode, InstructionSink, ValType};

/// The most work between two looks at the host's word, in a straight line.
const STRETCH: i32 = 1024;
/// How much work loops do until they look at it.
const PERIOD: i32 = 4096;
/// The most work between the return of a call and the next look.
const TAIL: i32 = 32;
/// A function that does no more than this, and neither calls nor loops, does not
/// look at it.
const TINY: i32 = 8;
/// The most accesses that are inlined in a function: they make its code larger.
const MOST_INLINED: usize = 4096;

/// What its code has to know of a function's type.
#[derive(Clone, Copy)]
pub(super) struct Signature {
    pub(super) params: u32,
    /// The type of a block that gives the function's results.
    pub(super) results: BlockType,
}

/// A function's body, as it is in the guest's module.
pub(super) struct Body<'a> {
    /// From its declarations of locals on.
    pub(super) bytes: &'a [u8],
    /// Where it is in the module.
    pub(super) start: usize,
    /// How many declarations of locals it has, and of how many locals.
    pub(super) local_entries: u32,
    pub(super) locals: u32,
    /// Where they end in `bytes`.
    pub(super) locals_end: usize,
    /// Whether it loops, as far as its text says.
    pub(super) loops: bool,
}

/// A function's code: as it is in the code section, after its length.
pub(super) struct Code {
    pub(super) bytes: Vec<u8>,
    pub(super) runs: Runs,
    /// Whether it calls a function whose calls are inlined elsewhere.
    pub(super) calls_accesses: bool,
}

/// Writes the checks into a function's code.
pub(super) fn rewrite(
    plan: &Plan,
    helpers: &Helpers,
    signature: Signature,
    body: &Body<'_>,
) -> Result<Code, Unknown> {
    let Body {
        bytes,
        start,
        locals_end,
        ..
    } = *body;
    let loops = plan.checks.any() && body.loops;
    let first = signature.params + body.locals;
    let fuel = (plan.checks.fuel && loops).then_some(first);
    let work = first + u32::from(fuel.is_some());
    let mut writer = Writer {
        plan,
        helpers,
        source: bytes,
        copied: locals_end,
        out: Vec::with_capacity(bytes.len() * 3 / 2),
        runs: Runs::default(),
        fuel,
        work: (plan.checks.interrupt && loops).then_some(work),
        locals: Locals(work + u32::from(plan.checks.interrupt && loops)),
        inlined: Vec::new(),
        calls_accesses: false,
        frames: vec![Frame::new(STRETCH, true)],
        live: true,
        budget: STRETCH,
        // The call itself.
        pending: 1,
        charge: None,
        weight: 0,
        looks: false,
        stops: false,
    };
    let mut instructions = Instructions::new(bytes, locals_end);
    while !writer.frames.is_empty() {
        let (instruction, at, end) = instructions.read()?;
        writer.instruction(instruction, at, end);
    }
    let mut code = writer.finish(signature, body.local_entries, &bytes[..locals_end]);
    code.runs.shift_source(start);
    Ok(code)
}

/// A block, and what is known where it ends.
struct Frame {
    /// What was left of the stretch when it began.
    start: i32,
    /// The least that is left where a branch comes to its end.
    end: i32,
    /// Whether the code around it can be reached.
    live: bool,
    is_if: bool,
    is_loop: bool,
}

impl Frame {
    fn new(start: i32, live: bool) -> Self {
        Self {
            start,
            end: i32::MAX,
            live,
            is_if: false,
            is_loop: false,
        }
    }
}

struct Writer<'a> {
    plan: &'a Plan,
    helpers: &'a Helpers,
    source: &'a [u8],
    /// How much of the source is in `out`.
    copied: usize,
    out: Vec<u8>,
    runs: Runs,
    /// The local with the fuel, if it is in one.
    fuel: Option<u32>,
    /// The local with what loops may do until the next look.
    work: Option<u32>,
    /// The locals of inlined accesses, which are there if there is one.
    locals: Locals,
    /// The accesses that were inlined, and where the calls were.
    inlined: Vec<(Inlined, usize)>,
    /// Whether one was not.
    calls_accesses: bool,
    frames: Vec<Frame>,
    /// Whether the instruction can be reached.
    live: bool,
    /// How much may be done until the next look.
    budget: i32,
    /// What the straight line costs, as far as it was read.
    pending: i64,
    /// Where in `out` it is charged: before its beginning.
    charge: Option<usize>,
    /// Of all instructions together, as far as `TINY` asks.
    weight: i32,
    /// Whether it loops or calls.
    looks: bool,
    /// Whether something branches to where the guest is ended.
    stops: bool,
}

impl Writer<'_> {
    fn instruction(&mut self, instruction: Instruction, at: usize, end: usize) {
        use Instruction as I;
        if self.live {
            self.weigh(instruction, at);
        }
        match instruction {
            I::Other(_) => {}
            I::Memory(argument) if self.plan.memory != 0 => self.move_argument(argument, at, end),
            I::MemorySize | I::MemoryGrow if self.plan.memory != 0 => {
                self.replace(at, end);
                self.out.push(self.source[at]);
                self.plan.memory.encode(&mut self.out);
            }
            I::Memory(_) | I::MemorySize | I::MemoryGrow => {}
            I::Block => self.begin(false),
            I::Loop { typed } => self.enter_loop(typed, at, end),
            I::If => {
                self.charge(at);
                self.begin(true);
            }
            I::Else => {
                self.charge(at);
                self.otherwise();
            }
            I::End => {
                self.charge(at);
                self.end(at);
            }
            I::Br(depth) => {
                self.charge(at);
                self.branch(at, [depth]);
                self.live = false;
            }
            I::BrIf(depth) => {
                self.charge(at);
                self.branch(at, [depth]);
            }
            I::BrTable => {
                self.charge(at);
                self.branch(at, instruction::depths(&self.source[at..end]));
                self.live = false;
            }
            I::Return => {
                self.charge(at);
                self.settle(at);
                self.look_before_return(at);
                self.live = false;
            }
            I::Unreachable => {
                self.charge(at);
                self.settle(at);
                self.replace(at, end);
                let mut code = InstructionSink::new(&mut self.out);
                self.plan.emit_end(&mut code, End::Unreachable);
                code.unreachable();
                self.live = false;
            }
            I::Call(function) => self.call(function, at, end),
            I::CallIndirect => {
                self.settle(at);
                self.copy(end);
                self.called();
            }
            I::RefFunc(function) => {
                self.replace(at, end);
                let function = self.plan.function(function);
                InstructionSink::new(&mut self.out).ref_func(function);
            }
            I::DataDrop(data) => {
                self.copy(end);
                self.note_drop(self.helpers.data_dropped(data), end);
            }
            I::ElemDrop(elements) => {
                self.copy(end);
                self.note_drop(self.helpers.elements_dropped(elements), end);
            }
            I::Helped(helper) => {
                self.settle(at);
                self.replace(at, end);
                let function = self.helpers.function(helper);
                InstructionSink::new(&mut self.out).call(function);
                self.reload();
            }
        }
    }

    fn enter_loop(&mut self, typed: bool, at: usize, end: usize) {
        self.charge(at);
        self.count(at);
        self.begin(false);
        let frame = self.frames.last_mut().expect("just begun");
        frame.is_loop = true;
        if self.live {
            frame.start = STRETCH;
            self.budget = STRETCH;
            self.looks = true;
            self.copy(end);
            self.head_of_loop(end, typed);
        }
    }

    fn call(&mut self, function: u32, at: usize, end: usize) {
        if let Some(access) = self.access(function) {
            self.replace(at, end);
            return self.inline(access, function, at);
        }
        self.calls_accesses |= self.live && self.plan.access(function).is_some();
        self.settle(at);
        self.replace(at, end);
        let function = self.plan.function(function);
        InstructionSink::new(&mut self.out).call(function);
        self.called();
    }

    /// Sets the global that says that a segment was dropped.
    fn note_drop(&mut self, flag: u32, at: usize) {
        self.runs.written(self.out.len(), at);
        InstructionSink::new(&mut self.out)
            .i32_const(1)
            .global_set(flag);
    }

    fn weigh(&mut self, instruction: Instruction, at: usize) {
        use Instruction as I;
        if !matches!(instruction, I::Block | I::Loop { .. } | I::Else | I::End) {
            self.begin_charge(at);
            self.pending += 1;
        }
        let weight = match instruction {
            I::Call(function) if self.access(function).is_some() => access::WEIGHT,
            _ => weight(instruction),
        };
        self.weight = self.weight.saturating_add(weight);
        self.budget -= weight;
        if self.budget < 0 {
            self.copy(at);
            self.look(at);
            self.budget -= weight;
        }
    }

    /// What is inlined in place of a call, if it can be reached and there is room.
    fn access(&self, function: u32) -> Option<Access> {
        let room = self.inlined.len() < MOST_INLINED && self.locals.fit();
        self.plan.access(function).filter(|_| self.live && room)
    }

    /// Writes an access in place of a call of the imported function.
    fn inline(&mut self, access: Access, function: u32, at: usize) {
        let inlined = Inlined {
            access,
            function,
            which: self.inlined.len() as u32,
            space: self.plan.space,
            locals: self.locals,
        };
        self.inlined.push((inlined, at));
        // Around the block where the guest is ended.
        let depth = self.frames.len() as u32 + 1;
        inlined.emit(depth, &mut InstructionSink::new(&mut self.out));
    }

    fn begin(&mut self, is_if: bool) {
        self.frames.push(Frame {
            is_if,
            ..Frame::new(self.budget, self.live)
        });
    }

    fn otherwise(&mut self) {
        let frame = self.frames.last_mut().expect("an if");
        if self.live {
            frame.end = frame.end.min(self.budget);
        }
        frame.is_if = false;
        self.budget = frame.start;
        self.live = frame.live;
    }

    fn end(&mut self, at: usize) {
        let frame = self.frames.pop().expect("a block");
        if self.frames.is_empty() {
            // The function's own, which `finish` writes.
            return self.copy(at);
        }
        let mut left = frame.end;
        if self.live {
            left = left.min(self.budget);
        }
        if frame.is_if || left == i32::MAX {
            left = left.min(frame.start);
        }
        self.budget = left;
        self.live = frame.live;
    }

    /// A branch, before it, to the blocks at these depths.
    fn branch(&mut self, at: usize, depths: impl IntoIterator<Item = u32>) {
        if !self.live {
            return;
        }
        let mut again = false;
        for depth in depths {
            let index = self.frames.len() - 1 - depth as usize;
            let frame = &mut self.frames[index];
            again |= frame.is_loop;
            if !frame.is_loop {
                frame.end = frame.end.min(self.budget);
            }
        }
        if again {
            self.count(at);
        }
    }

    /// Copies the source up to `at`.
    fn copy(&mut self, at: usize) {
        if self.copied < at {
            self.runs.copied(self.out.len(), self.copied);
            self.out.extend_from_slice(&self.source[self.copied..at]);
            self.copied = at;
        }
    }

    /// Copies the source up to `at`; what is written next stands for what comes
    /// there, up to `end`.
    fn replace(&mut self, at: usize, end: usize) {
        self.copy(at);
        self.runs.written(self.out.len(), at);
        self.copied = end;
    }

    /// Looks at the host's word.
    fn look(&mut self, at: usize) {
        self.budget = STRETCH;
        self.looks = true;
        if self.plan.checks.interrupt {
            self.runs.written(self.out.len(), at);
            let depth = self.frames.len() as u32;
            let mut code = InstructionSink::new(&mut self.out);
            self.stops |= !self.plan.checks.samples;
            self.plan.emit_stop(&mut code, self.fuel, depth);
        }
    }

    /// Looks at the host's word for a sample of this function, unless that is a tiny one.
    fn look_before_return(&mut self, at: usize) {
        if self.live && self.plan.checks.samples && self.is_looking() {
            self.copy(at);
            self.runs.written(self.out.len(), at);
            let mut code = InstructionSink::new(&mut self.out);
            self.plan.emit_look(&mut code);
        }
    }

    /// Whether it is not a tiny function, as far as it was read.
    fn is_looking(&self) -> bool {
        self.plan.checks.interrupt && (self.looks || self.weight > TINY)
    }

    /// Counts what was done since the last look as the work of a loop.
    fn count(&mut self, at: usize) {
        let done = STRETCH - self.budget;
        let Some(work) = self.work.filter(|_| self.live && done > 0) else {
            return;
        };
        self.copy(at);
        self.runs.written(self.out.len(), at);
        InstructionSink::new(&mut self.out)
            .local_get(work)
            .i32_const(done)
            .i32_sub()
            .local_set(work);
    }

    /// Looks at the host's word if the loops have done enough, and at the fuel.
    fn head_of_loop(&mut self, at: usize, has_params: bool) {
        let depth = self.frames.len() as u32;
        let begins = self.out.len();
        let mut code = InstructionSink::new(&mut self.out);
        if let Some(work) = self.work {
            code.local_get(work)
                .i32_const(0)
                .i32_lt_s()
                .if_(BlockType::Empty);
            self.plan
                .emit_stop_in_loop(&mut code, work, self.fuel, depth + 1);
            code.i32_const(PERIOD).local_set(work);
            if !has_params {
                // From the head on again: one place less where control comes together.
                code.br(1);
            }
            code.end();
        }
        if let Some(fuel) = self.fuel {
            code.local_get(fuel).i64_const(0).i64_lt_s().br_if(depth);
        }
        if self.out.len() > begins {
            self.stops |= !self.plan.checks.samples || self.fuel.is_some();
            self.runs.written(begins, at);
        }
    }

    /// Charges the straight line that begins at `at`, or goes on there: how much, is known
    /// at its end.
    fn begin_charge(&mut self, at: usize) {
        if self.charge.is_some() || !self.plan.checks.fuel {
            return;
        }
        self.copy(at);
        self.runs.written(self.out.len(), at);
        let mut code = InstructionSink::new(&mut self.out);
        match self.fuel {
            Some(fuel) => code.local_get(fuel),
            None => {
                code.i32_const(0);
                self.plan.emit_fuel(&mut code);
                &mut code
            }
        };
        const I64_CONST: u8 = 0x42;
        self.out.push(I64_CONST);
        self.charge = Some(self.out.len());
        self.out.extend(padded(0));
        let mut code = InstructionSink::new(&mut self.out);
        code.i64_sub();
        match self.fuel {
            Some(fuel) => {
                code.local_set(fuel);
            }
            None => self.plan.emit_store(&mut code),
        }
    }

    /// The straight line ends before the instruction at `at`.
    fn charge(&mut self, at: usize) {
        if self.pending != 0 && self.live {
            self.begin_charge(at);
        }
        if let Some(charge) = self.charge.take() {
            let amount = padded(self.pending);
            self.out[charge..charge + amount.len()].copy_from_slice(&amount);
        }
        self.pending = 0;
    }

    /// Has the host's memory know what was charged.
    fn settle(&mut self, at: usize) {
        if let Some(fuel) = self.fuel.filter(|_| self.live) {
            self.copy(at);
            self.runs.written(self.out.len(), at);
            let mut code = InstructionSink::new(&mut self.out);
            self.plan.emit_store_fuel(&mut code, fuel);
        }
    }

    fn called(&mut self) {
        self.looks = true;
        self.budget = (self.budget - TINY).min(TAIL);
        self.reload();
    }

    fn reload(&mut self) {
        if let Some(fuel) = self.fuel.filter(|_| self.live) {
            let mut code = InstructionSink::new(&mut self.out);
            self.plan.emit_load_fuel(&mut code, fuel);
        }
    }

    /// A load or a store, with the memory's index in its argument.
    fn move_argument(&mut self, argument: usize, at: usize, end: usize) {
        self.replace(at, end);
        let bytes = &self.source[at..end];
        self.out.extend_from_slice(&bytes[..argument]);
        let (flags, len) = instruction::unsigned(&bytes[argument..]);
        const HAS_INDEX: u32 = 0x40;
        (flags | HAS_INDEX).encode(&mut self.out);
        self.plan.memory.encode(&mut self.out);
        self.out.extend_from_slice(&bytes[argument + len..]);
    }

    fn finish(self, signature: Signature, entries: u32, locals: &[u8]) -> Code {
        let plan = self.plan;
        let looks = self.is_looking();
        let samples = looks && plan.checks.samples;
        let looks_at_fuel = plan.checks.fuel && self.looks;
        let accesses = !self.inlined.is_empty();
        let stops = self.stops || looks && !samples || looks_at_fuel || accesses;
        let mut bytes = Vec::with_capacity(self.out.len() + 64);
        let mut added = Vec::new();
        added.extend(self.fuel.map(|_| ValType::I64));
        added.extend(self.work.map(|_| ValType::I32));
        if accesses {
            added.extend(Locals::TYPES);
        }
        let (_, count_len) = instruction::unsigned(locals);
        (entries + added.len() as u32).encode(&mut bytes);
        bytes.extend_from_slice(&locals[count_len..]);
        for ty in added {
            1u32.encode(&mut bytes);
            ty.encode(&mut bytes);
        }
        let mut runs = Runs::default();
        runs.written(bytes.len(), locals.len());
        let mut code = InstructionSink::new(&mut bytes);
        if accesses {
            code.block(BlockType::Empty);
        }
        if stops {
            code.block(BlockType::Empty);
        }
        if samples {
            plan.emit_call(&mut code, None, End::Entered);
        } else if looks {
            plan.emit_word(&mut code);
            code.br_if(0);
        }
        if let Some(work) = self.work {
            code.i32_const(PERIOD).local_set(work);
        }
        if let Some(fuel) = self.fuel {
            plan.emit_load_fuel(&mut code, fuel);
        }
        if looks_at_fuel {
            match self.fuel {
                Some(fuel) => {
                    code.local_get(fuel);
                }
                None => plan.emit_fuel(&mut code),
            }
            code.i64_const(0).i64_lt_s().br_if(0);
        }
        // A branch out of the function comes to the end of this block.
        let wrapped = stops || samples || self.fuel.is_some();
        if wrapped {
            code.block(signature.results);
        }
        runs.append(bytes.len(), &self.runs);
        bytes.extend_from_slice(&self.out);
        runs.written(bytes.len(), self.copied);
        let mut code = InstructionSink::new(&mut bytes);
        if wrapped {
            code.end();
        }
        if let Some(fuel) = self.fuel {
            plan.emit_store_fuel(&mut code, fuel);
        }
        if samples {
            plan.emit_look(&mut code);
        }
        if stops {
            code.return_().end();
            if let Some(fuel) = self.fuel {
                plan.emit_store_fuel(&mut code, fuel);
            }
            plan.emit_end(&mut code, End::Stopped);
            code.unreachable();
        }
        if accesses {
            code.end();
            self.refuse(&mut bytes, &mut runs);
        }
        InstructionSink::new(&mut bytes).end();
        Code {
            bytes,
            runs,
            calls_accesses: self.calls_accesses,
        }
    }

    /// Ends the guest because of an access that did not pass.
    fn refuse(&self, bytes: &mut Vec<u8>, runs: &mut Runs) {
        if let Some(fuel) = self.fuel {
            let mut code = InstructionSink::new(bytes);
            self.plan.emit_store_fuel(&mut code, fuel);
        }
        for (inlined, at) in &self.inlined {
            runs.written(bytes.len(), *at);
            inlined.emit_call(&mut InstructionSink::new(bytes));
        }
        let mut code = InstructionSink::new(bytes);
        self.plan.emit_end(&mut code, End::Unreachable);
        code.unreachable();
    }
}

/// About how long an instruction may take.
fn weight(instruction: Instruction) -> i32 {
    use Instruction as I;
    match instruction {
        I::Other(weight) => weight,
        I::Block | I::Loop { .. } | I::Else | I::End => 0,
        // The first access to a page has the system make it.
        I::Memory(_) => 4,
        I::MemorySize => 16,
        I::MemoryGrow => STRETCH,
        I::DataDrop(_) | I::ElemDrop(_) | I::RefFunc(_) => 64,
        // They look at the word themselves when it is more than this.
        I::Helped(helper) => match helper {
            Helper::MemoryCopy | Helper::MemoryFill | Helper::MemoryInit(_) => 64,
            Helper::TableGet(_) | Helper::TableSet(_) => 16,
            Helper::TableGrow(_) => STRETCH,
            _ => 256,
        },
        _ => 1,
    }
}

/// A signed LEB128 number of always as many bytes. It is below 2^34.
fn padded(number: i64) -> [u8; 5] {
    let group = |index: u32| (number >> (7 * index)) as u8 & 0x7f;
    [
        group(0) | 0x80,
        group(1) | 0x80,
        group(2) | 0x80,
        group(3) | 0x80,
        group(4),
    ]
}
