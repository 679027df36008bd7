//! The allocator shim.
//!
//! std allocates through `__rust_alloc` and its siblings, which no library
//! defines: rustc writes them when it links. Without rustc as the linker's
//! caller (`--emit=obj`) the linker defines them, each as another name for the
//! default allocator's function (`__rdl_*`), or for the guest's own (`__rg_*`,
//! rustc before 1.71 or so; newer ones define the mangled name itself).
//!
//! Names as rustc's `rustc_ast::expand::allocator` and
//! `rustc_codegen_ssa::base` have them, checked against 1.63 and 1.95.

use crate::error::Result;
use crate::index::{Index, IndexVec, SymbolId, SyntheticId};
use crate::resolve::extract::Extractor;
use crate::signature::Signature;
use crate::symbols::{Action, Definition, LinkerAddress, SyntheticFunction};

/// Defines what is still undefined of the allocator shim.
///
/// # Errors
///
/// If a member that has the allocator is damaged.
pub fn define<'a>(
    extractor: &mut Extractor<'a>,
    synthetic: &mut IndexVec<SyntheticId, SyntheticFunction<'a>>,
) -> Result<()> {
    // Members that are extracted on the way bring more symbols.
    let mut next = 0;
    while next < extractor.binder.symbols.len() {
        let id = SymbolId::new(next);
        next += 1;
        let symbol = &extractor.binder.symbols[id];
        if symbol.definition != Definition::Undefined || symbol.is_host {
            continue;
        }
        let Some(shim) = shim(&symbol.name) else {
            continue;
        };
        let definition = match shim {
            Shim::Nothing => Definition::Synthetic(synthetic.push(SyntheticFunction {
                name: symbol.name.to_string(),
                signature: symbol.import.signature.unwrap_or(Signature::NOTHING),
                action: Action::ReturnZero,
            })),
            Shim::ZeroByte => Definition::Address(LinkerAddress::ZeroByte),
            Shim::Alias(targets) => {
                let mut found = None;
                for target in &targets {
                    found = extractor.request(target)?;
                    if found.is_some() {
                        break;
                    }
                }
                match found.map(|id| extractor.binder.symbols[id].definition.clone()) {
                    Some(definition @ Definition::Object(_)) => definition,
                    // Reported like any other undefined symbol, if live.
                    _ => continue,
                }
            }
        };
        extractor.binder.symbols[id].definition = definition;
    }
    Ok(())
}

/// What a symbol of the shim stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shim {
    /// Another name for the first of these symbols that a library defines.
    Alias(Vec<String>),
    /// A function that does nothing, or returns false.
    Nothing,
    /// A byte that is zero.
    ZeroByte,
}

/// What `name` stands for, if it belongs to the shim.
fn shim(name: &str) -> Option<Shim> {
    // Since 1.87: `_RNvCs<hash>_7___rustc<length>_<name>`.
    let (prefix, plain) = match name.find("_7___rustc") {
        Some(at) if name.starts_with("_RNvC") => {
            let (prefix, rest) = name.split_at(at + "_7___rustc".len());
            let plain = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            (Some(prefix), plain.strip_prefix('_').unwrap_or(plain))
        }
        _ => (None, name),
    };
    let alias = |targets: &[&str]| {
        let mangle = |target: &&str| match prefix {
            Some(prefix) => format!("{prefix}{}_{target}", target.len()),
            None => (*target).to_owned(),
        };
        Some(Shim::Alias(targets.iter().map(mangle).collect()))
    };
    match plain {
        "__rust_alloc" => alias(&["__rg_alloc", "__rdl_alloc"]),
        "__rust_dealloc" => alias(&["__rg_dealloc", "__rdl_dealloc"]),
        "__rust_realloc" => alias(&["__rg_realloc", "__rdl_realloc"]),
        "__rust_alloc_zeroed" => alias(&["__rg_alloc_zeroed", "__rdl_alloc_zeroed"]),
        "__rust_alloc_error_handler" => {
            alias(&["__rg_oom", "__rdl_oom", "__rdl_alloc_error_handler"])
        }
        "__rust_no_alloc_shim_is_unstable_v2" | "__rust_alloc_error_handler_should_panic_v2" => {
            Some(Shim::Nothing)
        }
        "__rust_no_alloc_shim_is_unstable" | "__rust_alloc_error_handler_should_panic" => {
            Some(Shim::ZeroByte)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_mangled_names() {
        assert_eq!(
            shim("__rust_alloc"),
            Some(Shim::Alias(vec!["__rg_alloc".into(), "__rdl_alloc".into()]))
        );
        let hash = "_RNvCsfLfy6EI15iL_7___rustc";
        assert_eq!(
            shim(&format!("{hash}14___rust_dealloc")),
            Some(Shim::Alias(vec![
                format!("{hash}12___rg_dealloc"),
                format!("{hash}13___rdl_dealloc"),
            ]))
        );
        assert_eq!(
            shim(&format!("{hash}35___rust_no_alloc_shim_is_unstable_v2")),
            Some(Shim::Nothing)
        );
        assert_eq!(
            shim("__rust_alloc_error_handler_should_panic"),
            Some(Shim::ZeroByte)
        );
        assert_eq!(shim("__rust_allocate"), None);
    }
}
