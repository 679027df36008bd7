//! Functions' names, as their authors wrote them. A hostile module's may be of
//! any length, demangle to any length, and hold anything.

use std::fmt::{self, Write};

/// Longer names are not demangled: what is 4 KiB as a symbol, nobody reads.
const LONGEST_SYMBOL: usize = 4 << 10;
/// Where demangling stops, in bytes.
const LONGEST_DEMANGLED: usize = 8 << 10;
/// Longer names lose their middle, in characters.
const LONGEST_SHOWN: usize = 200;

/// The name of a function for people: demangled if it is a Rust symbol, without
/// its hash; shortened; nothing in it that a terminal obeys.
pub(super) fn readable(name: &str) -> String {
    match demangled(name) {
        Some(name) => shortened(&printable(&name)),
        None => shortened(&printable(cut(name, LONGEST_SYMBOL))),
    }
}

/// What a Rust symbol stands for.
pub(super) fn demangled(name: &str) -> Option<String> {
    if name.len() > LONGEST_SYMBOL {
        return None;
    }
    let demangled = rustc_demangle::try_demangle(name).ok()?;
    let mut out = Bounded(String::new());
    // What was written before it went too far is still its beginning.
    let _ = write!(out, "{demangled:#}");
    Some(out.0)
}

/// Text that refuses to grow further.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > LONGEST_DEMANGLED {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// Without characters that a terminal would obey, or that turn text around.
pub(super) fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}

/// The first `len` bytes, or a character's less.
pub(super) fn cut(text: &str, len: usize) -> &str {
    &text[..text.floor_char_boundary(len)]
}

fn shortened(name: &str) -> String {
    let count = name.chars().count();
    if count <= LONGEST_SHOWN {
        return name.into();
    }
    let half = LONGEST_SHOWN / 2;
    let head: String = name.chars().take(half).collect();
    let tail: String = name.chars().skip(count - half + 1).collect();
    format!("{head}…{tail}")
}

/// A path without the `/rustc/HASH/` that those of Rust's own libraries begin with.
pub(super) fn shorter_path(path: &str) -> &str {
    let library = || {
        let (hash, rest) = path.strip_prefix("/rustc/")?.split_once('/')?;
        let is_hash = !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then_some(rest)
    };
    library().unwrap_or(path)
}

/// Whether a function is the language's own, between the guest's code and a
/// panic, an abort, a full heap or an exit. These are innermost.
pub(super) fn is_panic_machinery(name: &str) -> bool {
    const PATHS: &[&str] = &[
        "core::panicking::",
        "core::option::unwrap_failed",
        "core::option::expect_failed",
        "core::result::unwrap_failed",
        "core::cell::panic_",
        "core::slice::index::slice_",
        "core::slice::copy_from_slice_impl::len_mismatch_fail",
        "core::str::slice_error_fail",
        "core::str::traits::str_index_overflow_fail",
        "alloc::alloc::handle_alloc_error",
        "alloc::raw_vec::handle_error",
        "alloc::raw_vec::capacity_overflow",
        "std::panicking::",
        "std::alloc::rust_oom",
        "std::alloc::default_alloc_error_hook",
        "std::process::abort",
        "std::process::exit",
        "std::sys::exit::exit",
        "std::sys::pal::wasi::os::exit",
        "std::sys::wasi::os::exit",
        "std::sys::os::exit",
        "std::sys::backtrace::__rust_end_short_backtrace",
        "std::sys_common::backtrace::__rust_end_short_backtrace",
        "std::sys::pal::wasi::helpers::abort_internal",
        "std::sys::wasi::abort_internal",
        "std::sys::abort_internal",
        "core::intrinsics::abort",
        "core::core_arch::wasm32::unreachable",
        "panic_abort::",
        "__rustc::__rust_abort",
        "__rustc::__rust_start_panic",
        "__rustc::__rust_alloc_error_handler",
        "__rustc::__rdl_oom",
        "__rustc::__rg_oom",
        "__rustc::rust_begin_unwind",
        "__rustc::rust_panic",
    ];
    const SYMBOLS: &[&str] = &[
        "rust_begin_unwind",
        "rust_panic",
        "rust_oom",
        "abort",
        "__rust_abort",
        "__rust_start_panic",
        "__rust_alloc_error_handler",
        "__rdl_oom",
        "__rg_oom",
        "__assert_fail",
        "exit",
        "_Exit",
        "__wasi_proc_exit",
    ];
    PATHS.iter().any(|path| starts_with_path(name, path)) || SYMBOLS.contains(&name)
}

/// Whether a function is what calls a program's `main`. These are outermost.
pub(super) fn is_start_up(name: &str) -> bool {
    const PATHS: &[&str] = &[
        "std::rt::lang_start",
        "std::rt::",
        "std::sys::backtrace::__rust_begin_short_backtrace",
        "std::sys_common::backtrace::__rust_begin_short_backtrace",
        "core::ops::function::FnOnce::call_once",
        "core::ops::function::impls::",
        "std::panicking::",
        "std::panic::catch_unwind",
    ];
    let exported = name.strip_suffix(".command_export").unwrap_or(name);
    PATHS.iter().any(|path| starts_with_path(name, path))
        || ["_start", "_initialize", "__wasm_call_ctors"].contains(&exported)
        || is_main(name)
        || name.starts_with("<") && name.contains(" as core::ops::function::FnOnce<")
}

