//! Reads the code of a module that is valid: as much of each instruction as the pass asks
//! for. It is several times faster than a reader that has to find out whether the code is
//! valid, and it is read twice.
//!
//! The encoding is that of the WebAssembly specification, release 2.0, chapter 5.4
//! ("Instructions"): [`super::validate`] lets nothing else pass. An operation code of
//! another one is an error here, and never skipped.

use super::helpers::Helper;

/// An instruction: what the pass treats, and how long it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instruction {
    Block,
    Loop {
        /// Whether it has parameters or several results.
        typed: bool,
    },
    If,
    Else,
    End,
    /// To the block at this depth.
    Br(u32),
    BrIf(u32),
    /// [`depths`] gives where to.
    BrTable,
    Return,
    Unreachable,
    /// Of the function of this index.
    Call(u32),
    CallIndirect,
    RefFunc(u32),
    /// Of the segment of this index.
    DataDrop(u32),
    ElemDrop(u32),
    /// One that a helper does in its place.
    Helped(Helper),
    /// A load or a store. Its argument is so many bytes from its beginning: the flags, the
    /// memory's index, which may be left out, and the offset.
    Memory(usize),
    /// The memory's index is all that comes after their first byte.
    MemorySize,
    MemoryGrow,
    /// One that is copied as it is, and takes this long: 1 if it does not leave the
    /// processor.
    Other(i32),
}

/// There is code that the specification does not have, at this offset in the function's
/// body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unknown(pub(super) usize);

/// The instructions in the body of a function.
pub(super) struct Instructions<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Instructions<'a> {
    /// Those from the offset `at` in the body on.
    pub(super) fn new(body: &'a [u8], at: usize) -> Self {
        Self { body, at }
    }

    /// Reads one: it, and where it begins and ends.
    #[inline]
    pub(super) fn read(&mut self) -> Result<(Instruction, usize, usize), Unknown> {
        let at = self.at;
        let mut bytes = Bytes {
            body: self.body,
            at,
        };
        let plain = bytes.plain();
        let instruction = plain.or_else(|| bytes.instruction());
        self.at = bytes.at;
        Ok((instruction.ok_or(Unknown(at))?, at, self.at))
    }

    /// Whether there is one more.
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.body.len()
    }
}

/// The depths that a `br_table` has, that of its default last. `bytes` are its own.
pub(super) fn depths(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let mut bytes = Bytes { body: bytes, at: 1 };
    let count = bytes.u32().unwrap_or_default();
    (0..=count).map_while(move |_| bytes.u32())
}

/// The LEB128 number that `bytes` begin with, and its length.
pub(super) fn unsigned(bytes: &[u8]) -> (u32, usize) {
    let mut bytes = Bytes { body: bytes, at: 0 };
    (bytes.u32().unwrap_or_default(), bytes.at)
}

struct Bytes<'a> {
    body: &'a [u8],
    at: usize,
}

