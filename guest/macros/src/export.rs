//! `#[export]`.

use crate::types::{section, Crossing, Place};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::Parser as _;
use syn::{Error, FnArg, ItemFn, LitStr, Result, ReturnType, Signature};

pub fn expand(attribute: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function: ItemFn = syn::parse2(item)?;
    check(&function.sig)?;
    let ident = &function.sig.ident;
    let name = name(attribute)?.unwrap_or_else(|| ident.to_string().replace("r#", ""));

    let mut types = Vec::new();
    let mut params = Vec::new();
    for input in &function.sig.inputs {
        let FnArg::Typed(param) = input else {
            return Err(Error::new_spanned(input, "a method cannot be exported"));
        };
        let crossing = Crossing::of(&param.ty, Place::Parameter)?;
        if let (Crossing::Encoded(_), syn::Type::Reference(_)) = (&crossing, &*param.ty) {
            return Err(Error::new_spanned(
                &param.ty,
                "it is decoded for this call: take it by value, without `&`",
            ));
        }
        types.push(&*param.ty);
        params.push(crossing);
    }
    let result = match &function.sig.output {
        ReturnType::Default => Crossing::Unit,
        ReturnType::Type(_, ty) => Crossing::of(ty, Place::Result)?,
    };

    let section = section("export", &name, &params, &result);
    let plain = params.iter().all(Crossing::is_plain) && result.is_plain();
    let call = match plain {
        true => plain_call(&function, &name, &params),
        false => record_call(ident, &name, &types, &params, &result),
    };
    Ok(quote! {
        #function

        #[cfg(target_family = "wasm")]
        const _: () = {
            #section
            #call
        };
    })
}

/// A function of Wasm values: exported as it is.
fn plain_call(function: &ItemFn, name: &str, params: &[Crossing]) -> TokenStream {
    let ident = &function.sig.ident;
    let output = &function.sig.output;
    let mut declared = Vec::new();
    let mut passed = Vec::new();
    for (index, (input, crossing)) in function.sig.inputs.iter().zip(params).enumerate() {
        let FnArg::Typed(input) = input else { continue };
        let (param, ty) = (format_ident!("p{index}"), &input.ty);
        match crossing {
            Crossing::Unit => passed.push(quote!(())),
            // Whatever the caller passes is one or the other.
            Crossing::Plain("bool") => {
                declared.push(quote!(#param: u32));
                passed.push(quote!(#param != 0));
            }
            _ => {
                declared.push(quote!(#param: #ty));
                passed.push(quote!(#param));
            }
        }
    }
    quote! {
        #[unsafe(export_name = #name)]
        extern "C" fn call(#(#declared),*) #output {
            #ident(#(#passed),*)
        }
    }
}

/// Any other function: takes the address of its arguments' record, and gives that
/// of its answer's.
fn record_call(
    ident: &syn::Ident,
    name: &str,
    types: &[&syn::Type],
    params: &[Crossing],
    result: &Crossing,
) -> TokenStream {
    let mut taken = Vec::new();
    let mut passed = Vec::new();
    for (index, (ty, crossing)) in types.iter().zip(params).enumerate() {
        let param = format_ident!("p{index}");
        let wire = crossing.wire_type(ty);
        taken.push(quote! {
            // SAFETY: the host passes what the signature says.
            let #param: #wire = unsafe { ::genkan_guest::calls::Param::take(&mut args)? };
        });
        passed.push(crossing.unwrap(quote!(#param)));
    }
    let answer = result.wrap(quote!(#ident(#(#passed),*)));
    quote! {
        #[unsafe(export_name = #name)]
        extern "C" fn call(args: *const u64) -> *const ::genkan_guest::calls::Answer {
            #[allow(unused_mut, unused_variables)]
            let mut args = ::genkan_guest::calls::Arguments::new(&args);
            ::genkan_guest::calls::answer(move || {
                #(#taken)*
                ::core::result::Result::Ok(#answer)
            })
        }
    }
}

/// That the host can call it.
pub fn check(signature: &Signature) -> Result<()> {
    let problem = if signature.asyncness.is_some() {
        "an exported function cannot be async: nothing would poll it"
    } else if signature.generics.type_params().next().is_some()
        || signature.generics.const_params().next().is_some()
    {
        "an exported function cannot be generic: the host calls one function"
    } else if signature.variadic.is_some() || signature.abi.is_some() {
        "an exported function has Rust's own ABI: what is exported is made from it"
    } else if matches!(signature.safety, syn::Safety::Unsafe(_)) {
        "an exported function cannot be unsafe: the host keeps no promise of yours"
    } else {
        return Ok(());
    };
    Err(Error::new_spanned(signature, problem))
}

/// `name = "…"`, which goes into a line of the signatures.
fn name(attribute: TokenStream) -> Result<Option<String>> {
    let mut name = None;
    let parser = syn::meta::parser(|meta| {
        if !meta.path.is_ident("name") {
            return Err(meta.error("there is only `name = \"…\"`"));
        }
        let text: LitStr = meta.value()?.parse()?;
        if text.value().is_empty() || text.value().contains(|c: char| "( \n".contains(c)) {
            return Err(Error::new_spanned(
                text,
                "a name without spaces and brackets",
            ));
        }
        name = Some(text.value());
        Ok(())
    });
    parser.parse2(attribute)?;
    Ok(name)
}
