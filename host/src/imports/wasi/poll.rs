//! WASI's `poll_oneoff`: a guest waits, for a clock or for one of its streams.

use super::answer::{Done, load, store};
use super::clock::now;
use crate::files::{Descriptor, Descriptors, Errno, Stream};
use crate::imports::state::Env;
use std::time::Duration;

/// How many things a guest may wait for at once.
const MOST: u32 = 1024;
/// How long it waits before the host looks whether it is to end.
const SLICE: Duration = Duration::from_millis(1);

/// Lengths in a guest's memory, in bytes: of a `subscription` and an `event`.
const SUBSCRIPTION: usize = 48;
const EVENT: usize = 32;

/// What a guest waits for.
struct Subscription {
    /// What the guest knows it by.
    userdata: u64,
    /// As WASI has it: 0 a clock, 1 reading, 2 writing.
    kind: u8,
    until: Until,
}

enum Until {
    /// When this clock is there, in nanoseconds.
    Time { clock: u32, at: u64 },
    /// Now.
    Ready,
    /// Never: it is wrong.
    Wrong(Errno),
}

impl Subscription {
    fn parse(bytes: [u8; SUBSCRIPTION], open: &Descriptors) -> Self {
        let word = |at: usize| {
            let word = bytes[at..at + 8].try_into().expect("eight bytes");
            u64::from_le_bytes(word)
        };
        let (kind, first, timeout) = (bytes[8], word(16) as u32, word(24));
        const ABSOLUTE: u64 = 1;
        let until = match kind {
            0 => match now(first) {
                Err(errno) => Until::Wrong(errno),
                Ok(now) => Until::Time {
                    clock: first,
                    at: match word(40) & ABSOLUTE {
                        0 => now.saturating_add(timeout),
                        _ => timeout,
                    },
                },
            },
            // What is not there yet, reading waits for.
            1 | 2 => match (kind, open.get(first)) {
                (1, Ok(Descriptor::Stream(Stream::In))) => Until::Ready,
                (2, Ok(Descriptor::Stream(Stream::Out | Stream::Error))) => Until::Ready,
                (_, Ok(Descriptor::File(_))) => Until::Ready,
                _ => Until::Wrong(Errno::BADF),
            },
            _ => Until::Wrong(Errno::INVAL),
        };
        Self {
            userdata: word(0),
            kind,
            until,
        }
    }

    /// How long it has to wait; `None` if it is over.
    fn left(&self) -> Option<Duration> {
        let Until::Time { clock, at } = self.until else {
            return None;
        };
        let left = at.saturating_sub(now(clock).unwrap_or(u64::MAX));
        (left > 0).then_some(Duration::from_nanos(left))
    }

    /// The event that says that it is over.
    fn event(&self) -> [u8; EVENT] {
        let mut event = [0; EVENT];
        event[..8].copy_from_slice(&self.userdata.to_le_bytes());
        let errno = match self.until {
            Until::Wrong(errno) => errno.number(),
            _ => 0,
        };
        event[8..10].copy_from_slice(&errno.to_le_bytes());
        event[10] = self.kind;
        if errno == 0 && self.kind != 0 {
            // How many bytes can be read or written is not known; there is room for one.
            event[16] = 1;
        }
        event
    }
}

/// Waits until one of the subscriptions is over, or the guest's deadline is.
pub(super) fn poll_oneoff(env: &mut Env<'_>, from: u32, to: u32, count: u32, events: u32) -> Done {
    if !(1..=MOST).contains(&count) {
        return Err(Errno::INVAL.into());
    }
    env.data().spend(count)?;
    let subscription = |index: u32| {
        let at = from.checked_add(index * SUBSCRIPTION as u32);
        let bytes = load(env, at.ok_or(Errno::FAULT)?)?;
        Ok(Subscription::parse(bytes, &env.data().descriptors))
    };
    let all = (0..count).map(subscription);
    let all: Vec<_> = all.collect::<Result<_, Errno>>()?;
    // All of them are still to come as long as the next is.
    while let Some(next) = all.iter().map(Subscription::left).min().flatten() {
        std::thread::sleep(next.min(SLICE));
        env.data().spend(0)?;
    }
    let over = all.iter().filter(|it| it.left().is_none());
    let mut at = to;
    let mut written = 0u32;
    for subscription in over {
        store(env, at, &subscription.event())?;
        written += 1;
        at = at.saturating_add(EVENT as u32);
    }
    Ok(store(env, events, &written.to_le_bytes())?)
}
