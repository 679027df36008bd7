//! What can go wrong.

use std::convert::Infallible;
use wasm_encoder::reencode;
use wasmparser::BinaryReaderError;

/// Why a module, which is valid, is not rewritten.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Read(#[from] BinaryReaderError),
    #[error(transparent)]
    Write(#[from] reencode::Error<Infallible>),
    #[error("the instruction at byte {0} is unknown")]
    Unknown(usize),
}
