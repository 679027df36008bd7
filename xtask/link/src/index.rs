//! Typed indices: what counts objects cannot be used where functions are
//! counted.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::ops;

/// An index of one kind of thing.
pub trait Index: Copy {
    /// The index of the thing at `position`.
    fn new(position: usize) -> Self;
    /// The position that it stands for.
    fn get(self) -> usize;
}

/// Indices are kept one higher than they are, so that `Option` takes no room.
macro_rules! indices {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(NonZeroU32);

        impl Index for $name {
            #[inline]
            fn new(position: usize) -> Self {
                // Each thing takes a byte of a section whose size is a u32.
                let next = u32::try_from(position + 1).ok().and_then(NonZeroU32::new);
                $name(next.expect("fewer than 2^32 things"))
            }

            #[inline]
            fn get(self) -> usize {
                self.0.get() as usize - 1
            }
        }

        impl From<$name> for u32 {
            #[inline]
            fn from(index: $name) -> u32 {
                index.0.get() - 1
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", stringify!($name), self.get())
            }
        }
    )*};
}

indices! {
    /// An object that is part of the link.
    ObjectId;
    /// A symbol that objects share.
    SymbolId;
    /// A function that the linker defines for a symbol.
    SyntheticId;
    /// An object or archive member that may become part of the link.
    LazyId;
    /// An archive.
    ArchiveId;

    /// An entry of an object's symbol table.
    ObjSymbol;
    /// Something that an object imports, counted by kind.
    ObjImport;
    /// A function that an object defines.
    ObjFunction;
    /// A data segment of an object.
    ObjSegment;
    /// A global that an object defines.
    ObjGlobal;
    /// A tag that an object defines.
    ObjTag;
    /// A table that an object defines.
    ObjTable;
    /// A type of an object.
    ObjType;
    /// A custom section of an object.
    ObjCustom;
    /// A comdat group of an object.
    Comdat;

    /// A data segment of memory, made of objects' segments.
    OutputSegmentId;
    /// A synthetic function of the module.
    SyntheticIndex;
    /// A function of the module, imports first.
    FunctionIndex;
    /// A type of the module.
    TypeIndex;
    /// A global of the module, imports first.
    GlobalIndex;
    /// A tag of the module, imports first.
    TagIndex;
    /// A table of the module, imports first.
    TableIndex;
}

/// A place in the table of functions: the number that a function pointer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableSlot(pub u32);

/// An address in linear memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Address(pub u32);

impl Address {
    /// So many bytes further on, around the end of 32 bits.
    #[inline]
    pub fn plus(self, bytes: u32) -> Address {
        Address(self.0.wrapping_add(bytes))
    }
}

/// Something of an object: a symbol, a function, a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Within<I> {
    /// The object.
    pub object: ObjectId,
    /// The index there.
    pub index: I,
}

impl<I> Within<I> {
    /// The thing of `object` at `index`.
    #[inline]
    pub fn new(object: ObjectId, index: I) -> Self {
        Within { object, index }
    }
}

/// A vector that only its own kind of index opens.
#[derive(Clone)]
pub struct IndexVec<I, T> {
    items: Vec<T>,
    index: PhantomData<fn(I)>,
}

impl<I: Index, T> IndexVec<I, T> {
    /// Nothing yet.
    pub fn new() -> Self {
        Vec::new().into()
    }

    /// Nothing yet, with room for `count` things.
    pub fn with_capacity(count: usize) -> Self {
        Vec::with_capacity(count).into()
    }

    /// `count` times the same.
    pub fn filled(count: usize, item: T) -> Self
    where
        T: Clone,
    {
        vec![item; count].into()
    }

    /// Adds a thing and gives its index.
    pub fn push(&mut self, item: T) -> I {
        self.items.push(item);
        I::new(self.items.len() - 1)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The thing at an index that came from a file, if it is there.
    #[inline]
    pub fn at(&self, position: u32) -> Option<&T> {
        self.items.get(position as usize)
    }

    /// That index, if something is there.
    pub fn index_at(&self, position: u32) -> Option<I> {
        ((position as usize) < self.items.len()).then(|| I::new(position as usize))
    }

    /// All, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.items.iter()
    }

    /// All, in order, to be changed.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.items.iter_mut()
    }

    /// All with their indices.
    pub fn enumerate(&self) -> impl ExactSizeIterator<Item = (I, &T)> {
        self.items
            .iter()
            .enumerate()
            .map(|(at, item)| (I::new(at), item))
    }

    /// All indices.
    pub fn indices(&self) -> impl ExactSizeIterator<Item = I> + use<I, T> {
        (0..self.items.len()).map(I::new)
    }

    /// Without indices.
    pub fn as_slice(&self) -> &[T] {
        &self.items
    }
}

impl<I: Index> IndexVec<I, bool> {
    /// The indices that are marked.
    pub fn marked(&self) -> impl Iterator<Item = I> {
        let all = self.items.iter().enumerate();
        all.filter(|(_, marked)| **marked).map(|(at, _)| I::new(at))
    }
}

impl<I: Index, T> Default for IndexVec<I, T> {
    fn default() -> Self {
        IndexVec::new()
    }
}

impl<I, T> From<Vec<T>> for IndexVec<I, T> {
    fn from(items: Vec<T>) -> Self {
        IndexVec {
            items,
            index: PhantomData,
        }
    }
}

impl<I, T> FromIterator<T> for IndexVec<I, T> {
    fn from_iter<A: IntoIterator<Item = T>>(items: A) -> Self {
        items.into_iter().collect::<Vec<T>>().into()
    }
}

impl<'v, I, T> IntoIterator for &'v IndexVec<I, T> {
    type Item = &'v T;
    type IntoIter = std::slice::Iter<'v, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<I: Index, T> ops::Index<I> for IndexVec<I, T> {
    type Output = T;
    #[inline]
    fn index(&self, index: I) -> &T {
        &self.items[index.get()]
    }
}

impl<I: Index, T> ops::IndexMut<I> for IndexVec<I, T> {
    #[inline]
    fn index_mut(&mut self, index: I) -> &mut T {
        &mut self.items[index.get()]
    }
}

impl<I, T: fmt::Debug> fmt::Debug for IndexVec<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.items.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_leads_to_what_was_pushed() {
        let mut names: IndexVec<ObjectId, &str> = IndexVec::new();
        let (a, b) = (names.push("a"), names.push("b"));
        assert_eq!((names[a], names[b]), ("a", "b"));
        assert_eq!(names.indices().collect::<Vec<_>>(), [a, b]);
        assert_eq!(names.index_at(1), Some(b));
        assert_eq!(names.index_at(2), None);
        assert_eq!(u32::from(b), 1);
        assert_eq!(format!("{b:?}"), "ObjectId1");
        assert_eq!(size_of::<Option<ObjectId>>(), 4);
    }
}
