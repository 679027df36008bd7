//! The functions that a guest was in when it ended.

use super::place::{Location, RawFrame};
use super::stack::{self, Run};
use super::symbols::Symbols;
use super::{dwarf, names};
use crate::sys::stack::Addresses;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// What leads from compiled code back to the guest's module.
pub(crate) trait Origin: Send + Sync {
    /// The module, as it was given to the host.
    fn module(&self) -> &[u8];

    /// Those of these frames of the compiled code that are of the guest's functions, in
    /// terms of the module.
    fn own(&self, compiled: &[RawFrame]) -> Vec<RawFrame>;

    /// The frames of the compiled code at addresses: the innermost, and the outermost.
    fn frames_at(&self, addresses: &Addresses) -> [Vec<RawFrame>; 2];

    /// What the engine calls it: the same for the same module, compiled in the same way.
    fn name(&self) -> &str;
}

/// What is known of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frames {
    /// The engine's frames, as compiled code has them, innermost first.
    Engine(Vec<RawFrame>),
    /// Addresses.
    At(Addresses),
}

/// The guest's functions that were running when it ended, innermost first.
///
/// Its `Display` has a line for each, which begins with a line feed. Frames of the
/// runtime's own (what Rust's `std` does between a `panic!` and its end, and
/// before `main`) are left out unless [`Trace::show_runtime`] asks for them.
#[derive(Clone, Default)]
pub struct Trace {
    stack: Option<Arc<Stack>>,
    show_runtime: bool,
}

struct Stack {
    frames: Frames,
    origin: Arc<dyn Origin>,
    resolved: OnceLock<Resolved>,
}

struct Resolved {
    depth: usize,
    entries: Vec<Entry>,
}

/// A part of a [`Trace`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry {
    /// A function.
    Frame(Frame),
    /// Recursion: the `period` functions of the module that come before this
    /// entry, and what is inlined into them, were there `times` times more.
    Repeated {
        /// How many functions call each other in a circle.
        period: usize,
        /// How many further times they were there.
        times: usize,
    },
    /// Functions are left out: the stack is too deep to show, or to read.
    Omitted {
        /// How many, if that is known.
        functions: Option<usize>,
    },
}

/// A function that was running.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// Its name, demangled; `function 12` if the module has none for it. Names of
    /// more than 200 characters lose their middle.
    pub name: String,
    /// Where it was, if the module has debug information for it.
    pub location: Option<Location>,
    /// Its code is part of the next frame's, which called it.
    pub inlined: bool,
    /// It belongs to the language's runtime: what is between a `panic!` and its
    /// end, or before `main`.
    pub runtime: bool,
    /// Its index in the module, imported functions first; of an inlined one, that
    /// of the function that it is part of.
    pub function: u32,
    /// Where in the module's file the instruction is that it was at, in bytes from the
    /// beginning.
    pub offset: Option<u32>,
}

impl Trace {
    /// Of these frames, of such a module.
    pub(crate) fn new(frames: Frames, origin: Arc<dyn Origin>) -> Self {
        let stack = Stack {
            frames,
            origin,
            resolved: OnceLock::new(),
        };
        Self {
            stack: Some(Arc::new(stack)),
            show_runtime: false,
        }
    }

    /// Whether it was never taken.
    pub(crate) fn is_unknown(&self) -> bool {
        self.stack.is_none()
    }

    /// How many functions of the module are known to have been running, with those that
    /// [`Trace::entries`] folds or leaves out.
    pub fn depth(&self) -> usize {
        self.resolved().map_or(0, |resolved| resolved.depth)
    }

    /// All that is known, innermost first, the runtime's frames among them.
    pub fn entries(&self) -> &[Entry] {
        self.resolved().map_or(&[], |resolved| &resolved.entries)
    }

    fn resolved(&self) -> Option<&Resolved> {
        let stack = self.stack.as_ref()?;
        Some(stack.resolved.get_or_init(|| resolve(stack)))
    }

    /// The functions, innermost first, without the runtime's.
    pub fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.entries().iter().filter_map(|entry| match entry {
            Entry::Frame(frame) if !frame.runtime => Some(frame),
            _ => None,
        })
    }

    /// Lets `Display` show the frames of the guest's runtime as well.
    pub fn show_runtime(&mut self, show: bool) {
        self.show_runtime = show;
    }
}

/// Of the same functions at the same places.
impl PartialEq for Trace {
    fn eq(&self, other: &Self) -> bool {
        let frames = |trace: &'_ Self| trace.stack.as_ref().map(|stack| stack.frames.clone());
        frames(self) == frames(other)
    }
}

impl Eq for Trace {}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries()).finish()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in self.entries() {
            match entry {
                Entry::Frame(frame) if frame.runtime && !self.show_runtime => {}
                Entry::Frame(frame) => write!(f, "\n  in {frame}")?,
                Entry::Repeated { period: 1, times } => {
                    write!(f, "\n  … {} more like this one", Grouped(*times))?;
                }
                Entry::Repeated { period, times } => {
                    let frames = Grouped(period * times);
                    write!(f, "\n  … {frames} more like these {period}")?;
                }
                Entry::Omitted { functions: None } => write!(f, "\n  … others …")?,
                Entry::Omitted {
                    functions: Some(functions),
                } => write!(f, "\n  … {} others …", Grouped(*functions))?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        match &self.location {
            Some(location) => write!(f, " at {location}"),
            None => Ok(()),
        }
    }
}

