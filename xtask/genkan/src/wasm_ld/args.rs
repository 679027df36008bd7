//! wasm-ld's command line, split into options and their values by LLVM's rules:
//! which names take one dash or two, and where a value may stand.

use std::path::{Path, PathBuf};

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
    EndLib,
    Entry,
    ErrorLimit,
    ErrorUnresolvedSymbols,
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
    /// Known, and without effect here as in wasm-ld, given these inputs.
    Ignored,
    Import,
    ImportMemory,
    ImportTable,
    ImportUndefined,
    InitialHeap,
    InitialMemory,
    KeepSection,
    Library,
    LibraryPath,
    Machine,
    Map,
    MaxMemory,
    MergeDataSegments,
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
    NoMergeDataSegments,
    NoStackFirst,
    NoWholeArchive,
    NoinhibitExec,
    Optimize,
    Output,
    PageSize,
    Panic,
    PrintMap,
    /// What genkan does not do; the value of the table's row says what that is.
    Refused(&'static str),
    RspQuoting,
    SharedMemory,
    Soname,
    StackFirst,
    StartLib,
    StripAll,
    StripDebug,
    TableBase,
    Threads,
    Trace,
    Undefined,
    UnresolvedSymbols,
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

use {Dashes::*, Value::*};

const LTO: Opt = Opt::Ignored;
const SHARED: Opt = Opt::Refused("shared libraries");
const TRACE_SYMBOL: Opt =
    Opt::Refused("tracing of symbols; --why-extract=- and -Map=- tell much of it");
const REPRODUCE: Opt = Opt::Refused("packing of the inputs");
const RELOCATABLE: Opt = Opt::Refused("relocatable output");

/// LLVM 22's options, then genkan's own.
#[rustfmt::skip]
const OPTIONS: &[(Dashes, &str, Value, Opt)] = &[
    (Any, "Bdynamic", None, Opt::Bdynamic),
    (Any, "call_shared", None, Opt::Bdynamic),
    (Any, "dy", None, Opt::Bdynamic),
    (Any, "Bstatic", None, Opt::Bstatic),
    (Any, "dn", None, Opt::Bstatic),
    (Any, "non_shared", None, Opt::Bstatic),
    (Any, "static", None, Opt::Bstatic),
    (Any, "Bsymbolic", None, Opt::Bsymbolic),
    (One, "E", None, Opt::ExportDynamic),
    (Any, "export-dynamic", None, Opt::ExportDynamic),
    (Any, "no-export-dynamic", None, Opt::NoExportDynamic),
    (One, "L", Either, Opt::LibraryPath),
    (Any, "library-path", Separate, Opt::LibraryPath),
    (Any, "library-path=", Joined, Opt::LibraryPath),
    (One, "l", Either, Opt::Library),
    (Any, "library", Separate, Opt::Library),
    (Any, "library=", Joined, Opt::Library),
    (One, "M", None, Opt::PrintMap),
    (Any, "print-map", None, Opt::PrintMap),
    (Any, "Map", Separate, Opt::Map),
    (Any, "Map=", Joined, Opt::Map),
    (One, "O", Either, Opt::Optimize),
    (One, "S", None, Opt::StripDebug),
    (Any, "strip-debug", None, Opt::StripDebug),
    (One, "s", None, Opt::StripAll),
    (Any, "strip-all", None, Opt::StripAll),
    (One, "V", None, Opt::Verbose),
    (One, "v", None, Opt::Verbose),
    (Any, "version", None, Opt::Version),
    (Any, "help", None, Opt::Help),
    (Any, "allow-multiple-definition", None, Opt::AllowMultipleDefinition),
    (Any, "no-allow-multiple-definition", None, Opt::NoAllowMultipleDefinition),
    (Any, "allow-undefined", None, Opt::AllowUndefined),
    (Any, "allow-undefined-file=", Joined, Opt::AllowUndefinedFile),
    (One, "allow-undefined-file", Separate, Opt::AllowUndefinedFile),
    (Any, "import-undefined", None, Opt::ImportUndefined),
    (Any, "build-id", None, Opt::BuildId),
    (Any, "build-id=", Joined, Opt::BuildId),
    (Two, "check-features", None, Opt::CheckFeatures),
    (Two, "no-check-features", None, Opt::NoCheckFeatures),
    (Any, "color-diagnostics", None, Opt::ColorDiagnostics),
    (Any, "color-diagnostics=", Joined, Opt::ColorDiagnostics),
    (Any, "no-color-diagnostics", None, Opt::NoColorDiagnostics),
    (Any, "compress-relocations", None, Opt::CompressRelocations),
    (Any, "demangle", None, Opt::Demangle),
    (Any, "no-demangle", None, Opt::NoDemangle),
    (Any, "emit-relocs", None, Opt::Refused("relocations in the output")),
    (Any, "end-lib", None, Opt::EndLib),
    (Any, "start-lib", None, Opt::StartLib),
    (One, "e", Either, Opt::Entry),
    (Any, "entry", Separate, Opt::Entry),
    (Any, "entry=", Joined, Opt::Entry),
    (Two, "no-entry", None, Opt::NoEntry),
    (Two, "error-limit", Separate, Opt::ErrorLimit),
    (Two, "error-limit=", Joined, Opt::ErrorLimit),
    (Any, "error-unresolved-symbols", None, Opt::ErrorUnresolvedSymbols),
    (Any, "warn-unresolved-symbols", None, Opt::WarnUnresolvedSymbols),
    (Any, "unresolved-symbols", Separate, Opt::UnresolvedSymbols),
    (Any, "unresolved-symbols=", Joined, Opt::UnresolvedSymbols),
    (Two, "experimental-pic", None, Opt::Refused("position-independent code")),
    (Any, "export", Separate, Opt::Export),
    (Any, "export=", Joined, Opt::Export),
    (Any, "export-if-defined", Separate, Opt::ExportIfDefined),
    (Any, "export-if-defined=", Joined, Opt::ExportIfDefined),
    (Two, "export-all", None, Opt::ExportAll),
    (Two, "export-memory", None, Opt::ExportMemory),
    (Two, "export-memory=", Joined, Opt::ExportMemory),
    (Two, "export-table", None, Opt::ExportTable),
    (Two, "growable-table", None, Opt::GrowableTable),
    (Two, "import-memory", None, Opt::ImportMemory),
    (Two, "import-memory=", Joined, Opt::ImportMemory),
    (Two, "import-table", None, Opt::ImportTable),
    (Two, "table-base=", Joined, Opt::TableBase),
    (Any, "features=", Joined, Opt::Features),
    (Any, "extra-features=", Joined, Opt::ExtraFeatures),
    (Any, "fatal-warnings", None, Opt::FatalWarnings),
    (Any, "no-fatal-warnings", None, Opt::NoFatalWarnings),
    (Any, "gc-sections", None, Opt::GcSections),
    (Any, "no-gc-sections", None, Opt::NoGcSections),
    (Any, "print-gc-sections", None, Opt::Refused("a list of removed sections")),
    (Any, "no-print-gc-sections", None, Opt::Ignored),
    (Two, "global-base=", Joined, Opt::GlobalBase),
    (Two, "initial-heap=", Joined, Opt::InitialHeap),
    // An alias of `initial-memory=` that takes no value, hence does nothing.
    (One, "i", None, Opt::Ignored),
    (Two, "initial-memory=", Joined, Opt::InitialMemory),
    (Two, "max-memory=", Joined, Opt::MaxMemory),
    (Two, "no-growable-memory", None, Opt::NoGrowableMemory),
    (Two, "page-size=", Joined, Opt::PageSize),
    (Any, "keep-section", Separate, Opt::KeepSection),
    (Any, "keep-section=", Joined, Opt::KeepSection),
    (One, "m", Either, Opt::Machine),
    (Two, "merge-data-segments", None, Opt::MergeDataSegments),
    (Two, "no-merge-data-segments", None, Opt::NoMergeDataSegments),
    (Any, "mllvm", Separate, Opt::Ignored),
    (Any, "mllvm=", Joined, Opt::Ignored),
    (Any, "noinhibit-exec", None, Opt::NoinhibitExec),
    (Any, "no-pie", None, Opt::Ignored),
    (Any, "pie", None, Opt::Refused("position-independent programs")),
    (Two, "no-shlib-sigcheck", None, Opt::Ignored),
    (One, "o", Either, Opt::Output),
    (One, "r", None, RELOCATABLE),
    (Any, "relocatable", None, RELOCATABLE),
    (Two, "reproduce", Separate, REPRODUCE),
    (Two, "reproduce=", Joined, REPRODUCE),
    (Any, "rpath", Separate, Opt::Ignored),
    (Any, "rpath=", Joined, Opt::Ignored),
    (Any, "rsp-quoting", Separate, Opt::RspQuoting),
    (Any, "rsp-quoting=", Joined, Opt::RspQuoting),
    (Any, "shared", None, SHARED),
    (Two, "shared-memory", None, Opt::SharedMemory),
    (Any, "soname", Separate, Opt::Soname),
    (Any, "soname=", Joined, Opt::Soname),
    (Any, "stack-first", None, Opt::StackFirst),
    (Any, "no-stack-first", None, Opt::NoStackFirst),
    (Any, "threads", Separate, Opt::Threads),
    (Any, "threads=", Joined, Opt::Threads),
    (One, "t", None, Opt::Trace),
    (Any, "trace", None, Opt::Trace),
    (One, "y", Either, TRACE_SYMBOL),
    (Any, "trace-symbol", Separate, TRACE_SYMBOL),
    (Any, "trace-symbol=", Joined, TRACE_SYMBOL),
    (One, "u", Either, Opt::Undefined),
    (Any, "undefined", Separate, Opt::Undefined),
    (Any, "undefined=", Joined, Opt::Undefined),
    (Any, "verbose", None, Opt::Ignored),
    (Any, "whole-archive", None, Opt::WholeArchive),
    (Any, "no-whole-archive", None, Opt::NoWholeArchive),
    (Two, "why-extract=", Joined, Opt::WhyExtract),
    (Any, "wrap", Separate, Opt::Wrap),
    (Any, "wrap=", Joined, Opt::Wrap),
    (One, "z", Either, Opt::Z),
    // They steer the optimisation of bitcode, which is refused where it shows up.
    (Any, "disable-verify", None, LTO),
    (Any, "save-temps", None, LTO),
    (Two, "lto-CGO", Joined, LTO),
    (Two, "lto-O", Joined, LTO),
    (Two, "lto-debug-pass-manager", None, LTO),
    (Two, "lto-obj-path=", Joined, LTO),
    (Two, "lto-partitions=", Joined, LTO),
    (Two, "thinlto-cache-dir=", Joined, LTO),
    (Two, "thinlto-cache-policy", Separate, LTO),
    (Two, "thinlto-cache-policy=", Joined, LTO),
    (Two, "thinlto-emit-imports-files", None, LTO),
    (Two, "thinlto-emit-index-files", None, LTO),
    (Two, "thinlto-jobs=", Joined, LTO),
    (Two, "thinlto-object-suffix-replace=", Joined, LTO),
    (Two, "thinlto-prefix-replace=", Joined, LTO),
    (Two, "thinlto-index-only", None, Opt::Refused("indexing of bitcode")),
    (Two, "thinlto-index-only=", Joined, Opt::Refused("indexing of bitcode")),
    // genkan's own.
    (Two, "no-allow-undefined", None, Opt::NoAllowUndefined),
    (Any, "defsym", Separate, Opt::Defsym),
    (Any, "defsym=", Joined, Opt::Defsym),
    (Two, "import", Separate, Opt::Import),
    (Two, "import=", Joined, Opt::Import),
    (Two, "panic=", Joined, Opt::Panic),
];

/// One option as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// Which.
    pub opt: Opt,
    /// Its name as the user spelled it, dashes included; the path of an input.
    pub spelling: String,
    /// Its value; empty if it takes none.
    pub value: String,
}

