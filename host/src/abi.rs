//! The functions that guests can import of the host, beside WASI's: the one table.
//!
//! `guest/src/host.rs`, `guest/include/genkan.h`, the reads and writes in
//! `engine/carried/access.wat` and `ABI.md` are written from it, and
//! `tests/interface.rs` checks that they are; the environment variable `BLESS=1` has
//! it write them anew. That test reads this file as well, so it knows of no other.

#![allow(dead_code, reason = "the library needs no documentation of them")]

use Type::{Bytes, BytesMut, I32, I64, Pointer, Size, U32, U64};

/// A function that guests can import.
pub(crate) struct Function {
    pub(crate) module: &'static str,
    pub(crate) name: &'static str,
    pub(crate) params: &'static [(&'static str, Type)],
    pub(crate) result: Option<Type>,
    pub(crate) source: Source,
    /// What it does, for the header and the documentation.
    pub(crate) doc: &'static str,
}

/// What a parameter is; all but the pointer and the numbers of 64 bits are an `i32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// A pointer to a granted region: 64 bits.
    Pointer,
    U32,
    I32,
    U64,
    I64,
    /// A length in the guest's own memory.
    Size,
    /// An address in the guest's own memory, for reading.
    Bytes,
    /// An address in the guest's own memory, for writing.
    BytesMut,
}

/// Where a function comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The carried module of reads and writes.
    Access,
    /// The carried module of copies, or a host function in its place for a guest
    /// whose memory it cannot import.
    Copy,
    /// A function of the host's.
    Host,
}

/// The Wasm types of what else the host makes for a guest: `fault`, which the carried
/// modules call, WASI's functions, and those with records of arguments.
pub(crate) const OTHER_TYPES: [(&[Type], Option<Type>); 7] = [
    (&[I64, I32, I32, I32], None),
    (&[I32, I32, I32, I32], Some(I32)),
    (&[I32, I32], Some(I32)),
    (&[I32, I64, I32], Some(I32)),
    (&[], Some(I32)),
    (&[I32], None),
    (&[I32, I32], None),
];

/// The function of this name.
pub(crate) fn function(module: &str, name: &str) -> Option<&'static Function> {
    FUNCTIONS
        .iter()
        .find(|function| function.module == module && function.name == name)
}

/// What `check` gives, and `try_map` when negated.
pub(crate) const STATUS: [(&str, i32, &str); 7] = [
    ("OK", 0, ""),
    ("BAD_POINTER", 1, "never given, or its region was revoked"),
    ("OUT_OF_BOUNDS", 2, "beyond the region's end"),
    ("READ_ONLY", 3, "granted for reading"),
    ("NO_ROOM", 4, "for a window, in the guest's memory"),
    ("IN_WINDOW", 5, "a window is in the way"),
    ("SHARED", 6, "granted for sharing, so it is no slice"),
];

