//! Arguments as a command line gives them.

use crate::types::{Signature, Value, ValueType};
use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;

/// The arguments of `function` but for its first `given` ones.
pub(super) fn parse(function: &Signature, given: usize, args: &[String]) -> Result<Vec<Value>> {
    let (expected, found) = (function.params.len(), given + args.len());
    ensure!(
        expected == found,
        "{function} takes {expected} argument{}, but {found} {} given",
        if expected == 1 { "" } else { "s" },
        if found == 1 { "was" } else { "were" },
    );
    let params = &function.params[given..];
    let numbers = args
        .iter()
        .zip(params)
        .enumerate()
        .map(|(index, (arg, param))| {
            number(arg, *param)
                .map_err(anyhow::Error::msg)
                .with_context(|| format!("argument {} of {function}", given + index + 1))
        });
    numbers.collect()
}

/// Reads an argument as a command line gives it: a number, which may have the
/// suffix of its Rust type (`20`, `1000u32`, `-5i16`, `0xff`, `2.5`).
///
/// A module does not say whether an `i32` parameter is a `u8`, a `u16` or an
/// `i32` in Rust, and a guest may compute anything from a value that its type
/// does not have. So a number without a suffix must fit them all, as far as
/// that goes: it is taken for a `u8`. With a suffix, the caller knows.
///
/// # Errors
/// What is wrong with it, in words.
fn number(text: &str, ty: ValueType) -> Result<Value, String> {
    let suffixes: &[&str] = match ty {
        ValueType::I32 => &["u8", "i8", "u16", "i16", "u32", "i32", "bool"],
        ValueType::I64 => &["u64", "i64"],
        ValueType::F32 => &["f32"],
        ValueType::F64 => &["f64"],
        other => return Err(format!("an argument of type {other} cannot be given here")),
    };
    let suffix = suffixes.iter().find(|s| text.ends_with(*s));
    let digits = suffix.map_or(text, |s| text[..text.len() - s.len()].trim_end_matches('_'));
    let plain = || format!("{text:?} is not a number of type {ty}");
    match ty {
        ValueType::I32 => match suffix.copied() {
            Some("u8") => integer(digits, u8::MIN, u8::MAX).map(Value::from),
            Some("i8") => integer(digits, i8::MIN, i8::MAX).map(Value::from),
            Some("u16") => integer(digits, u16::MIN, u16::MAX).map(Value::from),
            Some("i16") => integer(digits, i16::MIN, i16::MAX).map(Value::from),
            Some("u32") => integer(digits, u32::MIN, u32::MAX).map(Value::from),
            Some("i32") => integer(digits, i32::MIN, i32::MAX).map(Value::from),
            _ => {
                let wide = parse_integer(digits).ok_or_else(plain)?;
                match u8::try_from(wide) {
                    Ok(value) => Ok(value.into()),
                    Err(_) => Err(out_of_u8(wide)),
                }
            }
        },
        ValueType::I64 => match suffix.copied() {
            Some("u64") => integer(digits, u64::MIN, u64::MAX).map(Value::from),
            Some("i64") => integer(digits, i64::MIN, i64::MAX).map(Value::from),
            _ => match parse_integer(digits).ok_or_else(plain)? {
                wide if wide < 0 => integer(digits, i64::MIN, i64::MAX).map(Value::from),
                _ => integer(digits, u64::MIN, u64::MAX).map(Value::from),
            },
        },
        ValueType::F32 => f32::from_str(digits).map(Value::from).map_err(|_| plain()),
        _ => f64::from_str(digits).map(Value::from).map_err(|_| plain()),
    }
}

/// What stands for the hyphen of a negative number: clap takes what begins with one for an
/// option, unless it is a number without a suffix.
const MINUS: char = '\u{e000}';

/// The argument as clap takes it for a value, if it is a negative number.
pub(super) fn shielded(arg: OsString) -> OsString {
    match arg.to_str().and_then(|text| text.strip_prefix('-')) {
        Some(digits) if digits.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{MINUS}{digits}").into()
        }
        _ => arg,
    }
}

/// The argument as the user gave it.
pub(super) fn unshield(arg: &mut String) {
    if let Some(digits) = arg.strip_prefix(MINUS) {
        *arg = format!("-{digits}");
    }
}

fn out_of_u8(value: i128) -> String {
    let mut types = Vec::new();
    if i16::try_from(value).is_ok() {
        types.push("i16");
    } else if u16::try_from(value).is_ok() {
        types.push("u16");
    }
    if i32::try_from(value).is_ok() {
        types.push("i32");
    } else if u32::try_from(value).is_ok() {
        types.push("u32");
    }
    let range = format!("{value} is not in 0..=255, the range of a u8");
    if types.is_empty() {
        return format!("{range}, nor in that of any type of 32 bits");
    }
    let with_suffix: Vec<_> = types.iter().map(|ty| format!("{value}{ty}")).collect();
    format!(
        "{range}, and the module does not say that the parameter is wider; if it is, \
         give its Rust type: {}",
        with_suffix.join(" or ")
    )
}

fn integer<T>(digits: &str, min: T, max: T) -> Result<T, String>
where
    T: TryFrom<i128> + fmt::Display,
{
    let value = parse_integer(digits).ok_or_else(|| format!("{digits:?} is not a whole number"))?;
    T::try_from(value).map_err(|_| format!("{value} is not in {min}..={max}"))
}

fn parse_integer(digits: &str) -> Option<i128> {
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits),
    };
    let (radix, digits) = match digits.strip_prefix("0x") {
        Some(rest) => (16, rest),
        None => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i128::from_str_radix(&digits.replace('_', ""), radix).ok()?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_number_for_an_i32_is_a_u8() {
        let parse = |text| number(text, ValueType::I32);
        assert_eq!(parse("20"), Ok(Value::I32(20)));
        assert_eq!(parse("0xff"), Ok(Value::I32(255)));
        assert!(parse("276").unwrap_err().contains("276i16 or 276i32"));
        assert!(parse("40000").unwrap_err().contains("40000u16 or 40000i32"));
        assert!(parse("4294967295").unwrap_err().ends_with("4294967295u32"));
        assert!(parse("4294967296").unwrap_err().contains("32 bits"));
        assert!(parse("-1").unwrap_err().contains("-1i16 or -1i32"));
        assert!(parse("two").is_err());
        assert!(parse("--2").is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn a_suffix_gives_the_type() {
        let parse = |text| number(text, ValueType::I32);
        assert_eq!(parse("276u32"), Ok(Value::I32(276)));
        assert_eq!(parse("-1i8"), Ok(Value::I32(-1)));
        assert_eq!(parse("4294967295u32"), Ok(Value::I32(-1)));
        assert_eq!(parse("1_000i32"), Ok(Value::I32(1000)));
        assert_eq!(parse("276u8"), Err("276 is not in 0..=255".into()));
        assert_eq!(parse("-129i8"), Err("-129 is not in -128..=127".into()));
    }

    #[test]
    fn wider_types_need_no_suffix() {
        assert_eq!(number("-1", ValueType::I64), Ok(Value::I64(-1)));
        let max = u64::MAX.to_string();
        assert_eq!(number(&max, ValueType::I64), Ok(Value::I64(-1)));
        assert!(number("18446744073709551616", ValueType::I64).is_err());
        assert_eq!(number("2.5", ValueType::F64), Ok(Value::F64(2.5)));
        assert_eq!(number("1e3f32", ValueType::F32), Ok(Value::F32(1000.0)));
        assert!(number("1", ValueType::FuncRef).is_err());
    }
}
