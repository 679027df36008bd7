//! Vectors of numbers that become regions where they are.

use super::region::{Bytes, Region};
use crate::sys::Buffer;
use crate::types::{Error, MAX_REGION_LEN};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A number: `u8` to `u64`, `i8` to `i64`, `f32`, `f64`.
pub trait Number: private::Sealed + fmt::Debug {}

mod private {
    pub trait Sealed: bytemuck::Pod {}
}

macro_rules! numbers {
    ($($number:ty)*) => {
        $(
            impl private::Sealed for $number {}
            impl Number for $number {}
        )*
    };
}

numbers! { u8 u16 u32 u64 i8 i16 i32 i64 f32 f64 }

/// A vector of numbers in memory that guests can be shown: to become a [`Region`], it is
/// not copied.
///
/// ```
/// # fn main() -> Result<(), genkan_host::Error> {
/// use genkan_host::RegionVec;
///
/// let mut squares = RegionVec::<f64>::with_capacity(1000)?;
/// for n in 0..1000 {
///     squares.push(f64::from(n * n))?;
/// }
/// assert_eq!(squares[30], 900.0);
/// let region = squares.into_region()?;
/// assert_eq!(region.len(), 8000);
/// # Ok(())
/// # }
/// ```
pub struct RegionVec<T> {
    /// Room for more than there is.
    buffer: Buffer,
    /// How many numbers there are.
    len: usize,
    of: PhantomData<T>,
}

impl<T: Number> RegionVec<T> {
    /// An empty one with room for so many numbers.
    ///
    /// # Errors
    /// [`Error::RegionTooLarge`]; [`Error::Memory`].
    pub fn with_capacity(numbers: usize) -> Result<Self, Error> {
        Ok(Self {
            buffer: buffer::<T>(numbers)?,
            len: 0,
            of: PhantomData,
        })
    }

    /// How many numbers it has room for.
    pub fn capacity(&self) -> usize {
        self.buffer.bytes().len() / size_of::<T>()
    }

    /// Adds a number.
    ///
    /// # Errors
    /// As for [`RegionVec::with_capacity`]: then nothing was added.
    pub fn push(&mut self, number: T) -> Result<(), Error> {
        self.extend_from_slice(&[number])
    }

    /// Adds numbers.
    ///
    /// # Errors
    /// As for [`RegionVec::with_capacity`]: then nothing was added.
    pub fn extend_from_slice(&mut self, numbers: &[T]) -> Result<(), Error> {
        let end = self.len.saturating_add(numbers.len());
        if end > self.capacity() {
            let most = MAX_REGION_LEN / size_of::<T>();
            let mut larger = buffer::<T>(end.max((2 * self.len).min(most)))?;
            let bytes: &[u8] = bytemuck::cast_slice(self);
            larger.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
            self.buffer = larger;
        }
        let start = std::mem::replace(&mut self.len, end);
        self[start..].copy_from_slice(numbers);
        Ok(())
    }

    /// Keeps the first `len` numbers, or all if there are fewer.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The region with these numbers, to be granted to guests. The numbers stay where they
    /// are.
    ///
    /// # Errors
    /// [`Error::NoMoreRegions`].
    pub fn into_region(self) -> Result<Region, Error> {
        let len = size_of_val(&*self);
        let bytes = self.buffer.into_shared(len);
        Region::new(Bytes::Memory(Arc::new(bytes)), len)
    }
}

fn buffer<T>(numbers: usize) -> Result<Buffer, Error> {
    let len = numbers.saturating_mul(size_of::<T>());
    super::region::check_len(len as u64)?;
    Buffer::zeroed(len).map_err(Error::Memory)
}

impl<T: Number> Deref for RegionVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &bytemuck::cast_slice(self.buffer.bytes())[..self.len]
    }
}

impl<T: Number> DerefMut for RegionVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut bytemuck::cast_slice_mut(self.buffer.bytes_mut())[..self.len]
    }
}

impl<T: Number> fmt::Debug for RegionVec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&**self).finish()
    }
}
