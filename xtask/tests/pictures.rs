//! `inspect` and `diff` as text, JSON and pictures, on the fixtures' modules.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use genkan::inspect::{self, Why};
use serde_json::Value;

fn fixtures() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "wasm" || it == "o") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(files.len() > 5);
    files
}

fn fixture(name: &str) -> PathBuf {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    all.join(name)
}

/// What the page's script gets.
fn data(page: &str) -> Value {
    let (_, rest) = page
        .split_once("<script type=\"application/json\" id=\"data\">")
        .unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

fn numbers(value: &Value) -> Vec<u64> {
    let all = value.as_array().unwrap().iter();
    all.map(|it| it.as_u64().unwrap()).collect()
}

/// A name that would end scripts, open tags, colour terminals, turn text around.
const HOSTILE: &str = "</script><!--<b onclick=\"x()\">'\u{1b}[31m\u{202e}\n\u{0}]]>&amp;";

fn hostile(name: &str) -> Vec<u8> {
    use wasm_encoder::*;
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut imports = ImportSection::new();
    imports.import(name, name, EntityType::Function(0));
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut exports = ExportSection::new();
    exports.export(name, ExportKind::Func, 1);
    let mut code = CodeSection::new();
    let mut body = wasm_encoder::Function::new([]);
    body.instructions().call(0).end();
    code.function(&body);
    let mut names = NameSection::new();
    let mut map = NameMap::new();
    map.append(1, name);
    names.functions(&map);
    module
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&exports)
        .section(&code)
        .section(&names);
    module.section(&CustomSection {
        name: name.into(),
        data: (&[1, 2, 3]).into(),
    });
    module.finish()
}

#[test]
fn the_parts_of_every_fixture_add_up_to_its_size() {
    for path in fixtures() {
        let bytes = std::fs::read(&path).unwrap();
        let summary = inspect::summary(&bytes).unwrap();
        let data = data(&inspect::page("it", &summary));
        let sizes = numbers(&data["size"]);
        assert_eq!(sizes.iter().sum::<u64>(), bytes.len() as u64, "{path:?}");
        assert_eq!(data["total"], bytes.len() as u64);

        // Each function once, imported ones too.
        let indices = data["index"].as_array().unwrap();
        let listed: Vec<u64> = indices.iter().filter_map(Value::as_u64).collect();
        let distinct: BTreeSet<u64> = listed.iter().copied().collect();
        let imported = summary.imports.iter().filter(|it| it.function.is_some());
        let all = summary.functions.len() + imported.count();
        assert_eq!((listed.len(), distinct.len()), (all, all), "{path:?}");

        // What the search looks through is what `inspect` says.
        let names = data["name"].as_array().unwrap();
        for function in &summary.functions {
            let place = indices.iter().position(|it| *it == function.index).unwrap();
            assert_eq!(names[place], function.name);
            assert_eq!(sizes[place], function.size);
            let why = &data["why"][place];
            match &function.why {
                Why::CalledBy(caller) => {
                    let caller_place = why.as_u64().unwrap() as usize;
                    assert_eq!(indices[caller_place], *caller);
                }
                Why::Export(name) => assert_eq!(*why, format!("exported as {name}")),
                _ => assert!(why.is_string()),
            }
        }
    }
}

#[test]
fn chains_of_callers_end_at_a_root() {
    for path in fixtures() {
        let summary = inspect::inspect(&path).unwrap();
        for function in &summary.functions {
            let mut why = &function.why;
            for _ in 0..=summary.functions.len() {
                let Why::CalledBy(caller) = why else { break };
                let caller = summary.functions.iter().find(|it| it.index == *caller);
                why = &caller.unwrap().why;
            }
            assert!(
                !matches!(why, Why::CalledBy(_)),
                "{path:?}: {}",
                function.name
            );
            assert!(
                summary.object || *why != Why::Unreached,
                "{path:?}: {}",
                function.name
            );
        }
    }
}

#[test]
fn a_comparison_has_the_bytes_of_both() {
    let (old, new) = (
        fixture("rustc-1.95.0/calc.wasm"),
        fixture("rustc-1.95.0/println.wasm"),
    );
    let summaries = [&old, &new].map(|path| inspect::inspect(path).unwrap());
    let data = data(&inspect::diff_page(
        ("a", "b"),
        &summaries[0],
        &summaries[1],
    ));
    let sum = |value: &Value| numbers(value).iter().sum::<u64>();
    assert_eq!(sum(&data["old"]), old.metadata().unwrap().len());
    assert_eq!(sum(&data["size"]), new.metadata().unwrap().len());
}

