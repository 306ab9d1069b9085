//! What can go wrong with a vault, and the way out of each.

use std::io;
use std::path::{Path, PathBuf};

use crate::chance::NoEntropy;
use crate::envelope::EnvelopeError;
use crate::id::{InstallationId, SealId};
use crate::seal::CostError;

/// Something could not be done to a file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`", path.display())]
pub struct FileError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    pub(crate) fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_owned(), source }
    }

    /// What the operator can do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self.source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                String::from("make room on that disk; nothing was changed")
            }
            io::ErrorKind::WouldBlock => {
                String::from("find the process that holds it (`fuser -v FILE`), and try again")
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => String::from(
                "run as the user that owns the keys, on a disk that can be written to; nothing was changed",
            ),
            _ => String::from("look after the file and its disk; the keys on it are as they were"),
        }
    }

    /// The whole of it in one line, for an error that can carry only text.
    pub(crate) fn line(&self) -> String {
        format!("{self}: {}", self.source)
    }
}

/// The ring, the one file of keys, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// There is none.
    #[error("there is no ring of keys at `{}`", .0.display())]
    Missing(PathBuf),
    /// It ends too early.
    #[error("the ring of keys `{}` is cut short", .0.display())]
    Cut(PathBuf),
    /// Its checksum does not fit, or it is too long, or no ring.
    #[error("the ring of keys `{}` is damaged: {cause}", path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What does not fit.
        cause: String,
    },
    /// A later Reeve wrote it.
    #[error("the ring of keys `{}` is in a format of a later Reeve: `{format}`", path.display())]
    Future {
        /// Where.
        path: PathBuf,
        /// The format that it names.
        format: String,
    },
    /// Its checksum fits and its authentication code does not: somebody changed it who has no seal.
    #[error("the ring of keys `{}` was altered: its authentication code does not fit", .0.display())]
    Altered(PathBuf),
    /// It is older than the one that this process has already used.
    #[error("the ring of keys `{}` was put back to an older state: generation {found}, and {known} was there before", path.display())]
    RolledBack {
        /// Where.
        path: PathBuf,
        /// The generation on the disk.
        found: u64,
        /// The generation that this process knows.
        known: u64,
    },
    /// It is that of another installation than this process has open.
    #[error("the ring of keys `{}` is now that of another installation", .0.display())]
    Exchanged(PathBuf),
    /// It could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

impl RingError {
    /// What the operator can do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Missing(_) => String::from(
                "if this is a new installation, the first start makes one; if not, put the folder of the keys back \
                 from where it was moved, or from its backup: without it nothing that was sealed can be read",
            ),
            Self::Cut(_) | Self::Damaged { .. } => String::from(
                "put the file back from the backup of the keys; check the disk, Reeve never leaves half a ring itself",
            ),
            Self::Future { .. } => String::from("use the Reeve that wrote it, or a later one"),
            Self::Altered(_) => String::from(
                "treat it as an attack: keep the file as evidence, find out who can write there, and put the ring back \
                 from the backup of the keys",
            ),
            Self::RolledBack { .. } | Self::Exchanged(_) => String::from(
                "find out who put the file there; restart on the newest ring, since values sealed under later versions \
                 do not open with an older one",
            ),
            Self::File(error) => error.remedy(),
        }
    }
}

/// Why a vault cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The ring cannot be used.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// A file could not be read or locked.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no seal file.
    #[error("there is no seal file at `{}`", .0.display())]
    SealFileLost(PathBuf),
    /// Others than its owner may read it or write to it.
    #[error("the seal file `{}` is open to others than its owner: mode {mode:04o}", path.display())]
    SealFileExposed {
        /// Where.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is no seal file, or was cut or damaged.
    #[error("`{}` is no seal file, or a damaged one", .0.display())]
    SealFileDamaged(PathBuf),
    /// It belongs to another installation.
    #[error("the seal file `{}` is that of another installation: {found}, and the keys are of {expected}", path.display())]
    SealFileForeign {
        /// Where.
        path: PathBuf,
        /// The installation that it names.
        found: InstallationId,
        /// The installation of the ring.
        expected: InstallationId,
    },
    /// It was a seal of this installation once, or of a ring that was put back to an older state.
    #[error("the seal file `{}` opens nothing: seal {seal} is not in the ring", path.display())]
    SealFileReplaced {
        /// Where.
        path: PathBuf,
        /// Its seal.
        seal: SealId,
    },
    /// It names a seal of this ring and does not open it.
    #[error("the seal file `{}` does not open its seal: the file or the ring was altered", .0.display())]
    SealFileRefused(PathBuf),
    /// No seal opens with this passphrase.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// The ring has no seal by passphrase.
    #[error("the keys have no passphrase")]
    NoPassphrase,
    /// There is not the memory that the passphrase's derivation needs.
    #[error("there are no {memory_kib} KiB of memory free, which the passphrase needs")]
    NoMemory {
        /// How much, in KiB.
        memory_kib: u32,
    },
    /// It refused to derive a key.
    #[error("the cryptography library refuses to derive a key")]
    Library,
}