/// A number with its thousands apart: `4,000`.
struct Grouped(usize);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                write!(f, ",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// Looks up names and places.
fn resolve(stack: &Stack) -> Resolved {
    let origin = &stack.origin;
    let (innermost, left_out, outermost) = match &stack.frames {
        Frames::Engine(frames) => (origin.own(frames), Some(0), Vec::new()),
        Frames::At(addresses) => {
            let [innermost, outermost] = origin.frames_at(addresses);
            let [innermost, outermost] = [origin.own(&innermost), origin.own(&outermost)];
            (innermost, addresses.left_out, outermost)
        }
    };
    let depth = innermost.len() + left_out.unwrap_or(0) + outermost.len();
    let mut runs = stack::fold(&innermost);
    runs.extend((left_out != Some(0)).then_some(Run::Omitted(left_out)));
    runs.extend(stack::fold(&outermost));

    let shown = runs.iter().filter_map(|run| match run {
        Run::Frame(frame) => Some(*frame),
        _ => None,
    });
    let mut described = describe(origin.module(), &shown.collect::<Vec<_>>()).into_iter();
    let mut entries = Vec::new();
    for run in &runs {
        match *run {
            Run::Frame(_) => {
                let frames = described.next().unwrap_or_default();
                entries.extend(frames.into_iter().map(Entry::Frame));
            }
            Run::Repeated { period, times } => entries.push(Entry::Repeated { period, times }),
            Run::Omitted(functions) => entries.push(Entry::Omitted { functions }),
        }
    }
    mark_runtime(&mut entries);
    Resolved { depth, entries }
}

/// What a module says of each of these frames: what is inlined there, innermost first, then
/// the function itself.
pub(crate) fn describe(module: &[u8], frames: &[RawFrame]) -> Vec<Vec<Frame>> {
    let symbols = Symbols::of(module);
    let functions = sorted(frames.iter().map(|frame| frame.function));
    let offsets = sorted(frames.iter().filter_map(|frame| frame.offset));
    let addresses: Vec<u32> = offsets.iter().map(|at| symbols.address(*at)).collect();
    let names = symbols.names(&functions);
    let places = dwarf::locate(&symbols, &addresses);
    let described = frames.iter().map(|raw| {
        let place = raw.offset.and_then(|at| offsets.binary_search(&at).ok());
        let calls = place.map_or(&[][..], |index| &places[index]);
        let name = names.get(&raw.function).copied();
        frames_at(*raw, calls, name, &symbols)
    });
    described.collect()
}

fn sorted(numbers: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// The frames of one function of the module: what is inlined at this place, then
/// itself.
fn frames_at(
    raw: RawFrame,
    calls: &[dwarf::Call],
    name: Option<&str>,
    symbols: &Symbols<'_>,
) -> Vec<Frame> {
    let frame = |name: String, location: Option<Location>, inlined| Frame {
        name,
        location,
        inlined,
        runtime: false,
        function: raw.function,
        offset: raw.offset,
    };
    let name = name.map(names::readable);
    let unnamed = || match symbols.is_import(raw.function) {
        true => format!("imported function {}", raw.function),
        false => format!("function {}", raw.function),
    };
    let Some((own, inlined)) = calls.split_last() else {
        return vec![frame(name.unwrap_or_else(unnamed), None, false)];
    };
    let inlined = inlined.iter().map(|call| {
        let name = call.name.clone().unwrap_or_else(|| "(inlined)".into());
        frame(name, call.location.clone(), true)
    });
    let mut frames: Vec<Frame> = inlined.collect();
    // The module's own name has the path, where DWARF may have the last part.
    let name = name.or_else(|| own.name.clone()).unwrap_or_else(unnamed);
    frames.push(frame(name, own.location.clone(), false));
    frames
}

/// Marks what the language's runtime has innermost and outermost, if there is
/// anything else.
fn mark_runtime(entries: &mut [Entry]) {
    let mut frames: Vec<&mut Frame> = entries
        .iter_mut()
        .filter_map(|entry| match entry {
            Entry::Frame(frame) => Some(frame),
            _ => None,
        })
        .collect();
    let inner = frames
        .iter()
        .take_while(|frame| names::is_panic_machinery(&frame.name));
    let inner = inner.count();
    let outer = frames[inner..].iter().rev();
    let outer = outer
        .take_while(|frame| names::is_start_up(&frame.name))
        .count();
    let from = frames.len() - outer;
    // `main` that calls no `std::rt` is C's, and so the guest's own.
    let from = match frames.get(from) {
        Some(frame) if names::is_main(&frame.name) => from + 1,
        _ => from,
    };
    if inner >= from {
        return;
    }
    for (index, frame) in frames.iter_mut().enumerate() {
        frame.runtime = index < inner || index >= from;
    }
}
