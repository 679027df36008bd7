//! wasm-ld's command line, split into options and their values by LLVM's rules:
//! response files, and values in their option's argument or the next.

use std::path::{Path, PathBuf};

use super::options::{self, Found, Opt};

/// One option as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// Which.
    pub opt: Opt,
    /// Its name as the user spelled it, dashes included; the path of an input.
    pub spelling: String,
    /// Its value; empty if it takes none.
    pub value: String,
    /// What comes before the value in the same argument; `None` if the value is an
    /// argument of its own.
    pub joined: Option<String>,
}

/// A command line after [`parse`].
#[derive(Debug, Default)]
pub struct Args {
    /// In the order given.
    pub list: Vec<Arg>,
    /// What cannot be understood, one message each.
    pub errors: Vec<String>,
    /// What is understood and not implemented, one message each.
    pub refused: Vec<String>,
}

impl Args {
    /// The last argument that is one of `opts`: later ones win.
    pub fn last(&self, opts: &[Opt]) -> Option<&Arg> {
        self.list.iter().rfind(|arg| opts.contains(&arg.opt))
    }

    /// Whether `opt` is there.
    pub fn has(&self, opt: Opt) -> bool {
        self.last(&[opt]).is_some()
    }

    /// Whether `on` comes after the last `off`; `default` if neither is there.
    pub fn flag(&self, on: Opt, off: Opt, default: bool) -> bool {
        self.last(&[on, off]).map_or(default, |arg| arg.opt == on)
    }

    /// The values of every `opt`, in order.
    pub fn values(&self, opt: Opt) -> impl DoubleEndedIterator<Item = &str> {
        let matching = self.list.iter().filter(move |arg| arg.opt == opt);
        matching.map(|arg| arg.value.as_str())
    }

    /// The value of the last `opt`.
    pub fn value(&self, opt: Opt) -> Option<&str> {
        self.last(&[opt]).map(|arg| arg.value.as_str())
    }
}

/// Splits a command line (without the program's name) into options. `@FILE`
/// stands for the arguments in that file.
pub fn parse(arguments: Vec<String>) -> Args {
    let mut expansion = Expansion::default();
    let windows = match split(&arguments).value(Opt::RspQuoting) {
        Some("windows") => true,
        Some("posix") => false,
        other => {
            let errors = other.map(|other| format!("invalid response file quoting: {other}"));
            expansion.errors.extend(errors);
            cfg!(windows)
        }
    };
    expansion.expand(arguments, windows, &mut Vec::new());
    let mut args = split(&expansion.arguments);
    args.errors.splice(0..0, expansion.errors);
    args
}

/// Splits arguments without response files.
fn split(arguments: &[String]) -> Args {
    let mut args = Args::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let dashes = argument.len() - argument.trim_start_matches('-').len();
        if dashes == 0 || argument == "-" {
            args.list.push(Arg {
                opt: Opt::Input,
                spelling: argument.clone(),
                value: argument.clone(),
                joined: Some(String::new()),
            });
            continue;
        }
        let Some(found) = options::find(argument) else {
            args.errors.push(format!("unknown argument: {argument}"));
            continue;
        };
        let Found {
            opt,
            length,
            takes_next,
            help,
        } = found;
        let (spelling, joined) = argument.split_at(length);
        let value = if takes_next {
            let Some(next) = rest.next() else {
                args.errors.push(format!("{spelling}: missing argument"));
                break;
            };
            next.clone()
        } else {
            joined.to_owned()
        };
        let before = (!takes_next).then(|| spelling.to_owned());
        let spelling = spelling.trim_end_matches('=').to_owned();
        if opt == Opt::Refused {
            let message = format!("{spelling}: {help}: not implemented");
            args.refused.push(message);
        }
        args.list.push(Arg {
            opt,
            spelling,
            value,
            joined: before,
        });
    }
    args
}

/// The state of expanding response files.
#[derive(Default)]
struct Expansion {
    arguments: Vec<String>,
    errors: Vec<String>,
}

impl Expansion {
    /// Appends `arguments`, with the contents of each `@FILE` in its place.
    /// `open` are the files that this happens within.
    fn expand(&mut self, arguments: Vec<String>, windows: bool, open: &mut Vec<PathBuf>) {
        for argument in arguments {
            let path = match argument.strip_prefix('@') {
                Some(path) if Path::new(path).is_file() => PathBuf::from(path),
                // No such file: an input by that name, as LLVM has it.
                _ => {
                    self.arguments.push(argument);
                    continue;
                }
            };
            if open.contains(&path) {
                let path = path.display();
                self.errors
                    .push(format!("response file {path} includes itself"));
                continue;
            }
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                    let arguments = if windows {
                        tokenize_windows(text)
                    } else {
                        tokenize(text)
                    };
                    open.push(path);
                    self.expand(arguments, windows, open);
                    open.pop();
                }
                Err(error) => {
                    let path = path.display();
                    self.errors
                        .push(format!("cannot read response file {path}: {error}"));
                }
            }
        }
    }
}

/// A response file's arguments as a POSIX shell quotes them: a backslash takes
/// the next character as it is, within quotes too.
fn tokenize(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut token: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(next) => token.get_or_insert_default().push(next),
                None => token.get_or_insert_default().push('\\'),
            },
            _ if quote == Some(character) => quote = None,
            '"' | '\'' if quote.is_none() => {
                quote = Some(character);
                token.get_or_insert_default();
            }
            _ if quote.is_none() && character.is_ascii_whitespace() => tokens.extend(token.take()),
            _ => token.get_or_insert_default().push(character),
        }
    }
    tokens.extend(token);
    tokens
}

