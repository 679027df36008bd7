//! Reads one relocatable object.
//!
//! Takes the bytes of a WebAssembly object and gives its symbols, functions,
//! data segments, custom sections and where their relocations are. Nothing is
//! copied: everything borrows from the input. Relocations are decoded later,
//! and only those of what is live.
//!
//! The format is WebAssembly/tool-conventions' `Linking.md`, with the
//! relocation types of LLVM's `WasmRelocs.def`.

use std::fmt;
use std::sync::OnceLock;

use wasmparser::{
    BinaryReader, CustomSectionReader, DataKind, ExternalKind, GlobalType, Linking, Parser,
    Payload, RelocAddendKind, RelocationType, SymbolFlags, SymbolInfo, TableType, TypeRef,
};

use super::error::{Error, Result};

/// `WASM_SEG_FLAG_STRINGS`: null-terminated strings, which may be merged.
pub const SEGMENT_STRINGS: u32 = 1;
/// `WASM_SEG_FLAG_TLS`: thread-local data.
pub const SEGMENT_TLS: u32 = 2;
/// `WASM_SEG_FLAG_RETAIN`: kept although nothing refers to it.
pub const SEGMENT_RETAIN: u32 = 4;

/// Which file an object is, and which member of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The input file.
    pub file: &'a str,
    /// The archive member, if it is one.
    pub member: Option<&'a str>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.member {
            Some(member) => write!(f, "{}({member})", self.file),
            None => f.write_str(self.file),
        }
    }
}

/// A function that the object defines.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// Index into the object's types.
    pub ty: u32,
    /// Where its body begins in the code section's contents, after its size.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// Index of its comdat group, or `NO_COMDAT`.
    pub comdat: u32,
}

/// For what belongs to no comdat group.
pub const NO_COMDAT: u32 = u32::MAX;

/// Something the object imports.
#[derive(Debug, Clone, Copy)]
pub struct Import<'a, T> {
    /// The module it is imported from.
    pub module: &'a str,
    /// Its name there.
    pub name: &'a str,
    /// Its type.
    pub ty: T,
}

/// A global that the object defines.
#[derive(Debug, Clone, Copy)]
pub struct Global<'a> {
    /// Its type.
    pub ty: GlobalType,
    /// Its initial value, a constant expression with its `end`.
    pub init: &'a [u8],
}

/// A data segment.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// Its name, such as `.rodata.greeting`.
    pub name: &'a str,
    /// Its alignment, as a power of two; at most 31.
    pub align: u32,
    /// `SEGMENT_*`.
    pub flags: u32,
    /// Its bytes.
    pub data: &'a [u8],
    /// Where they begin in the data section's contents.
    pub start: u32,
    /// Index of its comdat group, or `NO_COMDAT`.
    pub comdat: u32,
}

/// A custom section that may end in the module.
#[derive(Debug, Clone)]
pub struct Custom<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its contents.
    pub data: &'a [u8],
    /// Its index among the object's sections, which symbols refer to.
    pub section: u32,
    /// Its relocations, not decoded yet.
    pub relocations: Option<Entries<'a>>,
    /// Index of its comdat group, or `NO_COMDAT`.
    pub comdat: u32,
}

/// What a symbol names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A function.
    Function,
    /// Bytes in linear memory.
    Data,
    /// A global.
    Global,
    /// A custom section.
    Section,
    /// An exception's tag.
    Tag,
    /// A table.
    Table,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Function => "function",
            Kind::Data => "data",
            Kind::Global => "global",
            Kind::Section => "section",
            Kind::Tag => "tag",
            Kind::Table => "table",
        })
    }
}

/// An entry of the object's symbol table.
#[derive(Debug, Clone, Copy)]
pub struct Symbol<'a> {
    /// Its name; empty for a section.
    pub name: &'a str,
    /// What it names.
    pub kind: Kind,
    /// `WASM_SYM_*`.
    pub flags: SymbolFlags,
    /// If undefined: index into the imports of its kind. If defined: index
    /// into the definitions of its kind, a segment for data, a section's index
    /// for a section.
    pub index: u32,
    /// Offset in its segment, for defined data.
    pub offset: u32,
    /// Size, for defined data.
    pub size: u32,
}

impl Symbol<'_> {
    /// Whether the object uses it and does not define it.
    pub fn is_undefined(&self) -> bool {
        self.flags.contains(SymbolFlags::UNDEFINED)
    }

    /// Whether other objects cannot see it.
    pub fn is_local(&self) -> bool {
        self.flags.contains(SymbolFlags::BINDING_LOCAL)
    }

    /// Whether another definition takes precedence.
    pub fn is_weak(&self) -> bool {
        self.flags.contains(SymbolFlags::BINDING_WEAK)
    }
}