/// Whether a function is `main` as C has it: in Rust what calls `std::rt`, in C
/// the program's own.
pub(super) fn is_main(name: &str) -> bool {
    ["main", "__main_void", "__original_main", "__main_argc_argv"].contains(&name)
}

/// Whether `name` is `path` or below it; or, for one that ends openly, begins so.
fn starts_with_path(name: &str, path: &str) -> bool {
    match name.strip_prefix(path) {
        Some(rest) => rest.is_empty() || path.ends_with([':', '_']) || !rest.starts_with(is_word),
        None => false,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn rust_names_are_demangled_without_their_hash() {
        assert_eq!(
            readable("_ZN4core9panicking18panic_bounds_check17h0123456789abcdefE"),
            "core::panicking::panic_bounds_check"
        );
        assert_eq!(readable("_RNvCs1234_7mycrate3foo"), "mycrate::foo");
        assert_eq!(readable("memcpy"), "memcpy");
        assert_eq!(readable("g::Thing::check"), "g::Thing::check");
        assert_eq!(readable(""), "");
    }

    #[test]
    fn terminals_obey_no_name() {
        assert_eq!(readable("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
        assert_eq!(readable("a\u{202e}b"), "a\u{fffd}b");
    }

    #[test]
    fn long_names_lose_their_middle() {
        let name = format!("first::{}::last", "x".repeat(90_000));
        let shown = readable(&name);
        assert_eq!(shown.chars().count(), LONGEST_SHOWN);
        assert!(shown.starts_with("first::xxx"), "{shown}");
        let name = format!("first::{}::last", "é".repeat(1_000));
        let shown = readable(&name);
        assert!(
            shown.contains("é…é") && shown.ends_with("::last"),
            "{shown}"
        );
    }

    /// Back references that double: a name of some hundred bytes that stands for
    /// one of 2^k.
    #[test]
    fn names_that_demangle_without_end_end() {
        let start = Instant::now();
        let mut seen = 0;
        for depth in 1..40 {
            let mut symbol = String::from("_RIC1a");
            let mut last = 0;
            symbol.push_str("TuuE");
            for _ in 0..depth {
                let at = symbol.len() - 2;
                let back = match last {
                    0 => "B3_".to_string(),
                    n => format!("B{}_", base62(n - 1)),
                };
                symbol.push_str(&format!("T{back}{back}E"));
                last = at;
            }
            symbol.push('E');
            for len in 0..symbol.len() {
                seen += readable(&symbol[..len]).len();
            }
            seen += readable(&symbol).len();
        }
        assert!(seen > 0);
        for symbol in [
            format!("_RNv{}C1a1b", "I".repeat(4_000)),
            format!("_RNvC1a{}", "B_".repeat(2_000)),
            format!("_R{}", "Y".repeat(4_000)),
            format!("_RIC1aK{}_E", "f".repeat(4_000)),
            format!("_ZN{}E", "1a".repeat(2_000)),
            format!("_ZN{}E", "9999999999".repeat(400)),
        ] {
            readable(&symbol);
        }
        let took = start.elapsed();
        assert!(took < Duration::from_secs(10), "{took:?}");
    }

    fn base62(mut n: usize) -> String {
        const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let mut text = Vec::new();
        loop {
            text.insert(0, DIGITS[n % 62]);
            n /= 62;
            if n == 0 {
                return String::from_utf8(text).unwrap();
            }
        }
    }

    #[test]
    fn rusts_own_paths_are_short() {
        let path = "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/option.rs";
        assert_eq!(shorter_path(path), "library/core/src/option.rs");
        for path in [
            "src/lib.rs",
            "/rustc/lib.rs",
            "/rustc/my/lib.rs",
            "/home/rustc/a/b",
        ] {
            assert_eq!(shorter_path(path), path);
        }
    }

    #[test]
    fn the_runtimes_own_functions() {
        for name in [
            "core::panicking::panic_fmt",
            "core::slice::index::slice_end_index_len_fail",
            "std::panicking::begin_panic_handler::{{closure}}",
            "__rustc::rust_begin_unwind",
            "rust_begin_unwind",
            "abort",
        ] {
            assert!(is_panic_machinery(name), "{name}");
        }
        for name in [
            "core::panicking",
            "core::option::unwrap_failed_not",
            "work",
            "aborted",
        ] {
            assert!(!is_panic_machinery(name), "{name}");
        }
        for name in [
            "_start",
            "std::rt::lang_start::{{closure}}",
            "std::rt::lang_start<()>",
            "main",
            "_start.command_export",
        ] {
            assert!(is_start_up(name), "{name}");
        }
        assert!(!is_start_up("guest::main"));
    }
}
