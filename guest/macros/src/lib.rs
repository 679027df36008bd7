//! The attributes of `genkan_guest`'s feature `calls`. What they expand to is
//! written down in `guest/CALLS.md`, for those who do the same by hand.

mod export;
mod import;
mod types;

use proc_macro::TokenStream;

/// Exports a function to the host, with the types that it has in Rust.
///
/// ```ignore
/// #[genkan_guest::export]
/// fn transform(doc: &str, config: Config) -> Result<String, Failure> {
///     Ok(config.prefix + doc)
/// }
/// ```
///
/// The host calls it by its name; `#[genkan_guest::export(name = "…")]` gives it
/// another. Compiled for another machine than Wasm, the function is left as it is.
#[proc_macro_attribute]
pub fn export(attribute: TokenStream, item: TokenStream) -> TokenStream {
    export::expand(attribute.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// This package's own files, for a tool that hands them on: an expression of type
/// `&[(&str, &str)]`, of paths within `genkan_guest` and texts. (A package of macros
/// exports nothing else, and cargo packs none within another.)
#[doc(hidden)]
#[proc_macro]
pub fn files(_: TokenStream) -> TokenStream {
    const FILES: [(&str, &str); 5] = [
        ("macros/Cargo.toml", include_str!("../Cargo.toml")),
        ("macros/src/export.rs", include_str!("export.rs")),
        ("macros/src/import.rs", include_str!("import.rs")),
        ("macros/src/lib.rs", include_str!("lib.rs")),
        ("macros/src/types.rs", include_str!("types.rs")),
    ];
    let files = FILES.map(|(path, text)| quote::quote!((#path, #text)));
    quote::quote!(&[#(#files),*]).into()
}

/// Functions that the host offers, with the types that they have in Rust.
///
/// ```ignore
/// #[genkan_guest::import]
/// trait Host {
///     fn log(text: &str);
///     fn lookup(key: &str) -> Option<Vec<u8>>;
/// }
///
/// Host::log("hello");
/// ```
///
/// It makes a type of that name, with the functions. The host offers them in the
/// module `host`, or the one in `#[genkan_guest::import(module = "…")]`.
#[proc_macro_attribute]
pub fn import(attribute: TokenStream, item: TokenStream) -> TokenStream {
    import::expand(attribute.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
