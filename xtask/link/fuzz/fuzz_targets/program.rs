//! Programs as the fuzzer makes them up: objects with functions, data, symbols
//! of every binding, and relocations that are where they should be.

#[path = "../../tests/forge/mod.rs"]
mod forge;

use forge::{Code, Data, Symbol, Type, Undefined, flags, reloc};
use genkan_link::{
    BuildId, Duplicates, Exports, Icf, Input, Options, OutputKind, Panic, Role, Strip, Unresolved,
};

/// Names are few, so that objects meet.
const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "__wrap_a", "__real_a"];
const SEGMENTS: [&str; 6] = [
    ".data.x",
    ".rodata.y",
    ".bss.z",
    ".tdata.t",
    "section",
    ".rodata.str1",
];

#[derive(Debug)]
pub struct Program {
    /// So many of the objects, one at least, are used; so with `counts` below.
    count: u8,
    objects: [Object; 3],
    flags: u32,
    /// Options that make most programs fail, if both bits are there.
    rare: u32,
    strip: u8,
    unresolved: u8,
    panic: u8,
    exports: u8,
    kind: u8,
}

#[derive(Debug)]
struct Object {
    counts: [u8; 3],
    functions: [Function; 4],
    segments: [Segment; 3],
    undefined: [(u8, Flags); 3],
    role: u8,
    constructor: Option<u8>,
    comdat: bool,
}

#[derive(Debug)]
struct Function {
    name: u8,
    flags: Flags,
    /// Takes an `i32`, though functions of this name usually do not.
    odd: bool,
    body: [Operation; 4],
    length: u8,
}

#[derive(Debug)]
enum Operation {
    Call(u8),
    FunctionAddress(u8),
    DataAddress(u8, i8),
    StackPointer,
    CallIndirect,
    Number(i8),
}

#[derive(Debug)]
struct Segment {
    name: u8,
    symbol: u8,
    flags: Flags,
    align: u8,
    size: u8,
    strings: bool,
    retain: bool,
    /// What its first word points at.
    pointer: Option<(u8, bool)>,
}

#[derive(Debug, Clone, Copy)]
struct Flags {
    weak: bool,
    local: bool,
    hidden: bool,
    exported: bool,
    no_strip: bool,
}

impl Flags {
    fn bits(self, undefined: bool) -> u32 {
        let binding = match (self.weak, self.local && !undefined) {
            (true, _) => flags::WEAK,
            (_, true) => flags::LOCAL,
            _ => 0,
        };
        let flag = |is: bool, flag: u32| if is { flag } else { 0 };
        binding
            | flag(self.hidden, flags::HIDDEN)
            | flag(self.exported, flags::EXPORTED)
            | flag(self.no_strip, flags::NO_STRIP)
    }
}

/// The noise that programs are made of; zeroes once it is used up.
struct Noise<'a>(std::slice::Iter<'a, u8>);

impl Noise<'_> {
    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes([(); 4].map(|()| self.byte()))
    }

    /// Several of what `one` makes.
    fn several<T, const N: usize>(&mut self, one: impl Fn(&mut Self) -> T) -> [T; N] {
        [(); N].map(|()| one(self))
    }
}

impl Object {
    fn from(noise: &mut Noise<'_>) -> Self {
        Object {
            counts: noise.several(Noise::byte),
            functions: noise.several(Function::from),
            segments: noise.several(Segment::from),
            undefined: noise.several(|noise| (noise.byte(), Flags::from(noise))),
            role: noise.byte(),
            constructor: noise.flag().then(|| noise.byte()),
            comdat: noise.flag(),
        }
    }
}

impl Function {
    fn from(noise: &mut Noise<'_>) -> Self {
        Function {
            name: noise.byte(),
            flags: Flags::from(noise),
            // Seldom: it makes most calls of that name trap.
            odd: noise.byte() % 8 == 7,
            body: noise.several(Operation::from),
            length: noise.byte(),
        }
    }
}

impl Operation {
    fn from(noise: &mut Noise<'_>) -> Self {
        match noise.byte() % 6 {
            0 => Operation::Call(noise.byte()),
            1 => Operation::FunctionAddress(noise.byte()),
            2 => Operation::DataAddress(noise.byte(), noise.byte() as i8),
            3 => Operation::StackPointer,
            4 => Operation::CallIndirect,
            _ => Operation::Number(noise.byte() as i8),
        }
    }
}