/// A command line after [`parse`].
#[derive(Debug, Default)]
pub struct Args {
    /// In the order given.
    pub list: Vec<Arg>,
    /// What cannot be understood, one message each.
    pub errors: Vec<String>,
}

impl Args {
    /// The last argument that is one of `opts`: later ones win.
    pub fn last(&self, opts: &[Opt]) -> Option<&Arg> {
        self.list.iter().rfind(|arg| opts.contains(&arg.opt))
    }

    /// Whether `opt` is there.
    pub fn has(&self, opt: Opt) -> bool {
        self.last(&[opt]).is_some()
    }

    /// Whether `on` comes after the last `off`; `default` if neither is there.
    pub fn flag(&self, on: Opt, off: Opt, default: bool) -> bool {
        self.last(&[on, off]).map_or(default, |arg| arg.opt == on)
    }

    /// The values of every `opt`, in order.
    pub fn values(&self, opt: Opt) -> impl DoubleEndedIterator<Item = &str> {
        let matching = self.list.iter().filter(move |arg| arg.opt == opt);
        matching.map(|arg| arg.value.as_str())
    }

    /// The value of the last `opt`.
    pub fn value(&self, opt: Opt) -> Option<&str> {
        self.last(&[opt]).map(|arg| arg.value.as_str())
    }
}

