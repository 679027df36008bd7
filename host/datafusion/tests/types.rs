//! For columns of each type that a function takes, however they lie in memory, it gives what
//! the same function in Rust gives.

mod guests;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, PrimitiveArray, RecordBatch, StringArray,
    new_empty_array,
};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Date64Type, Decimal128Type, Field, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use genkan_datafusion::resident_array;
use guests::{module, session};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use std::fmt::Debug;
use std::sync::Arc;

/// How a column lies in memory.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Plain,
    /// Rows are left out before and behind it.
    Slice(usize, usize),
    Resident,
    ResidentSlice(usize, usize),
    Dictionary,
}

fn shapes() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Plain),
        (0..70_usize, 0..70_usize).prop_map(|(before, behind)| Shape::Slice(before, behind)),
        Just(Shape::Resident),
        (0..70_usize, 0..70_usize)
            .prop_map(|(before, behind)| Shape::ResidentSlice(before, behind)),
        Just(Shape::Dictionary),
    ]
}

/// Values, of which some are null, more or fewer than a page has.
fn values<T: Strategy>(value: T) -> impl Strategy<Value = Vec<Option<T::Value>>>
where
    T: Clone + 'static,
    T::Value: Clone,
{
    let value = proptest::option::weighted(0.8, value).boxed();
    prop_oneof![
        4 => vec(value.clone(), 0..200),
        // As many, again and again.
        1 => vec(value, 1..40).prop_map(|few| few.iter().cycle().take(9_000).cloned().collect()),
    ]
}

/// The array in that shape.
fn shaped(array: ArrayRef, shape: Shape) -> ArrayRef {
    let cut = |array: &ArrayRef, before: usize, behind: usize| {
        let before = before.min(array.len());
        array.slice(
            before,
            array.len() - before - behind.min(array.len() - before),
        )
    };
    match shape {
        Shape::Plain => array,
        Shape::Slice(before, behind) => cut(&array, before, behind),
        Shape::Resident => resident_array(&array).unwrap(),
        Shape::ResidentSlice(before, behind) => {
            cut(&resident_array(&array).unwrap(), before, behind)
        }
        Shape::Dictionary => {
            let keys = DataType::Int32;
            let values = array.data_type().clone();
            match cast(&array, &DataType::Dictionary(keys.into(), values.into())) {
                Ok(dictionary) => dictionary,
                // Arrow has no such dictionaries of this type.
                Err(_) => array,
            }
        }
    }
}

fn call(function: &str, args: Vec<ColumnarValue>, rows: usize) -> ArrayRef {
    let ctx = session();
    let function = ctx.state().scalar_functions()[function].clone();
    let types: Vec<_> = args.iter().map(ColumnarValue::data_type).collect();
    let return_type = function.return_type(&types).unwrap();
    let result = function.invoke_with_args(ScalarFunctionArgs {
        arg_fields: types
            .into_iter()
            .map(|ty| Arc::new(Field::new("a", ty, true)))
            .collect(),
        args,
        number_rows: rows,
        return_field: Arc::new(Field::new("r", return_type, true)),
        config_options: Arc::default(),
    });
    result.unwrap().to_array(rows).unwrap()
}

