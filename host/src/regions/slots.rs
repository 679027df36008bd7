//! Which pointers are given to which region.
//!
//! Each slot counts through its own generations. Where all of all slots were given, some
//! 2^31, they are given again, but not to everybody: a guest that lived when a tag was
//! given before may have a pointer with it, so only guests that were made afterwards can
//! be granted the new region. So no guest's pointer comes alive a second time, and a
//! process never runs out, unless it has 65,535 regions at once.

use crate::sys::fork;
use crate::types::Tag;
use std::collections::VecDeque;

/// Generations are 1 to this: 0 would allow the pointer 0, and more would make
/// pointers negative.
const GENERATIONS: u16 = 0x7fff;

/// A moment: how many tags had been given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

/// A tag that is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    pub(super) tag: Tag,
    /// All earlier uses of it were over by then.
    pub(super) since: Moment,
}

#[derive(Default)]
struct Slot {
    /// How often it was given, and how many of these are over.
    used: u64,
    over: u64,
    /// When its first generation was given last.
    since: Moment,
}

struct Slots {
    generations: u16,
    most: u16,
    /// The first being slot 1: no pointer may be 0.
    slots: Vec<Slot>,
    /// Those whose next generation was not given since the first.
    free: Vec<u16>,
    /// Those that begin again, the one that ended first before the others.
    ended: VecDeque<u16>,
    now: Moment,
}

static SLOTS: fork::Mutex<Slots> = fork::Mutex::new(Slots::new(GENERATIONS, u16::MAX));

/// A tag that no region has now.
pub(super) fn take() -> Option<Given> {
    SLOTS.lock().take()
}

/// The tag's region is going.
pub(super) fn end(tag: Tag) {
    SLOTS.lock().slots[usize::from(tag.slot()) - 1].over += 1;
}

/// The tag's region is gone, and the slot may have the next.
pub(super) fn give_back(tag: Tag) {
    SLOTS.lock().give_back(tag.slot());
}

/// Whether a region had this tag that is gone, or going.
pub(super) fn is_stale(tag: Tag) -> bool {
    SLOTS.lock().is_stale(tag)
}

/// Now: whoever begins to live now has no pointer of before.
pub(super) fn now() -> Moment {
    SLOTS.lock().now
}

impl Slots {
    const fn new(generations: u16, most: u16) -> Self {
        Self {
            generations,
            most,
            slots: Vec::new(),
            free: Vec::new(),
            ended: VecDeque::new(),
            now: Moment(0),
        }
    }

    fn take(&mut self) -> Option<Given> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots.len() < usize::from(self.most) => {
                self.slots.push(Slot::default());
                self.slots.len() as u16
            }
            None => {
                let slot = self.ended.pop_front()?;
                self.slots[usize::from(slot) - 1].since = self.now;
                slot
            }
        };
        self.now.0 += 1;
        let generations = self.generations;
        let state = &mut self.slots[usize::from(slot) - 1];
        let nth = (state.used % u64::from(generations)) as u16;
        state.used += 1;
        Some(Given {
            tag: Tag::new(generation(slot, nth, generations), slot),
            since: state.since,
        })
    }

    fn give_back(&mut self, slot: u16) {
        let used = self.slots[usize::from(slot) - 1].used;
        match used % u64::from(self.generations) {
            0 => self.ended.push_back(slot),
            _ => self.free.push(slot),
        }
    }

    fn is_stale(&self, tag: Tag) -> bool {
        let Some(slot) = self.slots.get(usize::from(tag.slot()).wrapping_sub(1)) else {
            return false;
        };
        let all = u64::from(self.generations);
        let of = |nth: u64| generation(tag.slot(), (nth % all) as u16, self.generations);
        // The last of those that are over, as many as there are generations.
        let first = slot.used.saturating_sub(all);
        (first..slot.over).any(|nth| of(nth) == tag.generation())
    }
}

/// The `nth` generation of a slot, from 0. Slots begin at different ones, so
/// that a pointer which runs into the next slot meets another generation.
fn generation(slot: u16, nth: u16, generations: u16) -> u16 {
    let start = u32::from(slot) * 0x2545;
    ((start + u32::from(nth)) % u32::from(generations)) as u16 + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn no_tag_is_given_twice_before_all_were() {
        let mut slots = Slots::new(GENERATIONS, u16::MAX);
        let mut seen = HashSet::new();
        for _ in 0..u32::from(GENERATIONS) * 2 {
            let Given { tag, since } = slots.take().unwrap();
            assert!(tag.generation() != 0 && tag.bits() >> 31 == 0);
            assert!(seen.insert(tag));
            assert_eq!(since, Moment(0));
            slots.give_back(tag.slot());
        }
        assert_eq!(slots.take().unwrap().tag.slot(), 3);
    }

    #[test]
    fn slots_run_out_while_all_are_held() {
        let mut slots = Slots::new(GENERATIONS, u16::MAX);
        for _ in 0..u16::MAX {
            slots.take().unwrap();
        }
        assert!(slots.take().is_none());
    }

    /// Years of a server, with few slots and generations: regions come and go, and so do
    /// guests, each of which is granted what it may be.
    #[test]
    fn no_guests_pointer_comes_alive_again() {
        let mut slots = Slots::new(7, 11);
        let mut live: Vec<Given> = Vec::new();
        // When each guest was made, and what it was granted.
        let mut guests: HashMap<u64, (Moment, HashSet<Tag>)> = HashMap::new();
        let mut state = 1u64;
        let (mut granted, mut refused) = (0, 0);
        // Miri takes its time.
        let steps = if cfg!(miri) { 400 } else { 200_000 };
        for step in 0..steps {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let pick = (state >> 33) as usize;
            if pick.is_multiple_of(2)
                && let Some(given) = slots.take()
            {
                live.push(given);
                for (born, had) in guests.values_mut() {
                    if given.since <= *born {
                        assert!(had.insert(given.tag), "{given:?} a second time");
                        granted += 1;
                    } else {
                        refused += 1;
                    }
                }
            } else if !live.is_empty() {
                let given = live.swap_remove(pick % live.len());
                assert!(!slots.is_stale(given.tag));
                slots.slots[usize::from(given.tag.slot()) - 1].over += 1;
                assert!(slots.is_stale(given.tag));
                slots.give_back(given.tag.slot());
            }
            // One that lives for ever, some that live for long, and some for a moment.
            guests.retain(|made, _| {
                *made == 0 || (step - *made) < 20 || made % 500 == 0 && step - *made < 5000
            });
            guests.insert(step, (slots.now, HashSet::new()));
        }
        assert!(slots.now.0 > steps / 200 * 7 * 11 / 2);
        assert!(
            granted > steps * 5 && refused > steps / 20,
            "{granted}, {refused}"
        );
    }
}
