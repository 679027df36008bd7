//! What a guest's source says, read as tokens: its host functions, whether it
//! has a `main`, whether it uses the guest API.
//!
//! Tokens, not a syntax tree: macros take and make anything, and what rustc
//! accepts tomorrow still is tokens.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use anyhow::Context as _;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

use genkan_link::Library;

/// What a guest may call the crate `genkan-guest`: its name, and the one that it had.
pub const GUEST_API: [&str; 2] = ["genkan_guest", "guest"];

/// What decides how a guest is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// It is a program: it has a `main`, and no `#![no_main]`.
    pub main: bool,
    /// It names the guest API: the crate `genkan_guest`, or `guest`.
    pub uses_guest: bool,
}

/// Reads the root file of a guest and, for [`Shape::uses_guest`], the files
/// that its `mod NAME;` may mean.
pub fn shape(root: &Path) -> anyhow::Result<Shape> {
    let source = read(root)?;
    // What is not even tokens, rustc explains best.
    let tokens = lex(&source).unwrap_or_default();
    // A module of the guest's own may have one of the names.
    let is_own = |name: &str| pairs(&tokens).any(|(a, b)| is(&a, "mod") && is(&b, name));
    let names: Vec<_> = GUEST_API.into_iter().filter(|name| !is_own(name)).collect();
    let mut shape = Shape {
        main: has_main(&tokens),
        uses_guest: names_guest(&tokens, &names),
    };
    if !shape.uses_guest {
        let folder = root.parent().unwrap_or(Path::new(""));
        let declared = pairs(&tokens).filter(|(a, _)| is(a, "mod"));
        shape.uses_guest = declared
            .flat_map(|(_, name)| module_files(folder, &name.to_string()))
            .any(|file| tokens_of(&file).is_some_and(|tokens| names_guest(&tokens, &names)));
    }
    Ok(shape)
}

/// The names of the functions that `files` declare for the host: those in
/// `extern` blocks, also inside macro calls, by their `#[link_name]` if they
/// have one. A block that names a library (`#[link(name = "c")]`) is about
/// that library, not the host.
///
/// Where a macro's definition has `extern { fn $name … }`, the names are among
/// the words that macros are called with: all of those are given, for a name
/// that no symbol has does no harm.
pub fn host_functions<'a>(
    files: impl IntoIterator<Item = &'a PathBuf>,
) -> anyhow::Result<BTreeSet<String>> {
    let mut crate_tokens = Vec::new();
    for file in files {
        // `include!` and `include_str!` bring files of any kind.
        if file.extension().is_some_and(|extension| extension == "rs") {
            crate_tokens.push(tokens(file)?);
        }
    }
    Ok(declared(&crate_tokens))
}

/// The same of a source that is not in a file.
pub fn host_functions_in(source: &str) -> anyhow::Result<BTreeSet<String>> {
    let tokens = lex(source).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(declared(&[tokens]))
}

fn declared(crate_tokens: &[TokenStream]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for tokens in crate_tokens {
        extern_functions(tokens, &mut names);
    }
    // No function has that name: it stands for those that a macro makes.
    if names.remove(TEMPLATE) {
        for tokens in crate_tokens {
            macro_words(tokens, &mut names);
        }
    }
    names
}

/// What [`declared_functions`] gives for `fn $name`.
const TEMPLATE: &str = "$";

/// The identifiers in the arguments of macro calls, except those that compilers
/// call by themselves.
fn macro_words(tokens: &TokenStream, names: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else {
            continue;
        };
        let is_call = at >= 2
            && is_punct(&tokens[at - 1], '!')
            && matches!(&tokens[at - 2], TokenTree::Ident(_));
        match is_call {
            true => words(&group.stream(), names),
            false => macro_words(&group.stream(), names),
        }
    }
}

fn words(tokens: &TokenStream, names: &mut BTreeSet<String>) {
    for token in tokens.clone() {
        match token {
            TokenTree::Group(group) => words(&group.stream(), names),
            TokenTree::Ident(ident) => {
                let name = ident.to_string();
                if Library::of(&name).is_none() {
                    names.insert(name);
                }
            }
            _ => {}
        }
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn tokens(path: &Path) -> anyhow::Result<TokenStream> {
    lex(&read(path)?).map_err(|error| {
        let at = error.span().start();
        anyhow::anyhow!(
            "{}:{}:{}: no Rust token here: {error}",
            path.display(),
            at.line,
            at.column + 1
        )
    })
}

fn tokens_of(path: &Path) -> Option<TokenStream> {
    lex(&std::fs::read_to_string(path).ok()?).ok()
}

fn lex(source: &str) -> Result<TokenStream, proc_macro2::LexError> {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    // A shebang is no Rust token; `#![` is an attribute.
    let shebang = source.starts_with("#!") && !source[2..].trim_start().starts_with('[');
    let start = if shebang {
        source.find('\n').unwrap_or(source.len())
    } else {
        0
    };
    TokenStream::from_str(&source[start..])
}

/// The files in which `mod name;` may continue, and all below them.
fn module_files(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut files = rust_files(&folder.join(name));
    files.push(folder.join(format!("{name}.rs")));
    files
}

/// The `.rs` files in `folder` and below it.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => files.push(entry.path()),
            }
        }
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    files
}

