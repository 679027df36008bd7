//! Where a guest's time goes, by samples.
//!
//! A thread of the host's sets the word that the guest's code looks at (see `rewrite`), once
//! each period; where the code sees it, it calls the host, which notes the functions on the
//! stack, and goes on. No signal is sent, and a guest without a profile has none of this in
//! its code.

use crate::backtrace::{Origin, RawFrame, describe};
use crate::sys::stack;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// So many functions of a stack are noted at each end.
const EACH_END: usize = 128;
/// So many stacks are told apart, and so many functions of all of them together are kept.
const MOST_STACKS: usize = 1 << 16;
const MOST_FRAMES: usize = 1 << 21;
/// What stands for functions that are left out, and for stacks.
const OMITTED: &str = "(more functions)";
const OTHERS: &str = "(other stacks)";

/// Where guests' time goes: how often it was found on which stack of functions.
///
/// ```
/// # fn main() -> Result<(), genkan_host::Error> {
/// use genkan_host::{Engine, Guest, Profile, Setup};
/// use std::time::Duration;
///
/// # let text = br#"(module (func $busy (export "run") (local $n i32)
/// #     (local.set $n (i32.const 50000000))
/// #     (loop (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;
/// # let module = Engine::default().compile(text)?;
/// let profile = Profile::new(Duration::from_millis(1));
/// let mut guest = Guest::with(&module, Setup::new().profile(&profile))?;
/// guest.call::<()>("run", ())?;
/// assert!(profile.folded().starts_with("busy "));
/// # Ok(())
/// # }
/// ```
///
/// A guest that is made with one ([`Setup::profile`](crate::Setup::profile)) says where it
/// is once each period: where loops begin again, once some thousand instructions are done;
/// where functions of more than a few instructions begin and return; and within long
/// straight lines. What is noted is what ran until then, with all periods that have passed,
/// so the time of a host function is its caller's, and that of a function which is too small
/// to look is its caller's as well; a line is the one where the code looked. Time that passes outside of the guest's calls is none.
///
/// The guest's module is compiled for it ([`Checks::samples`](crate::Checks::samples)
/// in [`Config::checks`](crate::Config::checks) does so ahead), and runs slower: functions have a check more,
/// and loops fewer registers. A guest with a profile can be ended with
/// [`Guest::canceller`](crate::Guest::canceller).
///
/// Cheap to clone; its clones, and all guests that are made with it, share what was found.
/// Of a stack of more than 256 functions the middle is left out; after 65,536
/// different stacks, others are counted together.
#[derive(Clone, Debug)]
pub struct Profile {
    period: Duration,
    found: Arc<Mutex<Found>>,
}

#[derive(Default)]
struct Found {
    /// The modules that were found, by their names, and a stack's number of one of them.
    origins: Vec<Arc<dyn Origin>>,
    stacks: HashMap<Stack, u64>,
    /// How many functions are in all stacks.
    frames: usize,
    /// How many samples are of stacks that are not told apart.
    others: u64,
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found")
            .field("stacks", &self.stacks.len())
            .field("others", &self.others)
            .finish_non_exhaustive()
    }
}

/// Functions on a stack, innermost first.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Stack {
    origin: usize,
    innermost: Vec<RawFrame>,
    /// Those behind the ones that are left out.
    outermost: Vec<RawFrame>,
    whole: bool,
}

impl Profile {
    /// An empty one, which asks each guest where it is once each `period`: at least
    /// 100 µs, less is taken for that. Systems' clocks are not more exact, and what asking
    /// costs, some ten microseconds, would be most of the time.
    pub fn new(period: Duration) -> Self {
        Self {
            period: period.max(Duration::from_micros(100)),
            found: Arc::default(),
        }
    }

    /// How often each guest is asked.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// How many samples were taken: one for each period that passed in a guest.
    pub fn samples(&self) -> u64 {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.stacks.values().sum::<u64>() + found.others
    }

    /// The samples as folded stacks, which tools for flame graphs read: a line for each
    /// stack, with its functions from the outermost to the innermost, separated by `;`, and
    /// behind a space how often it was found. Where the module has debug information, inlined
    /// functions are there as if they had been called, and the last part is the line,
    /// `src/lib.rs:12`. Sorted.
    pub fn folded(&self) -> String {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines: BTreeMap<String, u64> = BTreeMap::new();
        for (index, origin) in found.origins.iter().enumerate() {
            let of_this = found
                .stacks
                .iter()
                .filter(|(stack, _)| stack.origin == index);
            let stacks: Vec<_> = of_this.collect();
            let mut frames: Vec<RawFrame> = stacks
                .iter()
                .flat_map(|(stack, _)| stack.innermost.iter().chain(&stack.outermost))
                .copied()
                .collect();
            frames.sort_unstable_by_key(|frame| (frame.function, frame.offset));
            frames.dedup();
            let described = describe(origin.module(), &frames);
            let described: HashMap<_, _> = frames.into_iter().zip(described).collect();
            for (stack, samples) in stacks {
                *lines.entry(stack.folded(&described)).or_default() += samples;
            }
        }
        if found.others > 0 {
            *lines.entry(OTHERS.into()).or_default() += found.others;
        }
        let lines = lines
            .iter()
            .map(|(stack, samples)| format!("{stack} {samples}\n"));
        lines.collect()
    }

