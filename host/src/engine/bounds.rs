//! What is refused before anything long is done with it.
//!
//! Validating takes a time that grows with the module's bytes, but for one thing that short
//! code can ask for: one call of two bytes can take and give a thousand values, a block
//! or a branch as many, and a `br_table` has many branches. These values are counted here.

use crate::types::Error;
use wasmparser::{
    BinaryReaderError, BlockType, CompositeInnerType, FunctionBody, Operator, Parser, Payload,
    TypeRef,
};

/// How many values one function's instructions may take and give, and those of all
/// functions. An instruction has some three; at 1,000 in a call of two bytes, it is what
/// 32 KiB of code can have, and half a MiB.
const FUNCTION_VALUES: u64 = 1 << 24;
const VALUES: u64 = 1 << 28;

/// Checks a module's size, before anything of it is read.
///
/// # Errors
/// [`Error::CompileLimit`].
pub(super) fn check_size(module: &[u8], most: usize) -> Result<(), Error> {
    let len = module.len();
    if len <= most {
        return Ok(());
    }
    let problem = format!("has {len} bytes, more than the {most} allowed");
    Err(Error::CompileLimit(problem))
}

/// Checks the code of a module, which need not be valid: validating takes as long.
///
/// # Errors
/// [`Error::CompileLimit`].
pub(super) fn check_code(module: &[u8]) -> Result<(), Error> {
    let damaged = |e: BinaryReaderError| Error::Compile(e.to_string().into());
    let mut census = Census::default();
    let mut total = 0;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(damaged)?;
        let Payload::CodeSectionEntry(body) = &payload else {
            census.read(&payload).map_err(damaged)?;
            continue;
        };
        let values = census.values(body).map_err(damaged)?;
        total += values;
        if values > FUNCTION_VALUES || total > VALUES {
            return Err(Error::CompileLimit(format!(
                "passes too many values: its function {} (at {:#x}) {values}, of {FUNCTION_VALUES} \
                 allowed, and all up to it {total}, of {VALUES}",
                census.begun - 1,
                body.range().start,
            )));
        }
    }
    Ok(())
}

/// How many values the functions and types of a module take and give.
#[derive(Default)]
struct Census {
    /// Of each type: parameters, and results.
    types: Vec<(u64, u64)>,
    /// The types of all functions, imported ones first.
    functions: Vec<u32>,
    /// The function whose code comes next.
    begun: usize,
}

impl Census {
    fn read(&mut self, payload: &Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section.clone() {
                    for ty in group?.into_types() {
                        self.types.push(match &ty.composite_type.inner {
                            CompositeInnerType::Func(ty) => {
                                (ty.params().len() as u64, ty.results().len() as u64)
                            }
                            _ => (0, 0),
                        });
                    }
                }
            }
            Payload::ImportSection(section) => {
                for imports in section.clone() {
                    for import in imports? {
                        if let TypeRef::Func(ty) = import?.1.ty {
                            self.functions.push(ty);
                            self.begun += 1;
                        }
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section.clone() {
                    self.functions.push(ty?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Parameters and results of a type; none if there is no such type.
    fn ty(&self, index: u32) -> (u64, u64) {
        self.types.get(index as usize).copied().unwrap_or_default()
    }

    fn function(&self, index: usize) -> (u64, u64) {
        let ty = self.functions.get(index);
        ty.map(|ty| self.ty(*ty)).unwrap_or_default()
    }

    /// How many values the next function's instructions take and give.
    fn values(&mut self, body: &FunctionBody<'_>) -> Result<u64, BinaryReaderError> {
        let (_, results) = self.function(self.begun);
        self.begun += 1;
        let mut code = Code {
            census: self,
            labels: vec![results],
            values: 0,
        };
        for operator in body.get_operators_reader()? {
            code.count(&operator?);
        }
        Ok(code.values)
    }
}

/// A function's code, up to an instruction.
struct Code<'a> {
    census: &'a Census,
    /// How many values a branch to each of the blocks takes along.
    labels: Vec<u64>,
    values: u64,
}

impl Code<'_> {
    fn count(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { blockty } => self.begin(blockty, false),
            Operator::Loop { blockty } => self.begin(blockty, true),
            Operator::If { blockty } => self.begin(blockty, false),
            Operator::End => {
                self.labels.pop();
            }
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                self.branch(*relative_depth, 1);
            }
            Operator::BrTable { targets } => {
                self.branch(targets.default(), u64::from(targets.len()) + 1);
            }
            Operator::Call { function_index } => {
                self.call(self.census.function(*function_index as usize));
            }
            Operator::CallIndirect { type_index, .. } => self.call(self.census.ty(*type_index)),
            _ => self.values += 1,
        }
    }

    fn begin(&mut self, ty: &BlockType, is_loop: bool) {
        let (params, results) = match ty {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(ty) => self.census.ty(*ty),
        };
        self.labels.push(if is_loop { params } else { results });
        self.values += params + results;
    }

    /// Branches, each to a block with as many values as the one at `depth`.
    fn branch(&mut self, depth: u32, count: u64) {
        let label = self.labels.iter().rev().nth(depth as usize);
        let values = label.map_or(0, |values| values + 1);
        self.values = self.values.saturating_add(values.saturating_mul(count));
    }

    fn call(&mut self, (params, results): (u64, u64)) {
        self.values += 1 + params + results;
    }
}
