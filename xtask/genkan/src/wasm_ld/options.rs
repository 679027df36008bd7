//! The options of wasm-ld's command line: how each is written, what it asks for, and
//! what `--help` says of it, in one table.

/// What an argument asks for. Aliases share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opt {
    /// A file; its value is the path.
    Input,
    AllowMultipleDefinition,
    AllowUndefined,
    AllowUndefinedFile,
    Bdynamic,
    Bstatic,
    Bsymbolic,
    BuildId,
    CheckFeatures,
    ColorDiagnostics,
    CompressRelocations,
    Defsym,
    Demangle,
    EmitRelocs,
    EndLib,
    Entry,
    ErrorLimit,
    ErrorUnresolvedSymbols,
    ExperimentalPic,
    Export,
    ExportAll,
    ExportDynamic,
    ExportIfDefined,
    ExportMemory,
    ExportTable,
    ExtraFeatures,
    FatalWarnings,
    Features,
    GcSections,
    GlobalBase,
    GrowableTable,
    Help,
    Icf,
    /// Known, and without effect here as in wasm-ld, given these inputs.
    Ignored,
    Import,
    ImportMemory,
    ImportTable,
    ImportUndefined,
    InitialHeap,
    InitialMemory,
    KeepSection,
    Lean,
    Library,
    LibraryPath,
    Machine,
    Map,
    MaxMemory,
    MergeDataSegments,
    /// Without effect here, though not in wasm-ld: it is told.
    Mllvm,
    NoAllowMultipleDefinition,
    NoAllowUndefined,
    NoCheckFeatures,
    NoColorDiagnostics,
    NoDemangle,
    NoEntry,
    NoExportDynamic,
    NoFatalWarnings,
    NoGcSections,
    NoGrowableMemory,
    Shared,
    SharedMemory,
    NoMergeDataSegments,
    NoPie,
    NoPrintGcSections,
    NoShlibSigcheck,
    NoStackFirst,
    NoWholeArchive,
    NoinhibitExec,
    Optimize,
    Output,
    PageSize,
    Panic,
    Pie,
    PrintGcSections,
    PrintIcfSections,
    PrintMap,
    /// What genkan does not do; the row's help says what that is.
    Refused,
    Relocatable,
    Reproduce,
    Rpath,
    RspQuoting,
    Soname,
    StackFirst,
    StartLib,
    StripAll,
    StripDebug,
    TableBase,
    Threads,
    Trace,
    TraceSymbol,
    Undefined,
    UnresolvedSymbols,
    Validate,
    Version,
    /// `-v`: the version, and go on if there are inputs.
    Verbose,
    WarnUnresolvedSymbols,
    WholeArchive,
    WhyExtract,
    Wrap,
    Z,
}

/// How many dashes an option's name may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dashes {
    One,
    Two,
    Any,
}

/// Where an option's value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// Nowhere: it takes none.
    None,
    /// In the same argument, right after the name.
    Joined,
    /// In the next argument.
    Separate,
    /// In the same argument or, if nothing is left there, in the next.
    Either,
}

/// Where `--help` shows an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Inputs,
    Output,
    Symbols,
    Memory,
    Messages,
    /// Taken, and nothing comes of it, here as in wasm-ld.
    NoEffect,
    /// Refused by name.
    Refused,
}

/// An option: how it is written, and what `--help` says of it.
struct Row {
    section: Section,
    opt: Opt,
    names: &'static [Name],
    /// What its value is called; empty if it takes none.
    value: &'static str,
    /// What it does; for one without effect, why; for a refused one, what is missing.
    help: &'static str,
}

