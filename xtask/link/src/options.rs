//! What the caller decides about a link. The command lines of `build-guest`
//! and `link` both end in these types; the phases read nothing else.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::signature::{demangle, demangle_as_llvm};

/// Bytes of a page of linear memory, unless options say otherwise.
const PAGE: u64 = 65536;

/// One input file, in the order of the command line.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Input<'a> {
    /// The file as the user named it; messages begin with it.
    pub name: &'a str,
    /// The whole file: an object or an archive, told apart by their magic.
    pub bytes: &'a [u8],
    /// When the file's objects become part of the link.
    pub role: Role,
}

impl<'a> Input<'a> {
    /// A file that takes part as [`Role::Default`] says.
    pub fn new(name: &'a str, bytes: &'a [u8]) -> Self {
        Input {
            name,
            bytes,
            role: Role::Default,
        }
    }

    /// The same in another role.
    #[must_use]
    pub fn with_role(self, role: Role) -> Self {
        Input { role, ..self }
    }
}

/// When an input's objects become part of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// An object always, an archive's members when a symbol needs them.
    Default,
    /// Only when a symbol needs it (`--start-lib`).
    Lazy,
    /// Always, each member of an archive too (`--whole-archive`).
    Whole,
    /// The guest's own object, compiled from its source: its functions are the
    /// module's exports, and the functions that it declares are the host's.
    Guest,
}

/// Which custom sections the module keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strip {
    /// Names and debug information stay.
    Nothing,
    /// Names stay, debug information goes.
    Debug,
    /// Nothing that a module can run without stays.
    All,
}

/// Where the module's linear memory comes from, and under which name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryOptions {
    /// Imported from (module, name); defined by the module itself otherwise.
    pub import: Option<(String, String)>,
    /// The name it is exported under, if it is.
    pub export: Option<String>,
    /// Exported as `memory`, too, if the module imports WASI, which demands it.
    pub export_for_wasi: bool,
    /// Whether its addresses have 64 bits (`-mwasm64`). They are below 2^32 all the
    /// same.
    pub is_64: bool,
    /// Bytes of a page: 65,536, or 1 where the engine has custom page sizes.
    pub page_size: u64,
    /// Its first size in bytes, a multiple of a page; as small as fits if `None`.
    pub initial: Option<u64>,
    /// Its largest size in bytes, a multiple of a page.
    pub max: Option<u64>,
    /// Its first size is its largest (`--no-growable-memory`).
    pub fixed: bool,
    /// Several instances of the module, each a thread, share it
    /// (`--shared-memory`). Its data is copied by whichever comes first, and each
    /// has its own thread-local data.
    pub shared: bool,
    /// Bytes of stack.
    pub stack_size: u64,
}

/// Which functions that are the same in the module are written once (identical
/// code folding).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Icf {
    /// None.
    None,
    /// Those that the program cannot tell apart: pointers to them stay different,
    /// and so do exports. Debuggers and backtraces name the first of them. With
    /// them, equal constants to which compilers gave no name that a source can say.
    Safe,
}

/// What happens where a guest panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Panic {
    /// As rustc made it: formats the message and writes it to stderr.
    Std,
    /// Hands file, line and column to the host, then traps. An input's function
    /// `__genkan_panic(a, b, location, kind: i32)` takes the host's place: `location` is the address
    /// of a `core::panic::Location`, or 0; `a` and `b` are, by `kind`: 0 nothing, 1 a message's
    /// address and length, 2 both words of a `core::fmt::Arguments` of Rust 1.95 to 1.97, 3
    /// an index and the length that it exceeds, 4 nothing, as an allocation failed.
    Report,
    /// Traps.
    Trap,
}

/// Which functions the module exports, besides those an object marks itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exports {
    /// The guest object's global, unmangled functions.
    Guest,
    /// Those named; one that no input defines is an error.
    Named(BTreeSet<String>),
}

/// What becomes of a symbol that no input defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unresolved {
    /// One error that lists them all.
    Error,
    /// A warning each; calls trap.
    Warn,
    /// Calls trap.
    Ignore,
    /// Functions become imports; undefined data and globals stay errors.
    Import,
    /// Functions become imports; undefined data is at address 0
    /// (`--allow-undefined`).
    Allow,
    /// A dynamic linker looks for them (`import-dynamic`): functions that are called
    /// become imports, and addresses are imported from `GOT.func` and `GOT.mem`.
    Dynamic,
}

/// The table of functions that are called through pointers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TableOptions {
    /// Imported as `env.__indirect_function_table`.
    pub import: bool,
    /// Exported as `__indirect_function_table`.
    pub export: bool,
    /// Without a maximum size.
    pub growable: bool,
    /// Index of the first function; 1 if `None`, since 0 is the null pointer.
    pub base: Option<u32>,
}

/// The `build_id` section.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildId {
    /// No such section.
    None,
    /// 16 bytes, a UUID of the module's XXH3, as wasm-ld makes it (`fast`, and
    /// `uuid`, for which wasm-ld asks chance).
    Fast,
    /// 20 bytes, SHA-1 as wasm-ld takes it (`sha1`, `tree`).
    Sha1,
    /// These bytes.
    Bytes(Vec<u8>),
}

