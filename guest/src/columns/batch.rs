//! What lies in memory for a call: see `COLUMNS.md`.

/// A batch of rows, and what becomes of it.
#[repr(C)]
pub struct Batch {
    pub(super) rows: u32,
    pub(super) columns: *const Raw,
    pub(super) column_count: u32,
    pub(super) results: *mut Raw,
    pub(super) result_count: u32,
    /// Null: all rows are of group 0.
    pub(super) groups: *const u32,
    pub(super) group_count: u32,
    pub(super) error: *const u8,
    pub(super) error_len: u32,
    pub(super) error_row: u32,
}

/// The row of an error that is of none.
pub(super) const NO_ROW: u32 = u32::MAX;

/// A column, an argument's or a result's.
#[repr(C)]
pub struct Raw {
    pub(super) values: *mut u8,
    pub(super) values_len: u32,
    pub(super) values_bit: u32,
    pub(super) offsets: *mut i32,
    /// Null: there is a value in each row.
    pub(super) validity: *mut u8,
    pub(super) validity_bit: u32,
    pub(super) nulls: u32,
    pub(super) flags: u32,
}

/// [`Raw::flags`]: one row stands for all.
const CONSTANT: u32 = 1;

// The sizes that the host knows.
#[cfg(target_family = "wasm")]
const _: () = assert!(core::mem::size_of::<Batch>() == 40 && core::mem::size_of::<Raw>() == 32);

impl Batch {
    pub(super) fn rows(&self) -> usize {
        self.rows as usize
    }

    /// # Safety
    /// There must be that many arguments and one more.
    pub(super) unsafe fn column(&self, index: usize) -> &Raw {
        debug_assert!(index < self.column_count as usize);
        &*self.columns.add(index)
    }

    /// # Safety
    /// There must be that many results and one more, and no reference to it.
    pub(super) unsafe fn result<'r>(&self, index: usize) -> &'r mut Raw {
        debug_assert!(index < self.result_count as usize);
        &mut *self.results.add(index)
    }
}

impl Raw {
    pub(super) fn is_constant(&self) -> bool {
        self.flags & CONSTANT != 0
    }
}
