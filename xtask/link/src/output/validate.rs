//! Validates what was written. Code is copied from the objects as it is, so where a
//! function's is damaged, this is what tells, by the names that it has in the object.

use rayon::prelude::*;
use wasmparser::{
    FuncToValidate, FuncValidatorAllocations, FunctionBody, Parser, ValidPayload, Validator,
    ValidatorResources, WasmFeatures,
};

use crate::error::{Damage, Error, Errors, Result};
use crate::output::code::Code;
use crate::output::parts::Parts;
use crate::parallel;
use crate::resolve::resolution::FunctionRef;

type Function<'m> = (FuncToValidate<ValidatorResources>, FunctionBody<'m>);

/// Checks `module`, of which `code` was written, against the specification with all
/// proposals that wasmparser knows: which of them an engine has is not the linker's
/// to say.
///
/// # Errors
///
/// If it is not valid: all functions that are not, or else the first of what else
/// is wrong.
pub fn validate(parts: &Parts, code: &Code, module: &[u8]) -> Result<()> {
    let functions = sections(module).map_err(|error| Error::Invalid {
        offset: error.offset(),
        reason: error.message().to_owned(),
    })?;
    let check = |allocations: &mut FuncValidatorAllocations, (number, function)| {
        let (function, body): Function = function;
        let mut validator = function.into_validator(std::mem::take(allocations));
        let result = validator.validate(&body);
        *allocations = validator.into_allocations();
        let error = result.err()?;
        Some(invalid(parts, code, number, &body, &error))
    };
    let errors: Vec<Option<Error>> = if code.size > parallel::OUTPUT_BYTES {
        let functions = functions.into_par_iter().enumerate().with_min_len(64);
        let errors = functions.map_init(FuncValidatorAllocations::default, check);
        errors.collect()
    } else {
        let mut allocations = FuncValidatorAllocations::default();
        let functions = functions.into_iter().enumerate();
        functions.map(|it| check(&mut allocations, it)).collect()
    };
    Errors::check(errors.into_iter().flatten().collect())
}

/// Checks all but the functions, which it gives.
fn sections(module: &[u8]) -> wasmparser::Result<Vec<Function<'_>>> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut functions = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        if let ValidPayload::Func(function, body) = validator.payload(&payload?)? {
            functions.push((function, body));
        }
    }
    Ok(functions)
}

/// What is wrong with the function `number`, whose body is `body`.
fn invalid(
    parts: &Parts,
    code: &Code,
    number: usize,
    body: &FunctionBody,
    error: &wasmparser::BinaryReaderError,
) -> Error {
    let reason = error.message().to_owned();
    let offset = error.offset().saturating_sub(body.range().start);
    let resolution = parts.resolution;
    let origin = code.origin(resolution, number, body.as_bytes(), offset as usize);
    let Some((function, offset)) = origin else {
        return Error::Invalid {
            offset: error.offset(),
            reason,
        };
    };
    let object = resolution.object(function.object);
    let start = object.code_offset + object.functions[function.index].start as usize;
    let symbol = parts.function_name(FunctionRef::Object(function));
    Error::Damaged {
        origin: object.name.into(),
        damage: Damage::InvalidFunction {
            symbol: symbol.to_owned(),
            offset: (start + offset) as u64,
            reason,
        },
    }
}
