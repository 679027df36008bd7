//! Writes relocated values into code, data and debug information: takes where
//! functions and custom sections went, which only debug information asks for.

use wasmparser::RelocationType;

use crate::error::Result;
use crate::index::{ObjFunction, ObjectId, Within};
use crate::input::relocation::{self, Relocation};
use crate::output::offsets::{CustomOffsets, FunctionOffsets};
use crate::output::values::{ObjectValues, Site, Value, Values};
use crate::resolve::resolution::{FunctionRef, Resolution};

/// Knows what every relocation writes.
pub struct Relocator<'p, 'a> {
    resolution: &'p Resolution<'a>,
    values: &'p Values<'p, 'a>,
    functions: &'p FunctionOffsets,
    customs: &'p CustomOffsets,
}

impl<'p, 'a> Relocator<'p, 'a> {
    /// Knows the symbols' values, and where functions and custom sections are.
    pub fn new(
        resolution: &'p Resolution<'a>,
        values: &'p Values<'p, 'a>,
        functions: &'p FunctionOffsets,
        customs: &'p CustomOffsets,
    ) -> Self {
        Relocator {
            resolution,
            values,
            functions,
            customs,
        }
    }

    /// The values of an object's symbols.
    pub fn values(&self, id: ObjectId) -> &ObjectValues {
        self.values.of(id)
    }

    /// Where a function's body begins in the code section of its object.
    pub fn function_start(&self, f: Within<ObjFunction>) -> u32 {
        self.resolution.object(f.object).functions[f.index].start
    }

    /// The value that a relocation of live code or data writes.
    ///
    /// # Errors
    ///
    /// If it needs what is not in the module.
    #[inline]
    pub fn value(
        &self,
        id: ObjectId,
        of: &ObjectValues,
        relocation: &Relocation,
        site: Site,
        section: &str,
    ) -> Result<u64> {
        match relocation.ty {
            RelocationType::FunctionOffsetI32
            | RelocationType::FunctionOffsetI64
            | RelocationType::SectionOffsetI32 => {
                // In what the module has not, it stays as it is.
                let place = self.place(id, of, relocation);
                Ok(place.unwrap_or(relocation.addend as u32).into())
            }
            _ => match self.values.value(id, of, relocation, site) {
                Some(value) => Ok(value),
                None => Err(self.values.absent(id, relocation, section)),
            },
        }
    }

    /// The value that a relocation of a custom section writes: `tombstone`, if
    /// there is one, for what is not in the module.
    #[inline]
    pub fn debug_value(
        &self,
        id: ObjectId,
        of: &ObjectValues,
        relocation: &Relocation,
        site: Site,
        tombstone: Option<u64>,
    ) -> u64 {
        if relocation.ty != RelocationType::TypeIndexLeb
            && matches!(of.symbols[relocation.symbol()], Value::Absent)
            && let Some(tombstone) = tombstone
        {
            return tombstone;
        }
        match relocation.ty {
            RelocationType::FunctionOffsetI32
            | RelocationType::FunctionOffsetI64
            | RelocationType::SectionOffsetI32 => {
                let place = self.place(id, of, relocation).map(u64::from);
                place.or(tombstone).unwrap_or(relocation.addend as u64)
            }
            // -1 is no index.
            _ => {
                let value = self.values.value(id, of, relocation, site);
                value.unwrap_or(u64::MAX)
            }
        }
    }

    /// An offset in the module's code or in a custom section; `None` in what the
    /// module has not, such as a function for which another is written: an address
    /// is of one function only.
    fn place(&self, id: ObjectId, of: &ObjectValues, relocation: &Relocation) -> Option<u32> {
        let addend = relocation.addend as u32;
        match of.symbols[relocation.symbol()] {
            Value::Section(Some(custom)) => Some(self.customs[id][custom].offset(addend)),
            Value::Function(..) => {
                let symbol = Within::new(id, relocation.symbol());
                let target = self.resolution.target(symbol);
                match self.resolution.target_function(target) {
                    Some(FunctionRef::Object(f)) => {
                        let start = self.functions[f.object][f.index];
                        start.map(|start| start.wrapping_add(addend))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Writes the values of `relocations` into `bytes`, which begin at
    /// `site.start`; each keeps its width.
    ///
    /// # Errors
    ///
    /// If one needs what is not in the module.
    pub fn apply(
        &self,
        id: ObjectId,
        relocations: &[Relocation],
        site: Site,
        bytes: &mut [u8],
        section: &str,
    ) -> Result<()> {
        let of = self.values.of(id);
        for relocation in relocations {
            let value = self.value(id, of, relocation, site, section)?;
            write(relocation, value, site, bytes);
        }
        Ok(())
    }
}

/// Writes one value into `bytes`, which begin at `site.start`.
#[inline]
pub fn write(relocation: &Relocation, value: u64, site: Site, bytes: &mut [u8]) {
    let at = (relocation.offset - site.start) as usize;
    let bytes = &mut bytes[at..at + relocation.ty.extent()];
    relocation::encoding(relocation.ty).write_padded(value, bytes);
}
