//! Why a link failed.

use std::fmt;

/// What is wrong with the inputs or the options: one message or several, each
/// beginning with the file (and member) it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    messages: Vec<String>,
}

impl Error {
    /// One message.
    pub fn new(message: impl Into<String>) -> Self {
        Error {
            messages: vec![message.into()],
        }
    }

    /// Several, as when many symbols are undefined; `messages` is not empty.
    pub fn all(messages: Vec<String>) -> Self {
        Error { messages }
    }

    /// A message about one input, and `FILE(MEMBER)` where it is a member.
    pub fn at(origin: impl fmt::Display, message: impl fmt::Display) -> Self {
        Error::new(format!("{origin}: {message}"))
    }

    /// The messages one by one.
    pub fn messages(&self) -> &[String] {
        &self.messages
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.messages.join("\n"))
    }
}

impl std::error::Error for Error {}

/// The result of a phase.
pub type Result<T, E = Error> = std::result::Result<T, E>;