/// Splits a command line (without the program's name) into options. `@FILE`
/// stands for the arguments in that file.
pub fn parse(arguments: Vec<String>) -> Args {
    let mut expansion = Expansion::default();
    let windows = match split(&arguments).value(Opt::RspQuoting) {
        Some("windows") => true,
        Some("posix") => false,
        other => {
            let errors = other.map(|other| format!("invalid response file quoting: {other}"));
            expansion.errors.extend(errors);
            cfg!(windows)
        }
    };
    expansion.expand(arguments, windows, &mut Vec::new());
    let mut args = split(&expansion.arguments);
    args.errors.splice(0..0, expansion.errors);
    args
}

/// Splits arguments without response files.
fn split(arguments: &[String]) -> Args {
    let mut args = Args::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let dashes = argument.len() - argument.trim_start_matches('-').len();
        if dashes == 0 || argument == "-" {
            args.list.push(Arg {
                opt: Opt::Input,
                spelling: argument.clone(),
                value: argument.clone(),
            });
            continue;
        }
        let Some((opt, length, takes_next)) = find(argument) else {
            args.errors.push(format!("unknown argument: {argument}"));
            continue;
        };
        let (spelling, joined) = argument.split_at(length);
        let value = if takes_next {
            let Some(next) = rest.next() else {
                args.errors.push(format!("{spelling}: missing argument"));
                break;
            };
            next.clone()
        } else {
            joined.to_owned()
        };
        args.list.push(Arg {
            opt,
            spelling: spelling.trim_end_matches('=').to_owned(),
            value,
        });
    }
    args
}