impl Segment {
    fn from(noise: &mut Noise<'_>) -> Self {
        Segment {
            name: noise.byte(),
            symbol: noise.byte(),
            flags: Flags::from(noise),
            align: noise.byte(),
            size: noise.byte(),
            strings: noise.byte() % 8 == 7,
            retain: noise.flag(),
            pointer: noise.flag().then(|| (noise.byte(), noise.flag())),
        }
    }
}

impl Flags {
    /// Of two bytes: each flag is there once in four times.
    fn from(noise: &mut Noise<'_>) -> Self {
        let bits = noise.byte() & noise.byte();
        Flags {
            weak: bits & 1 != 0,
            local: bits & 2 != 0,
            hidden: bits & 4 != 0,
            exported: bits & 8 != 0,
            no_strip: bits & 16 != 0,
        }
    }
}

impl Program {
    /// A program for any noise.
    pub fn from_noise(noise: &[u8]) -> Self {
        let mut noise = Noise(noise.iter());
        Program {
            count: noise.byte(),
            flags: noise.word(),
            rare: noise.word(),
            strip: noise.byte(),
            unresolved: noise.byte(),
            panic: noise.byte(),
            exports: noise.byte(),
            kind: noise.byte(),
            objects: noise.several(Object::from),
        }
    }

    /// The objects' bytes.
    pub fn files(&self) -> Vec<Vec<u8>> {
        let used = usize::from(self.count) % self.objects.len() + 1;
        let objects = self.objects[..used].iter();
        objects.map(|object| object.forge().bytes()).collect()
    }

    /// The objects as the linker takes them.
    pub fn inputs<'a>(&self, files: &'a [Vec<u8>]) -> Vec<Input<'a>> {
        let files = files.iter().zip(&self.objects).enumerate();
        files
            .map(|(number, (bytes, object))| {
                let roles = [Role::Default, Role::Lazy, Role::Guest];
                Input::new(NAMES[number], bytes).with_role(roles[usize::from(object.role) % 3])
            })
            .collect()
    }

    /// Options, each bit of `flags` one of them.
    pub fn options(&self) -> Options {
        let flag = |bit: u32| self.flags & (1 << bit) != 0;
        let rare = |bit: u32, name: &str| {
            let both = 3 << (2 * bit);
            (self.rare & both == both).then(|| name.to_owned())
        };
        let some = |bit: u32, name: &str| {
            if flag(bit) {
                Some(name.to_owned())
            } else {
                None
            }
        };
        let strip = [Strip::Nothing, Strip::Debug, Strip::All][usize::from(self.strip) % 3];
        let unresolved = [
            Unresolved::Error,
            Unresolved::Warn,
            Unresolved::Ignore,
            Unresolved::Import,
            Unresolved::Allow,
            Unresolved::Dynamic,
        ][usize::from(self.unresolved) % 6];
        let mut options = Options::wasm_ld();
        options.exports = match flag(0) {
            true => Exports::Guest,
            false => {
                let named = rare(1, NAMES[usize::from(self.exports) % 8]);
                Exports::Named(named.into_iter().collect())
            }
        };
        options.export_if_defined = some(2, "b").into_iter().collect();
        options.export_all = flag(3);
        options.export_dynamic = flag(4);
        options.entry = rare(2, "a");
        options.undefined = some(6, "c").into_iter().collect();
        options.wrap = some(7, "a").into_iter().collect();
        let defsym = rare(3, "d").map(|name| (name, "e".to_owned()));
        options.defsym = defsym.into_iter().collect();
        options.unresolved = unresolved;
        options.allow_undefined = some(9, "b").into_iter().collect();
        options.host_functions = some(10, "c").into_iter().collect();
        if flag(11) {
            options.duplicates = Duplicates::First;
        }
        options.lean = flag(29);
        options.memory.import = some(12, "memory").map(|name| ("env".to_owned(), name));
        options.memory.export = some(13, "memory");
        options.memory.fixed = flag(14);
        options.stack_first = !flag(15);
        options.table.import = flag(16);
        options.table.export = flag(17) && !flag(16);
        options.table.growable = flag(18);
        options.table.base = flag(19).then_some(7);
        options.gc_sections = !flag(20);
        options.merge_data_segments = !flag(21);
        options.merge_strings = !flag(22);
        options.compress_relocations = flag(24) && strip != Strip::Nothing;
        options.strip = strip;
        options.check_features = flag(25);
        if flag(26) {
            options.build_id = BuildId::Fast;
        }
        options.panic = [Panic::Std, Panic::Report, Panic::Trap][usize::from(self.panic) % 3];
        options.report = flag(27);
        options.keep_unused_stack = !flag(28);
        if flag(29) {
            options.icf = Icf::Safe;
        }
        options.emit_relocations = flag(30) && !options.compress_relocations;
        if flag(31) {
            options.memory.shared = true;
            options.extra_features = ["atomics", "bulk-memory"].map(str::to_owned).into();
        }
        match self.kind % 8 {
            // One object of all, of which most options say nothing.
            0 => {
                let mut object = Options::relocatable();
                object.strip = strip;
                object.merge_strings = options.merge_strings;
                object.check_features = options.check_features;
                object.report = options.report;
                object
            }
            1 | 2 => {
                options.kind = match self.kind % 8 {
                    1 => OutputKind::Shared,
                    _ => OutputKind::Executable,
                };
                options.symbolic = flag(5);
                options.runtime_paths = some(8, "lib").into_iter().collect();
                options.compress_relocations = false;
                options
            }
            _ => options,
        }
    }

    /// What links the objects with the shared library that these options made of them.
    pub fn with_library(&self) -> Option<Options> {
        let mut options = self.options();
        let is_library = options.kind == OutputKind::Shared;
        is_library.then(|| {
            if (self.kind / 8).is_multiple_of(2) {
                options.kind = OutputKind::Module;
            }
            options.check_library_types = self.flags & (1 << 23) != 0;
            options
        })
    }

    /// What links the object that these options made once more.
    pub fn once_more(&self) -> Option<Options> {
        let is_object = self.options().kind == OutputKind::Relocatable;
        is_object.then(|| {
            let mut options = Options::wasm_ld();
            options.entry = None;
            options.unresolved = Unresolved::Allow;
            options.check_features = false;
            options.icf = Icf::Safe;
            options
        })
    }
}

