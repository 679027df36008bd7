//! `#[column_fn]`.

use crate::columns::{
    argument_names, line, named, parameters, result_names, tuple, with_lifetime, Settings,
};
use crate::export::check;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemFn, Result, ReturnType, Type};

pub fn expand(attribute: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let settings = Settings::parse(attribute)?;
    let function: ItemFn = syn::parse2(item)?;
    check(&function.sig)?;
    let ident = &function.sig.ident;
    let name = match settings.name {
        Some(name) => name,
        None => ident.to_string().replace("r#", ""),
    };
    let types = parameters(&function.sig.inputs)?;
    let form = Form::of(&types, &function)?;
    let fields = form.fields(&types)?;
    let line = line("scalar", &name, &settings.volatility, &fields);
    let export = format!("column:{name}");
    let call = form.call(ident, &types);
    // What is called once for all rows has its loops within it.
    let simd = match form {
        Form::Vectorised(_) => {
            quote!(#[cfg_attr(target_family = "wasm", target_feature(enable = "simd128"))])
        }
        _ => quote!(),
    };
    Ok(quote! {
        #simd
        #function

        const _: () = {
            #line
            #[cfg(target_family = "wasm")]
            #[unsafe(export_name = #export)]
            extern "C" fn call(batch: &mut ::genkan_guest::columns::expanded::Batch) -> i32 {
                // SAFETY: the host passes what the section says.
                unsafe { #call }
            }
        };
    })
}

/// How a function gives its result.
enum Form {
    /// For each row, by returning it.
    Returns(Type),
    /// For each row, by writing into its last parameter: `&mut String` or `&mut Vec<u8>`.
    Writes { bytes: bool, result: Option<Type> },
    /// For all rows, in its last parameter: an `Output` of this type.
    Vectorised(Type),
}

impl Form {
    fn of(types: &[&Type], function: &ItemFn) -> Result<Self> {
        let result = match &function.sig.output {
            ReturnType::Default => None,
            ReturnType::Type(_, ty) => Some(&**ty),
        };
        let columns = |ty: &&&Type| matches!(named(ty), Some((name, _)) if name == "Column");
        let column = types.iter().find(columns);
        let last = types.last().and_then(|ty| written(ty));
        match (last, result) {
            (Some(("Output", elements)), _) => match elements[..] {
                [element] => Ok(Self::Vectorised(element.clone())),
                _ => Err(Error::new_spanned(types.last(), "write `&mut Output<T>`")),
            },
            _ if column.is_some() => Err(Error::new_spanned(
                column,
                "a function of Columns has its result in a last argument: `&mut Output<T>`",
            )),
            (Some((name, _)), result) => Ok(Self::Writes {
                bytes: name == "Vec",
                result: result.cloned(),
            }),
            (None, Some(result)) => Ok(Self::Returns(result.clone())),
            (None, None) => Err(Error::new_spanned(
                &function.sig,
                "a function over columns gives a result: a number, bool, String, Vec<u8>, an \
                 Option or a Result of one; or it writes it into a last argument, of type &mut \
                 String, &mut Vec<u8> or &mut Output<T>",
            )),
        }
    }

    fn fields(&self, types: &[&Type]) -> Result<[Vec<TokenStream>; 2]> {
        let arguments = &types[..types.len() - self.last()];
        let expanded = quote!(::genkan_guest::columns::expanded);
        Ok(match self {
            Self::Returns(result) => [argument_names(arguments), result_names(&[result])],
            Self::Writes { bytes, result } => {
                let name = if *bytes { "Binary" } else { "Utf8" };
                let nulls = match result {
                    Some(ty) => {
                        let ty = with_lifetime(ty, "'static");
                        quote!(#expanded::nullable(<#ty as #expanded::Returned>::NULLS))
                    }
                    None => quote!(""),
                };
                [argument_names(arguments), vec![quote!(#name), nulls]]
            }
            Self::Vectorised(element) => {
                let mut parts = Vec::new();
                for ty in arguments {
                    let element = element_of(ty)?;
                    if !parts.is_empty() {
                        parts.push(quote!(";"));
                    }
                    parts.push(quote!(<#element as #expanded::Element>::NAME, "?"));
                }
                let result = quote!(<#element as #expanded::Element>::NAME, "?");
                [parts, vec![result]]
            }
        })
    }

    /// How many of the parameters are for the result.
    fn last(&self) -> usize {
        match self {
            Self::Returns(_) => 0,
            _ => 1,
        }
    }

    fn call(&self, ident: &syn::Ident, types: &[&Type]) -> TokenStream {
        let arguments = &types[..types.len() - self.last()];
        let (names, tuple) = tuple(arguments);
        let expanded = quote!(::genkan_guest::columns::expanded);
        match self {
            Self::Returns(result) => {
                let result = with_lifetime(result, "'static");
                let value = quote!(<#result as #expanded::Returned>::Value);
                quote! {
                    #expanded::by_row(batch, |#tuple, _: &mut <#value as #expanded::Give>::Sink| {
                        #ident(#(#names),*)
                    })
                }
            }
            Self::Writes { bytes, .. } => {
                let sink = match bytes {
                    true => quote!(#expanded::BytesSink),
                    false => quote!(#expanded::TextSink),
                };
                quote! {
                    #expanded::by_row(batch, |#tuple, sink: &mut #sink| {
                        #ident(#(#names,)* sink.row())
                    })
                }
            }
            Self::Vectorised(_) => {
                let index = 0..arguments.len();
                quote! {
                    #expanded::vectorised(batch, |batch, output| {
                        #ident(#(batch.argument(#index),)* output)
                    })
                }
            }
        }
    }
}

/// The name of the type that a last parameter refers to if the result is written there.
fn written(ty: &Type) -> Option<(&'static str, Vec<&Type>)> {
    let Type::Reference(reference) = ty else {
        return None;
    };
    reference.mutability?;
    let (name, arguments) = named(&reference.elem)?;
    let name = ["Output", "String", "Vec"]
        .into_iter()
        .find(|it| *it == name)?;
    Some((name, arguments))
}

fn element_of(ty: &Type) -> Result<&Type> {
    match named(ty) {
        Some((name, elements)) if name == "Column" && elements.len() == 1 => Ok(elements[0]),
        _ => Err(Error::new_spanned(
            ty,
            "beside `&mut Output<T>`, arguments are of type `Column<T>`",
        )),
    }
}
