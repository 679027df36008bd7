//! Where an object calls a function by another type than it has, its calls go to
//! a function that traps.

use std::borrow::Cow;

use hashbrown::HashMap;
use wasmparser::{RelocationType, SymbolFlags};

use crate::error::{Error, Result, Warning};
use crate::index::{ObjSymbol, ObjectId, SymbolId, Within};
use crate::input::object::Object;
use crate::options::Options;
use crate::origin::{Origin, SymbolKind};
use crate::resolve::resolution::Resolution;
use crate::signature::Signature;
use crate::symbols::{Action, Definition, Symbol, SyntheticFunction};

/// Binds such calls to functions that trap, each with a warning; gives what is
/// called by two types and not defined.
///
/// # Errors
///
/// If relocations are damaged.
pub fn stub_mismatched_calls(resolution: &mut Resolution, options: &Options) -> Result<Vec<Error>> {
    let mut errors = Vec::new();
    let mut stubs: HashMap<(SymbolId, Signature), SymbolId> = HashMap::new();
    for number in resolution.objects.indices() {
        for index in resolution.object(number).symbols.indices() {
            let at = Within::new(number, index);
            let Some(id) = resolution.objects[number].bindings[index] else {
                continue;
            };
            let object = resolution.object(number);
            let symbol = &object.symbols[index];
            let Some(expected) = object.symbol_type(symbol) else {
                continue;
            };
            if symbol.kind != SymbolKind::Function {
                continue;
            }
            if let Some(error) = library_mismatch(resolution, options, at, id, expected)? {
                errors.push(error);
                continue;
            }
            let Some(actual) = resolution.symbol_type(id) else {
                // Known by option alone so far, as `__wrap_NAME` may be.
                let symbol = &mut resolution.symbols[id];
                if !symbol.is_defined() {
                    symbol.import.signature = Some(expected);
                    symbol.wanted_by.get_or_insert(number);
                }
                continue;
            };
            let shared = &resolution.symbols[id];
            if actual == expected
                || shared.kind != SymbolKind::Function
                || !is_called(object, index)?
            {
                continue;
            }
            if !shared.is_defined() {
                if is_called_before(resolution, id, at)? {
                    errors.push(mismatch(resolution, id, at, actual, expected));
                } else {
                    resolution.symbols[id].import.signature = Some(expected);
                }
                continue;
            }
            let stub = match stubs.get(&(id, expected)) {
                Some(&stub) => stub,
                None => {
                    let warning = warning(resolution, id, at, actual, expected);
                    resolution.warnings.push(warning);
                    let stub = trap_stub(resolution, options, id, expected);
                    stubs.insert((id, expected), stub);
                    stub
                }
            };
            resolution.objects[number].bindings[index] = Some(stub);
        }
    }
    Ok(errors)
}

fn name_of(resolution: &Resolution, object: ObjectId) -> Origin {
    resolution.object(object).name.into()
}

fn mismatch(
    resolution: &Resolution,
    id: SymbolId,
    at: Within<ObjSymbol>,
    actual: Signature,
    expected: Signature,
) -> Error {
    let symbol = &resolution.symbols[id];
    Error::SignatureMismatch {
        symbol: symbol.name.to_string(),
        first_type: actual.to_string(),
        first: symbol.wanted_by.map(|first| name_of(resolution, first)),
        second_type: expected.to_string(),
        second: name_of(resolution, at.object),
    }
}

/// What is wrong if the object calls a function of a shared library by another type
/// than that has.
fn library_mismatch(
    resolution: &Resolution,
    options: &Options,
    at: Within<ObjSymbol>,
    id: SymbolId,
    called_as: Signature,
) -> Result<Option<Error>> {
    let symbol = &resolution.symbols[id];
    let library = symbol.library.filter(|_| symbol.is_in_library());
    let Some((library, actual)) = library.and_then(|it| Some((it.name, it.signature?))) else {
        return Ok(None);
    };
    let object = resolution.object(at.object);
    let is_same = actual == called_as || !options.check_library_types;
    if is_same || !is_called(object, at.index)? {
        return Ok(None);
    }
    Ok(Some(Error::SignatureMismatch {
        symbol: symbol.name.to_string(),
        first_type: called_as.to_string(),
        first: Some(object.name.into()),
        second_type: actual.to_string(),
        second: library.into(),
    }))
}

fn warning(
    resolution: &Resolution,
    id: SymbolId,
    at: Within<ObjSymbol>,
    actual: Signature,
    expected: Signature,
) -> Warning {
    let symbol = &resolution.symbols[id];
    Warning::SignatureMismatch {
        symbol: symbol.name.to_string(),
        called_as: expected.to_string(),
        caller: name_of(resolution, at.object),
        defined_as: actual.to_string(),
        definer: match symbol.definition {
            Definition::Object(symbol) => Some(name_of(resolution, symbol.object)),
            _ => None,
        },
    }
}

fn trap_stub<'a>(
    resolution: &mut Resolution<'a>,
    options: &Options,
    id: SymbolId,
    signature: Signature<'a>,
) -> SymbolId {
    let name = options.shown(&resolution.symbols[id].name);
    let name = format!("signature_mismatch:{name}");
    let mut symbol = Symbol::new(Cow::Owned(name.clone()), SymbolKind::Function);
    symbol.flags = SymbolFlags::VISIBILITY_HIDDEN;
    symbol.definition = Definition::Synthetic(resolution.synthetic.push(SyntheticFunction {
        name,
        signature,
        action: Action::Trap,
    }));
    resolution.symbols.push(symbol)
}

/// Whether the object calls the function directly, rather than taking its
/// address: only then must the types agree.
fn is_called(object: &Object, symbol: ObjSymbol) -> Result<bool> {
    let is_call = |ty| ty == RelocationType::FunctionIndexLeb;
    let mut relocations = object.code_relocations()?.iter();
    Ok(relocations.any(|r| is_call(r.ty) && r.symbol() == symbol))
}

/// Whether an object calls it by a symbol that comes before this one.
fn is_called_before(resolution: &Resolution, id: SymbolId, at: Within<ObjSymbol>) -> Result<bool> {
    for (number, joined) in resolution.objects.enumerate() {
        for (symbol, &bound) in joined.bindings.enumerate() {
            if Within::new(number, symbol) >= at {
                return Ok(false);
            }
            if bound == Some(id) && is_called(&joined.object, symbol)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
