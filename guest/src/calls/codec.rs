//! Types that cross in an encoding.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::marker::PhantomData;
use serde_core::{Deserialize, Serialize};

/// How a guest encodes the types that do not cross the border as they are. One is
/// named in the crate's root, with [`codec!`](crate::codec).
pub trait Codec {
    /// Its name in signatures.
    const NAME: &'static str;
    /// The bytes of a value, or why it has none.
    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, String>;
    /// The value of some bytes, or why they are none.
    fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String>;
}

/// JSON, through `serde_json`.
#[cfg(feature = "json")]
pub struct Json;

#[cfg(feature = "json")]
impl Codec for Json {
    const NAME: &'static str = "json";

    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
        serde_json::to_vec(value).map_err(|error| format!("{error}"))
    }

    fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
        serde_json::from_slice(bytes).map_err(|error| format!("{error}"))
    }
}

/// Postcard, a compact encoding: its format 1.
#[cfg(feature = "postcard")]
pub struct Postcard;

#[cfg(feature = "postcard")]
impl Codec for Postcard {
    const NAME: &'static str = "postcard";

    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
        postcard::to_allocvec(value).map_err(|error| format!("{error}"))
    }

    fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
        match postcard::take_from_bytes(bytes) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => Err(format!("{} bytes too many", rest.len())),
            Err(error) => Err(format!("{error}")),
        }
    }
}

/// A value that crosses in an encoding.
pub struct Encoded<T, C>(pub(super) T, PhantomData<C>);

impl<T, C> Encoded<T, C> {
    /// To be encoded.
    pub fn new(value: T) -> Self {
        Self(value, PhantomData)
    }

    /// As it was decoded.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// An argument for the host, encoded.
pub fn encoded<C: Codec, T: Serialize>(value: &T) -> Vec<u8> {
    match C::encode(value) {
        Ok(bytes) => bytes,
        Err(error) => panic!("an argument cannot be encoded: {error}"),
    }
}
