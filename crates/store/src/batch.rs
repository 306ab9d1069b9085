//! Changes that are made together or not at all.

use reeve_base::Timestamp;
use serde::Serialize;

use crate::envelope::{self, Plain};
use crate::lease::Lease;
use crate::record::{Lookup, Record};

/// Changes of one tenant's records and messages to be sent, committed as one by [`crate::Scope::commit`].
#[derive(Default)]
pub struct Batch {
    pub(crate) changes: Vec<Change>,
    pub(crate) messages: Vec<Message>,
    pub(crate) fence: Option<(String, u64)>,
    fault: Option<BatchError>,
}

/// In which state a record must be for a change to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth expectation")]
pub enum Expect {
    /// There is none under this id.
    New,
    /// It is at this version.
    Version(u64),
    /// Whatever it is. The last writer wins: only where that is meant.
    Any,
}

pub(crate) struct Change {
    pub(crate) collection: &'static str,
    pub(crate) id: String,
    pub(crate) expect: Expect,
    /// Nothing: it is to be deleted.
    pub(crate) put: Option<Put>,
}

pub(crate) struct Put {
    pub(crate) plain: Plain,
    pub(crate) lookups: Vec<Lookup>,
}

/// Something to be sent on after the changes beside it are durable, and never without them.
pub struct Message {
    pub(crate) topic: &'static str,
    pub(crate) key: String,
    pub(crate) json: Plain,
    pub(crate) due: Option<Timestamp>,
}

impl Message {
    /// A message for whoever handles `topic`. Those with the same topic and key leave one after the other, in the
    /// order in which they were committed.
    ///
    /// # Errors
    /// When the body has no JSON form or is too large, or the key is too long.
    pub fn new(topic: &'static str, key: &str, body: &impl Serialize) -> Result<Self, BatchError> {
        check_id(key)?;
        let form = |cause: serde_json::Error| BatchError::Form { collection: topic, cause: cause.to_string() };
        let json = envelope::json(body).map_err(form)?;
        if json.len() > RECORD_BYTES_MAX {
            return Err(BatchError::TooLarge { collection: topic, bytes: json.len() });
        }
        Ok(Self { topic, key: key.to_owned(), json, due: None })
    }

    /// Not before this time.
    #[must_use]
    pub const fn due(mut self, at: Timestamp) -> Self {
        self.due = Some(at);
        self
    }
}

impl Batch {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds: the record under `id` becomes `record`.
    pub fn put<R: Record>(&mut self, id: &str, expect: Expect, record: &R) -> &mut Self {
        match Put::new(id, record) {
            Ok(put) => {
                self.changes.push(Change { collection: R::COLLECTION, id: id.to_owned(), expect, put: Some(put) });
            }
            Err(fault) => self.fault = Some(self.fault.take().unwrap_or(fault)),
        }
        self
    }

    /// Adds: the record under `id` goes. One that is not there is as good as gone, unless a version was expected.
    pub fn delete<R: Record>(&mut self, id: &str, expect: Expect) -> &mut Self {
        self.changes.push(Change { collection: R::COLLECTION, id: id.to_owned(), expect, put: None });
        self
    }

    /// Adds a message to be sent.
    pub fn send(&mut self, message: Message) -> &mut Self {
        self.messages.push(message);
        self
    }

    /// Commits only if nobody has taken the lease over since it was acquired.
    pub fn fenced(&mut self, lease: &Lease) -> &mut Self {
        self.fence = Some((lease.name().to_owned(), lease.token()));
        self
    }

    /// Whether it may be tried.
    pub(crate) fn check(&mut self) -> Result<(), BatchError> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let count = self.changes.len() + self.messages.len();
        if count > CHANGES_MAX { Err(BatchError::TooMany { count }) } else { Ok(()) }
    }
}

impl Put {
    fn new<R: Record>(id: &str, record: &R) -> Result<Self, BatchError> {
        check_id(id)?;
        let form = |cause: serde_json::Error| BatchError::Form { collection: R::COLLECTION, cause: cause.to_string() };
        let plain = envelope::close(R::SCHEMA, [id, ""], &envelope::json(record).map_err(form)?);
        if plain.len() > RECORD_BYTES_MAX {
            return Err(BatchError::TooLarge { collection: R::COLLECTION, bytes: plain.len() });
        }
        let lookups = record.lookups();
        if lookups.len() > LOOKUPS_MAX {
            return Err(BatchError::TooManyLookups { collection: R::COLLECTION, count: lookups.len() });
        }
        Ok(Self { plain, lookups })
    }
}

fn check_id(id: &str) -> Result<(), BatchError> {
    if id.is_empty() || id.len() > ID_BYTES_MAX { Err(BatchError::Id { bytes: id.len() }) } else { Ok(()) }
}

/// Why a batch is not tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// An id, or the key of a message.
    #[error("an id has {bytes} bytes; it must have 1 to {ID_BYTES_MAX}")]
    Id {
        /// How long it is.
        bytes: usize,
    },
    /// The value has no JSON form.
    #[error("a value of `{collection}` cannot be written as JSON: {cause}")]
    Form {
        /// Its collection or topic.
        collection: &'static str,
        /// Why not.
        cause: String,
    },
    /// A record is no place for so much.
    #[error(
        "a record of `{collection}` has {bytes} bytes; at most {RECORD_BYTES_MAX} are kept in one, more belongs into an object"
    )]
    TooLarge {
        /// Its collection.
        collection: &'static str,
        /// Its size.
        bytes: usize,
    },
    /// Too many ways to find it.
    #[error("a record of `{collection}` has {count} lookups; at most {LOOKUPS_MAX} are kept")]
    TooManyLookups {
        /// Its collection.
        collection: &'static str,
        /// How many.
        count: usize,
    },
    /// Too much at once.
    #[error("a batch has {count} changes and messages; at most {CHANGES_MAX} are made at once")]
    TooMany {
        /// How many.
        count: usize,
    },
}

/// So that a batch holds up the others for milliseconds and not for seconds.
pub(crate) const CHANGES_MAX: usize = 1_000;

/// A mebibyte: a value is sealed and opened in one piece.
pub(crate) const RECORD_BYTES_MAX: usize = 1024 * 1024;

pub(crate) const ID_BYTES_MAX: usize = 512;

pub(crate) const LOOKUPS_MAX: usize = 32;