/// Whether functions of this name take an `i32`.
fn takes_one(name: u8) -> bool {
    name % 2 == 1
}

/// The first of `all`: so many, or less.
fn first<T>(all: &[T], count: u8) -> std::slice::Iter<'_, T> {
    all[..usize::from(count) % (all.len() + 1)].iter()
}

fn is_new(seen: &mut Vec<u8>, name: u8) -> bool {
    let new = !seen.contains(&name);
    seen.push(name);
    new
}

/// The type of functions of which all give one `i32`, and some take one.
fn ty(takes_one: bool) -> Type {
    Type {
        params: vec![forge::I32; takes_one.into()],
        results: vec![forge::I32],
    }
}

impl Object {
    /// The object, as the forger makes it. A compiler gives a name once in one.
    fn forge(&self) -> forge::Object {
        let mut named = Vec::new();
        let functions: Vec<&Function> = first(&self.functions, self.counts[0])
            .filter(|f| f.flags.local && !f.flags.weak || is_new(&mut named, f.name % 8))
            .collect();
        let mut data_named = Vec::new();
        let segments: Vec<&Segment> = first(&self.segments, self.counts[1])
            .filter(|s| s.flags.local && !s.flags.weak || is_new(&mut data_named, s.symbol % 8))
            .collect();
        let undefined: Vec<(u8, Flags)> = first(&self.undefined, self.counts[2])
            .map(|&(name, flags)| (name % 8, flags))
            .filter(|(name, _)| is_new(&mut named, *name))
            .collect();
        let callable: Vec<bool> = undefined
            .iter()
            .map(|(name, _)| takes_one(*name))
            .chain(functions.iter().map(|function| function.takes_one()))
            .collect();
        let data_symbols = segments.len() + 1;
        let plain = functions.iter().position(|function| !function.takes_one());
        let constructor = self.constructor.zip(plain).map(|(priority, place)| {
            let function = Symbol::Function(undefined.len() + place);
            (priority.into(), function)
        });
        let group = (self.comdat && !functions.is_empty()).then(|| ("g".to_owned(), vec![0]));
        forge::Object {
            functions: functions
                .iter()
                .map(|function| function.forge(&callable, data_symbols))
                .collect(),
            segments: segments
                .iter()
                .map(|segment| segment.forge(callable.len(), data_symbols))
                .collect(),
            undefined: undefined
                .into_iter()
                .map(|(name, flags)| Undefined {
                    name: NAMES[usize::from(name)].to_owned(),
                    module: None,
                    flags: flags.bits(true),
                    ty: ty(takes_one(name)),
                })
                .collect(),
            undefined_data: vec![("data_elsewhere".to_owned(), 0)],
            constructors: constructor.into_iter().collect(),
            comdats: group.into_iter().collect(),
            ..forge::Object::default()
        }
    }
}

