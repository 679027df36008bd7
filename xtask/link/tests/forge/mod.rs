//! Makes relocatable objects and archives, as a compiler and `ar` do, or with
//! something wrong in them: for all tests and fuzzers that need some without a
//! compiler, or that no compiler makes.
//!
//! [`text`] reads objects as people write them.

// Each test crate uses its part.
#![allow(dead_code)]

pub mod archive;
pub mod text;

/// `WASM_SYM_*`.
pub mod flags {
    pub const WEAK: u32 = 1;
    pub const LOCAL: u32 = 2;
    pub const HIDDEN: u32 = 4;
    pub const UNDEFINED: u32 = 0x10;
    pub const EXPORTED: u32 = 0x20;
    pub const EXPLICIT_NAME: u32 = 0x40;
    pub const NO_STRIP: u32 = 0x80;
}

/// Numbers of relocation types, from LLVM's `WasmRelocs.def`.
pub mod reloc {
    pub const FUNCTION_INDEX_LEB: u8 = 0;
    pub const TABLE_INDEX_SLEB: u8 = 1;
    pub const TABLE_INDEX_I32: u8 = 2;
    pub const MEMORY_ADDR_SLEB: u8 = 4;
    pub const MEMORY_ADDR_I32: u8 = 5;
    pub const TYPE_INDEX_LEB: u8 = 6;
    pub const GLOBAL_INDEX_LEB: u8 = 7;
    pub const TABLE_NUMBER_LEB: u8 = 20;
    pub const MEMORY_ADDR_TLS_SLEB: u8 = 21;
}

pub const I32: u8 = 0x7f;

/// Parameters and results, as they are encoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Type {
    pub params: Vec<u8>,
    pub results: Vec<u8>,
}

/// A symbol of the object.
#[derive(Debug, Clone)]
pub enum Symbol {
    /// By its name.
    Name(String),
    /// The n-th undefined function, then defined ones.
    Function(usize),
    /// The n-th segment's symbol, then the undefined ones of data.
    Data(usize),
    /// `__stack_pointer`.
    StackPointer,
    /// By its index, be it there or not.
    Index(u32),
}

/// A piece of a function's body.
#[derive(Debug, Clone)]
pub enum Code {
    Bytes(Vec<u8>),
    /// An operand of five bytes, to be relocated.
    Operand(u8, Symbol, Option<i32>),
    /// The type of an indirect call, to be relocated.
    TypeOperand(Type),
}

#[derive(Debug, Clone, Default)]
pub struct Function {
    pub name: Vec<u8>,
    pub flags: u32,
    pub ty: Type,
    /// Without the locals before and the `end` after it.
    pub body: Vec<Code>,
}

/// A function that the object does not define.
#[derive(Debug, Clone, Default)]
pub struct Undefined {
    pub name: String,
    pub module: Option<String>,
    pub flags: u32,
    pub ty: Type,
}

/// A piece of data.
#[derive(Debug, Clone)]
pub enum Data {
    Bytes(Vec<u8>),
    /// Four bytes, to be relocated.
    Pointer(u8, Symbol, Option<i32>),
}

#[derive(Debug, Clone, Default)]
pub struct Segment {
    pub name: String,
    /// As a power of two.
    pub align: u32,
    /// `WASM_SEG_FLAG_*`.
    pub flags: u32,
    pub contents: Vec<Data>,
    pub symbol: Vec<u8>,
    pub symbol_flags: u32,
    /// What the symbol claims: offset and size; all of it if `None`.
    pub claim: Option<(u32, u32)>,
}

/// An object. It imports a memory, the table of functions and the stack pointer,
/// as LLVM's do; its symbols are the table, the stack pointer, undefined
/// functions, functions, data, undefined data.
#[derive(Debug, Clone, Default)]
pub struct Object {
    pub undefined: Vec<Undefined>,
    pub functions: Vec<Function>,
    pub segments: Vec<Segment>,
    /// Undefined data: name and flags.
    pub undefined_data: Vec<(String, u32)>,
    /// Priority and function.
    pub constructors: Vec<(u32, Symbol)>,
    /// Names of groups, and defined functions of each.
    pub comdats: Vec<(String, Vec<usize>)>,
    /// Policy and name.
    pub features: Vec<(u8, String)>,
    pub customs: Vec<(String, Vec<u8>)>,
    /// More relocations of code: type, offset, symbol, addend.
    pub forged_relocations: Vec<(u8, u32, u32, Option<i32>)>,
}