/// A response file's arguments as Windows quotes them: backslashes are plain,
/// but for an odd one before a double quote; two quotes within quotes are one.
fn tokenize_windows(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut token: Option<String> = None;
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                let mut backslashes = 1;
                while characters.next_if_eq(&'\\').is_some() {
                    backslashes += 1;
                }
                let token = token.get_or_insert_default();
                if characters.peek() == Some(&'"') {
                    token.extend(std::iter::repeat_n('\\', backslashes / 2));
                    if backslashes % 2 == 1 {
                        characters.next();
                        token.push('"');
                    }
                } else {
                    token.extend(std::iter::repeat_n('\\', backslashes));
                }
            }
            '"' => {
                let token = token.get_or_insert_default();
                if quoted && characters.next_if_eq(&'"').is_some() {
                    token.push('"');
                } else {
                    quoted = !quoted;
                }
            }
            _ if !quoted && character.is_ascii_whitespace() => tokens.extend(token.take()),
            _ => token.get_or_insert_default().push(character),
        }
    }
    tokens.extend(token);
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &[&str]) -> Args {
        parse(line.iter().map(|&argument| argument.to_owned()).collect())
    }

    fn one(line: &[&str]) -> (Opt, String) {
        let args = args(line);
        assert_eq!(args.errors, [""; 0], "{line:?}");
        assert_eq!(args.list.len(), 1, "{line:?}");
        (args.list[0].opt, args.list[0].value.clone())
    }

    #[test]
    fn a_value_is_joined_or_separate() {
        for line in [
            &["-lc"][..],
            &["-l", "c"],
            &["--library=c"],
            &["-library", "c"],
        ] {
            assert_eq!(one(line), (Opt::Library, "c".into()), "{line:?}");
        }
        for line in [
            &["--entry=main"][..],
            &["-entry=main"],
            &["-e", "main"],
            &["-emain"],
        ] {
            assert_eq!(one(line), (Opt::Entry, "main".into()), "{line:?}");
        }
        assert_eq!(one(&["-zstack-size=1"]), (Opt::Z, "stack-size=1".into()));
        assert_eq!(one(&["--Map", "-"]), (Opt::Map, "-".into()));
    }

    #[test]
    fn the_longest_name_wins() {
        assert_eq!(one(&["--export-all"]).0, Opt::ExportAll);
        assert_eq!(one(&["--export-memory=m"]), (Opt::ExportMemory, "m".into()));
        assert_eq!(one(&["--export=a=b"]), (Opt::Export, "a=b".into()));
        assert_eq!(one(&["-mllvm", "x"]).0, Opt::Mllvm);
        assert_eq!(one(&["-mwasm32"]), (Opt::Machine, "wasm32".into()));
    }

    #[test]
    fn one_dash_is_not_two() {
        // wasm-ld takes it for `-e xport-all`, hence so does this.
        assert_eq!(one(&["-export-all"]), (Opt::Entry, "xport-all".into()));
        assert_eq!(args(&["--lc"]).errors, ["unknown argument: --lc"]);
        assert_eq!(args(&["-no-entry"]).errors, ["unknown argument: -no-entry"]);
    }

    #[test]
    fn what_is_unknown_or_cut_short_is_an_error() {
        assert_eq!(
            args(&["--frob", "a.o", "-o"]).errors,
            ["unknown argument: --frob", "-o: missing argument"]
        );
        assert_eq!(
            args(&["--strip-all=yes"]).errors,
            ["unknown argument: --strip-all=yes"]
        );
    }

    #[test]
    fn the_last_flag_wins() {
        let args = args(&["--no-gc-sections", "--gc-sections", "--no-check-features"]);
        assert!(args.flag(Opt::GcSections, Opt::NoGcSections, false));
        assert!(!args.flag(Opt::CheckFeatures, Opt::NoCheckFeatures, true));
        assert!(args.flag(Opt::StackFirst, Opt::NoStackFirst, true));
    }

    #[test]
    fn a_dash_alone_is_a_file() {
        assert_eq!(one(&["-"]), (Opt::Input, "-".into()));
        assert_eq!(one(&["a=b.o"]), (Opt::Input, "a=b.o".into()));
    }

    #[test]
    fn response_files_stand_for_their_arguments() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("inner"), "--no-entry\n'a b.o'").unwrap();
        std::fs::write(
            path("outer"),
            format!("-o x @{} \"c\\\"d\".o", path("inner")),
        )
        .unwrap();
        let found = args(&[&format!("@{}", path("outer")), "@nowhere"]);
        let values: Vec<_> = found.list.iter().map(|arg| arg.value.as_str()).collect();
        assert_eq!(values, ["x", "", "a b.o", "c\"d.o", "@nowhere"]);

        std::fs::write(path("loop"), format!("a.o @{}", path("loop"))).unwrap();
        let found = args(&[&format!("@{}", path("loop"))]);
        assert_eq!(
            found.errors,
            [format!("response file {} includes itself", path("loop"))]
        );
    }

    #[test]
    fn quoting_is_posix_or_windows() {
        assert_eq!(
            tokenize(r#"a\ b 'c\'d' "e f"g "" h\"#),
            ["a b", "c'd", "e fg", "", "h\\"]
        );
        let windows = r#"C:\a\b.o "C:\c d\\" e\"f "g""h""#;
        assert_eq!(
            tokenize_windows(windows),
            [r"C:\a\b.o", r"C:\c d\", "e\"f", "g\"h"]
        );
    }
}
