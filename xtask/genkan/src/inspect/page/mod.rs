//! A module as a page: a treemap with search, zoom, and why each function is
//! there. One file, which asks nothing of a network.

use std::collections::BTreeMap;

use serde::Serialize;

use super::names::visible;
use super::parts::{Part, parts};
use super::{Summary, Why};
use crate::shell;

/// What the page's script draws: columns, one entry a part.
#[derive(Default, Serialize)]
struct Data {
    /// What the heading says beside the file's name.
    facts: Vec<String>,
    /// Bytes of the file.
    total: u64,
    /// And of the one before, in a comparison.
    #[serde(skip_serializing_if = "Option::is_none")]
    old_total: Option<u64>,
    /// Groups, outermost first.
    paths: Vec<Vec<String>>,
    name: Vec<String>,
    /// Numbers of `paths`.
    path: Vec<usize>,
    /// Numbers of [`super::parts::Kind`]s; one more is an imported function.
    kind: Vec<usize>,
    size: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<Vec<u64>>,
    /// A function's index.
    index: Vec<Option<u32>>,
    why: Vec<Option<Reason>>,
    /// Places in `paths`.
    #[serde(skip)]
    numbers: BTreeMap<Vec<String>, usize>,
}

/// Why a function is there.
#[derive(Serialize)]
#[serde(untagged)]
enum Reason {
    /// The part that calls it.
    Part(usize),
    /// In words.
    Words(String),
}

/// The kind of an imported function, which no part of the file is.
const IMPORT: usize = 5;

/// A line of the page's data, before callers have numbers.
struct Row {
    path: Vec<String>,
    name: String,
    kind: usize,
    size: u64,
    function: Option<(u32, Why)>,
}

/// What two modules' parts are matched by.
type Key = (Vec<String>, String, usize);

/// The page of one module; `name` is its file's.
pub fn page(name: &str, summary: &Summary) -> String {
    let rows = rows(summary);
    let mut numbers = BTreeMap::new();
    for (number, row) in rows.iter().enumerate() {
        if let Some((index, _)) = row.function {
            numbers.insert(index, number);
        }
    }
    let facts = vec![
        shell::bytes(summary.size),
        what(summary).to_owned(),
        functions(summary),
        imports(summary),
    ];
    let mut data = Data {
        facts,
        total: summary.size,
        ..Data::default()
    };
    for row in rows {
        data.push(row, &numbers);
    }
    fill(&visible(name), &data)
}

/// The page of a module before and after; the names are their files'.
pub fn diff_page(names: (&str, &str), old: &Summary, new: &Summary) -> String {
    // Parts that have one name are one: the sum counts. What is in both is there
    // for the reasons that it has now.
    let mut merged: BTreeMap<Key, Merged> = BTreeMap::new();
    let mut keys: [BTreeMap<u32, Key>; 2] = Default::default();
    for (side, summary) in [new, old].into_iter().enumerate() {
        for row in rows(summary) {
            let key = (row.path.clone(), row.name.clone(), row.kind);
            if let Some((index, _)) = row.function {
                keys[side].insert(index, key.clone());
            }
            let size = row.size;
            let entry = merged.entry(key).or_insert(Merged {
                row,
                side,
                sizes: [0, 0],
            });
            entry.sizes[side] += size;
        }
    }
    let places: BTreeMap<&Key, usize> = merged.keys().zip(0..).collect();
    let numbers = keys.map(|keys| {
        let number = |(index, key): (u32, Key)| (index, places[&key]);
        keys.into_iter()
            .map(number)
            .collect::<BTreeMap<u32, usize>>()
    });
    let facts = vec![
        format!("{} → {}", shell::bytes(old.size), shell::bytes(new.size)),
        format!("before: {}", functions(old)),
        format!("after: {}", functions(new)),
    ];
    let mut data = Data {
        facts,
        total: new.size,
        old_total: Some(old.size),
        old: Some(Vec::new()),
        ..Data::default()
    };
    for merged in merged.into_values() {
        let [size, old] = merged.sizes;
        data.old.as_mut().expect("just set").push(old);
        data.push(Row { size, ..merged.row }, &numbers[merged.side]);
    }
    fill(
        &format!("{} → {}", visible(names.0), visible(names.1)),
        &data,
    )
}