/// A relocation of code or data: where, what, and to which symbol.
#[derive(Debug, Clone, Copy)]
pub struct Relocation {
    /// Where it applies, counted from the start of the section's contents.
    pub offset: u32,
    /// The symbol, or the type for `TypeIndexLeb`.
    pub index: u32,
    /// Added to the symbol's address.
    pub addend: i32,
    /// How the value is encoded.
    pub ty: RelocationType,
}

/// A `reloc.*` section, not decoded: how many entries it claims to have, and
/// their bytes.
#[derive(Debug, Clone, Copy)]
pub struct Entries<'a> {
    count: u32,
    bytes: &'a [u8],
}

/// Decodes one entry. There may be millions, so this does no more than it must;
/// [`Object::each_entry`] looks at what it gives.
#[inline]
fn entry(bytes: &mut &[u8]) -> Option<Relocation> {
    let (&ty, rest) = bytes.split_first()?;
    *bytes = rest;
    let ty = RelocationType::try_from(ty).ok()?;
    let (offset, _) = leb(bytes)?;
    let (index, _) = leb(bytes)?;
    let offset = u32::try_from(offset).ok()?;
    let index = u32::try_from(index).ok()?;
    let addend = match ty.addend_kind() {
        RelocAddendKind::None => 0,
        RelocAddendKind::Addend32 => {
            // The sign is in the last byte's second highest bit.
            let (value, len) = leb(bytes)?;
            let shift = 64 - 7 * len;
            i32::try_from((value << shift) as i64 >> shift).ok()?
        }
        // Refused for its type, whatever the addend.
        RelocAddendKind::Addend64 => {
            while bytes.split_off_first()? & 0x80 != 0 {}
            0
        }
    };
    Some(Relocation {
        offset,
        index,
        addend,
        ty,
    })
}

/// The kinds of symbol that a relocation of this type may refer to: none if it
/// refers to a type, `None` if it is for a 64-bit memory.
#[inline]
fn kinds(ty: RelocationType) -> Option<&'static [Kind]> {
    use RelocationType::*;
    Some(match ty {
        TypeIndexLeb => &[],
        FunctionIndexLeb | FunctionIndexI32 | TableIndexSleb | TableIndexI32
        | TableIndexRelSleb | FunctionOffsetI32 => &[Kind::Function],
        MemoryAddrLeb | MemoryAddrSleb | MemoryAddrI32 | MemoryAddrRelSleb | MemoryAddrTlsSleb
        | MemoryAddrLocrelI32 => &[Kind::Data],
        SectionOffsetI32 => &[Kind::Section],
        EventIndexLeb => &[Kind::Tag],
        TableNumberLeb => &[Kind::Table],
        // Position-independent code takes addresses from globals, too.
        GlobalIndexLeb | GlobalIndexI32 => &[Kind::Global, Kind::Data, Kind::Function],
        _ => return None,
    })
}

/// Whether a value can be written there: LLVM leaves LEB128 operands as wide as
/// any value needs.
fn is_operand(relocation: &Relocation, contents: &[u8]) -> bool {
    let at = relocation.offset as usize;
    match &contents[at..at + relocation.ty.extent()] {
        [head @ .., last] if head.len() == 4 && super::relocate::is_leb(relocation.ty) => {
            head.iter().all(|byte| byte & 0x80 != 0) && last & 0x80 == 0
        }
        _ => true,
    }
}

/// An LEB128 number of at most 5 bytes, its sign not extended, and its length.
#[inline]
fn leb(bytes: &mut &[u8]) -> Option<(u64, u32)> {
    let mut value = 0;
    for at in 0..5 {
        let byte = *bytes.get(at)?;
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            *bytes = &bytes[at + 1..];
            return Some((value, at as u32 + 1));
        }
    }
    None
}

/// The relocations of a section, and which belong to each of its parts.
#[derive(Debug)]
struct Relocations {
    all: Vec<Relocation>,
    /// Per function or segment: from and to in `all`.
    ranges: Vec<(u32, u32)>,
}

impl Relocations {
    fn of(&self, part: usize) -> &[Relocation] {
        let (from, to) = self.ranges[part];
        &self.all[from as usize..to as usize]
    }
}

