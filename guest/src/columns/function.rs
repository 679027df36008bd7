//! Functions that are called for each row.

use super::argument::Arguments;
use super::batch::Batch;
use super::bits::{lowest, WORD};
use super::kept::fail;
use super::result::Returned;
use super::sink::Sink;
use super::writer::Writer;

/// Fills in a batch's result with what `function` gives for each row in which all
/// arguments that may not be null have a value. A function writes text into the sink, or
/// has no use for it.
///
/// # Safety
/// The host must have made the batch, for arguments and a result of these types.
// What is inlined here may be slower on its own.
#[cfg_attr(target_family = "wasm", target_feature(enable = "simd128"))]
pub unsafe fn by_row<'a, A, R, S>(
    batch: &'a mut Batch,
    mut function: impl FnMut(A, &mut S) -> R,
) -> i32
where
    A: Arguments<'a>,
    R: Returned,
    S: Sink<R::Value>,
{
    let rows = batch.rows();
    let batch: *mut Batch = batch;
    let columns = A::columns(&*batch);
    let column = (*batch).result(0);
    let mut writer = Writer::<R, S>::new(column, 0, rows);
    let with_nulls = R::NULLS || !A::all_called(&columns);
    let most = match with_nulls {
        true => WORD,
        false => A::most(&columns).min(S::MOST),
    };
    let mut at = 0;
    while at < rows {
        let n = most.min(rows - at);
        let chunks = A::chunks(&columns, at, n);
        writer.sink.begin(at);
        let called = match with_nulls {
            true => A::called(&columns, at, n),
            false => lowest(WORD),
        };
        if !with_nulls || called == lowest(n) {
            // No test for each row, so that it can be of several at once.
            for row in 0..n {
                let result = function(A::get(chunks, row), &mut writer.sink);
                if let Err(error) = writer.put(row, result) {
                    return fail(&mut *batch, Some(at + row), &error);
                }
            }
        } else {
            writer.sink.blank(n);
            let mut left = called;
            while left != 0 {
                let row = left.trailing_zeros() as usize;
                left &= left - 1;
                let result = function(A::get(chunks, row), &mut writer.sink);
                if let Err(error) = writer.put(row, result) {
                    return fail(&mut *batch, Some(at + row), &error);
                }
            }
        }
        match with_nulls {
            true => writer.end_with_nulls(n, called),
            false => writer.sink.end(),
        }
        at += n;
    }
    writer.finish(column);
    0
}

/// `?` behind a type that may be null.
pub const fn nullable(nulls: bool) -> &'static str {
    match nulls {
        true => "?",
        false => "",
    }
}

/// Whether two types have the same name in the section, whether or not they may be null.
pub const fn same_type(one: &[&str], other: &[&str]) -> bool {
    let (one, other) = (one[0].as_bytes(), other[0].as_bytes());
    let mut i = 0;
    while i < one.len() && i < other.len() && one[i] == other[i] {
        i += 1;
    }
    i == one.len() && i == other.len()
}
