//! What a query gives a function, as the types that the function takes.

use crate::Error;
use crate::batch::Argument;
use crate::signature::Signature;
use arrow::array::{Array, ArrayRef};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;

/// The types that arguments are cast to, which are the function's own.
///
/// # Errors
/// If there are not as many, or one cannot be cast without a loss.
pub(crate) fn coerce(signature: &Signature, found: &[DataType]) -> Result<Vec<DataType>> {
    let expected = &signature.arguments;
    if expected.len() != found.len() {
        return plan_err!(
            "{signature} takes {} arguments, and is called with {}",
            expected.len(),
            found.len()
        );
    }
    for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
        if !fits(&expected.data_type, found) {
            return Err(refused(signature, index, found).into());
        }
    }
    Ok(expected.iter().map(|it| it.data_type.clone()).collect())
}

/// Whether values of a type are cast to another without being asked: numbers to such as have
/// room for them and anything to text, as DataFusion's own functions have it, and between the
/// ways in which Arrow has the same values.
fn fits(into: &DataType, from: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Date32, Date64, Decimal128, Dictionary, FixedSizeBinary, Float16,
        Float32, Float64, Int8, Int16, Int32, Int64, LargeBinary, Null, RunEndEncoded, Timestamp,
        UInt8, UInt16, UInt32, UInt64, Utf8,
    };
    match (into, from) {
        _ if into == from => true,
        (_, Dictionary(_, values)) => fits(into, values),
        (_, RunEndEncoded(_, values)) => fits(into, values.data_type()),
        (Binary, LargeBinary | BinaryView | FixedSizeBinary(_)) => true,
        (Timestamp(into, None), Timestamp(from, None)) => fineness(*into) >= fineness(*from),
        (Decimal128(into, into_scale), Decimal128(from, from_scale)) => {
            let whole = |precision: u8, scale: i8| i16::from(precision) - i16::from(scale);
            into_scale >= from_scale && whole(*into, *into_scale) >= whole(*from, *from_scale)
        }
        (Timestamp(_, None), Date32 | Date64) => true,
        (Int16, Int8 | UInt8) => true,
        (Int32, Int8 | Int16 | UInt8 | UInt16) => true,
        (Int64, Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32) => true,
        (UInt16, UInt8) => true,
        (UInt32, UInt8 | UInt16) => true,
        (UInt64, UInt8 | UInt16 | UInt32) => true,
        (Float32, Float16) => true,
        (Float32 | Float64, from) if from.is_integer() => true,
        (Float64, Float16 | Float32) => true,
        (Float64, from) if from.is_decimal() => true,
        (Utf8, from) | (_, from @ Null) => can_cast_types(from, into),
        _ => false,
    }
}

fn fineness(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}

fn refused(signature: &Signature, index: usize, found: &DataType) -> Error {
    Error::Argument {
        function: signature.to_string(),
        index: index + 1,
        found: found.to_string(),
        expected: signature.arguments[index].data_type.to_string(),
    }
}

/// An argument, of the function's type, for a batch of so many rows.
///
/// # Errors
/// If it is of another type that cannot be cast; if it has not as many rows.
pub(crate) fn argument(
    signature: &Signature,
    index: usize,
    value: &ColumnarValue,
    rows: usize,
) -> Result<Argument> {
    let (array, scalar) = match value {
        ColumnarValue::Array(array) => (array.clone(), false),
        ColumnarValue::Scalar(scalar) => (scalar.to_array()?, true),
    };
    let array = cast(signature, index, array)?;
    check_rows(signature, &array, if scalar { 1 } else { rows })?;
    Ok(Argument {
        data: array.to_data(),
        scalar,
    })
}

/// The columns that an aggregate is given, of its types.
///
/// # Errors
/// As for [`argument`].
pub(crate) fn columns(signature: &Signature, arrays: &[ArrayRef]) -> Result<Vec<Argument>> {
    let rows = arrays.first().map_or(0, |array| array.len());
    let arrays = arrays.iter().enumerate();
    let columns = arrays.map(|(index, array)| {
        let array = cast(signature, index, array.clone())?;
        check_rows(signature, &array, rows)?;
        Ok(Argument {
            data: array.to_data(),
            scalar: false,
        })
    });
    columns.collect()
}

fn cast(signature: &Signature, index: usize, array: ArrayRef) -> Result<ArrayRef> {
    let found = array.data_type();
    let Some(expected) = signature.arguments.get(index) else {
        return plan_err!("{signature} is called with more arguments than it takes");
    };
    if found == &expected.data_type {
        return Ok(array);
    }
    // DataFusion has cast them already, unless somebody calls the function by hand.
    if !fits(&expected.data_type, found) {
        return Err(refused(signature, index, found).into());
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    Ok(cast_with_options(&array, &expected.data_type, &options)?)
}

fn check_rows(signature: &Signature, array: &dyn Array, rows: usize) -> Result<()> {
    match array.len() == rows {
        true => Ok(()),
        false => plan_err!(
            "{signature} is called with columns of {rows} and of {} rows",
            array.len()
        ),
    }
}

/// The states that an aggregate is to merge: what it gave itself.
///
/// # Errors
/// If they are of other types.
pub(crate) fn states(signature: &Signature, arrays: &[ArrayRef]) -> Result<Vec<Argument>> {
    let rows = arrays.first().map_or(0, |array| array.len());
    let found = arrays.iter().map(|array| array.data_type());
    if !found.eq(signature.state.iter().map(|state| &state.data_type)) {
        return plan_err!("the states of {signature} are of other types than it gives");
    }
    let states = arrays.iter().map(|array| {
        check_rows(signature, array, rows)?;
        Ok(Argument {
            data: array.to_data(),
            scalar: false,
        })
    });
    states.collect()
}
