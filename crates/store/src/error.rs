//! How the store fails: what the database said, in words that name the way out, and what each operation may answer.

use std::path::PathBuf;

use reeve_base::SealError;

use crate::batch::BatchError;

/// What went wrong between the store and its database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// No connection, or it broke before anything was changed. It is tried anew with the next operation.
    #[error("`{database}` cannot be reached: {cause}; nothing was changed, and the next operation tries again")]
    Unreachable {
        /// Which database.
        database: String,
        /// What the system or the server said.
        cause: String,
    },
    /// The connection broke between the order to commit and the answer.
    #[error(
        "`{database}` went away while it committed: {cause}; whether the change is there, only reading it can tell"
    )]
    Uncertain {
        /// Which database.
        database: String,
        /// What the system or the server said.
        cause: String,
    },
    /// The server does not let this role do this.
    #[error("`{database}` refuses: {cause}; check role, password and `pg_hba.conf`, then run `reeve store migrate`")]
    Refused {
        /// Which database.
        database: String,
        /// What the server said.
        cause: String,
    },
    /// All connections are in use.
    #[error("`{database}` is too busy: no connection became free in {seconds} s; nothing was changed, try again later")]
    Busy {
        /// Which database.
        database: String,
        /// How long it was waited.
        seconds: u64,
    },
    /// Others kept changing the same rows, through every retry.
    #[error(
        "`{database}` was changed by others at the same time, {attempts} times over; nothing was changed, try again"
    )]
    Contended {
        /// Which database.
        database: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// No space left.
    #[error("the disk under `{database}` is full; nothing was changed: free space or enlarge the disk, then try again")]
    Full {
        /// Which database.
        database: String,
    },
    /// It can be read and not written.
    #[error("`{database}` cannot be written: {cause}; check the file's owner, the mount, or whether it is a replica")]
    ReadOnly {
        /// Which database.
        database: String,
        /// What the database said.
        cause: String,
    },
    /// The file is not what was written.
    #[error("`{database}` is damaged: {cause}; stop Reeve, keep a copy of the file and restore the last backup")]
    Damaged {
        /// Which database.
        database: String,
        /// What the database found.
        cause: String,
    },
    /// The store was closed.
    #[error("`{database}` was closed; nothing was changed")]
    Closed {
        /// Which database.
        database: String,
    },
    /// Anything else: a fault of the system below, or of ours.
    #[error("`{database}` failed: {cause}")]
    Failed {
        /// Which database.
        database: String,
        /// What the database said.
        cause: String,
    },
}

impl DatabaseError {
    /// What an error of the driver means. Values are never part of it: they were sealed or hashed before.
    pub(crate) fn of(database: &str, error: &sqlx::Error) -> Self {
        let (database, cause) = (database.to_owned(), error_text(error));
        match Kind::of(error) {
            Kind::Lost => Self::Unreachable { database, cause },
            Kind::Refused => Self::Refused { database, cause },
            Kind::Contended => Self::Contended { database, attempts: 1 },
            Kind::Full => Self::Full { database },
            Kind::ReadOnly => Self::ReadOnly { database, cause },
            Kind::Damaged => Self::Damaged { database, cause },
            Kind::Other => Self::Failed { database, cause },
        }
    }
}

/// What kind of trouble an error of a driver is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The connection is gone or was never there.
    Lost,
    /// The role may not.
    Refused,
    /// A deadlock or a failed serialisation: the same again may succeed.
    Contended,
    Full,
    ReadOnly,
    Damaged,
    Other,
}

impl Kind {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => Self::Lost,
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                // SQLSTATE has five characters; SQLite's extended result codes are numbers of at most four digits.
                if code.len() == 5 { Self::of_state(&code) } else { Self::of_result(code.parse().unwrap_or_default()) }
            }
            _ => Self::Other,
        }
    }

    /// PostgreSQL's SQLSTATE (PostgreSQL manual, appendix A).
    fn of_state(state: &str) -> Self {
        match state {
            "40001" | "40P01" | "55P03" => Self::Contended,
            "53100" => Self::Full,
            "25006" => Self::ReadOnly,
            "42501" | "3D000" | "3F000" => Self::Refused,
            "53300" | "57P01" | "57P02" | "57P03" | "57P05" => Self::Lost,
            "XX001" | "XX002" => Self::Damaged,
            _ if state.starts_with("28") => Self::Refused,
            _ if state.starts_with("08") => Self::Lost,
            _ => Self::Other,
        }
    }

    /// SQLite's result codes (sqlite.org/rescode.html); the low byte is the primary code.
    fn of_result(code: u32) -> Self {
        match code & 0xff {
            5 | 6 => Self::Contended,
            8 => Self::ReadOnly,
            11 | 26 => Self::Damaged,
            13 => Self::Full,
            _ => Self::Other,
        }
    }
}

