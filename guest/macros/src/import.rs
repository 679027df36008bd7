//! `#[import]`.

use crate::types::{section, Crossing, Place};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::Parser as _;
use syn::{Error, FnArg, ItemTrait, LitStr, Pat, Result, ReturnType, TraitItem, TraitItemFn};

pub fn expand(attribute: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let module = module(attribute)?;
    let interface: ItemTrait = syn::parse2(item).map_err(|error| {
        Error::new(
            error.span(),
            format!("write the host's functions as `trait Host {{ fn name(…); }}`: {error}"),
        )
    })?;
    if !interface.generics.params.is_empty() || !interface.supertraits.is_empty() {
        return Err(Error::new_spanned(
            &interface.ident,
            "it is no trait but a list of functions: no generics, no supertraits",
        ));
    }
    let mut functions = Vec::new();
    for item in &interface.items {
        match item {
            TraitItem::Fn(function) => functions.push(declare(&module, &interface, function)?),
            other => return Err(Error::new_spanned(other, "only functions can be imported")),
        }
    }
    let (attributes, visibility, ident) = (&interface.attrs, &interface.vis, &interface.ident);
    Ok(quote! {
        #(#attributes)*
        #visibility struct #ident;

        impl #ident {
            #(#functions)*
        }
    })
}

fn declare(module: &str, interface: &ItemTrait, function: &TraitItemFn) -> Result<TokenStream> {
    let signature = &function.sig;
    if signature.asyncness.is_some()
        || matches!(signature.safety, syn::Safety::Unsafe(_))
        || signature.abi.is_some()
        || !signature.generics.params.is_empty()
        || function.default.is_some()
    {
        return Err(Error::new_spanned(
            signature,
            "the host has it: a plain `fn name(…) -> …;`, without a body",
        ));
    }
    let mut idents = Vec::new();
    let mut types = Vec::new();
    let mut params = Vec::new();
    for input in &signature.inputs {
        let FnArg::Typed(param) = input else {
            return Err(Error::new_spanned(
                input,
                "the host's functions have no `self`",
            ));
        };
        let Pat::Ident(pattern) = &*param.pat else {
            return Err(Error::new_spanned(&param.pat, "a name is needed here"));
        };
        idents.push(&pattern.ident);
        types.push(&*param.ty);
        params.push(Crossing::of(&param.ty, Place::Parameter)?);
    }
    let unit: syn::Type = syn::parse_quote!(());
    let (result, result_ty) = match &signature.output {
        ReturnType::Default => (Crossing::Unit, &unit),
        ReturnType::Type(_, ty) => (Crossing::of(ty, Place::Result)?, &**ty),
    };
    if has_reference(result_ty) {
        return Err(Error::new_spanned(
            result_ty,
            "the host's answer is copied into this guest: take it owned, as `String` or `Vec`",
        ));
    }

    let name = signature.ident.to_string().replace("r#", "");
    let section = section("import", &format!("{module}.{name}"), &params, &result);
    let plain = params.iter().all(Crossing::is_plain) && result.is_plain();
    let call = match plain {
        true => plain_call(module, &name, &idents, &types, &params, result_ty),
        false => record_call(module, &name, &idents, &params, &result, result_ty),
    };
    let (attributes, ident, output) = (&function.attrs, &signature.ident, &signature.output);
    let (visibility, inputs) = (&interface.vis, &signature.inputs);
    let path = format!("{module}.{name}");
    let offer = format_ident!("offer_{}", name);
    let about = format!("Offers `{path}` to this thread's tests.");
    Ok(quote! {
        #(#attributes)*
        #[allow(dead_code)]
        #visibility fn #ident(#inputs) #output {
            #[cfg(target_family = "wasm")]
            {
                #section
                #call
            }
            #[cfg(not(target_family = "wasm"))]
            {
                ::genkan_guest::native::call::<dyn Fn(#(#types),*) -> #result_ty, _>(
                    #path,
                    |function| function(#(#idents),*),
                )
            }
        }

        #[cfg(not(target_family = "wasm"))]
        #[doc = #about]
        #[allow(dead_code)]
        #visibility fn #offer(function: impl Fn(#(#types),*) -> #result_ty + 'static) {
            ::genkan_guest::native::offer::<dyn Fn(#(#types),*) -> #result_ty>(
                #path,
                ::std::rc::Rc::new(function),
            );
        }
    })
}