type Name = (Dashes, &'static str, Value);

use {Dashes::*, Section::*, Value::*};

const fn row(
    section: Section,
    opt: Opt,
    names: &'static [Name],
    value: &'static str,
    help: &'static str,
) -> Row {
    Row {
        section,
        opt,
        names,
        value,
        help,
    }
}

const LTO: &str = "steers the optimisation of bitcode, which is refused where it shows up";

/// LLVM 22's options, and genkan's own.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    row(Inputs, Opt::Library, &[(One, "l", Either), (Any, "library", Separate), (Any, "library=", Joined)],
        "NAME", "libNAME.a, or FILE for :FILE, in the folders of -L"),
    row(Inputs, Opt::LibraryPath, &[(One, "L", Either), (Any, "library-path", Separate), (Any, "library-path=", Joined)],
        "DIR", "Look for libraries in DIR"),
    row(Inputs, Opt::WholeArchive, &[(Any, "whole-archive", None)],
        "", "Take every member of the archives that follow"),
    row(Inputs, Opt::NoWholeArchive, &[(Any, "no-whole-archive", None)],
        "", "Take members as needed again"),
    row(Inputs, Opt::StartLib, &[(Any, "start-lib", None)],
        "", "Take the objects that follow as needed"),
    row(Inputs, Opt::EndLib, &[(Any, "end-lib", None)],
        "", "Take all objects again"),
    row(Inputs, Opt::Bdynamic, &[(Any, "Bdynamic", None), (Any, "call_shared", None), (Any, "dy", None)],
        "", "Prefer libNAME.so for -l that follow; the default for -shared and -pie"),
    row(Inputs, Opt::Bstatic, &[(Any, "Bstatic", None), (Any, "dn", None), (Any, "non_shared", None), (Any, "static", None)],
        "", "Look for libNAME.a only again"),
    row(Inputs, Opt::NoShlibSigcheck, &[(Two, "no-shlib-sigcheck", None)],
        "", "Functions of a shared library may be called by other types than theirs"),
    row(Inputs, Opt::RspQuoting, &[(Any, "rsp-quoting", Separate), (Any, "rsp-quoting=", Joined)],
        "STYLE", "How response files quote: posix or windows"),
    row(Inputs, Opt::Machine, &[(One, "m", Either)],
        "MACHINE", "wasm32, the default, or wasm64"),

    row(Output, Opt::Output, &[(One, "o", Either)],
        "MODULE", "Where to write the module; - is stdout"),
    row(Output, Opt::Relocatable, &[(One, "r", None), (Any, "relocatable", None)],
        "", "Make one object of all, to be linked again"),
    row(Output, Opt::Shared, &[(Any, "shared", None)],
        "", "Make a shared library, for a dynamic linker"),
    row(Output, Opt::Pie, &[(Any, "pie", None)],
        "", "Make a position-independent program, for a dynamic linker"),
    row(Output, Opt::NoPie, &[(Any, "no-pie", None)],
        "", "Make a program with a place of its own; the default"),
    row(Output, Opt::ExperimentalPic, &[(Two, "experimental-pic", None)],
        "", "Do not warn that -shared and -pie may change"),
    row(Output, Opt::Rpath, &[(Any, "rpath", Separate), (Any, "rpath=", Joined)],
        "DIR", "A dynamic linker is to look for shared libraries in DIR"),
    row(Output, Opt::Bsymbolic, &[(Any, "Bsymbolic", None)],
        "", "A shared library uses its own symbols, whoever else has them"),
    row(Output, Opt::EmitRelocs, &[(Any, "emit-relocs", None)],
        "", "Keep symbols and relocations, for tools that take the module apart"),
    row(Output, Opt::StripAll, &[(One, "s", None), (Any, "strip-all", None)],
        "", "Drop all that the module can run without"),
    row(Output, Opt::StripDebug, &[(One, "S", None), (Any, "strip-debug", None)],
        "", "Drop debug information"),
    row(Output, Opt::KeepSection, &[(Any, "keep-section", Separate), (Any, "keep-section=", Joined)],
        "NAME", "Keep this custom section all the same"),
    row(Output, Opt::CompressRelocations, &[(Any, "compress-relocations", None)],
        "", "Shortest encoding of numbers in code; needs -s or -S"),
    row(Output, Opt::Icf, &[(Any, "icf=", Joined)],
        "WHICH", "Write functions that are the same once: safe, or none, the default (genkan's own)"),
    row(Output, Opt::Lean, &[(Two, "lean", None)],
        "", "The smallest module, in an order of its own; constructors run once (genkan's own)"),
    row(Output, Opt::Optimize, &[(One, "O", Either)],
        "LEVEL", "0: strings are not merged; 1, the default, and more: they are"),
    row(Output, Opt::MergeDataSegments, &[(Two, "merge-data-segments", None)],
        "", "One data segment for all input sections of a kind; the default"),
    row(Output, Opt::NoMergeDataSegments, &[(Two, "no-merge-data-segments", None)],
        "", "One data segment for each input section"),
    row(Output, Opt::Validate, &[(Two, "validate", None)],
        "", "Refuse objects whose code is damaged, by validating the module (genkan's own)"),
    row(Output, Opt::BuildId, &[(Any, "build-id", None), (Any, "build-id=", Joined)],
        "STYLE", "An id of the module's content: fast, sha1, uuid, 0xHEX or none"),
    row(Output, Opt::Demangle, &[(Any, "demangle", None)],
        "", "Functions' names as their authors wrote them; the default"),
    row(Output, Opt::NoDemangle, &[(Any, "no-demangle", None)],
        "", "Functions' names as the objects have them"),
    row(Output, Opt::Soname, &[(Any, "soname", Separate), (Any, "soname=", Joined)],
        "NAME", "The module's name in its name section"),
    row(Output, Opt::Features, &[(Any, "features=", Joined)],
        "A,B", "Declare these features, not the objects' own"),
    row(Output, Opt::ExtraFeatures, &[(Any, "extra-features=", Joined)],
        "A,B", "Declare these features too"),
    row(Output, Opt::CheckFeatures, &[(Two, "check-features", None)],
        "", "Compare the objects' features; the default"),
    row(Output, Opt::NoCheckFeatures, &[(Two, "no-check-features", None)],
        "", "Do not compare the objects' features"),

    row(Symbols, Opt::Entry, &[(One, "e", Either), (Any, "entry", Separate), (Any, "entry=", Joined)],
        "NAME", "The function that starts the program; _start if none is named"),
    row(Symbols, Opt::NoEntry, &[(Two, "no-entry", None)],
        "", "There is none"),
    row(Symbols, Opt::Export, &[(Any, "export", Separate), (Any, "export=", Joined)],
        "NAME", "Export NAME"),
    row(Symbols, Opt::ExportIfDefined, &[(Any, "export-if-defined", Separate), (Any, "export-if-defined=", Joined)],
        "NAME", "Export NAME if there is one"),
    row(Symbols, Opt::ExportAll, &[(Two, "export-all", None)],
        "", "Export every symbol"),
    row(Symbols, Opt::ExportDynamic, &[(One, "E", None), (Any, "export-dynamic", None)],
        "", "Export every visible symbol"),
    row(Symbols, Opt::NoExportDynamic, &[(Any, "no-export-dynamic", None)],
        "", "Do not; the default"),
    row(Symbols, Opt::Undefined, &[(One, "u", Either), (Any, "undefined", Separate), (Any, "undefined=", Joined)],
        "NAME", "Resolve NAME though nothing refers to it"),
    row(Symbols, Opt::Wrap, &[(Any, "wrap", Separate), (Any, "wrap=", Joined)],
        "NAME", "Lead calls of NAME to __wrap_NAME"),
    row(Symbols, Opt::Defsym, &[(Any, "defsym", Separate), (Any, "defsym=", Joined)],
        "NAME=SYMBOL", "Let NAME be another name of SYMBOL (genkan's own)"),
    row(Symbols, Opt::Import, &[(Two, "import", Separate), (Two, "import=", Joined)],
        "NAME", "NAME is the host's: an import if nothing defines it (genkan's own)"),
    row(Symbols, Opt::AllowUndefined, &[(Any, "allow-undefined", None)],
        "", "Whatever is undefined is the host's"),
    row(Symbols, Opt::NoAllowUndefined, &[(Two, "no-allow-undefined", None)],
        "", "It is not, whatever was said before (genkan's own)"),
    row(Symbols, Opt::AllowUndefinedFile, &[(Any, "allow-undefined-file=", Joined), (One, "allow-undefined-file", Separate)],
        "FILE", "The names in FILE, one a line, may be undefined"),
    row(Symbols, Opt::ImportUndefined, &[(Any, "import-undefined", None)],
        "", "Undefined functions are the host's; undefined data is an error"),
    row(Symbols, Opt::UnresolvedSymbols, &[(Any, "unresolved-symbols", Separate), (Any, "unresolved-symbols=", Joined)],
        "POLICY", "report-all; ignore-all: calls trap; import-dynamic: a dynamic linker looks for them"),
    row(Symbols, Opt::ErrorUnresolvedSymbols, &[(Any, "error-unresolved-symbols", None)],
        "", "Undefined symbols are errors; the default"),
    row(Symbols, Opt::WarnUnresolvedSymbols, &[(Any, "warn-unresolved-symbols", None)],
        "", "Warn only; calls trap"),
    row(Symbols, Opt::NoinhibitExec, &[(Any, "noinhibit-exec", None)],
        "", "Warn only of a symbol that is defined twice; the last counts"),
    row(Symbols, Opt::AllowMultipleDefinition, &[(Any, "allow-multiple-definition", None)],
        "", "The first of several definitions counts; -z muldefs is the same"),
    row(Symbols, Opt::NoAllowMultipleDefinition, &[(Any, "no-allow-multiple-definition", None)],
        "", "Several are an error; the default"),
    row(Symbols, Opt::GcSections, &[(Any, "gc-sections", None)],
        "", "Drop what nothing reaches; the default"),
    row(Symbols, Opt::NoGcSections, &[(Any, "no-gc-sections", None)],
        "", "Keep it"),
    row(Symbols, Opt::Panic, &[(Two, "panic=", Joined)],
        "WAY", "What a Rust panic becomes: report (file and line for the host), trap, or std, the default (genkan's own)"),

    row(Memory, Opt::ImportMemory, &[(Two, "import-memory", None), (Two, "import-memory=", Joined)],
        "MODULE,NAME", "The memory is the host's; env,memory if nothing is named"),
    row(Memory, Opt::ExportMemory, &[(Two, "export-memory", None), (Two, "export-memory=", Joined)],
        "NAME", "Export it; the default, as memory, unless it is imported"),
    row(Memory, Opt::InitialMemory, &[(Two, "initial-memory=", Joined)],
        "BYTES", "Its size at first"),
    row(Memory, Opt::MaxMemory, &[(Two, "max-memory=", Joined)],
        "BYTES", "The most that it may grow to"),
    row(Memory, Opt::NoGrowableMemory, &[(Two, "no-growable-memory", None)],
        "", "It never grows"),
    row(Memory, Opt::SharedMemory, &[(Two, "shared-memory", None)],
        "", "Threads, each an instance of the module, share it; needs objects with atomics"),
    row(Memory, Opt::InitialHeap, &[(Two, "initial-heap=", Joined)],
        "BYTES", "Room for a heap at first"),
    row(Memory, Opt::Z, &[(One, "z", Either)],
        "KEY=VALUE", "stack-size=BYTES, 65536 if nothing is said; muldefs"),
    row(Memory, Opt::StackFirst, &[(Any, "stack-first", None)],
        "", "The stack lies before the data; the default"),
    row(Memory, Opt::NoStackFirst, &[(Any, "no-stack-first", None)],
        "", "It lies after it"),
    row(Memory, Opt::GlobalBase, &[(Two, "global-base=", Joined)],
        "ADDRESS", "Where data begins"),
    row(Memory, Opt::PageSize, &[(Two, "page-size=", Joined)],
        "BYTES", "65536, or 1 for engines with custom page sizes"),
    row(Memory, Opt::ImportTable, &[(Two, "import-table", None)],
        "", "The function table is the host's"),
    row(Memory, Opt::ExportTable, &[(Two, "export-table", None)],
        "", "Export it"),
    row(Memory, Opt::GrowableTable, &[(Two, "growable-table", None)],
        "", "It has no maximum"),
    row(Memory, Opt::TableBase, &[(Two, "table-base=", Joined)],
        "INDEX", "Where the module's functions begin in it"),

    row(Messages, Opt::Map, &[(Any, "Map", Separate), (Any, "Map=", Joined)],
        "FILE", "What is where in the module; - is stdout"),
    row(Messages, Opt::PrintMap, &[(One, "M", None), (Any, "print-map", None)],
        "", "The same, to stdout"),
    row(Messages, Opt::WhyExtract, &[(Two, "why-extract=", Joined)],
        "FILE", "Which archive members were taken, and for what; - is stdout"),
    row(Messages, Opt::PrintIcfSections, &[(Any, "print-icf-sections", None)],
        "", "Functions and constants for which others are written (genkan's own)"),
    row(Messages, Opt::Trace, &[(One, "t", None), (Any, "trace", None)],
        "", "Names of the objects that take part"),
    row(Messages, Opt::TraceSymbol, &[(One, "y", Either), (Any, "trace-symbol", Separate), (Any, "trace-symbol=", Joined)],
        "NAME", "Which files refer to NAME, and which define it"),
    row(Messages, Opt::PrintGcSections, &[(Any, "print-gc-sections", None)],
        "", "What is left out, since nothing reaches it"),
    row(Messages, Opt::NoPrintGcSections, &[(Any, "no-print-gc-sections", None)],
        "", "Do not tell; the default"),
    row(Messages, Opt::Reproduce, &[(Two, "reproduce", Separate), (Two, "reproduce=", Joined)],
        "FILE", "Pack the inputs and the command line into a tar archive"),
    row(Messages, Opt::FatalWarnings, &[(Any, "fatal-warnings", None)],
        "", "Warnings are errors"),
    row(Messages, Opt::NoFatalWarnings, &[(Any, "no-fatal-warnings", None)],
        "", "They are not; the default"),
    row(Messages, Opt::ErrorLimit, &[(Two, "error-limit", Separate), (Two, "error-limit=", Joined)],
        "N", "Stop after N errors, 20 if nothing is said; 0 shows all"),
    row(Messages, Opt::ColorDiagnostics, &[(Any, "color-diagnostics", None), (Any, "color-diagnostics=", Joined)],
        "WHEN", "Colours: auto, always or never"),
    row(Messages, Opt::NoColorDiagnostics, &[(Any, "no-color-diagnostics", None)],
        "", "No colours"),
    row(Messages, Opt::Threads, &[(Any, "threads", Separate), (Any, "threads=", Joined)],
        "N", "How many threads; one for each processor if nothing is said"),
    row(Messages, Opt::Version, &[(Any, "version", None)],
        "", "Print the version"),
    row(Messages, Opt::Verbose, &[(One, "v", None), (One, "V", None)],
        "", "The same, and link if there are inputs"),
    row(Messages, Opt::Help, &[(Any, "help", None)],
        "", "Print this"),

    row(NoEffect, Opt::Ignored, &[(One, "i", None)],
        "", "an alias of --initial-memory= that takes no value"),
    row(NoEffect, Opt::Mllvm, &[(Any, "mllvm", Separate), (Any, "mllvm=", Joined)],
        "OPTION", "is for LLVM, which has no part in this, and warned about"),
    row(NoEffect, Opt::Ignored, &[(Any, "verbose", None)],
        "", "there is nothing more to say"),
    row(NoEffect, Opt::Ignored, &[(Any, "disable-verify", None)], "", LTO),
    row(NoEffect, Opt::Ignored, &[(Any, "save-temps", None)], "", LTO),
    row(NoEffect, Opt::Ignored, &[(Two, "lto-CGO", Joined)], "N", LTO),
    row(NoEffect, Opt::Ignored, &[(Two, "lto-O", Joined)], "N", LTO),
    row(NoEffect, Opt::Ignored, &[(Two, "lto-debug-pass-manager", None)], "", LTO),
    row(NoEffect, Opt::Ignored, &[(Two, "lto-obj-path=", Joined)], "PATH", LTO),
    row(NoEffect, Opt::Ignored, &[(Two, "lto-partitions=", Joined)], "N", LTO),
    row(NoEffect, Opt::Ignored, &[(Two, "thinlto-cache-dir=", Joined)], "DIR", LTO),
    row(NoEffect, Opt::Ignored, &[(Two, "thinlto-cache-policy", Separate), (Two, "thinlto-cache-policy=", Joined)], "POLICY", LTO),
    row(NoEffect, Opt::Ignored, &[(Two, "thinlto-emit-imports-files", None)], "", LTO),
    row(NoEffect, Opt::Ignored, &[(Two, "thinlto-emit-index-files", None)], "", LTO),
    row(NoEffect, Opt::Ignored, &[(Two, "thinlto-jobs=", Joined)], "N", LTO),
    row(NoEffect, Opt::Ignored, &[(Two, "thinlto-object-suffix-replace=", Joined)], "OLD;NEW", LTO),
    row(NoEffect, Opt::Ignored, &[(Two, "thinlto-prefix-replace=", Joined)], "OLD;NEW", LTO),

    row(Refused, Opt::Refused, &[(Two, "thinlto-index-only", None), (Two, "thinlto-index-only=", Joined)], "FILE", "indexing of bitcode"),
];

