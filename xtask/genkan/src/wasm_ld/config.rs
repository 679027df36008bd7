//! From a command line's options to what the linker and its driver are to do.

use std::path::PathBuf;

use super::args::{Arg, Args};
use super::options::Opt;
use genkan_link::{
    BuildId, Duplicates, Exports, Icf, Options, OutputKind, Panic, Strip, Unresolved,
};

const PAGE: u64 = 65_536;

/// What a command line asks for, inputs aside.
#[derive(Debug)]
pub struct Config {
    /// What the linker is to do.
    pub options: Options,
    /// `-o`.
    pub output: PathBuf,
    /// `-Map`; `-` is stdout.
    pub map: Option<PathBuf>,
    /// `--why-extract`; `-` is stdout.
    pub why_extract: Option<PathBuf>,
    /// `--print-icf-sections`.
    pub print_icf: bool,
    /// `--trace`.
    pub trace: bool,
    /// `--print-gc-sections`.
    pub print_gc_sections: bool,
    /// `--reproduce`.
    pub reproduce: Option<PathBuf>,
    /// `--threads`; all that the machine has if `None`.
    pub threads: Option<usize>,
}

/// Reads the options of `args`; all errors at once. What else the user should know is
/// added to `warnings`.
pub fn config(args: &Args, warnings: &mut Vec<String>) -> Result<Config, Vec<String>> {
    let mut reader = Reader {
        args,
        options: if args.has(Opt::Relocatable) {
            Options::relocatable()
        } else if args.has(Opt::Shared) {
            Options::shared()
        } else if args.flag(Opt::Pie, Opt::NoPie, false) {
            Options::executable()
        } else {
            Options::wasm_ld()
        },
        errors: args.refused.clone(),
        warnings,
    };
    reader.relocations();
    reader.dynamic();
    reader.symbols();
    reader.memory();
    reader.table();
    reader.content();
    reader.features();
    let threads = reader.threads();
    let output = reader.output();
    let map = match args.has(Opt::PrintMap) {
        true => Some("-"),
        false => args.value(Opt::Map),
    };
    let config = Config {
        output,
        map: map.map(PathBuf::from),
        why_extract: args.value(Opt::WhyExtract).map(PathBuf::from),
        print_icf: args.has(Opt::PrintIcfSections),
        trace: args.has(Opt::Trace),
        print_gc_sections: args.flag(Opt::PrintGcSections, Opt::NoPrintGcSections, false),
        reproduce: match args.value(Opt::Reproduce) {
            Some(path) => Some(path.into()),
            None => std::env::var_os("LLD_REPRODUCE").map(PathBuf::from),
        },
        threads,
        options: reader.options,
    };
    match reader.errors.is_empty() {
        true => Ok(config),
        false => Err(reader.errors),
    }
}

/// Options on the way from a command line.
struct Reader<'a> {
    args: &'a Args,
    options: Options,
    errors: Vec<String>,
    warnings: &'a mut Vec<String>,
}

