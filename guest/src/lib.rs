//! The guest's side of genkan: memory that the host grants.
//!
//! The host gives a guest a pointer, 64 bits that are no address. [`HostPtr`] reads
//! and writes what is behind it, and [`HostSlice`] does so with a length:
//!
//! ```ignore
//! use guest::HostPtr;
//!
//! #[no_mangle]
//! pub extern "C" fn total(data: HostPtr) -> f64 {
//!     // The region's bytes, in this guest's memory and not copied.
//!     let window = data.all().map();
//!     window.numbers::<f64>().unwrap().iter().sum()
//! }
//! ```
//!
//! The host checks each access. One that is wrong traps, and the host says what it
//! was: the `try_` functions give an [`Error`] instead. A guest of one's own that
//! declares `read` in an `extern` block needs nothing from here.
//!
//! Works without `std`, and from Rust 1.63 on.
#![no_std]
#![warn(missing_docs)]

mod host;
mod number;
mod pointer;
mod window;

pub use number::Number;
pub use pointer::{Error, HostPtr, HostSlice};
pub use window::{Window, WindowMut};
