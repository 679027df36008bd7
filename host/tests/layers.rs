//! The layers of `src`: each knows those before it, and none behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Modules by path, as `crate::sys::pages`, and the modules that they name.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// From the lowest up. A file that is in none of them is `lib.rs` or `main.rs`.
const LAYERS: [&str; 14] = [
    "abi",
    "sys",
    "backtrace",
    "types",
    "files",
    "profile",
    "rewrite",
    "stop",
    "regions",
    "calls",
    "engine",
    "imports",
    "guest",
    "pool",
];

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// `sys/pages.rs` → `crate::sys::pages`, `sys/mod.rs` → `crate::sys`.
fn module_of(file: &Path, root: &Path) -> String {
    let path = file.strip_prefix(root).unwrap().with_extension("");
    let parts = path.iter().map(|part| part.to_str().unwrap());
    let parts = parts.filter(|part| !matches!(*part, "mod" | "lib"));
    std::iter::once("crate")
        .chain(parts)
        .collect::<Vec<_>>()
        .join("::")
}

/// The paths that the code names: each beginning with `crate` or `super`. A group in
/// braces counts as one path for each of its parts.
fn paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let path: String = code[at..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':'))
                .collect();
            let group = code[at + path.len()..].strip_prefix('{');
            match group.and_then(|group| group.split_once('}')) {
                Some((group, _)) if path.ends_with("::") => {
                    let parts = group
                        .split(',')
                        .map(str::trim)
                        .filter(|part| !part.is_empty());
                    paths.extend(parts.map(|part| format!("{path}{part}")));
                }
                _ => paths.push(path),
            }
        }
    }
    paths
}

/// The code without comments (no string has `//` in it that hides a path), and without the tests at a file's end.
fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
    let lines = text.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// The module that a path in `module` leads to: the deepest that there is.
fn target(path: &str, module: &str, modules: &BTreeSet<String>) -> String {
    let mut base: Vec<&str> = module.split("::").collect();
    let mut parts: Vec<&str> = path.split("::").collect();
    if parts[0] == "crate" {
        base = vec!["crate"];
        parts.remove(0);
    }
    while parts.first() == Some(&"super") {
        base.pop();
        parts.remove(0);
    }
    let mut found = base.join("::");
    for part in parts {
        let deeper = format!("{found}::{part}");
        if !modules.contains(&deeper) {
            break;
        }
        found = deeper;
    }
    found
}

fn graph(files: &[(String, String)]) -> Graph {
    let modules: BTreeSet<String> = files.iter().map(|(module, _)| module.clone()).collect();
    let named = |(module, text): &(String, String)| {
        let code = code(text);
        let mut named: BTreeSet<String> = paths(&code)
            .iter()
            .map(|path| target(path, module, &modules))
            .collect();
        // What it re-exports of its own modules, or uses of them.
        let children = code.lines().filter_map(|line| {
            let line = line
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("pub ");
            line.strip_prefix("mod ")?.strip_suffix(';')
        });
        named.extend(children.map(|child| format!("{module}::{child}")));
        named.remove(module);
        (module.clone(), named)
    };
    files.iter().map(named).collect()
}

/// A way from a module back to itself.
fn circle(graph: &Graph) -> Option<Vec<String>> {
    fn visit(graph: &Graph, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        let here = way.last().unwrap().clone();
        for next in graph.get(&here).into_iter().flatten() {
            if let Some(start) = way.iter().position(|module| module == next) {
                way.drain(..start);
                way.push(next.clone());
                return true;
            }
            if !done.contains(next) {
                way.push(next.clone());
                if visit(graph, way, done) {
                    return true;
                }
                way.pop();
            }
        }
        done.insert(here);
        false
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|start| {
        let mut way = vec![start.clone()];
        visit(graph, &mut way, &mut done).then_some(way)
    })
}

fn of_this_package() -> Graph {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let read = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        (module_of(file, &root), text)
    };
    graph(&files.iter().map(read).collect::<Vec<_>>())
}

#[test]
fn no_module_knows_itself_through_others() {
    let graph = of_this_package();
    assert!(graph.len() > 20, "{graph:#?}");
    if let Some(way) = circle(&graph) {
        panic!("a circle of modules: {}", way.join(" → "));
    }
}

#[test]
fn each_layer_knows_those_before_it_alone() {
    let layer = |module: &str| {
        let name = module.split("::").nth(1)?;
        LAYERS.iter().position(|layer| *layer == name)
    };
    for (module, named) in of_this_package() {
        let Some(here) = layer(&module) else { continue };
        for name in &named {
            let there = layer(name).unwrap_or_else(|| panic!("{module} names {name}"));
            assert!(there <= here, "{module} names {name}, a layer above it");
            let leaf = LAYERS[here] != "sys" || there == here;
            assert!(leaf, "{module}, a leaf, names {name}");
        }
    }
}

#[test]
fn unsafe_is_in_the_leaf_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let has = code(&text)
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|word| word == "unsafe");
        let in_leaf = module_of(&file, &root).starts_with("crate::sys::");
        assert!(in_leaf || !has, "{} has unsafe", file.display());
    }
}

#[test]
fn a_circle_is_found_and_named() {
    let file = |module: &str, text: &str| (module.to_owned(), text.to_owned());
    let mut files = vec![
        file("crate", "mod a;\nmod b;"),
        file("crate::a", "mod one;\nmod two;\npub use one::X;"),
        file("crate::a::one", "use crate::b::Y; // crate::a::two\n"),
        file("crate::a::two", "use super::one::{self, X};"),
        file("crate::b", "fn f() {}"),
    ];
    assert_eq!(circle(&graph(&files)), None);
    files[4].1 = "fn f(a: &crate::a::X) {}".into();
    let way = circle(&graph(&files)).unwrap();
    assert_eq!(way.first(), way.last());
    assert!(way.contains(&"crate::b".to_owned()), "{way:?}");
    files[4].1 = "use crate::Z;".into();
    assert!(circle(&graph(&files)).is_some());
}
