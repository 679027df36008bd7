//! Functions in place of instructions that the engine does in its own code, which
//! runs on the guest's stack there, without a check for long.
//!
//! They find out first whether the instruction would trap, and end the guest
//! through the host's function then: the engine would take a backtrace right
//! there, and where the stack ends meanwhile, a lock would stay held. They do long
//! work in pieces, and look at the host's word between them. Those that would leave
//! the engine's bookkeeping in disorder if the stack ended meanwhile make sure first
//! that there is room.

use super::added::End;
use super::plan::Plan;
use std::collections::HashMap;
use std::hash::Hash;
use wasm_encoder::{BlockType, Function, HeapType, InstructionSink, RefType, ValType};

/// How many bytes are done without a look at the host's word.
const BYTES: i32 = 128 << 10;
/// How many elements of a table.
const ELEMENTS: i32 = 8 << 10;
/// How many bytes and elements are done without a look at all.
const FEW_BYTES: i32 = 4 << 10;
const FEW_ELEMENTS: i32 = 256;
/// For how many bytes that are copied or filled, by the guest or for it, one unit of
/// fuel is charged: a power of two.
pub(crate) const BYTES_OF_FUEL: u32 = 16;

/// A function that the pass adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Helper {
    /// `(to, byte, len)`
    MemoryFill,
    /// `(to, from, len)`
    MemoryCopy,
    /// `(to, from, len)`, of a data segment.
    MemoryInit(u32),
    /// `(index) -> element`
    TableGet(u32),
    /// `(index, element)`
    TableSet(u32),
    /// `(element, len) -> old size`
    TableGrow(u32),
    /// `(to, element, len)`
    TableFill(u32),
    /// `(to, from, len)`
    TableCopy { to: u32, from: u32 },
    /// `(to, from, len)`, of an element segment.
    TableInit { table: u32, elements: u32 },
    /// `(times)`: ends in a stack overflow if the stack has not this much room.
    Headroom,
    /// As many parameters as a function may have.
    Wide,
}

/// What the helpers have to know of the guest's module.
#[derive(Default)]
pub(super) struct Facts {
    /// The tables' types.
    pub(super) tables: Vec<wasmparser::TableType>,
    /// Which tables are made one element larger than the guest can make them.
    pub(super) widened: Vec<bool>,
    /// How many bytes each data segment has for `memory.init`.
    pub(super) data: Vec<u32>,
    /// How many elements each element segment has for `table.init`.
    pub(super) elements: Vec<u32>,
}

/// The helpers that a module needs.
pub(super) struct Helpers {
    facts: Facts,
    first_function: u32,
    wanted: Numbered<Helper>,
    first_global: u32,
    /// The segments that the guest drops; the global says whether it has.
    dropped: Numbered<Segment>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Segment {
    Data(u32),
    Elements(u32),
}

/// The type of a helper's parameters and results.
pub(super) struct Type {
    pub(super) params: Vec<ValType>,
    pub(super) results: Vec<ValType>,
}

impl Helpers {
    pub(super) fn new(facts: Facts, first_function: u32, first_global: u32) -> Self {
        Self {
            facts,
            first_function,
            wanted: Numbered::default(),
            first_global,
            dropped: Numbered::default(),
        }
    }

    /// Has this function. All that the module's code needs is wanted before it is written.
    pub(super) fn want(&mut self, helper: Helper) {
        self.wanted.number(helper);
    }

    /// Has a global for a data segment that is dropped.
    pub(super) fn want_data_dropped(&mut self, data: u32) {
        self.dropped.number(Segment::Data(data));
    }

    /// Has a global for an element segment that is dropped.
    pub(super) fn want_elements_dropped(&mut self, elements: u32) {
        self.dropped.number(Segment::Elements(elements));
    }

    /// The function's index.
    pub(super) fn function(&self, helper: Helper) -> u32 {
        self.first_function + self.wanted.found(helper).expect("it is wanted")
    }

    /// The global that is not 0 once the data segment was dropped.
    pub(super) fn data_dropped(&self, data: u32) -> u32 {
        let number = self.dropped.found(Segment::Data(data));
        self.first_global + number.expect("it is wanted")
    }

    /// The global that is not 0 once the element segment was dropped.
    pub(super) fn elements_dropped(&self, elements: u32) -> u32 {
        let number = self.dropped.found(Segment::Elements(elements));
        self.first_global + number.expect("it is wanted")
    }

    /// How many globals there are, of type `i32` and 0 at first.
    pub(super) fn globals(&self) -> usize {
        self.dropped.list.len()
    }