impl Reader<'_> {
    /// The values of every `opt`.
    fn set<T: FromIterator<String>>(&self, opt: Opt) -> T {
        self.args.values(opt).map(str::to_owned).collect()
    }

    /// The value of the last `opt`, a decimal number.
    fn number(&mut self, opt: Opt, default: u64) -> u64 {
        let Some(arg) = self.args.last(&[opt]) else {
            return default;
        };
        arg.value.parse().unwrap_or_else(|_| {
            let Arg {
                spelling, value, ..
            } = arg;
            let message = format!("{spelling}: number expected, but got '{value}'");
            self.errors.push(message);
            default
        })
    }

    /// The value of the last `opt`, a size in bytes that is whole pages.
    fn pages(&mut self, opt: Opt, what: &str) -> u64 {
        let size = self.number(opt, 0);
        let page = self.options.memory.page_size;
        if !size.is_multiple_of(page) {
            self.errors
                .push(format!("{what} must be {page}-byte aligned"));
        }
        size
    }

    /// `-r` and `--emit-relocs`, and what does not go together with them.
    fn relocations(&mut self) {
        let args = self.args;
        self.options.emit_relocations = args.has(Opt::EmitRelocs);
        if self.options.emit_relocations && args.has(Opt::CompressRelocations) {
            let message = "--emit-relocs and --compress-relocations may not be used together";
            self.errors.push(message.into());
        }
        if !args.has(Opt::Relocatable) {
            return;
        }
        let has_entry = args.last(&[Opt::Entry, Opt::NoEntry]);
        if has_entry.is_some_and(|arg| arg.opt == Opt::Entry && !arg.value.is_empty()) {
            let message = "entry point specified for relocatable output file";
            self.errors.push(message.into());
        }
        for (opt, what) in [
            (Opt::ExportTable, "--export-table"),
            (Opt::GrowableTable, "--growable-table"),
        ] {
            if args.has(opt) {
                self.errors
                    .push(format!("--relocatable is incompatible with {what}"));
            }
        }
        for opt in [
            Opt::GcSections,
            Opt::CompressRelocations,
            Opt::Undefined,
            Opt::SharedMemory,
            Opt::GlobalBase,
            Opt::Panic,
        ] {
            if let Some(arg) = args.last(&[opt]) {
                let spelling = &arg.spelling;
                let message = format!("-r and {spelling} may not be used together");
                self.errors.push(message);
            }
        }
    }

    /// `-shared` and `-pie`, and what does not go together with them.
    fn dynamic(&mut self) {
        let args = self.args;
        let is_shared = self.options.kind == OutputKind::Shared;
        self.options.symbolic = args.has(Opt::Bsymbolic);
        self.options.runtime_paths = self.set(Opt::Rpath);
        self.options.check_library_types = !args.has(Opt::NoShlibSigcheck);
        if self.options.symbolic && !is_shared {
            let message = "-Bsymbolic is only meaningful when combined with -shared";
            self.warnings.push(message.into());
        }
        let is_pie = self.options.kind == OutputKind::Executable;
        let looks = args.value(Opt::UnresolvedSymbols) == Some("import-dynamic");
        for (is_asked, warning) in [
            (
                is_shared,
                "creating shared libraries, with -shared, is not yet stable",
            ),
            (is_pie, "creating PIEs, with -pie, is not yet stable"),
            (
                looks,
                "dynamic imports are not yet stable (--unresolved-symbols=import-dynamic)",
            ),
        ] {
            if is_asked && !args.has(Opt::ExperimentalPic) {
                self.warnings.push(warning.into());
            }
        }
        if is_shared && args.has(Opt::ExportMemory) {
            let message = "--export-memory is incompatible with --shared";
            self.errors.push(message.into());
        }
        if !is_shared && !is_pie {
            return;
        }
        for (opt, what) in [
            (Opt::GlobalBase, "--global-base"),
            (Opt::TableBase, "--table-base"),
        ] {
            if args.value(opt).is_some_and(|value| value != "0") {
                let message = format!("{what} may not be used with -shared/-pie");
                self.errors.push(message);
            }
        }
        if args.has(Opt::ExportTable) {
            let message = "-shared/-pie is incompatible with --export-table";
            self.errors.push(message.into());
        }
    }

    fn symbols(&mut self) {
        let args = self.args;
        self.options.exports = Exports::Named(self.set(Opt::Export));
        self.options.export_if_defined = self.set(Opt::ExportIfDefined);
        self.options.export_all = args.has(Opt::ExportAll);
        self.options.export_dynamic = args.flag(
            Opt::ExportDynamic,
            Opt::NoExportDynamic,
            self.options.export_dynamic,
        );
        if let Some(arg) = args.last(&[Opt::Entry, Opt::NoEntry]) {
            self.options.entry = Some(arg.value.clone()).filter(|name| !name.is_empty());
        }
        self.options.undefined = self.set(Opt::Undefined);
        self.options.wrap = self.set(Opt::Wrap);
        for value in args.values(Opt::Defsym) {
            match value.split_once('=') {
                Some((name, target)) if !name.is_empty() && !target.is_empty() => {
                    let pair = (name.to_owned(), target.to_owned());
                    self.options.defsym.push(pair);
                }
                _ => self
                    .errors
                    .push(format!("--defsym: NAME=SYMBOL expected, but got '{value}'")),
            }
        }
        self.options.unresolved = unresolved(args, &mut self.errors);
        self.options.allow_undefined = self.set(Opt::Import);
        self.options.host_functions = self.set(Opt::Import);
        let allow = args.flag(
            Opt::AllowMultipleDefinition,
            Opt::NoAllowMultipleDefinition,
            false,
        );
        let muldefs = args.values(Opt::Z).any(|value| value == "muldefs");
        self.options.duplicates = match allow || muldefs {
            true => Duplicates::First,
            false if args.has(Opt::NoinhibitExec) => Duplicates::Warn,
            false => Duplicates::Error,
        };
    }

    fn memory(&mut self) {
        let args = self.args;
        let page_size = self.number(Opt::PageSize, PAGE);
        match page_size {
            1 | PAGE => self.options.memory.page_size = page_size,
            _ => self
                .errors
                .push(format!("--page-size=N must be either 1 or {PAGE}")),
        }
        let initial = self.pages(Opt::InitialMemory, "initial memory");
        let max = self.pages(Opt::MaxMemory, "maximum memory");
        self.options.initial_heap = self.pages(Opt::InitialHeap, "initial heap");
        if args.has(Opt::MaxMemory) && args.has(Opt::NoGrowableMemory) {
            let message = "--max-memory is incompatible with --no-growable-memory";
            self.errors.push(message.into());
        }
        let base = self.number(Opt::GlobalBase, 0);
        self.options.global_base = Some(base).filter(|&address| address != 0);
        self.options.stack_first = args.flag(Opt::StackFirst, Opt::NoStackFirst, true);

        // One with a name goes before one without, wherever it stands.
        let named = |opt| args.values(opt).rfind(|value| !value.is_empty());
        let memory = &mut self.options.memory;
        // An object's memory is nobody's yet.
        if !args.has(Opt::Relocatable) {
            let import = args.last(&[Opt::ImportMemory]).map(|_| {
                let names = named(Opt::ImportMemory).map_or(("env", "memory"), |value| {
                    value.split_once(',').unwrap_or(("env", value))
                });
                (names.0.to_owned(), names.1.to_owned())
            });
            memory.import = import.or(memory.import.take());
            memory.export = match args.has(Opt::ExportMemory) || memory.import.is_none() {
                false => None,
                true => Some(named(Opt::ExportMemory).unwrap_or("memory").to_owned()),
            };
        }
        memory.initial = Some(initial).filter(|&size| size != 0);
        memory.max = Some(max).filter(|&size| size != 0);
        memory.fixed = args.has(Opt::NoGrowableMemory);
        memory.shared = args.has(Opt::SharedMemory);
        for value in args.values(Opt::Z) {
            match value.strip_prefix("stack-size=") {
                Some(size) => match integer(size) {
                    Some(size) => self.options.memory.stack_size = size,
                    None => self.errors.push(format!("invalid stack-size: {size}")),
                },
                None if value == "muldefs" => {}
                None => self.warnings.push(format!("unknown -z value: {value}")),
            }
        }
        match args.value(Opt::Machine) {
            None | Some("wasm32") => {}
            Some("wasm64") => self.options.memory.is_64 = true,
            Some(other) => self
                .errors
                .push(format!("invalid target architecture: {other}")),
        }
    }

    fn table(&mut self) {
        let base = self.number(Opt::TableBase, 0);
        let table = &mut self.options.table;
        table.import |= self.args.has(Opt::ImportTable);
        table.export = self.args.has(Opt::ExportTable);
        table.growable = self.args.has(Opt::GrowableTable);
        if table.import && table.export {
            let message = "--import-table and --export-table may not be used together";
            self.errors.push(message.into());
        }
        match u32::try_from(base) {
            Ok(base) => table.base = Some(base).filter(|&base| base != 0),
            Err(_) => self.errors.push(format!("--table-base={base}: too large")),
        }
    }

    /// What of the inputs is in the module, and in which form.
    fn content(&mut self) {
        let args = self.args;
        let optimize = self.number(Opt::Optimize, 1);
        let options = &mut self.options;
        options.lean = args.has(Opt::Lean);
        options.validate = args.has(Opt::Validate);
        options.gc_sections = args.flag(Opt::GcSections, Opt::NoGcSections, true);
        options.merge_data_segments =
            args.flag(Opt::MergeDataSegments, Opt::NoMergeDataSegments, true);
        options.merge_strings = optimize > 0;
        options.compress_relocations = args.has(Opt::CompressRelocations);
        options.strip = match (args.has(Opt::StripAll), args.has(Opt::StripDebug)) {
            (true, _) => Strip::All,
            (false, true) => Strip::Debug,
            (false, false) => Strip::Nothing,
        };
        if options.compress_relocations && options.strip == Strip::Nothing {
            self.errors.push(
                "--compress-relocations is incompatible with output debug information. \
                 Please pass --strip-debug or --strip-all"
                    .into(),
            );
        }
        match args.value(Opt::Icf) {
            None | Some("none") => options.icf = Icf::None,
            Some("safe") => {
                options.icf = Icf::Safe;
                let kept = [Opt::Relocatable, Opt::EmitRelocs, Opt::Shared, Opt::Pie];
                if let Some(Arg { spelling, .. }) = args.last(&kept) {
                    let message = format!("--icf=safe and {spelling} may not be used together");
                    self.errors.push(message);
                }
            }
            Some(other) => self
                .errors
                .push(format!("--icf: safe or none expected, but got '{other}'")),
        }
        options.demangle = args.flag(Opt::Demangle, Opt::NoDemangle, true);
        match args.value(Opt::BuildId).map_or(Ok(BuildId::None), build_id) {
            Ok(id) => options.build_id = id,
            Err(error) => self.errors.push(error),
        }
        match args.value(Opt::Panic) {
            None | Some("std") => options.panic = Panic::Std,
            Some("report") => options.panic = Panic::Report,
            Some("trap") => options.panic = Panic::Trap,
            Some(other) => self.errors.push(format!(
                "--panic: report, trap or std expected, but got '{other}'"
            )),
        }
        self.options.keep_sections = self.set(Opt::KeepSection);
        self.options.trace_symbols = self.set(Opt::TraceSymbol);
        let llvm = args.values(Opt::Mllvm);
        let warning = |value| format!("-mllvm {value}: no part of LLVM is in this linker");
        self.warnings.extend(llvm.map(warning));
    }

    fn features(&mut self) {
        let list = |opt| -> Option<Vec<String>> {
            let names = self.args.value(opt)?.split(',');
            let names = names.filter(|name| !name.is_empty());
            Some(names.map(str::to_owned).collect())
        };
        self.options.features = list(Opt::Features);
        self.options.extra_features = list(Opt::ExtraFeatures).unwrap_or_default();
        self.options.check_features =
            self.args
                .flag(Opt::CheckFeatures, Opt::NoCheckFeatures, true);
    }

    fn threads(&mut self) -> Option<usize> {
        let arg = self.args.last(&[Opt::Threads])?;
        let threads = integer(&arg.value).and_then(|count| usize::try_from(count).ok());
        if threads.is_none_or(|count| count == 0) {
            let Arg {
                spelling, value, ..
            } = arg;
            self.errors.push(format!(
                "{spelling}: expected a positive integer, but got '{value}'"
            ));
        }
        threads
    }

    fn output(&mut self) -> PathBuf {
        let output = PathBuf::from(self.args.value(Opt::Output).unwrap_or_default());
        match output.file_name() {
            // That there is no input, either, is told where inputs are opened.
            None if !self.args.has(Opt::Input) => {}
            None => self.errors.push("no output file specified".into()),
            Some(name) => {
                let soname = self.args.value(Opt::Soname);
                let name = soname.map_or(name.to_string_lossy(), Into::into);
                self.options.module_name = Some(name.into_owned());
            }
        }
        output
    }
}

