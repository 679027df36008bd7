//! Each phase of the linker on small objects, written as text: the module, or what
//! the linker says, as a golden beside it.
//!
//! A case in `cases/PHASE/` begins with what it shows and `options:`, then has an
//! object after each `--- NAME [ROLE]` (`forge::text` says how); `lib.a(b.o)` is a
//! member of an archive. `INSTA_UPDATE=always cargo test -p genkan-link --test
//! cases` blesses all goldens.

mod forge;

use std::fmt::Write as _;
use std::path::Path;

use genkan_link::{
    BuildId, Duplicates, Exports, Icf, Input, Options, Panic, Role, Strip, Unresolved,
};
use wasmparser::{Validator, WasmFeatures};

/// A file for the linker: its name, its bytes, its role.
type File = (String, Vec<u8>, Role);

fn option(options: &mut Options, text: &str) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let owned = || value.to_owned();
    match name {
        "entry" => options.entry = Some(owned()),
        "relocatable" => *options = Options::relocatable(),
        "shared-library" => *options = Options::shared(),
        "emit-relocs" => options.emit_relocations = true,
        "guest" => {
            *options = Options::guest();
            options.exports = Exports::Named([].into());
        }
        "guest-exports" => options.exports = Exports::Guest,
        "export" => {
            let Exports::Named(names) = &mut options.exports else {
                panic!("`{text}` after guest-exports");
            };
            names.insert(owned());
        }
        "export-if-defined" => drop(options.export_if_defined.insert(owned())),
        "export-all" => options.export_all = true,
        "undefined" => options.undefined.push(owned()),
        "wrap" => options.wrap.push(owned()),
        "defsym" => {
            let (name, target) = value.split_once(':').unwrap();
            options.defsym.push((name.to_owned(), target.to_owned()));
        }
        "unresolved" => {
            options.unresolved = match value {
                "warn" => Unresolved::Warn,
                "ignore" => Unresolved::Ignore,
                "import" => Unresolved::Import,
                "allow" => Unresolved::Allow,
                "dynamic" => Unresolved::Dynamic,
                _ => panic!("what is `{text}`?"),
            }
        }
        "host" => drop(options.host_functions.insert(owned())),
        "import-memory" => options.memory.import = Some(("env".to_owned(), owned())),
        "initial-memory" => options.memory.initial = value.parse().ok(),
        "max-memory" => options.memory.max = value.parse().ok(),
        "stack-size" => options.memory.stack_size = value.parse().unwrap(),
        "shared" => options.memory.shared = true,
        "no-stack-first" => options.stack_first = false,
        "global-base" => options.global_base = value.parse().ok(),
        "import-table" => options.table.import = true,
        "export-table" => options.table.export = true,
        "no-gc" => options.gc_sections = false,
        "no-merge-segments" => options.merge_data_segments = false,
        "compress" => options.compress_relocations = true,
        "icf" => options.icf = Icf::Safe,
        "report" => options.report = true,
        "strip" => options.strip = Strip::All,
        "features" => options.features = Some(value.split(',').map(str::to_owned).collect()),
        "build-id" => options.build_id = BuildId::Fast,
        "trap" => options.panic = Panic::Trap,
        "lean" => options.lean = true,
        "muldefs" => options.duplicates = Duplicates::First,
        "warn-duplicates" => options.duplicates = Duplicates::Warn,
        _ => panic!("what is `{text}`?"),
    }
}

/// The options and the files of a case.
fn read(path: &Path) -> (Options, Vec<File>) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut options = Options::wasm_ld();
    options.entry = None;
    let mut parts = text.split("\n--- ");
    for line in parts.next().unwrap().lines() {
        if let Some(words) = line.strip_prefix("options:") {
            for word in words.split_whitespace() {
                option(&mut options, word);
            }
        }
    }
    let mut files: Vec<File> = Vec::new();
    let mut members: Vec<(String, Vec<u8>)> = Vec::new();
    for part in parts {
        let (head, contents) = part.split_once('\n').unwrap();
        let (name, role) = head.split_once(' ').unwrap_or((head, ""));
        let role = match role {
            "" => Role::Default,
            "lazy" => Role::Lazy,
            "whole" => Role::Whole,
            "guest" => Role::Guest,
            _ => panic!("what is `{head}`?"),
        };
        let bytes = forge::text::object(contents).bytes();
        // The test's own object is one that engines take.
        let valid = Validator::new_with_features(WasmFeatures::all()).validate_all(&bytes);
        valid.unwrap_or_else(|error| panic!("{}: {name}: {error}", path.display()));
        match name.split_once('(') {
            None => files.push((name.to_owned(), bytes, role)),
            Some((archive, member)) => {
                if files.last().is_none_or(|(name, ..)| name != archive) {
                    members.clear();
                    files.push((archive.to_owned(), Vec::new(), role));
                }
                members.push((member.trim_end_matches(')').to_owned(), bytes));
                files.last_mut().unwrap().1 = forge::archive::write(&members);
            }
        }
    }
    (options, files)
}

#[test]
fn goldens() {
    insta::glob!("cases/*/*.txt", |path| {
        let (options, files) = read(path);
        let inputs: Vec<Input<'_>> = files
            .iter()
            .map(|(name, bytes, role)| Input::new(name, bytes).with_role(*role))
            .collect();
        let mut text = String::new();
        match genkan_link::link(&inputs, &options) {
            Ok(linked) => {
                for warning in &linked.warnings {
                    writeln!(text, "warning: {warning}").unwrap();
                }
                let mut validator = Validator::new_with_features(WasmFeatures::all());
                let valid = validator.validate_all(&linked.module);
                valid.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                text += &wasmprinter::print_bytes(&linked.module).unwrap();
            }
            Err(errors) => {
                for error in &errors {
                    writeln!(text, "error: {error}").unwrap();
                }
            }
        }
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!("golden", text);
        });
    });
}