/// What becomes of a second strong definition of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Duplicates {
    /// It is an error.
    Error,
    /// A warning; the last counts (`--noinhibit-exec`).
    Warn,
    /// The first counts (`--allow-multiple-definition`).
    First,
}

/// What the link makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputKind {
    /// A module that runs.
    Module,
    /// An object of all objects, to be linked again (`-r`): nothing is left out,
    /// and what is undefined stays so. Exports, entry, and what else makes a module
    /// run, have no meaning.
    Relocatable,
    /// A module for a dynamic linker, which gives it a place in the memory and the
    /// table that it imports (`-pie`). Its objects are position-independent.
    Executable,
    /// The same, of which others use the symbols of default visibility, and may
    /// replace them (`-shared`).
    Shared,
}

/// Everything about one link that its inputs do not say. Start from
/// [`Options::guest`] or [`Options::wasm_ld`] and change what differs:
///
/// ```
/// let mut options = genkan_link::Options::wasm_ld();
/// options.entry = None;
/// options.memory.initial = Some(2 << 16);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Make the smallest module, in an order of genkan's own, and run constructors
    /// once. Otherwise the module is laid out as wasm-ld does it, section by
    /// section, and constructors run when wasm-ld runs them: at each call of an
    /// export, unless the inputs call them themselves.
    pub lean: bool,
    /// What the link makes.
    pub kind: OutputKind,
    /// The module has its symbols and relocations in the sections `linking` and
    /// `reloc.*`, as an object has (`--emit-relocs`).
    pub emit_relocations: bool,
    /// A shared library uses its own symbols, whoever else defines them
    /// (`-Bsymbolic`).
    pub symbolic: bool,
    /// Folders where a dynamic linker is to look for the module's shared libraries
    /// (`-rpath`).
    pub runtime_paths: Vec<String>,
    /// Whether what objects call of a shared library must have the type there
    /// (`--no-shlib-sigcheck`).
    pub check_library_types: bool,
    /// Which functions are exported.
    pub exports: Exports,
    /// Exported where an input defines them.
    pub export_if_defined: BTreeSet<String>,
    /// Export every defined symbol (`--export-all`).
    pub export_all: bool,
    /// Export every symbol of default visibility (`--export-dynamic`).
    pub export_dynamic: bool,
    /// The function that starts a program, exported under its name.
    pub entry: Option<String>,
    /// Symbols to be resolved, and members extracted for them, though nothing
    /// refers to them (`-u`).
    pub undefined: Vec<String>,
    /// Functions whose callers are led to `__wrap_NAME` (`--wrap`).
    pub wrap: Vec<String>,
    /// Names for other symbols (`--defsym=NAME=SYMBOL`).
    pub defsym: Vec<(String, String)>,
    /// What becomes of other undefined symbols.
    pub unresolved: Unresolved,
    /// Functions that may become imports (`--allow-undefined-file`, `--import`).
    pub allow_undefined: BTreeSet<String>,
    /// Functions that the guest's source declares for the host: imports, even
    /// where a library defines the name.
    pub host_functions: BTreeSet<String>,
    /// What becomes of a second strong definition of a symbol.
    pub duplicates: Duplicates,
    /// The linear memory.
    pub memory: MemoryOptions,
    /// Bytes of heap that the first size of the memory makes room for.
    pub initial_heap: u64,
    /// The stack lies below the data, so that overflow traps.
    pub stack_first: bool,
    /// Reserve the stack where no code uses it.
    pub keep_unused_stack: bool,
    /// Address of the first data; after the stack, or 1,024, if `None`.
    pub global_base: Option<u64>,
    /// The function table.
    pub table: TableOptions,
    /// Leave out what nothing reaches.
    pub gc_sections: bool,
    /// One data segment for all of `.rodata.*`, and so on.
    pub merge_data_segments: bool,
    /// Equal strings are stored once; in data, one that ends another within it.
    pub merge_strings: bool,
    /// Shortest encoding of each index and address in code.
    pub compress_relocations: bool,
    /// Write functions that are the same once (`--icf`). Nothing is folded in objects,
    /// with relocations, and for a dynamic linker.
    pub icf: Icf,
    /// Validate the module, so that damaged code in an object is an error of the
    /// link's, with names, and not of the engine's. A link takes up to half as long
    /// again for it.
    pub validate: bool,
    /// What the module drops.
    pub strip: Strip,
    /// Custom sections that stay in spite of `strip`.
    pub keep_sections: BTreeSet<String>,
    /// The features to allow; inferred from the objects if `None`.
    pub features: Option<Vec<String>>,
    /// Features added to those inferred.
    pub extra_features: Vec<String>,
    /// Refuse objects whose features disagree.
    pub check_features: bool,
    /// The `build_id` section.
    pub build_id: BuildId,
    /// The `name` section has functions' names as their authors wrote them.
    pub demangle: bool,
    /// The module's name in the `name` section.
    pub module_name: Option<String>,
    /// What happens where a guest panics.
    pub panic: Panic,
    /// Symbols whose references and definitions the report lists
    /// (`--trace-symbol`).
    pub trace_symbols: BTreeSet<String>,
    /// Fill the report of [`crate::Linked`].
    pub report: bool,
}