/// A part of two modules.
struct Merged {
    row: Row,
    /// 0 if the row is the new module's.
    side: usize,
    /// The new one's, the old one's.
    sizes: [u64; 2],
}

impl Data {
    /// Adds a part; `numbers` has those of functions by index.
    fn push(&mut self, row: Row, numbers: &BTreeMap<u32, usize>) {
        let path = match self.numbers.get(&row.path) {
            Some(&number) => number,
            None => {
                let number = self.paths.len();
                self.paths
                    .push(row.path.iter().map(|group| visible(group)).collect());
                self.numbers.insert(row.path, number);
                number
            }
        };
        self.path.push(path);
        self.name.push(visible(&row.name));
        self.kind.push(row.kind);
        self.size.push(row.size);
        self.index
            .push(row.function.as_ref().map(|(index, _)| *index));
        self.why
            .push(row.function.map(|(_, why)| reason(&why, numbers)));
    }
}

fn reason(why: &Why, numbers: &BTreeMap<u32, usize>) -> Reason {
    let words = match why {
        Why::CalledBy(caller) => match numbers.get(caller) {
            Some(&number) => return Reason::Part(number),
            None => format!("function {caller} calls it"),
        },
        Why::Export(name) => format!("exported as {}", visible(name)),
        Why::Start => "runs at instantiation".to_owned(),
        Why::Address(place) => format!("its address is in {place}"),
        Why::Unreached => "nothing in the module leads here".to_owned(),
    };
    Reason::Words(words)
}

/// All parts, and the imported functions, which have no bytes.
fn rows(summary: &Summary) -> Vec<Row> {
    let of_part = |part: Part| Row {
        function: part.function.map(|place| {
            let function = &summary.functions[place];
            (function.index, function.why.clone())
        }),
        path: part.path,
        name: part.name,
        kind: part.kind as usize,
        size: part.size,
    };
    let imports = summary.imports.iter().filter_map(|import| {
        let wanted = import.function.as_ref()?;
        Some(Row {
            path: vec!["imports".into(), import.module.clone()],
            name: format!("{}.{}", import.module, import.name),
            kind: IMPORT,
            size: 0,
            function: Some((wanted.index, wanted.why.clone())),
        })
    });
    parts(summary)
        .into_iter()
        .map(of_part)
        .chain(imports)
        .collect()
}

fn what(summary: &Summary) -> &'static str {
    match summary.object {
        true => "relocatable object",
        false => "module",
    }
}

fn functions(summary: &Summary) -> String {
    shell::count(summary.functions.len(), "function")
}

fn imports(summary: &Summary) -> String {
    shell::count(summary.imports.len(), "import")
}

/// The page: its template, with what goes into it.
fn fill(title: &str, data: &Data) -> String {
    let title = escape(title);
    // Within a script no entity is one, and only `<` could end it.
    let data = serde_json::to_string(data).expect("it has text keys only");
    let data = data.replace('<', "\\u003c");
    let mut page = String::with_capacity(data.len() + 65_536);
    let mut rest = include_str!("page.html");
    while let Some((before, (marker, after))) = rest
        .split_once("{{")
        .and_then(|(before, rest)| Some((before, rest.split_once("}}")?)))
    {
        page += before;
        page += match marker {
            "title" => &title,
            "style" => include_str!("page.css"),
            "data" => &data,
            "script" => include_str!("page.js"),
            other => unreachable!("the template has no {other}"),
        };
        rest = after;
    }
    page + rest
}

/// As text of HTML and XML, and in attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            c => escaped.push(c),
        }
    }
    escaped
}
