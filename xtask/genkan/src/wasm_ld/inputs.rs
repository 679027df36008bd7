//! From names on the command line to bytes: searches libraries, maps files,
//! opens thin archives.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use object::read::archive::ArchiveFile;

use super::args::Args;
use super::options::Opt;
use crate::files::{self, Contents};
use genkan_link::{Input, Role, Unsupported};

const ARCHIVE: &[u8] = b"!<arch>\n";
const THIN_ARCHIVE: &[u8] = b"!<thin>\n";
const WASM: &[u8] = b"\0asm";
const BITCODE: &[u8] = b"BC\xC0\xDE";
const STUB_LIBRARY: &[u8] = b"#STUB";

/// A file that takes part in the link.
pub struct InputFile {
    /// As the user named it, or where the search found it.
    pub name: String,
    /// Its bytes.
    pub contents: Contents,
    /// When its objects become part of the link.
    pub role: Role,
}

impl InputFile {
    /// For the linker.
    pub fn input(&self) -> Input<'_> {
        Input::new(&self.name, &self.contents).with_role(self.role)
    }
}

/// All inputs of a command line.
#[derive(Default)]
pub struct Inputs {
    /// In the order of the command line.
    pub files: Vec<InputFile>,
    /// Symbols that may stay undefined, by the `.imports` files beside archives
    /// and `--allow-undefined-file`.
    pub allow_undefined: BTreeSet<String>,
    /// Every file that was opened, for `--reproduce`.
    pub opened: Vec<PathBuf>,
}

/// Opens the inputs of `args`; all errors at once.
pub fn open(args: &Args) -> Result<Inputs, Vec<String>> {
    let mut opener = Opener {
        search: args.values(Opt::LibraryPath).map(PathBuf::from).collect(),
        inputs: Inputs::default(),
        errors: Vec::new(),
        prefer_shared: args.has(Opt::Shared) || args.flag(Opt::Pie, Opt::NoPie, false),
        whole_archive: false,
        in_lib: false,
    };
    for arg in &args.list {
        match arg.opt {
            Opt::Input => opener.add(Path::new(&arg.value)),
            Opt::Library => opener.add_library(&arg.value),
            Opt::Bstatic => opener.prefer_shared = false,
            Opt::Bdynamic => opener.prefer_shared = true,
            Opt::WholeArchive => opener.whole_archive = true,
            Opt::NoWholeArchive => opener.whole_archive = false,
            Opt::StartLib if opener.in_lib => opener.errors.push("nested --start-lib".into()),
            Opt::StartLib => opener.in_lib = true,
            Opt::EndLib if !opener.in_lib => opener.errors.push("stray --end-lib".into()),
            Opt::EndLib => opener.in_lib = false,
            _ => {}
        }
    }
    if opener.inputs.files.is_empty() && opener.errors.is_empty() {
        opener.errors.push("no input files".into());
    }
    if let Some(path) = args.value(Opt::AllowUndefinedFile) {
        opener.allow_undefined_in(Path::new(path));
    }
    if opener.errors.is_empty() {
        Ok(opener.inputs)
    } else {
        Err(opener.errors)
    }
}

struct Opener {
    search: Vec<PathBuf>,
    inputs: Inputs,
    errors: Vec<String>,
    prefer_shared: bool,
    whole_archive: bool,
    in_lib: bool,
}

impl Opener {
    fn add(&mut self, path: &Path) {
        if let Some(contents) = self.read(path) {
            let name = path.display().to_string();
            if contents.starts_with(THIN_ARCHIVE) {
                self.allow_imports_beside(path);
                if let Err(error) = self.add_thin_members(path, &contents) {
                    self.errors.push(format!("{name}: {error}"));
                }
            } else if contents.starts_with(ARCHIVE) {
                self.allow_imports_beside(path);
                let role = if self.whole_archive {
                    Role::Whole
                } else {
                    Role::Default
                };
                self.inputs.files.push(InputFile {
                    name,
                    contents,
                    role,
                });
            } else {
                let role = if self.in_lib {
                    Role::Lazy
                } else {
                    Role::Default
                };
                self.add_object(name, contents, role);
            }
        }
    }

    fn add_object(&mut self, name: String, contents: Contents, role: Role) {
        if contents.starts_with(WASM) || contents.starts_with(STUB_LIBRARY) {
            self.inputs.files.push(InputFile {
                name,
                contents,
                role,
            });
        } else if contents.starts_with(BITCODE) {
            let message = format!("{name}: {}", Unsupported::Bitcode);
            self.errors.push(message);
        } else {
            self.errors.push(format!(
                "{name}: unknown file type: neither a WebAssembly object nor an archive"
            ));
        }
    }

    /// A thin archive holds the names of its members, relative to itself.
    fn add_thin_members(&mut self, path: &Path, contents: &[u8]) -> Result<(), String> {
        let malformed = |error: object::Error| format!("malformed archive: {error}");
        let archive = ArchiveFile::parse(contents).map_err(malformed)?;
        for member in archive.members() {
            let member = member.map_err(malformed)?;
            let name = str::from_utf8(member.name()).map_err(|_| {
                format!(
                    "member '{}': its name is not UTF-8",
                    member.name().escape_ascii()
                )
            })?;
            let place = path.parent().unwrap_or(Path::new("")).join(name);
            let Some(object) = self.read(&place) else {
                continue;
            };
            let name = format!("{}({name})", path.display());
            if object.starts_with(THIN_ARCHIVE) || object.starts_with(ARCHIVE) {
                return Err(format!("member '{}' is itself an archive", place.display()));
            }
            let role = if self.whole_archive {
                Role::Default
            } else {
                Role::Lazy
            };
            self.add_object(name, object, role);
        }
        Ok(())
    }

    /// `-lNAME`: libNAME.a in the folders of `-L`; `-l:NAME`: NAME itself.
    fn add_library(&mut self, name: &str) {
        let names = match name.strip_prefix(':') {
            Some(name) => vec![name.to_owned()],
            None if self.prefer_shared => vec![format!("lib{name}.so"), format!("lib{name}.a")],
            None => vec![format!("lib{name}.a")],
        };
        let mut places = self
            .search
            .iter()
            .flat_map(|folder| names.iter().map(|name| folder.join(name)));
        match places.find(|place| place.exists()) {
            Some(place) => self.add(&place),
            None => self.errors.push(format!("unable to find library -l{name}")),
        }
    }

    fn allow_imports_beside(&mut self, archive: &Path) {
        let path = archive.with_extension("imports");
        if path.is_file() {
            self.allow_undefined_in(&path);
        }
    }

    /// One symbol a line; a line that begins with `#` is a comment.
    fn allow_undefined_in(&mut self, path: &Path) {
        if let Some(contents) = self.read(path) {
            let text = String::from_utf8_lossy(&contents);
            let names = text.lines().map(str::trim);
            let names = names.filter(|name| !name.is_empty() && !name.starts_with('#'));
            self.inputs.allow_undefined.extend(names.map(str::to_owned));
        }
    }

    fn read(&mut self, path: &Path) -> Option<Contents> {
        match files::read(path) {
            Ok(contents) => {
                self.inputs.opened.push(path.to_owned());
                Some(contents)
            }
            Err(error) => {
                self.errors.push(format!("{error:#}"));
                None
            }
        }
    }
}
