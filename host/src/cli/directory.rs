//! Directories as a command line gives them.

use crate::files::{Dir, DirAccess};
use crate::types::Error;

/// `HOST[::GUEST][:ro|:rw]`, as wasmtime has it but for the end.
///
/// # Errors
/// As for [`Dir::open`].
pub(super) fn parse(text: &str) -> Result<Dir, String> {
    let (host, guest, access) = split(text);
    Dir::open(host, guest, access).map_err(|error| {
        let Error::File { source, .. } = &error else {
            return error.to_string();
        };
        let hint = match host.contains(':') {
            true => ": the guest's name for it comes after two colons, as in HOST::GUEST",
            false => "",
        };
        format!("{error}: {source}{hint}")
    })
}

fn split(text: &str) -> (&str, &str, DirAccess) {
    let (host, guest) = match text.split_once("::") {
        Some((host, guest)) => (host, Some(guest)),
        None => (text, None),
    };
    let last = guest.unwrap_or(host);
    let (last, access) = match last.rsplit_once(':') {
        Some((last, "ro")) => (last, DirAccess::Read),
        Some((last, "rw")) => (last, DirAccess::ReadWrite),
        _ => (last, DirAccess::ReadWrite),
    };
    match guest {
        Some(_) => (host, last, access),
        None => (last, last, access),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_directory() {
        use DirAccess::{Read, ReadWrite};
        for (text, expected) in [
            (".", (".", ".", ReadWrite)),
            ("a/b", ("a/b", "a/b", ReadWrite)),
            ("a::/b", ("a", "/b", ReadWrite)),
            ("a:ro", ("a", "a", Read)),
            ("a:rw", ("a", "a", ReadWrite)),
            ("a::/b:ro", ("a", "/b", Read)),
            ("a::/b:rw", ("a", "/b", ReadWrite)),
            // What has such a name.
            ("a::ro", ("a", "ro", ReadWrite)),
            ("a:ro:rw", ("a:ro", "a:ro", ReadWrite)),
            ("a:/b", ("a:/b", "a:/b", ReadWrite)),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }

    #[test]
    fn one_that_is_not_there_is_refused() {
        let error = parse("/nowhere:/data").unwrap_err();
        assert!(error.contains("HOST::GUEST"), "{error}");
        let error = parse("/nowhere").unwrap_err();
        assert!(error.contains("/nowhere: No such file"), "{error}");
        assert!(parse("/etc/passwd").is_err());
        assert!(parse("/::").unwrap_err().contains("no path"));
    }
}
