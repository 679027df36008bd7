//! What went into a module: filled by the writer when the caller asks.

/// Where an object came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The input file, as the caller named it.
    pub file: String,
    /// The archive member, for an archive.
    pub member: Option<String>,
}

/// A function or a piece of data in the module.
#[derive(Debug, Clone)]
pub struct Item {
    /// Symbol name, mangled as the object has it.
    pub name: String,
    /// Bytes it takes in the module.
    pub size: u64,
    /// Offset in the module's code section for a function, address in linear
    /// memory for data.
    pub position: u64,
    /// The object it came from; `None` for what the linker made.
    pub origin: Option<Origin>,
    /// The symbol (name) whose use first made it live; `None` for a root:
    /// an export, the entry, a constructor or a section that is always kept.
    pub wanted_by: Option<String>,
}

/// An object that became part of the link because a symbol needed it.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// The object.
    pub origin: Origin,
    /// The symbol that it defines and that was undefined.
    pub symbol: String,
    /// The object that wanted the symbol; `None` for the command line.
    pub wanted_by: Option<Origin>,
}

/// What went into a module, in the module's order.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Functions, imports not counted.
    pub functions: Vec<Item>,
    /// Data symbols.
    pub data: Vec<Item>,
    /// Objects from archives, in the order in which they were pulled.
    pub pulled: Vec<Pulled>,
}