/// A relocatable object.
#[derive(Debug)]
pub struct Object<'a> {
    /// Which file and member it is.
    pub place: Place<'a>,
    /// Function types as they are encoded, so that equal types are equal bytes.
    pub types: Vec<&'a [u8]>,
    /// Imported functions; their types are indices into `types`.
    pub function_imports: Vec<Import<'a, u32>>,
    /// Imported globals.
    pub global_imports: Vec<Import<'a, GlobalType>>,
    /// Imported tables.
    pub table_imports: Vec<Import<'a, TableType>>,
    /// Imported tags; their types are indices into `types`.
    pub tag_imports: Vec<Import<'a, u32>>,
    /// Functions it defines.
    pub functions: Vec<Function>,
    /// The contents of its code section.
    pub code: &'a [u8],
    /// Globals it defines.
    pub globals: Vec<Global<'a>>,
    /// Tables it defines.
    pub tables: Vec<TableType>,
    /// Types of the tags it defines.
    pub tags: Vec<u32>,
    /// Its data segments.
    pub segments: Vec<Segment<'a>>,
    /// The contents of its data section.
    pub data: &'a [u8],
    /// Custom sections other than those the linker reads itself.
    pub customs: Vec<Custom<'a>>,
    /// Its symbol table.
    pub symbols: Vec<Symbol<'a>>,
    /// Constructors: priority and symbol.
    pub init_functions: Vec<(u32, u32)>,
    /// Names of its comdat groups.
    pub comdats: Vec<&'a str>,
    /// Names under which defined functions are exported.
    pub export_names: Vec<(u32, &'a str)>,
    /// The contents of its `producers` section.
    pub producers: Option<CustomSectionReader<'a>>,
    /// Features and their policy: `+` used, `-` refused.
    pub features: Vec<(u8, &'a str)>,
    /// Whether it uses tables without naming them in relocations (LLVM before
    /// reference types).
    pub legacy_table: bool,
    code_entries: Option<Entries<'a>>,
    data_entries: Option<Entries<'a>>,
    code_relocations: OnceLock<Relocations>,
    data_relocations: OnceLock<Relocations>,
}

/// Counts that the input claims are not believed further than this many items
/// ahead of reading them.
fn capacity(claimed: u32) -> usize {
    claimed.min(1 << 12) as usize
}

impl<'a> Object<'a> {
    /// Reads the object `bytes`.
    ///
    /// # Errors
    ///
    /// If it is no relocatable WebAssembly object for a 32-bit memory, or one
    /// of its tables refers to what is not there.
    pub fn read(place: Place<'a>, bytes: &'a [u8]) -> Result<Self> {
        Reader::new(place, bytes).read()
    }

    /// Relocations of the code section, in the order of their offsets.
    pub fn code_relocations(&self) -> Result<&[Relocation]> {
        Ok(&self.decoded_code()?.all)
    }

    fn decoded_code(&self) -> Result<&Relocations> {
        let extents = self.functions.iter().map(|f| (f.start, f.end));
        self.decoded(
            &self.code_relocations,
            &self.code_entries,
            self.code,
            "CODE",
            extents,
        )
    }

    fn decoded_data(&self) -> Result<&Relocations> {
        let extents = self
            .segments
            .iter()
            .map(|s| (s.start, s.start + s.data.len() as u32));
        self.decoded(
            &self.data_relocations,
            &self.data_entries,
            self.data,
            "DATA",
            extents,
        )
    }

    fn decoded<'s>(
        &'s self,
        cell: &'s OnceLock<Relocations>,
        entries: &Option<Entries<'a>>,
        contents: &[u8],
        section: &str,
        extents: impl Iterator<Item = (u32, u32)>,
    ) -> Result<&'s Relocations> {
        if let Some(relocations) = cell.get() {
            return Ok(relocations);
        }
        let mut relocations = Vec::new();
        if let Some(entries) = entries {
            relocations.reserve_exact(capacity(entries.count));
            let mut sorted = true;
            let mut end = 0;
            let mut forged = None;
            self.each_entry(entries, contents.len(), section, |relocation| {
                if !is_operand(&relocation, contents) {
                    forged.get_or_insert(relocation);
                }
                sorted &= relocation.offset as usize >= end;
                end = relocation.offset as usize + relocation.ty.extent();
                relocations.push(relocation);
            })?;
            if let Some(relocation) = forged {
                return Err(self.error(format_args!(
                    "reloc.{section}: {:?} at offset {:#x}, where there is no operand of 5 bytes; \
                     the object is damaged",
                    relocation.ty, relocation.offset
                )));
            }
            if !sorted {
                relocations.sort_by_key(|r| r.offset);
                let overlap = relocations
                    .windows(2)
                    .find(|w| w[0].offset as usize + w[0].ty.extent() > w[1].offset as usize);
                if let Some(w) = overlap {
                    return Err(self.error(format_args!(
                        "reloc.{section}: two relocations overlap at offset {:#x}",
                        w[1].offset
                    )));
                }
            }
        }
        let mut ranges = Vec::new();
        let mut next = 0;
        for (start, end) in extents {
            while relocations
                .get(next)
                .is_some_and(|r: &Relocation| r.offset < start)
            {
                next += 1;
            }
            let from = next;
            while let Some(r) = relocations.get(next).filter(|r| r.offset < end) {
                if r.offset as usize + r.ty.extent() > end as usize {
                    return Err(self.error(format_args!(
                        "reloc.{section}: {:?} at offset {:#x} crosses the end of what it belongs to",
                        r.ty, r.offset
                    )));
                }
                next += 1;
            }
            ranges.push((from as u32, next as u32));
        }
        Ok(cell.get_or_init(|| Relocations {
            all: relocations,
            ranges,
        }))
    }

    /// Decodes relocations one by one, each checked: it lies inside its
    /// section of `limit` bytes, its symbol exists and is of its kind.
    #[inline]
    pub fn each_entry(
        &self,
        entries: &Entries<'a>,
        limit: usize,
        section: &str,
        mut take: impl FnMut(Relocation),
    ) -> Result<()> {
        let mut rest = entries.bytes;
        for number in 0..entries.count {
            let Some(entry) = entry(&mut rest) else {
                return Err(self.error(format_args!(
                    "reloc.{section}: relocation {number} is cut short, or of a type that is not \
                     known; the object is damaged"
                )));
            };
            if !self.fits(&entry, limit) {
                return Err(self.misfit(&entry, limit, section));
            }
            take(entry);
        }
        Ok(())
    }

    #[inline]
    fn fits(&self, entry: &Relocation, limit: usize) -> bool {
        let index = entry.index as usize;
        entry.offset as usize + entry.ty.extent() <= limit
            && match kinds(entry.ty) {
                None => false,
                Some([]) => index < self.types.len(),
                Some(kinds) => self
                    .symbols
                    .get(index)
                    .is_some_and(|s| kinds.contains(&s.kind)),
            }
    }

    /// Why an entry does not fit.
    #[cold]
    fn misfit(&self, entry: &Relocation, limit: usize, section: &str) -> Error {
        let index = entry.index;
        let what = if entry.offset as usize + entry.ty.extent() > limit {
            format!("lies outside its section of {limit} bytes; the object is damaged")
        } else {
            match (kinds(entry.ty), self.symbols.get(index as usize)) {
                (None, _) => "is for a 64-bit memory, which genkan does not link".into(),
                (Some([]), _) => format!("refers to type {index}, which is not there"),
                (_, Some(symbol)) => format!(
                    "does not fit its symbol `{}`, which is a {}",
                    symbol.name, symbol.kind
                ),
                (_, None) => {
                    format!(
                        "refers to symbol {index}, but there are {}",
                        self.symbols.len()
                    )
                }
            }
        };
        self.error(format_args!(
            "reloc.{section}: {:?} at offset {:#x} {what}",
            entry.ty, entry.offset
        ))
    }

    /// The relocations of a function's body.
    pub fn function_relocations(&self, index: usize) -> Result<&[Relocation]> {
        Ok(self.decoded_code()?.of(index))
    }

    /// The relocations of a data segment.
    pub fn segment_relocations(&self, index: usize) -> Result<&[Relocation]> {
        Ok(self.decoded_data()?.of(index))
    }

    /// The type of a function symbol, as it is encoded.
    pub fn function_type(&self, symbol: &Symbol) -> &'a [u8] {
        let ty = if symbol.is_undefined() {
            self.function_imports[symbol.index as usize].ty
        } else {
            self.functions[symbol.index as usize].ty
        };
        self.types[ty as usize]
    }

    /// An error about this object.
    pub fn error(&self, message: impl fmt::Display) -> Error {
        Error::at(self.place, message)
    }
}

