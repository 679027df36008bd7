//! Aggregates: a state for each group.

use super::argument::Arguments;
use super::batch::Batch;
use super::bits::{lowest, WORD};
use super::kept::fail;
use super::result::{Give, Returned, Updated};
use super::sink::Sinks as _;
use super::writer::Writer;
use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::mem::size_of;

/// The states of an aggregate's groups.
pub struct Groups<S> {
    states: Vec<S>,
    initial: fn() -> S,
}

impl<S> Groups<S> {
    /// None yet; the host has it until it gives it back.
    pub fn handle(initial: fn() -> S) -> *mut Self {
        let states = Vec::new();
        Box::into_raw(Box::new(Self { states, initial }))
    }

    /// # Safety
    /// It must be what `handle` gave, and not have been dropped.
    pub unsafe fn drop(handle: *mut Self) {
        drop(Box::from_raw(handle));
    }

    /// Forgets the first `count` groups.
    pub fn remove(&mut self, count: u32) {
        let count = self.states.len().min(count as usize);
        self.states.drain(..count);
    }

    /// How many bytes it takes, without what states refer to.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.states.capacity() * size_of::<S>()
    }

    fn reserve(&mut self, count: usize) {
        if self.states.len() < count {
            self.states.resize_with(count, self.initial);
        }
    }
}

/// Calls `function` with each row of a batch and its group's state, where all arguments that
/// may not be null have a value.
///
/// # Safety
/// The host must have made the batch, for arguments of these types.
#[cfg_attr(target_family = "wasm", target_feature(enable = "simd128"))]
pub unsafe fn fold<'a, S, A: Arguments<'a>, R: Updated>(
    groups: &mut Groups<S>,
    batch: &'a mut Batch,
    mut function: impl FnMut(&mut S, A) -> R,
) -> i32 {
    let (rows, of_rows) = (batch.rows(), batch.groups);
    let batch: *mut Batch = batch;
    let columns = A::columns(&*batch);
    groups.reserve((*batch).group_count.max(1) as usize);
    let states = &mut *groups.states;
    let with_nulls = !A::all_called(&columns);
    let most = match with_nulls {
        true => WORD,
        false => A::most(&columns),
    };
    let mut at = 0;
    while at < rows {
        let n = most.min(rows - at);
        let chunks = A::chunks(&columns, at, n);
        let called = match with_nulls {
            true => A::called(&columns, at, n),
            false => lowest(WORD),
        };
        let mut update = |state: &mut S, row: usize| {
            let updated = function(state, A::get(chunks, row)).updated();
            updated.map_err(|error| fail(&mut *batch, Some(at + row), &error))
        };
        let ended = if with_nulls && called != lowest(n) {
            let mut rows = (0..n).filter(|row| called >> row & 1 != 0);
            rows.try_for_each(|row| match of_rows.is_null() {
                true => update(&mut states[0], row),
                false => update(&mut states[*of_rows.add(at + row) as usize], row),
            })
        } else if of_rows.is_null() {
            let state = &mut states[0];
            (0..n).try_for_each(|row| update(state, row))
        } else {
            (0..n).try_for_each(|row| update(&mut states[*of_rows.add(at + row) as usize], row))
        };
        if let Err(failed) = ended {
            return failed;
        }
        at += n;
    }
    0
}

/// Fills in a batch's results with what `function` gives for the state of each group, as
/// many as there are rows.
///
/// # Safety
/// The host must have made the batch, for results of these types.
pub unsafe fn fill_in<'s, S, R: Results>(
    groups: &'s mut Groups<S>,
    batch: &mut Batch,
    mut function: impl FnMut(&'s S) -> R,
) -> i32 {
    let rows = batch.rows();
    groups.reserve(rows);
    let mut writers = R::writers(batch, rows);
    for (index, states) in groups.states[..rows].chunks(WORD).enumerate() {
        let at = index * WORD;
        R::begin(&mut writers, at);
        for (row, state) in states.iter().enumerate() {
            if let Err(error) = function(state).put(&mut writers, row) {
                return fail(batch, Some(at + row), &error);
            }
        }
        R::end(&mut writers, states.len());
    }
    R::finish(writers, batch);
    0
}

/// What is given for a state: a tuple of results.
pub trait Results {
    #[doc(hidden)]
    type Writers;
    #[doc(hidden)]
    unsafe fn writers(batch: &Batch, rows: usize) -> Self::Writers;
    #[doc(hidden)]
    unsafe fn begin(writers: &mut Self::Writers, at: usize);
    #[doc(hidden)]
    unsafe fn put(self, writers: &mut Self::Writers, row: usize) -> Result<(), String>;
    #[doc(hidden)]
    unsafe fn end(writers: &mut Self::Writers, n: usize);
    #[doc(hidden)]
    unsafe fn finish(writers: Self::Writers, batch: &Batch);
}

macro_rules! results {
    ($($result:ident $index:tt)*) => {
        impl<$($result: Returned),*> Results for ($($result,)*)
        where
            $($result::Value: Give),*
        {
            type Writers = ($(Writer<$result, <$result::Value as Give>::Sink>,)*);

            unsafe fn writers(batch: &Batch, rows: usize) -> Self::Writers {
                ($(Writer::new(batch.result($index), $index, rows),)*)
            }

            unsafe fn begin(writers: &mut Self::Writers, at: usize) {
                $(writers.$index.sink.begin(at);)*
            }

            unsafe fn put(self, writers: &mut Self::Writers, row: usize) -> Result<(), String> {
                $(
                    let put = writers.$index.put(row, self.$index);
                    put.map_err(|error| error.to_string())?;
                )*
                Ok(())
            }

            unsafe fn end(writers: &mut Self::Writers, n: usize) {
                $(writers.$index.end_with_nulls(n, lowest(n));)*
            }

            unsafe fn finish(writers: Self::Writers, batch: &Batch) {
                $(writers.$index.finish(batch.result($index));)*
            }
        }
    };
}

results!(A 0);
results!(A 0 B 1);
results!(A 0 B 1 C 2);
results!(A 0 B 1 C 2 D 3);
results!(A 0 B 1 C 2 D 3 E 4);
results!(A 0 B 1 C 2 D 3 E 4 F 5);
results!(A 0 B 1 C 2 D 3 E 4 F 5 G 6);
results!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7);
