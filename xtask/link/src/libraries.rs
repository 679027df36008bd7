//! Whose a name is: names that are never the host's, since the compiler itself
//! calls them, or since rustc's own libraries and libc have them.

use std::fmt;

/// A library of the toolchain's, to which the name of a function can belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Library {
    /// Rust's core.
    Core,
    /// Rust's alloc.
    Alloc,
    /// Rust's std.
    Std,
    /// Another crate of Rust code.
    RustCrate,
    /// What LLVM calls for arithmetic that the machine does not have.
    CompilerRt,
    /// Functions of libc that LLVM or core call by themselves.
    Libc,
    /// Functions of libc that arithmetic becomes: methods of `f64`, LLVM's
    /// intrinsics.
    Libm,
    /// A name that C reserves for its compiler and its library (`__NAME`) and
    /// that is none of the above.
    Reserved,
}

impl Library {
    /// The library that a function of this name belongs to, if an object can
    /// refer to it without its author having declared it.
    ///
    /// ```
    /// use genkan_link::Library;
    ///
    /// assert_eq!(Library::of("memcpy"), Some(Library::Libc));
    /// assert_eq!(Library::of("floor"), Some(Library::Libm));
    /// assert_eq!(Library::of("read_sensor"), None);
    /// ```
    pub fn of(name: &str) -> Option<Library> {
        if is_mangled(name) {
            return Some(rust_crate(name));
        }
        if name.starts_with("__rust_") || name.starts_with("__rg_") || name.starts_with("__rdl_") {
            return Some(Library::Std);
        }
        if matches!(
            name,
            "rust_begin_unwind" | "rust_eh_personality" | "rust_panic"
        ) {
            return Some(Library::Core);
        }
        if COMPILER.binary_search(&name).is_ok() || name.starts_with("__atomic_") {
            return Some(Library::CompilerRt);
        }
        if name.starts_with("__") {
            return Some(Library::Reserved);
        }
        if MEMORY.binary_search(&name).is_ok() {
            return Some(Library::Libc);
        }
        let double = name.strip_suffix('f').unwrap_or(name);
        let is_math = |name| MATH.binary_search(&name).is_ok();
        (is_math(name) || is_math(double) || name == "lgammaf_r").then_some(Library::Libm)
    }

    /// The library without which a function of this name is missing. `None` if
    /// the host may have it, too.
    pub(crate) fn missing(name: &str) -> Option<Library> {
        Library::of(name).filter(|&library| library != Library::Reserved)
    }

    /// Whether a guest that defines a function of this name does so for its
    /// host, not for what the compiler calls.
    pub fn leaves_to_author(name: &str) -> bool {
        matches!(
            Library::of(name),
            None | Some(Library::Libm | Library::Reserved)
        )
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Library::Core => "core",
            Library::Alloc => "alloc",
            Library::Std => "std",
            Library::RustCrate => "a Rust crate",
            Library::CompilerRt => "compiler-rt",
            Library::Libc | Library::Libm => "libc",
            Library::Reserved => "the compiler or libc",
        })
    }
}

/// Whether rustc made the name from a path.
fn is_mangled(name: &str) -> bool {
    (name.starts_with("_ZN") && name.ends_with('E')) || name.starts_with("_R")
}

/// The crate at the front of a mangled name's path.
fn rust_crate(name: &str) -> Library {
    let known = [
        ("core", Library::Core),
        ("alloc", Library::Alloc),
        ("std", Library::Std),
    ];
    let found = known.into_iter().find(|(c, _)| {
        let legacy = format!("_ZN{}{c}", c.len());
        let v0 = format!("_{}{c}", c.len());
        name.starts_with(&legacy) || (name.starts_with("_R") && name.contains(&v0))
    });
    found.map_or(Library::RustCrate, |(_, library)| library)
}

