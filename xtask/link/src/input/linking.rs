//! Reads the `linking` section: names and alignment of data segments, the symbol
//! table, comdat groups, constructors.

use wasmparser::{
    BinaryReaderError, ComdatMap, ComdatSymbol, ComdatSymbolKind, Linking, LinkingSectionReader,
    SegmentMap, SymbolFlags, SymbolInfo,
};

use crate::error::{Damage, Errors, Result, Unsupported};
use crate::index::{Comdat, Index, IndexVec, ObjImport, ObjSymbol};
use crate::input::object::{Import, Object, ObjectSymbol, Referent, SEGMENT_TLS, capacity};
use crate::origin::{ObjectName, SymbolKind};

/// What stops reading.
pub enum Stop {
    /// The parser refuses the bytes.
    Parser(BinaryReaderError),
    /// The linker refuses what they say.
    Linker(Errors),
}

impl Stop {
    /// What is wrong with the input `name`.
    pub fn errors(self, name: ObjectName) -> Errors {
        match self {
            Stop::Parser(error) => name.damaged(Damage::Malformed {
                offset: error.offset(),
                reason: error.message().to_owned(),
            }),
            Stop::Linker(errors) => errors,
        }
    }
}

impl From<BinaryReaderError> for Stop {
    fn from(error: BinaryReaderError) -> Self {
        Stop::Parser(error)
    }
}

impl From<Errors> for Stop {
    fn from(errors: Errors) -> Self {
        Stop::Linker(errors)
    }
}

/// Reads it into `object`, whose other sections have been read.
pub fn read<'a>(object: &mut Object<'a>, linking: LinkingSectionReader<'a>) -> Result<(), Stop> {
    let mut constructors: Vec<(u32, u32)> = Vec::new();
    for subsection in linking.subsections() {
        match subsection? {
            Linking::SegmentInfo(segments) => name_segments(object, segments)?,
            Linking::InitFuncs(functions) => {
                for function in functions {
                    let function = function?;
                    constructors.push((function.priority, function.symbol_index));
                }
            }
            Linking::ComdatInfo(comdats) => read_comdats(object, comdats)?,
            Linking::SymbolTable(symbols) => {
                let mut all = Vec::with_capacity(capacity(symbols.count()));
                for info in symbols {
                    all.push(symbol(object, info?)?);
                }
                object.symbols = all.into();
            }
            Linking::TargetArch("wasm32") => object.is_64 = Some(false),
            Linking::TargetArch("wasm64") => object.is_64 = Some(true),
            Linking::TargetArch(arch) => {
                let target = arch.to_owned();
                return Err(object
                    .name
                    .unsupported(Unsupported::Target { target })
                    .into());
            }
            Linking::Unknown { .. } => {}
        }
    }
    for (priority, symbol) in constructors {
        let kind = object.symbols.at(symbol).map(|s| s.kind);
        if kind != Some(SymbolKind::Function) {
            let damage = Damage::ConstructorIsNoFunction { symbol };
            return Err(object.name.damaged(damage).into());
        }
        let symbol = ObjSymbol::new(symbol as usize);
        object.init_functions.push((priority, symbol));
    }
    Ok(())
}

fn name_segments<'a>(object: &mut Object<'a>, segments: SegmentMap<'a>) -> Result<(), Stop> {
    if segments.count() as usize != object.segments.len() {
        let damage = Damage::SegmentCount {
            named: segments.count(),
            present: object.segments.len(),
        };
        return Err(object.name.damaged(damage).into());
    }
    for (segment, info) in object.segments.iter_mut().zip(segments) {
        let info = info?;
        if info.alignment > 31 {
            let damage = Damage::Alignment {
                segment: info.name.to_owned(),
                align: info.alignment,
            };
            return Err(object.name.damaged(damage).into());
        }
        segment.name = info.name;
        segment.align = info.alignment;
        segment.flags = info.flags.bits();
        // LLVM before 13 had no flag for it.
        if info.name.starts_with(".tdata") || info.name.starts_with(".tbss") {
            segment.flags |= SEGMENT_TLS;
        }
    }
    Ok(())
}

fn read_comdats<'a>(object: &mut Object<'a>, comdats: ComdatMap<'a>) -> Result<(), Stop> {
    for comdat in comdats {
        let comdat = comdat?;
        let group = object.comdats.push(comdat.name);
        for member in comdat.symbols {
            let member = member?;
            if !join_comdat(object, group, &member) {
                let damage = Damage::NoComdatMember {
                    group: comdat.name.to_owned(),
                    kind: format!("{:?}", member.kind),
                    index: member.index,
                };
                return Err(object.name.damaged(damage).into());
            }
        }
    }
    Ok(())
}

