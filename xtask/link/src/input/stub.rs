//! Reads a stub library: text that names functions of the host, and what each of
//! them needs of the module. Its format is lld's (`lld/docs/WebAssembly.rst`).

use crate::error::{Damage, Result};
use crate::origin::ObjectName;

/// What a stub library begins with.
const MAGIC: &[u8] = b"#STUB";

/// A function of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stub<'a> {
    /// Its name.
    pub symbol: &'a str,
    /// What the module must define and export if it imports the function.
    pub needs: Vec<&'a str>,
}

/// Whether `bytes` begin as a stub library does.
pub fn is_stub_library(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Reads one: a function a line, `NAME` or `NAME: NEEDED, NEEDED`; a line that
/// begins with `#` is a comment.
///
/// # Errors
///
/// If it is no text.
pub fn read<'a>(name: ObjectName<'a>, bytes: &'a [u8]) -> Result<Vec<Stub<'a>>> {
    let text = str::from_utf8(bytes).map_err(|error| {
        name.damaged(Damage::StubNotText {
            offset: error.valid_up_to(),
        })
    })?;
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let stub = |line: &'a str| {
        let (symbol, needs) = line.split_once(':').unwrap_or((line, ""));
        let needs = needs.split(',').map(str::trim);
        Stub {
            symbol: symbol.trim(),
            needs: needs.filter(|name| !name.is_empty()).collect(),
        }
    };
    Ok(lines.map(stub).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_functions_and_what_they_need() {
        let text = b"#STUB\n# of the host\n f : a, b \n\ng\r\nh:";
        let stub = |symbol, needs: &[&'static str]| Stub {
            symbol,
            needs: needs.to_vec(),
        };
        let expected = [stub("f", &["a", "b"]), stub("g", &[]), stub("h", &[])];
        assert_eq!(read(ObjectName::file("lib.so"), text).unwrap(), expected);
        assert!(read(ObjectName::file("lib.so"), b"#STUB\n\xff").is_err());
    }
}