/// The state of reading: sections come first, then what refers to them.
struct Reader<'a> {
    bytes: &'a [u8],
    object: Object<'a>,
    function_types: Vec<u32>,
    /// The index of the section read now.
    section: u32,
    code_section: Option<u32>,
    data_section: Option<u32>,
    linking: Option<wasmparser::LinkingSectionReader<'a>>,
    relocations: Vec<(u32, Entries<'a>)>,
}

impl<'a> Reader<'a> {
    fn new(place: Place<'a>, bytes: &'a [u8]) -> Self {
        Reader {
            bytes,
            object: Object {
                place,
                types: Vec::new(),
                function_imports: Vec::new(),
                global_imports: Vec::new(),
                table_imports: Vec::new(),
                tag_imports: Vec::new(),
                functions: Vec::new(),
                code: &[],
                globals: Vec::new(),
                tables: Vec::new(),
                tags: Vec::new(),
                segments: Vec::new(),
                data: &[],
                customs: Vec::new(),
                symbols: Vec::new(),
                init_functions: Vec::new(),
                comdats: Vec::new(),
                export_names: Vec::new(),
                producers: None,
                features: Vec::new(),
                legacy_table: false,
                code_entries: None,
                data_entries: None,
                code_relocations: OnceLock::new(),
                data_relocations: OnceLock::new(),
            },
            function_types: Vec::new(),
            section: 0,
            code_section: None,
            data_section: None,
            linking: None,
            relocations: Vec::new(),
        }
    }