impl Options {
    /// A symbol's name as the module's `name` section has it, and listings.
    pub fn shown<'n>(&self, name: &'n str) -> Cow<'n, str> {
        match (self.demangle, self.lean) {
            (true, true) => demangle(name),
            (true, false) => demangle_as_llvm(name),
            (false, _) if name == "__main_argc_argv" && !self.lean => "main".into(),
            (false, _) => name.into(),
        }
    }

    /// Whether the module keeps a custom section that it can run without.
    pub(crate) fn keeps(&self, section: &str) -> bool {
        self.strip != Strip::All || self.keep_sections.contains(section)
    }

    /// Whether the link makes an object.
    pub(crate) fn is_relocatable(&self) -> bool {
        self.kind == OutputKind::Relocatable
    }

    /// Whether a dynamic linker places the module.
    pub(crate) fn is_pic(&self) -> bool {
        matches!(self.kind, OutputKind::Executable | OutputKind::Shared)
    }

    /// Whether the module is for a dynamic linker.
    pub(crate) fn is_dynamic(&self) -> bool {
        self.is_pic() || self.unresolved == Unresolved::Dynamic
    }

    /// Whether what is written has symbols and relocations.
    pub(crate) fn keeps_relocations(&self) -> bool {
        self.is_relocatable() || self.emit_relocations
    }

    /// What `build-guest` starts from: the smallest module that a host can
    /// give memory to.
    pub fn guest() -> Self {
        Options {
            lean: true,
            exports: Exports::Guest,
            memory: MemoryOptions {
                import: Some(("env".into(), "__linear_memory".into())),
                export: None,
                export_for_wasi: true,
                is_64: false,
                page_size: PAGE,
                initial: None,
                max: None,
                fixed: false,
                shared: false,
                stack_size: 1 << 20,
            },
            keep_unused_stack: false,
            compress_relocations: true,
            icf: Icf::Safe,
            strip: Strip::Debug,
            panic: Panic::Report,
            entry: None,
            ..Options::wasm_ld()
        }
    }

    /// What makes one object of several.
    pub fn relocatable() -> Self {
        Options {
            kind: OutputKind::Relocatable,
            entry: None,
            memory: MemoryOptions {
                // As compilers have it.
                import: Some(("env".into(), "__linear_memory".into())),
                export: None,
                ..Options::wasm_ld().memory
            },
            ..Options::wasm_ld()
        }
    }

    /// What makes a shared library, as `wasm-ld -shared` does.
    pub fn shared() -> Self {
        let memory = MemoryOptions {
            import: Some(("env".into(), "memory".into())),
            export: None,
            ..Options::wasm_ld().memory
        };
        Options {
            kind: OutputKind::Shared,
            entry: None,
            export_dynamic: true,
            memory,
            ..Options::executable()
        }
    }

    /// What makes a module for a dynamic linker to start, as `wasm-ld -pie` does.
    pub fn executable() -> Self {
        Options {
            kind: OutputKind::Executable,
            table: TableOptions {
                import: true,
                ..TableOptions::default()
            },
            ..Options::wasm_ld()
        }
    }

    /// What LLVM 22's wasm-ld does without options.
    pub fn wasm_ld() -> Self {
        Options {
            lean: false,
            kind: OutputKind::Module,
            emit_relocations: false,
            symbolic: false,
            runtime_paths: Vec::new(),
            check_library_types: true,
            exports: Exports::Named(BTreeSet::new()),
            export_if_defined: BTreeSet::new(),
            export_all: false,
            export_dynamic: false,
            entry: Some("_start".into()),
            undefined: Vec::new(),
            wrap: Vec::new(),
            defsym: Vec::new(),
            unresolved: Unresolved::Error,
            allow_undefined: BTreeSet::new(),
            host_functions: BTreeSet::new(),
            duplicates: Duplicates::Error,
            memory: MemoryOptions {
                import: None,
                export: Some("memory".into()),
                export_for_wasi: false,
                is_64: false,
                page_size: PAGE,
                initial: None,
                max: None,
                fixed: false,
                shared: false,
                stack_size: 64 << 10,
            },
            initial_heap: 0,
            stack_first: true,
            keep_unused_stack: true,
            global_base: None,
            table: TableOptions::default(),
            gc_sections: true,
            merge_data_segments: true,
            merge_strings: true,
            compress_relocations: false,
            icf: Icf::None,
            validate: false,
            strip: Strip::Nothing,
            keep_sections: BTreeSet::new(),
            features: None,
            extra_features: Vec::new(),
            check_features: true,
            build_id: BuildId::None,
            demangle: true,
            module_name: None,
            panic: Panic::Std,
            trace_symbols: BTreeSet::new(),
            report: false,
        }
    }
}