/// A number as LEB128.
pub fn leb(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A number as signed LEB128.
pub fn sleb(out: &mut Vec<u8>, mut value: i32) {
    while !(-64..64).contains(&value) {
        out.push(value as u8 & 0x7f | 0x80);
        value >>= 7;
    }
    out.push(value as u8 & 0x7f);
}

fn padded(out: &mut Vec<u8>, value: u32) {
    out.extend([0, 7, 14, 21].map(|shift| (value >> shift) as u8 & 0x7f | 0x80));
    out.push((value >> 28) as u8);
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    leb(out, bytes.len() as u32);
    out.extend(bytes);
}

fn section(out: &mut Vec<u8>, id: u8, contents: &[u8]) {
    out.push(id);
    bytes(out, contents);
}

fn custom(out: &mut Vec<u8>, name: &str, contents: &[u8]) {
    let mut section_contents = Vec::new();
    bytes(&mut section_contents, name.as_bytes());
    section_contents.extend(contents);
    section(out, 0, &section_contents);
}

/// A vector of things: how many, and each.
fn list<T>(all: impl ExactSizeIterator<Item = T>, mut one: impl FnMut(&mut Vec<u8>, T)) -> Vec<u8> {
    let mut out = Vec::new();
    leb(&mut out, all.len() as u32);
    for item in all {
        one(&mut out, item);
    }
    out
}

/// Relocations of one section.
#[derive(Default)]
struct Relocations {
    count: u32,
    bytes: Vec<u8>,
}

impl Relocations {
    fn add(&mut self, kind: u8, offset: usize, symbol: u32, addend: Option<i32>) {
        self.count += 1;
        self.bytes.push(kind);
        leb(&mut self.bytes, offset as u32);
        leb(&mut self.bytes, symbol);
        if let Some(addend) = addend {
            sleb(&mut self.bytes, addend);
        }
    }

    fn section(&self, out: &mut Vec<u8>, name: &str, index: u32) {
        if self.count > 0 {
            let mut contents = Vec::new();
            leb(&mut contents, index);
            leb(&mut contents, self.count);
            contents.extend(&self.bytes);
            custom(out, name, &contents);
        }
    }
}

impl Object {
    /// The object's file.
    pub fn bytes(&self) -> Vec<u8> {
        let types = self.types();
        let type_index = |ty: &Type| types.iter().position(|it| it == ty).unwrap() as u32;
        let mut out = b"\0asm\x01\0\0\0".to_vec();
        let encoded = list(types.iter(), |out, ty| {
            out.push(0x60);
            bytes(out, &ty.params);
            bytes(out, &ty.results);
        });
        section(&mut out, 1, &encoded);
        section(&mut out, 2, &self.imports(&type_index));
        let functions = list(self.functions.iter(), |out, f| leb(out, type_index(&f.ty)));
        section(&mut out, 3, &functions);
        let (code, code_relocations) = self.code(&type_index);
        section(&mut out, 10, &code);
        let (data, data_relocations) = self.data();
        section(&mut out, 11, &data);
        for (name, contents) in &self.customs {
            custom(&mut out, name, contents);
        }
        custom(&mut out, "linking", &self.linking());
        code_relocations.section(&mut out, "reloc.CODE", 3);
        data_relocations.section(&mut out, "reloc.DATA", 4);
        if !self.features.is_empty() {
            let features = list(self.features.iter(), |out, (policy, name)| {
                out.push(*policy);
                bytes(out, name.as_bytes());
            });
            custom(&mut out, "target_features", &features);
        }
        out
    }

    /// Each type once, in the order of use.
    fn types(&self) -> Vec<Type> {
        let called = self.functions.iter().flat_map(|f| &f.body);
        let called = called.filter_map(|code| match code {
            Code::TypeOperand(ty) => Some(ty),
            _ => None,
        });
        let undefined = self.undefined.iter().map(|f| &f.ty);
        let defined = self.functions.iter().map(|f| &f.ty);
        let mut types: Vec<Type> = Vec::new();
        for ty in undefined.chain(defined).chain(called) {
            if !types.contains(ty) {
                types.push(ty.clone());
            }
        }
        types
    }

    fn imports(&self, type_index: &dyn Fn(&Type) -> u32) -> Vec<u8> {
        let mut imports = Vec::new();
        leb(&mut imports, 3 + self.undefined.len() as u32);
        for (name, what) in [
            ("__linear_memory", &[2, 0, 0][..]),
            ("__indirect_function_table", &[1, 0x70, 0, 0]),
            ("__stack_pointer", &[3, 0x7f, 1]),
        ] {
            bytes(&mut imports, b"env");
            bytes(&mut imports, name.as_bytes());
            imports.extend(what);
        }
        for function in &self.undefined {
            let module = function.module.as_deref().unwrap_or("env");
            bytes(&mut imports, module.as_bytes());
            bytes(&mut imports, function.name.as_bytes());
            imports.push(0);
            leb(&mut imports, type_index(&function.ty));
        }
        imports
    }

    /// The index of a symbol in the symbol table.
    fn symbol(&self, symbol: &Symbol) -> u32 {
        let first_data = self.undefined.len() + self.functions.len();
        let index = match symbol {
            Symbol::Index(index) => return *index,
            Symbol::StackPointer => return 1,
            Symbol::Function(position) => *position,
            Symbol::Data(position) => first_data + position,
            Symbol::Name(name) => {
                let undefined = self.undefined.iter().map(|f| f.name.as_bytes());
                let defined = self.functions.iter().map(|f| &*f.name);
                let data = self.segments.iter().map(|s| &*s.symbol);
                let elsewhere = self.undefined_data.iter().map(|(name, _)| name.as_bytes());
                let mut all = undefined.chain(defined).chain(data).chain(elsewhere);
                let found = all.position(|it| it == name.as_bytes());
                found.unwrap_or_else(|| panic!("the object has no symbol `{name}`"))
            }
        };
        2 + index as u32
    }

    fn code(&self, type_index: &dyn Fn(&Type) -> u32) -> (Vec<u8>, Relocations) {
        let mut relocations = Relocations::default();
        let code = list(self.functions.iter(), |code, function| {
            let mut body = vec![0];
            let mut own = Vec::new();
            for piece in &function.body {
                match piece {
                    Code::Bytes(bytes) => body.extend(bytes),
                    Code::Operand(kind, symbol, addend) => {
                        let symbol = self.symbol(symbol);
                        own.push((*kind, body.len(), symbol, *addend));
                        // A call must be of the right type before it is relocated.
                        let is_call = *kind == reloc::FUNCTION_INDEX_LEB;
                        padded(&mut body, if is_call { symbol - 2 } else { 0 });
                    }
                    Code::TypeOperand(ty) => {
                        let ty = type_index(ty);
                        own.push((reloc::TYPE_INDEX_LEB, body.len(), ty, None));
                        padded(&mut body, ty);
                    }
                }
            }
            body.push(0x0b);
            leb(code, body.len() as u32);
            for (kind, offset, symbol, addend) in own {
                relocations.add(kind, code.len() + offset, symbol, addend);
            }
            code.extend(body);
        });
        for &(kind, offset, symbol, addend) in &self.forged_relocations {
            relocations.add(kind, offset as usize, symbol, addend);
        }
        (code, relocations)
    }

    fn data(&self) -> (Vec<u8>, Relocations) {
        let mut relocations = Relocations::default();
        let mut address = 0;
        let data = list(self.segments.iter(), |data, segment| {
            data.extend([0, 0x41]);
            // Signed, hence with room for the sign.
            padded(data, address);
            data.push(0x0b);
            leb(data, segment.size());
            for piece in &segment.contents {
                match piece {
                    Data::Bytes(bytes) => data.extend(bytes),
                    Data::Pointer(kind, symbol, addend) => {
                        relocations.add(*kind, data.len(), self.symbol(symbol), *addend);
                        data.extend([0; 4]);
                    }
                }
            }
            address += segment.size();
        });
        (data, relocations)
    }

    fn linking(&self) -> Vec<u8> {
        let mut linking = vec![2];
        section(&mut linking, 8, &self.symbols());
        let segments = list(self.segments.iter(), |out, segment| {
            bytes(out, segment.name.as_bytes());
            leb(out, segment.align);
            leb(out, segment.flags);
        });
        section(&mut linking, 5, &segments);
        if !self.constructors.is_empty() {
            let constructors = list(self.constructors.iter(), |out, (priority, symbol)| {
                leb(out, *priority);
                leb(out, self.symbol(symbol));
            });
            section(&mut linking, 6, &constructors);
        }
        if !self.comdats.is_empty() {
            let imported = self.undefined.len();
            let comdats = list(self.comdats.iter(), |out, (name, functions)| {
                bytes(out, name.as_bytes());
                leb(out, 0);
                leb(out, functions.len() as u32);
                for function in functions {
                    out.push(1);
                    leb(out, (imported + function) as u32);
                }
            });
            section(&mut linking, 7, &comdats);
        }
        linking
    }

    fn symbols(&self) -> Vec<u8> {
        let mut symbols = Vec::new();
        let data = self.segments.len() + self.undefined_data.len();
        let count = 2 + self.undefined.len() + self.functions.len() + data;
        leb(&mut symbols, count as u32);
        symbols.extend([5, 0x10, 0]);
        symbols.extend([2, 0x10, 0]);
        for (index, function) in self.undefined.iter().enumerate() {
            symbols.push(0);
            leb(&mut symbols, function.flags | flags::UNDEFINED);
            leb(&mut symbols, index as u32);
            if function.flags & flags::EXPLICIT_NAME != 0 {
                bytes(&mut symbols, function.name.as_bytes());
            }
        }
        for (index, function) in self.functions.iter().enumerate() {
            symbols.push(0);
            leb(&mut symbols, function.flags);
            leb(&mut symbols, (self.undefined.len() + index) as u32);
            bytes(&mut symbols, &function.name);
        }
        for (index, segment) in self.segments.iter().enumerate() {
            let (offset, size) = segment.claim.unwrap_or((0, segment.size()));
            symbols.push(1);
            leb(&mut symbols, segment.symbol_flags);
            bytes(&mut symbols, &segment.symbol);
            leb(&mut symbols, index as u32);
            leb(&mut symbols, offset);
            leb(&mut symbols, size);
        }
        for (name, flags) in &self.undefined_data {
            symbols.push(1);
            leb(&mut symbols, flags | flags::UNDEFINED);
            bytes(&mut symbols, name.as_bytes());
        }
        symbols
    }
}

impl Segment {
    /// Bytes of its contents.
    pub fn size(&self) -> u32 {
        let sizes = self.contents.iter().map(|piece| match piece {
            Data::Bytes(bytes) => bytes.len() as u32,
            Data::Pointer(..) => 4,
        });
        sizes.sum()
    }
}