    fn damaged(&self, error: wasmparser::BinaryReaderError) -> Error {
        self.object.error(format_args!(
            "{} (at offset {:#x}); the object is damaged or not one",
            error.message(),
            error.offset()
        ))
    }

    fn read(mut self) -> Result<Object<'a>> {
        let mut next = 0;
        for payload in Parser::new(0).parse_all(self.bytes) {
            let payload = payload.map_err(|e| self.damaged(e))?;
            match payload {
                Payload::Version { encoding, .. } => {
                    if encoding != wasmparser::Encoding::Module {
                        return Err(self.object.error(
                            "this is a component, not an object; link core modules' objects",
                        ));
                    }
                    continue;
                }
                Payload::End(_) => break,
                Payload::CodeSectionEntry(_) => {}
                _ => {
                    self.section = next;
                    next += 1;
                }
            }
            self.payload(payload).map_err(|error| match error {
                ReadError::Parser(e) => self.damaged(e),
                ReadError::Linker(e) => e,
            })?;
        }
        if self.object.functions.len() != self.function_types.len() {
            return Err(self.object.error(format_args!(
                "{} function types, but {} bodies; the object is damaged",
                self.function_types.len(),
                self.object.functions.len()
            )));
        }
        let Some(linking) = self.linking.take() else {
            return Err(self.object.error(
                "not a relocatable object: it has no `linking` section; a finished module \
                 cannot be linked again",
            ));
        };
        let subsections = linking.subsections();
        for subsection in subsections {
            let subsection = subsection.map_err(|e| self.damaged(e))?;
            self.linking(subsection).map_err(|error| match error {
                ReadError::Parser(e) => self.damaged(e),
                ReadError::Linker(e) => e,
            })?;
        }
        self.attach_relocations()?;
        self.check_tables()?;
        Ok(self.object)
    }

    fn payload(&mut self, payload: Payload<'a>) -> Result<(), ReadError> {
        let object = &mut self.object;
        match payload {
            Payload::TypeSection(types) => {
                let end = types.range().end as usize;
                let mut starts = Vec::with_capacity(capacity(types.count()));
                for item in types.into_iter_with_offsets() {
                    let (offset, group) = item?;
                    let mut types = group.into_types();
                    let plain = types.next().is_some_and(|t| {
                        matches!(
                            t.composite_type.inner,
                            wasmparser::CompositeInnerType::Func(_)
                        )
                    });
                    if !plain || types.next().is_some() {
                        return Err(object
                            .error("types other than functions are not linked")
                            .into());
                    }
                    starts.push(offset as usize);
                }
                starts.push(end);
                object.types = starts.windows(2).map(|w| &self.bytes[w[0]..w[1]]).collect();
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    let (module, name) = (import.module, import.name);
                    match import.ty {
                        TypeRef::Func(ty) => {
                            object.check_type(ty)?;
                            object.function_imports.push(Import { module, name, ty });
                        }
                        TypeRef::Global(ty) => {
                            object.global_imports.push(Import { module, name, ty });
                        }
                        TypeRef::Table(ty) => {
                            object.table_imports.push(Import { module, name, ty });
                        }
                        TypeRef::Tag(tag) => {
                            let ty = tag.func_type_idx;
                            object.check_type(ty)?;
                            object.tag_imports.push(Import { module, name, ty });
                        }
                        TypeRef::Memory(memory) if memory.memory64 => {
                            return Err(object
                                .error(
                                    "made for a 64-bit memory (wasm64), which genkan does not link",
                                )
                                .into());
                        }
                        TypeRef::Memory(_) => {}
                        TypeRef::FuncExact(_) => {
                            return Err(object
                                .error("imports a function by its exact type, which genkan does not link")
                                .into());
                        }
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                self.function_types.reserve(capacity(functions.count()));
                for ty in functions {
                    let ty = ty?;
                    object.check_type(ty)?;
                    self.function_types.push(ty);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    object.tables.push(table?.ty);
                }
            }
            Payload::TagSection(tags) => {
                for tag in tags {
                    let ty = tag?.func_type_idx;
                    object.check_type(ty)?;
                    object.tags.push(ty);
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    let global = global?;
                    let mut reader = global.init_expr.get_binary_reader();
                    let init = reader.read_bytes(reader.bytes_remaining())?;
                    object.globals.push(Global {
                        ty: global.ty,
                        init,
                    });
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    let imported = object.function_imports.len() as u32;
                    if export.kind == ExternalKind::Func && export.index >= imported {
                        object
                            .export_names
                            .push((export.index - imported, export.name));
                    }
                }
            }
            Payload::CodeSectionStart {
                unchecked_range, ..
            } => {
                self.code_section = Some(self.section);
                let range = unchecked_range.start as usize..unchecked_range.end as usize;
                object.code = self
                    .bytes
                    .get(range)
                    .ok_or_else(|| object.error("the code section is cut short"))?;
            }
            Payload::CodeSectionEntry(body) => {
                let base = offset_in(self.bytes, object.code);
                let start = (body.range().start as usize - base) as u32;
                let Some(&ty) = self.function_types.get(object.functions.len()) else {
                    return Err(object
                        .error("more bodies than functions; the object is damaged")
                        .into());
                };
                object.functions.push(Function {
                    ty,
                    start,
                    end: (body.range().end as usize - base) as u32,
                    comdat: NO_COMDAT,
                });
            }
            Payload::DataSection(segments) => {
                self.data_section = Some(self.section);
                let range = segments.range();
                object.data = &self.bytes[range.start as usize..range.end as usize];
                for segment in segments {
                    let segment = segment?;
                    if !matches!(
                        segment.kind,
                        DataKind::Active {
                            memory_index: 0,
                            ..
                        } | DataKind::Passive
                    ) {
                        return Err(object
                            .error("data for a second memory is not linked")
                            .into());
                    }
                    object.segments.push(Segment {
                        name: "",
                        align: 0,
                        flags: 0,
                        data: segment.data,
                        start: (offset_in(self.bytes, segment.data) as u64 - range.start) as u32,
                        comdat: NO_COMDAT,
                    });
                }
            }
            Payload::CustomSection(custom) => self.custom(custom)?,
            // The function table is made anew; a memory is imported, never
            // defined; a start function is a module's.
            Payload::ElementSection(_) | Payload::DataCountSection { .. } => {}
            Payload::MemorySection(_) | Payload::StartSection { .. } => {
                return Err(object
                    .error("defines a memory or a start function: a finished module, not an object")
                    .into());
            }
            other => {
                return Err(object
                    .error(format_args!(
                        "unexpected section {:?}",
                        other.as_section().map(|s| s.0)
                    ))
                    .into());
            }
        }
        Ok(())
    }

    fn custom(&mut self, custom: CustomSectionReader<'a>) -> Result<(), ReadError> {
        match custom.name() {
            "linking" => {
                self.linking = Some(wasmparser::LinkingSectionReader::new(reader(&custom))?);
            }
            "producers" => self.object.producers = Some(custom),
            "target_features" => {
                let mut reader = reader(&custom);
                for _ in 0..reader.read_var_u32()? {
                    let policy = reader.read_u8()?;
                    self.object.features.push((policy, reader.read_string()?));
                }
            }
            // Names come from the symbols; the compiler's bitcode is for LTO.
            "name" | ".llvmbc" | ".llvmcmd" => {}
            name if name.starts_with("reloc.") => {
                let mut reader = reader(&custom);
                let section = reader.read_var_u32()?;
                let count = reader.read_var_u32()?;
                let bytes = reader.read_bytes(reader.bytes_remaining())?;
                self.relocations.push((section, Entries { count, bytes }));
            }
            name if name == "dylink" || name == "dylink.0" => {
                return Err(self
                    .object
                    .error("a shared library (dynamic linking), which genkan does not link")
                    .into());
            }
            name => self.object.customs.push(Custom {
                name,
                data: custom.data(),
                section: self.section,
                relocations: None,
                comdat: NO_COMDAT,
            }),
        }
        Ok(())
    }

    fn linking(&mut self, subsection: Linking<'a>) -> Result<(), ReadError> {
        let object = &mut self.object;
        match subsection {
            Linking::SegmentInfo(segments) => {
                if segments.count() as usize != object.segments.len() {
                    return Err(object
                        .error(format_args!(
                            "names {} data segments, but has {}; the object is damaged",
                            segments.count(),
                            object.segments.len()
                        ))
                        .into());
                }
                for (index, info) in segments.into_iter().enumerate() {
                    let info = info?;
                    if info.alignment > 31 {
                        return Err(object
                            .error(format_args!(
                                "segment `{}` wants an alignment of 2^{}; at most 2^31 is possible",
                                info.name, info.alignment
                            ))
                            .into());
                    }
                    let segment = &mut object.segments[index];
                    segment.name = info.name;
                    segment.align = info.alignment;
                    segment.flags = info.flags.bits();
                    // LLVM before 13 had no flag for it.
                    if info.name.starts_with(".tdata") || info.name.starts_with(".tbss") {
                        segment.flags |= SEGMENT_TLS;
                    }
                }
            }
            Linking::InitFuncs(functions) => {
                for function in functions {
                    let function = function?;
                    object
                        .init_functions
                        .push((function.priority, function.symbol_index));
                }
            }
            Linking::ComdatInfo(comdats) => {
                for comdat in comdats {
                    let comdat = comdat?;
                    let group = object.comdats.len() as u32;
                    object.comdats.push(comdat.name);
                    for symbol in comdat.symbols {
                        object.join_comdat(group, symbol?)?;
                    }
                }
            }
            Linking::SymbolTable(symbols) => {
                object.symbols.reserve(capacity(symbols.count()));
                for symbol in symbols {
                    let symbol = object.symbol(symbol?)?;
                    object.symbols.push(symbol);
                }
            }
            Linking::TargetArch(arch) if arch != "wasm32" => {
                return Err(object
                    .error(format_args!("made for `{arch}`; genkan links wasm32"))
                    .into());
            }
            Linking::TargetArch(_) | Linking::Unknown { .. } => {}
        }
        Ok(())
    }

    fn attach_relocations(&mut self) -> Result<()> {
        for (section, entries) in std::mem::take(&mut self.relocations) {
            let object = &mut self.object;
            if Some(section) == self.code_section {
                object.code_entries = Some(entries);
            } else if Some(section) == self.data_section {
                object.data_entries = Some(entries);
            } else if let Some(custom) = object.customs.iter_mut().find(|c| c.section == section) {
                custom.relocations = Some(entries);
            } else if entries.count > 0 {
                return Err(object.error(format_args!(
                    "relocations for section {section}, which holds nothing that can be relocated"
                )));
            }
        }
        for &(_, symbol) in &self.object.init_functions {
            let kind = self.object.symbols.get(symbol as usize).map(|s| s.kind);
            if kind != Some(Kind::Function) {
                return Err(self.object.error(format_args!(
                    "a constructor refers to symbol {symbol}, which is no function"
                )));
            }
        }
        Ok(())
    }

    /// An object of LLVM before reference types has no symbol for its one
    /// table, the table of functions.
    fn check_tables(&mut self) -> Result<()> {
        let object = &mut self.object;
        let tables = object.table_imports.len() + object.tables.len();
        let named = object
            .symbols
            .iter()
            .filter(|s| s.kind == Kind::Table)
            .count();
        if tables > 0 && named == 0 {
            let is_function_table = object.tables.is_empty()
                && object.table_imports.len() == 1
                && object.table_imports[0].name == FUNCTION_TABLE;
            if !is_function_table {
                return Err(object.error("a table without a symbol; compile with a newer LLVM"));
            }
            object.legacy_table = true;
        }
        Ok(())
    }
}

