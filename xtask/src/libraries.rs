//! What a guest's object is linked with: the libraries of its target, and the
//! start-up object of a program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::files::{self, Contents};
use crate::link::{Input, Role};

/// A file that takes part in a link.
pub struct Library {
    /// The name in messages and reports: the file's, without its folder, so
    /// that no output depends on where a toolchain lies.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes, mapped.
    pub contents: Contents,
}

impl Library {
    /// Maps the file at `path`.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let name = path.file_name().unwrap_or(path.as_os_str());
        Ok(Library {
            name: name.to_string_lossy().into_owned(),
            path: path.to_owned(),
            contents: files::read(path)?,
        })
    }

    /// As the linker takes it.
    pub fn input(&self, role: Role) -> Input<'_> {
        Input {
            name: &self.name,
            bytes: &self.contents,
            role,
        }
    }
}

/// The start-up object of programs in `folder`, a target's library folder.
pub fn start_up(folder: &Path) -> PathBuf {
    folder.join("self-contained/crt1-command.o")
}

/// The archives in `folder`, a target's library folder, in one order wherever
/// it lies: the crates by name, libc, and last what compilers insert calls to,
/// as rustc orders them.
pub fn archives(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let context = || format!("cannot list {}", folder.display());
    let mut rlibs = Vec::new();
    for entry in folder.read_dir().with_context(context)? {
        let name = entry.with_context(context)?.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.starts_with("lib") && name.ends_with(".rlib") {
            rlibs.push(name.to_owned());
        }
    }
    rlibs.sort();
    // A guest that panics ends; where both are there, unwinding would only be
    // dead weight.
    if rlibs.iter().any(|name| crate_of(name) == "panic_abort") {
        rlibs.retain(|name| crate_of(name) != "panic_unwind");
    }
    let mut paths: Vec<PathBuf> = rlibs.iter().map(|name| folder.join(name)).collect();
    let libc = folder.join("self-contained/libc.a");
    if libc.is_file() {
        let builtins = rlibs
            .iter()
            .position(|name| crate_of(name) == "compiler_builtins");
        match builtins {
            Some(place) => {
                let builtins = paths.remove(place);
                paths.extend([libc, builtins]);
            }
            None => paths.push(libc),
        }
    }
    Ok(paths)
}

/// `libcore-b8751c756b5b71a3.rlib` → `core`.
fn crate_of(name: &str) -> &str {
    let name = name.strip_prefix("lib").unwrap_or(name);
    name.split(['-', '.']).next().unwrap_or(name)
}

/// What the symbol table of one relocatable object says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Symbols {
    /// Global functions that it defines.
    pub defined: BTreeSet<String>,
    /// Functions that it wants, as the C name, without an import module of
    /// their own.
    pub undefined: BTreeSet<String>,
    /// rustc made it.
    pub from_rustc: bool,
}

/// Reads the function symbols of an object. `None` if it is none.
pub fn symbols(bytes: &[u8]) -> Option<Symbols> {
    use wasmparser::{KnownCustom, Linking, Parser, Payload, SymbolFlags, SymbolInfo};
    let mut symbols = Symbols::default();
    let mut imports: Vec<String> = Vec::new();
    let mut is_object = false;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.ok()? {
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    let import = import.ok()?;
                    if matches!(import.ty, wasmparser::TypeRef::Func(_)) {
                        imports.push(import.name.to_owned());
                    }
                }
            }
            Payload::CustomSection(section) => match section.as_known() {
                KnownCustom::Linking(reader) => {
                    is_object = true;
                    for table in reader.subsections() {
                        let Linking::SymbolTable(table) = table.ok()? else {
                            continue;
                        };
                        for symbol in table {
                            let SymbolInfo::Func { flags, index, name } = symbol.ok()? else {
                                continue;
                            };
                            if !flags.contains(SymbolFlags::UNDEFINED) {
                                let local = flags.contains(SymbolFlags::BINDING_LOCAL);
                                symbols
                                    .defined
                                    .extend(name.filter(|_| !local).map(str::to_owned));
                            } else if !flags.contains(SymbolFlags::EXPLICIT_NAME) {
                                symbols
                                    .undefined
                                    .extend(imports.get(index as usize).cloned());
                            }
                        }
                    }
                }
                KnownCustom::Producers(reader) => {
                    for field in reader {
                        for value in field.ok()?.values {
                            symbols.from_rustc |= value.ok()?.name == "rustc";
                        }
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }
    is_object.then_some(symbols)
}

impl Symbols {
    /// The host's functions, for an object without its source. What the Rust
    /// object wants under a plain name is the host's, except what the compiler
    /// itself inserts calls to, or core and std inline. C code means the
    /// libraries, and marks the host's functions with an import module.
    pub fn host_functions(&self) -> BTreeSet<String> {
        let plain = |name: &&String| !is_mangled(name) && !is_runtime(name);
        let wanted = self.undefined.iter().filter(|_| self.from_rustc);
        wanted.filter(plain).cloned().collect()
    }
}

fn is_mangled(name: &str) -> bool {
    rustc_demangle::try_demangle(name).is_ok() || name.starts_with("__rust_")
}

/// Functions that LLVM may call where the source does not, and libm's, which
/// methods of `f64` become.
pub fn is_runtime(name: &str) -> bool {
    const MEMORY: [&str; 6] = ["memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen"];
    const MATH: [&str; 36] = [
        "acos", "asin", "atan", "atan2", "cbrt", "ceil", "cos", "cosh", "erf", "erfc", "exp",
        "exp10", "exp2", "expm1", "fdim", "floor", "fma", "fmax", "fmin", "fmod", "hypot", "ldexp",
        "lgamma_r", "log", "log10", "log1p", "log2", "pow", "rint", "round", "sin", "sinh", "tan",
        "tanh", "tgamma", "trunc",
    ];
    let double = name.strip_suffix('f').unwrap_or(name);
    name.starts_with("__")
        || MEMORY.contains(&name)
        || MATH.contains(&name)
        || MATH.contains(&double)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_come_in_one_order() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("self-contained");
        std::fs::create_dir(&inner).unwrap();
        for name in [
            "libstd-1.rlib",
            "libcompiler_builtins-2.rlib",
            "libcore-3.rlib",
            "libcore-3.rmeta",
            "libpanic_unwind-4.rlib",
            "libpanic_abort-5.rlib",
            "self-contained/libc.a",
        ] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let names: Vec<String> = archives(folder.path())
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            names,
            [
                "libcore-3.rlib",
                "libpanic_abort-5.rlib",
                "libstd-1.rlib",
                "libc.a",
                "libcompiler_builtins-2.rlib"
            ]
        );
    }

    #[test]
    fn a_rust_objects_plain_names_are_the_hosts() {
        let names = [
            "read",
            "memcpy",
            "fmodf",
            "__multi3",
            "_ZN4core9panicking18panic_bounds_check17h0123456789abcdefE",
        ];
        let mut symbols = Symbols {
            undefined: names.map(str::to_owned).into(),
            from_rustc: true,
            ..Symbols::default()
        };
        assert_eq!(
            symbols.host_functions(),
            BTreeSet::from(["read".to_owned()])
        );
        symbols.from_rustc = false;
        assert!(symbols.host_functions().is_empty());
    }

    #[test]
    fn what_is_no_object_has_no_symbols() {
        assert_eq!(symbols(b"\0asm\x01\0\0\0"), None);
        assert_eq!(symbols(b"\0asm\x01\0\0\0\x00\xff"), None);
        assert_eq!(symbols(b"!<arch>\n"), None);
    }
}
