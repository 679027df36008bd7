//! `diff`: how two modules differ, in the terms of `inspect`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

use crate::files;
use crate::inspect::{self, Summary};
use crate::shell::{BAD, BOLD, GOOD};
use crate::wat;

/// Lines of text diff that are shown; the whole is a `diff` of two `wat`s.
const LINES: usize = 200;

/// The difference of the modules at two paths; `None` if the bytes are equal.
pub fn diff(old: &Path, new: &Path) -> anyhow::Result<Option<String>> {
    let (old_bytes, new_bytes) = (files::read_or_stdin(old)?, files::read_or_stdin(new)?);
    if *old_bytes == *new_bytes {
        return Ok(None);
    }
    let summary = |path: &Path, bytes: &[u8]| {
        inspect::summary(bytes).with_context(|| format!("cannot understand {}", path.display()))
    };
    let mut text = summaries(&summary(old, &old_bytes)?, &summary(new, &new_bytes)?);
    text.push_str(&bytes(&old_bytes, &new_bytes));
    Ok(Some(text))
}

/// Sizes before and after, as a page.
pub fn page(old: &Path, new: &Path) -> anyhow::Result<String> {
    let names = (&*files::file_name(old), &*files::file_name(new));
    let (old, new) = (inspect::inspect(old)?, inspect::inspect(new)?);
    Ok(inspect::diff_page(names, &old, &new))
}

/// The difference of two modules' bytes: where it begins, and the texts'.
pub fn bytes(old: &[u8], new: &[u8]) -> String {
    let mut text = first_difference(old, new);
    if let (Ok(old), Ok(new)) = (wat::print(old), wat::print(new)) {
        text.push_str(&texts(&old, &new));
    }
    text
}

/// A unified diff of two texts.
pub fn texts(old: &str, new: &str) -> String {
    let mut text = String::new();
    let diff = similar::TextDiff::from_lines(old, new);
    let unified = diff.unified_diff().context_radius(3).to_string();
    for (number, line) in unified.lines().enumerate() {
        if number == LINES {
            let _ = writeln!(text, "… and {} lines more", unified.lines().count() - LINES);
            break;
        }
        let _ = match line.as_bytes().first() {
            Some(b'-') => writeln!(text, "{BAD}{line}{BAD:#}"),
            Some(b'+') => writeln!(text, "{GOOD}{line}{GOOD:#}"),
            _ => writeln!(text, "{line}"),
        };
    }
    text
}

/// The first byte that differs: its section, offset and function.
pub fn first_difference(old: &[u8], new: &[u8]) -> String {
    let same = old
        .iter()
        .zip(new)
        .take_while(|(old, new)| old == new)
        .count();
    let place = place_of(old, same).or_else(|| place_of(new, same));
    let place = place.map(|place| format!(", {place}")).unwrap_or_default();
    format!("first difference at offset {same:#x}{place}\n")
}

/// The section and function at `offset`.
fn place_of(bytes: &[u8], offset: usize) -> Option<String> {
    use wasmparser::{KnownCustom, Name, Parser, Payload};
    let mut place = None;
    let mut function = None;
    let mut imports = 0;
    let mut bodies = 0;
    let mut names: BTreeMap<u32, String> = BTreeMap::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let Ok(payload) = payload else { break };
        if let Some((id, range)) = payload.as_section()
            && (range.start..range.end).contains(&(offset as _))
        {
            let name = match &payload {
                Payload::CustomSection(section) => section.name(),
                _ => inspect::section_name(id),
            };
            let within = offset - range.start as usize;
            place = Some(format!("in section {name} at {within:#x}"));
        }
        match payload {
            Payload::ImportSection(reader) => {
                let is_function = |import: &wasmparser::Import<'_>| {
                    matches!(import.ty, wasmparser::TypeRef::Func(_))
                };
                let all = reader.into_imports().flatten();
                imports = all.filter(is_function).count() as u32;
            }
            Payload::CodeSectionEntry(body) => {
                let range = body.range();
                if (range.start..range.end).contains(&(offset as _)) {
                    function = Some(imports + bodies);
                }
                bodies += 1;
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(reader) = section.as_known() {
                    for part in reader.into_iter().flatten() {
                        if let Name::Function(map) = part {
                            let all = map.into_iter().flatten();
                            names.extend(all.map(|name| (name.index, name.name.to_owned())));
                        }
                    }
                }
            }
            _ => {}
        }
    }
    let function = function.map(|index| match names.get(&index) {
        Some(name) => format!(", in {}", inspect::demangle(name)),
        None => format!(", in function {index}"),
    });
    place.map(|place| place + &function.unwrap_or_default())
}