/// All of them.
pub(crate) const FUNCTIONS: &[Function] = &[
    Function {
        module: "env",
        name: "read",
        params: &[("pointer", Pointer), ("offset", U32)],
        result: Some(U32),
        source: Source::Access,
        doc: "The byte at the pointer and `offset` bytes further on.",
    },
    Function {
        module: "env",
        name: "__genkan_panic",
        params: &[
            ("message", Bytes),
            ("message_len", Size),
            ("file", Bytes),
            ("file_len", Size),
            ("line", U32),
            ("column", U32),
            ("index", I64),
            ("len", I64),
        ],
        result: None,
        source: Source::Host,
        doc: "Ends the guest, which panicked: the message and the source file are texts in its memory, or \
              0; `index` and `len` are those of an index out of bounds, or -1; -2 if an allocation \
              failed; -3 if `message` and `message_len` are both words of a `core::fmt::Arguments` of Rust 1.95 \
              to 1.97. The linker inserts the call.",
    },
    Function {
        module: "genkan",
        name: "len",
        params: &[("pointer", Pointer)],
        result: Some(U64),
        source: Source::Access,
        doc: "How many bytes there are from the pointer to its region's end.",
    },
    Function {
        module: "genkan",
        name: "check",
        params: &[("pointer", Pointer), ("length", U64), ("write", I32)],
        result: Some(I32),
        source: Source::Access,
        doc: "Whether `length` bytes at the pointer can be read, or written if `write` is not 0: a status, \
              where the other functions would end the guest.",
    },
    Function {
        module: "genkan",
        name: "read_u8",
        params: &[("pointer", Pointer), ("offset", U32)],
        result: Some(U32),
        source: Source::Access,
        doc: "The 8 bits at the pointer and `offset` bytes further on.",
    },
    Function {
        module: "genkan",
        name: "read_u16",
        params: &[("pointer", Pointer), ("offset", U32)],
        result: Some(U32),
        source: Source::Access,
        doc: "The 16 bits at the pointer and `offset` bytes further on.",
    },
    Function {
        module: "genkan",
        name: "read_u32",
        params: &[("pointer", Pointer), ("offset", U32)],
        result: Some(U32),
        source: Source::Access,
        doc: "The 32 bits at the pointer and `offset` bytes further on.",
    },
    Function {
        module: "genkan",
        name: "read_u64",
        params: &[("pointer", Pointer), ("offset", U32)],
        result: Some(U64),
        source: Source::Access,
        doc: "The 64 bits at the pointer and `offset` bytes further on.",
    },
    Function {
        module: "genkan",
        name: "write_u8",
        params: &[("pointer", Pointer), ("offset", U32), ("value", U32)],
        result: None,
        source: Source::Access,
        doc: "Writes 8 bits there.",
    },
    Function {
        module: "genkan",
        name: "write_u16",
        params: &[("pointer", Pointer), ("offset", U32), ("value", U32)],
        result: None,
        source: Source::Access,
        doc: "Writes 16 bits there.",
    },
    Function {
        module: "genkan",
        name: "write_u32",
        params: &[("pointer", Pointer), ("offset", U32), ("value", U32)],
        result: None,
        source: Source::Access,
        doc: "Writes 32 bits there.",
    },
    Function {
        module: "genkan",
        name: "write_u64",
        params: &[("pointer", Pointer), ("offset", U32), ("value", U64)],
        result: None,
        source: Source::Access,
        doc: "Writes 64 bits there.",
    },
    Function {
        module: "genkan",
        name: "compare_exchange_u32",
        params: &[
            ("pointer", Pointer),
            ("offset", U32),
            ("expected", U32),
            ("value", U32),
        ],
        result: Some(U32),
        source: Source::Access,
        doc: "Writes 32 bits there if what is there is `expected`, at once for all that share the region, \
              and gives what was there. They must be aligned. Orders memory as sequentially consistent \
              atomics do.",
    },
    Function {
        module: "genkan",
        name: "compare_exchange_u64",
        params: &[
            ("pointer", Pointer),
            ("offset", U32),
            ("expected", U64),
            ("value", U64),
        ],
        result: Some(U64),
        source: Source::Access,
        doc: "The same with 64 bits.",
    },
    Function {
        module: "genkan",
        name: "read_into",
        params: &[("pointer", Pointer), ("target", BytesMut), ("length", Size)],
        result: None,
        source: Source::Copy,
        doc: "Copies `length` bytes from the pointer into the guest's memory.",
    },
    Function {
        module: "genkan",
        name: "write_from",
        params: &[("pointer", Pointer), ("source", Bytes), ("length", Size)],
        result: None,
        source: Source::Copy,
        doc: "Copies `length` bytes from the guest's memory to the pointer.",
    },
    Function {
        module: "genkan",
        name: "map",
        params: &[("pointer", Pointer), ("length", Size), ("write", I32)],
        result: Some(BytesMut),
        source: Source::Host,
        doc: "Makes `length` bytes at the pointer appear in the guest's memory, without a copy, to be \
              written as well if `write` is 1. The address is as aligned as the pointer's offset, up to \
              a page. No two windows overlap of which one can be written. With 2 added to `write`, the \
              window may be used as a slice of Rust's, which nothing else changes: behind its beginning, \
              pointers to the region do not write, nor read if it can be written; it ends when others \
              write the region between two calls; and a region that is shared has none.",
    },
    Function {
        module: "genkan",
        name: "try_map",
        params: &[("pointer", Pointer), ("length", Size), ("write", I32)],
        result: Some(I64),
        source: Source::Host,
        doc: "The same, but what would end the guest is a negative status.",
    },
    Function {
        module: "genkan",
        name: "unmap",
        params: &[("address", Bytes)],
        result: None,
        source: Source::Host,
        doc: "Gives back what `map` gave.",
    },
    Function {
        module: "genkan",
        name: "take_answer",
        params: &[("target", BytesMut)],
        result: None,
        source: Source::Host,
        doc: "Copies the row of the last answer of a host function to `target`, if it had no room: see \
              CALLS.md.",
    },
];