fn unresolved(args: &Args, errors: &mut Vec<String>) -> Unresolved {
    if args.flag(Opt::AllowUndefined, Opt::NoAllowUndefined, false) {
        return Unresolved::Allow;
    }
    let strict = args.flag(
        Opt::ErrorUnresolvedSymbols,
        Opt::WarnUnresolvedSymbols,
        true,
    );
    let policy = match args.value(Opt::UnresolvedSymbols) {
        Some("ignore-all") => Unresolved::Ignore,
        None | Some("report-all") if strict => Unresolved::Error,
        None | Some("report-all") => Unresolved::Warn,
        Some("import-dynamic") => Unresolved::Dynamic,
        Some(other) => {
            errors.push(format!("unknown --unresolved-symbols value: {other}"));
            Unresolved::Error
        }
    };
    match policy {
        _ if !args.has(Opt::ImportUndefined) || policy == Unresolved::Dynamic => policy,
        Unresolved::Error => Unresolved::Import,
        _ => Unresolved::Allow,
    }
}

fn build_id(style: &str) -> Result<BuildId, String> {
    Ok(match style {
        "" | "fast" | "uuid" => BuildId::Fast,
        "sha1" | "tree" => BuildId::Sha1,
        "none" => BuildId::None,
        _ => {
            let digits = style
                .strip_prefix("0x")
                .ok_or_else(|| format!("unknown --build-id style: {style}"))?;
            let pairs = digits.as_bytes().chunks(2).map(|pair| {
                let pair = str::from_utf8(pair).ok().filter(|pair| pair.len() == 2);
                pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())
            });
            let bytes: Option<Vec<u8>> = pairs.collect();
            BuildId::Bytes(
                bytes.ok_or_else(|| {
                    format!("--build-id: not pairs of hexadecimal digits: {style}")
                })?,
            )
        }
    })
}

