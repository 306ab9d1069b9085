//! SQLite: one file, one process, one writer.
//!
//! All changes go through one task with one connection. What arrives while it commits waits together and shares the
//! next commit, so that a hundred clients pay for one `fdatasync` and not for a hundred (group commit). Each job has a
//! savepoint of its own: one that is refused takes nothing of the others with it.

mod file;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::SqliteConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use tokio::sync::oneshot;

use crate::engine::{Failure, Job, Stop};
use crate::error::{DatabaseError, OpenError};
use crate::link::Link;
use crate::migrate;
use crate::pool::Pool;

use writer::Writer;

/// An open file.
pub(crate) struct Sqlite {
    name: String,
    readers: Pool<SqliteConnection>,
    /// Nothing where it was opened only to look.
    writer: Option<Writer>,
    path: PathBuf,
}

impl Sqlite {
    /// Opens the file, makes it when it is missing, and brings its schema up to date.
    pub(crate) async fn open(path: &Path) -> Result<Self, OpenError> {
        let lock = file::lock(path)?;
        file::prepare(path)?;
        let name = path.display().to_string();
        let failed = |error: sqlx::Error| OpenError::Database(damage_or(&name, path, &error));
        let mut connection = sqlx::ConnectOptions::connect(&options(path)).await.map_err(failed)?;
        migrate::sqlite(&mut connection, &name).await?;
        file::check(&mut connection, path, &name).await?;
        Ok(Self::running(path, connection, lock))
    }

    /// Opens the file for reading, whether another process works on it or not.
    pub(crate) fn look(path: &Path) -> Result<Self, OpenError> {
        file::check_head(path)?;
        Ok(Self::new(path, None))
    }

    fn running(path: &Path, connection: SqliteConnection, lock: File) -> Self {
        let writer = Writer::start(connection, lock, path.display().to_string());
        Self::new(path, Some(writer))
    }

    fn new(path: &Path, writer: Option<Writer>) -> Self {
        let name = path.display().to_string();
        let readers = Pool::new(options(path).pragma("query_only", "ON"), READERS, name.clone());
        Self { name, readers, writer, path: path.to_owned() }
    }

    pub(crate) async fn write<J: Job>(&self, job: J) -> Result<J::Answer, Failure<J::Refusal>> {
        let (reply, answer) = oneshot::channel();
        let closed = || DatabaseError::Closed { database: self.name.clone() };
        let Some(writer) = &self.writer else {
            let cause = String::from("it was opened only to look");
            return Err(DatabaseError::ReadOnly { database: self.name.clone(), cause }.into());
        };
        writer.send(writer::Queued::boxed(job, reply)).await.map_err(|()| closed())?;
        answer.await.map_err(|_| closed())?
    }

    pub(crate) async fn read<J: Job>(&self, job: &J) -> Result<J::Answer, Failure<J::Refusal>> {
        let mut turn = self.readers.turn().await?;
        let outcome = job.perform(&mut Link::Sqlite(turn.connection()?)).await;
        match outcome {
            Ok(answer) => {
                turn.done();
                Ok(answer)
            }
            Err(Stop::Refused(refusal)) => {
                turn.done();
                Err(Failure::Refused(refusal))
            }
            Err(Stop::Again) => Err(Failure::Database(collided(&self.name))),
            // The connection goes with the error: the next one reads the file anew.
            Err(Stop::Failed(error)) => Err(Failure::Database(damage_or(&self.name, &self.path, &error))),
        }
    }

    /// Looks at every page and every index; what is wrong, in SQLite's words.
    pub(crate) async fn examine(&self) -> Result<(), DatabaseError> {
        self.read(&file::Examine { database: self.name.clone() }).await.map_err(|failure| match failure {
            Failure::Refused(damage) => damage,
            Failure::Database(error) => error,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }
}

/// A file that was exchanged for something else while it was open shows as all kinds of errors.
fn damage_or(name: &str, path: &Path, error: &sqlx::Error) -> DatabaseError {
    match DatabaseError::of(name, error) {
        DatabaseError::Failed { cause, .. } if !path.exists() => {
            DatabaseError::Unreachable { database: name.to_owned(), cause: format!("the file is gone ({cause})") }
        }
        other => other,
    }
}

/// INVARIANT: there is one writer, so nobody can come in between. Were it otherwise: an error.
fn collided(name: &str) -> DatabaseError {
    DatabaseError::Contended { database: name.to_owned(), attempts: 1 }
}

fn options(path: &Path) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // Every commit is on the disk before it is answered; NORMAL would lose the last ones with the power.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        // What is deleted is overwritten, sealed as it is.
        .pragma("secure_delete", "ON")
        .pragma("temp_store", "MEMORY")
        // Folding the log into the file holds everybody up; four times the default makes it four times rarer.
        .pragma("wal_autocheckpoint", "4000")
        .pragma("cache_size", CACHE)
        .pragma("trusted_schema", "OFF");
    sqlx::ConnectOptions::disable_statement_logging(options)
}

/// Readers never wait for each other and seldom do much at once: twice the cores of a small machine.
const READERS: usize = 4;

/// Eight mebibytes for each connection: keys are hashes, so neighbours in time are not neighbours in the file.
const CACHE: &str = "-8192";

/// Only `VACUUM` and a checkpoint from outside can hold the file; they are short.
const BUSY: Duration = Duration::from_secs(5);