/// An option as it was found at the start of an argument.
pub struct Found {
    /// Which.
    pub opt: Opt,
    /// What its row says of it.
    pub help: &'static str,
    /// The length of dashes and name.
    pub length: usize,
    /// The next argument is its value.
    pub takes_next: bool,
}

/// The option that `argument` names. Of several, the longest name wins.
pub fn find(argument: &str) -> Option<Found> {
    let names = ROWS
        .iter()
        .flat_map(|row| row.names.iter().map(move |name| (row, name)));
    let candidates = names.filter_map(|(row, &(dashes, name, value))| {
        let matches = |prefix: &str| {
            let rest = argument.strip_prefix(prefix)?.strip_prefix(name)?;
            let takes_next = match value {
                None if rest.is_empty() => false,
                Separate if rest.is_empty() => true,
                None | Separate => return Option::None,
                Joined => false,
                Either => rest.is_empty(),
            };
            Some(Found {
                opt: row.opt,
                help: row.help,
                length: prefix.len() + name.len(),
                takes_next,
            })
        };
        match dashes {
            One => matches("-"),
            Two => matches("--"),
            Any => matches("--").or_else(|| matches("-")),
        }
    });
    candidates.max_by_key(|found| found.length)
}

/// The options, by section, as `--help` shows them.
pub fn help() -> String {
    let mut text = String::new();
    for (section, title) in [
        (Inputs, "Inputs"),
        (Output, "Output"),
        (Symbols, "Symbols"),
        (Memory, "Memory and table"),
        (Messages, "Messages"),
        (NoEffect, "Without effect, here as in wasm-ld"),
        (Section::Refused, "Not implemented, and refused"),
    ] {
        text += &format!("{title}:\n");
        if section == Inputs {
            entry(
                &mut text,
                "FILE",
                "An object, or an archive whose members are taken as needed",
            );
        }
        for row in ROWS.iter().filter(|row| row.section == section) {
            entry(&mut text, &row.usage(), row.help);
        }
    }
    text
}

