//! Names of functions: as their authors wrote them, where they come from, and
//! how they are shown.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use genkan_link::Library;
use serde::Serialize;

/// Modules of a path that count; what is deeper stays in the name alone.
const DEPTH: usize = 6;

/// Who wrote a function, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The guest: an export with a plain name, or of the crate that has `main`.
    Guest,
    /// Another Rust crate, the standard library's too.
    Crate,
    /// C or C++, or whatever else gives its functions plain names.
    C,
    /// The compiler's support functions, the start of a program, the linker.
    Runtime,
    /// The module does not say the function's name.
    Unknown,
}

impl Origin {
    /// For people; the crate's own name is better where there is one.
    pub fn label(self) -> &'static str {
        match self {
            Origin::Guest => "guest",
            Origin::Crate => "Rust",
            Origin::C => "C",
            Origin::Runtime => "runtime",
            Origin::Unknown => "no name",
        }
    }
}

/// A symbol as its author wrote it, without the hash. Some symbols say much in
/// few bytes: one that would become more than 16 times as long stays as it is,
/// so that a module's names take memory in proportion to the module.
pub fn demangle(symbol: &str) -> String {
    struct Limited(String, usize);
    impl fmt::Write for Limited {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            if self.0.len() + text.len() > self.1 {
                return Err(fmt::Error);
            }
            self.0.push_str(text);
            Ok(())
        }
    }
    let mut name = Limited(String::new(), 256 + 16 * symbol.len());
    match write!(name, "{:#}", rustc_demangle::demangle(symbol)) {
        Ok(()) => without_hash(name.0),
        Err(_) => symbol.to_owned(),
    }
}

/// Linkers that demangle keep the hash: `core::fmt::write::h0123456789abcdef`.
fn without_hash(mut name: String) -> String {
    if let Some((path, hash)) = name.rsplit_once("::h")
        && hash.len() == 16
        && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        name.truncate(path.len());
    }
    name
}

/// The path that a name begins with: a crate and its modules.
///
/// `<alloc::vec::Vec<u8> as core::fmt::Debug>::fmt` belongs to `alloc`, `vec`;
/// the first of `<&T as foo::Bar>::f` is no path, so it counts for `foo`. C++'s
/// names end with their parameters, and belong to no crate.
pub fn path_of(name: &str) -> Vec<&str> {
    if name.ends_with(')') || name.ends_with(") const") {
        return Vec::new();
    }
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let word = name.split(|c: char| !is_path(c)).find(|word| {
        word.split_once("::")
            .is_some_and(|(first, _)| !first.is_empty())
    });
    let Some(word) = word else { return Vec::new() };
    let mut path: Vec<&str> = word.split("::").filter(|part| !part.is_empty()).collect();
    // What ends the path is the function or the type, unless `impl` follows.
    let rest = &name[word.as_ptr() as usize - name.as_ptr() as usize + word.len()..];
    if path.len() > 1 && !(word.ends_with("::") && rest.starts_with("<impl ")) {
        path.pop();
    }
    let is_module = |part: &&str| part.starts_with(|c: char| c.is_lowercase() || c == '_');
    let modules = path
        .iter()
        .skip(1)
        .take_while(|part| is_module(part))
        .count();
    path.truncate((1 + modules).min(DEPTH));
    path
}

/// Who wrote the function of this demangled name and its `path`. `offered` says
/// whether others can use it by name; `own_crates` have a `main`.
pub fn origin(name: &str, path: &[&str], offered: bool, own_crates: &BTreeSet<&str>) -> Origin {
    match path.first() {
        Some(&("compiler_builtins" | "__rustc")) => Origin::Runtime,
        Some(krate) if own_crates.contains(krate) => Origin::Guest,
        Some(_) => Origin::Crate,
        None => match Library::of(name) {
            // A symbol that stayed mangled.
            Some(Library::RustCrate) => Origin::Crate,
            // A guest may well offer `log`.
            Some(Library::Libm) if offered => Origin::Guest,
            Some(_) => Origin::Runtime,
            None if matches!(name, "_start" | "_initialize") => Origin::Runtime,
            None if offered => Origin::Guest,
            None => Origin::C,
        },
    }
}