    /// The functions, in the order of their indices.
    pub(super) fn functions(&mut self, plan: &Plan) -> Vec<(Type, Function)> {
        let mut functions = Vec::new();
        // Writing one may ask for another.
        while let Some(helper) = self.wanted.list.get(functions.len()).copied() {
            let ty = self.ty(helper);
            let function = self.write(plan, helper, &ty);
            functions.push((ty, function));
        }
        functions
    }

    fn ty(&self, helper: Helper) -> Type {
        use ValType::I32;
        let (params, results) = match helper {
            Helper::MemoryFill
            | Helper::MemoryCopy
            | Helper::MemoryInit(_)
            | Helper::TableCopy { .. }
            | Helper::TableInit { .. } => (vec![I32; 3], vec![]),
            Helper::TableGet(table) => (vec![I32], vec![self.element(table)]),
            Helper::TableSet(table) => (vec![I32, self.element(table)], vec![]),
            Helper::TableGrow(table) => (vec![self.element(table), I32], vec![I32]),
            Helper::TableFill(table) => (vec![I32, self.element(table), I32], vec![]),
            Helper::Headroom => (vec![I32], vec![]),
            Helper::Wide => (vec![ValType::I64; MOST_PARAMS], vec![]),
        };
        Type { params, results }
    }

    fn element(&self, table: u32) -> ValType {
        let ty = &self.facts.tables[table as usize].element_type;
        ValType::Ref(match ty.is_func_ref() {
            true => RefType::FUNCREF,
            false => RefType {
                nullable: true,
                heap_type: HeapType::EXTERN,
            },
        })
    }

    fn write(&mut self, plan: &Plan, helper: Helper, ty: &Type) -> Function {
        // After the parameters: the fuel, and what an instruction gave.
        let mut function = Function::new([(1, ValType::I64), (1, ValType::I32)]);
        let mut code = function.instructions();
        let fuel = ty.params.len() as u32;
        let mut work = Work {
            plan,
            code: &mut code,
            fuel,
        };
        match helper {
            Helper::MemoryFill => {
                work.check(Size::Memory, TO, LEN, End::Memory);
                work.charge_bytes();
                work.bytes(Advance::To, |code| {
                    code.memory_fill(plan.memory);
                });
            }
            Helper::MemoryCopy => {
                work.check(Size::Memory, TO, LEN, End::Memory);
                work.check(Size::Memory, FROM, LEN, End::Memory);
                work.charge_bytes();
                work.moved(BYTES, FEW_BYTES, |code| {
                    code.memory_copy(plan.memory, plan.memory);
                });
            }
            Helper::MemoryInit(data) => {
                let size = self.segment(Segment::Data(data), &self.facts.data, data);
                work.check(Size::Memory, TO, LEN, End::Memory);
                work.check(size, FROM, LEN, End::Memory);
                work.charge_bytes();
                self.emit_headroom(work.code);
                work.bytes(Advance::Both, |code| {
                    code.memory_init(plan.memory, data);
                });
            }
            Helper::TableGet(table) => {
                work.check_index(table);
                work.code.local_get(TO).table_get(table);
            }
            Helper::TableSet(table) => {
                work.check_index(table);
                work.code.local_get(TO).local_get(FROM).table_set(table);
            }
            Helper::TableGrow(table) => self.grow(&mut work, table),
            Helper::TableFill(table) => {
                work.check(Size::Table(table), TO, LEN, End::Table);
                work.charge_elements(LEN);
                self.emit_headroom(work.code);
                work.elements(Advance::To, |code| {
                    code.table_fill(table);
                });
            }
            Helper::TableCopy { to, from } => {
                work.check(Size::Table(to), TO, LEN, End::Table);
                work.check(Size::Table(from), FROM, LEN, End::Table);
                work.charge_elements(LEN);
                self.emit_headroom(work.code);
                work.moved(ELEMENTS, FEW_ELEMENTS, |code| {
                    code.table_copy(to, from);
                });
            }
            Helper::TableInit { table, elements } => {
                let size =
                    self.segment(Segment::Elements(elements), &self.facts.elements, elements);
                work.check(Size::Table(table), TO, LEN, End::Table);
                work.check(size, FROM, LEN, End::Table);
                work.charge_elements(LEN);
                self.emit_headroom(work.code);
                work.elements(Advance::Both, |code| {
                    code.table_init(table, elements);
                });
            }
            Helper::Headroom => self.headroom(&mut code),
            Helper::Wide => {}
        }
        function.instructions().end();
        function
    }