/// compiler-rt's functions that LLVM's WebAssembly back end calls (LLVM's
/// `RuntimeLibcalls.td`), sorted.
const COMPILER: &[&str] = &[
    "__addtf3",
    "__ashlti3",
    "__ashrti3",
    "__divmodti4",
    "__divtf3",
    "__divti3",
    "__eqtf2",
    "__extenddftf2",
    "__extendhfsf2",
    "__extendhftf2",
    "__extendsftf2",
    "__fixdfti",
    "__fixsfti",
    "__fixtfdi",
    "__fixtfsi",
    "__fixtfti",
    "__fixunsdfti",
    "__fixunssfti",
    "__fixunstfdi",
    "__fixunstfsi",
    "__fixunstfti",
    "__floatditf",
    "__floatsitf",
    "__floattidf",
    "__floattisf",
    "__floattitf",
    "__floatunditf",
    "__floatunsitf",
    "__floatuntidf",
    "__floatuntisf",
    "__floatuntitf",
    "__getf2",
    "__gttf2",
    "__letf2",
    "__lshrti3",
    "__lttf2",
    "__modti3",
    "__muloti4",
    "__multf3",
    "__multi3",
    "__netf2",
    "__powidf2",
    "__powisf2",
    "__powitf2",
    "__subtf3",
    "__truncdfhf2",
    "__truncsfhf2",
    "__trunctfdf2",
    "__trunctfhf2",
    "__trunctfsf2",
    "__udivmodti4",
    "__udivti3",
    "__umodti3",
    "__unordtf2",
];

/// libc's functions that LLVM calls for copies and comparisons, and `strlen`,
/// which core's `CStr` does; sorted.
const MEMORY: &[&str] = &["bcmp", "memcmp", "memcpy", "memmove", "memset", "strlen"];

/// libm's functions that LLVM calls for its intrinsics (`RuntimeLibcalls.td`) or
/// std for methods of `f64` (`std/src/sys/cmath.rs`), each of which has a twin
/// for `f32`, its name with an `f`; sorted.
const MATH: &[&str] = &[
    "acos",
    "asin",
    "atan",
    "atan2",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "erf",
    "erfc",
    "exp",
    "exp10",
    "exp2",
    "expm1",
    "fdim",
    "floor",
    "fma",
    "fmax",
    "fmin",
    "fmod",
    "frexp",
    "hypot",
    "ldexp",
    "lgamma_r",
    "log",
    "log10",
    "log1p",
    "log2",
    "modf",
    "pow",
    "rint",
    "round",
    "roundeven",
    "sin",
    "sincos",
    "sinh",
    "tan",
    "tanh",
    "tgamma",
    "trunc",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(COMPILER.is_sorted());
        assert!(MEMORY.is_sorted());
        assert!(MATH.is_sorted());
    }

    #[test]
    fn names() {
        assert_eq!(Library::of("read"), None);
        assert_eq!(Library::of("f"), None);
        assert_eq!(Library::of("rust_to_host"), None);
        assert_eq!(Library::of("memcpy"), Some(Library::Libc));
        for name in [
            "erf",
            "floorf",
            "rint",
            "modf",
            "frexpf",
            "sincos",
            "fmaf",
            "lgammaf_r",
        ] {
            assert_eq!(Library::of(name), Some(Library::Libm), "{name}");
        }
        assert_eq!(Library::of("__multi3"), Some(Library::CompilerRt));
        assert_eq!(Library::of("__errno_location"), Some(Library::Reserved));
        assert_eq!(
            Library::of("_ZN4core9panicking5panic17h0123456789abcdefE"),
            Some(Library::Core)
        );
        assert_eq!(
            Library::of("_RNvNtCsdHhIpgkcIfN_4core9panicking9panic_fmt"),
            Some(Library::Core)
        );
        assert_eq!(
            Library::of("_RNvCsfLfy6EI15iL_7___rustc12___rust_alloc"),
            Some(Library::RustCrate)
        );
    }

    #[test]
    fn an_author_may_export_a_name_of_libms_but_not_the_compilers() {
        assert!(Library::leaves_to_author("log"));
        assert!(Library::leaves_to_author("__entry"));
        assert!(!Library::leaves_to_author("memcpy"));
        assert!(!Library::leaves_to_author("rust_begin_unwind"));
    }
}
