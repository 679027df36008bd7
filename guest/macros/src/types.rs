//! How a type crosses the border: as itself, or through the codec.

use proc_macro2::TokenStream;
use quote::{quote, ToTokens as _};
use syn::{Error, GenericArgument, PathArguments, Result, Type};

/// How a type crosses.
pub enum Crossing {
    /// One Wasm value. The word is the signature's.
    Plain(&'static str),
    /// Text or numbers in a row, by address and length.
    Row(&'static str),
    /// `HostSlice`: a pointer of the host's and a length.
    Slice,
    Unit,
    Option(Box<Crossing>),
    Result(Box<Crossing>, Box<Crossing>),
    /// Any other type, through the codec; with its text.
    Encoded(String),
}

/// A parameter's type is borrowed by the function, a result's given away.
#[derive(Clone, Copy, PartialEq)]
pub enum Place {
    Parameter,
    Result,
}

impl Crossing {
    pub fn of(ty: &Type, place: Place) -> Result<Self> {
        match ty {
            Type::Paren(inner) => Self::of(&inner.elem, place),
            Type::Group(inner) => Self::of(&inner.elem, place),
            Type::Tuple(tuple) if tuple.elems.is_empty() => Ok(Self::Unit),
            Type::Reference(reference) => match &*reference.elem {
                _ if reference.mutability.is_some() => Err(Error::new_spanned(
                    ty,
                    "what crosses the border is copied: it cannot be `&mut`",
                )),
                Type::Slice(slice) => match number(&slice.elem) {
                    Some(number) => Ok(Self::Row(row(number))),
                    None => Ok(Self::Encoded(text(ty))),
                },
                Type::Path(path) if path.path.is_ident("str") => Ok(Self::Row("str")),
                _ => Ok(Self::Encoded(text(ty))),
            },
            Type::Path(path) if path.qself.is_none() => Self::of_path(ty, path, place),
            Type::Tuple(_) | Type::Array(_) | Type::Path(_) => Ok(Self::Encoded(text(ty))),
            _ => Err(Error::new_spanned(
                ty,
                "a value of this type cannot cross the border",
            )),
        }
    }

    fn of_path(ty: &Type, path: &syn::TypePath, place: Place) -> Result<Self> {
        let Some(last) = path.path.segments.last() else {
            return Ok(Self::Encoded(text(ty)));
        };
        let name = last.ident.to_string();
        let arguments: Vec<&Type> = match &last.arguments {
            PathArguments::AngleBracketed(list) => list
                .args
                .iter()
                .filter_map(|argument| match argument {
                    GenericArgument::Type(ty) => Some(ty),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        match (&*name, &arguments[..]) {
            ("bool", []) => Ok(Self::Plain("bool")),
            ("HostPtr", []) => Ok(Self::Plain("pointer")),
            ("HostSlice", []) => Ok(Self::Slice),
            ("String", []) => Ok(Self::Row("str")),
            ("Vec", [element]) => match number(element) {
                Some(number) => Ok(Self::Row(row(number))),
                None => Ok(Self::Encoded(text(ty))),
            },
            ("Option", [inner]) => Ok(match Self::of(inner, place)? {
                Self::Encoded(_) if place == Place::Parameter => Self::Encoded(text(ty)),
                inner => Self::Option(Box::new(inner)),
            }),
            ("Result", [ok, error]) if place == Place::Result => Ok(Self::Result(
                Box::new(Self::of(ok, place)?),
                Box::new(Self::of(error, place)?),
            )),
            ("Result", [_]) if place == Place::Result => Err(Error::new_spanned(
                ty,
                "the host must know the error's type: write `Result<T, E>`",
            )),
            (_, []) => match number(ty) {
                Some(number) => Ok(Self::Plain(number)),
                None => Ok(Self::Encoded(text(ty))),
            },
            _ => Ok(Self::Encoded(text(ty))),
        }
    }

    /// Whether it is a Wasm value, or nothing.
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_) | Self::Unit)
    }

    /// How many slots it takes in a record of arguments.
    pub fn slots(&self) -> usize {
        match self {
            Self::Unit => 0,
            Self::Slice => 2,
            Self::Option(inner) => 1 + inner.slots(),
            _ => 1,
        }
    }

    /// The parts of its text in the signature, each a `&'static str`.
    pub fn signature(&self, parts: &mut Vec<TokenStream>) {
        match self {
            Self::Plain(name) | Self::Row(name) => parts.push(quote!(#name)),
            Self::Slice => parts.push(quote!("slice")),
            Self::Unit => parts.push(quote!("()")),
            Self::Option(inner) => {
                parts.push(quote!("Option<"));
                inner.signature(parts);
                parts.push(quote!(">"));
            }
            Self::Result(ok, error) => {
                parts.push(quote!("Result<"));
                ok.signature(parts);
                parts.push(quote!(", "));
                error.signature(parts);
                parts.push(quote!(">"));
            }
            Self::Encoded(text) => {
                let text = format!("<{text}>");
                parts.push(quote!(
                    <crate::GenkanCodec as ::genkan_guest::calls::Codec>::NAME
                ));
                parts.push(quote!(#text));
            }
        }
    }

    /// The type that crosses in place of `ty`.
    pub fn wire_type(&self, ty: &Type) -> TokenStream {
        match self {
            Self::Encoded(_) => quote!(::genkan_guest::calls::Encoded<#ty, crate::GenkanCodec>),
            Self::Option(inner) => {
                let inner = inner.wire_type(argument(ty, 0));
                quote!(::core::option::Option<#inner>)
            }
            Self::Result(ok, error) => {
                let ok = ok.wire_type(argument(ty, 0));
                let error = error.wire_type(argument(ty, 1));
                quote!(::core::result::Result<#ok, #error>)
            }
            _ => ty.to_token_stream(),
        }
    }

    /// The value that crosses, from one of the type as written.
    pub fn wrap(&self, value: TokenStream) -> TokenStream {
        match self {
            _ if !self.has_encoded() => value,
            Self::Encoded(_) => quote!(
                ::genkan_guest::calls::Encoded::<_, crate::GenkanCodec>::new(#value)
            ),
            Self::Option(inner) => {
                let inner = inner.wrap(quote!(value));
                quote!((#value).map(|value| #inner))
            }
            Self::Result(ok, error) => {
                let (ok, error) = (ok.wrap(quote!(value)), error.wrap(quote!(value)));
                quote!((#value).map(|value| #ok).map_err(|value| #error))
            }
            _ => value,
        }
    }

    /// The value as written, from what crossed.
    pub fn unwrap(&self, value: TokenStream) -> TokenStream {
        match self {
            _ if !self.has_encoded() => value,
            Self::Encoded(_) => quote!((#value).into_inner()),
            Self::Option(inner) => {
                let inner = inner.unwrap(quote!(value));
                quote!((#value).map(|value| #inner))
            }
            Self::Result(ok, error) => {
                let (ok, error) = (ok.unwrap(quote!(value)), error.unwrap(quote!(value)));
                quote!((#value).map(|value| #ok).map_err(|value| #error))
            }
            _ => value,
        }
    }

    fn has_encoded(&self) -> bool {
        match self {
            Self::Encoded(_) => true,
            Self::Option(inner) => inner.has_encoded(),
            Self::Result(ok, error) => ok.has_encoded() || error.has_encoded(),
            _ => false,
        }
    }
}

/// The `n`th type in the angle brackets of a path, which has it.
fn argument(ty: &Type, n: usize) -> &Type {
    let Type::Path(path) = ty else { return ty };
    let Some(PathArguments::AngleBracketed(list)) =
        path.path.segments.last().map(|segment| &segment.arguments)
    else {
        return ty;
    };
    let mut types = list.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.nth(n).unwrap_or(ty)
}

/// The name of a number's type.
fn number(ty: &Type) -> Option<&'static str> {
    const NUMBERS: [&str; 10] = [
        "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64",
    ];
    let Type::Path(path) = ty else { return None };
    NUMBERS.into_iter().find(|name| path.path.is_ident(name))
}

fn row(number: &str) -> &'static str {
    match number {
        "u8" => "[u8]",
        "i8" => "[i8]",
        "u16" => "[u16]",
        "i16" => "[i16]",
        "u32" => "[u32]",
        "i32" => "[i32]",
        "u64" => "[u64]",
        "i64" => "[i64]",
        "f32" => "[f32]",
        _ => "[f64]",
    }
}

/// A type's text, with no space that is not needed.
fn text(ty: &Type) -> String {
    let tokens = ty.to_token_stream().to_string();
    let mut text = String::new();
    let mut characters = tokens.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied().unwrap_or(' ');
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let last = text.chars().last().unwrap_or(' ');
        // Between words, and after a comma; all other spaces are the printer's.
        let needed = (word(last) && word(next)) || last == ',';
        match character {
            c if c.is_whitespace() => {
                if needed {
                    text.push(' ');
                }
            }
            // The signature's lines end so.
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    text
}

/// `kind name(types) -> type`: a static in the module's section of signatures.
pub fn section(kind: &str, name: &str, params: &[Crossing], result: &Crossing) -> TokenStream {
    let start = format!("{kind} {name}(");
    let mut parts = vec![quote!(#start)];
    for (index, param) in params.iter().enumerate() {
        if index > 0 {
            parts.push(quote!(", "));
        }
        param.signature(&mut parts);
    }
    parts.push(quote!(")"));
    if !matches!(result, Crossing::Unit) {
        parts.push(quote!(" -> "));
        result.signature(&mut parts);
    }
    parts.push(quote!("\n"));
    static_text("genkan.calls.1", &parts)
}

/// Texts, one behind the other, in a custom section. That they are there is checked on
/// every machine.
pub fn static_text(section: &str, parts: &[TokenStream]) -> TokenStream {
    quote! {
        #[allow(dead_code)]
        const PARTS: &[&str] = &[#(#parts),*];
        #[cfg(target_family = "wasm")]
        #[unsafe(link_section = #section)]
        static SIGNATURE: [u8; ::genkan_guest::section::joined_len(PARTS)] =
            ::genkan_guest::section::joined(PARTS);
    }
}