/// Runs a function on many columns, and the same in Rust.
fn check<V: Clone + Debug + 'static>(
    name: &str,
    value: impl Strategy<Value = V> + Clone + 'static,
    array: impl Fn(Vec<Option<V>>) -> ArrayRef,
    same: impl Fn(&ArrayRef) -> ArrayRef,
) {
    let mut runner = TestRunner::new(Config {
        cases: 40,
        failure_persistence: None,
        ..Config::default()
    });
    let cases = (values(value), shapes());
    let outcome = runner.run(&cases, |(values, shape)| {
        let plain = array(values);
        let column = shaped(plain.clone(), shape);
        let expected = same(&match shape {
            Shape::Dictionary => plain,
            _ => column.clone(),
        });
        let rows = column.len();
        let got = call(name, vec![ColumnarValue::Array(column.clone())], rows);
        proptest::prop_assert_eq!(&got, &expected, "{:?}", shape);
        if rows > 0 {
            // And its first row alone, as a constant.
            let scalar = ScalarValue::try_from_array(&column, 0).unwrap();
            let got = call(name, vec![ColumnarValue::Scalar(scalar)], rows);
            let first = expected.slice(0, 1);
            let all: Vec<&dyn Array> = (0..rows).map(|_| &first as &dyn Array).collect();
            proptest::prop_assert_eq!(&got, &arrow::compute::concat(&all).unwrap());
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
}

fn unary<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    function: impl Fn(Option<T::Native>) -> Option<T::Native>,
) -> ArrayRef {
    let array = array.as_primitive::<T>();
    let result: PrimitiveArray<T> = array.iter().map(function).collect();
    Arc::new(result.with_data_type(array.data_type().clone()))
}

macro_rules! integers {
    ($($test:ident: $next:literal $odd:literal $type:ident $native:ident;)*) => {
        $(
            #[test]
            fn $test() {
                let array = |values| Arc::new(PrimitiveArray::<$type>::from_iter(values)) as ArrayRef;
                check($next, any::<$native>(), array, |column| {
                    unary::<$type>(column, |x| x.map(|x| x.wrapping_add(1)))
                });
                check($odd, any::<$native>(), array, |column| {
                    unary::<$type>(column, |x| match x {
                        None => Some(7),
                        Some(x) => (x & 1 != 0).then_some(x),
                    })
                });
            }
        )*
    };
}

integers! {
    int8: "next_i8" "odd_i8" Int8Type i8;
    int16: "next_i16" "odd_i16" Int16Type i16;
    int32: "next_i32" "odd_i32" Int32Type i32;
    int64: "next_i64" "odd_i64" Int64Type i64;
    uint8: "next_u8" "odd_u8" UInt8Type u8;
    uint16: "next_u16" "odd_u16" UInt16Type u16;
    uint32: "next_u32" "odd_u32" UInt32Type u32;
    uint64: "next_u64" "odd_u64" UInt64Type u64;
}

macro_rules! times {
    ($($test:ident: $next:literal $type:ident $native:ident;)*) => {
        $(
            #[test]
            fn $test() {
                let array = |values| Arc::new(PrimitiveArray::<$type>::from_iter(values)) as ArrayRef;
                check($next, any::<$native>(), array, |column| {
                    unary::<$type>(column, |x| x.map(|x| x.wrapping_add(1)))
                });
            }
        )*
    };
}

times! {
    date32: "next_date32" Date32Type i32;
    date64: "next_date64" Date64Type i64;
    seconds: "next_second" TimestampSecondType i64;
    milliseconds: "next_millisecond" TimestampMillisecondType i64;
    microseconds: "next_microsecond" TimestampMicrosecondType i64;
    nanoseconds: "next_nanosecond" TimestampNanosecondType i64;
}

#[test]
fn floats() {
    let array = |values| Arc::new(PrimitiveArray::<Float32Type>::from_iter(values)) as ArrayRef;
    check("half_f32", -1e9..1e9_f32, array, |column| {
        unary::<Float32Type>(column, |x| x.map(|x| x * 0.5))
    });
    let array = |values| Arc::new(PrimitiveArray::<Float64Type>::from_iter(values)) as ArrayRef;
    check("half_f64", -1e200..1e200_f64, array, |column| {
        unary::<Float64Type>(column, |x| x.map(|x| x * 0.5))
    });
}

#[test]
fn decimals() {
    let largest = 10_i128.pow(38) - 1;
    let array = |values: Vec<Option<i128>>| {
        let array = PrimitiveArray::<Decimal128Type>::from_iter(values);
        Arc::new(array.with_precision_and_scale(38, 3).unwrap()) as ArrayRef
    };
    check("next_decimal", -largest..=largest, array, |column| {
        unary::<Decimal128Type>(column, |x| x.map(|x| x / 2 + 1))
    });
}

#[test]
fn booleans() {
    let array = |values: Vec<Option<bool>>| Arc::new(BooleanArray::from(values)) as ArrayRef;
    check("not", any::<bool>(), array, |column| {
        let not: BooleanArray = column.as_boolean().iter().map(|x| x.map(|x| !x)).collect();
        Arc::new(not)
    });
    check("is_missing", any::<bool>(), array, |column| {
        let missing: BooleanArray = (0..column.len()).map(|i| Some(column.is_null(i))).collect();
        Arc::new(missing)
    });
}

#[test]
fn strings() {
    let array = |values: Vec<Option<String>>| Arc::new(StringArray::from(values)) as ArrayRef;
    let text = "[a-zß😀 ]{0,12}";
    check("upper_of", text, array, |column| {
        let upper = column
            .as_string::<i32>()
            .iter()
            .map(|x| x.map(str::to_uppercase));
        Arc::new(upper.collect::<StringArray>())
    });
    check("or_none", text, array, |column| {
        let all = column.as_string::<i32>().iter().map(|x| match x {
            None => Some("none"),
            Some("") => None,
            Some(text) => Some(text),
        });
        Arc::new(all.collect::<StringArray>())
    });
}

#[test]
fn bytes() {
    let array = |values: Vec<Option<Vec<u8>>>| Arc::new(BinaryArray::from_iter(values)) as ArrayRef;
    check("reversed", vec(any::<u8>(), 0..9), array, |column| {
        let reversed = column
            .as_binary::<i32>()
            .iter()
            .map(|x| x.map(|bytes| bytes.iter().rev().copied().collect::<Vec<u8>>()));
        Arc::new(BinaryArray::from_iter(reversed))
    });
}

#[test]
fn two_columns_and_a_constant() {
    let a: ArrayRef = Arc::new(PrimitiveArray::<Int64Type>::from_iter(
        (0..5_000).map(|n| (n % 11 != 0).then_some(n)),
    ));
    let b: ArrayRef = Arc::new(PrimitiveArray::<Int64Type>::from_iter(
        (0..5_000).map(|n| (n % 7 != 0).then_some(n * 3)),
    ));
    let expected = |b: &dyn Fn(usize) -> Option<i64>| {
        let gcd = |mut a: i64, mut b: i64| {
            while b != 0 {
                (a, b) = (b, a % b);
            }
            a
        };
        let a = a.as_primitive::<Int64Type>();
        let rows = a.iter().enumerate().map(|(row, a)| Some(gcd(a?, b(row)?)));
        Arc::new(PrimitiveArray::<Int64Type>::from_iter(rows)) as ArrayRef
    };
    let array = |array: &ArrayRef| ColumnarValue::Array(array.clone());
    let got = call("gcd", vec![array(&a), array(&b)], 5_000);
    let rows = b.as_primitive::<Int64Type>();
    let value = |row| rows.is_valid(row).then(|| rows.value(row));
    assert_eq!(&got, &expected(&value));
    let constant = |value| ColumnarValue::Scalar(ScalarValue::Int64(value));
    let got = call("gcd", vec![array(&a), constant(Some(12))], 5_000);
    assert_eq!(&got, &expected(&|_| Some(12)));
    let got = call("gcd", vec![array(&a), constant(None)], 5_000);
    assert_eq!(got.null_count(), 5_000);
    let got = call("gcd", vec![constant(Some(12)), constant(Some(18))], 3);
    assert_eq!(got.as_primitive::<Int64Type>().values(), &[6, 6, 6]);
    assert_eq!(
        call("answer", Vec::new(), 2)
            .as_primitive::<Int32Type>()
            .values(),
        &[42, 42]
    );
}

#[test]
fn no_rows() {
    for signature in module().functions() {
        if signature.kind == genkan_datafusion::Kind::Aggregate {
            continue;
        }
        let empty = |column: &genkan_datafusion::Column| new_empty_array(&column.data_type);
        let args = signature
            .arguments
            .iter()
            .map(|it| ColumnarValue::Array(empty(it)));
        let got = call(&signature.name, args.collect(), 0);
        assert_eq!(
            (got.len(), got.data_type()),
            (0, &signature.result.data_type)
        );
    }
}

#[test]
fn results_are_kept_while_others_come() {
    // Large enough to be where the guest wrote them.
    let ctx = session();
    let column: ArrayRef = Arc::new(PrimitiveArray::<Int64Type>::from_iter_values(0..200_000));
    let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
    ctx.register_batch("t", batch).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let columns = runtime
        .block_on(guests::query(
            &ctx,
            "SELECT a, next_i64(a) AS b, next_i64(next_i64(a)) AS c FROM t",
        ))
        .unwrap();
    let numbers: Vec<_> = columns
        .iter()
        .map(|it| it.as_primitive::<Int64Type>())
        .collect();
    assert_eq!(numbers[0].len(), 200_000);
    for row in 0..numbers[0].len() {
        let a = numbers[0].value(row);
        assert_eq!(
            (numbers[1].value(row), numbers[2].value(row)),
            (a + 1, a + 2)
        );
    }
}
