//! A guest's stack as the engine gives it: bounded, and recursion folded.

use super::place::RawFrame;

/// A part of a folded stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    Frame(RawFrame),
    /// The `period` frames before it came again, `times` times, in other
    /// places of the same functions maybe.
    Repeated {
        period: usize,
        times: usize,
    },
    /// So many frames are left out, if that is known.
    Omitted(Option<usize>),
}

/// The longest cycle of functions that counts as recursion.
const LONGEST_PERIOD: usize = 16;
/// How often a cycle must come to be folded.
const FOLDED_FROM: usize = 3;
/// How many parts are kept, innermost and outermost.
const INNERMOST: usize = 48;
const OUTERMOST: usize = 16;

/// Folds recursion, and leaves out the middle of what is still too long.
pub(super) fn fold(frames: &[RawFrame]) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut at = 0;
    while at < frames.len() {
        let rest = &frames[at..];
        let cycle = (1..=LONGEST_PERIOD)
            .map(|period| (period, repeats(rest, period)))
            .find(|&(_, times)| times >= FOLDED_FROM);
        let (period, times) = cycle.unwrap_or((1, 1));
        runs.extend(rest[..period].iter().copied().map(Run::Frame));
        if times > 1 {
            let times = times - 1;
            runs.push(Run::Repeated { period, times });
        }
        at += period * times;
    }
    if runs.len() > INNERMOST + OUTERMOST {
        let middle = INNERMOST..runs.len() - OUTERMOST;
        let omitted = runs[middle.clone()].iter().map(|run| match run {
            Run::Frame(_) => 1,
            Run::Repeated { period, times } => period * times,
            Run::Omitted(frames) => frames.unwrap_or(0),
        });
        let omitted = omitted.sum();
        runs.splice(middle, [Run::Omitted(Some(omitted))]);
    }
    runs
}

/// How often the first `period` functions come one after the other.
fn repeats(frames: &[RawFrame], period: usize) -> usize {
    let Some(later) = frames.get(period..) else {
        return 1;
    };
    let same = frames
        .iter()
        .zip(later)
        .take_while(|(a, b)| a.function == b.function)
        .count();
    1 + same / period
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(functions: &[u32]) -> Vec<RawFrame> {
        let frame = |&function| RawFrame {
            function,
            offset: Some(7),
        };
        functions.iter().map(frame).collect()
    }

    /// `5 (2x3) 6`: frame 5, two frames that came three times more, frame 6.
    fn folded(functions: &[u32]) -> String {
        let show = |run| match run {
            Run::Frame(frame) => frame.function.to_string(),
            Run::Repeated { period, times } => format!("({period}x{times})"),
            Run::Omitted(frames) => format!("[{}]", frames.unwrap_or(0)),
        };
        let runs: Vec<_> = fold(&stack(functions)).into_iter().map(show).collect();
        runs.join(" ")
    }

    #[test]
    fn short_stacks_stay() {
        assert_eq!(folded(&[]), "");
        assert_eq!(folded(&[1]), "1");
        assert_eq!(folded(&[1, 2, 1, 3]), "1 2 1 3");
        assert_eq!(folded(&[1, 1, 2]), "1 1 2");
    }

    #[test]
    fn recursion_is_folded() {
        assert_eq!(folded(&[1, 1, 1]), "1 (1x2)");
        assert_eq!(folded(&[9, 1, 1, 1, 1, 8]), "9 1 (1x3) 8");
        assert_eq!(folded(&[9, 1, 2, 1, 2, 1, 2, 1, 8]), "9 1 2 (2x2) 1 8");
        assert_eq!(folded(&[1, 2, 2, 2, 3, 4, 4, 4, 4]), "1 2 (1x2) 3 4 (1x3)");
        assert_eq!(
            folded(&[&[7][..], &[3; 100_000], &[8]].concat()),
            "7 3 (1x99999) 8"
        );
    }

    #[test]
    fn what_does_not_fold_loses_its_middle() {
        let all: Vec<u32> = (0..1_000).collect();
        let text = folded(&all);
        assert!(text.starts_with("0 1 2 "), "{text}");
        assert!(text.contains(" 47 [936] 984 "), "{text}");
        assert!(text.ends_with(" 998 999"), "{text}");
        // Every frame is shown, repeated or counted as left out.
        let frames = |run| match run {
            Run::Frame(_) => 1,
            Run::Repeated { period, times } => period * times,
            Run::Omitted(frames) => frames.unwrap_or(0),
        };
        for seed in 0..200u32 {
            let mut state = seed;
            let mut random = || {
                state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
                state >> 16
            };
            let stack = stack(
                &(0..random() % 500)
                    .map(|_| random() % 3)
                    .collect::<Vec<_>>(),
            );
            let runs = fold(&stack);
            assert!(runs.len() <= INNERMOST + OUTERMOST + 1);
            assert_eq!(runs.into_iter().map(frames).sum::<usize>(), stack.len());
        }
    }
}