/// What the driver said, without its own preface.
pub(crate) fn error_text(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => database.message().to_owned(),
        sqlx::Error::Io(io) => io.to_string(),
        sqlx::Error::Tls(tls) => format!("TLS: {tls}"),
        other => other.to_string(),
    }
}

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the file.
    #[error("another process works on `{}`; stop it, or ask it instead (`{}` is its lock)", database.display(), lock.display())]
    InUse {
        /// The database.
        database: PathBuf,
        /// The lock.
        lock: PathBuf,
    },
    /// There is nothing to look at.
    #[error("there is no store at `{}` yet; `reeve up` makes it", database.display())]
    Missing {
        /// Where it was looked for.
        database: PathBuf,
    },
    /// The folder or the lock file cannot be made.
    #[error("cannot use `{}`: {cause}; the folder must exist and belong to the user that Reeve runs as", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The schema is older than this program.
    #[error(
        "the schema of `{database}` is at version {found} and this program needs {needed}; run `reeve store migrate`"
    )]
    NotMigrated {
        /// Which database.
        database: String,
        /// Its version; 0: there is none.
        found: i64,
        /// The version needed.
        needed: i64,
    },
    /// The schema is newer than this program, or not the one that it knows by that number.
    #[error(
        "the schema of `{database}` is not one that this program knows ({cause}); use the program that wrote it, or a newer one"
    )]
    ForeignSchema {
        /// Which database.
        database: String,
        /// What differs.
        cause: String,
    },
    /// The role could step around what keeps tenants apart.
    #[error("`{database}`: the role `{role}` {cause}; use a plain role: `reeve store migrate` makes and equips one")]
    TooPowerful {
        /// Which database.
        database: String,
        /// The role.
        role: String,
        /// What it may do and should not.
        cause: String,
    },
    /// The records were sealed with other keys.
    #[error(
        "`{database}` was sealed by another installation; put back the key file that belongs to it, or name another database"
    )]
    ForeignKey {
        /// Which database.
        database: String,
    },
    /// It is the target of a move that was not finished.
    #[error(
        "`{database}` is the target of a move that did not finish; run `reeve store move --resume` from the source, or name the source again"
    )]
    Unfinished {
        /// Which database.
        database: String,
    },
    /// The namespace of the settings.
    #[error("`{0}` cannot be a namespace: lower-case letters, digits and `_`, a letter first, at most 32 characters")]
    Namespace(String),
    /// The place of counters cannot be used.
    #[error(transparent)]
    Counters(#[from] crate::counters::CounterError),
    /// The place of objects cannot be used.
    #[error(transparent)]
    Objects(#[from] crate::objects::ObjectError),
    /// The system gives no randomness.
    #[error("cannot open the store: {0}")]
    Entropy(String),
    /// The database itself.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Why something cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It was altered or moved, or its key was destroyed.
    #[error("a record of `{collection}` does not open")]
    Sealed {
        /// Its collection.
        collection: String,
        /// Why not.
        #[source]
        cause: SealError,
    },
    /// It opens, and is not of the form that the program expects.
    #[error("a record of `{collection}` has form {schema} and cannot be read as form {known}: {cause}")]
    Form {
        /// Its collection.
        collection: String,
        /// The form it was kept in.
        schema: u16,
        /// The form that the program knows.
        known: u16,
        /// What does not fit. Names no values.
        cause: String,
    },
    /// More was asked for than is given at once.
    #[error("{asked} records were asked for at once; at most {most} are given, go on after the last")]
    TooMany {
        /// How many were asked for.
        asked: usize,
        /// How many are given.
        most: usize,
    },
    /// The database itself.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Why something cannot be changed. Nothing of the batch was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// It is not in the version that was expected: somebody changed it meanwhile. Read it again and decide anew.
    #[error("the record of `{collection}` was changed meanwhile: {}", version_words(*.found))]
    Conflict {
        /// Its collection.
        collection: &'static str,
        /// Which change of the batch, from 0.
        change: usize,
        /// The version it has; nothing if it is not there.
        found: Option<u64>,
    },
    /// Another record has the same sole lookup.
    #[error("another record of `{collection}` has the same `{lookup}`")]
    Taken {
        /// The collection.
        collection: &'static str,
        /// Which change of the batch, from 0.
        change: usize,
        /// The name of the lookup.
        lookup: &'static str,
    },
    /// The lease that guards the change has been taken over or given back.
    #[error("the lease that guards this change is no longer held (token {held}, newest {newest})")]
    Fenced {
        /// The token that was shown.
        held: u64,
        /// The newest token given out.
        newest: u64,
    },
    /// It cannot be sealed.
    #[error("a record of `{collection}` cannot be sealed")]
    Seal {
        /// Its collection, or the topic of a message.
        collection: &'static str,
        /// Why not.
        #[source]
        cause: SealError,
    },
    /// The batch was refused before it was begun.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The database itself.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

fn version_words(found: Option<u64>) -> String {
    found.map_or_else(|| String::from("it is not there"), |version| format!("it is at version {version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_have_their_kind() {
        for (state, kind) in [
            ("40P01", Kind::Contended),
            ("57P03", Kind::Lost),
            ("28P01", Kind::Refused),
            ("08006", Kind::Lost),
            ("53100", Kind::Full),
            ("22012", Kind::Other),
        ] {
            assert_eq!(Kind::of_state(state), kind, "{state}");
        }
        // 267 is SQLITE_CORRUPT_VTAB, 3850 SQLITE_IOERR_LOCK.
        for (code, kind) in [(267, Kind::Damaged), (26, Kind::Damaged), (13, Kind::Full), (3850, Kind::Other)] {
            assert_eq!(Kind::of_result(code), kind, "{code}");
        }
    }
}
