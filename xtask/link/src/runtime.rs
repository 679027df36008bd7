//! Names that are never the host's: what the compiler itself calls, and what
//! rustc's own libraries are called.

/// Which library a function of this name belongs to, if a guest's object can
/// refer to it without its author having declared it.
pub fn library(name: &str) -> Option<&'static str> {
    if is_mangled(name) {
        return Some(match rust_crate(name) {
            Some("core") => "core",
            Some("alloc") => "alloc",
            Some("std") => "std",
            _ => "a Rust crate",
        });
    }
    if name.starts_with("__rust_") || name.starts_with("__rg_") || name.starts_with("__rdl_") {
        return Some("std");
    }
    if name.starts_with("rust_") {
        return Some("core");
    }
    if COMPILER.binary_search(&name).is_ok() || name.starts_with("__atomic_") {
        return Some("compiler-rt");
    }
    LIBC.binary_search(&name).is_ok().then_some("libc")
}

/// Whether rustc made the name from a path.
pub fn is_mangled(name: &str) -> bool {
    (name.starts_with("_ZN") && name.ends_with('E')) || name.starts_with("_R")
}

/// The crate at the front of a mangled name's path.
fn rust_crate(name: &str) -> Option<&'static str> {
    ["core", "alloc", "std"].into_iter().find(|c| {
        let legacy = format!("_ZN{}{c}", c.len());
        let v0 = format!("_{}{c}", c.len());
        name.starts_with(&legacy) || (name.starts_with("_R") && name.contains(&v0))
    })
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

/// libc's functions that LLVM calls for its intrinsics, and `strlen`, which
/// core's `CStr` does; sorted.
const LIBC: &[&str] = &[
    "acos",
    "acosf",
    "asin",
    "asinf",
    "atan",
    "atan2",
    "atan2f",
    "atanf",
    "bcmp",
    "cbrt",
    "cbrtf",
    "cos",
    "cosf",
    "cosh",
    "coshf",
    "exp",
    "exp10",
    "exp10f",
    "exp2",
    "exp2f",
    "expf",
    "expm1",
    "expm1f",
    "fdim",
    "fdimf",
    "fma",
    "fmaf",
    "fmax",
    "fmaxf",
    "fmin",
    "fminf",
    "fmod",
    "fmodf",
    "frexp",
    "frexpf",
    "hypot",
    "hypotf",
    "ldexp",
    "ldexpf",
    "lgamma_r",
    "lgammaf_r",
    "log",
    "log10",
    "log10f",
    "log1p",
    "log1pf",
    "log2",
    "log2f",
    "logf",
    "memcmp",
    "memcpy",
    "memmove",
    "memset",
    "modf",
    "modff",
    "pow",
    "powf",
    "round",
    "roundeven",
    "roundevenf",
    "roundf",
    "sin",
    "sincos",
    "sincosf",
    "sinf",
    "sinh",
    "sinhf",
    "strlen",
    "tan",
    "tanf",
    "tanh",
    "tanhf",
    "tgamma",
    "tgammaf",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(COMPILER.is_sorted());
        assert!(LIBC.is_sorted());
    }

    #[test]
    fn names() {
        assert_eq!(library("read"), None);
        assert_eq!(library("memcpy"), Some("libc"));
        assert_eq!(library("__multi3"), Some("compiler-rt"));
        assert_eq!(
            library("_ZN4core9panicking5panic17h0123456789abcdefE"),
            Some("core")
        );
        assert_eq!(
            library("_RNvNtCsdHhIpgkcIfN_4core9panicking9panic_fmt"),
            Some("core")
        );
        assert_eq!(
            library("_RNvCsfLfy6EI15iL_7___rustc12___rust_alloc"),
            Some("a Rust crate")
        );
    }
}
