//! A guest's scalar function as one of DataFusion's.

use crate::GuestModule;
use crate::arguments::{argument, coerce};
use crate::batch::Batch;
use crate::query::QueryGuests;
use crate::signature::Signature;
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature as TypeSignature, Volatility,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A scalar function of a module's.
#[derive(Debug)]
pub(crate) struct GuestScalar {
    module: GuestModule,
    signature: Arc<Signature>,
    types: TypeSignature,
    export: String,
    /// The guests of the query that it is in, once it is in one.
    query: Option<Arc<QueryGuests>>,
}

impl GuestScalar {
    pub(crate) fn new(
        module: &GuestModule,
        signature: &Arc<Signature>,
        query: Option<Arc<QueryGuests>>,
    ) -> Self {
        let types = match signature.arguments.is_empty() {
            true => TypeSignature::nullary(signature.volatility),
            false => TypeSignature::user_defined(signature.volatility),
        };
        Self {
            module: module.clone(),
            types,
            export: format!("column:{}", signature.name),
            signature: Arc::clone(signature),
            query,
        }
    }

    pub(crate) fn module(&self) -> &GuestModule {
        &self.module
    }

    /// The same in a query, with that one's guests.
    pub(crate) fn in_query(&self, query: Arc<QueryGuests>) -> Self {
        Self::new(&self.module, &self.signature, Some(query))
    }
}

// In which query it is makes no difference: what DataFusion compares are functions.
impl PartialEq for GuestScalar {
    fn eq(&self, other: &Self) -> bool {
        self.module.hash() == other.module.hash() && self.signature == other.signature
    }
}

impl Eq for GuestScalar {}

impl Hash for GuestScalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.module.hash().hash(state);
        self.signature.name.hash(state);
    }
}

impl ScalarUDFImpl for GuestScalar {
    fn name(&self) -> &str {
        &self.signature.name
    }

    fn signature(&self) -> &TypeSignature {
        &self.types
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        coerce(&self.signature, found)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.signature.result.data_type.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let signature = &self.signature;
        if args.number_rows == 0 {
            let empty = arrow::array::new_empty_array(&signature.result.data_type);
            return Ok(ColumnarValue::Array(empty));
        }
        let constant = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        // One call does for all rows, unless each is to give something else.
        let once = signature.volatility != Volatility::Volatile && args.args.iter().all(constant);
        let rows = if once { 1 } else { args.number_rows };
        let arguments: Result<Vec<_>> = args
            .args
            .iter()
            .enumerate()
            .map(|(index, value)| argument(signature, index, value, rows))
            .collect();
        let arguments = arguments?;
        let batch = Batch {
            function: &signature.name,
            export: &self.export,
            handle: None,
            rows,
            arguments: &arguments,
            results: std::slice::from_ref(&signature.result),
            groups: None,
        };
        let result = self.call(&batch)?;
        match once {
            true => Ok(ScalarValue::try_from_array(&result, 0)?.into()),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}

impl GuestScalar {
    fn call(&self, batch: &Batch<'_>) -> Result<ArrayRef> {
        // Outside of a query, as where constants are folded, a guest is for one call.
        let query = match &self.query {
            Some(query) => Arc::clone(query),
            None => QueryGuests::new(&self.module),
        };
        let mut guest = query.take(batch.function)?;
        let mut results = guest.run(batch.function, |guest| guest.call(batch))?;
        Ok(results.swap_remove(0))
    }
}
