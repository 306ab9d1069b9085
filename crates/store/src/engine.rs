//! Which database it is, and how work gets to it.
//!
//! Everything that is done in a database is a [`Job`]: a few statements and what they come to. A job may be run again
//! after a deadlock, so it changes nothing but the database.

use crate::error::DatabaseError;
use crate::link::Link;
use crate::names::Digest;
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;

/// Statements that belong together.
pub(crate) trait Job: Send + 'static {
    /// What they come to.
    type Answer: Send + 'static;
    /// Why they must not be done.
    type Refusal: Send + 'static;

    /// Whose rows are touched, if it is one tenant's only.
    fn tenant(&self) -> Option<&Digest>;

    /// Whether it may be refused after it has changed something, so that the change must be undone.
    fn may_undo(&self) -> bool {
        false
    }

    /// Runs the statements inside a transaction, which is rolled back unless they come to an answer.
    fn perform(&self, link: &mut Link<'_>) -> impl Future<Output = Result<Self::Answer, Stop<Self::Refusal>>> + Send;
}

/// Why a job stopped.
#[derive(Debug)]
pub(crate) enum Stop<R> {
    /// It must not be done.
    Refused(R),
    /// Somebody came in between: the same again will find another state. Only where there are several writers.
    Again,
    /// The database failed.
    Failed(sqlx::Error),
}

impl<R> From<sqlx::Error> for Stop<R> {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error)
    }
}

/// What became of a job.
#[derive(Debug)]
pub(crate) enum Failure<R> {
    /// It must not be done.
    Refused(R),
    /// The database failed.
    Database(DatabaseError),
}

impl<R> From<DatabaseError> for Failure<R> {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl<R: From<DatabaseError>> Failure<R> {
    /// As the error of an operation that has a variant for the database's.
    pub(crate) fn into_error(self) -> R {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Database(error) => error.into(),
        }
    }
}

/// What a job that cannot be refused says.
pub(crate) type Never = std::convert::Infallible;

/// The failure of a job that cannot be refused.
pub(crate) fn plain(failure: Failure<Never>) -> DatabaseError {
    match failure {
        Failure::Refused(never) => match never {},
        Failure::Database(error) => error,
    }
}

/// One of the two databases.
pub(crate) enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Engine {
    /// Runs a job in a transaction and waits until it is durable.
    pub(crate) async fn write<J: Job>(&self, job: J) -> Result<J::Answer, Failure<J::Refusal>> {
        match self {
            Self::Sqlite(sqlite) => sqlite.write(job).await,
            Self::Postgres(postgres) => postgres.transact(&job).await,
        }
    }

    /// Runs a job that only reads. On SQLite each statement sees the newest state; on PostgreSQL too (READ COMMITTED).
    pub(crate) async fn read<J: Job>(&self, job: J) -> Result<J::Answer, Failure<J::Refusal>> {
        match self {
            Self::Sqlite(sqlite) => sqlite.read(&job).await,
            Self::Postgres(postgres) => postgres.transact(&job).await,
        }
    }

    /// Runs a job of one statement that only reads and brings its tenant along, without a transaction around it.
    pub(crate) async fn glance<J: Job>(&self, job: J) -> Result<J::Answer, Failure<J::Refusal>> {
        match self {
            Self::Sqlite(sqlite) => sqlite.read(&job).await,
            Self::Postgres(postgres) => postgres.glance(&job).await,
        }
    }

    /// What the database is called in messages.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Sqlite(sqlite) => sqlite.name(),
            Self::Postgres(postgres) => postgres.name(),
        }
    }

    /// Finishes what was begun and closes every connection.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await,
            Self::Postgres(postgres) => postgres.close().await,
        }
    }
}
