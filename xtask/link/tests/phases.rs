//! The phases of the linker know only those before them, and no module knows one
//! that knows it: read from the paths `crate::…` in the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// From the first to the last. What is in no folder (errors, options, names,
/// indices) comes before them all, but for the report, which is made last.
const PHASES: [&str; 9] = [
    "input",
    "symbols",
    "resolve",
    "live",
    "fold",
    "layout",
    "synthetic",
    "indices",
    "output",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

/// `src/input/mod.rs` → `input`; `src/input/object.rs` → `input::object`.
fn module(source: &Path, root: &Path) -> String {
    let path = source.strip_prefix(root).unwrap().with_extension("");
    let mut names: Vec<_> = path.iter().map(|name| name.to_str().unwrap()).collect();
    if names.last() == Some(&"mod") {
        names.pop();
    }
    names.join("::")
}

/// All paths that begin with `crate::` in a text, without comments; `{…}` is
/// taken apart.
fn paths(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap())
        .collect::<Vec<_>>()
        .join(" ");
    let mut paths = Vec::new();
    for after in code.split("crate::").skip(1) {
        expand("", after, &mut paths);
    }
    paths
}

/// Reads one path from the front of `text`; gives what follows it.
fn expand<'t>(prefix: &str, text: &'t str, paths: &mut Vec<String>) -> &'t str {
    let text = text.trim_start();
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let path = match prefix {
        "" => name.to_owned(),
        _ => format!("{prefix}::{name}"),
    };
    let Some(inner) = rest.strip_prefix("::") else {
        paths.push(path);
        return rest;
    };
    let Some(mut list) = inner.trim_start().strip_prefix('{') else {
        return expand(&path, inner, paths);
    };
    loop {
        list = expand(&path, list, paths).trim_start();
        match list.strip_prefix(',') {
            Some(rest) if rest.trim_start().starts_with('}') => {
                return rest.trim_start().split_at(1).1;
            }
            Some(rest) => list = rest,
            None => return list.strip_prefix('}').unwrap_or(list),
        }
    }
}

/// Each module of the crate, with those that it names.
fn graph() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.retain(|file| file.file_name().unwrap() != "lib.rs");
    let modules: BTreeSet<String> = files.iter().map(|file| module(file, &root)).collect();
    let mut graph = BTreeMap::new();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        let name = module(file, &root);
        assert!(
            !text.contains("super::") && !text.contains("self::"),
            "{name}: paths begin with `crate::`, so that this test sees them"
        );
        let known = paths(text).into_iter().map(|path| {
            // The deepest module on the way.
            let mut path = path.as_str();
            while !modules.contains(path) {
                path = path.rsplit_once("::").map_or("", |(front, _)| front);
                assert!(!path.is_empty(), "{name} names what is in no module");
            }
            path.to_owned()
        });
        graph.insert(name.clone(), known.filter(|it| *it != name).collect());
    }
    assert!(graph.len() > 30, "{graph:?}");
    graph
}

#[test]
fn paths_are_read_from_sources() {
    let text = "use crate::a::{self, B, c::{D, E}};\n// crate::no\nfn f() { crate::g::h() }";
    let expected = ["a::self", "a::B", "a::c::D", "a::c::E", "g::h"];
    assert_eq!(paths(text), expected);
}

#[test]
fn a_phase_knows_only_those_before_it() {
    let rank = |module: &str| {
        let folder = module.split("::").next().unwrap();
        match PHASES.iter().position(|phase| *phase == folder) {
            Some(rank) => rank + 1,
            None if folder == "report" => PHASES.len() + 1,
            None => 0,
        }
    };
    for (module, known) in graph() {
        for other in known {
            assert!(rank(&other) <= rank(&module), "{module} knows {other}");
        }
    }
}

#[test]
fn no_module_knows_one_that_knows_it() {
    let mut graph = graph();
    // Takes away what knows nothing that is left, again and again.
    loop {
        let left: BTreeSet<String> = graph.keys().cloned().collect();
        let before = graph.len();
        graph.retain(|_, known| known.iter().any(|other| left.contains(other)));
        if graph.is_empty() {
            return;
        }
        assert!(graph.len() < before, "a circle among {graph:#?}");
    }
}
