//! Applies relocations: takes the layout, gives for each symbol of an object
//! the numbers that stand for it in the module, and writes them into code and
//! data.

use std::sync::OnceLock;

use wasmparser::RelocationType;

use super::layout::{Layout, NONE};
use super::live::{FunctionRef, Slot};
use super::object::{Kind, Object, Relocation};
use super::symbols::{Definition, Program, Target};

/// What a symbol is in the module.
#[derive(Debug, Clone, Copy)]
struct Value {
    /// Index of the function, global, table or tag; [`NONE`] if not live.
    index: u32,
    /// Address of data, place in the table for a function.
    address: u32,
    /// Whether it is in the module at all.
    live: bool,
}

/// The values of one object's symbols and types.
#[derive(Debug)]
pub struct Values {
    object: u32,
    symbols: Vec<Value>,
    types: Vec<u32>,
}

/// Where the bytes that are relocated will be.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// Offset of the first byte in the section's contents of the object.
    pub start: u32,
    /// Its address in linear memory, for data.
    pub address: u32,
    /// The value for what is not live, in debug information.
    pub tombstone: Option<u32>,
}

/// Knows the values of all symbols; computed per object when first needed.
pub struct Relocator<'p, 'a> {
    program: &'p Program<'a>,
    layout: &'p Layout<'a>,
    values: Vec<OnceLock<Values>>,
    /// Where each function's body begins in the module's code section, for
    /// debug information; per object and function.
    pub function_offsets: Vec<Vec<u32>>,
    /// Where each custom section's contents went: per object, by the order of
    /// its custom sections.
    pub sections: Vec<Vec<super::custom::Moved>>,
}

impl<'p, 'a> Relocator<'p, 'a> {
    /// Knows nothing of code offsets and custom sections yet.
    pub fn new(program: &'p Program<'a>, layout: &'p Layout<'a>) -> Self {
        Relocator {
            program,
            layout,
            values: program.objects.iter().map(|_| OnceLock::new()).collect(),
            function_offsets: Vec::new(),
            sections: Vec::new(),
        }
    }

    /// The values of the symbols and types of one object.
    pub fn values(&self, number: u32) -> &Values {
        self.values[number as usize].get_or_init(|| {
            let object = &self.program.objects[number as usize];
            Values {
                object: number,
                symbols: (0..object.symbols.len() as u32)
                    .map(|symbol| self.symbol(number, symbol))
                    .collect(),
                types: object
                    .types
                    .iter()
                    .map(|ty| self.layout.type_index(ty))
                    .collect(),
            }
        })
    }

    fn symbol(&self, number: u32, symbol: u32) -> Value {
        let layout = self.layout;
        let kind = self.program.objects[number as usize].symbols[symbol as usize].kind;
        let target = self.program.target(number, symbol);
        match kind {
            Kind::Function => match self.program.target_function(target) {
                Some(function) => {
                    let index = layout.function_index(function);
                    Value {
                        index,
                        address: layout.element(function),
                        live: index != NONE,
                    }
                }
                None => Value {
                    index: NONE,
                    address: 0,
                    live: false,
                },
            },
            Kind::Data => {
                let address = layout.symbol_address(self.program, target);
                Value {
                    index: NONE,
                    address: address.unwrap_or(0),
                    live: address.is_some(),
                }
            }
            Kind::Global | Kind::Tag | Kind::Table => {
                let index = match target {
                    _ if kind == Kind::Global && self.program.is_slot(number, symbol) => {
                        self.slot(number, symbol)
                    }
                    Target::Object { object, symbol } => {
                        let defined =
                            &self.program.objects[object as usize].symbols[symbol as usize];
                        layout.object_index(kind, object, defined.index)
                    }
                    Target::Shared(_, Definition::Global(made)) => layout.made_global(*made),
                    Target::Shared(_, Definition::FunctionTable) => {
                        layout.function_table.unwrap_or(NONE)
                    }
                    Target::Shared(id, _) => layout.import_index(id),
                };
                Value {
                    index,
                    address: 0,
                    live: index != NONE,
                }
            }
            Kind::Section => {
                let object = &self.program.objects[number as usize];
                let section = object.symbols[symbol as usize].index;
                let custom = object.customs.iter().position(|c| c.section == section);
                Value {
                    index: custom.map_or(NONE, |custom| custom as u32),
                    address: 0,
                    live: true,
                }
            }
        }
    }

