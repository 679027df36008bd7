//! Why a link failed, and what there is to be warned of. Values carry data;
//! their texts are made when they are shown.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use crate::libraries::Library;
use crate::origin::{ObjectName, Origin, SymbolKind};
use crate::signature;

thread_local! {
    /// Whether messages that are shown now have symbols' names as objects have them.
    static IS_MANGLED: Cell<bool> = const { Cell::new(false) };
}

/// A symbol's name in a message.
fn demangle(name: &str) -> Cow<'_, str> {
    match IS_MANGLED.get() {
        true => name.into(),
        false => signature::demangle(name),
    }
}

/// Shows an error or a warning with symbols' names as the objects have them
/// (`--no-demangle`).
#[derive(Debug, Clone, Copy)]
pub struct Mangled<T>(
    /// The message.
    pub T,
);

impl<T: fmt::Display> fmt::Display for Mangled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = IS_MANGLED.replace(true);
        let result = self.0.fmt(f);
        IS_MANGLED.set(before);
        result
    }
}

/// One thing that is wrong with the inputs or the options. Shown, it begins
/// with the file (and member) that it is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An input is damaged, or is not what it says.
    #[error("{origin}: {damage}")]
    Damaged {
        /// The file, and the member.
        origin: Origin,
        /// What is wrong in it, and where.
        damage: Damage,
    },
    /// An input is of a kind, or needs something, that genkan does not link.
    #[error("{origin}: {what}")]
    Unsupported {
        /// The file, and the member.
        origin: Origin,
        /// What it is or needs.
        what: Unsupported,
    },
    /// Live code or data refers to a symbol that nothing defines.
    #[error(transparent)]
    Undefined(#[from] UndefinedSymbol),
    /// Two strong definitions of one symbol.
    #[error(transparent)]
    Duplicate(#[from] DuplicateSymbol),
    /// Objects disagree on what a symbol is.
    #[error(
        "symbol type mismatch: {}\n>>> a {first_kind} in {}\n>>> a {second_kind} in {second}",
        demangle(symbol),
        Definer(first.as_ref())
    )]
    KindMismatch {
        /// The symbol, mangled.
        symbol: String,
        /// What it is first.
        first_kind: SymbolKind,
        /// Where; `None` for the linker itself.
        first: Option<Origin>,
        /// What it is then.
        second_kind: SymbolKind,
        /// Where.
        second: Origin,
    },
    /// Objects call an undefined function by two types.
    #[error(
        "function signature mismatch: {}\n>>> defined as {first_type} in {}\n>>> defined as {second_type} in {second}",
        demangle(symbol),
        User(first.as_ref())
    )]
    SignatureMismatch {
        /// The symbol, mangled.
        symbol: String,
        /// Its type by the first, such as `(i32) -> void`.
        first_type: String,
        /// Where; `None` for the command line.
        first: Option<Origin>,
        /// Its type by the second.
        second_type: String,
        /// Where.
        second: Origin,
    },
    /// The entry that the options name is not defined.
    #[error("entry symbol not defined (pass --no-entry to suppress): {symbol}")]
    NoEntry {
        /// Its name.
        symbol: String,
    },
    /// An export that the options name is not defined.
    #[error(
        "symbol exported via --export not found: {symbol}; {}",
        Candidates(candidates)
    )]
    NoExport {
        /// Its name.
        symbol: String,
        /// Functions that could be exported, those of similar names first.
        candidates: Vec<String>,
    },
    /// A module for a dynamic linker, in a memory that threads share.
    #[error("-shared and -pie with --shared-memory: not implemented")]
    PlacedThreads,
    /// Code with an address in it that only a dynamic linker knows.
    #[error(
        "{origin}: relocation {ty} cannot be used against symbol `{}`; recompile with -fPIC",
        demangle(symbol)
    )]
    NotPositionIndependent {
        /// The object.
        origin: Origin,
        /// The relocation's type, as `WasmRelocs.def` names it.
        ty: String,
        /// The symbol, mangled.
        symbol: String,
    },
    /// An object for memories of another width than the module's.
    #[error(
        "{origin}: {}",
        match is_64 {
            true => "must specify -mwasm64 to process wasm64 object files",
            false => "wasm32 object file can't be linked in wasm64 mode",
        }
    )]
    Machine {
        /// The object.
        origin: Origin,
        /// Whether it is made for a 64-bit memory.
        is_64: bool,
    },
    /// A module that is not made for 64-bit memories yet.
    #[error("{what} with a 64-bit memory: not implemented")]
    Memory64 {
        /// Which.
        what: &'static str,
    },
    /// The module has not what a function of a stub library needs.
    #[error("{origin}: undefined symbol: {symbol}. Required by {by}")]
    NeededByStub {
        /// The stub library.
        origin: Origin,
        /// What is missing.
        symbol: String,
        /// The host's function that needs it.
        by: String,
    },
    /// The symbol that a `--defsym` refers to is not defined.
    #[error("--defsym={name}={target}: no input defines `{target}`")]
    NoDefsymTarget {
        /// The new name.
        name: String,
        /// What it should stand for.
        target: String,
    },
    /// Two exports of one name.
    #[error("two exports are named `{name}`; rename one, or export fewer")]
    DuplicateExport {
        /// The name.
        name: String,
    },
    /// A constructor that nobody could call.
    #[error(
        "{origin}: constructor `{}` takes arguments, but nobody could give it any",
        demangle(symbol)
    )]
    ConstructorTakesArguments {
        /// The object that registers it.
        origin: Origin,
        /// The function, mangled.
        symbol: String,
    },
    /// An object uses a feature of WebAssembly that another must not meet.
    #[error(
        "Target feature '{feature}' used in {used_by} is disallowed by {disallowed_by}. \
         Use --no-check-features to suppress."
    )]
    FeatureDisallowed {
        /// The feature, such as `atomics`.
        feature: String,
        /// Who uses it.
        used_by: Origin,
        /// Who refuses it.
        disallowed_by: Origin,
    },
    /// An object uses a feature that the options do not name.
    #[error("Target feature '{feature}' used by {used_by} is not allowed.")]
    FeatureNotAllowed {
        /// The feature.
        feature: String,
        /// Who uses it.
        used_by: Origin,
    },
    /// An object must not meet threads: it was compiled for one alone.
    #[error(
        "--shared-memory is disallowed by {by} because it was not compiled with 'atomics' or \
         'bulk-memory' features."
    )]
    SharedMemoryDisallowed {
        /// The object.
        by: Origin,
    },
    /// What the module has needs a feature that no object uses.
    #[error("'{feature}' feature must be used in order to use {needed_for}")]
    FeatureNeeded {
        /// The feature.
        feature: &'static str,
        /// What it is needed for.
        needed_for: FeatureUse,
    },
    /// An object calls through the first table, whatever that is, and another
    /// imports a table.
    #[error(
        "object file not built with 'reference-types' or 'call-indirect-overlong' feature \
         conflicts with import of table {table} by file {importer}: {legacy}"
    )]
    TableConflict {
        /// Who calls through the first table.
        legacy: Origin,
        /// The table that is imported.
        table: String,
        /// By whom.
        importer: Origin,
    },
    /// A mutable global crosses the module's border, though no object uses that
    /// feature.
    #[error(
        "mutable global {how} but 'mutable-globals' feature not present in inputs: `{symbol}`. \
         Use --no-check-features to suppress."
    )]
    MutableGlobal {
        /// The global.
        symbol: String,
        /// `imported` or `exported`.
        how: &'static str,
    },
    /// The memory cannot be as the inputs and options want it.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The module is not valid, and no function of an object's is to blame.
    #[error("the module is not valid: {reason} (at offset {offset:#x} in it)")]
    Invalid {
        /// Where, in bytes from the module's beginning.
        offset: u64,
        /// What the validator says.
        reason: String,
    },
    /// The caller's output has no space.
    #[error("no space for a module of {size} bytes: {source}")]
    Output {
        /// The module's size in bytes.
        size: usize,
        /// What the output said.
        source: std::io::Error,
    },
}

