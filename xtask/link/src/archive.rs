//! Reads an archive (`.a`, `.rlib`): its symbol index and, one by one, the
//! members that the link needs.

use object::read::archive::{ArchiveFile, ArchiveMember, ArchiveOffset};

use super::error::{Error, Result};
use super::object::{Object, Place};

/// An archive whose members are read on demand.
pub struct Archive<'a> {
    file: &'a str,
    bytes: &'a [u8],
    archive: ArchiveFile<'a>,
}

/// A member that may become part of the link.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// The archive and the member's name.
    pub place: Place<'a>,
    /// Its contents.
    pub bytes: &'a [u8],
}

/// Whether `bytes` begin as an archive does.
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"!<arch>\n") || bytes.starts_with(b"!<thin>\n")
}

impl<'a> Archive<'a> {
    /// Reads the archive's header and index.
    ///
    /// # Errors
    ///
    /// If it is damaged, or thin: its members are other files.
    pub fn read(file: &'a str, bytes: &'a [u8]) -> Result<Self> {
        let archive = ArchiveFile::parse(bytes)
            .map_err(|e| Error::at(file, format_args!("{e}; the archive is damaged")))?;
        if archive.is_thin() {
            return Err(Error::at(
                file,
                "a thin archive, whose members are other files; make it anew without `T`",
            ));
        }
        Ok(Archive {
            file,
            bytes,
            archive,
        })
    }

    /// The symbol index, name and member's offset, in the archive's order;
    /// `None` if the archive has no index.
    pub fn index(&self) -> Result<Option<impl Iterator<Item = Result<(&'a str, u64)>> + use<'a>>> {
        let file = self.file;
        let symbols = self
            .archive
            .symbols()
            .map_err(|e| Error::at(file, format_args!("symbol index: {e}")))?;
        Ok(symbols.map(|symbols| {
            symbols.map(move |symbol| {
                let symbol =
                    symbol.map_err(|e| Error::at(file, format_args!("symbol index: {e}")))?;
                let name = std::str::from_utf8(symbol.name())
                    .map_err(|_| Error::at(file, "symbol index: a name that is not UTF-8"))?;
                Ok((name, symbol.offset().0))
            })
        }))
    }

    /// The member whose header is at `offset`.
    pub fn member(&self, offset: u64) -> Result<Member<'a>> {
        let member = self
            .archive
            .member(ArchiveOffset(offset))
            .map_err(|e| Error::at(self.file, format_args!("member at offset {offset:#x}: {e}")))?;
        self.open(member)
    }

    /// All members that are objects. Those that are not (`lib.rmeta`, and what
    /// else rustc adds) are left out.
    pub fn objects(&self) -> Result<Vec<Member<'a>>> {
        let mut objects = Vec::new();
        let mut end = 0;
        for member in self.archive.members() {
            let member = member.map_err(|e| Error::at(self.file, format_args!("{e}")))?;
            let (start, size) = member.file_range();
            if start < end {
                return Err(Error::at(
                    self.file,
                    "two members overlap; the archive is damaged",
                ));
            }
            end = start + size;
            let member = self.open(member)?;
            if !is_rustc_metadata(member) {
                objects.push(member);
            }
        }
        Ok(objects)
    }

    fn open(&self, member: ArchiveMember<'a>) -> Result<Member<'a>> {
        let name = std::str::from_utf8(member.name())
            .map_err(|_| Error::at(self.file, "a member's name is not UTF-8"))?;
        let place = Place {
            file: self.file,
            member: Some(name),
        };
        let bytes = member
            .data(self.bytes)
            .map_err(|e| Error::at(place, format_args!("{e}; the archive is cut short")))?;
        Ok(Member { place, bytes })
    }
}

/// The names of the symbols that an object offers, for archives without an
/// index and for `--start-lib`.
pub fn offered<'o, 'a>(object: &'o Object<'a>) -> impl Iterator<Item = &'a str> + use<'o, 'a> {
    object
        .symbols
        .iter()
        .filter(|s| !s.is_undefined() && !s.is_local() && s.kind != super::object::Kind::Section)
        .map(|s| s.name)
}

/// rustc's metadata: no Wasm before 1.95, a Wasm file without code since.
fn is_rustc_metadata(member: Member) -> bool {
    let name = member.place.member.unwrap_or_default();
    name == "lib.rmeta" || name.ends_with(".rmeta-link") || !member.bytes.starts_with(b"\0asm")
}
