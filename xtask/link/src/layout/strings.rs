//! Merges sections of null-terminated strings: equal ones are stored once, and
//! one that ends another is stored within it.

use std::ffi::CStr;

use hashbrown::HashMap;
use rayon::prelude::*;

/// Where each string of one input went.
#[derive(Debug, Default)]
pub struct Pieces {
    /// Offset in the input and in the output, ascending.
    starts: Vec<(u32, u32)>,
    /// For each [`BLOCK`] of the input, the string that its first byte is in:
    /// where to begin to look. Debug information asks a million times.
    blocks: Vec<u32>,
}

/// So many strings are sorted by many threads.
const PARALLEL_STRINGS: usize = 1 << 12;

/// Bytes of a block: a few strings.
const BLOCK: u32 = 64;

impl Pieces {
    fn new(starts: Vec<(u32, u32)>, len: usize) -> Self {
        let mut blocks = Vec::with_capacity(len / BLOCK as usize + 1);
        let mut at = 0;
        for block in (0..len as u32).step_by(BLOCK as usize) {
            while starts.get(at + 1).is_some_and(|&(start, _)| start <= block) {
                at += 1;
            }
            blocks.push(at as u32);
        }
        Pieces { starts, blocks }
    }

    /// The offset in the output for one in the input, which may point into a
    /// string or one past the last.
    pub fn output_offset(&self, offset: u32) -> u32 {
        let block = (offset / BLOCK) as usize;
        let Some(&first) = self.blocks.get(block).or(self.blocks.last()) else {
            return offset;
        };
        let rest = &self.starts[first as usize..];
        let after = rest
            .iter()
            .take_while(|&&(start, _)| start <= offset)
            .last();
        match after {
            Some((start, output)) => output + (offset - start),
            None => offset,
        }
    }
}

/// Strings without the last null byte are an error of the input: its index.
#[derive(Debug, PartialEq, Eq)]
pub struct Unterminated(pub usize);

/// Merges `inputs`; gives the output and where each input's strings went.
///
/// With `tails`, one string may lie within another, in LLVM's order of strings. The
/// result depends on nothing but the inputs and their order.
pub fn merge(inputs: &[&[u8]], tails: bool) -> Result<(Vec<u8>, Vec<Pieces>), Unterminated> {
    // Each string with its null byte, by number; inputs as lists of numbers.
    let mut numbers: HashMap<&[u8], u32> = HashMap::new();
    let mut strings: Vec<&[u8]> = Vec::new();
    let mut split = Vec::with_capacity(inputs.len());
    for (index, &input) in inputs.iter().enumerate() {
        let mut pieces = Vec::new();
        let mut rest = input;
        while !rest.is_empty() {
            // std's search for a null byte goes by words, not bytes.
            let string = CStr::from_bytes_until_nul(rest).map_err(|_| Unterminated(index))?;
            let (string, after) = rest.split_at(string.count_bytes() + 1);
            let number = *numbers.entry(string).or_insert_with(|| {
                strings.push(string);
                strings.len() as u32 - 1
            });
            pieces.push(((input.len() - rest.len()) as u32, number));
            rest = after;
        }
        split.push(pieces);
    }
    let (output, offsets) = match tails {
        true => place_tails(&strings),
        false => place(&strings),
    };
    let pieces = split
        .into_iter()
        .zip(inputs)
        .map(|(pieces, input)| {
            let starts = pieces
                .into_iter()
                .map(|(start, number)| (start, offsets[number as usize]));
            Pieces::new(starts.collect(), input.len())
        })
        .collect();
    Ok((output, pieces))
}

/// Places strings one after the other; gives where each is.
fn place(strings: &[&[u8]]) -> (Vec<u8>, Vec<u32>) {
    let mut output = Vec::new();
    let place = |string: &&[u8]| {
        let offset = output.len() as u32;
        output.extend_from_slice(string);
        offset
    };
    let offsets = strings.iter().map(place).collect();
    (output, offsets)
}

/// Places strings one after the other, those that end another within it.
fn place_tails(strings: &[&[u8]]) -> (Vec<u8>, Vec<u32>) {
    let mut offsets = vec![0; strings.len()];
    let mut output: Vec<u8> = Vec::new();
    let mut previous: &[u8] = &[];
    for number in by_tails(strings) {
        let string = strings[number as usize];
        // An empty string, its null byte alone, ends every other.
        if !previous.ends_with(string) {
            output.extend_from_slice(string);
            previous = string;
        }
        offsets[number as usize] = (output.len() - string.len()) as u32;
    }
    (output, offsets)
}

/// The numbers of strings, sorted from their ends, so that a string stands right
/// behind those that it ends.
fn by_tails(strings: &[&[u8]]) -> Vec<u32> {
    // The last eight bytes decide most comparisons; the null byte decides none.
    let tail = |string: &[u8]| {
        let end = string.iter().rev().skip(1).take(8);
        end.enumerate().fold(0, |key, (at, &byte)| {
            key | u64::from(byte) << (8 * (7 - at))
        })
    };
    let mut order: Vec<(u64, u32)> = strings
        .iter()
        .enumerate()
        .map(|(number, string)| (tail(string), number as u32))
        .collect();
    let backwards = |number: u32| strings[number as usize].iter().rev();
    let compare = |a: &(u64, u32), b: &(u64, u32)| {
        let tails = b.0.cmp(&a.0);
        tails.then_with(|| backwards(b.1).cmp(backwards(a.1)))
    };
    if order.len() > PARALLEL_STRINGS {
        order.par_sort_unstable_by(compare);
    } else {
        order.sort_unstable_by(compare);
    }
    order.into_iter().map(|(_, number)| number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_and_tails_are_stored_once() {
        let inputs: [&[u8]; 3] = [b"keep\0eep\0", b"eep\0", b"p\0keep\0"];
        let (output, pieces) = merge(&inputs, true).unwrap();
        assert_eq!(output, b"keep\0");
        assert_eq!(pieces[0].output_offset(0), 0);
        assert_eq!(pieces[0].output_offset(5), 1);
        assert_eq!(pieces[0].output_offset(6), 2);
        assert_eq!(pieces[2].output_offset(0), 3);
        let (output, pieces) = merge(&inputs, false).unwrap();
        assert_eq!(output, b"keep\0eep\0p\0");
        assert_eq!(pieces[1].output_offset(0), 5);
    }

    #[test]
    fn every_offset_leads_to_its_byte() {
        let input: Vec<u8> = (0..500u32)
            .flat_map(|n| {
                format!("{}\0", "x".repeat(n as usize % 90) + &n.to_string()).into_bytes()
            })
            .collect();
        let inputs = [b"first\0", &input[..]];
        for tails in [false, true] {
            let (output, pieces) = merge(&inputs, tails).unwrap();
            for (at, byte) in input.iter().enumerate() {
                assert_eq!(output[pieces[1].output_offset(at as u32) as usize], *byte);
            }
        }
    }

    #[test]
    fn a_string_must_end() {
        assert_eq!(
            merge(&[b"ok\0", b"open"], true).unwrap_err(),
            Unterminated(1)
        );
    }
}