    /// Where samples of a guest are added.
    pub(crate) fn samples_of(&self, origin: Arc<dyn Origin>) -> Samples {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let name = origin.name();
        let known = found.origins.iter().position(|it| it.name() == name);
        let index = known.unwrap_or_else(|| {
            found.origins.push(Arc::clone(&origin));
            found.origins.len() - 1
        });
        Samples {
            found: Arc::clone(&self.found),
            origin,
            index,
        }
    }
}

impl Stack {
    fn folded(&self, described: &HashMap<RawFrame, Vec<crate::backtrace::Frame>>) -> String {
        let named = |frames: &[RawFrame]| {
            let frames = frames.iter().flat_map(|frame| &described[frame]);
            let names: Vec<String> = frames.map(|frame| part(&frame.name)).collect();
            names.into_iter().rev().collect::<Vec<_>>()
        };
        let mut parts = named(&self.outermost);
        if !self.whole {
            parts.push(OMITTED.into());
        }
        parts.extend(named(&self.innermost));
        let innermost = self.innermost.first();
        let innermost = innermost.and_then(|frame| described[frame].first());
        let location = innermost.and_then(|frame| frame.location.as_ref());
        parts.extend(location.map(|location| part(&location.file_and_line())));
        parts.join(";")
    }
}

/// A part of a folded stack: without what separates them.
fn part(name: &str) -> String {
    name.replace(';', ":")
        .replace(|c: char| c.is_control(), "\u{fffd}")
}

/// Where samples of one guest are added.
pub(crate) struct Samples {
    found: Arc<Mutex<Found>>,
    origin: Arc<dyn Origin>,
    index: usize,
}

impl Samples {
    /// Adds so many samples of the guest's stack that a host function was called on. If it
    /// has only `entered` its innermost function, they are of that one's caller.
    pub(crate) fn add(&self, samples: u32, entered: bool) {
        let addresses = stack::callers_within(EACH_END);
        let [innermost, outermost] = self.origin.frames_at(&addresses);
        let mut innermost = self.origin.own(&innermost);
        if entered && !innermost.is_empty() {
            innermost.remove(0);
        }
        if innermost.is_empty() {
            return;
        }
        let stack = Stack {
            origin: self.index,
            innermost,
            outermost: self.origin.own(&outermost),
            whole: addresses.left_out == Some(0),
        };
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.add(stack, samples.into());
    }
}

impl Found {
    fn add(&mut self, stack: Stack, samples: u64) {
        if let Some(known) = self.stacks.get_mut(&stack) {
            *known += samples;
            return;
        }
        let frames = self.frames + stack.innermost.len() + stack.outermost.len();
        if self.stacks.len() == MOST_STACKS || frames > MOST_FRAMES {
            self.others += samples;
            return;
        }
        self.frames = frames;
        self.stacks.insert(stack, samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(functions: std::ops::Range<u32>) -> Stack {
        let frame = |function| RawFrame {
            function,
            offset: None,
        };
        Stack {
            origin: 0,
            innermost: functions.map(frame).collect(),
            outermost: Vec::new(),
            whole: true,
        }
    }

    #[test]
    fn what_a_profile_keeps_is_bounded() {
        let mut found = Found::default();
        for n in 0..MOST_STACKS as u32 + 10 {
            found.add(stack(n..n + 1), 2);
        }
        found.add(stack(0..1), 3);
        assert_eq!((found.stacks.len(), found.others), (MOST_STACKS, 20));
        assert_eq!(found.stacks[&stack(0..1)], 5);

        let mut found = Found::default();
        let most = (MOST_FRAMES / 256) as u32;
        for n in 0..most + 10 {
            found.add(stack(n..n + 256), 1);
        }
        assert_eq!((found.stacks.len(), found.others), (most as usize, 10));
    }

    #[test]
    fn parts_have_nothing_that_separates_them() {
        assert_eq!(part("a<[u8; 4]>::b\n"), "a<[u8: 4]>::b\u{fffd}");
    }
}