impl Bytes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.body.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn u32(&mut self) -> Option<u32> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Passes over a LEB128 number of any kind.
    fn number(&mut self) -> Option<()> {
        while self.byte()? & 0x80 != 0 {}
        Some(())
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.at += count;
        (self.at <= self.body.len()).then_some(())
    }

    /// The type of a block: whether it is one of those that are listed.
    fn is_typed_block(&mut self) -> Option<bool> {
        // A single byte is one result or none: as a signed number it is negative.
        let single = *self.body.get(self.at)? & 0xc0 == 0x40;
        self.number()?;
        Some(!single)
    }

    /// The argument of a load or store.
    fn memory(&mut self, start: usize) -> Option<Instruction> {
        let position = self.at - start;
        const HAS_INDEX: u32 = 0x40;
        if self.u32()? & HAS_INDEX != 0 {
            self.number()?;
        }
        self.number()?;
        Some(Instruction::Memory(position))
    }

    /// One of those that most code consists of, which are told by their first bytes alone;
    /// `None` for another one.
    #[inline]
    fn plain(&mut self) -> Option<Instruction> {
        match self.body.get(self.at..self.at + 2)? {
            [0x45..=0xc4, _] => self.at += 1,
            [0x20..=0x24 | 0x41 | 0x42, 0..0x80] => self.at += 2,
            _ => return None,
        }
        Some(Instruction::Other(1))
    }

    #[inline(never)]
    fn instruction(&mut self) -> Option<Instruction> {
        use Instruction as I;
        let start = self.at;
        Some(match self.byte()? {
            0x00 => I::Unreachable,
            0x01 | 0x1a => I::Other(0),
            0x02 => {
                self.is_typed_block()?;
                I::Block
            }
            0x03 => I::Loop {
                typed: self.is_typed_block()?,
            },
            0x04 => {
                self.is_typed_block()?;
                I::If
            }
            0x05 => I::Else,
            0x0b => I::End,
            0x0c => I::Br(self.u32()?),
            0x0d => I::BrIf(self.u32()?),
            0x0e => {
                for _ in 0..=self.u32()? {
                    self.number()?;
                }
                I::BrTable
            }
            0x0f => I::Return,
            0x10 => I::Call(self.u32()?),
            0x11 => {
                self.number()?;
                self.number()?;
                I::CallIndirect
            }
            0x1c => {
                let types = self.u32()?;
                self.skip(types as usize)?;
                I::Other(1)
            }
            0x20..=0x24 | 0x41 | 0x42 | 0xd0 => {
                self.number()?;
                I::Other(1)
            }
            0x25 => I::Helped(Helper::TableGet(self.u32()?)),
            0x26 => I::Helped(Helper::TableSet(self.u32()?)),
            0x28..=0x3e => self.memory(start)?,
            0x3f => {
                self.number()?;
                I::MemorySize
            }
            0x40 => {
                self.number()?;
                I::MemoryGrow
            }
            0x43 => {
                self.skip(4)?;
                I::Other(1)
            }
            0x44 => {
                self.skip(8)?;
                I::Other(1)
            }
            0x1b | 0x45..=0xc4 | 0xd1 => I::Other(1),
            0xd2 => I::RefFunc(self.u32()?),
            0xfc => self.bulk()?,
            0xfd => self.vector(start)?,
            _ => return None,
        })
    }

    /// What begins with 0xfc: conversions, and instructions on memories and tables.
    fn bulk(&mut self) -> Option<Instruction> {
        use Instruction as I;
        Some(match self.u32()? {
            0..=7 => I::Other(1),
            8 => {
                let data = self.u32()?;
                self.number()?;
                I::Helped(Helper::MemoryInit(data))
            }
            9 => I::DataDrop(self.u32()?),
            10 => {
                self.number()?;
                self.number()?;
                I::Helped(Helper::MemoryCopy)
            }
            11 => {
                self.number()?;
                I::Helped(Helper::MemoryFill)
            }
            12 => {
                let elements = self.u32()?;
                let table = self.u32()?;
                I::Helped(Helper::TableInit { table, elements })
            }
            13 => I::ElemDrop(self.u32()?),
            14 => {
                let to = self.u32()?;
                let from = self.u32()?;
                I::Helped(Helper::TableCopy { to, from })
            }
            15 => I::Helped(Helper::TableGrow(self.u32()?)),
            16 => {
                self.number()?;
                I::Other(1)
            }
            17 => I::Helped(Helper::TableFill(self.u32()?)),
            _ => return None,
        })
    }

    /// What begins with 0xfd: instructions on vectors.
    fn vector(&mut self, start: usize) -> Option<Instruction> {
        Some(match self.u32()? {
            0..=11 | 92 | 93 => self.memory(start)?,
            // With a lane.
            84..=91 => {
                let memory = self.memory(start)?;
                self.skip(1)?;
                memory
            }
            12 | 13 => {
                self.skip(16)?;
                Instruction::Other(1)
            }
            21..=34 => {
                self.skip(1)?;
                Instruction::Other(1)
            }
            14..=20 | 35..=83 | 94..=255 => Instruction::Other(1),
            _ => return None,
        })
    }
}