/// What is wrong in a damaged input. Offsets count from the beginning of the
/// object unless they say otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The object is not encoded as WebAssembly is.
    #[error("{reason} (at offset {offset:#x}); the object is damaged or not one")]
    Malformed {
        /// Where.
        offset: u64,
        /// What the parser says.
        reason: String,
    },
    /// A function's code is not valid; found where the options ask to validate.
    #[error(
        "function {}: {reason} (at offset {offset:#x}); the object is damaged",
        demangle(symbol)
    )]
    InvalidFunction {
        /// The function, mangled.
        symbol: String,
        /// Where.
        offset: u64,
        /// What the validator says.
        reason: String,
    },
    /// The code section ends after the file.
    #[error("the code section is cut short")]
    CodeCutShort,
    /// More or fewer function bodies than functions.
    #[error("{functions} function types, but {bodies} bodies; the object is damaged")]
    BodyCount {
        /// How many functions are declared.
        functions: usize,
        /// How many bodies there are, as far as they were read.
        bodies: usize,
    },
    /// The names of segments do not fit the segments.
    #[error("names {named} data segments, but has {present}; the object is damaged")]
    SegmentCount {
        /// How many are named.
        named: u32,
        /// How many there are.
        present: usize,
    },
    /// An alignment that no address of 32 bits has.
    #[error("segment `{segment}` wants an alignment of 2^{align}; at most 2^31 is possible")]
    Alignment {
        /// The segment's name.
        segment: String,
        /// The alignment, as a power of two.
        align: u32,
    },
    /// A type that is not there.
    #[error("refers to type {ty}, which is not there")]
    NoType {
        /// The index of the type.
        ty: u32,
    },
    /// A shared library exports a function that it does not have.
    #[error("exports a function `{symbol}` that is not there")]
    NoExported {
        /// The export.
        symbol: String,
    },
    /// A symbol of what is not there.
    #[error(
        "symbol `{symbol}` refers to {kind} {index}, which is not {}",
        if *undefined { "imported" } else { "defined" }
    )]
    NoReferent {
        /// The symbol's name, if it has one.
        symbol: String,
        /// What it names.
        kind: SymbolKind,
        /// The index of that.
        index: u32,
        /// Whether the symbol is undefined: then it names an import.
        undefined: bool,
    },
    /// A data symbol outside its segment.
    #[error(
        "symbol `{symbol}` lies at offset {offset:#x} of segment {segment}, which is not there"
    )]
    NoData {
        /// The symbol's name.
        symbol: String,
        /// The segment's index.
        segment: u32,
        /// The offset there.
        offset: u32,
    },
    /// A comdat group with a member that is not there.
    #[error("comdat `{group}` holds {kind} {index}, which is not there")]
    NoComdatMember {
        /// The group's name.
        group: String,
        /// What the member is, as the format names it.
        kind: String,
        /// Its index.
        index: u32,
    },
    /// A constructor that is no function.
    #[error("a constructor refers to symbol {symbol}, which is no function")]
    ConstructorIsNoFunction {
        /// The symbol's index.
        symbol: u32,
    },
    /// Relocations of a section that has none.
    #[error("relocations for section {section}, which holds nothing that can be relocated")]
    NothingToRelocate {
        /// The section's index.
        section: u32,
    },
    /// A relocation that cannot be decoded.
    #[error(
        "reloc.{section}: relocation {number} is cut short, of a type that is not known, or has an \
         addend beyond 32 bits"
    )]
    RelocationCutShort {
        /// The section that is relocated.
        section: String,
        /// Which of its relocations.
        number: u32,
    },
    /// A relocation that does not fit.
    #[error("reloc.{section}: {ty} at offset {offset:#x} {misfit}")]
    Relocation {
        /// The section that is relocated.
        section: String,
        /// The relocation's type, as `WasmRelocs.def` names it.
        ty: String,
        /// Where it applies, counted in the section's contents.
        offset: u32,
        /// What does not fit.
        misfit: RelocationMisfit,
    },
    /// Two relocations of the same bytes.
    #[error("reloc.{section}: two relocations overlap at offset {offset:#x}")]
    RelocationsOverlap {
        /// The section that is relocated.
        section: String,
        /// Where the second applies, counted in the section's contents.
        offset: u32,
    },
    /// A stub library that is not UTF-8.
    #[error("not UTF-8 (at offset {offset:#x}); a stub library is text")]
    StubNotText {
        /// Where.
        offset: usize,
    },
    /// A section of strings whose last one does not end.
    #[error("{} holds a string without its null byte", Quoted(section, *is_segment))]
    StringWithoutEnd {
        /// The name of the segment, or of the custom section.
        section: String,
        /// Whether it is a data segment.
        is_segment: bool,
    },
    /// A policy in `target_features` that the format does not have.
    #[error("target_features: unknown policy {policy:#x} for `{feature}`")]
    FeaturePolicy {
        /// The policy's byte.
        policy: u8,
        /// The feature.
        feature: String,
    },
    /// The archive's header or a member's cannot be read.
    #[error("{reason}; the archive is damaged")]
    Archive {
        /// What the reader says.
        reason: String,
    },
    /// The archive's index of symbols cannot be read.
    #[error("symbol index: {reason}")]
    ArchiveIndex {
        /// What the reader says.
        reason: String,
    },
    /// The archive's index leads to no member.
    #[error("member at offset {offset:#x}: {reason}")]
    ArchiveMember {
        /// Where the member should be, in the archive.
        offset: u64,
        /// What the reader says.
        reason: String,
    },
    /// Members within members.
    #[error("two members overlap; the archive is damaged")]
    MembersOverlap,
    /// A member's name that is not UTF-8.
    #[error("a member's name is not UTF-8")]
    MemberName,
    /// A member that ends after the archive.
    #[error("{reason}; the archive is cut short")]
    MemberCutShort {
        /// What the reader says.
        reason: String,
    },
}