impl OpenError {
    /// What the operator can do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Ring(error) => error.remedy(),
            Self::File(error) => error.remedy(),
            Self::SealFileLost(_) => String::from(
                "put the seal file back from where it was kept, name its place in the settings, or open with another \
                 seal, such as the passphrase; without any seal the keys are lost for good",
            ),
            Self::SealFileExposed { path, .. } => {
                format!("run `chmod 600 {}`, and replace the seal if anybody may have read it", path.display())
            }
            Self::SealFileDamaged(_) | Self::SealFileRefused(_) => {
                String::from("put the seal file back from where it was kept, or open with another seal")
            }
            Self::SealFileForeign { .. } => {
                String::from("name the seal file of this installation, or the folder of the keys that this file opens")
            }
            Self::SealFileReplaced { .. } => String::from(
                "the seal was replaced or removed: name the file that was made last, or open with another seal",
            ),
            Self::WrongPassphrase => String::from("type it again; capitals, spaces and the keyboard's language count"),
            Self::NoPassphrase => {
                String::from("open with the seal file, and add one with `reeve key reseal --add-passphrase`")
            }
            Self::NoMemory { .. } => String::from("free some memory or raise the limit of this process"),
            Self::Library => String::from("check the installation of Reeve"),
        }
    }
}

/// Why a vault cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// There is one already.
    #[error("there is a ring of keys at `{}` already", .0.display())]
    RingExists(PathBuf),
    /// There is a seal file without a ring: perhaps the folder of the keys is not where it should be.
    #[error("there is a seal file at `{}` already, and no ring of keys", .0.display())]
    SealFileExists(PathBuf),
    /// Nothing would ever open it.
    #[error("keys need at least one seal")]
    NoSeal,
    /// The passphrase or its cost is out of bounds.
    #[error(transparent)]
    Cost(#[from] CostError),
    /// A file could not be written or locked.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// There is not the memory that the passphrase's derivation needs.
    #[error("there are no {memory_kib} KiB of memory free, which the passphrase needs")]
    NoMemory {
        /// How much, in KiB.
        memory_kib: u32,
    },
    /// It refused to derive or wrap a key.
    #[error("the cryptography library refuses to wrap a key")]
    Library,
}

impl CreateError {
    /// What the operator can do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::RingExists(_) => String::from("open it with its seal"),
            Self::SealFileExists(_) => String::from(
                "put the folder of the keys back where it was; only if nothing was ever sealed here, delete the seal \
                 file and start again",
            ),
            Self::NoSeal => String::from("give a path for a seal file, or a passphrase"),
            Self::Cost(error) => error.remedy(),
            Self::File(error) => error.remedy(),
            Self::Entropy(_) => String::from("wait until the system has gathered randomness, and start again"),
            Self::NoMemory { .. } => String::from("free some memory or raise the limit of this process"),
            Self::Library => String::from("check the installation of Reeve"),
        }
    }
}