/// The table that function pointers index.
pub const FUNCTION_TABLE: &str = "__indirect_function_table";

impl<'a> Object<'a> {
    fn check_type(&self, ty: u32) -> Result<()> {
        if ty as usize >= self.types.len() {
            return Err(self.error(format_args!("refers to type {ty}, which is not there")));
        }
        Ok(())
    }

    fn join_comdat(&mut self, group: u32, member: wasmparser::ComdatSymbol) -> Result<()> {
        use wasmparser::ComdatSymbolKind as K;
        let index = member.index as usize;
        let imported = self.function_imports.len();
        let comdat = match member.kind {
            K::Data => self.segments.get_mut(index).map(|s| &mut s.comdat),
            K::Func => index
                .checked_sub(imported)
                .and_then(|i| self.functions.get_mut(i))
                .map(|f| &mut f.comdat),
            K::Section => {
                // Sections that the linker reads itself are in no group.
                let section = self
                    .customs
                    .iter_mut()
                    .find(|c| c.section as usize == index);
                section.map(|c| &mut c.comdat)
            }
            K::Global | K::Event | K::Table => None,
        };
        match comdat {
            Some(comdat) => {
                *comdat = group;
                Ok(())
            }
            None => Err(self.error(format_args!(
                "comdat `{}` holds {:?} {index}, which is not there",
                self.comdats[group as usize], member.kind
            ))),
        }
    }

