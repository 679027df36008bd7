//! What functions over columns and aggregates have in common.

use crate::types::static_text;
use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{format_ident, quote, quote_spanned, ToTokens as _, TokenStreamExt as _};
use syn::parse::Parser as _;
use syn::spanned::Spanned as _;
use syn::{Error, FnArg, Lifetime, LitStr, Result, Type};

/// What is in the attribute's parentheses.
pub struct Settings {
    pub name: Option<String>,
    pub volatility: String,
}

impl Settings {
    pub fn parse(attribute: TokenStream) -> Result<Self> {
        let mut settings = Self {
            name: None,
            volatility: "immutable".into(),
        };
        let parser = syn::meta::parser(|meta| {
            if meta.path.is_ident("name") {
                let text: LitStr = meta.value()?.parse()?;
                check_name(&text.value(), &text)?;
                settings.name = Some(text.value());
            } else if meta.path.is_ident("volatility") {
                let text: LitStr = meta.value()?.parse()?;
                settings.volatility = text.value();
                if !["immutable", "stable", "volatile"].contains(&&*settings.volatility) {
                    return Err(Error::new_spanned(
                        text,
                        "there are \"immutable\", \"stable\" and \"volatile\"",
                    ));
                }
            } else {
                return Err(meta.error("there are `name = \"…\"` and `volatility = \"…\"`"));
            }
            Ok(())
        });
        parser.parse2(attribute)?;
        Ok(settings)
    }
}

fn check_name(name: &str, place: &LitStr) -> Result<()> {
    let is_fine = |c: char| c.is_alphanumeric() || c == '_';
    match !name.is_empty() && name.chars().all(is_fine) {
        true => Ok(()),
        false => Err(Error::new_spanned(place, "a name of letters, digits and _")),
    }
}

/// The types of a function's parameters, but for `self`.
pub fn parameters<'f>(inputs: impl IntoIterator<Item = &'f FnArg>) -> Result<Vec<&'f Type>> {
    let typed = |input: &'f FnArg| match input {
        FnArg::Typed(input) if is_static(&input.ty) => Err(Error::new_spanned(
            &input.ty,
            "an argument lives as long as the call: leave `'static` out",
        )),
        FnArg::Typed(input) => Ok(&*input.ty),
        FnArg::Receiver(_) => Err(Error::new_spanned(
            input,
            "a method is no function over columns; column_aggregate is for types",
        )),
    };
    inputs.into_iter().map(typed).collect()
}

/// Whether it has a `&'static`.
fn is_static(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else {
        return false;
    };
    let lifetime = reference.lifetime.as_ref();
    lifetime.is_some_and(|lifetime| lifetime.ident == "static")
}

/// The last part of a path's name, and what is in its angle brackets.
pub fn named(ty: &Type) -> Option<(String, Vec<&Type>)> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    let arguments = match &last.arguments {
        syn::PathArguments::AngleBracketed(list) => list.args.iter().collect(),
        _ => Vec::new(),
    };
    let types = arguments.into_iter().filter_map(|argument| match argument {
        syn::GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    Some((last.ident.to_string(), types.collect()))
}

/// The type with all lifetimes `lifetime`, those that are not written too.
pub fn with_lifetime(ty: &Type, lifetime: &str) -> TokenStream {
    replace(ty.to_token_stream(), lifetime)
}

fn replace(tokens: TokenStream, lifetime: &str) -> TokenStream {
    let mut replaced = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                // Its name.
                tokens.next();
                replaced.extend(Lifetime::new(lifetime, punct.span()).into_token_stream());
            }
            TokenTree::Punct(punct) if punct.as_char() == '&' => {
                let span = punct.span();
                replaced.append(punct);
                let has_one =
                    matches!(tokens.peek(), Some(TokenTree::Punct(it)) if it.as_char() == '\'');
                if !has_one {
                    replaced.extend(Lifetime::new(lifetime, span).into_token_stream());
                }
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), replace(group.stream(), lifetime));
                inner.set_span(group.span());
                replaced.append(inner);
            }
            other => replaced.append(other),
        }
    }
    replaced
}

/// The names of parameters, and the tuple of them with its type.
pub fn tuple(types: &[&Type]) -> (Vec<syn::Ident>, TokenStream) {
    let names: Vec<_> = (0..types.len())
        .map(|index| format_ident!("p{index}"))
        .collect();
    let types = types.iter().map(|ty| with_lifetime(ty, "'_"));
    let tuple = quote!((#(#names,)*): (#(#types,)*));
    (names, tuple)
}

/// The texts of arguments' types in the section: each a `&'static str`.
pub fn argument_names(types: &[&Type]) -> Vec<TokenStream> {
    let expanded = quote!(::genkan_guest::columns::expanded);
    let names = types.iter().map(|ty| {
        let span = ty.span();
        let ty = with_lifetime(ty, "'static");
        let argument = quote_spanned!(span=> <#ty as #expanded::Argument>);
        quote_spanned!(span=> #argument::NAME, #expanded::nullable(#argument::NULLS))
    });
    separated(names)
}

/// The same of results' types.
pub fn result_names(types: &[&Type]) -> Vec<TokenStream> {
    let expanded = quote!(::genkan_guest::columns::expanded);
    let names = types.iter().map(|ty| {
        let span = ty.span();
        let ty = with_lifetime(ty, "'static");
        let returned = quote_spanned!(span=> <#ty as #expanded::Returned>);
        quote_spanned! {span=>
            <#returned::Value as #expanded::Give>::NAME,
            #expanded::nullable(#returned::NULLS)
        }
    });
    separated(names)
}

fn separated(names: impl Iterator<Item = TokenStream>) -> Vec<TokenStream> {
    let mut parts = Vec::new();
    for (index, name) in names.enumerate() {
        if index > 0 {
            parts.push(quote!(";"));
        }
        parts.push(name);
    }
    parts
}

/// A line of the section.
pub fn line(kind: &str, name: &str, volatility: &str, fields: &[Vec<TokenStream>]) -> TokenStream {
    let mut parts = vec![format!("{kind}\t{name}\t{volatility}").into_token_stream()];
    for field in fields {
        parts.push(quote!("\t"));
        parts.extend_from_slice(field);
    }
    parts.push(quote!("\n"));
    static_text("genkan.columns.1", &parts)
}