/// What differs between two summaries.
fn summaries(old: &Summary, new: &Summary) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{BOLD}Size{BOLD:#}: {}", change(old.size, new.size));
    let imports = |summary: &Summary| {
        let line = |i: &inspect::Import| format!("{}.{}: {}", i.module, i.name, i.ty);
        summary.imports.iter().map(line).collect()
    };
    let exports = |summary: &Summary| {
        let line = |e: &inspect::Export| format!("{}: {}", e.name, e.ty);
        summary.exports.iter().map(line).collect()
    };
    lists(&mut text, "Imports", &imports(old), &imports(new));
    lists(&mut text, "Exports", &exports(old), &exports(new));
    lists(&mut text, "Memory", &old.memories, &new.memories);
    lists(&mut text, "Table", &old.tables, &new.tables);
    lists(&mut text, "Features", &old.features, &new.features);
    lists(&mut text, "Producers", &old.producers, &new.producers);
    let sections =
        |summary: &Summary| sums(summary.sections.iter().map(|s| (s.name.clone(), s.size)));
    sizes(&mut text, "Sections", &sections(old), &sections(new));
    let functions =
        |summary: &Summary| sums(summary.functions.iter().map(|f| (f.name.clone(), f.size)));
    sizes(&mut text, "Functions", &functions(old), &functions(new));
    text
}

fn sums(entries: impl Iterator<Item = (String, u64)>) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (name, size) in entries {
        *sums.entry(name).or_default() += size;
    }
    sums
}

fn lists(text: &mut String, title: &str, old: &Vec<String>, new: &Vec<String>) {
    if old == new {
        return;
    }
    let _ = writeln!(text, "{BOLD}{title}{BOLD:#}");
    for line in old.iter().filter(|line| !new.contains(line)) {
        let _ = writeln!(text, "  {BAD}- {line}{BAD:#}");
    }
    for line in new.iter().filter(|line| !old.contains(line)) {
        let _ = writeln!(text, "  {GOOD}+ {line}{GOOD:#}");
    }
}

fn sizes(text: &mut String, title: &str, old: &BTreeMap<String, u64>, new: &BTreeMap<String, u64>) {
    if old == new {
        return;
    }
    let _ = writeln!(text, "{BOLD}{title}{BOLD:#}");
    let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let sizes = names
        .into_iter()
        .map(|name| (name, old.get(name), new.get(name)));
    for (name, old, new) in sizes.filter(|(_, old, new)| old != new) {
        let _ = match (old, new) {
            (Some(old), None) => writeln!(text, "  {BAD}- {name} ({old}){BAD:#}"),
            (None, Some(new)) => writeln!(text, "  {GOOD}+ {name} ({new}){GOOD:#}"),
            (old, new) => {
                let change = change(*old.unwrap_or(&0), *new.unwrap_or(&0));
                writeln!(text, "  {name}: {change}")
            }
        };
    }
}

fn change(old: u64, new: u64) -> String {
    let difference = new as i64 - old as i64;
    format!("{old} → {new} bytes ({difference:+})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(wat: &str) -> Vec<u8> {
        ::wat::parse_str(wat).unwrap()
    }

    #[test]
    fn what_came_and_went_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, wat: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, module(wat)).unwrap();
            path
        };
        let old = file(
            "old",
            r#"(module (func $f (export "f") (result i32) i32.const 1))"#,
        );
        let new = file(
            "new",
            r#"(module (import "env" "g" (func)) (func $f (export "h") (result i32) i32.const 2))"#,
        );
        assert_eq!(diff(&old, &old).unwrap(), None);
        let text = anstream::adapter::strip_str(&diff(&old, &new).unwrap().unwrap()).to_string();
        for line in [
            "+ env.g: func ()",
            "- f: func () -> i32",
            "+ h: func () -> i32",
        ] {
            assert!(text.contains(line), "{line} in:\n{text}");
        }
    }

    #[test]
    fn the_first_difference_is_placed() {
        let old = module(r#"(module (func $f (result i32) i32.const 1))"#);
        let new = module(r#"(module (func $f (result i32) i32.const 2))"#);
        let text = first_difference(&old, &new);
        assert!(text.contains("in f"), "{text}");
    }
}
