//! Moving a store to another database, and proving that all of it arrived.
//!
//! Rows are copied as they are, sealed: keys and hashes are the installation's and not the database's. Then both sides
//! are read again in the same order, every value is opened, and the digests must be equal. Objects and counters do not
//! stand in the database and stay where they are.

mod insert;
mod survey;

use reeve_base::SealError;

use crate::engine::{Failure, plain};
use crate::error::DatabaseError;
use crate::names::Digest;
use crate::rows::{LeasesAfter, LookupRow, LookupsAfter, MessagesAfter, RecordsAfter};
use crate::status::NextTenant;
use crate::store::Store;

use insert::{Begin, Finish, InsertLeases, InsertLookups, InsertMessages, InsertRecords, Introduce, LastRecord};

pub use survey::Verified;

/// Whether a copy that did not finish may be gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Resume {
    /// The target must be empty.
    Refuse,
    /// The target may hold the beginning of a copy of this very source.
    Allow,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Records that are done.
    pub done: u64,
    /// Records that there are. Others that work on the source can make it wrong.
    pub total: u64,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "who shows progress has a word for each")]
pub enum Phase {
    /// Rows are written to the target.
    Copying,
    /// The source is read and opened.
    ReadingSource,
    /// The target is read and opened.
    ReadingTarget,
}

/// Why a store was not moved. The source is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// Source and target are one.
    #[error("`{0}` is the source itself")]
    Same(String),
    /// The target has something in it that is not of this copy.
    #[error("`{database}` is not empty ({records} records); name an empty database, or another schema in it")]
    NotEmpty {
        /// The target.
        database: String,
        /// Records in it.
        records: u64,
    },
    /// The target has the beginning of a copy of this source.
    #[error("`{0}` has the beginning of this move; go on with `--resume`")]
    Begun(String),
    /// The target has the beginning of a copy of another source.
    #[error("`{0}` has the beginning of a move from another store; finish that one, or name an empty database")]
    OtherMove(String),
    /// A record or message of a side does not open, so it cannot be compared.
    #[error("a value of `{collection}` in `{database}` does not open")]
    Sealed {
        /// The side.
        database: String,
        /// Its collection or topic.
        collection: String,
        /// Why not.
        #[source]
        cause: SealError,
    },
    /// The sides differ: somebody worked on the source meanwhile, or something was lost.
    #[error(
        "source and target differ after copying (source {source_side}; target {target_side}); stop Reeve, empty the target and try again"
    )]
    Differs {
        /// What the source has.
        source_side: Box<Verified>,
        /// What the target has.
        target_side: Box<Verified>,
    },
    /// A database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Copies everything from one store to another that was opened with [`Store::open_target`] and the same keys, and
/// verifies it. Nobody else may work on either side; where somebody did, the digests tell. After an error the target
/// refuses to be opened as a store, until the copy was gone on with to its end.
///
/// # Errors
/// [`CopyError`].
pub async fn copy(
    from: &Store,
    to: &Store,
    resume: Resume,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Verified, CopyError> {
    let source = from.number().await?;
    if source == to.number().await? {
        return Err(CopyError::Same(to.name().to_owned()));
    }
    let begin = Begin { source, database: to.name().to_owned(), resume };
    to.engine().write(begin).await.map_err(Failure::into_error)?;
    let total = from.status().await?.records_total();
    let mut copier = Copier { from, to, done: 0, total, progress };
    copier.everything().await?;
    let source_side = survey::survey(from, Phase::ReadingSource, total, progress).await?;
    let target_side = survey::survey(to, Phase::ReadingTarget, total, progress).await?;
    if source_side != target_side {
        let (source_side, target_side) = (Box::new(source_side), Box::new(target_side));
        return Err(CopyError::Differs { source_side, target_side });
    }
    to.engine().write(Finish).await.map_err(plain)?;
    Ok(target_side)
}

struct Copier<'c> {
    from: &'c Store,
    to: &'c Store,
    done: u64,
    total: u64,
    progress: &'c mut (dyn FnMut(Progress) + Send),
}

impl Copier<'_> {
    async fn everything(&mut self) -> Result<(), DatabaseError> {
        let mut after = None;
        while let Some(tenant) = self.from.engine().read(NextTenant { after }).await.map_err(plain)? {
            self.to.engine().write(Introduce { tenant }).await.map_err(plain)?;
            self.records(tenant).await?;
            self.lookups(tenant).await?;
            self.messages(tenant).await?;
            after = Some(tenant);
        }
        self.leases().await
    }

    async fn records(&mut self, tenant: Digest) -> Result<(), DatabaseError> {
        // Pages are written whole and in order, so the last one there is where an earlier try stopped.
        let (mut collection, mut key, already) = self.to.engine().read(LastRecord { tenant }).await.map_err(plain)?;
        self.done += already;
        loop {
            let page = RecordsAfter { tenant, collection, key, limit: PAGE };
            let rows = self.from.engine().read(page).await.map_err(plain)?;
            let Some(last) = rows.last().cloned() else { return Ok(()) };
            self.done += rows.len() as u64;
            self.to.engine().write(InsertRecords { tenant, rows }).await.map_err(plain)?;
            (self.progress)(Progress { phase: Phase::Copying, done: self.done, total: self.total });
            (collection, key) = (last.collection, last.key);
        }
    }

    async fn lookups(&mut self, tenant: Digest) -> Result<(), DatabaseError> {
        let mut after = LookupRow::first();
        loop {
            let rows = self.from.engine().read(LookupsAfter { tenant, after, limit: PAGE }).await.map_err(plain)?;
            let Some(last) = rows.last().cloned() else { return Ok(()) };
            self.to.engine().write(InsertLookups { tenant, rows }).await.map_err(plain)?;
            after = last;
        }
    }

    async fn messages(&mut self, tenant: Digest) -> Result<(), DatabaseError> {
        let mut seq = 0;
        loop {
            let rows = self.from.engine().read(MessagesAfter { tenant, seq, limit: PAGE }).await.map_err(plain)?;
            let Some(last) = rows.last().map(|row| row.seq) else { return Ok(()) };
            self.to.engine().write(InsertMessages { tenant, rows }).await.map_err(plain)?;
            seq = last;
        }
    }

    async fn leases(&mut self) -> Result<(), DatabaseError> {
        let mut name = Vec::new();
        loop {
            let rows = self.from.engine().read(LeasesAfter { name, limit: PAGE }).await.map_err(plain)?;
            let Some(last) = rows.last().map(|row| row.name.clone()) else { return Ok(()) };
            self.to.engine().write(InsertLeases { rows }).await.map_err(plain)?;
            name = last;
        }
    }
}

/// Rows that are held, written and committed at once.
const PAGE: usize = 500;
