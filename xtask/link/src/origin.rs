//! Where things come from: names of files and members, and kinds of symbols,
//! as messages and reports have them.

use std::fmt;

/// Which file an object is, and which member of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectName<'a> {
    /// The input file.
    pub file: &'a str,
    /// The archive member, if it is one.
    pub member: Option<&'a str>,
}

impl<'a> ObjectName<'a> {
    /// An input that is no archive.
    pub fn file(file: &'a str) -> Self {
        ObjectName { file, member: None }
    }
}

impl fmt::Display for ObjectName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.member {
            Some(member) => write!(f, "{}({member})", self.file),
            None => f.write_str(self.file),
        }
    }
}

/// Where an object came from. Shown as `FILE`, or `FILE(MEMBER)`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// The input file, as the caller named it.
    pub file: String,
    /// The archive member, for an archive.
    pub member: Option<String>,
}

impl From<ObjectName<'_>> for Origin {
    fn from(name: ObjectName<'_>) -> Self {
        Origin {
            file: name.file.to_owned(),
            member: name.member.map(str::to_owned),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ObjectName {
            file: &self.file,
            member: self.member.as_deref(),
        }
        .fmt(f)
    }
}

/// What a symbol names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SymbolKind {
    /// A function.
    Function,
    /// Bytes in linear memory.
    Data,
    /// A global.
    Global,
    /// A custom section.
    Section,
    /// An exception's tag.
    Tag,
    /// A table.
    Table,
}

impl fmt::Display for SymbolKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SymbolKind::Function => "function",
            SymbolKind::Data => "data",
            SymbolKind::Global => "global",
            SymbolKind::Section => "section",
            SymbolKind::Tag => "tag",
            SymbolKind::Table => "table",
        })
    }
}