/// Why a relocation does not fit where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelocationMisfit {
    /// It lies outside its section.
    #[error("lies outside its section of {size} bytes; the object is damaged")]
    OutsideSection {
        /// The section's size in bytes.
        size: usize,
    },
    /// It does not lie within one function or segment.
    #[error("crosses the end of what it belongs to")]
    CrossesEnd,
    /// There is no operand as wide as its value.
    #[error("is where no operand of 5 bytes is; the object is damaged")]
    NoOperand,
    /// It refers to a type that is not there.
    #[error("refers to type {ty}, which is not there")]
    NoType {
        /// The index of the type.
        ty: u32,
    },
    /// It refers to a symbol that is not there.
    #[error("refers to symbol {symbol}, but there are {count}")]
    NoSymbol {
        /// The index of the symbol.
        symbol: u32,
        /// How many there are.
        count: usize,
    },
    /// It refers to a symbol of another kind.
    #[error("does not fit its symbol `{symbol}`, which is a {kind}")]
    WrongKind {
        /// The symbol's name.
        symbol: String,
        /// What it names.
        kind: SymbolKind,
    },
    /// It refers to what is not in the module, though live code or data needs it.
    #[error("needs the {kind} `{symbol}`, which is not in the module")]
    NotInModule {
        /// The symbol's name.
        symbol: String,
        /// What it names.
        kind: SymbolKind,
    },
}

