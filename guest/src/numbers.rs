//! A slice's numbers, one after the other.

use crate::{HostSlice, Number};
use core::fmt;
use core::iter::FusedIterator;
use core::marker::PhantomData;
use core::mem::MaybeUninit;

/// How many bytes are copied at once: large beside what a copy costs, small beside the
/// stack.
const CHUNK: usize = 2048;

/// What [`HostSlice::numbers`] gives.
pub struct Numbers<T> {
    /// What was not copied yet: a whole number of numbers.
    rest: HostSlice,
    /// What was copied, and from where to where it was not given yet.
    chunk: MaybeUninit<[u8; CHUNK]>,
    start: usize,
    end: usize,
    numbers: PhantomData<fn() -> T>,
}

impl<T: Number> Numbers<T> {
    const SIZE: usize = T::SIZE as usize;

    pub(crate) fn new(slice: HostSlice) -> Self {
        let whole = slice.len() - slice.len() % Self::SIZE;
        Self {
            rest: slice.slice(0..whole),
            chunk: MaybeUninit::uninit(),
            start: 0,
            end: 0,
            numbers: PhantomData,
        }
    }

    /// Copies the next chunk, in place of the last one. The bounds are checked here, once
    /// for all of it.
    fn fill(&mut self) {
        let len = self.rest.len().min(CHUNK);
        unsafe { self.rest.copy_to(self.chunk.as_mut_ptr().cast(), len) };
        self.rest = self.rest.slice(len..self.rest.len());
        self.start = 0;
        self.end = len;
    }

    /// The number at this byte of the chunk: before `end`.
    unsafe fn at(&self, start: usize) -> T {
        T::load(self.chunk.as_ptr().cast::<u8>().add(start))
    }
}

impl<T: Number> Iterator for Numbers<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.start == self.end {
            if self.rest.is_empty() {
                return None;
            }
            self.fill();
        }
        let number = unsafe { self.at(self.start) };
        self.start += Self::SIZE;
        Some(number)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.end - self.start + self.rest.len()) / Self::SIZE;
        (left, Some(left))
    }

    /// Without a question, for each number, whether it is the chunk's last one.
    fn fold<B, F: FnMut(B, T) -> B>(mut self, first: B, mut f: F) -> B {
        let mut result = first;
        loop {
            for start in (self.start..self.end).step_by(Self::SIZE) {
                result = f(result, unsafe { self.at(start) });
            }
            if self.rest.is_empty() {
                return result;
            }
            self.fill();
        }
    }
}

impl<T: Number> ExactSizeIterator for Numbers<T> {}

impl<T: Number> FusedIterator for Numbers<T> {}

impl<T: Number> fmt::Debug for Numbers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Numbers")
            .field("left", &self.len())
            .finish_non_exhaustive()
    }
}