fn is(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

fn is_punct(token: &TokenTree, c: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == c)
}

fn group(token: &TokenTree, delimiter: Delimiter) -> Option<TokenStream> {
    match token {
        TokenTree::Group(group) if group.delimiter() == delimiter => Some(group.stream()),
        _ => None,
    }
}

/// Neighbouring tokens, not looking into groups.
fn pairs(tokens: &TokenStream) -> impl Iterator<Item = (TokenTree, TokenTree)> {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let next: Vec<TokenTree> = tokens.iter().skip(1).cloned().collect();
    tokens.into_iter().zip(next)
}

/// `fn main` at the crate's root, and no `#![no_main]`.
fn has_main(tokens: &TokenStream) -> bool {
    let attribute = |token: &TokenTree| {
        group(token, Delimiter::Bracket)
            .is_some_and(|inner| inner.into_iter().any(|token| is(&token, "no_main")))
    };
    let no_main = pairs(tokens).any(|(a, b)| is_punct(&a, '!') && attribute(&b));
    !no_main && pairs(tokens).any(|(a, b)| is(&a, "fn") && is(&b, "main"))
}

/// `guest::…`, `use guest;`, `extern crate guest`, at any depth, by one of `names`.
fn names_guest(tokens: &TokenStream, names: &[&str]) -> bool {
    let within = tokens.clone().into_iter().any(|token| match token {
        TokenTree::Group(group) => names_guest(&group.stream(), names),
        _ => false,
    });
    let is_guest = |token: &TokenTree| names.iter().any(|name| is(token, name));
    within
        || pairs(tokens).any(|(a, b)| {
            (is_guest(&a) && is_punct(&b, ':'))
                || ((is(&a, "use") || is(&a, "crate")) && is_guest(&b))
        })
}

fn extern_functions(tokens: &TokenStream, names: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        if let TokenTree::Group(group) = &tokens[at] {
            extern_functions(&group.stream(), names);
        } else if is(&tokens[at], "extern") {
            let abi = usize::from(matches!(tokens.get(at + 1), Some(TokenTree::Literal(_))));
            let block = tokens.get(at + 1 + abi);
            if let Some(block) = block.and_then(|token| group(token, Delimiter::Brace)) {
                if !attributes_before(&tokens, at).any(|attribute| names_library(&attribute)) {
                    declared_functions(&block, names);
                }
                at += 1 + abi;
            }
        }
        at += 1;
    }
}

/// The attributes of the item whose keyword is `tokens[at]`, nearest first.
fn attributes_before(tokens: &[TokenTree], at: usize) -> impl Iterator<Item = TokenStream> {
    let mut end = at;
    while end > 0 && is(&tokens[end - 1], "unsafe") {
        end -= 1;
    }
    std::iter::from_fn(move || {
        let attribute = group(tokens.get(end.checked_sub(1)?)?, Delimiter::Bracket)?;
        is_punct(tokens.get(end.checked_sub(2)?)?, '#').then_some(())?;
        end -= 2;
        Some(attribute)
    })
}

/// `link(name = "…")` without a Wasm import module, also within `cfg_attr`.
fn names_library(attribute: &TokenStream) -> bool {
    let link = pairs(attribute).any(|(a, b)| {
        let Some(arguments) = group(&b, Delimiter::Parenthesis).filter(|_| is(&a, "link")) else {
            return false;
        };
        let mut keys = arguments.clone().into_iter();
        let import = keys.any(|token| is(&token, "wasm_import_module"));
        !import && pairs(&arguments).any(|(a, b)| is(&a, "name") && is_punct(&b, '='))
    });
    link || attribute.clone().into_iter().any(|token| {
        group(&token, Delimiter::Parenthesis).is_some_and(|inner| names_library(&inner))
    })
}

fn declared_functions(block: &TokenStream, names: &mut BTreeSet<String>) {
    let mut link_name = None;
    let mut after_fn = false;
    for token in block.clone() {
        match &token {
            TokenTree::Ident(ident) if after_fn => {
                let name = ident.to_string();
                // Raw identifiers are `r#name` in Rust and `name` in the object.
                let name = name.strip_prefix("r#").map(str::to_owned).unwrap_or(name);
                names.insert(link_name.take().unwrap_or(name));
                after_fn = false;
            }
            TokenTree::Punct(punct) if after_fn && punct.as_char() == '$' => {
                names.insert(TEMPLATE.to_owned());
                after_fn = false;
            }
            // `fn(…)` is a type.
            _ => after_fn = is(&token, "fn"),
        }
        if let Some(attribute) = group(&token, Delimiter::Bracket) {
            link_name = string_value(&attribute, "link_name").or(link_name);
        } else if is_punct(&token, ';') {
            link_name = None;
        } else if let TokenTree::Group(inner) = &token {
            // The arguments of a macro call that makes declarations, and what
            // a macro's definition repeats: `$(fn $name();)*`. Parameters of
            // functions declare nothing, for `fn(…)` has no name.
            declared_functions(&inner.stream(), names);
        }
    }
}

