//! The encodings of types that do not cross the border as they are.

use postcard::Deserializer;
use postcard::de_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value that crosses in the encoding that the guest has named: a result, or an
/// argument or a result of a function that is offered. Any type of serde's may be in
/// it. Arguments of a call are given as `&value`, without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Encoded<T>(pub T);

/// An encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Json,
    Postcard,
}

impl Codec {
    /// The codec of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "postcard" => Some(Self::Postcard),
            _ => None,
        }
    }

    pub(crate) fn encode<T: Serialize + ?Sized>(self, value: &T) -> Result<Vec<u8>, String> {
        match self {
            Self::Json => serde_json::to_vec(value).map_err(|e| e.to_string()),
            Self::Postcard => postcard::to_allocvec(value).map_err(|e| e.to_string()),
        }
    }

    pub(crate) fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, String> {
        match self {
            Self::Json => serde_json::from_slice(bytes).map_err(|e| e.to_string()),
            Self::Postcard => {
                let mut decoder = Deserializer::from_flavor(Bounded::new(bytes));
                let value = T::deserialize(&mut decoder).map_err(|e| e.to_string())?;
                match decoder.finalize().map_err(|e| e.to_string())? {
                    [] => Ok(value),
                    rest => Err(format!("{} bytes too many", rest.len())),
                }
            }
        }
    }
}

/// Postcard's bytes, for as long as decoding them does not use up the stack: a guest
/// can say that a tree is a million branches deep. (JSON has a limit of its own.)
struct Bounded<'a> {
    bytes: &'a [u8],
    /// An address in the frame that began.
    top: usize,
}

/// How much of the stack decoding may use, in bytes: a thread of Rust's has 2 MiB.
const MOST_STACK: usize = 256 << 10;

impl<'a> Bounded<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, top: here() }
    }
}

/// An address in the caller's frame, or near it.
#[inline(never)]
fn here() -> usize {
    let mark = 0u8;
    std::hint::black_box(&raw const mark) as usize
}

impl<'a> Flavor<'a> for Bounded<'a> {
    type Remainder = &'a [u8];
    type Source = &'a [u8];

    // Each level that a value has takes at least a byte to say so.
    fn pop(&mut self) -> postcard::Result<u8> {
        if here().abs_diff(self.top) > MOST_STACK {
            return Err(postcard::Error::SerdeDeCustom);
        }
        let (first, rest) = self
            .bytes
            .split_first()
            .ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.bytes = rest;
        Ok(*first)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.bytes.len())
    }

    fn try_take_n(&mut self, count: usize) -> postcard::Result<&'a [u8]> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn finalize(self) -> postcard::Result<&'a [u8]> {
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    enum Tree {
        Leaf,
        Branch(Box<Tree>),
    }

    #[test]
    fn a_tree_may_be_deep_but_not_without_end() {
        for codec in [Codec::Json, Codec::Postcard] {
            let deep = |depth: usize| match codec {
                Codec::Json => {
                    let open = r#"{"Branch":"#.repeat(depth);
                    format!("{open}\"Leaf\"{}", "}".repeat(depth)).into_bytes()
                }
                Codec::Postcard => [vec![1; depth], vec![0]].concat(),
            };
            let tree: Tree = codec.decode(&deep(1)).unwrap();
            assert_eq!(tree, Tree::Branch(Tree::Leaf.into()));
            codec.decode::<Tree>(&deep(100)).unwrap();
            codec.decode::<Tree>(&deep(1 << 20)).unwrap_err();
        }
    }

    #[test]
    fn claims_are_not_believed() {
        // A length of 2^32 - 1, and two bytes.
        let bytes = [0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2];
        Codec::Postcard.decode::<Vec<u64>>(&bytes).unwrap_err();
        Codec::Postcard.decode::<String>(&bytes).unwrap_err();
        Codec::Postcard.decode::<u8>(&[1, 2]).unwrap_err();
        Codec::Postcard.decode::<u8>(&[]).unwrap_err();
        Codec::Json.decode::<String>(b"\"open").unwrap_err();
    }
}