/// The option that `argument` names, the length of dashes and name, and whether
/// the next argument is its value. Of several, the longest name wins.
fn find(argument: &str) -> Option<(Opt, usize, bool)> {
    let candidates = OPTIONS.iter().filter_map(|&(dashes, name, value, opt)| {
        let matches = |prefix: &str| {
            let rest = argument.strip_prefix(prefix)?.strip_prefix(name)?;
            let takes_next = match value {
                None if rest.is_empty() => false,
                Separate if rest.is_empty() => true,
                None | Separate => return Option::None,
                Joined => false,
                Either => rest.is_empty(),
            };
            Some((opt, prefix.len() + name.len(), takes_next))
        };
        match dashes {
            One => matches("-"),
            Two => matches("--"),
            Any => matches("--").or_else(|| matches("-")),
        }
    });
    candidates.max_by_key(|(_, length, _)| *length)
}

/// The state of expanding response files.
#[derive(Default)]
struct Expansion {
    arguments: Vec<String>,
    errors: Vec<String>,
}

impl Expansion {
    /// Appends `arguments`, with the contents of each `@FILE` in its place.
    /// `open` are the files that this happens within.
    fn expand(&mut self, arguments: Vec<String>, windows: bool, open: &mut Vec<PathBuf>) {
        for argument in arguments {
            let path = match argument.strip_prefix('@') {
                Some(path) if Path::new(path).is_file() => PathBuf::from(path),
                // No such file: an input by that name, as LLVM has it.
                _ => {
                    self.arguments.push(argument);
                    continue;
                }
            };
            if open.contains(&path) {
                let path = path.display();
                self.errors
                    .push(format!("response file {path} includes itself"));
                continue;
            }
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                    let arguments = if windows {
                        tokenize_windows(text)
                    } else {
                        tokenize(text)
                    };
                    open.push(path);
                    self.expand(arguments, windows, open);
                    open.pop();
                }
                Err(error) => {
                    let path = path.display();
                    self.errors
                        .push(format!("cannot read response file {path}: {error}"));
                }
            }
        }
    }
}