/// The crate of a program's own `main`.
pub fn crate_of_main(name: &str) -> Option<&str> {
    let krate = name.strip_suffix("::main")?;
    let plain = |c: char| c.is_alphanumeric() || c == '_';
    krate.chars().all(plain).then_some(krate)
}

/// At most `width` characters, cut in the middle: generics are long, and what
/// tells two functions apart comes last.
pub fn cut(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let (head, tail) = (kept.div_ceil(2), kept / 2);
    let start = text.chars().take(head);
    let end = text.chars().skip(count - tail);
    start.chain(['…']).chain(end).collect()
}

/// What a terminal or a page would obey, or not show, written out: `\u{1b}`.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Marks that change the direction of text, or have no width; the
            // last two are no characters of XML.
            '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => shown.extend(c.escape_unicode()),
            c if c.is_control() => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_functions_and_methods() {
        let legacy = "_ZN61_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE";
        for (symbol, path) in [
            (legacy, &["alloc", "vec"][..]),
            ("_RNvCs15kBYyAo9fc_7mycrate3foo", &["mycrate"]),
            (
                "core::fmt::num::imp::fmt_u64::h0123456789abcdef",
                &["core", "fmt", "num", "imp"],
            ),
            ("core::num::<impl u64>::pow", &["core", "num"]),
            ("<&T as foo::Bar>::f", &["foo"]),
            (
                "serde_json::de::Deserializer<R>::parse",
                &["serde_json", "de"],
            ),
            ("guest::main::{{closure}}", &["guest"]),
            ("std::vector<int>::push_back(int)", &[]),
            ("memcpy", &[]),
            ("::", &[]),
        ] {
            assert_eq!(path_of(&demangle(symbol)), path, "{symbol}");
        }
        assert_eq!(
            demangle("core::fmt::write::h0123456789abcdef"),
            "core::fmt::write"
        );
        let deep = "a::".repeat(30_000) + "f";
        assert_eq!(path_of(&deep).len(), DEPTH);
    }

    #[test]
    fn a_symbol_that_grows_without_measure_stays_mangled() {
        // Each of the 26 types is a tuple of twice the one before it.
        let mut symbol = String::from("_RINvC1a1f");
        let mut before = symbol.len() - "_R".len();
        symbol += "ThhE";
        for _ in 0..25 {
            let here = symbol.len() - "_R".len();
            let reference = base62(before);
            symbol += &format!("TB{reference}B{reference}E");
            before = here;
        }
        symbol.push('E');
        assert!(rustc_demangle::try_demangle(&symbol).is_ok());
        assert_eq!(demangle(&symbol), symbol);
    }

    /// A number as v0 symbols have it: one less, in base 62, with `_`.
    fn base62(number: usize) -> String {
        const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let Some(mut rest) = number.checked_sub(1) else {
            return "_".into();
        };
        let mut digits = Vec::new();
        loop {
            digits.push(DIGITS[rest % 62]);
            rest /= 62;
            if rest == 0 {
                break;
            }
        }
        digits.reverse();
        String::from_utf8(digits).unwrap() + "_"
    }

    #[test]
    fn long_names_are_cut_in_the_middle() {
        assert_eq!(cut("abcdefghij", 10), "abcdefghij");
        assert_eq!(cut("abcdefghij", 5), "ab…ij");
        assert_eq!(cut("äöüäöü", 4), "äö…ü");
        assert_eq!(cut("abc", 0), "…");
    }

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(
            visible("a\u{1b}[31m\0\u{202e}ü"),
            "a\\u{1b}[31m\\u{0}\\u{202e}ü"
        );
    }
}
