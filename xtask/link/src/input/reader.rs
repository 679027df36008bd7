//! Reads one relocatable object: sections come first, then the `linking` section
//! that says what they mean.

use wasmparser::{
    BinaryReader, CompositeInnerType, CustomSectionReader, DataKind, ExternalKind, HeapType,
    ImportSectionReader, LinkingSectionReader, Parser, Payload, RefType, TypeRef,
    TypeSectionReader, ValType,
};

use crate::error::{Damage, Result, Unsupported};
use crate::index::{Index, IndexVec, ObjType};
use crate::input::linking::{self, Stop};
use crate::input::object::{
    Custom, FUNCTION_TABLE, Function, Global, Import, Object, Segment, capacity,
};
use crate::input::relocation::Entries;
use crate::origin::{ObjectName, SymbolKind};
use crate::signature::Signature;

/// Whether `bytes` begin as LLVM bitcode does, with its wrapper or without.
pub fn is_bitcode(bytes: &[u8]) -> bool {
    bytes.starts_with(b"BC\xc0\xde") || bytes.starts_with(b"\xde\xc0\x17\x0b")
}

/// Reads the object `bytes`.
///
/// # Errors
///
/// If it is no relocatable WebAssembly object, or one of its tables refers to what
/// is not there.
pub fn read<'a>(name: ObjectName<'a>, bytes: &'a [u8]) -> Result<Object<'a>> {
    if is_bitcode(bytes) {
        return Err(name.unsupported(Unsupported::Bitcode));
    }
    let mut reader = Reader {
        bytes,
        object: Object::empty(name),
        function_types: Vec::new(),
        section: 0,
        code_section: None,
        data_section: None,
        linking: None,
        relocations: Vec::new(),
    };
    match reader.read() {
        Ok(()) => Ok(reader.object),
        Err(stop) => Err(stop.errors(name)),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    object: Object<'a>,
    function_types: Vec<ObjType>,
    /// The index of the section read now.
    section: u32,
    code_section: Option<u32>,
    data_section: Option<u32>,
    linking: Option<LinkingSectionReader<'a>>,
    relocations: Vec<(u32, Entries<'a>)>,
}

impl<'a> Reader<'a> {
    fn read(&mut self) -> Result<(), Stop> {
        let mut next = 0;
        for payload in Parser::new(0).parse_all(self.bytes) {
            let payload = payload?;
            match payload {
                Payload::Version { encoding, .. } => {
                    if encoding != wasmparser::Encoding::Module {
                        return Err(self.unsupported(Unsupported::Component));
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
            self.payload(payload)?;
        }
        if self.object.functions.len() != self.function_types.len() {
            return Err(self.body_count());
        }
        let Some(linking) = self.linking.take() else {
            return Err(self.unsupported(Unsupported::NoLinkingSection));
        };
        linking::read(&mut self.object, linking)?;
        self.attach_relocations()?;
        self.check_tables()?;
        Ok(())
    }

    fn unsupported(&self, what: Unsupported) -> Stop {
        self.object.name.unsupported(what).into()
    }

    fn damaged(&self, damage: Damage) -> Stop {
        self.object.name.damaged(damage).into()
    }

    fn body_count(&self) -> Stop {
        self.damaged(Damage::BodyCount {
            functions: self.function_types.len(),
            bodies: self.object.functions.len(),
        })
    }

    fn payload(&mut self, payload: Payload<'a>) -> Result<(), Stop> {
        match payload {
            Payload::TypeSection(types) => {
                self.object.types = signatures(self.object.name, self.bytes, types)?;
                Ok(())
            }
            Payload::ImportSection(imports) => self.imports(imports),
            Payload::FunctionSection(functions) => {
                self.function_types.reserve(capacity(functions.count()));
                for ty in functions {
                    let ty = self.type_index(ty?)?;
                    self.function_types.push(ty);
                }
                Ok(())
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    let ty = table?.ty;
                    check_reference(self.object.name, ty.element_type, "table")?;
                    self.object.tables.push(ty);
                }
                Ok(())
            }
            Payload::TagSection(tags) => {
                for tag in tags {
                    let ty = self.type_index(tag?.func_type_idx)?;
                    self.object.tags.push(ty);
                }
                Ok(())
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    let global = global?;
                    check_value(self.object.name, global.ty.content_type, "global")?;
                    let mut reader = global.init_expr.get_binary_reader();
                    let init = reader.read_bytes(reader.bytes_remaining())?;
                    let ty = global.ty;
                    self.object.globals.push(Global { ty, init });
                }
                Ok(())
            }
            Payload::ExportSection(exports) => {
                let imported = self.object.function_imports.len() as u32;
                for export in exports {
                    let export = export?;
                    let index = export.index.checked_sub(imported);
                    if let (ExternalKind::Func, Some(index)) = (export.kind, index)
                        && (index as usize) < self.function_types.len()
                    {
                        let function = Index::new(index as usize);
                        self.object.export_names.push((function, export.name));
                    }
                }
                Ok(())
            }
            Payload::CodeSectionStart {
                unchecked_range, ..
            } => {
                self.code_section = Some(self.section);
                let range = unchecked_range.start as usize..unchecked_range.end as usize;
                match self.bytes.get(range) {
                    Some(code) => self.object.code = code,
                    None => return Err(self.damaged(Damage::CodeCutShort)),
                }
                self.object.code_offset = unchecked_range.start as usize;
                Ok(())
            }
            Payload::CodeSectionEntry(body) => self.body(&body),
            Payload::DataSection(segments) => self.data(segments),
            Payload::CustomSection(custom) => self.custom(custom),
            // The function table is made anew; so is the memory, which compilers
            // import and `wasm-ld -r` defines.
            Payload::ElementSection(_) | Payload::DataCountSection { .. } => Ok(()),
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.object.is_64 = Some(memory?.memory64);
                }
                Ok(())
            }
            Payload::StartSection { .. } => Err(self.unsupported(Unsupported::FinishedModule)),
            other => {
                let id = other.as_section().map_or(u8::MAX, |(id, _)| id);
                Err(self.unsupported(Unsupported::Section { id }))
            }
        }
    }

    fn imports(&mut self, imports: ImportSectionReader<'a>) -> Result<(), Stop> {
        for import in imports.into_imports() {
            let import = import?;
            let (module, name) = (import.module, import.name);
            match import.ty {
                TypeRef::Func(ty) => {
                    let ty = self.type_index(ty)?;
                    let import = Import { module, name, ty };
                    self.object.function_imports.push(import);
                }
                TypeRef::Global(ty) => {
                    check_value(self.object.name, ty.content_type, "global")?;
                    let import = Import { module, name, ty };
                    self.object.global_imports.push(import);
                }
                TypeRef::Table(ty) => {
                    check_reference(self.object.name, ty.element_type, "table")?;
                    let import = Import { module, name, ty };
                    self.object.table_imports.push(import);
                }
                TypeRef::Tag(tag) => {
                    let ty = self.type_index(tag.func_type_idx)?;
                    let import = Import { module, name, ty };
                    self.object.tag_imports.push(import);
                }
                TypeRef::Memory(memory) => self.object.is_64 = Some(memory.memory64),
                TypeRef::FuncExact(_) => return Err(self.unsupported(Unsupported::ExactType)),
            }
        }
        Ok(())
    }

    fn body(&mut self, body: &wasmparser::FunctionBody<'a>) -> Result<(), Stop> {
        let base = self.object.code_offset;
        let Some(&ty) = self.function_types.get(self.object.functions.len()) else {
            return Err(self.body_count());
        };
        self.object.functions.push(Function {
            ty,
            start: (body.range().start as usize - base) as u32,
            end: (body.range().end as usize - base) as u32,
            comdat: None,
        });
        Ok(())
    }

    fn data(&mut self, segments: wasmparser::DataSectionReader<'a>) -> Result<(), Stop> {
        self.data_section = Some(self.section);
        let range = segments.range();
        self.object.data = &self.bytes[range.start as usize..range.end as usize];
        for segment in segments {
            let segment = segment?;
            match segment.kind {
                DataKind::Active {
                    memory_index: 0, ..
                }
                | DataKind::Passive => {}
                DataKind::Active { .. } => {
                    return Err(self.unsupported(Unsupported::SecondMemory));
                }
            }
            self.object.segments.push(Segment {
                name: "",
                align: 0,
                flags: 0,
                data: segment.data,
                start: (offset_in(self.bytes, segment.data) as u64 - range.start) as u32,
                comdat: None,
            });
        }
        Ok(())
    }

    fn custom(&mut self, custom: CustomSectionReader<'a>) -> Result<(), Stop> {
        match custom.name() {
            "linking" => {
                self.linking = Some(LinkingSectionReader::new(reader(&custom))?);
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
            "dylink" | "dylink.0" => return Err(self.unsupported(Unsupported::SharedLibrary)),
            name => {
                self.object.customs.push(Custom {
                    name,
                    data: custom.data(),
                    section: self.section,
                    relocations: None,
                    comdat: None,
                });
            }
        }
        Ok(())
    }

    fn attach_relocations(&mut self) -> Result<(), Stop> {
        for (section, entries) in std::mem::take(&mut self.relocations) {
            let object = &mut self.object;
            if Some(section) == self.code_section {
                object.code_entries = Some(entries);
            } else if Some(section) == self.data_section {
                object.data_entries = Some(entries);
            } else if let Some(custom) = object.customs.iter_mut().find(|c| c.section == section) {
                custom.relocations = Some(entries);
            } else if entries.count > 0 {
                return Err(self.damaged(Damage::NothingToRelocate { section }));
            }
        }
        Ok(())
    }

    /// An object of LLVM before reference types has no symbol for its one
    /// table, the table of functions.
    fn check_tables(&mut self) -> Result<(), Stop> {
        let object = &mut self.object;
        let tables = object.table_imports.len() + object.tables.len();
        let symbols = object.symbols.iter();
        let named = symbols.filter(|s| s.kind == SymbolKind::Table).count();
        if named > 0 && named < tables {
            return Err(self.unsupported(Unsupported::TableWithoutSymbol));
        }
        if tables > 0 && named == 0 {
            let imports: Vec<&str> = object.table_imports.iter().map(|t| t.name).collect();
            if !object.tables.is_empty() || imports != [FUNCTION_TABLE] {
                return Err(self.unsupported(Unsupported::TableWithoutSymbol));
            }
            object.legacy_table = true;
        }
        Ok(())
    }

    fn type_index(&self, ty: u32) -> Result<ObjType, Stop> {
        let found = self.object.types.index_at(ty);
        found.ok_or_else(|| self.damaged(Damage::NoType { ty }))
    }
}

/// The types of functions that a type section of the input `bytes` has.
///
/// # Errors
///
/// If it has others.
pub fn signatures<'a>(
    name: ObjectName,
    bytes: &'a [u8],
    types: TypeSectionReader<'a>,
) -> Result<IndexVec<ObjType, Signature<'a>>, Stop> {
    let unsupported = || name.unsupported(Unsupported::Types);
    let end = types.range().end as usize;
    let mut starts = Vec::with_capacity(capacity(types.count()));
    for item in types.into_iter_with_offsets() {
        let (offset, group) = item?;
        let mut types = group.into_types();
        let (Some(ty), None) = (types.next(), types.next()) else {
            return Err(unsupported().into());
        };
        let plain = bytes[offset as usize] == 0x60;
        let CompositeInnerType::Func(function) = ty.composite_type.inner else {
            return Err(unsupported().into());
        };
        if !plain {
            return Err(unsupported().into());
        }
        for &ty in function.params().iter().chain(function.results()) {
            check_value(name, ty, "type")?;
        }
        starts.push(offset as usize);
    }
    starts.push(end);
    let encoded = starts.windows(2).map(|w| &bytes[w[0]..w[1]]);
    Ok(encoded.map(Signature::from_encoded).collect())
}

fn check_value(name: ObjectName, ty: ValType, what: &'static str) -> Result<(), Stop> {
    match ty {
        ValType::Ref(reference) => check_reference(name, reference, what),
        _ => Ok(()),
    }
}

/// An index of a type means another type in another object, and no relocation says
/// where it is.
fn check_reference(name: ObjectName, ty: RefType, what: &'static str) -> Result<(), Stop> {
    match ty.heap_type() {
        HeapType::Abstract { .. } => Ok(()),
        _ => Err(name
            .unsupported(Unsupported::TypedReference { what })
            .into()),
    }
}

fn reader<'a>(custom: &CustomSectionReader<'a>) -> BinaryReader<'a> {
    BinaryReader::new(custom.data(), custom.data_offset())
}

/// Where `part` begins in `whole`, of which it is a slice.
fn offset_in(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}
