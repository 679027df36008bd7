//! Bookkeeping of address ranges. No memory is touched here.

use std::collections::BTreeMap;
use std::ops::Range;

/// Which ranges have which protection; neighbours that are alike are one.
#[derive(Debug)]
pub(super) struct RangeMap<P>(BTreeMap<usize, (usize, P)>);

impl<P> Default for RangeMap<P> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<P: Copy + PartialEq> RangeMap<P> {
    /// Gives `range` the protection `value`; `None` takes it out.
    pub(super) fn set(&mut self, range: Range<usize>, value: Option<P>) {
        if range.is_empty() {
            return;
        }
        let touched: Vec<usize> = self
            .0
            .range(..range.end)
            .rev()
            .take_while(|(_, (end, _))| *end > range.start)
            .map(|(start, _)| *start)
            .collect();
        for start in touched {
            let (end, old) = self.0.remove(&start).expect("the key was just found");
            if start < range.start {
                self.0.insert(start, (range.start, old));
            }
            if end > range.end {
                self.0.insert(range.end, (end, old));
            }
        }
        let Some(value) = value else { return };
        let Range { mut start, mut end } = range;
        if let Some((&before, &(before_end, old))) = self.0.range(..start).next_back()
            && before_end == start
            && old == value
        {
            self.0.remove(&before);
            start = before;
        }
        if let Some(&(after_end, old)) = self.0.get(&end)
            && old == value
        {
            self.0.remove(&end);
            end = after_end;
        }
        self.0.insert(start, (end, value));
    }

    /// Where the last range ends; 0 if there is none.
    pub(super) fn end(&self) -> usize {
        self.0.last_key_value().map_or(0, |(_, (end, _))| *end)
    }

    /// Whether every byte of `range` is in, and passes `test`.
    pub(super) fn all(&self, range: Range<usize>, test: impl Fn(P) -> bool) -> bool {
        let mut at = range.start;
        while at < range.end {
            match self.0.range(..=at).next_back() {
                Some((_, &(end, value))) if end > at && test(value) => at = end,
                _ => return false,
            }
        }
        true
    }
}

/// Ranges that are free to be given out: first fit, neighbours merge.
#[derive(Debug, Default)]
pub(crate) struct FreeList(BTreeMap<usize, usize>);

impl FreeList {
    /// Takes `len` free bytes.
    pub(crate) fn take(&mut self, len: usize) -> Option<usize> {
        if len == 0 {
            return Some(0);
        }
        let (&start, &end) = self.0.iter().find(|(start, end)| **end - **start >= len)?;
        self.0.remove(&start);
        if start + len < end {
            self.0.insert(start + len, end);
        }
        Some(start)
    }

    /// Gives bytes back.
    pub(crate) fn give(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let Range { mut start, mut end } = range;
        if let Some((&before, &before_end)) = self.0.range(..start).next_back()
            && before_end == start
        {
            self.0.remove(&before);
            start = before;
        }
        if let Some(after_end) = self.0.remove(&end) {
            end = after_end;
        }
        self.0.insert(start, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_map_splits_and_merges() {
        let mut map = RangeMap::default();
        map.set(0..100, Some('a'));
        map.set(40..60, Some('b'));
        assert!(map.all(0..40, |p| p == 'a'));
        assert!(map.all(30..70, |_| true));
        assert!(!map.all(30..70, |p| p == 'a'));
        map.set(50..70, None);
        assert!(!map.all(40..51, |_| true));
        assert!(map.all(70..100, |p| p == 'a'));
        map.set(40..70, Some('a'));
        assert_eq!(map.0.len(), 1);
        assert!(!map.all(99..101, |_| true));
        assert!(map.all(7..7, |_| false));
    }

    #[test]
    fn a_free_list_gives_first_fit_and_merges() {
        let mut free = FreeList::default();
        free.give(10..20);
        free.give(30..100);
        assert_eq!(free.take(11), Some(30));
        assert_eq!(free.take(10), Some(10));
        assert_eq!(free.take(60), None);
        free.give(10..20);
        free.give(20..41);
        assert_eq!(free.0, BTreeMap::from([(10, 100)]));
    }
}
