#![cfg_attr(doc, doc = include_str!("../README.md"))]
#![cfg_attr(not(doc), doc = "The guest's side of genkan.")]
#![no_std]
#![warn(missing_docs)]

mod host;
mod number;
mod pointer;
#[cfg(feature = "source")]
mod source;
mod window;

pub use number::Number;
pub use pointer::{Error, HostPtr, HostSlice};
#[cfg(feature = "source")]
pub use source::FILES;
pub use window::{Window, WindowMut};
