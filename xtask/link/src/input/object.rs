//! One relocatable object: its symbols, functions, data segments and custom
//! sections. Relocations are decoded when they are asked for: only those of what
//! is live ever are.

use std::sync::OnceLock;

use wasmparser::{CustomSectionReader, GlobalType, SymbolFlags, TableType};

use crate::error::{Damage, Errors, RelocationMisfit, Result};
use crate::index::{
    Comdat, Index, IndexVec, ObjCustom, ObjFunction, ObjGlobal, ObjImport, ObjSegment, ObjSymbol,
    ObjTable, ObjTag, ObjType,
};
use crate::input::relocation::{self, Entries, Refers, Relocation};
use crate::origin::{ObjectName, SymbolKind};
use crate::signature::Signature;

/// `WASM_SEG_FLAG_STRINGS`: null-terminated strings, which may be merged.
pub const SEGMENT_STRINGS: u32 = 1;
/// `WASM_SEG_FLAG_TLS`: thread-local data.
pub const SEGMENT_TLS: u32 = 2;
/// `WASM_SEG_FLAG_RETAIN`: kept although nothing refers to it.
pub const SEGMENT_RETAIN: u32 = 4;

/// The table that function pointers index.
pub const FUNCTION_TABLE: &str = "__indirect_function_table";

/// A function that the object defines.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// Its type.
    pub ty: ObjType,
    /// Where its body begins in the code section's contents, after its size.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// The comdat group that it belongs to.
    pub comdat: Option<Comdat>,
}

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
    /// The comdat group that it belongs to.
    pub comdat: Option<Comdat>,
}

/// A custom section that may end in the module.
#[derive(Debug, Clone)]
pub struct Custom<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its contents.
    pub data: &'a [u8],
    /// Its index among the object's sections.
    pub section: u32,
    /// Its relocations, not decoded yet.
    pub relocations: Option<Entries<'a>>,
    /// The comdat group that it belongs to.
    pub comdat: Option<Comdat>,
}

/// What an entry of a symbol table refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Referent {
    /// An import of the symbol's kind, for an undefined symbol.
    Import(ObjImport),
    /// Data that another object defines.
    UndefinedData,
    /// A function of the object.
    Function(ObjFunction),
    /// Bytes of a data segment.
    Data {
        /// The segment.
        segment: ObjSegment,
        /// Offset of the first byte there.
        offset: u32,
        /// How many there are.
        size: u32,
    },
    /// An address that is not in any segment.
    Absolute(u32),
    /// A global of the object.
    Global(ObjGlobal),
    /// A tag of the object.
    Tag(ObjTag),
    /// A table of the object.
    Table(ObjTable),
    /// A section; `None` if it is no custom one.
    Section(Option<ObjCustom>),
}

/// An entry of the object's symbol table.
#[derive(Debug, Clone, Copy)]
pub struct ObjectSymbol<'a> {
    /// Its name; empty for a section.
    pub name: &'a str,
    /// What it names.
    pub kind: SymbolKind,
    /// `WASM_SYM_*`.
    pub flags: SymbolFlags,
    /// What it refers to.
    pub referent: Referent,
}

