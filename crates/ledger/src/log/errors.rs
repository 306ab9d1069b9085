//! What can go wrong, as whoever opens, appends or closes learns it.

use std::fmt;

use jiff::civil::Date;
use reeve_base::SealError;

use super::{Class, InvalidEntry};
use crate::keys::KeyError;
use crate::proof::ProofError;
use crate::shelf::ShelfError;
use crate::signing::SigningError;
use crate::wal::WalError;
use crate::witness::Failure;

/// Why a ledger cannot be opened for writing. None of these is got over by trying again; each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The place did not do what it was asked, or another process holds it.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The write-ahead log cannot be read.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// The folder of the write-ahead log lies in the ledger's folder or the other way round.
    #[error(
        "the write-ahead log `{0}` must not lie inside of the ledger's folder: only the ledger's folder is copied elsewhere"
    )]
    Nested(String),
    /// It was last written with another write-ahead log, which may hold what was acknowledged.
    #[error(
        "the ledger in {place} was last written by {writer} and was not closed: entries that were acknowledged may exist \
         there alone; start it there once more, or, if that disk is lost, remove `writer` from {place}"
    )]
    OtherWriter {
        /// The folder or bucket.
        place: String,
        /// Host and folder of the other write-ahead log.
        writer: String,
    },
    /// A witness has cosigned more of this log than there is here: an old copy was restored.
    #[error(transparent)]
    RolledBack(Failure),
    /// A witness has cosigned another history.
    #[error(transparent)]
    Forked(Failure),
    /// The ledger here is not the continuation of its own cosigned checkpoint.
    #[error("the ledger in {place} contradicts its own cosigned checkpoint: {cause}; restore a copy from before that")]
    Contradiction {
        /// The folder or bucket.
        place: String,
        /// What does not hold.
        cause: ProofError,
    },
    /// Something that should be there is not.
    #[error("`{path}` is missing in {place}; restore it from the newest copy: without it the log cannot go on")]
    Missing {
        /// What.
        path: String,
        /// The folder or bucket.
        place: String,
    },
    /// Something that is there is not what it should be.
    #[error("`{path}` in {place} is damaged: {cause}; restore it from the newest copy")]
    Damaged {
        /// What.
        path: String,
        /// The folder or bucket.
        place: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The signing key does not open, or cannot be sealed.
    #[error("the ledger's signing key cannot be used: {0}; is this the installation whose vault sealed it?")]
    Key(#[from] SealError),
    /// There is no randomness.
    #[error("{0}")]
    Entropy(String),
    /// The origin cannot stand in a checkpoint.
    #[error("`{0}` cannot be the name of a log: it must not be empty and have no spaces, plus signs or line breaks")]
    Origin(String),
    /// The bucket writes although the condition does not hold.
    #[error(
        "{place} ignores the condition of a write ({condition}), so two processes could fork the log; use a bucket that \
         honours If-Match and If-None-Match"
    )]
    Unconditional {
        /// The bucket.
        place: String,
        /// Which header.
        condition: &'static str,
    },
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// Why an entry is not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// It cannot be recorded as it is.
    #[error(transparent)]
    Invalid(#[from] InvalidEntry),
    /// More is waiting than may wait. Nothing is wrong yet: the disk is slower than what comes in.
    #[error("the ledger's queue is full: {0} entries wait for the disk")]
    Full(usize),
    /// The ledger cannot write. It goes on by itself when the cause is gone.
    #[error("the ledger cannot write: {cause}")]
    Failed {
        /// What is in the way.
        cause: String,
    },
    /// It was closed.
    #[error("the ledger is closed")]
    Closed,
}

/// Why a ledger could not be closed with everything sealed. What was acknowledged is in the write-ahead log and is
/// sealed at the next start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{unsealed} entries are on disk and not sealed yet: {cause}; the next start seals them")]
pub struct CloseError {
    /// How many.
    pub unsealed: u64,
    /// What was in the way.
    pub cause: String,
}

/// Why keys could not be sealed anew.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResealError {
    /// The place did not do what it was asked.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// A day's key does not open or cannot be sealed.
    #[error(transparent)]
    Day(#[from] KeyError),
    /// The signing key does not open or cannot be sealed.
    #[error("the ledger's signing key cannot be sealed anew: {0}")]
    Signing(String),
}

impl From<SigningError> for ResealError {
    fn from(error: SigningError) -> Self {
        match error {
            SigningError::Shelf(error) => Self::Shelf(error),
            other => Self::Signing(other.to_string()),
        }
    }
}

/// A day of a class, as it stands in messages and in paths: `request/2026-01-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassDay {
    /// The class.
    pub class: Class,
    /// The day, in UTC.
    pub day: Date,
}

impl fmt::Display for ClassDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.class, self.day)
    }
}
