//! The two things that are done to a disk, the folder of the keys, and the locks in it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::FileError;

/// Every change on disk is a row of these. A trait, so that a test can end the process between any two.
pub(crate) trait Disk: Send + Sync {
    /// Writes a file of mode 0600 in place of whatever is at `path`; it is on the disk when this returns. Cut short, it
    /// leaves a part of the file, so it is only for names that nobody reads yet.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError>;

    /// Gives the file its final name, in place of what has that name; it is on the disk when this returns.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError>;
}

/// The disk of this machine.
pub(crate) struct SystemDisk;

impl Disk for SystemDisk {
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        let write = || {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            // Never into a file that somebody else has open, and never through a link.
            let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_FILE).open(path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(|error| FileError::new("write", path, error))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        let rename = || {
            std::fs::rename(from, to)?;
            File::open(parent(to))?.sync_all()
        };
        rename().map_err(|error| FileError::new("replace", to, error))
    }
}

/// The folder of the keys.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// The folder at this path, whether or not it is there.
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Makes it and what is above it, for this user alone.
    pub(crate) fn make(&self) -> Result<(), FileError> {
        DirBuilder::new()
            .recursive(true)
            .mode(PRIVATE_FOLDER)
            .create(&self.0)
            .map_err(|error| FileError::new("make", &self.0, error))
    }

    /// The ring.
    pub(crate) fn ring(&self) -> PathBuf {
        self.0.join("ring")
    }

    /// Whether there is one.
    pub(crate) fn has_ring(&self) -> Result<bool, FileError> {
        let path = self.ring();
        path.try_exists().map_err(|error| FileError::new("read", &path, error))
    }

    /// Held for as long as the ring is being changed.
    pub(crate) fn lock_to_write(&self) -> Result<File, FileError> {
        let path = self.0.join("ring.lock");
        let file = lock_file(&path)?;
        within_deadline(|| file.try_lock()).map_err(|error| FileError::new("lock", &path, error))?;
        Ok(file)
    }

    /// Held shared by every process that has the vault open.
    pub(crate) fn lock_presence(&self) -> Result<File, FileError> {
        let path = self.0.join("open.lock");
        let file = lock_file(&path)?;
        self.share_presence(&file)?;
        Ok(file)
    }

    /// Makes the lock of presence a shared one again.
    pub(crate) fn share_presence(&self, presence: &File) -> Result<(), FileError> {
        within_deadline(|| presence.try_lock_shared())
            .map_err(|error| FileError::new("lock", &self.0.join("open.lock"), error))
    }
}

/// Which state of a file was read, to notice cheaply that it was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    inode: u64,
    seconds: i64,
    nanoseconds: i64,
    bytes: u64,
}

impl Mark {
    /// The state of the file now.
    pub(crate) fn of(path: &Path) -> Result<Self, FileError> {
        let metadata = std::fs::metadata(path).map_err(|error| FileError::new("read", path, error))?;
        Ok(Self::new(&metadata))
    }

    fn new(metadata: &std::fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
            bytes: metadata.len(),
        }
    }
}

/// A file as it was read.
pub(crate) struct Content {
    /// Its bytes, one more than `most` at the utmost.
    pub(crate) bytes: Vec<u8>,
    /// Its state.
    pub(crate) mark: Mark,
    /// Its permissions.
    pub(crate) mode: u32,
}

/// Reads a file of at most `most` bytes, and one more of a longer one. `None`: there is none.
pub(crate) fn read(path: &Path, most: usize) -> Result<Option<Content>, FileError> {
    let read = || {
        // A pipe by that name would be waited for.
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let mut bytes = Vec::new();
        file.take(u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(Content { bytes, mark: Mark::new(&metadata), mode: metadata.mode() & 0o7777 })
    };
    match read() {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::new("read", path, error)),
    }
}

/// The name under which a file is written before it gets its own.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn lock_file(path: &Path) -> Result<File, FileError> {
    // Reading is enough for a lock: a disk that is read-only now has the file from when it was not.
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            OpenOptions::new().create(true).append(true).mode(PRIVATE_FILE).open(path)
        }
        other => other,
    }
    .map_err(|error| FileError::new("open", path, error))
}

/// Whoever holds one of the locks writes one small file; only a process that was stopped meanwhile holds it for long.
fn within_deadline(mut attempt: impl FnMut() -> Result<(), TryLockError>) -> io::Result<()> {
    for _ in 0..LOCK_ATTEMPTS {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => std::thread::park_timeout(LOCK_PAUSE),
        }
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "another process holds it"))
}

const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// With the pause, five seconds.
const LOCK_ATTEMPTS: u32 = 500;