/// A number as C writes it: 0x and 0 choose its base.
fn integer(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match lower.strip_prefix('0') {
        None | Some("") => (lower.as_str(), 10),
        Some(rest) => match rest.split_at_checked(1) {
            Some(("x", digits)) => (digits, 16),
            Some(("b", digits)) => (digits, 2),
            Some(("o", digits)) => (digits, 8),
            _ => (rest, 8),
        },
    };
    // `from_str_radix` would take a sign.
    let plain = digits.bytes().all(|digit| digit.is_ascii_alphanumeric());
    u64::from_str_radix(digits, radix).ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wasm_ld::args::parse;

    fn read(line: &str) -> Result<Config, Vec<String>> {
        read_with_warnings(line, &mut Vec::new())
    }

    fn read_with_warnings(line: &str, warnings: &mut Vec<String>) -> Result<Config, Vec<String>> {
        let arguments = line.split_whitespace().map(str::to_owned);
        config(&parse(arguments.collect()), warnings)
    }

    fn options(line: &str) -> Options {
        read(&format!("-o out.wasm {line}")).unwrap().options
    }

    fn error(line: &str) -> String {
        read(&format!("-o out.wasm {line}")).unwrap_err().join("; ")
    }

    #[test]
    fn without_options_it_is_wasm_ld() {
        let options = options("");
        let mut expected = Options::wasm_ld();
        expected.module_name = Some("out.wasm".into());
        assert_eq!(format!("{options:?}"), format!("{expected:?}"));
    }

    #[test]
    fn memory() {
        let memory = |line| options(line).memory;
        let named = |module: &str, name: &str| Some((module.to_owned(), name.to_owned()));
        assert_eq!(memory("").export.as_deref(), Some("memory"));
        assert_eq!(memory("--import-memory").import, named("env", "memory"));
        assert_eq!(memory("--import-memory=foo").import, named("env", "foo"));
        assert_eq!(memory("--import-memory").export, None);
        let both = memory("--import-memory=a,b --import-memory --export-memory=c");
        assert_eq!(
            (both.import, both.export.as_deref()),
            (named("a", "b"), Some("c"))
        );
        let sizes = memory("--initial-memory=131072 --max-memory=196608 -z stack-size=0x400");
        assert_eq!(
            (sizes.initial, sizes.max, sizes.stack_size),
            (Some(131_072), Some(196_608), 1024)
        );
        assert!(memory("--no-growable-memory").fixed);
        assert!(memory("--shared-memory").shared);
    }

    #[test]
    fn undefined_symbols() {
        let unresolved = |line| options(line).unresolved;
        assert_eq!(unresolved("--allow-undefined"), Unresolved::Allow);
        assert_eq!(unresolved("--import-undefined"), Unresolved::Import);
        // rustc's own `--allow-undefined`, taken back.
        assert_eq!(
            unresolved("--allow-undefined --no-allow-undefined"),
            Unresolved::Error
        );
        assert_eq!(unresolved("--warn-unresolved-symbols"), Unresolved::Warn);
        assert_eq!(unresolved("--noinhibit-exec"), Unresolved::Error);
        assert_eq!(
            unresolved("--unresolved-symbols=ignore-all"),
            Unresolved::Ignore
        );
        assert_eq!(
            unresolved("--unresolved-symbols ignore-all --import-undefined"),
            Unresolved::Allow
        );
    }

    #[test]
    fn lists_and_names() {
        let options = options(
            "--export=a --export b --export-if-defined=c -u d -ue --wrap=f --defsym=g=h --entry= --features=x,,y --import=i",
        );
        assert_eq!(
            options.exports,
            Exports::Named(["a", "b"].map(String::from).into())
        );
        assert_eq!(options.export_if_defined, ["c".to_owned()].into());
        assert_eq!(options.undefined, ["d", "e"]);
        assert_eq!(options.wrap, ["f"]);
        assert_eq!(options.defsym, [("g".to_owned(), "h".to_owned())]);
        assert_eq!(options.entry, None);
        assert_eq!(options.features, Some(vec!["x".to_owned(), "y".to_owned()]));
        assert_eq!(options.allow_undefined, ["i".to_owned()].into());
    }

    #[test]
    fn build_ids() {
        assert_eq!(options("--build-id").build_id, BuildId::Fast);
        assert_eq!(options("--build-id=tree").build_id, BuildId::Sha1);
        assert_eq!(
            options("--build-id=0x12aF").build_id,
            BuildId::Bytes(vec![0x12, 0xaf])
        );
        assert!(error("--build-id=0x123").contains("0x123"));
        assert_eq!(error("--build-id=md5"), "unknown --build-id style: md5");
    }

    #[test]
    fn numbers_are_checked() {
        assert_eq!(
            error("--initial-memory=64k"),
            "--initial-memory: number expected, but got '64k'"
        );
        assert!(error("--initial-memory=1").ends_with("must be 65536-byte aligned"));
        assert_eq!(error("-z stack-size=much"), "invalid stack-size: much");
        assert_eq!(
            error("--threads=0"),
            "--threads: expected a positive integer, but got '0'"
        );
        for (text, value) in [
            ("0", Some(0)),
            ("010", Some(8)),
            ("0x1F", Some(31)),
            ("0b11", Some(3)),
            ("+1", None),
            ("-1", None),
            ("", None),
            ("0x", None),
        ] {
            assert_eq!(integer(text), value, "{text}");
        }
    }

    #[test]
    fn what_is_not_implemented_is_refused_by_name() {
        let error = error("--thinlto-index-only");
        assert!(error.contains("--thinlto-index-only"), "{error}");
        assert!(error.contains("not implemented"), "{error}");
        assert_eq!(read("a.o").unwrap_err(), ["no output file specified"]);
    }

    #[test]
    fn folding() {
        assert_eq!(options("").icf, Icf::None);
        assert_eq!(options("--icf=safe").icf, Icf::Safe);
        assert_eq!(options("--icf=safe --icf=none -r").icf, Icf::None);
        assert!(error("--icf=all").contains("safe or none expected"));
        assert_eq!(
            error("--icf=safe -r"),
            "--icf=safe and -r may not be used together"
        );
    }

    #[test]
    fn unknown_z_values_are_warnings() {
        let mut warnings = Vec::new();
        read_with_warnings("-o x -z now", &mut warnings).unwrap();
        // Also where something else is an error.
        read_with_warnings("a.o -z stack-size", &mut warnings).unwrap_err();
        let expected = ["now", "stack-size"].map(|it| format!("unknown -z value: {it}"));
        assert_eq!(warnings, expected);
    }

    #[test]
    fn a_dynamic_linker_places_modules() {
        assert_eq!(
            error("-pie --global-base=4096 --table-base=7"),
            "--global-base may not be used with -shared/-pie; \
             --table-base may not be used with -shared/-pie"
        );
        assert!(options("-shared --global-base=0").global_base.is_none());
    }
}
