//! Reads JSON with serde_json, searches it with regex, writes JSON.

use std::collections::BTreeMap;

use regex::Regex;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    name: String,
    tags: Vec<String>,
    size: Option<f64>,
    #[serde(default, flatten)]
    more: BTreeMap<String, serde_json::Value>,
}

const TEXT: &str = r#"[
    {"name": "genkan", "tags": ["entry", "玄関"], "size": 1.5, "floor": 1},
    {"name": "Fusuma-2", "tags": [], "size": null, "rooms": [1, {"x": -0.0}]},
    {"name": "shōji 30cm", "tags": ["a\"b\\c"], "size": 1e3}
]"#;

fn main() {
    let entries: Vec<Entry> = serde_json::from_str(TEXT).unwrap();
    let numbers = Regex::new(r"(?i)(?<word>[a-zō]+)[-\s](?<number>\d{1,3})(cm)?").unwrap();
    for entry in &entries {
        match numbers.captures(&entry.name) {
            Some(found) => println!("{} {}", &found["word"], &found["number"]),
            None => println!("{:?}", entry),
        }
    }
    println!("{}", serde_json::to_string_pretty(&entries).unwrap());
    println!("{}", Regex::new(r"\p{Han}+").unwrap().replace_all(TEXT, "<$0>").len());
    println!("{}", serde_json::from_str::<Entry>("{\"name\": 1}").unwrap_err());
    println!("{}", Regex::new("(unclosed").unwrap_err());
}
