//! `#[column_aggregate]`.

use crate::columns::{argument_names, line, parameters, result_names, tuple, Settings};
use crate::export::check;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Error, ImplItem, ImplItemFn, ItemImpl, ReceiverKind, Result, ReturnType, Type};

pub fn expand(attribute: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let settings = Settings::parse(attribute)?;
    let item: ItemImpl = syn::parse2(item)?;
    let aggregate = Aggregate::of(&item)?;
    let name = settings
        .name
        .unwrap_or_else(|| snake_case(&aggregate.ident));
    let line = line(
        "aggregate",
        &name,
        &settings.volatility,
        &aggregate.fields(),
    );
    let check = aggregate.merge_takes_the_state()?;
    let calls = aggregate.calls(&name);
    Ok(quote! {
        #item

        const _: () = {
            #line
            #check
            #[cfg(target_family = "wasm")]
            const _: () = {
                #calls
            };
        };
    })
}

struct Aggregate<'i> {
    /// The type, and its name.
    ty: &'i Type,
    ident: String,
    has_init: bool,
    update: Vec<&'i Type>,
    merge: Vec<&'i Type>,
    /// What `state` gives: the types in its tuple, or the one type.
    state: Vec<&'i Type>,
    is_tuple: bool,
    finish: &'i Type,
}

impl<'i> Aggregate<'i> {
    fn of(item: &'i ItemImpl) -> Result<Self> {
        let ty = &*item.self_ty;
        let ident = match ty {
            Type::Path(path) if item.trait_.is_none() => path.path.get_ident(),
            _ => None,
        };
        let Some(ident) = ident.filter(|_| item.generics.params.is_empty()) else {
            return Err(Error::new_spanned(
                ty,
                "an aggregate is an `impl` of a type without generics, and of no trait",
            ));
        };
        let method = |name: &str| method(item, name);
        let required = |name: &str, form: &str| {
            let missing = || Error::new_spanned(ty, format!("an aggregate has `{form}`"));
            method(name).ok_or_else(missing)
        };
        let update = required("update", "fn update(&mut self, …)")?;
        let merge = required("merge", "fn merge(&mut self, …)")?;
        let state = required("state", "fn state(&self) -> (…)")?;
        let finish = required("finish", "fn finish(&self) -> …")?;
        for (method, is_mut) in [
            (update, true),
            (merge, true),
            (state, false),
            (finish, false),
        ] {
            check(&method.sig)?;
            check_receiver(method, is_mut)?;
        }
        let (state, is_tuple) = match result(state)? {
            Type::Tuple(tuple) => (tuple.elems.iter().collect(), true),
            other => (vec![other], false),
        };
        Ok(Self {
            ty,
            ident: ident.to_string(),
            has_init: method("init").is_some(),
            update: parameters(update.sig.inputs.iter().skip(1))?,
            merge: parameters(merge.sig.inputs.iter().skip(1))?,
            state,
            is_tuple,
            finish: result(finish)?,
        })
    }

    fn fields(&self) -> [Vec<TokenStream>; 3] {
        [
            argument_names(&self.update),
            result_names(&[self.finish]),
            result_names(&self.state),
        ]
    }