/// What an input is, or needs, that genkan does not link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// The file is empty.
    #[error("empty; neither an object nor an archive")]
    Empty,
    /// The file is of another kind.
    #[error("neither a WebAssembly object nor an archive")]
    UnknownFile,
    /// LLVM's intermediate code.
    #[error(
        "LLVM bitcode, not WebAssembly: link-time optimisation is the compiler's; let rustc do it \
         (`-C lto`, not `-C linker-plugin-lto`), or compile without `-flto`"
    )]
    Bitcode,
    /// An archive of names of files.
    #[error("a thin archive, whose members are other files; make it anew without `T`")]
    ThinArchive,
    /// A component.
    #[error("this is a component, not an object; link core modules' objects")]
    Component,
    /// A module that was linked before.
    #[error(
        "not a relocatable object: it has no `linking` section; a finished module cannot be \
         linked again"
    )]
    NoLinkingSection,
    /// A start function of its own.
    #[error("has a start function: a finished module, not an object")]
    FinishedModule,
    /// A shared library, but not an input of its own, or not of today's format.
    #[error(
        "a shared library, which is an input by itself, not a member of an archive, and begins \
         with a section `dylink.0`"
    )]
    SharedLibrary,
    /// A target other than wasm32 and wasm64.
    #[error("made for `{target}`; genkan links wasm32 and wasm64")]
    Target {
        /// The target's name.
        target: String,
    },
    /// Types that refer to each other, structures, arrays.
    #[error("types other than functions are not linked")]
    Types,
    /// A reference to what is of a type by its index.
    #[error("refers to a type by its index in a {what}, which genkan does not link")]
    TypedReference {
        /// Where: a `type`, a `global` or a `table`.
        what: &'static str,
    },
    /// A function imported by its exact type.
    #[error("imports a function by its exact type, which genkan does not link")]
    ExactType,
    /// Data for a second memory.
    #[error("data for a second memory is not linked")]
    SecondMemory,
    /// A section that objects do not have.
    #[error("unexpected section {id}")]
    Section {
        /// The section's number.
        id: u8,
    },
    /// A table that no symbol names, as LLVM made them before reference types.
    #[error("a table without a symbol; compile with a newer LLVM")]
    TableWithoutSymbol,
}