    /// The value that a relocation writes.
    #[inline]
    pub fn value(&self, values: &Values, relocation: &Relocation, site: Site) -> u32 {
        use RelocationType::*;
        let number = values.object;
        if relocation.ty == TypeIndexLeb {
            return values.types[relocation.index as usize];
        }
        let value = values.symbols[relocation.index as usize];
        let addend = relocation.addend as u32;
        if !value.live
            && let Some(tombstone) = site.tombstone
        {
            return tombstone;
        }
        match relocation.ty {
            FunctionIndexLeb | FunctionIndexI32 | EventIndexLeb | TableNumberLeb => value.index,
            TableIndexSleb | TableIndexI32 => value.address,
            TableIndexRelSleb => value.address.wrapping_sub(self.layout.table_base),
            MemoryAddrTlsSleb => value
                .address
                .wrapping_add(addend)
                .wrapping_sub(self.layout.memory.tls_base),
            // Weak and undefined: the null pointer, whatever the addend.
            MemoryAddrLeb | MemoryAddrSleb | MemoryAddrI32 | MemoryAddrRelSleb if !value.live => 0,
            MemoryAddrLeb | MemoryAddrSleb | MemoryAddrI32 | MemoryAddrRelSleb => {
                value.address.wrapping_add(addend)
            }
            MemoryAddrLocrelI32 => value
                .address
                .wrapping_add(addend)
                .wrapping_sub(site.address.wrapping_add(relocation.offset - site.start)),
            GlobalIndexLeb | GlobalIndexI32 => {
                if self.program.objects[number as usize].symbols[relocation.index as usize].kind
                    == Kind::Global
                {
                    return value.index;
                }
                self.slot(number, relocation.index)
            }
            FunctionOffsetI32 => self.function_offset(number, relocation).unwrap_or(addend),
            SectionOffsetI32 => {
                let moved = self.sections[number as usize].get(value.index as usize);
                moved.map_or(addend, |moved| moved.offset(addend))
            }
            // Refused when the object's relocations are decoded.
            _ => 0,
        }
    }

    /// Index of the global that holds the address of a symbol.
    fn slot(&self, number: u32, symbol: u32) -> u32 {
        self.layout.slot(match self.program.target(number, symbol) {
            Target::Shared(id, _) => Slot::Shared(id),
            Target::Object { object, symbol } => Slot::Local(object, symbol),
        })
    }

    fn function_offset(&self, number: u32, relocation: &Relocation) -> Option<u32> {
        match self
            .program
            .target_function(self.program.target(number, relocation.index))?
        {
            FunctionRef::Object(object, index) => {
                let start = *self
                    .function_offsets
                    .get(object as usize)?
                    .get(index as usize)?;
                Some(start.wrapping_add(relocation.addend as u32))
            }
            _ => None,
        }
    }

    /// Where a function's body begins in the code section of its object.
    pub fn start_of(&self, number: u32, index: u32) -> u32 {
        self.program.objects[number as usize].functions[index as usize].start
    }

    /// Writes the values of `relocations` into `bytes`, which begin at
    /// `site.start`; each keeps its width.
    pub fn apply(&self, number: u32, relocations: &[Relocation], site: Site, bytes: &mut [u8]) {
        let values = self.values(number);
        for relocation in relocations {
            let value = self.value(values, relocation, site);
            write(relocation, value, site, bytes);
        }
    }
}

