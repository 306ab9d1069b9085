//! The file itself: its lock, its rights, whether it is whole.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sqlx::SqliteConnection;

use crate::engine::{Job, Stop};
use crate::error::{DatabaseError, OpenError};
use crate::link::Link;
use crate::names::Digest;

/// Takes the lock beside the database. It goes with the process, however that ends.
pub(super) fn lock(database: &Path) -> Result<File, OpenError> {
    let path = PathBuf::from(format!("{}.lock", database.display()));
    if let Some(folder) = database.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|cause| unusable(folder, &cause))?;
    }
    let file = private(&path).truncate(false).open(&path).map_err(|cause| unusable(&path, &cause))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { database: database.to_owned(), lock: path }),
        Err(TryLockError::Error(cause)) => Err(unusable(&path, &cause)),
    }
}

/// Makes the file for its owner alone; SQLite gives the files beside it the same rights. A file that cannot be a
/// database is told apart here, because SQLite would take an empty one for new.
pub(super) fn prepare(path: &Path) -> Result<(), OpenError> {
    let file = private(path).open(path).map_err(|cause| unusable(path, &cause))?;
    if file.metadata().map_err(|cause| unusable(path, &cause))?.len() > 0 {
        return check_head(path);
    }
    // A log beside an empty database is what remains of one that was cut to nothing.
    let log = PathBuf::from(format!("{}-wal", path.display()));
    match std::fs::metadata(&log) {
        Ok(metadata) if metadata.len() > 0 => {
            Err(damaged(path, format!("it is empty, but `{}` beside it is not", log.display())))
        }
        _ => Ok(()),
    }
}

/// Whether the file begins as a database does.
pub(super) fn check_head(path: &Path) -> Result<(), OpenError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::Missing { database: path.to_owned() });
        }
        Err(cause) => return Err(unusable(path, &cause)),
    };
    let mut head = [0; HEADER.len()];
    match file.read_exact(&mut head) {
        Ok(()) if head == *HEADER => Ok(()),
        _ => Err(damaged(path, String::from("it does not begin as a SQLite database does"))),
    }
}

fn damaged(path: &Path, cause: String) -> OpenError {
    OpenError::Database(DatabaseError::Damaged { database: path.display().to_string(), cause })
}

/// Looks through a file of moderate size before it is used; a larger one is examined by `reeve store status`.
pub(super) async fn check(connection: &mut SqliteConnection, path: &Path, name: &str) -> Result<(), OpenError> {
    let length = std::fs::metadata(path).map_err(|cause| unusable(path, &cause))?.len();
    if length > CHECKED_BYTES_MAX {
        return Ok(());
    }
    match examine(&mut Link::Sqlite(connection), name).await {
        Ok(()) => Ok(()),
        Err(Stop::Refused(damage)) => Err(OpenError::Database(damage)),
        Err(Stop::Again) => Err(OpenError::Database(super::collided(name))),
        Err(Stop::Failed(error)) => Err(OpenError::Database(DatabaseError::of(name, &error))),
    }
}

/// Looks through the whole file.
pub(super) struct Examine {
    pub(super) database: String,
}

impl Job for Examine {
    type Answer = ();
    type Refusal = DatabaseError;

    fn tenant(&self) -> Option<&Digest> {
        None
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<(), Stop<DatabaseError>> {
        examine(link, &self.database).await
    }
}

async fn examine(link: &mut Link<'_>, database: &str) -> Result<(), Stop<DatabaseError>> {
    let verdict = link.row("PRAGMA quick_check(1)", &[]).await?.ok_or(sqlx::Error::RowNotFound)?.text(0)?;
    if verdict == "ok" {
        return Ok(());
    }
    let cause = verdict.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(Stop::Refused(DatabaseError::Damaged { database: database.to_owned(), cause }))
}

fn private(path: &Path) -> OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).mode(0o600);
    if !path.exists() {
        options.create(true);
    }
    options
}

fn unusable(path: &Path, cause: &io::Error) -> OpenError {
    OpenError::Folder { path: path.to_owned(), cause: cause.to_string() }
}

/// The first sixteen bytes of every SQLite database (sqlite.org/fileformat2.html, 1.3.1).
const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// Looking through so much takes a fifth of a second.
const CHECKED_BYTES_MAX: u64 = 64 * 1024 * 1024;