impl Function {
    fn takes_one(&self) -> bool {
        takes_one(self.name % 8) != self.odd
    }

    fn forge(&self, callable: &[bool], data_symbols: usize) -> forge::Function {
        let mut body = vec![Code::Bytes(vec![0x41, 0])];
        for operation in first(&self.body, self.length) {
            operation.forge(callable, data_symbols, &mut body);
            body.push(Code::Bytes(vec![0x6a]));
        }
        forge::Function {
            name: NAMES[usize::from(self.name) % 8].into(),
            flags: self.flags.bits(false),
            ty: ty(self.takes_one()),
            body,
        }
    }
}

impl Operation {
    fn forge(&self, callable: &[bool], data_symbols: usize, body: &mut Vec<Code>) {
        let function = |which: u8| usize::from(which) % callable.len();
        let mut put = |bytes: &[u8]| body.push(Code::Bytes(bytes.to_vec()));
        match self {
            Operation::Call(which) if !callable.is_empty() => {
                let which = function(*which);
                if callable[which] {
                    put(&[0x41, 1]);
                }
                put(&[0x10]);
                let symbol = Symbol::Function(which);
                body.push(Code::Operand(reloc::FUNCTION_INDEX_LEB, symbol, None));
            }
            Operation::FunctionAddress(which) if !callable.is_empty() => {
                put(&[0x41]);
                let symbol = Symbol::Function(function(*which));
                body.push(Code::Operand(reloc::TABLE_INDEX_SLEB, symbol, None));
            }
            Operation::DataAddress(which, addend) => {
                put(&[0x41]);
                let symbol = Symbol::Data(usize::from(*which) % data_symbols);
                let addend = Some(i32::from(*addend));
                body.push(Code::Operand(reloc::MEMORY_ADDR_SLEB, symbol, addend));
            }
            Operation::StackPointer => {
                put(&[0x23]);
                let kind = reloc::GLOBAL_INDEX_LEB;
                body.push(Code::Operand(kind, Symbol::StackPointer, None));
            }
            Operation::CallIndirect => {
                put(&[0x41, 0, 0x11]);
                body.push(Code::TypeOperand(ty(false)));
                let kind = reloc::TABLE_NUMBER_LEB;
                body.push(Code::Operand(kind, Symbol::Index(0), None));
            }
            Operation::Number(number) => put(&[0x41, *number as u8 & 0x7f]),
            _ => put(&[0x41, 1]),
        }
    }
}

impl Segment {
    fn forge(&self, callable: usize, data_symbols: usize) -> forge::Segment {
        let mut bytes = self.bytes();
        let mut contents = Vec::new();
        let fits = !self.strings && bytes.len() >= 4;
        if let Some((which, is_function)) = self.pointer.filter(|_| fits) {
            bytes.drain(..4);
            let which = usize::from(which);
            contents.push(match is_function && callable > 0 {
                true => {
                    let symbol = Symbol::Function(which % callable);
                    Data::Pointer(reloc::TABLE_INDEX_I32, symbol, None)
                }
                false => {
                    let symbol = Symbol::Data(which % data_symbols);
                    Data::Pointer(reloc::MEMORY_ADDR_I32, symbol, Some(1))
                }
            });
        }
        contents.push(Data::Bytes(bytes));
        forge::Segment {
            name: SEGMENTS[usize::from(self.name) % 6].to_owned(),
            align: u32::from(self.align) % 8,
            flags: u32::from(self.strings) | u32::from(self.retain) << 2,
            contents,
            symbol: format!("data_{}", NAMES[usize::from(self.symbol) % 8]).into(),
            symbol_flags: self.flags.bits(false),
            claim: None,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let size = usize::from(self.size % 40);
        match self.strings {
            true => b"entrance\0hall\0trance\0all\0"[..size.min(25)].to_vec(),
            false if SEGMENTS[usize::from(self.name) % 6].starts_with(".bss") => vec![0; size],
            false => (0..size as u8).collect(),
        }
    }
}
