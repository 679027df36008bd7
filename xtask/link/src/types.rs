//! Function types as they are encoded (`0x60`, parameters, results), and names
//! as people read them.

use std::borrow::Cow;
use std::fmt::Write;

/// The type of a function that takes and returns nothing.
pub const NOTHING: &[u8] = &[0x60, 0, 0];

/// The parameters and results of an encoded type, one byte each.
///
/// A reference type takes more than a byte; it stays as it is encoded, which
/// is enough to compare and to copy.
pub fn split(signature: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = signature.strip_prefix(&[0x60])?;
    let (params, rest) = list(rest)?;
    let (results, _) = list(rest)?;
    Some((params, results))
}

fn list(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&len, rest) = bytes.split_first()?;
    (len < 0x80).then_some(())?;
    rest.split_at_checked(len as usize)
}

/// `(i32, i64) -> f64`.
pub fn describe(signature: &[u8]) -> String {
    let Some((params, results)) = split(signature) else {
        return "(?)".into();
    };
    let names = |types: &[u8]| {
        let names: Vec<&str> = types.iter().map(|&ty| name(ty)).collect();
        names.join(", ")
    };
    let mut text = format!("({}) -> ", names(params));
    match results {
        [] => text.push_str("void"),
        [one] => text.push_str(name(*one)),
        _ => write!(text, "({})", names(results)).expect("writing to a string"),
    }
    text
}

fn name(ty: u8) -> &'static str {
    match ty {
        0x7f => "i32",
        0x7e => "i64",
        0x7d => "f32",
        0x7c => "f64",
        0x7b => "v128",
        0x70 => "funcref",
        0x6f => "externref",
        _ => "?",
    }
}

/// A symbol's name as its author wrote it, without rustc's hash.
pub fn demangle(name: &str) -> Cow<'_, str> {
    match rustc_demangle::try_demangle(name) {
        Ok(demangled) => Cow::Owned(format!("{demangled:#}")),
        Err(_) => Cow::Borrowed(name),
    }
}
