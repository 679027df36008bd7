//! The attributes of `genkan_guest`'s features `calls` and `columns`. What they expand to
//! is written down in `guest/CALLS.md` and `guest/COLUMNS.md`, for those who do the same by
//! hand.

mod column_aggregate;
mod column_fn;
mod columns;
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

/// Offers a function over columns to the host, which calls it for a batch of rows.
///
/// ```ignore
/// #[genkan_guest::column_fn]
/// fn gcd(a: i64, b: i64) -> i64 {
///     if b == 0 { a } else { gcd(b, a % b) }
/// }
///
/// #[genkan_guest::column_fn(name = "percent", volatility = "stable")]
/// fn of_hundred(part: f64, all: Option<f64>) -> Result<Option<f64>, String> {
///     match all {
///         Some(all) if all < part => Err(format!("{part} is more than all, {all}")),
///         all => Ok(all.map(|all| 100.0 * part / all)),
///     }
/// }
/// ```
///
/// - Arguments are numbers, `bool`, `&str`, `&[u8]`, and the types of
///   `genkan_guest::columns`. A row with a null there has no call, and a null as its result;
///   an `Option` of these takes nulls.
/// - Results are the same, `String` and `Vec<u8>`; an `Option` of one, which may be null; a
///   `Result` of these, whose error implements `Display` and ends the query, with the row. In
///   place of returning text, a function can write it into a last argument of type
///   `&mut String` or `&mut Vec<u8>`, which is empty for each row.
/// - A function of `Column`s with a last argument of type `&mut Output` is called once for
///   all rows of a batch.
/// - `volatility` is `"immutable"` if nothing else is said: the same arguments always give
///   the same. `"stable"`: within one query. `"volatile"`: not even there.
///
/// The function can still be called; compiled for another machine than Wasm, it is left as
/// it is.
#[proc_macro_attribute]
pub fn column_fn(attribute: TokenStream, item: TokenStream) -> TokenStream {
    column_fn::expand(attribute.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Offers an aggregate over columns to the host: a type, of which there is a value for each
/// group.
///
/// ```ignore
/// #[derive(Default)]
/// struct GeometricMean {
///     logs: f64,
///     count: u64,
/// }
///
/// #[genkan_guest::column_aggregate]
/// impl GeometricMean {
///     fn update(&mut self, value: f64) {
///         self.merge(value.ln(), 1);
///     }
///     fn state(&self) -> (f64, u64) {
///         (self.logs, self.count)
///     }
///     fn merge(&mut self, logs: f64, count: u64) {
///         self.logs += logs;
///         self.count += count;
///     }
///     fn finish(&self) -> Option<f64> {
///         (self.count > 0).then(|| (self.logs / self.count as f64).exp())
///     }
/// }
/// ```
///
/// A group begins as the type's `Default`, or what `fn init() -> Self` gives. `update` is
/// called for each row, with arguments as those of a `column_fn`; `state` says what has to be
/// known of a group where it goes on, and `merge` takes that there; `finish` gives the
/// result. `update` and `merge` may give a `Result<(), E>`. Its name is the type's, as in
/// `geometric_mean`, or the one in `name = "…"`; `volatility` is as with `column_fn`.
#[proc_macro_attribute]
pub fn column_aggregate(attribute: TokenStream, item: TokenStream) -> TokenStream {
    column_aggregate::expand(attribute.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// This package's own files, for a tool that hands them on: an expression of type
/// `&[(&str, &str)]`, of paths within `genkan_guest` and texts. (A package of macros
/// exports nothing else, and cargo packs none within another.)
#[doc(hidden)]
#[proc_macro]
pub fn files(_: TokenStream) -> TokenStream {
    const FILES: [(&str, &str); 8] = [
        ("macros/Cargo.toml", include_str!("../Cargo.toml")),
        (
            "macros/src/column_aggregate.rs",
            include_str!("column_aggregate.rs"),
        ),
        ("macros/src/column_fn.rs", include_str!("column_fn.rs")),
        ("macros/src/columns.rs", include_str!("columns.rs")),
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