/// The string of `key = "string"`, also within `unsafe(…)` or `cfg_attr(…)`.
fn string_value(attribute: &TokenStream, key: &str) -> Option<String> {
    let tokens: Vec<TokenTree> = attribute.clone().into_iter().collect();
    tokens.iter().enumerate().find_map(|(at, token)| {
        if let Some(inner) = group(token, Delimiter::Parenthesis) {
            return string_value(&inner, key);
        }
        let value = tokens.get(at + 2).filter(|_| is(token, key))?.to_string();
        let quoted = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        quoted.map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn externs(source: &str) -> Vec<String> {
        let names = declared(&[lex(source).unwrap()]);
        names.into_iter().collect()
    }

    #[test]
    fn every_way_to_declare_a_host_function() {
        assert_eq!(
            externs("extern { fn read(p: i64, o: u8) -> i32; }"),
            ["read"]
        );
        assert_eq!(
            externs(
                r#"
                #[link(wasm_import_module = "env")]
                unsafe extern "C" {
                    /// Documented.
                    pub safe fn a(f: extern "C" fn(i32), g: fn());
                    #[link_name = "real"] fn b();
                    fn c();
                    static S: i32;
                    fn r#move();
                }"#
            ),
            ["a", "c", "move", "real"]
        );
    }

    #[test]
    fn inside_modules_functions_and_macros() {
        assert_eq!(
            externs(
                "mod m { fn f() { extern { fn a(); } } }
                 host! { extern \"C\" { fn b(); } }
                 extern \"C\" { declare! { fn c(); } }"
            ),
            ["a", "b", "c"]
        );
    }

    #[test]
    fn made_by_a_macro_from_a_name() {
        let names = externs(
            "macro_rules! host {
                 ($($name:ident($($p:ident: $t:ty),*) -> $r:ty;)*) => {
                     extern \"C\" { $(fn $name($($p: $t),*) -> $r;)* }
                 };
             }
             mod functions { host! { read(p: i64) -> i32; write(p: i64) -> i32; } }
             fn main() { memcpy(sqrt); }",
        );
        for name in ["read", "write"] {
            assert!(names.iter().any(|found| found == name), "{names:?}");
        }
        assert!(!names.iter().any(|found| found == "memcpy"), "{names:?}");
    }

    #[test]
    fn blocks_for_a_library_are_not_the_hosts() {
        assert!(externs(r#"#[link(name = "c")] extern "C" { fn read(); }"#).is_empty());
        assert!(
            externs(
                r#"#[cfg_attr(unix, link(name = "m", kind = "static"))]
                   #[allow(unused)] unsafe extern { fn sin(); }"#
            )
            .is_empty()
        );
    }

    #[test]
    fn definitions_are_no_declarations() {
        assert!(externs("#[no_mangle] pub extern \"C\" fn f() { }").is_empty());
        assert!(externs("extern crate alloc; type F = extern \"C\" fn(i32);").is_empty());
        assert!(
            externs("// extern { fn a(); }\nconst S: &str = \"extern { fn a(); }\";").is_empty()
        );
    }

    #[test]
    fn programs_are_told_from_libraries() {
        let main = |source| has_main(&lex(source).unwrap());
        assert!(main("fn main() {}"));
        assert!(main(
            "#!/usr/bin/env x\nuse a::b; pub fn main() -> Result<(), E> { }"
        ));
        assert!(!main(
            "#![no_main]\n#[no_mangle] pub extern \"C\" fn main() {}"
        ));
        assert!(!main("mod m { fn main() {} }"));
        assert!(!main("// fn main() {}\npub fn calc() {}"));
    }

    #[test]
    fn the_guest_api_is_seen_where_it_is_named() {
        let named = |source| names_guest(&lex(source).unwrap(), &GUEST_API);
        assert!(named("use genkan_guest::Window;"));
        assert!(named("use guest::Window;"));
        assert!(named("fn f() { let w = guest::open(); }"));
        assert!(named("extern crate guest;"));
        assert!(!named("fn guest() {} // guest::x"));

        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root.rs");
        std::fs::write(&root, "mod inner; fn main() {}").unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        std::fs::write(folder.path().join("inner/mod.rs"), "use guest::X;").unwrap();
        let expected = Shape {
            main: true,
            uses_guest: true,
        };
        assert_eq!(shape(&root).unwrap(), expected);
        std::fs::write(&root, "mod guest { } fn main() { guest::f() }").unwrap();
        assert!(!shape(&root).unwrap().uses_guest);
        std::fs::write(&root, "mod guest { } use genkan_guest::X; fn main() {}").unwrap();
        assert!(shape(&root).unwrap().uses_guest);
    }
}
