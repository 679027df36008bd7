//! Relocations as objects encode them: one entry, the entries of a section, and
//! how a relocation's value is encoded where it applies.

use wasmparser::{RelocAddendKind, RelocationType};

use crate::index::{Index, ObjSymbol, ObjType};
use crate::origin::SymbolKind;

/// A relocation: where, what, and to which symbol.
#[derive(Debug, Clone, Copy)]
pub struct Relocation {
    /// Where it applies, counted from the start of the section's contents.
    pub offset: u32,
    /// The symbol, or the type for `TypeIndexLeb`; not checked yet when decoded.
    pub(super) index: u32,
    /// Added to the symbol's address.
    pub addend: i32,
    /// How the value is encoded.
    pub ty: RelocationType,
}

impl Relocation {
    /// The symbol that it refers to, unless it is a `TypeIndexLeb`.
    #[inline]
    pub fn symbol(&self) -> ObjSymbol {
        ObjSymbol::new(self.index as usize)
    }

    /// The type that a `TypeIndexLeb` refers to.
    #[inline]
    pub fn type_index(&self) -> ObjType {
        ObjType::new(self.index as usize)
    }

    /// One past the last byte that it applies to, counted as its offset is.
    #[inline]
    pub fn end(&self) -> usize {
        self.offset as usize + self.ty.extent()
    }
}

/// A `reloc.*` section, not decoded: how many entries it claims to have, and
/// their bytes.
#[derive(Debug, Clone, Copy)]
pub struct Entries<'a> {
    /// The number that the section claims.
    pub count: u32,
    /// What should be so many entries.
    pub bytes: &'a [u8],
}