/// Why the keys cannot be changed: rotated, destroyed, sealed anew. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The ring cannot be used.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// A file could not be written or locked.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The passphrase or its cost is out of bounds.
    #[error(transparent)]
    Cost(#[from] CostError),
    /// There is not the memory that the passphrase's derivation needs.
    #[error("there are no {memory_kib} KiB of memory free, which the passphrase needs")]
    NoMemory {
        /// How much, in KiB.
        memory_kib: u32,
    },
    /// The last seal cannot be removed.
    #[error("seal {0} is the only one: without it nothing opens the keys")]
    LastSeal(SealId),
    /// There is no such seal.
    #[error("there is no seal {0}")]
    UnknownSeal(SealId),
    /// There are as many seals as there may be.
    #[error("there are {0} seals already, as many as there may be")]
    SealsFull(usize),
    /// A file that is no seal of this ring is where the new seal file should be.
    #[error("there is a file at `{}` already", .0.display())]
    SealFileExists(PathBuf),
    /// There are as many versions as there may be.
    #[error("there are {0} versions of the store key already, as many as there may be")]
    VersionsFull(usize),
    /// There is no such version, or it has been destroyed.
    #[error("there is no version {0} of the store key to destroy")]
    UnknownVersion(u32),
    /// It is the version that seals.
    #[error("version {0} of the store key is the current one")]
    CurrentVersion(u32),
    /// A value that was sealed under it a moment before it was replaced may not be stored yet.
    #[error("version {version} of the store key was current until {since}: it may be destroyed one hour after that")]
    TooSoon {
        /// Which.
        version: u32,
        /// When it stopped to seal.
        since: reeve_base::Timestamp,
    },
    /// Another process has the vault open and may still seal under the version.
    #[error("another process has the keys open")]
    InUse,
    /// The current version has sealed as much as it may.
    #[error("version {0} of the store key has sealed as many values as it may")]
    Exhausted(u32),
    /// It refused to derive or wrap a key.
    #[error("the cryptography library refuses to wrap a key")]
    Library,
}

impl ChangeError {
    /// What the operator can do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Ring(error) => error.remedy(),
            Self::File(error) => error.remedy(),
            Self::Entropy(_) => String::from("wait until the system has gathered randomness, and try again"),
            Self::Cost(error) => error.remedy(),
            Self::NoMemory { .. } => String::from("free some memory or raise the limit of this process"),
            Self::LastSeal(_) => String::from("add another seal first"),
            Self::UnknownSeal(_) | Self::UnknownVersion(_) => String::from("see `reeve key status`"),
            Self::SealsFull(_) => String::from("remove a seal that nobody uses"),
            Self::SealFileExists(_) => String::from("name a path where there is no file"),
            Self::VersionsFull(_) => String::from("move what is kept to a new installation"),
            Self::CurrentVersion(_) => String::from("rotate the key, and have everything sealed anew first"),
            Self::TooSoon { .. } => String::from("wait, so that nothing that is being stored right now is lost"),
            Self::InUse => String::from("let the running Reeve do it, or stop it first"),
            Self::Exhausted(_) => String::from("rotate the key: `reeve key rotate`"),
            Self::Library => String::from("check the installation of Reeve"),
        }
    }

    /// The whole of it in one line, for an error that can carry only text.
    pub(crate) fn line(&self) -> String {
        let file = match self {
            Self::File(error) | Self::Ring(RingError::File(error)) => Some(error),
            _ => None,
        };
        let text = file.map_or_else(|| self.to_string(), FileError::line);
        format!("{text}; {}", self.remedy())
    }
}

impl From<KeyError> for OpenError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::NoMemory { memory_kib } => Self::NoMemory { memory_kib },
            KeyError::Entropy(_) | KeyError::Library => Self::Library,
        }
    }
}

impl From<KeyError> for CreateError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Entropy(error) => Self::Entropy(error),
            KeyError::NoMemory { memory_kib } => Self::NoMemory { memory_kib },
            KeyError::Library => Self::Library,
        }
    }
}

impl From<KeyError> for ChangeError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Entropy(error) => Self::Entropy(error),
            KeyError::NoMemory { memory_kib } => Self::NoMemory { memory_kib },
            KeyError::Library => Self::Library,
        }
    }
}

/// A key could not be made, derived or wrapped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    #[error("there are no {memory_kib} KiB of memory free")]
    NoMemory { memory_kib: u32 },
    #[error("the cryptography library refuses")]
    Library,
}

impl From<aws_lc_rs::error::Unspecified> for KeyError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Library
    }
}

impl From<EnvelopeError> for KeyError {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::Entropy(error) => Self::Entropy(error),
            // A key is never too long.
            EnvelopeError::TooLong | EnvelopeError::Library => Self::Library,
        }
    }
}
