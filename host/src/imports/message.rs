//! The text of a `core::fmt::Arguments` in a guest's memory.
//!
//! It is what the comments on `Arguments` in core's `fmt/mod.rs` describe, in Rust 1.95 to
//! 1.97: two words. Either the address of a text and `len << 1 | 1`; or the addresses of a
//! template and of an array of arguments, each the address of a value and the place of the
//! function in the table that formats it. What that function is called says what the value
//! is; where it does not, `{}` stands for the value. A guest can have anything there.

use std::fmt::{Binary, Debug, Display, LowerHex, Octal, UpperHex};

/// The longest text, in bytes.
const LONGEST: usize = 64 << 10;
/// The most arguments that are looked at.
const MOST_ARGUMENTS: usize = 64;

/// Copies bytes out of the guest's memory, if they are there.
pub(super) type Read<'a> = dyn Fn(u32, &mut [u8]) -> Option<()> + 'a;

/// A value, and how it is formatted.
#[derive(Clone, Copy)]
pub(super) struct Argument {
    value: u32,
    pub(super) formatter: u32,
}

/// A part of the template.
enum Part {
    Text(String),
    Value { index: usize, options: Options },
}

/// What a placeholder asks for, as far as it is done: a width is not.
#[derive(Clone, Copy, Default)]
struct Options {
    /// `#`
    alternate: bool,
    precision: Option<usize>,
}

/// The text; `names` says what the functions that format are called. `None` if it is none.
pub(super) fn text(
    read: &Read<'_>,
    template: u32,
    arguments: u32,
    names: impl FnOnce(&[Argument]) -> Vec<Option<String>>,
) -> Option<String> {
    if arguments & 1 == 1 {
        return string(read, template, arguments >> 1);
    }
    let parts = Template { read, at: template }.parts()?;
    let indices = parts.iter().filter_map(|part| match part {
        Part::Value { index, .. } => Some(index + 1),
        Part::Text(_) => None,
    });
    let count = indices.max().unwrap_or(0).min(MOST_ARGUMENTS);
    let argument = |index: usize| {
        let at = arguments.checked_add(8 * index as u32)?;
        Some(Argument {
            value: word(read, at)?,
            formatter: word(read, at.checked_add(4)?)?,
        })
    };
    let arguments: Vec<Argument> = (0..count).map_while(argument).collect();
    let names = names(&arguments);
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(part) => text.push_str(&part),
            Part::Value { index, options } => {
                let name = names.get(index).and_then(Option::as_deref);
                let argument = arguments.get(index);
                let value = name.zip(argument).and_then(|(name, argument)| {
                    let (ty, style) = name.strip_suffix(">::fmt")?.split_once(" as core::fmt::")?;
                    let ty = ty.strip_prefix('<')?;
                    value(read, ty, style, options, argument.value)
                });
                text.push_str(value.as_deref().unwrap_or("{}"));
            }
        }
        if text.len() > LONGEST {
            text.truncate(text.floor_char_boundary(LONGEST));
            break;
        }
    }
    Some(text)
}

/// The bytes of a template.
struct Template<'a> {
    read: &'a Read<'a>,
    at: u32,
}

impl Template<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        (self.read)(self.at, &mut bytes)?;
        self.at = self.at.checked_add(N as u32)?;
        Some(bytes)
    }

    fn number(&mut self) -> Option<u16> {
        self.bytes().map(u16::from_le_bytes)
    }

    fn text(&mut self, len: u32) -> Option<Part> {
        let text = string(self.read, self.at, len)?;
        self.at = self.at.checked_add(len)?;
        Some(Part::Text(text))
    }

    fn parts(mut self) -> Option<Vec<Part>> {
        let mut parts = Vec::new();
        let mut next = 0;
        let mut len = 0;
        loop {
            let part = match self.bytes()? {
                [0] => return Some(parts),
                [len @ 1..0x80] => self.text(len.into())?,
                [0x80] => {
                    let len = self.number()?;
                    self.text(len.into())?
                }
                [0x81..0xc0] => return None,
                [first] => self.placeholder(first, &mut next)?,
            };
            len += match &part {
                Part::Text(text) => text.len(),
                Part::Value { .. } => 1,
            };
            parts.push(part);
            if len > LONGEST {
                return Some(parts);
            }
        }
    }

    fn placeholder(&mut self, first: u8, next: &mut usize) -> Option<Part> {
        const ALTERNATE: u32 = 1 << 23;
        let has = |bit: u32| first & (1 << bit) != 0;
        let flags = if has(0) {
            u32::from_le_bytes(self.bytes()?)
        } else {
            0
        };
        if has(1) {
            self.number()?;
        }
        let precision = if has(2) { Some(self.number()?) } else { None };
        let index = if has(3) {
            usize::from(self.number()?)
        } else {
            *next
        };
        *next = index + 1;
        let options = Options {
            alternate: flags & ALTERNATE != 0,
            // Else it is the number of an argument that holds it.
            precision: precision.filter(|_| !has(5)).map(usize::from),
        };
        Some(Part::Value { index, options })
    }
}

