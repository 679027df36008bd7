//! Reads an archive (`.a`, `.rlib`): its symbol index and, one by one, the
//! members that the link needs.

use object::read::archive::{ArchiveFile, ArchiveMember, ArchiveOffset};

use crate::error::{Damage, Errors, Result, Unsupported};
use crate::origin::ObjectName;

/// An archive whose members are read on demand.
pub struct Archive<'a> {
    name: ObjectName<'a>,
    bytes: &'a [u8],
    archive: ArchiveFile<'a>,
}

/// A member that may become part of the link.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// The archive's and the member's name.
    pub name: ObjectName<'a>,
    /// Its contents.
    pub bytes: &'a [u8],
}

/// Whether `bytes` begin as an archive does.
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"!<arch>\n") || bytes.starts_with(b"!<thin>\n")
}

fn bad_index(name: ObjectName, reason: impl ToString) -> Errors {
    name.damaged(Damage::ArchiveIndex {
        reason: reason.to_string(),
    })
}

fn bad_archive(name: ObjectName, reason: object::Error) -> Errors {
    name.damaged(Damage::Archive {
        reason: reason.to_string(),
    })
}

impl<'a> Archive<'a> {
    /// Reads the archive's header and index.
    ///
    /// # Errors
    ///
    /// If it is damaged, or thin: its members are other files.
    pub fn read(name: ObjectName<'a>, bytes: &'a [u8]) -> Result<Self> {
        let archive = ArchiveFile::parse(bytes).map_err(|e| bad_archive(name, e))?;
        if archive.is_thin() {
            return Err(name.unsupported(Unsupported::ThinArchive));
        }
        Ok(Archive {
            name,
            bytes,
            archive,
        })
    }

    /// The symbol index, name and member's offset, in the archive's order;
    /// `None` if the archive has no index.
    pub fn index(&self) -> Result<Option<impl Iterator<Item = Result<(&'a str, u64)>> + use<'a>>> {
        let archive = self.name;
        let symbols = self.archive.symbols().map_err(|e| bad_index(archive, e))?;
        Ok(symbols.map(|symbols| {
            symbols.map(move |symbol| {
                let symbol = symbol.map_err(|e| bad_index(archive, e))?;
                let name = std::str::from_utf8(symbol.name())
                    .map_err(|_| bad_index(archive, "a name that is not UTF-8"))?;
                Ok((name, symbol.offset().0))
            })
        }))
    }

    /// The member whose header is at `offset`.
    pub fn member(&self, offset: u64) -> Result<Member<'a>> {
        let member = self.archive.member(ArchiveOffset(offset)).map_err(|e| {
            self.name.damaged(Damage::ArchiveMember {
                offset,
                reason: e.to_string(),
            })
        })?;
        self.open(member)
    }

    /// All members, but for those that rustc adds for itself (`lib.rmeta`).
    pub fn members(&self) -> Result<Vec<Member<'a>>> {
        let mut members = Vec::new();
        let mut end = 0;
        for member in self.archive.members() {
            let member = member.map_err(|e| bad_archive(self.name, e))?;
            let (start, size) = member.file_range();
            if start < end {
                return Err(self.name.damaged(Damage::MembersOverlap));
            }
            end = start + size;
            let member = self.open(member)?;
            if !is_rustc_metadata(member) {
                members.push(member);
            }
        }
        Ok(members)
    }

    fn open(&self, member: ArchiveMember<'a>) -> Result<Member<'a>> {
        let name = std::str::from_utf8(member.name())
            .map_err(|_| self.name.damaged(Damage::MemberName))?;
        let name = ObjectName {
            file: self.name.file,
            member: Some(name),
        };
        let bytes = member.data(self.bytes).map_err(|e| {
            name.damaged(Damage::MemberCutShort {
                reason: e.to_string(),
            })
        })?;
        Ok(Member { name, bytes })
    }
}

/// rustc's metadata: no Wasm before 1.95, a Wasm file without code since.
fn is_rustc_metadata(member: Member) -> bool {
    let by_name = |name: &str| name == "lib.rmeta" || name.ends_with(".rmeta-link");
    member.name.member.is_some_and(by_name)
}
