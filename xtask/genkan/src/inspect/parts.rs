//! A module in parts, none of which overlap: what the pictures show.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{HEADER, Summary, names};

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The body of a function.
    Function,
    /// A data segment.
    Data,
    /// A section of debug information.
    Debug,
    /// Another custom section.
    Custom,
    /// What holds the rest together: types, imports, headers, …
    Structure,
}

/// A part of a module.
#[derive(Debug)]
pub struct Part {
    /// The groups that it is in, outermost first.
    pub path: Vec<String>,
    /// Its own name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// In bytes. The sizes of all parts add up to the file's.
    pub size: u64,
    /// Its place in [`Summary::functions`], if it is one.
    pub function: Option<usize>,
}

impl Part {
    fn new(path: &[&str], name: &str, kind: Kind, size: u64) -> Self {
        Part {
            path: path.iter().map(|&group| group.to_owned()).collect(),
            name: name.to_owned(),
            kind,
            size,
            function: None,
        }
    }
}

/// Every byte of the file, once.
pub fn parts(summary: &Summary) -> Vec<Part> {
    let mut parts = Vec::new();
    for (place, function) in summary.functions.iter().enumerate() {
        let group = function.group();
        let mut path = vec!["code", &group];
        // A runtime function's path has a crate that is not shown.
        if !group.starts_with('(') {
            path.extend(names::path_of(&function.name).into_iter().skip(1));
        }
        parts.push(Part {
            function: Some(place),
            ..Part::new(&path, &function.name, Kind::Function, function.size)
        });
    }
    for segment in &summary.segments {
        let name = &segment.name;
        parts.push(Part::new(&["data"], name, Kind::Data, segment.size));
    }
    let mut inner = BTreeMap::from([
        (
            "code",
            parts
                .iter()
                .filter(|part| part.kind == Kind::Function)
                .map(|part| part.size)
                .sum(),
        ),
        (
            "data",
            parts
                .iter()
                .filter(|part| part.kind == Kind::Data)
                .map(|part| part.size)
                .sum::<u64>(),
        ),
    ]);
    let mut headers = HEADER;
    for section in &summary.sections {
        let name = &section.name;
        headers += section.header;
        parts.push(match section.custom {
            true if name.starts_with(".debug_") => {
                Part::new(&["debug information"], name, Kind::Debug, section.size)
            }
            true => Part::new(&["custom sections"], name, Kind::Custom, section.size),
            false => {
                let rest = section.size - inner.remove(name.as_str()).unwrap_or(0);
                let name = match name.as_str() {
                    "code" => "code: sizes of bodies",
                    "data" => "data: addresses and sizes",
                    name => name,
                };
                Part::new(&["structure"], name, Kind::Structure, rest)
            }
        });
    }
    parts.push(Part::new(
        &["structure"],
        "headers",
        Kind::Structure,
        headers,
    ));
    parts
}