#[test]
fn pictures_are_the_same_bytes_each_time_and_ask_nothing_of_a_network() {
    let summary = || inspect::inspect(&fixture("rustc-1.95.0/println.wasm")).unwrap();
    for draw in [inspect::page, inspect::svg] {
        let picture = draw("println.wasm", &summary());
        assert_eq!(picture, draw("println.wasm", &summary()));
        let rest = picture.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        for address in ["http:", "https:", "src=", "url(", "@import", "<link"] {
            assert!(!rest.contains(address), "{address}");
        }
    }
}

#[test]
fn hostile_names_stay_names() {
    for name in [HOSTILE.to_owned(), "x".repeat(90_000), "a::".repeat(30_000)] {
        let bytes = hostile(&name);
        let summary = inspect::summary(&bytes).unwrap();
        let page = inspect::page(&name, &summary);
        // The template's own: none came with a name.
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains("<b onclick") && !page.contains('\u{1b}'));
        assert_eq!(
            numbers(&data(&page)["size"]).iter().sum::<u64>(),
            bytes.len() as u64
        );
        let svg = inspect::svg(&name, &summary);
        assert!(!svg.contains("</script>") && !svg.contains("<b "));
        for text in [&svg, &summary.text(None)] {
            let text = anstream_stripped(text);
            assert!(!text.contains(['\u{1b}', '\0', '\u{202e}']));
        }
        let text = anstream_stripped(&summary.text(None));
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }
}

fn anstream_stripped(text: &str) -> String {
    // The summary's own bold: what is left is what came with names.
    text.replace("\u{1b}[1m", "").replace("\u{1b}[0m", "")
}

#[test]
fn the_text_is_as_it_was() {
    let summary = inspect::inspect(&fixture("rustc-1.95.0/println.wasm")).unwrap();
    let text = anstream_stripped(&summary.text(Some(8)));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/inspect-println.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&golden, &text).unwrap();
    }
    assert_eq!(
        text,
        std::fs::read_to_string(golden).unwrap(),
        "`BLESS=1 cargo test -p xtask --test pictures` writes it anew"
    );
}

/// Opens a page in Chromium, headless, and returns what became of it.
fn opened(page: &Path, fragment: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .args(["--window-size=1440,900", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}{fragment}", page.display()))
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
#[cfg_attr(not(has_chromium), ignore = "chromium is not installed")]
fn a_browser_draws_finds_and_explains() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let path = fixture("rustc-1.95.0/println.wasm");
    let summary = inspect::inspect(&path).unwrap();
    std::fs::write(&page, inspect::page("println.wasm", &summary)).unwrap();

    let whole = opened(&page, "");
    assert!(whole.matches("class=\"box").count() > 50, "{whole}");
    assert!(whole.contains(&format!("{} parts", numbers_of_parts(&summary))));

    let found = opened(&page, "#q=dlmalloc");
    assert!(
        found.contains("found ") && found.contains("box hit"),
        "{found}"
    );

    // The largest function is the first part.
    let chosen = opened(&page, "#part=0");
    let (_, why) = chosen.split_once("id=\"why\"").unwrap();
    let why = why.split_once("</ol>").unwrap().0;
    assert!(
        why.contains("exported as") || why.contains("its address is in"),
        "{why}"
    );

    let zoomed = opened(&page, "#zoom=code/core");
    let (_, crumbs) = zoomed.split_once("id=\"crumbs\"").unwrap();
    assert!(crumbs.split_once("</nav>").unwrap().0.contains("core"));

    let bytes = hostile(HOSTILE);
    let summary = inspect::summary(&bytes).unwrap();
    std::fs::write(&page, inspect::page(HOSTILE, &summary)).unwrap();
    let drawn = opened(&page, "#part=0");
    assert!(
        drawn.contains("class=\"box") && !drawn.contains("<b onclick"),
        "{drawn}"
    );
}

fn numbers_of_parts(summary: &inspect::Summary) -> usize {
    let data = data(&inspect::page("it", summary));
    data["name"].as_array().unwrap().len()
}