/// Decodes one entry. There may be millions, so this does no more than it must.
///
/// `wasmparser::RelocSectionReader` decodes the same, and takes 2.3 times as long
/// for it: 10.4 ms and 4.5 ms for the 175,671 relocations of the objects that
/// `bench link` makes (medians of 31, side by side).
#[inline]
pub fn entry(bytes: &mut &[u8]) -> Option<Relocation> {
    let (&ty, rest) = bytes.split_first()?;
    *bytes = rest;
    let ty = RelocationType::try_from(ty).ok()?;
    let (offset, _) = leb(bytes)?;
    let (index, _) = leb(bytes)?;
    let offset = u32::try_from(offset).ok()?;
    let index = u32::try_from(index).ok()?;
    let addend = match ty.addend_kind() {
        RelocAddendKind::None => 0,
        // Addresses have 32 bits in a 64-bit memory, too.
        RelocAddendKind::Addend32 | RelocAddendKind::Addend64 => {
            // The sign is in the last byte's second highest bit.
            let (value, len) = leb(bytes)?;
            let shift = 64 - 7 * len;
            i32::try_from((value << shift) as i64 >> shift).ok()?
        }
    };
    Some(Relocation {
        offset,
        index,
        addend,
        ty,
    })
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

/// The name that LLVM's `WasmRelocs.def` gives a type.
pub fn name(ty: RelocationType) -> String {
    if ty == RelocationType::EventIndexLeb {
        return "R_WASM_TAG_INDEX_LEB".to_owned();
    }
    // wasmparser's names are LLVM's, in another case.
    let mut name = "R_WASM".to_owned();
    for letter in format!("{ty:?}").chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// What a relocation may refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refers {
    /// A type.
    Type,
    /// A symbol of one of these kinds.
    Symbol(&'static [SymbolKind]),
}

/// What a relocation of this type may refer to.
#[inline]
pub fn refers(ty: RelocationType) -> Refers {
    use RelocationType::*;
    Refers::Symbol(match ty {
        TypeIndexLeb => return Refers::Type,
        FunctionIndexLeb | FunctionIndexI32 | TableIndexSleb | TableIndexI32
        | TableIndexRelSleb | FunctionOffsetI32 | TableIndexSleb64 | TableIndexI64
        | TableIndexRelSleb64 | FunctionOffsetI64 => &[SymbolKind::Function],
        MemoryAddrLeb | MemoryAddrSleb | MemoryAddrI32 | MemoryAddrRelSleb | MemoryAddrTlsSleb
        | MemoryAddrLocrelI32 | MemoryAddrLeb64 | MemoryAddrSleb64 | MemoryAddrI64
        | MemoryAddrRelSleb64 | MemoryAddrTlsSleb64 => &[SymbolKind::Data],
        SectionOffsetI32 => &[SymbolKind::Section],
        EventIndexLeb => &[SymbolKind::Tag],
        TableNumberLeb => &[SymbolKind::Table],
        // Position-independent code takes addresses from globals, too.
        GlobalIndexLeb | GlobalIndexI32 => {
            &[SymbolKind::Global, SymbolKind::Data, SymbolKind::Function]
        }
    })
}

/// Whether a relocation of this type writes an address or a table slot into data.
pub fn is_address_in_data(ty: RelocationType) -> bool {
    use RelocationType::*;
    matches!(
        ty,
        TableIndexI32 | MemoryAddrI32 | TableIndexI64 | MemoryAddrI64
    )
}

/// Whether a relocation of this type writes a function's slot in the table: its
/// address.
pub fn is_slot(ty: RelocationType) -> bool {
    use RelocationType::*;
    matches!(
        ty,
        TableIndexSleb
            | TableIndexI32
            | TableIndexRelSleb
            | TableIndexSleb64
            | TableIndexI64
            | TableIndexRelSleb64
    )
}

/// How a relocation's value is encoded where it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// LEB128 of 5 bytes, unsigned.
    Unsigned,
    /// LEB128 of 5 bytes, signed.
    Signed,
    /// 4 bytes, little-endian.
    Fixed,
    /// LEB128 of 10 bytes, unsigned.
    Unsigned64,
    /// LEB128 of 10 bytes, signed.
    Signed64,
    /// 8 bytes, little-endian.
    Fixed64,
}

/// How the value of a relocation of this type is encoded.
#[inline]
pub fn encoding(ty: RelocationType) -> Encoding {
    use RelocationType::*;
    match ty {
        FunctionIndexLeb | MemoryAddrLeb | TypeIndexLeb | GlobalIndexLeb | EventIndexLeb
        | TableNumberLeb => Encoding::Unsigned,
        TableIndexSleb | MemoryAddrSleb | MemoryAddrRelSleb | TableIndexRelSleb
        | MemoryAddrTlsSleb => Encoding::Signed,
        MemoryAddrLeb64 => Encoding::Unsigned64,
        TableIndexSleb64 | MemoryAddrSleb64 | MemoryAddrRelSleb64 | TableIndexRelSleb64
        | MemoryAddrTlsSleb64 => Encoding::Signed64,
        MemoryAddrI64 | TableIndexI64 | FunctionOffsetI64 => Encoding::Fixed64,
        _ => Encoding::Fixed,
    }
}

/// The narrower encodings take the lower half of a value.
impl Encoding {
    /// Whether it has the same bytes for every value.
    pub fn is_fixed(self) -> bool {
        matches!(self, Encoding::Fixed | Encoding::Fixed64)
    }

    /// Writes a value as wide as `bytes` are.
    #[inline]
    pub fn write_padded(self, value: u64, bytes: &mut [u8]) {
        match self {
            Encoding::Unsigned => padded(i64::from(value as u32), bytes),
            Encoding::Signed => padded(i64::from(value as i32), bytes),
            Encoding::Fixed => bytes.copy_from_slice(&(value as u32).to_le_bytes()),
            Encoding::Unsigned64 | Encoding::Signed64 => padded(value as i64, bytes),
            Encoding::Fixed64 => bytes.copy_from_slice(&value.to_le_bytes()),
        }
    }

    /// Appends the shortest encoding; for those that are fixed, their bytes.
    pub fn write_shortest(self, value: u64, out: &mut Vec<u8>) {
        use wasm_encoder::Encode;
        match self {
            Encoding::Unsigned => (value as u32).encode(out),
            Encoding::Signed => (value as i32).encode(out),
            Encoding::Fixed => out.extend_from_slice(&(value as u32).to_le_bytes()),
            Encoding::Unsigned64 => value.encode(out),
            Encoding::Signed64 => (value as i64).encode(out),
            Encoding::Fixed64 => out.extend_from_slice(&value.to_le_bytes()),
        }
    }

    /// Bytes of the shortest encoding.
    pub fn shortest_len(self, value: u64) -> usize {
        let significant = match self {
            Encoding::Unsigned => 32 - (value as u32 | 1).leading_zeros(),
            Encoding::Signed => {
                let value = value as i32;
                33 - (value ^ (value >> 31)).leading_zeros()
            }
            Encoding::Unsigned64 => 64 - (value | 1).leading_zeros(),
            Encoding::Signed64 => {
                let value = value as i64;
                65 - (value ^ (value >> 63)).leading_zeros()
            }
            Encoding::Fixed => return 4,
            Encoding::Fixed64 => return 8,
        };
        significant.div_ceil(7) as usize
    }
}

/// LEB128 that fills `bytes`; a number that is negative is signed.
fn padded(mut value: i64, bytes: &mut [u8]) {
    let last = bytes.len() - 1;
    for byte in &mut bytes[..last] {
        *byte = (value as u8 & 0x7f) | 0x80;
        value >>= 7;
    }
    bytes[last] = value as u8 & 0x7f;
}

/// Whether a value can be written there: LLVM leaves LEB128 operands as wide as
/// any value needs. The relocation lies within `contents`.
pub fn is_operand(relocation: &Relocation, contents: &[u8]) -> bool {
    match &contents[relocation.offset as usize..relocation.end()] {
        [head @ .., last] if !encoding(relocation.ty).is_fixed() => {
            head.iter().all(|byte| byte & 0x80 != 0) && last & 0x80 == 0
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_llvms() {
        use RelocationType::*;
        for (ty, expected) in [
            (FunctionIndexLeb, "R_WASM_FUNCTION_INDEX_LEB"),
            (TableIndexRelSleb64, "R_WASM_TABLE_INDEX_REL_SLEB64"),
            (MemoryAddrLocrelI32, "R_WASM_MEMORY_ADDR_LOCREL_I32"),
            (EventIndexLeb, "R_WASM_TAG_INDEX_LEB"),
        ] {
            assert_eq!(name(ty), expected);
        }
    }

    const ENCODINGS: [Encoding; 6] = [
        Encoding::Unsigned,
        Encoding::Signed,
        Encoding::Fixed,
        Encoding::Unsigned64,
        Encoding::Signed64,
        Encoding::Fixed64,
    ];

    #[test]
    fn shortest_encodings_have_the_length_that_is_announced() {
        for shift in 0..64 {
            let power = 1u64 << shift;
            for value in [power, power - 1, power.wrapping_neg()] {
                for encoding in ENCODINGS {
                    let mut out = Vec::new();
                    encoding.write_shortest(value, &mut out);
                    let len = encoding.shortest_len(value);
                    assert_eq!(out.len(), len, "{encoding:?} {value:#x}");
                }
            }
        }
    }

    #[test]
    fn padded_encodings_decode_to_their_value() {
        for value in [0, 1, 63, 64, 127, 128, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            let mut bytes = [0; 5];
            Encoding::Unsigned.write_padded(value.into(), &mut bytes);
            let mut reader = wasmparser::BinaryReader::new(&bytes, 0);
            assert_eq!(reader.read_var_u32().unwrap(), value);
            Encoding::Signed.write_padded(value.into(), &mut bytes);
            let mut reader = wasmparser::BinaryReader::new(&bytes, 0);
            assert_eq!(reader.read_var_i32().unwrap(), value as i32);
            for value in [value.into(), !u64::from(value), u64::from(value) << 32] {
                let mut bytes = [0; 10];
                Encoding::Unsigned64.write_padded(value & (u64::MAX >> 1), &mut bytes);
                let mut reader = wasmparser::BinaryReader::new(&bytes, 0);
                assert_eq!(reader.read_var_u64().unwrap(), value & (u64::MAX >> 1));
                Encoding::Signed64.write_padded(value, &mut bytes);
                let mut reader = wasmparser::BinaryReader::new(&bytes, 0);
                assert_eq!(reader.read_var_i64().unwrap(), value as i64);
            }
        }
    }

    /// Every type that genkan links, with numbers of one to five bytes.
    #[test]
    fn entries_are_those_that_wasmparser_reads() {
        let numbers = [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, 0x0fff_ffff, u32::MAX];
        for ty in 0..=30u8 {
            let Ok(known) = RelocationType::try_from(ty) else {
                assert!(entry(&mut &[ty, 0, 0, 0][..]).is_none());
                continue;
            };
            for (number, &value) in numbers.iter().enumerate() {
                let mut bytes = vec![0, 1, ty];
                Encoding::Unsigned.write_shortest(value.into(), &mut bytes);
                let other = numbers[numbers.len() - 1 - number];
                Encoding::Unsigned.write_shortest(other.into(), &mut bytes);
                if known.addend_kind() != RelocAddendKind::None {
                    Encoding::Signed.write_shortest(value.into(), &mut bytes);
                }
                let reader = wasmparser::BinaryReader::new(&bytes, 0);
                let section = wasmparser::RelocSectionReader::new(reader).unwrap();
                let theirs = section.entries().into_iter().next().unwrap().unwrap();
                let ours = entry(&mut &bytes[2..]).unwrap();
                assert_eq!(
                    (ours.ty, ours.offset, ours.index),
                    (theirs.ty, theirs.offset, theirs.index)
                );
                if known.addend_kind() != RelocAddendKind::None {
                    assert_eq!(i64::from(ours.addend), theirs.addend);
                }
            }
        }
    }
}
