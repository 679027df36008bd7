//! Programs as the fuzzer makes them up: objects with functions, data, symbols
//! of every binding, and relocations that are where they should be.

use genkan_link::{BuildId, Exports, Input, Options, Panic, Role, Strip, Unresolved};

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
            (true, _) => 1,
            (_, true) => 2,
            _ => 0,
        };
        binding
            | u32::from(self.hidden) << 2
            | u32::from(undefined) << 4
            | u32::from(self.exported) << 5
            | u32::from(self.no_strip) << 7
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
            objects: noise.several(Object::from),
        }
    }

    /// The objects' bytes.
    pub fn files(&self) -> Vec<Vec<u8>> {
        let used = usize::from(self.count) % self.objects.len() + 1;
        self.objects[..used].iter().map(Object::bytes).collect()
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
        ][usize::from(self.unresolved) % 5];
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
        options.allow_multiple_definition = flag(11);
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
        options
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

/// A number as LEB128.
fn leb(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A zero in five bytes, to be relocated.
const PADDED: [u8; 5] = [0x80, 0x80, 0x80, 0x80, 0];

fn text(out: &mut Vec<u8>, text: &str) {
    leb(out, text.len() as u32);
    out.extend(text.bytes());
}

fn section(out: &mut Vec<u8>, id: u8, contents: &[u8]) {
    out.push(id);
    leb(out, contents.len() as u32);
    out.extend(contents);
}

fn custom(out: &mut Vec<u8>, name: &str, contents: &[u8]) {
    let mut section_contents = Vec::new();
    text(&mut section_contents, name);
    section_contents.extend(contents);
    section(out, 0, &section_contents);
}

/// Relocations of one section.
#[derive(Default)]
struct Relocations {
    count: u32,
    bytes: Vec<u8>,
}

impl Relocations {
    fn add(&mut self, kind: u8, offset: usize, symbol: u32, addend: Option<i8>) {
        self.count += 1;
        self.bytes.push(kind);
        leb(&mut self.bytes, offset as u32);
        leb(&mut self.bytes, symbol);
        if let Some(addend) = addend {
            // One byte holds -64 to 63.
            self.bytes.push((addend / 2) as u8 & 0x7f);
        }
    }

    fn section(&self, out: &mut Vec<u8>, name: &str, index: u32) {
        let mut contents = Vec::new();
        leb(&mut contents, index);
        leb(&mut contents, self.count);
        contents.extend(&self.bytes);
        custom(out, name, &contents);
    }
}

impl Object {
    /// Types: 0 takes nothing, 1 an `i32`; both give one.
    fn bytes(&self) -> Vec<u8> {
        // A compiler gives a name once in an object.
        let mut named = Vec::new();
        let functions = first(&self.functions, self.counts[0]);
        let functions: Vec<&Function> = functions
            .filter(|function| {
                function.flags.local && !function.flags.weak
                    || is_new(&mut named, function.name % 8)
            })
            .collect();
        let mut data_named = Vec::new();
        let segments = first(&self.segments, self.counts[1]);
        let segments: Vec<&Segment> = segments
            .filter(|segment| {
                segment.flags.local && !segment.flags.weak
                    || is_new(&mut data_named, segment.symbol % 8)
            })
            .collect();
        let mut undefined: Vec<(u8, Flags)> = Vec::new();
        for &(name, flags) in first(&self.undefined, self.counts[2]) {
            if is_new(&mut named, name % 8) {
                undefined.push((name % 8, flags));
            }
        }
        let imported = undefined.len() as u32;

        let mut out = b"\0asm\x01\0\0\0".to_vec();
        section(&mut out, 1, &[2, 0x60, 0, 1, 0x7f, 0x60, 1, 0x7f, 1, 0x7f]);
        let mut imports = Vec::new();
        leb(&mut imports, 3 + imported);
        for (name, what) in [
            ("__linear_memory", &[2, 0, 0][..]),
            ("__indirect_function_table", &[1, 0x70, 0, 0]),
            ("__stack_pointer", &[3, 0x7f, 1]),
        ] {
            text(&mut imports, "env");
            text(&mut imports, name);
            imports.extend(what);
        }
        for &(name, _) in &undefined {
            text(&mut imports, "env");
            text(&mut imports, NAMES[usize::from(name)]);
            imports.extend([0, takes_one(name).into()]);
        }
        section(&mut out, 2, &imports);
        let mut types = Vec::new();
        leb(&mut types, functions.len() as u32);
        types.extend(
            functions
                .iter()
                .map(|function| u8::from(function.takes_one())),
        );
        section(&mut out, 3, &types);

        // Symbols: table, stack pointer, undefined functions, functions, data,
        // then an undefined one of data.
        let first_function = 2 + imported;
        let first_data = first_function + functions.len() as u32;
        let data_symbols = segments.len() as u32 + 1;
        let callable: Vec<bool> = undefined
            .iter()
            .map(|(name, _)| takes_one(*name))
            .chain(functions.iter().map(|function| function.takes_one()))
            .collect();

        let mut code_relocations = Relocations::default();
        let mut code = Vec::new();
        leb(&mut code, functions.len() as u32);
        for function in &functions {
            let mut body = vec![0, 0x41, 0];
            let mut relocations = Vec::new();
            for operation in first(&function.body, function.length) {
                match operation {
                    Operation::Call(which) if !callable.is_empty() => {
                        let which = usize::from(*which) % callable.len();
                        if callable[which] {
                            body.extend([0x41, 1]);
                        }
                        body.push(0x10);
                        relocations.push((0, body.len(), 2 + which as u32, None));
                        // The call must be of the right type before it is relocated.
                        padded(&mut body, which as u32);
                    }
                    Operation::FunctionAddress(which) if !callable.is_empty() => {
                        body.push(0x41);
                        let which = usize::from(*which) % callable.len();
                        relocations.push((1, body.len(), 2 + which as u32, None));
                        body.extend(PADDED);
                    }
                    Operation::DataAddress(which, addend) => {
                        body.push(0x41);
                        let which = u32::from(*which) % data_symbols;
                        relocations.push((4, body.len(), first_data + which, Some(*addend)));
                        body.extend(PADDED);
                    }
                    Operation::StackPointer => {
                        body.push(0x23);
                        relocations.push((7, body.len(), 1, None));
                        body.extend(PADDED);
                    }
                    Operation::CallIndirect => {
                        body.extend([0x41, 0, 0x11]);
                        relocations.push((6, body.len(), 0, None));
                        body.extend(PADDED);
                        relocations.push((20, body.len(), 0, None));
                        body.extend(PADDED);
                    }
                    Operation::Number(number) => body.extend([0x41, *number as u8 & 0x7f]),
                    _ => body.extend([0x41, 1]),
                }
                body.push(0x6a);
            }
            body.push(0x0b);
            leb(&mut code, body.len() as u32);
            for (kind, offset, symbol, addend) in relocations {
                code_relocations.add(kind, code.len() + offset, symbol, addend);
            }
            code.extend(body);
        }
        section(&mut out, 10, &code);

        let mut data_relocations = Relocations::default();
        let mut data = Vec::new();
        leb(&mut data, segments.len() as u32);
        let mut address = 0;
        for segment in &segments {
            data.extend([0, 0x41]);
            // Signed, hence with room for the sign.
            padded(&mut data, address);
            data.push(0x0b);
            let bytes = segment.bytes();
            leb(&mut data, bytes.len() as u32);
            if let Some((which, is_function)) = segment
                .pointer
                .filter(|_| !segment.strings && bytes.len() >= 4)
            {
                if is_function && !callable.is_empty() {
                    let which = u32::from(which) % callable.len() as u32;
                    data_relocations.add(2, data.len(), 2 + which, None);
                } else {
                    let which = u32::from(which) % data_symbols;
                    data_relocations.add(5, data.len(), first_data + which, Some(2));
                }
            }
            address += bytes.len() as u32;
            data.extend(bytes);
        }
        section(&mut out, 11, &data);

        let mut symbols = Vec::new();
        leb(&mut symbols, first_data + data_symbols);
        symbols.extend([5, 0x10, 0]);
        symbols.extend([2, 0x10, 0]);
        for (index, (_, flags)) in undefined.iter().enumerate() {
            symbols.push(0);
            leb(&mut symbols, flags.bits(true));
            leb(&mut symbols, index as u32);
        }
        for (index, function) in functions.iter().enumerate() {
            symbols.push(0);
            leb(&mut symbols, function.flags.bits(false));
            leb(&mut symbols, imported + index as u32);
            text(&mut symbols, NAMES[usize::from(function.name) % 8]);
        }
        for (index, segment) in segments.iter().enumerate() {
            symbols.push(1);
            leb(&mut symbols, segment.flags.bits(false));
            text(
                &mut symbols,
                &format!("data_{}", NAMES[usize::from(segment.symbol) % 8]),
            );
            leb(&mut symbols, index as u32);
            symbols.push(0);
            leb(&mut symbols, segment.bytes().len() as u32);
        }
        symbols.push(1);
        leb(&mut symbols, 0x10);
        text(&mut symbols, "data_elsewhere");

        let mut infos = Vec::new();
        leb(&mut infos, segments.len() as u32);
        for segment in &segments {
            text(&mut infos, SEGMENTS[usize::from(segment.name) % 6]);
            leb(&mut infos, u32::from(segment.align) % 8);
            infos.push(u8::from(segment.strings) | u8::from(segment.retain) << 2);
        }

        let mut linking = vec![2];
        section(&mut linking, 8, &symbols);
        section(&mut linking, 5, &infos);
        if let Some(which) = self.constructor {
            let plain = functions.iter().position(|function| !function.takes_one());
            if let Some(place) = plain {
                let mut constructors = vec![1];
                leb(&mut constructors, which.into());
                leb(&mut constructors, first_function + place as u32);
                section(&mut linking, 6, &constructors);
            }
        }
        if self.comdat && !functions.is_empty() {
            let mut comdat = vec![1, 1, b'g', 0, 1, 1];
            leb(&mut comdat, imported);
            section(&mut linking, 7, &comdat);
        }
        custom(&mut out, "linking", &linking);
        if code_relocations.count > 0 {
            code_relocations.section(&mut out, "reloc.CODE", 3);
        }
        if data_relocations.count > 0 {
            data_relocations.section(&mut out, "reloc.DATA", 4);
        }
        out
    }
}

fn padded(out: &mut Vec<u8>, value: u32) {
    out.extend([0, 7, 14, 21].map(|shift| (value >> shift) as u8 & 0x7f | 0x80));
    out.push(0);
}

impl Function {
    fn takes_one(&self) -> bool {
        takes_one(self.name % 8) != self.odd
    }
}

impl Segment {
    fn bytes(&self) -> Vec<u8> {
        let size = usize::from(self.size % 40);
        match self.strings {
            true => b"entrance\0hall\0trance\0all\0"[..size.min(25)].to_vec(),
            false if SEGMENTS[usize::from(self.name) % 6].starts_with(".bss") => vec![0; size],
            false => (0..size as u8).collect(),
        }
    }
}