    fn symbol(&self, info: SymbolInfo<'a>) -> Result<Symbol<'a>> {
        let (kind, flags, name, index) = match info {
            SymbolInfo::Func { flags, index, name } => (Kind::Function, flags, name, index),
            SymbolInfo::Global { flags, index, name } => (Kind::Global, flags, name, index),
            SymbolInfo::Event { flags, index, name } => (Kind::Tag, flags, name, index),
            SymbolInfo::Table { flags, index, name } => (Kind::Table, flags, name, index),
            SymbolInfo::Section { flags, section } => {
                return Ok(Symbol {
                    name: "",
                    kind: Kind::Section,
                    flags,
                    index: section,
                    offset: 0,
                    size: 0,
                });
            }
            SymbolInfo::Data {
                flags,
                name,
                symbol,
            } => {
                let mut data = Symbol {
                    name,
                    kind: Kind::Data,
                    flags,
                    index: 0,
                    offset: 0,
                    size: 0,
                };
                if let Some(at) = symbol {
                    if !flags.contains(SymbolFlags::ABSOLUTE) {
                        let fits = self
                            .segments
                            .get(at.index as usize)
                            .is_some_and(|s| at.offset as usize <= s.data.len());
                        if !fits {
                            return Err(self.error(format_args!(
                                "symbol `{name}` lies at offset {:#x} of segment {}, which is not there",
                                at.offset, at.index
                            )));
                        }
                    }
                    (data.index, data.offset, data.size) = (at.index, at.offset, at.size);
                }
                return Ok(data);
            }
        };
        let (imports, definitions) = match kind {
            Kind::Function => (self.function_imports.len(), self.functions.len()),
            Kind::Global => (self.global_imports.len(), self.globals.len()),
            Kind::Tag => (self.tag_imports.len(), self.tags.len()),
            _ => (self.table_imports.len(), self.tables.len()),
        };
        let undefined = flags.contains(SymbolFlags::UNDEFINED);
        let position = index as usize;
        let fits = if undefined {
            position < imports
        } else {
            (imports..imports + definitions).contains(&position)
        };
        if !fits {
            return Err(self.error(format_args!(
                "symbol `{}` refers to {kind} {index}, which is not {}",
                name.unwrap_or_default(),
                if undefined { "imported" } else { "defined" }
            )));
        }
        // An undefined symbol without a name of its own has its import's.
        let name = name.unwrap_or_else(|| match kind {
            Kind::Function => self.function_imports[position].name,
            Kind::Global => self.global_imports[position].name,
            Kind::Tag => self.tag_imports[position].name,
            _ => self.table_imports[position].name,
        });
        Ok(Symbol {
            name,
            kind,
            flags,
            index: if undefined {
                index
            } else {
                index - imports as u32
            },
            offset: 0,
            size: 0,
        })
    }
}

/// What stops reading a section.
enum ReadError {
    Parser(wasmparser::BinaryReaderError),
    Linker(Error),
}

impl From<wasmparser::BinaryReaderError> for ReadError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        ReadError::Parser(error)
    }
}

impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        ReadError::Linker(error)
    }
}

fn reader<'a>(custom: &CustomSectionReader<'a>) -> BinaryReader<'a> {
    BinaryReader::new(custom.data(), custom.data_offset())
}

/// Where `part` begins in `whole`, of which it is a slice.
fn offset_in(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}