/// A symbol that nothing defines.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UndefinedSymbol {
    /// Its name, mangled.
    pub symbol: String,
    /// What it should name.
    pub kind: SymbolKind,
    /// An object that refers to it; `None` for the command line.
    pub used_by: Option<Origin>,
    /// Why nothing defines it.
    pub reason: UndefinedReason,
}

/// A symbol that has two strong definitions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "duplicate symbol: {}\n>>> defined in {}\n>>> defined in {second}",
    demangle(symbol),
    Definer(first.as_ref())
)]
#[non_exhaustive]
pub struct DuplicateSymbol {
    /// Its name, mangled.
    pub symbol: String,
    /// Where it is defined first; `None` for the linker itself.
    pub first: Option<Origin>,
    /// Where it is defined again.
    pub second: Origin,
}

/// Why nothing defines a symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UndefinedReason {
    /// No input does.
    NoInput,
    /// It belongs to a library of the toolchain's.
    NotLinked(Library),
    /// It is local to a comdat group of which another object's copy is linked.
    Comdat(String),
    /// It is the start or the end of a data segment that the module has not.
    NoSegment,
}

impl std::error::Error for UndefinedSymbol {}

impl fmt::Display for UndefinedSymbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, name) = (User(self.used_by.as_ref()), demangle(&self.symbol));
        write!(f, "{user}: undefined symbol: {name}; ")?;
        match &self.reason {
            UndefinedReason::NotLinked(library) => {
                write!(f, "it belongs to {library}, which is not among the inputs")
            }
            UndefinedReason::Comdat(group) => write!(
                f,
                "it is local to the comdat group `{group}`, of which another object's copy is linked"
            ),
            UndefinedReason::NoSegment => f.write_str("no live data segment has that name"),
            UndefinedReason::NoInput if self.kind == SymbolKind::Function => write!(
                f,
                "if the host offers it, say so with --import={} (or --allow-undefined)",
                self.symbol
            ),
            UndefinedReason::NoInput => write!(f, "no input defines this {}", self.kind),
        }
    }
}

/// What a feature is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FeatureUse {
    /// Thread-local storage.
    #[error("thread-local storage")]
    ThreadLocal,
    /// A memory that threads share.
    #[error("shared memory")]
    SharedMemory,
}

/// Why the memory cannot be as it should. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The stack's size is odd.
    #[error("stack size must be {align}-byte aligned, but it is {size}")]
    StackAlignment {
        /// The size that was asked for.
        size: u64,
        /// What it must be a multiple of.
        align: u64,
    },
    /// The data would begin within the stack below it.
    #[error("--global-base cannot be less than stack size when --stack-first is used")]
    GlobalBaseInStack,
    /// Data beyond 32 bits.
    #[error("the data ends at address {end:#x}, but a 32-bit memory ends at {limit:#x}")]
    DataTooLarge {
        /// Where it ends.
        end: u64,
        /// Where memory ends.
        limit: u64,
    },
    /// More than a 32-bit memory has.
    #[error("{what} too large, cannot be greater than {limit}")]
    TooLarge {
        /// The option.
        what: MemorySize,
        /// The most that is possible.
        limit: u64,
    },
    /// Not a whole number of pages.
    #[error("{what} must be {page}-byte aligned, but it is {size}")]
    NotPages {
        /// The option.
        what: MemorySize,
        /// The size that was asked for.
        size: u64,
        /// Bytes of a page.
        page: u64,
    },
    /// Less than the module needs.
    #[error("{what} too small, {needed} bytes needed")]
    TooSmall {
        /// The option.
        what: MemorySize,
        /// What the module needs.
        needed: u64,
    },
}

