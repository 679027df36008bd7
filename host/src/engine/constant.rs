//! Constant expressions.

use wasmparser::{BinaryReaderError, ConstExpr, Operator};

/// The address or place that an expression is, if it is a constant.
pub(super) fn constant(expression: &ConstExpr<'_>) -> Result<Option<u32>, BinaryReaderError> {
    let mut operators = expression.get_operators_reader();
    let value = match operators.read()? {
        Operator::I32Const { value } => value as u32,
        _ => return Ok(None),
    };
    Ok(matches!(operators.read()?, Operator::End).then_some(value))
}
