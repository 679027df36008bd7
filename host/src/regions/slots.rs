//! Which pointers are given to which region.
//!
//! Each slot counts through its own generations, and is retired after the last:
//! so no pointer comes alive a second time.

use crate::types::Tag;
use std::sync::{Mutex, MutexGuard};

/// Generations are 1 to this: 0 would allow the pointer 0, and more would make
/// pointers negative.
const GENERATIONS: u16 = 0x7fff;

#[derive(Default)]
struct Slots {
    /// How many generations each slot has had, the first being slot 1.
    used: Vec<u16>,
    /// How many of them are over.
    over: Vec<u16>,
    free: Vec<u16>,
}

static SLOTS: Mutex<Slots> = Mutex::new(Slots {
    used: Vec::new(),
    over: Vec::new(),
    free: Vec::new(),
});

fn slots() -> MutexGuard<'static, Slots> {
    SLOTS.lock().expect("no panic under this lock")
}

/// A tag that no region has had.
pub(super) fn take() -> Option<Tag> {
    slots().take()
}

/// The tag's region is going.
pub(super) fn end(tag: Tag) {
    slots().over[usize::from(tag.slot()) - 1] += 1;
}

/// The tag's region is gone, and the slot may have the next.
pub(super) fn give_back(tag: Tag) {
    slots().give_back(tag.slot());
}

/// Whether a region had this tag that is gone, or going.
pub(super) fn is_stale(tag: Tag) -> bool {
    let slot = tag.slot();
    let over = slots()
        .over
        .get(usize::from(slot).wrapping_sub(1))
        .map_or(0, |over| *over);
    (1..=over).any(|n| generation_of(slot, n) == tag.generation())
}

impl Slots {
    fn take(&mut self) -> Option<Tag> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                // Slot 0 is nobody's: no pointer may be 0.
                let slot = u16::try_from(self.used.len() + 1).ok()?;
                self.used.push(0);
                self.over.push(0);
                slot
            }
        };
        let used = &mut self.used[usize::from(slot) - 1];
        *used += 1;
        let generation = generation_of(slot, *used);
        Some(Tag::new(generation, slot))
    }

    fn give_back(&mut self, slot: u16) {
        if self.used[usize::from(slot) - 1] < GENERATIONS {
            self.free.push(slot);
        }
    }
}

/// The `n`th generation of a slot, from 1. Slots begin at different ones, so
/// that a pointer which runs into the next slot meets another generation.
fn generation_of(slot: u16, n: u16) -> u16 {
    let start = u32::from(slot) * 0x2545;
    ((start + u32::from(n) - 1) % u32::from(GENERATIONS)) as u16 + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_tag_is_given_twice_and_slots_retire() {
        let mut slots = Slots::default();
        let mut seen = HashSet::new();
        for _ in 0..u32::from(GENERATIONS) * 2 {
            let tag = slots.take().unwrap();
            assert!(tag.generation() != 0 && tag.bits() >> 31 == 0);
            assert!(seen.insert(tag));
            slots.give_back(tag.slot());
        }
        assert_eq!(slots.used, [GENERATIONS, GENERATIONS]);
        assert_eq!(slots.take().unwrap().slot(), 3);
    }

    #[test]
    fn slots_run_out() {
        let mut slots = Slots::default();
        for _ in 0..u16::MAX {
            slots.take().unwrap();
        }
        assert!(slots.take().is_none());
    }
}
