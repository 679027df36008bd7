#![cfg_attr(doc, doc = include_str!("../README.md"))]
#![cfg_attr(not(doc), doc = "The guest's side of genkan.")]
#![no_std]
#![warn(missing_docs)]

#[cfg(any(feature = "calls", feature = "columns"))]
extern crate alloc;
#[cfg(all(feature = "calls", not(target_family = "wasm")))]
extern crate std;

#[cfg(feature = "calls")]
#[doc(hidden)]
pub mod calls;
#[cfg(feature = "columns")]
#[clippy::msrv = "1.82"]
pub mod columns;
#[cfg_attr(not(feature = "calls"), allow(dead_code))] // `take_answer`
mod host;
#[cfg(all(feature = "calls", not(target_family = "wasm")))]
pub mod native;
mod number;
mod numbers;
#[cfg(any(feature = "calls", feature = "columns"))]
mod owned;
mod pointer;
#[cfg(any(feature = "calls", feature = "columns"))]
#[doc(hidden)]
pub mod room;
#[cfg(any(feature = "calls", feature = "columns"))]
#[doc(hidden)]
pub mod section;
#[cfg(feature = "source")]
mod source;
mod window;

pub use number::{Atomic, Number};
pub use numbers::Numbers;
pub use pointer::{Error, HostPtr, HostSlice};
#[cfg(feature = "source")]
pub use source::{FILES, MACROS};
pub use window::{SharedWindow, SharedWindowMut, Window, WindowMut};

#[cfg(feature = "calls")]
pub use genkan_macros::{export, import};

#[cfg(feature = "columns")]
pub use genkan_macros::{column_aggregate, column_fn};

/// Names the codec of this crate, once and in its root: `Json` or `Postcard`, each
/// behind the feature of that name. All types that do not cross the border as they
/// are cross in its encoding, through serde.
///
/// ```ignore
/// genkan_guest::codec!(Json);
/// ```
#[cfg(feature = "calls")]
#[macro_export]
macro_rules! codec {
    ($codec:ident) => {
        #[allow(dead_code)]
        pub(crate) type GenkanCodec = $crate::calls::$codec;
    };
}