/// All options as a table for people, in Markdown.
#[cfg(test)]
fn table() -> String {
    let mut text = String::from(
        "# The linker's options\n\n\
         Those of LLVM 22's wasm-ld, each with what becomes of it here, and genkan's own. A \n\
         test makes this page of the table that the command line is read by: \n\
         `BLESS=1 cargo test -p genkan --lib options`.\n\n\
         | option | | what it does, or why it does not |\n|---|---|---|\n",
    );
    for row in ROWS {
        let what = match row.section {
            NoEffect => "no effect",
            Section::Refused => "refused",
            _ => "works",
        };
        let usage = row.usage().replace('|', "\\|");
        text += &format!("| `{usage}` | {what} | {} |\n", row.help);
    }
    text.replace(" \n", "\n")
}

/// How far descriptions are indented, and where their lines end.
const COLUMN: usize = 28;
const WIDTH: usize = 98;

fn entry(text: &mut String, usage: &str, help: &str) {
    let mut line = format!("  {usage}");
    for word in help.split(' ') {
        let is_first = line.len() <= COLUMN - 2 || line.ends_with("  ");
        if is_first && line.len() < COLUMN {
            line = format!("{line:COLUMN$}");
        } else if line.trim_start() == usage || line.len() + 1 + word.len() > WIDTH {
            *text += line.trim_end();
            text.push('\n');
            line = " ".repeat(COLUMN);
        } else if !line.ends_with(' ') {
            line.push(' ');
        }
        line += word;
    }
    *text += &line;
    text.push('\n');
}