impl ObjectSymbol<'_> {
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
    pub name: ObjectName<'a>,
    /// Function types.
    pub types: IndexVec<ObjType, Signature<'a>>,
    /// Imported functions.
    pub function_imports: IndexVec<ObjImport, Import<'a, ObjType>>,
    /// Imported globals.
    pub global_imports: IndexVec<ObjImport, Import<'a, GlobalType>>,
    /// Imported tables.
    pub table_imports: IndexVec<ObjImport, Import<'a, TableType>>,
    /// Imported tags.
    pub tag_imports: IndexVec<ObjImport, Import<'a, ObjType>>,
    /// Functions it defines.
    pub functions: IndexVec<ObjFunction, Function>,
    /// The contents of its code section.
    pub code: &'a [u8],
    /// Where they begin in the object.
    pub code_offset: usize,
    /// Globals it defines.
    pub globals: IndexVec<ObjGlobal, Global<'a>>,
    /// Tables it defines.
    pub tables: IndexVec<ObjTable, TableType>,
    /// Types of the tags it defines.
    pub tags: IndexVec<ObjTag, ObjType>,
    /// Its data segments.
    pub segments: IndexVec<ObjSegment, Segment<'a>>,
    /// The contents of its data section.
    pub data: &'a [u8],
    /// Custom sections other than those the linker reads itself.
    pub customs: IndexVec<ObjCustom, Custom<'a>>,
    /// Its symbol table.
    pub symbols: IndexVec<ObjSymbol, ObjectSymbol<'a>>,
    /// Constructors: priority and symbol.
    pub init_functions: Vec<(u32, ObjSymbol)>,
    /// Names of its comdat groups.
    pub comdats: IndexVec<Comdat, &'a str>,
    /// Names under which defined functions are exported.
    pub export_names: Vec<(ObjFunction, &'a str)>,
    /// The contents of its `producers` section.
    pub producers: Option<CustomSectionReader<'a>>,
    /// Whether it is made for a 64-bit memory; `None` if it does not say.
    pub is_64: Option<bool>,
    /// Features and their policy: `+` used, `-` refused.
    pub features: Vec<(u8, &'a str)>,
    /// Whether it uses tables without naming them in relocations (LLVM before
    /// reference types).
    pub legacy_table: bool,
    pub(super) code_entries: Option<Entries<'a>>,
    pub(super) data_entries: Option<Entries<'a>>,
    code_relocations: OnceLock<Relocations>,
    data_relocations: OnceLock<Relocations>,
}

/// Counts that the input claims are not believed further than this many items
/// ahead of reading them.
pub fn capacity(claimed: u32) -> usize {
    claimed.min(1 << 12) as usize
}

impl<'a> Object<'a> {
    /// An object without anything.
    pub(super) fn empty(name: ObjectName<'a>) -> Self {
        Object {
            name,
            types: IndexVec::new(),
            function_imports: IndexVec::new(),
            global_imports: IndexVec::new(),
            table_imports: IndexVec::new(),
            tag_imports: IndexVec::new(),
            functions: IndexVec::new(),
            code: &[],
            code_offset: 0,
            globals: IndexVec::new(),
            tables: IndexVec::new(),
            tags: IndexVec::new(),
            segments: IndexVec::new(),
            data: &[],
            customs: IndexVec::new(),
            symbols: IndexVec::new(),
            init_functions: Vec::new(),
            comdats: IndexVec::new(),
            export_names: Vec::new(),
            producers: None,
            is_64: None,
            features: Vec::new(),
            legacy_table: false,
            code_entries: None,
            data_entries: None,
            code_relocations: OnceLock::new(),
            data_relocations: OnceLock::new(),
        }
    }

    /// Relocations of the code section, in the order of their offsets.
    pub fn code_relocations(&self) -> Result<&[Relocation]> {
        Ok(&self.decoded_code()?.all)
    }

    /// The relocations of a function's body.
    pub fn function_relocations(&self, function: ObjFunction) -> Result<&[Relocation]> {
        Ok(self.decoded_code()?.of(function.get()))
    }

    /// The relocations of a data segment.
    pub fn segment_relocations(&self, segment: ObjSegment) -> Result<&[Relocation]> {
        Ok(self.decoded_data()?.of(segment.get()))
    }

    fn decoded_code(&self) -> Result<&Relocations> {
        let parts = self.functions.iter().map(|f| (f.start, f.end));
        let cell = &self.code_relocations;
        self.decoded(cell, &self.code_entries, self.code, "CODE", parts)
    }

    fn decoded_data(&self) -> Result<&Relocations> {
        let parts = self
            .segments
            .iter()
            .map(|s| (s.start, s.start + s.data.len() as u32));
        let cell = &self.data_relocations;
        self.decoded(cell, &self.data_entries, self.data, "DATA", parts)
    }

    fn decoded<'s>(
        &'s self,
        cell: &'s OnceLock<Relocations>,
        entries: &Option<Entries<'a>>,
        contents: &[u8],
        section: &str,
        parts: impl Iterator<Item = (u32, u32)>,
    ) -> Result<&'s Relocations> {
        if let Some(relocations) = cell.get() {
            return Ok(relocations);
        }
        let all = match entries {
            Some(entries) => self.decode_in_order(entries, contents, section)?,
            None => Vec::new(),
        };
        let ranges = self.split(&all, parts, section)?;
        Ok(cell.get_or_init(|| Relocations { all, ranges }))
    }

    /// All relocations of a section, by their offsets.
    fn decode_in_order(
        &self,
        entries: &Entries<'a>,
        contents: &[u8],
        section: &str,
    ) -> Result<Vec<Relocation>> {
        let mut all = Vec::new();
        all.reserve_exact(capacity(entries.count));
        let mut sorted = true;
        let mut end = 0;
        let mut forged = None;
        self.each_relocation(entries, contents.len(), section, |relocation| {
            if !relocation::is_operand(&relocation, contents) {
                forged.get_or_insert(relocation);
            }
            sorted &= relocation.offset as usize >= end;
            end = relocation.end();
            all.push(relocation);
            Ok(())
        })?;
        if let Some(relocation) = forged {
            return Err(self.misfit(section, &relocation, RelocationMisfit::NoOperand));
        }
        if !sorted {
            all.sort_by_key(|relocation| relocation.offset);
            let overlap = all.windows(2).find(|w| w[0].end() > w[1].offset as usize);
            if let Some(pair) = overlap {
                return Err(self.name.damaged(Damage::RelocationsOverlap {
                    section: section.to_owned(),
                    offset: pair[1].offset,
                }));
            }
        }
        Ok(all)
    }

    /// Which of the relocations belong to each part of their section.
    fn split(
        &self,
        all: &[Relocation],
        parts: impl Iterator<Item = (u32, u32)>,
        section: &str,
    ) -> Result<Vec<(u32, u32)>> {
        let mut ranges = Vec::new();
        let mut next = 0;
        for (start, end) in parts {
            while all.get(next).is_some_and(|r| r.offset < start) {
                next += 1;
            }
            let from = next;
            while let Some(relocation) = all.get(next).filter(|r| r.offset < end) {
                if relocation.end() > end as usize {
                    return Err(self.misfit(section, relocation, RelocationMisfit::CrossesEnd));
                }
                next += 1;
            }
            ranges.push((from as u32, next as u32));
        }
        Ok(ranges)
    }

    /// Decodes relocations one by one, each checked: it lies inside its
    /// section of `size` bytes, its symbol exists and is of its kind.
    #[inline]
    pub fn each_relocation(
        &self,
        entries: &Entries<'a>,
        size: usize,
        section: &str,
        mut take: impl FnMut(Relocation) -> Result<()>,
    ) -> Result<()> {
        let mut rest = entries.bytes;
        for number in 0..entries.count {
            let Some(relocation) = relocation::entry(&mut rest) else {
                return Err(self.name.damaged(Damage::RelocationCutShort {
                    section: section.to_owned(),
                    number,
                }));
            };
            if !self.fits(&relocation, size) {
                return Err(self.does_not_fit(&relocation, size, section));
            }
            take(relocation)?;
        }
        Ok(())
    }

    #[inline]
    fn fits(&self, relocation: &Relocation, size: usize) -> bool {
        relocation.end() <= size
            && match relocation::refers(relocation.ty) {
                Refers::Type => (relocation.index as usize) < self.types.len(),
                Refers::Symbol(kinds) => self
                    .symbols
                    .at(relocation.index)
                    .is_some_and(|symbol| kinds.contains(&symbol.kind)),
            }
    }

    /// Why a relocation does not fit.
    #[cold]
    fn does_not_fit(&self, relocation: &Relocation, size: usize, section: &str) -> Errors {
        let index = relocation.index;
        if relocation.end() > size {
            return self.misfit(
                section,
                relocation,
                RelocationMisfit::OutsideSection { size },
            );
        }
        let misfit = match (relocation::refers(relocation.ty), self.symbols.at(index)) {
            (Refers::Type, _) => RelocationMisfit::NoType { ty: index },
            (Refers::Symbol(_), Some(symbol)) => RelocationMisfit::WrongKind {
                symbol: symbol.name.to_owned(),
                kind: symbol.kind,
            },
            (Refers::Symbol(_), None) => RelocationMisfit::NoSymbol {
                symbol: index,
                count: self.symbols.len(),
            },
        };
        self.misfit(section, relocation, misfit)
    }

    /// An error about a relocation of this object.
    #[cold]
    pub fn misfit(
        &self,
        section: &str,
        relocation: &Relocation,
        misfit: RelocationMisfit,
    ) -> Errors {
        self.name.damaged(Damage::Relocation {
            section: section.to_owned(),
            ty: relocation::name(relocation.ty),
            offset: relocation.offset,
            misfit,
        })
    }

    /// The function that a symbol of this object defines, if it does.
    pub fn defined_function(&self, symbol: ObjSymbol) -> Option<ObjFunction> {
        match self.symbols[symbol].referent {
            Referent::Function(function) => Some(function),
            _ => None,
        }
    }

    /// The type of a function symbol; `None` for what is none.
    pub fn symbol_type(&self, symbol: &ObjectSymbol) -> Option<Signature<'a>> {
        let ty = match (symbol.kind, symbol.referent) {
            (SymbolKind::Function, Referent::Import(import)) => self.function_imports[import].ty,
            (_, Referent::Function(function)) => self.functions[function].ty,
            _ => return None,
        };
        Some(self.types[ty])
    }

    /// The type of a function that it defines.
    pub fn function_type(&self, function: ObjFunction) -> Signature<'a> {
        self.types[self.functions[function].ty]
    }

    /// The body of a function that it defines, without its size.
    pub fn body(&self, function: ObjFunction) -> &'a [u8] {
        let function = &self.functions[function];
        &self.code[function.start as usize..function.end as usize]
    }

    /// The comdat group of what a symbol of this object defines.
    pub fn comdat(&self, symbol: ObjSymbol) -> Option<Comdat> {
        match self.symbols[symbol].referent {
            Referent::Function(function) => self.functions[function].comdat,
            Referent::Data { segment, .. } => self.segments[segment].comdat,
            _ => None,
        }
    }

    /// The names of the symbols that it offers to others.
    pub fn offered(&self) -> impl Iterator<Item = &'a str> {
        self.symbols
            .iter()
            .filter(|s| !s.is_undefined() && !s.is_local() && s.kind != SymbolKind::Section)
            .map(|s| s.name)
    }
}