    fn merge_takes_the_state(&self) -> Result<TokenStream> {
        const PROBLEM: &str = "merge takes what state gives: the same types, one by one";
        if self.merge.len() != self.state.len() {
            let place = self.merge.last().unwrap_or(&self.ty);
            return Err(Error::new_spanned(place, PROBLEM));
        }
        let checks = self.merge.iter().zip(&self.state).map(|(taken, given)| {
            let span = taken.span();
            let [taken] = &argument_names(&[taken])[..] else {
                return quote!();
            };
            let given = result_names(&[given]);
            quote_spanned! {span=>
                const _: () = assert!(
                    ::genkan_guest::columns::expanded::same_type(&[#taken], &[#(#given),*]),
                    #PROBLEM
                );
            }
        });
        Ok(quote!(#(#checks)*))
    }

    fn calls(&self, name: &str) -> TokenStream {
        let expanded = quote!(::genkan_guest::columns::expanded);
        let ty = self.ty;
        let initial = match self.has_init {
            true => quote!(<#ty>::init),
            false => quote!(<#ty as ::core::default::Default>::default),
        };
        let export = |function: &str| format!("column:{name}:{function}");
        let [new, update, merge, state] = ["new", "update", "merge", "state"].map(export);
        let [finish, remove, size, drop] = ["finish", "remove", "size", "drop"].map(export);
        let (updated, update_tuple) = tuple(&self.update);
        let (merged, merge_tuple) = tuple(&self.merge);
        let states = match self.is_tuple {
            true => quote!(state.state()),
            false => quote!((state.state(),)),
        };
        quote! {
            use #expanded::Batch;
            type Groups = #expanded::Groups<#ty>;

            #[unsafe(export_name = #new)]
            extern "C" fn new() -> *mut Groups {
                Groups::handle(#initial)
            }

            #[unsafe(export_name = #update)]
            extern "C" fn update(groups: &mut Groups, batch: &mut Batch) -> i32 {
                // SAFETY: the host passes what the section says; so it is below.
                unsafe {
                    #expanded::fold(groups, batch, |state: &mut #ty, #update_tuple| {
                        state.update(#(#updated),*)
                    })
                }
            }

            #[unsafe(export_name = #merge)]
            extern "C" fn merge(groups: &mut Groups, batch: &mut Batch) -> i32 {
                unsafe {
                    #expanded::fold(groups, batch, |state: &mut #ty, #merge_tuple| {
                        state.merge(#(#merged),*)
                    })
                }
            }

            #[unsafe(export_name = #state)]
            extern "C" fn state(groups: &mut Groups, batch: &mut Batch) -> i32 {
                unsafe { #expanded::fill_in(groups, batch, |state: &#ty| #states) }
            }

            #[unsafe(export_name = #finish)]
            extern "C" fn finish(groups: &mut Groups, batch: &mut Batch) -> i32 {
                unsafe { #expanded::fill_in(groups, batch, |state: &#ty| (state.finish(),)) }
            }

            #[unsafe(export_name = #remove)]
            extern "C" fn remove(groups: &mut Groups, count: u32) {
                groups.remove(count);
            }

            #[unsafe(export_name = #size)]
            extern "C" fn size(groups: &Groups) -> usize {
                groups.size()
            }

            #[unsafe(export_name = #drop)]
            unsafe extern "C" fn drop(groups: *mut Groups) {
                unsafe { Groups::drop(groups) }
            }
        }
    }
}

fn method<'i>(item: &'i ItemImpl, name: &str) -> Option<&'i ImplItemFn> {
    item.items.iter().find_map(|item| match item {
        ImplItem::Fn(method) if method.sig.ident == name => Some(method),
        _ => None,
    })
}

fn check_receiver(method: &ImplItemFn, is_mut: bool) -> Result<()> {
    let form = if is_mut { "&mut self" } else { "&self" };
    let kind = method.sig.receiver().map(|receiver| &receiver.kind);
    match kind {
        Some(ReceiverKind::Reference(_, _, mutability)) if mutability.is_some() == is_mut => Ok(()),
        _ => Err(Error::new_spanned(
            &method.sig,
            format!("`{}` of an aggregate takes `{form}`", method.sig.ident),
        )),
    }
}

fn result(method: &ImplItemFn) -> Result<&Type> {
    match &method.sig.output {
        ReturnType::Type(_, ty) => Ok(ty),
        ReturnType::Default => Err(Error::new_spanned(
            &method.sig,
            format!("`{}` of an aggregate gives something", method.sig.ident),
        )),
    }
}

/// `GeometricMean` as `geometric_mean`.
fn snake_case(ident: &str) -> String {
    let mut name = String::new();
    let mut before = '_';
    for c in ident.chars() {
        if c.is_uppercase() && before != '_' && !before.is_uppercase() {
            name.push('_');
        }
        name.extend(c.to_lowercase());
        before = c;
    }
    name
}