/// A response file's arguments as a POSIX shell quotes them: a backslash takes
/// the next character as it is, within quotes too.
fn tokenize(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut token: Option<String> = Option::None;
    let mut quote: Option<char> = Option::None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(next) => token.get_or_insert_default().push(next),
                Option::None => token.get_or_insert_default().push('\\'),
            },
            _ if quote == Some(character) => quote = Option::None,
            '"' | '\'' if quote.is_none() => {
                quote = Some(character);
                token.get_or_insert_default();
            }
            _ if quote.is_none() && character.is_ascii_whitespace() => tokens.extend(token.take()),
            _ => token.get_or_insert_default().push(character),
        }
    }
    tokens.extend(token);
    tokens
}

/// A response file's arguments as Windows quotes them: backslashes are plain,
/// but for an odd one before a double quote; two quotes within quotes are one.
fn tokenize_windows(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut token: Option<String> = Option::None;
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                let mut backslashes = 1;
                while characters.next_if_eq(&'\\').is_some() {
                    backslashes += 1;
                }
                let token = token.get_or_insert_default();
                if characters.peek() == Some(&'"') {
                    token.extend(std::iter::repeat_n('\\', backslashes / 2));
                    if backslashes % 2 == 1 {
                        characters.next();
                        token.push('"');
                    }
                } else {
                    token.extend(std::iter::repeat_n('\\', backslashes));
                }
            }
            '"' => {
                let token = token.get_or_insert_default();
                if quoted && characters.next_if_eq(&'"').is_some() {
                    token.push('"');
                } else {
                    quoted = !quoted;
                }
            }
            _ if !quoted && character.is_ascii_whitespace() => tokens.extend(token.take()),
            _ => token.get_or_insert_default().push(character),
        }
    }
    tokens.extend(token);
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &[&str]) -> Args {
        parse(line.iter().map(|&argument| argument.to_owned()).collect())
    }

    fn one(line: &[&str]) -> (Opt, String) {
        let args = args(line);
        assert_eq!(args.errors, [""; 0], "{line:?}");
        assert_eq!(args.list.len(), 1, "{line:?}");
        (args.list[0].opt, args.list[0].value.clone())
    }

    #[test]
    fn a_value_is_joined_or_separate() {
        for line in [
            &["-lc"][..],
            &["-l", "c"],
            &["--library=c"],
            &["-library", "c"],
        ] {
            assert_eq!(one(line), (Opt::Library, "c".into()), "{line:?}");
        }
        for line in [
            &["--entry=main"][..],
            &["-entry=main"],
            &["-e", "main"],
            &["-emain"],
        ] {
            assert_eq!(one(line), (Opt::Entry, "main".into()), "{line:?}");
        }
        assert_eq!(one(&["-zstack-size=1"]), (Opt::Z, "stack-size=1".into()));
        assert_eq!(one(&["--Map", "-"]), (Opt::Map, "-".into()));
    }

    #[test]
    fn the_longest_name_wins() {
        assert_eq!(one(&["--export-all"]).0, Opt::ExportAll);
        assert_eq!(one(&["--export-memory=m"]), (Opt::ExportMemory, "m".into()));
        assert_eq!(one(&["--export=a=b"]), (Opt::Export, "a=b".into()));
        assert_eq!(one(&["-mllvm", "x"]).0, Opt::Ignored);
        assert_eq!(one(&["-mwasm32"]), (Opt::Machine, "wasm32".into()));
    }

    #[test]
    fn one_dash_is_not_two() {
        // wasm-ld takes it for `-e xport-all`, hence so does this.
        assert_eq!(one(&["-export-all"]), (Opt::Entry, "xport-all".into()));
        assert_eq!(args(&["--lc"]).errors, ["unknown argument: --lc"]);
        assert_eq!(args(&["-no-entry"]).errors, ["unknown argument: -no-entry"]);
    }

    #[test]
    fn what_is_unknown_or_cut_short_is_an_error() {
        assert_eq!(
            args(&["--frob", "a.o", "-o"]).errors,
            ["unknown argument: --frob", "-o: missing argument"]
        );
        assert_eq!(
            args(&["--strip-all=yes"]).errors,
            ["unknown argument: --strip-all=yes"]
        );
    }

    #[test]
    fn the_last_flag_wins() {
        let args = args(&["--no-gc-sections", "--gc-sections", "--no-check-features"]);
        assert!(args.flag(Opt::GcSections, Opt::NoGcSections, false));
        assert!(!args.flag(Opt::CheckFeatures, Opt::NoCheckFeatures, true));
        assert!(args.flag(Opt::StackFirst, Opt::NoStackFirst, true));
    }

    #[test]
    fn a_dash_alone_is_a_file() {
        assert_eq!(one(&["-"]), (Opt::Input, "-".into()));
        assert_eq!(one(&["a=b.o"]), (Opt::Input, "a=b.o".into()));
    }

    #[test]
    fn response_files_stand_for_their_arguments() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("inner"), "--no-entry\n'a b.o'").unwrap();
        std::fs::write(
            path("outer"),
            format!("-o x @{} \"c\\\"d\".o", path("inner")),
        )
        .unwrap();
        let found = args(&[&format!("@{}", path("outer")), "@nowhere"]);
        let values: Vec<_> = found.list.iter().map(|arg| arg.value.as_str()).collect();
        assert_eq!(values, ["x", "", "a b.o", "c\"d.o", "@nowhere"]);

        std::fs::write(path("loop"), format!("a.o @{}", path("loop"))).unwrap();
        let found = args(&[&format!("@{}", path("loop"))]);
        assert_eq!(
            found.errors,
            [format!("response file {} includes itself", path("loop"))]
        );
    }

    #[test]
    fn quoting_is_posix_or_windows() {
        assert_eq!(
            tokenize(r#"a\ b 'c\'d' "e f"g "" h\"#),
            ["a b", "c'd", "e fg", "", "h\\"]
        );
        let windows = r#"C:\a\b.o "C:\c d\\" e\"f "g""h""#;
        assert_eq!(
            tokenize_windows(windows),
            [r"C:\a\b.o", r"C:\c d\", "e\"f", "g\"h"]
        );
    }
}
