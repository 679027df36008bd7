//! Where functions and custom sections of the objects went: what debug
//! information is relocated by.

use crate::index::{IndexVec, ObjCustom, ObjFunction, ObjectId};
use crate::layout::strings::Pieces;

/// Per object and function, where its body begins in the code section's
/// contents, if it is live.
pub type FunctionOffsets = IndexVec<ObjectId, IndexVec<ObjFunction, Option<u32>>>;

/// Where a custom section of an object went in the module's.
#[derive(Debug)]
pub enum CustomOffset {
    /// It begins at this offset.
    Whole(u32),
    /// Its strings are merged with others.
    Strings(Pieces),
    /// It is left out.
    Dropped,
}

impl CustomOffset {
    /// The offset in the module's section for one in the object's.
    pub fn offset(&self, offset: u32) -> u32 {
        match self {
            CustomOffset::Whole(start) => start.wrapping_add(offset),
            CustomOffset::Strings(pieces) => pieces.output_offset(offset),
            CustomOffset::Dropped => offset,
        }
    }
}

/// Where each custom section went.
pub type CustomOffsets = IndexVec<ObjectId, IndexVec<ObjCustom, CustomOffset>>;