/// Writes one value into `bytes`, which begin at `site.start`.
#[inline]
pub fn write(relocation: &Relocation, value: u32, site: Site, bytes: &mut [u8]) {
    let at = (relocation.offset - site.start) as usize;
    let bytes = &mut bytes[at..at + relocation.ty.extent()];
    match encoding(relocation.ty) {
        Encoding::Unsigned => padded_unsigned(value, bytes),
        Encoding::Signed => padded_signed(value as i32, bytes),
        Encoding::Fixed => bytes.copy_from_slice(&value.to_le_bytes()),
    }
}

/// How a relocation's value is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// LEB128 of 5 bytes, unsigned.
    Unsigned,
    /// LEB128 of 5 bytes, signed.
    Signed,
    /// 4 bytes, little-endian.
    Fixed,
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
        _ => Encoding::Fixed,
    }
}

/// Whether it is encoded as LEB128.
pub fn is_leb(ty: RelocationType) -> bool {
    encoding(ty) != Encoding::Fixed
}

fn padded_unsigned(mut value: u32, bytes: &mut [u8]) {
    let last = bytes.len() - 1;
    for byte in &mut bytes[..last] {
        *byte = (value as u8 & 0x7f) | 0x80;
        value >>= 7;
    }
    bytes[last] = value as u8 & 0x7f;
}

fn padded_signed(mut value: i32, bytes: &mut [u8]) {
    let last = bytes.len() - 1;
    for byte in &mut bytes[..last] {
        *byte = (value as u8 & 0x7f) | 0x80;
        value >>= 7;
    }
    bytes[last] = value as u8 & 0x7f;
}

/// Appends the shortest encoding; for [`Encoding::Fixed`] its 4 bytes.
pub fn shortest(encoding: Encoding, value: u32, out: &mut Vec<u8>) {
    use wasm_encoder::Encode;
    match encoding {
        Encoding::Unsigned => value.encode(out),
        Encoding::Signed => (value as i32).encode(out),
        Encoding::Fixed => out.extend_from_slice(&value.to_le_bytes()),
    }
}

/// Bytes of the shortest encoding.
pub fn shortest_len(encoding: Encoding, value: u32) -> usize {
    let significant = match encoding {
        Encoding::Unsigned => 32 - (value | 1).leading_zeros(),
        Encoding::Signed => {
            let value = value as i32;
            33 - (value ^ (value >> 31)).leading_zeros()
        }
        Encoding::Fixed => return 4,
    };
    significant.div_ceil(7) as usize
}

/// The object's function, seen by the code writer.
pub fn body<'a>(object: &Object<'a>, index: usize) -> &'a [u8] {
    let function = &object.functions[index];
    &object.code[function.start as usize..function.end as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortest_encodings_have_the_length_that_is_announced() {
        for shift in 0..32 {
            for value in [
                1u32 << shift,
                (1u32 << shift) - 1,
                (1u32 << shift).wrapping_neg(),
            ] {
                for encoding in [Encoding::Unsigned, Encoding::Signed, Encoding::Fixed] {
                    let mut out = Vec::new();
                    shortest(encoding, value, &mut out);
                    assert_eq!(
                        out.len(),
                        shortest_len(encoding, value),
                        "{encoding:?} {value:#x}"
                    );
                }
            }
        }
    }

    #[test]
    fn padded_encodings_decode_to_their_value() {
        for value in [0, 1, 63, 64, 127, 128, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            let mut bytes = [0; 5];
            padded_unsigned(value, &mut bytes);
            assert_eq!(
                wasmparser::BinaryReader::new(&bytes, 0)
                    .read_var_u32()
                    .unwrap(),
                value
            );
            padded_signed(value as i32, &mut bytes);
            assert_eq!(
                wasmparser::BinaryReader::new(&bytes, 0)
                    .read_var_i32()
                    .unwrap(),
                value as i32
            );
        }
    }
}