/// A function of Wasm values: imported as it is.
fn plain_call(
    module: &str,
    name: &str,
    idents: &[&syn::Ident],
    types: &[&syn::Type],
    params: &[Crossing],
    result: &syn::Type,
) -> TokenStream {
    let mut declared = Vec::new();
    let mut passed = Vec::new();
    for ((ident, ty), crossing) in idents.iter().zip(types).zip(params) {
        if !matches!(crossing, Crossing::Unit) {
            declared.push(quote!(#ident: #ty));
            passed.push(quote!(#ident));
        }
    }
    quote! {
        #[link(wasm_import_module = #module)]
        unsafe extern "C" {
            #[link_name = #name]
            fn call(#(#declared),*) -> #result;
        }
        // SAFETY: numbers come in and a number goes out; the host gives a `bool`
        // that is 0 or 1.
        unsafe { call(#(#passed),*) }
    }
}

/// Any other function: is passed the addresses of its arguments' record and of its
/// answer's.
fn record_call(
    module: &str,
    name: &str,
    idents: &[&syn::Ident],
    params: &[Crossing],
    result: &Crossing,
    result_ty: &syn::Type,
) -> TokenStream {
    let mut prepared = Vec::new();
    let mut put = Vec::new();
    for (index, (ident, crossing)) in idents.iter().zip(params).enumerate() {
        let param = format_ident!("p{index}");
        match crossing {
            Crossing::Encoded(_) => prepared.push(quote! {
                let #param = ::genkan_guest::calls::encoded::<crate::GenkanCodec, _>(&#ident);
                let #param: &[u8] = &#param;
            }),
            _ => prepared.push(quote!(let #param = #ident;)),
        }
        put.push(quote!(::genkan_guest::calls::Argument::put(&#param, &mut args);));
    }
    let slots: usize = params.iter().map(Crossing::slots).sum();
    let wire = result.wire_type(result_ty);
    let value = result.unwrap(quote!(answer));
    quote! {
        #[link(wasm_import_module = #module)]
        unsafe extern "C" {
            #[link_name = #name]
            fn call(args: *const u64, answer: *mut ::genkan_guest::calls::Answer);
        }
        #(#prepared)*
        #[allow(unused_mut)]
        let mut args = ::genkan_guest::calls::Slots::<#slots>::new();
        #(#put)*
        // SAFETY: the host reads the record of arguments, and fills in the answer's.
        let answer: #wire = ::genkan_guest::calls::ask(|answer| unsafe {
            call(args.as_ptr(), answer)
        });
        #value
    }
}

fn has_reference(ty: &syn::Type) -> bool {
    use quote::ToTokens as _;
    ty.to_token_stream().into_iter().any(|token| match token {
        proc_macro2::TokenTree::Punct(punct) => punct.as_char() == '&',
        _ => false,
    })
}

/// `module = "…"`; the module is `host` if there is none.
fn module(attribute: TokenStream) -> Result<String> {
    let mut module = "host".to_string();
    let parser = syn::meta::parser(|meta| {
        if !meta.path.is_ident("module") {
            return Err(meta.error("there is only `module = \"…\"`"));
        }
        let text: LitStr = meta.value()?.parse()?;
        if text.value().is_empty() || text.value().contains(|c: char| "(. \n".contains(c)) {
            return Err(Error::new_spanned(
                text,
                "a name without spaces, dots and brackets",
            ));
        }
        module = text.value();
        Ok(())
    });
    parser.parse2(attribute)?;
    Ok(module)
}