impl Row {
    /// Its short name and its first long one, with the value.
    fn usage(&self) -> String {
        let is_short = |name: &&Name| name.1.len() == 1;
        let short = self.names.iter().find(is_short);
        let mut long = self.names.iter().filter(|name| !is_short(name));
        let first = long.next();
        let mut words = Vec::new();
        if let Some((_, name, value)) = short {
            // The long name shows the value, if there is one.
            let shows = *value != None && first.is_none();
            let space = if shows { " " } else { "" };
            words.push(format!(
                "-{name}{space}{}",
                if shows { self.value } else { "" }
            ));
        }
        if let Some((dashes, name, value)) = first {
            let dashes = if *dashes == One { "-" } else { "--" };
            let others: Vec<&Name> = long.collect();
            let joined = others
                .iter()
                .any(|other| other.1.strip_suffix('=') == Some(name));
            let value = match (value, joined) {
                (None, true) => format!("[={}]", self.value),
                (None, false) => String::new(),
                (Separate, true) => format!("={}", self.value),
                (Separate, false) => format!(" {}", self.value),
                (Joined | Either, _) => self.value.to_owned(),
            };
            words.push(format!("{dashes}{name}{value}"));
        }
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every spelling of every row leads to that row, and to no other.
    #[test]
    fn every_spelling_is_understood() {
        for row in ROWS {
            for &(dashes, name, value) in row.names {
                let prefixes: &[&str] = match dashes {
                    One => &["-"],
                    Two => &["--"],
                    Any => &["-", "--"],
                };
                for prefix in prefixes {
                    let joined = if matches!(value, Joined | Either) {
                        "x"
                    } else {
                        ""
                    };
                    let argument = format!("{prefix}{name}{joined}");
                    let found = find(&argument).unwrap_or_else(|| panic!("{argument}"));
                    assert_eq!((found.opt, found.help), (row.opt, row.help), "{argument}");
                    assert_eq!(found.takes_next, value == Separate, "{argument}");
                }
            }
            let takes_value = row.names.iter().any(|name| name.2 != None);
            assert_eq!(takes_value, !row.value.is_empty(), "{}", row.usage());
        }
    }

    #[test]
    fn the_page_of_options_says_what_is() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("OPTIONS.md");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, table()).unwrap();
        }
        let page = std::fs::read_to_string(&path).unwrap();
        assert_eq!(page, table(), "BLESS=1 writes it anew");
    }

    #[test]
    fn the_help_shows_every_option() {
        let help = help();
        for row in ROWS {
            assert!(!row.help.is_empty(), "{}", row.usage());
            assert!(help.contains(&row.usage()), "{} in:\n{help}", row.usage());
        }
        for line in [
            "  -o MODULE                 Where to write the module; - is stdout\n",
            "  -s, --strip-all           Drop all",
            "  -l, --library=NAME        libNAME.a",
            "  --build-id[=STYLE]        An id",
        ] {
            assert!(help.contains(line), "{line} in:\n{help}");
        }
        assert!(help.lines().all(|line| line.len() <= 100), "{help}");
    }
}