/// A size that the options give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemorySize {
    /// The memory's first size.
    #[error("initial memory")]
    Initial,
    /// Its largest.
    #[error("maximum memory")]
    Maximum,
    /// The room for a heap in its first size.
    #[error("initial heap")]
    InitialHeap,
}

/// What the user should know about a link that succeeds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// An undefined symbol; calls of it trap.
    #[error(transparent)]
    Undefined(#[from] UndefinedSymbol),
    /// An export that the options name is not defined; the module is without it.
    #[error("symbol exported via --export not found: {symbol}")]
    NoExport {
        /// Its name.
        symbol: String,
    },
    /// Two strong definitions of one symbol; the second counts.
    #[error(transparent)]
    Duplicate(#[from] DuplicateSymbol),
    /// A member of an archive that a symbol needs is for another machine, or no
    /// object at all; the link went on without it.
    #[error("{origin}: neither a WebAssembly object nor LLVM bitcode; passed over")]
    ForeignMember {
        /// The archive, and the member.
        origin: Origin,
    },
    /// An object calls a function by another type than it has; those calls trap.
    #[error(
        "function signature mismatch: {}\n>>> called as {called_as} in {caller}\n>>> defined as {defined_as} in {}",
        demangle(symbol),
        Definer(definer.as_ref())
    )]
    SignatureMismatch {
        /// The function, mangled.
        symbol: String,
        /// The type that the caller assumes, such as `(i32) -> void`.
        called_as: String,
        /// Who calls it.
        caller: Origin,
        /// The type that it has.
        defined_as: String,
        /// Who defines it; `None` for the linker itself.
        definer: Option<Origin>,
    },
}

/// All that is wrong: one error, or several where looking on was of use. Shown,
/// each begins a line.
#[derive(Debug)]
pub struct Errors(Vec<Error>);

impl Errors {
    /// Several, or success where there are none.
    pub(crate) fn check(errors: Vec<Error>) -> Result<()> {
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Errors(errors))
        }
    }

    /// The first, or the only one.
    pub fn first(&self) -> &Error {
        &self.0[0]
    }

    /// One by one; there is at least one.
    pub fn iter(&self) -> std::slice::Iter<'_, Error> {
        self.0.iter()
    }
}

impl<'e> IntoIterator for &'e Errors {
    type Item = &'e Error;
    type IntoIter = std::slice::Iter<'e, Error>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl IntoIterator for Errors {
    type Item = Error;
    type IntoIter = std::vec::IntoIter<Error>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Errors(vec![error])
    }
}

impl From<MemoryError> for Errors {
    fn from(error: MemoryError) -> Self {
        Error::from(error).into()
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {
    /// The cause of the first.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.first().source()
    }
}

/// The result of a phase.
pub type Result<T, E = Errors> = std::result::Result<T, E>;

impl ObjectName<'_> {
    /// Damage of this object.
    pub(crate) fn damaged(self, damage: Damage) -> Errors {
        let origin = self.into();
        Error::Damaged { origin, damage }.into()
    }

    /// Something in this object that genkan does not link.
    pub(crate) fn unsupported(self, what: Unsupported) -> Errors {
        let origin = self.into();
        Error::Unsupported { origin, what }.into()
    }
}

/// Who defines a symbol.
struct Definer<'e>(Option<&'e Origin>);

impl fmt::Display for Definer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(origin) => origin.fmt(f),
            None => f.write_str("<linker>"),
        }
    }
}

/// Who refers to a symbol.
struct User<'e>(Option<&'e Origin>);

impl fmt::Display for User<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(origin) => origin.fmt(f),
            None => f.write_str("<command line>"),
        }
    }
}

/// A segment, or a custom section.
struct Quoted<'e>(&'e str, bool);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.1 { "segment" } else { "section" };
        write!(f, "{what} `{}`", self.0)
    }
}

/// What could be meant.
struct Candidates<'e>(&'e [String]);

impl fmt::Display for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 20;
        if self.0.is_empty() {
            return f.write_str("the inputs define no function that could be exported");
        }
        f.write_str("the inputs define ")?;
        for (number, name) in self.0.iter().take(SHOWN).enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(f, "{comma}`{name}`")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
