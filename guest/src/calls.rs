//! What `export` and `import` expand to uses. `CALLS.md` describes what lies in
//! memory: records of arguments, and answers.

mod answer;
mod argument;
mod codec;
mod import;

pub use crate::section::{joined, joined_len};
pub use answer::{answer, Answer, Give, FAILED};
pub use argument::{Argument, Arguments, Param, Slots};
pub use codec::{encoded, Codec, Encoded};
pub use import::{ask, Receive};

#[cfg(feature = "json")]
pub use codec::Json;
#[cfg(feature = "postcard")]
pub use codec::Postcard;
