//! What is in a module's code, read before anything is written: what functions cannot find
//! out for themselves while others are written as well.

use super::body::Body;
use super::error::Error;
use super::helpers::Helpers;
use super::instruction::{Instruction, Instructions, Unknown};
use wasmparser::FunctionBody;

pub(super) struct Survey<'a> {
    pub(super) bodies: Vec<Body<'a>>,
    /// Whether there is an instruction that is never left to the engine.
    pub(super) needs_help: bool,
    /// How many calls could be inlined.
    pub(super) accesses: u32,
}

impl<'a> Survey<'a> {
    /// Has `helpers` for all that the code needs.
    pub(super) fn of(
        bodies: &[FunctionBody<'a>],
        is_access: impl Fn(u32) -> bool,
        helpers: &mut Helpers,
    ) -> Result<Self, Error> {
        let mut survey = Self {
            bodies: Vec::with_capacity(bodies.len()),
            needs_help: false,
            accesses: 0,
        };
        for body in bodies {
            let mut body = declared(body)?;
            let mut instructions = Instructions::new(body.bytes, body.locals_end);
            while !instructions.is_at_end() {
                let read = instructions.read();
                let (instruction, ..) = read.map_err(|Unknown(at)| body.unknown(at))?;
                match instruction {
                    Instruction::Loop { .. } => body.loops = true,
                    Instruction::Unreachable => survey.needs_help = true,
                    Instruction::Helped(helper) => {
                        survey.needs_help = true;
                        helpers.want(helper);
                    }
                    Instruction::DataDrop(data) => helpers.want_data_dropped(data),
                    Instruction::ElemDrop(elements) => helpers.want_elements_dropped(elements),
                    Instruction::Call(function) if is_access(function) => survey.accesses += 1,
                    _ => {}
                }
            }
            survey.bodies.push(body);
        }
        Ok(survey)
    }
}

/// A body, as far as its declarations say.
fn declared<'a>(body: &FunctionBody<'a>) -> Result<Body<'a>, Error> {
    let start = body.range().start as usize;
    let mut reader = body.get_locals_reader()?;
    let mut locals = 0;
    for _ in 0..reader.get_count() {
        locals += reader.read()?.0;
    }
    Ok(Body {
        bytes: body.as_bytes(),
        start,
        local_entries: reader.get_count(),
        locals,
        locals_end: reader.original_position() as usize - start,
        loops: false,
    })
}

impl Body<'_> {
    /// What is at this place in it, the specification does not have.
    pub(super) fn unknown(&self, at: usize) -> Error {
        Error::Unknown(self.start + at)
    }
}
