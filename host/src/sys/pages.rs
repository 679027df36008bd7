//! Sizes in pages of this machine's memory.

/// The size of a page, in bytes.
pub(crate) fn page_size() -> usize {
    rustix::param::page_size()
}

/// `len` rounded up to whole pages.
pub(crate) fn whole_pages(len: usize) -> usize {
    len.next_multiple_of(page_size())
}