/// Whether the member is there.
fn join_comdat(object: &mut Object, group: Comdat, member: &ComdatSymbol) -> bool {
    let comdat = match member.kind {
        ComdatSymbolKind::Data => {
            let segment = object.segments.index_at(member.index);
            segment.map(|index| &mut object.segments[index].comdat)
        }
        ComdatSymbolKind::Func => {
            let imported = object.function_imports.len() as u32;
            let index = member.index.checked_sub(imported);
            let function = index.and_then(|index| object.functions.index_at(index));
            function.map(|index| &mut object.functions[index].comdat)
        }
        ComdatSymbolKind::Section => {
            // Sections that the linker reads itself are in no group.
            let mut customs = object.customs.iter_mut();
            let custom = customs.find(|custom| custom.section == member.index);
            custom.map(|custom| &mut custom.comdat)
        }
        ComdatSymbolKind::Global | ComdatSymbolKind::Event | ComdatSymbolKind::Table => None,
    };
    match comdat {
        Some(comdat) => {
            *comdat = Some(group);
            true
        }
        None => false,
    }
}

fn symbol<'a>(object: &Object<'a>, info: SymbolInfo<'a>) -> Result<ObjectSymbol<'a>> {
    match info {
        SymbolInfo::Func { flags, index, name } => {
            indexed(object, SymbolKind::Function, flags, index, name)
        }
        SymbolInfo::Global { flags, index, name } => {
            indexed(object, SymbolKind::Global, flags, index, name)
        }
        SymbolInfo::Event { flags, index, name } => {
            indexed(object, SymbolKind::Tag, flags, index, name)
        }
        SymbolInfo::Table { flags, index, name } => {
            indexed(object, SymbolKind::Table, flags, index, name)
        }
        SymbolInfo::Section { flags, section } => {
            let mut customs = object.customs.enumerate();
            let custom = customs.find(|(_, custom)| custom.section == section);
            Ok(ObjectSymbol {
                name: "",
                kind: SymbolKind::Section,
                flags,
                referent: Referent::Section(custom.map(|(index, _)| index)),
            })
        }
        SymbolInfo::Data {
            flags,
            name,
            symbol,
        } => {
            let referent = match symbol {
                None => Referent::UndefinedData,
                Some(at) if flags.contains(SymbolFlags::ABSOLUTE) => Referent::Absolute(at.offset),
                Some(at) => data(object, name, at)?,
            };
            Ok(ObjectSymbol {
                name,
                kind: SymbolKind::Data,
                flags,
                referent,
            })
        }
    }
}

fn data(object: &Object, name: &str, at: wasmparser::DefinedDataSymbol) -> Result<Referent> {
    let segment = object.segments.index_at(at.index);
    let fits = |&segment: &_| at.offset as usize <= object.segments[segment].data.len();
    match segment.filter(fits) {
        Some(segment) => Ok(Referent::Data {
            segment,
            offset: at.offset,
            size: at.size,
        }),
        None => Err(object.name.damaged(Damage::NoData {
            symbol: name.to_owned(),
            segment: at.index,
            offset: at.offset,
        })),
    }
}

/// A symbol of what imports and definitions count together.
fn indexed<'a>(
    object: &Object<'a>,
    kind: SymbolKind,
    flags: SymbolFlags,
    index: u32,
    name: Option<&'a str>,
) -> Result<ObjectSymbol<'a>> {
    let undefined = flags.contains(SymbolFlags::UNDEFINED);
    let missing = || {
        object.name.damaged(Damage::NoReferent {
            symbol: name.unwrap_or_default().to_owned(),
            kind,
            index,
            undefined,
        })
    };
    let (imported, imported_name) = match kind {
        SymbolKind::Function => named(&object.function_imports, index),
        SymbolKind::Global => named(&object.global_imports, index),
        SymbolKind::Tag => named(&object.tag_imports, index),
        _ => named(&object.table_imports, index),
    };
    let referent = if undefined {
        imported_name.map(|_| Referent::Import(Index::new(index as usize)))
    } else {
        index.checked_sub(imported).and_then(|index| match kind {
            SymbolKind::Function => object.functions.index_at(index).map(Referent::Function),
            SymbolKind::Global => object.globals.index_at(index).map(Referent::Global),
            SymbolKind::Tag => object.tags.index_at(index).map(Referent::Tag),
            _ => object.tables.index_at(index).map(Referent::Table),
        })
    };
    let referent = referent.ok_or_else(missing)?;
    // An undefined symbol without a name of its own has its import's; a symbol
    // that is defined has one always.
    let name = name.or(imported_name).ok_or_else(missing)?;
    Ok(ObjectSymbol {
        name,
        kind,
        flags,
        referent,
    })
}

/// How many imports there are of a kind, and the name of one, if it is there.
fn named<'a, T>(
    imports: &IndexVec<ObjImport, Import<'a, T>>,
    index: u32,
) -> (u32, Option<&'a str>) {
    (
        imports.len() as u32,
        imports.at(index).map(|import| import.name),
    )
}