    fn segment(&self, segment: Segment, sizes: &[u32], index: u32) -> Size {
        let dropped = self.dropped.found(segment);
        Size::Segment {
            len: sizes[index as usize],
            dropped: dropped.map(|number| self.first_global + number),
        }
    }

    fn grow(&mut self, work: &mut Work<'_, '_>, table: u32) {
        const ELEMENT: u32 = 0;
        const DELTA: u32 = 1;
        if self.facts.widened[table as usize] {
            // Its type says that it cannot grow.
            work.code
                .table_size(table)
                .i32_const(-1)
                .local_get(DELTA)
                .i32_eqz()
                .select();
            return;
        }
        work.code
            .local_get(ELEMENT)
            .local_get(DELTA)
            .table_grow(table);
        if work.plan.checks.fuel {
            // What was refused was not done.
            let old = work.fuel + 1;
            work.code
                .local_tee(old)
                .i32_const(-1)
                .i32_ne()
                .if_(BlockType::Empty);
            work.charge_elements(DELTA);
            work.code.end().local_get(old);
        }
    }

    /// The index of a helper that others call.
    fn also(&mut self, helper: Helper) -> u32 {
        self.first_function + self.wanted.number(helper)
    }

    /// Ends the guest, as a stack overflow, unless there is room for the engine.
    fn emit_headroom(&mut self, code: &mut InstructionSink<'_>) {
        let headroom = self.also(Helper::Headroom);
        code.i32_const(HEADROOM_TIMES).call(headroom);
    }

    /// A frame is as large as its largest call, made or not: the engine touches all
    /// of it on entry.
    fn headroom(&mut self, code: &mut InstructionSink<'_>) {
        let wide = self.also(Helper::Wide);
        let again = self.also(Helper::Headroom);
        code.local_get(0).i32_const(0).i32_lt_s();
        code.if_(BlockType::Empty);
        for _ in 0..MOST_PARAMS {
            code.i64_const(0);
        }
        code.call(wide).end();
        code.local_get(0).if_(BlockType::Empty);
        code.local_get(0).i32_const(1).i32_sub().call(again);
        code.end();
    }
}

/// As many as the WebAssembly implementations agree on; 8 KB.
const MOST_PARAMS: usize = 1000;
/// So often 8 KB.
const HEADROOM_TIMES: i32 = 3;

/// Things and their numbers, which count from 0 on.
struct Numbered<T> {
    list: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            numbers: HashMap::new(),
        }
    }
}

impl<T: Copy + Eq + Hash> Numbered<T> {
    /// The number of what is there now if it was not.
    fn number(&mut self, item: T) -> u32 {
        let next = self.list.len() as u32;
        let number = *self.numbers.entry(item).or_insert(next);
        if number == next {
            self.list.push(item);
        }
        number
    }

    fn found(&self, item: T) -> Option<u32> {
        self.numbers.get(&item).copied()
    }
}

/// The parameters of a bulk instruction.
const TO: u32 = 0;
const FROM: u32 = 1;
const LEN: u32 = 2;

/// What a range must be in.
#[derive(Clone, Copy)]
enum Size {
    Memory,
    Table(u32),
    /// A segment's length; 0 if the global says that it was dropped.
    Segment {
        len: u32,
        dropped: Option<u32>,
    },
}

/// Which parameters move on after a piece.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Advance {
    To,
    Both,
}

struct Work<'a, 'b> {
    plan: &'a Plan,
    code: &'a mut InstructionSink<'b>,
    fuel: u32,
}

impl Work<'_, '_> {
    /// Pushes a size, as an `i64`.
    fn size(&mut self, size: Size) {
        match size {
            Size::Memory => {
                const PAGE_BITS: i64 = 16;
                self.code
                    .memory_size(self.plan.memory)
                    .i64_extend_i32_u()
                    .i64_const(PAGE_BITS)
                    .i64_shl();
            }
            Size::Table(table) => {
                self.code.table_size(table).i64_extend_i32_u();
            }
            Size::Segment { len, dropped } => {
                self.code.i64_const(0).i64_const(len.into());
                match dropped {
                    Some(global) => self.code.global_get(global),
                    None => self.code.i32_const(0),
                };
                self.code.select();
            }
        }
    }

    /// Ends the guest if the range of `len` from `start` on is not within `size`.
    fn check(&mut self, size: Size, start: u32, len: u32, end: End) {
        self.code
            .local_get(start)
            .i64_extend_i32_u()
            .local_get(len)
            .i64_extend_i32_u()
            .i64_add();
        self.size(size);
        self.code.i64_gt_u().if_(BlockType::Empty);
        self.end(end);
    }

