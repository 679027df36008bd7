//! What happens to symbols that the options want to hear of.

use crate::origin::Origin;

/// What a file has to do with a symbol that is traced.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// It refers to it.
    Reference,
    /// It defines it.
    Definition,
    /// It is an archive's member that would define it.
    LazyDefinition,
    /// It is a stub library that makes it the host's.
    Import,
    /// It is a stub library that has it exported.
    Export {
        /// For the host's function of this name.
        by: String,
    },
}

/// Something that happened to a symbol that is traced.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Traced {
    /// The symbol.
    pub symbol: String,
    /// The file, and the member.
    pub origin: Origin,
    /// What it has to do with the symbol.
    pub event: Event,
}

impl Traced {
    /// An event.
    pub(crate) fn new(symbol: &str, origin: Origin, event: Event) -> Self {
        Traced {
            symbol: symbol.to_owned(),
            origin,
            event,
        }
    }
}