/// A text of so many bytes, or its beginning.
fn string(read: &Read<'_>, at: u32, len: u32) -> Option<String> {
    let mut bytes = vec![0; (len as usize).min(LONGEST)];
    read(at, &mut bytes)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn word(read: &Read<'_>, at: u32) -> Option<u32> {
    let mut bytes = [0; 4];
    read(at, &mut bytes)?;
    Some(u32::from_le_bytes(bytes))
}

/// A value of a type of core's or alloc's, whose representation is known, or a reference to
/// one.
fn value(
    read: &Read<'_>,
    mut ty: &str,
    style: &str,
    options: Options,
    mut at: u32,
) -> Option<String> {
    const MOST_REFERENCES: usize = 8;
    for _ in 0..MOST_REFERENCES {
        match ty.strip_prefix('&') {
            Some(referent) if referent != "str" => {
                ty = referent;
                at = word(read, at)?;
            }
            _ => break,
        }
    }
    macro_rules! bytes {
        ($len:expr) => {{
            let mut bytes = [0; $len];
            read(at, &mut bytes)?;
            bytes
        }};
    }
    macro_rules! integers {
        ($($ty:ident),*) => {
            match ty {
                $(stringify!($ty) => {
                    let value = $ty::from_le_bytes(bytes!(size_of::<$ty>()));
                    return integer(value, style, options);
                })*
                _ => {}
            }
        };
    }
    integers!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128);
    match ty {
        "usize" => integer(word(read, at)?, style, options),
        "isize" => integer(word(read, at)? as i32, style, options),
        "bool" => shown(bytes!(1) != [0], style, options),
        "char" => shown(char::from_u32(word(read, at)?)?, style, options),
        "f32" => shown(f32::from_le_bytes(bytes!(4)), style, options),
        "f64" => shown(f64::from_le_bytes(bytes!(8)), style, options),
        // Capacity, address, length.
        "alloc::string::String" => {
            let address = word(read, at.checked_add(4)?)?;
            let len = word(read, at.checked_add(8)?)?;
            shown(string(read, address, len)?, style, options)
        }
        "&str" => {
            let len = word(read, at.checked_add(4)?)?;
            shown(string(read, word(read, at)?, len)?, style, options)
        }
        _ => None,
    }
}

fn integer<T>(value: T, style: &str, options: Options) -> Option<String>
where
    T: Display + Debug + LowerHex + UpperHex + Octal + Binary,
{
    Some(match (style, options.alternate) {
        ("LowerHex", false) => format!("{value:x}"),
        ("LowerHex", true) => format!("{value:#x}"),
        ("UpperHex", false) => format!("{value:X}"),
        ("UpperHex", true) => format!("{value:#X}"),
        ("Octal", false) => format!("{value:o}"),
        ("Octal", true) => format!("{value:#o}"),
        ("Binary", false) => format!("{value:b}"),
        ("Binary", true) => format!("{value:#b}"),
        _ => return shown(value, style, options),
    })
}

fn shown<T: Display + Debug>(value: T, style: &str, options: Options) -> Option<String> {
    Some(match (style, options.precision) {
        ("Display", None) => format!("{value}"),
        ("Display", Some(precision)) => format!("{value:.precision$}"),
        ("Debug", None) => format!("{value:?}"),
        ("Debug", Some(precision)) => format!("{value:.precision$?}"),
        _ => return None,
    })
}
