//! `--reproduce`: packs all inputs and the command line into a tar archive, in
//! which `@response.txt` links the same.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;

use super::args::{Arg, Args};
use super::options::Opt;
use crate::files;

/// Writes the archive `path` of the files `opened` for the command line `args`, and
/// which program that was.
pub fn write(path: &Path, args: &Args, opened: &[PathBuf], version: &str) -> anyhow::Result<()> {
    let context = || format!("cannot pack the inputs into {}", path.display());
    let folder = Path::new(path.file_stem().unwrap_or(OsStr::new("repro")));
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: &Path, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, folder.join(name), bytes)
    };
    let response: String = args.list.iter().map(line).collect();
    add(Path::new("response.txt"), response.as_bytes()).with_context(context)?;
    add(Path::new("version.txt"), version.as_bytes()).with_context(context)?;
    let mut seen = BTreeSet::new();
    for file in opened {
        let name = within(file);
        if seen.insert(name.clone()) {
            add(&name, &files::read(file)?).with_context(context)?;
        }
    }
    files::write(path, &archive.into_inner().with_context(context)?)
}

/// An argument as a line of the response file: paths as they are in the archive.
fn line(arg: &Arg) -> String {
    let value = Path::new(&arg.value);
    let value = match arg.opt {
        // Not part of the link that is reproduced, or settled by this file.
        Opt::Reproduce | Opt::RspQuoting => return String::new(),
        Opt::Input | Opt::LibraryPath | Opt::AllowUndefinedFile => {
            within(value).display().to_string()
        }
        // Into the folder where the archive is unpacked: it has no others.
        Opt::Output | Opt::Map | Opt::WhyExtract => match value.file_name() {
            Some(name) if !files::is_stdio(value) => name.to_string_lossy().into_owned(),
            _ => arg.value.clone(),
        },
        _ => arg.value.clone(),
    };
    match &arg.joined {
        Some(before) => format!("{}\n", quoted(&format!("{before}{value}"))),
        None => format!("{} {}\n", quoted(&arg.spelling), quoted(&value)),
    }
}

/// A path as it is in the archive: the whole of it, without its root.
fn within(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut within = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::Normal(name) => within.push(name),
            Component::ParentDir => {
                within.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    within
}

/// An argument as response files quote it by default.
fn quoted(argument: &str) -> String {
    let is_plain = |c: char| !c.is_whitespace() && !matches!(c, '"' | '\'' | '\\');
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return argument.to_owned();
    }
    let mut text = String::from("\"");
    for character in argument.chars() {
        // On Windows a backslash is plain.
        if character == '"' || (character == '\\' && !cfg!(windows)) {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wasm_ld::args::parse;

    #[test]
    #[cfg(unix)]
    fn lines_are_the_arguments_again() {
        let line_of = |arguments: &[&str]| -> String {
            let args = parse(arguments.iter().map(|&it| it.to_owned()).collect());
            args.list.iter().map(line).collect()
        };
        for (arguments, line) in [
            (&["--export=a b"][..], "\"--export=a b\"\n"),
            (&["--export", "a"], "--export a\n"),
            (&["/x/../y/a.o"], "y/a.o\n"),
            (&["-L/x/y"], "-Lx/y\n"),
            (&["-L", "/x"], "-L x\n"),
            (&["-o", "out/a.wasm"], "-o a.wasm\n"),
            (&["-Map=-"], "-Map=-\n"),
            (&["--reproduce=r.tar", "--rsp-quoting=posix"], ""),
            (&["--export=\"\\"], "\"--export=\\\"\\\\\"\n"),
        ] {
            assert_eq!(line_of(arguments), line, "{arguments:?}");
        }
    }
}
