//! WASI's error numbers.

use std::io;

/// An error number of WASI preview 1's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(u16);

impl Errno {
    /// As a function returns it.
    pub(crate) fn number(self) -> u16 {
        self.0
    }
}

macro_rules! numbers {
    ($($name:ident = $number:literal, $system:ident;)*) => {
        #[allow(dead_code, reason = "some come from the system alone")]
        impl Errno {
            $(pub(crate) const $name: Self = Self($number);)*

            /// What the system's number is here.
            fn of_system(number: i32) -> Option<Self> {
                match number {
                    $(libc::$system => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

// The numbers are those of the enum `errno` in WASI's
// `preview1/witx/typenames.witx`.
numbers! {
    ACCES = 2, EACCES;
    AGAIN = 6, EAGAIN;
    BADF = 8, EBADF;
    BUSY = 10, EBUSY;
    DQUOT = 19, EDQUOT;
    EXIST = 20, EEXIST;
    FAULT = 21, EFAULT;
    FBIG = 22, EFBIG;
    ILSEQ = 25, EILSEQ;
    INTR = 27, EINTR;
    INVAL = 28, EINVAL;
    IO = 29, EIO;
    ISDIR = 31, EISDIR;
    LOOP = 32, ELOOP;
    MFILE = 33, EMFILE;
    MLINK = 34, EMLINK;
    NAMETOOLONG = 37, ENAMETOOLONG;
    NFILE = 41, ENFILE;
    NODEV = 43, ENODEV;
    NOENT = 44, ENOENT;
    NOMEM = 48, ENOMEM;
    NOSPC = 51, ENOSPC;
    NOSYS = 52, ENOSYS;
    NOTDIR = 54, ENOTDIR;
    NOTEMPTY = 55, ENOTEMPTY;
    NOTSUP = 58, EOPNOTSUPP;
    NXIO = 60, ENXIO;
    OVERFLOW = 61, EOVERFLOW;
    PERM = 63, EPERM;
    PIPE = 64, EPIPE;
    ROFS = 69, EROFS;
    SPIPE = 70, ESPIPE;
    STALE = 72, ESTALE;
    TXTBSY = 74, ETXTBSY;
    XDEV = 75, EXDEV;
}

impl From<io::Error> for Errno {
    /// What the system, cap-std or a stream of the embedder's says.
    fn from(error: io::Error) -> Self {
        if let Some(errno) = error.raw_os_error().and_then(Self::of_system) {
            return errno;
        }
        match error.kind() {
            // As cap-std calls a path that leads out of its directory.
            io::ErrorKind::PermissionDenied => Self::PERM,
            io::ErrorKind::NotFound => Self::NOENT,
            io::ErrorKind::AlreadyExists => Self::EXIST,
            io::ErrorKind::InvalidInput => Self::INVAL,
            io::ErrorKind::BrokenPipe => Self::PIPE,
            io::ErrorKind::StorageFull => Self::NOSPC,
            io::ErrorKind::WouldBlock => Self::AGAIN,
            _ => Self::IO,
        }
    }
}
