//! A large module of real code: that of a guest with serde_json, again and again.

use anyhow::{Context, Result};
use wasm_encoder::{CodeSection, FunctionSection, Module, RawSection};
use wasmparser::{Parser, Payload};

/// The guest json, as the fixtures have it.
const JSON: &[u8] = include_bytes!("../../../fixtures/rustc-1.95.0/json.wasm");

/// A module whose code has `bytes` bytes or a little more: its functions are json's, as often
/// as that takes.
pub fn module(bytes: usize) -> Result<Vec<u8>> {
    let payloads: Vec<Payload<'_>> = Parser::new(0).parse_all(JSON).collect::<Result<_, _>>()?;
    let mut bodies = Vec::new();
    for payload in &payloads {
        if let Payload::CodeSectionEntry(body) = payload {
            bodies.push(body.as_bytes());
        }
    }
    let once: usize = bodies.iter().map(|body| body.len()).sum();
    let times = bytes.div_ceil(once);
    let mut module = Module::new();
    for payload in payloads {
        match payload {
            Payload::FunctionSection(section) => {
                let types = section.into_iter().collect::<Result<Vec<u32>, _>>()?;
                let mut functions = FunctionSection::new();
                for ty in std::iter::repeat_n(&types, times).flatten() {
                    functions.function(*ty);
                }
                module.section(&functions);
            }
            Payload::CodeSectionStart { .. } => {
                let mut code = CodeSection::new();
                for body in std::iter::repeat_n(&bodies, times).flatten() {
                    code.raw(body);
                }
                module.section(&code);
            }
            // Names are of the functions that were there.
            Payload::CustomSection(_)
            | Payload::CodeSectionEntry(_)
            | Payload::Version { .. }
            | Payload::End(_) => {}
            other => {
                let (id, range) = other.as_section().context("a section")?;
                let data = &JSON[range.start as usize..range.end as usize];
                module.section(&RawSection { id, data });
            }
        }
    }
    Ok(module.finish())
}