    /// Ends the guest if the first parameter is no index of the table.
    fn check_index(&mut self, table: u32) {
        self.code
            .local_get(TO)
            .table_size(table)
            .i32_ge_u()
            .if_(BlockType::Empty);
        self.end(End::Table);
    }

    fn end(&mut self, end: End) {
        self.plan.emit_end(self.code, end);
        self.code.unreachable().end();
    }

    fn charge_bytes(&mut self) {
        self.charge(|code| {
            code.local_get(LEN)
                .i64_extend_i32_u()
                .i64_const(BYTES_OF_FUEL.ilog2().into())
                .i64_shr_u();
        });
    }

    fn charge_elements(&mut self, len: u32) {
        self.charge(|code| {
            code.local_get(len).i64_extend_i32_u();
        });
    }

    /// Charges what `amount` pushes.
    fn charge(&mut self, amount: impl FnOnce(&mut InstructionSink<'_>)) {
        if !self.plan.checks.fuel {
            return;
        }
        self.plan.emit_load_fuel(self.code, self.fuel);
        self.code.local_get(self.fuel);
        amount(self.code);
        self.code.i64_sub().local_set(self.fuel);
        self.plan.emit_store_fuel(self.code, self.fuel);
        self.plan.emit_look_at_fuel(self.code, self.fuel);
    }

    fn look(&mut self) {
        if self.plan.checks.interrupt {
            self.plan.emit_look(self.code);
        }
    }

    /// Leaves by the function's end if no more than `most` is to be done.
    fn if_short(&mut self, most: i32, instruction: &impl Fn(&mut InstructionSink<'_>)) {
        self.code
            .local_get(LEN)
            .i32_const(most)
            .i32_le_u()
            .if_(BlockType::Empty);
        self.arguments();
        instruction(self.code);
        self.code.return_().end();
    }

    fn arguments(&mut self) {
        self.code.local_get(TO).local_get(FROM).local_get(LEN);
    }

    fn bytes(&mut self, advance: Advance, instruction: impl Fn(&mut InstructionSink<'_>)) {
        self.forward(BYTES, FEW_BYTES, advance, &instruction);
    }

    fn elements(&mut self, advance: Advance, instruction: impl Fn(&mut InstructionSink<'_>)) {
        self.forward(ELEMENTS, FEW_ELEMENTS, advance, &instruction);
    }

    /// Does an instruction from the beginning on, in pieces.
    fn forward(
        &mut self,
        piece: i32,
        few: i32,
        advance: Advance,
        instruction: &impl Fn(&mut InstructionSink<'_>),
    ) {
        if self.plan.checks.interrupt {
            self.if_short(few, instruction);
            self.pieces(piece, |work| {
                work.code.local_get(TO).local_get(FROM).i32_const(piece);
                instruction(work.code);
                work.step(TO, piece);
                if advance == Advance::Both {
                    work.step(FROM, piece);
                }
                work.step(LEN, -piece);
            });
        }
        self.arguments();
        instruction(self.code);
    }

    /// Does a copy in pieces: from the end if the beginning would be overwritten
    /// before it is read.
    fn moved(&mut self, piece: i32, few: i32, instruction: impl Fn(&mut InstructionSink<'_>)) {
        if self.plan.checks.interrupt {
            self.if_short(few, &instruction);
            self.code
                .local_get(TO)
                .local_get(FROM)
                .i32_gt_u()
                .if_(BlockType::Empty);
            self.pieces(piece, |work| {
                work.step(LEN, -piece);
                for start in [TO, FROM] {
                    work.code.local_get(start).local_get(LEN).i32_add();
                }
                work.code.i32_const(piece);
                instruction(work.code);
            });
            self.arguments();
            instruction(self.code);
            self.code.return_().end();
        }
        self.forward(piece, few, Advance::Both, &instruction);
    }

    /// Does one piece after the other, until no more than one is left.
    fn pieces(&mut self, piece: i32, one: impl FnOnce(&mut Self)) {
        self.look();
        self.code
            .block(BlockType::Empty)
            .loop_(BlockType::Empty)
            .local_get(LEN)
            .i32_const(piece)
            .i32_le_u()
            .br_if(1);
        one(self);
        self.look();
        self.code.br(0).end().end();
    }

    fn step(&mut self, local: u32, by: i32) {
        self.code
            .local_get(local)
            .i32_const(by)
            .i32_add()
            .local_set(local);
    }
}
