//! The task that writes, and the jobs on their way to it.

use std::fs::File;
use std::pin::Pin;

use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::engine::{Failure, Job, Stop};
use crate::error::DatabaseError;
use crate::link::Link;

/// The way to the task.
pub(super) struct Writer {
    /// Emptied when the store is closed. Held while a sender is cloned or taken, never across a send.
    jobs: std::sync::Mutex<Option<mpsc::Sender<Box<dyn Pending>>>>,
    /// Held while it is waited for the task's end.
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the task on the runtime that this is called on. The lock is its own: it is released after the last write.
    pub(super) fn start(connection: SqliteConnection, lock: File, database: String) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let task = tokio::spawn(write_all(connection, queue, lock, database));
        Self { jobs: std::sync::Mutex::new(Some(jobs)), task: Mutex::new(Some(task)) }
    }

    pub(super) async fn send(&self, job: Box<dyn Pending>) -> Result<(), ()> {
        let jobs = self.jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        jobs.ok_or(())?.send(job).await.map_err(drop)
    }

    /// Lets the task finish what it was given.
    pub(super) async fn close(&self) {
        drop(self.jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
        if let Some(task) = self.task.lock().await.take() {
            // A panic in it has been printed; its connection and its lock are gone either way.
            let _ = task.await;
        }
    }
}

/// A job whose types are forgotten.
pub(super) trait Pending: Send {
    /// Whether a refusal may come after a change.
    fn may_undo(&self) -> bool;

    /// Runs it and notes what it came to.
    fn perform<'a>(
        &'a mut self,
        link: &'a mut Link<'_>,
        database: &'a str,
    ) -> Pin<Box<dyn Future<Output = Done> + Send + 'a>>;

    /// Tells whoever waits.
    fn answer(self: Box<Self>, committed: Result<(), DatabaseError>);
}

/// What becomes of a job's changes.
pub(super) enum Done {
    Keep,
    /// There is nothing to keep: it was refused.
    Refused,
    /// It broke off in the middle.
    Failed(sqlx::Error),
}

/// A job with whoever waits for it.
pub(super) struct Queued<J: Job> {
    job: J,
    /// Nothing until it was performed.
    outcome: Option<Outcome<J>>,
    reply: oneshot::Sender<Outcome<J>>,
}

type Outcome<J> = Result<<J as Job>::Answer, Failure<<J as Job>::Refusal>>;

impl<J: Job> Queued<J> {
    pub(super) fn boxed(job: J, reply: oneshot::Sender<Outcome<J>>) -> Box<dyn Pending> {
        Box::new(Self { job, outcome: None, reply })
    }
}

impl<J: Job> Pending for Queued<J> {
    fn may_undo(&self) -> bool {
        self.job.may_undo()
    }

    fn perform<'a>(
        &'a mut self,
        link: &'a mut Link<'_>,
        database: &'a str,
    ) -> Pin<Box<dyn Future<Output = Done> + Send + 'a>> {
        Box::pin(async move {
            let (outcome, done) = match self.job.perform(link).await {
                Ok(answer) => (Ok(answer), Done::Keep),
                Err(Stop::Refused(refusal)) => (Err(Failure::Refused(refusal)), Done::Refused),
                Err(Stop::Again) => (Err(Failure::Database(super::collided(database))), Done::Refused),
                Err(Stop::Failed(error)) => {
                    (Err(Failure::Database(DatabaseError::of(database, &error))), Done::Failed(error))
                }
            };
            self.outcome = Some(outcome);
            done
        })
    }

    fn answer(self: Box<Self>, committed: Result<(), DatabaseError>) {
        // A job that was not performed is one of a group that failed.
        let answer = match (committed, self.outcome) {
            (Err(error), _) => Err(Failure::Database(error)),
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => return,
        };
        // Whoever asked may have gone; the change is there all the same.
        drop(self.reply.send(answer));
    }
}

async fn write_all(
    mut connection: SqliteConnection,
    mut queue: mpsc::Receiver<Box<dyn Pending>>,
    lock: File,
    database: String,
) {
    while let Some(first) = queue.recv().await {
        let mut group = Vec::new();
        let committed = commit(&mut connection, first, &mut queue, &mut group, &database).await;
        let committed = committed.map_err(|error| DatabaseError::of(&database, &error));
        if let Err(error) = &committed {
            tracing::error!(database, %error, jobs = group.len(), "a group of changes was not stored");
            // SQLite may have rolled back by itself; then there is nothing to roll back, which is as good.
            let _ = statement(&mut connection, "ROLLBACK").await;
        }
        for job in group {
            job.answer(committed.clone());
        }
    }
    // The last connection folds the log into the file.
    if let Err(error) = connection.close().await {
        tracing::warn!(database, %error, "the database did not close well");
    }
    drop(lock);
}

/// Performs what is waiting, up to a bound, and commits it at once. What was taken from the queue stands in `group`
/// afterwards, whatever happened.
async fn commit(
    connection: &mut SqliteConnection,
    first: Box<dyn Pending>,
    queue: &mut mpsc::Receiver<Box<dyn Pending>>,
    group: &mut Vec<Box<dyn Pending>>,
    database: &str,
) -> Result<(), sqlx::Error> {
    let begun = statement(connection, "BEGIN IMMEDIATE").await;
    let mut next = Some(first);
    while let Some(mut job) = next.take() {
        let performed = match &begun {
            Ok(()) => perform(connection, job.as_mut(), database).await,
            Err(_) => Ok(()),
        };
        group.push(job);
        performed?;
        if group.len() < GROUP && begun.is_ok() {
            next = queue.try_recv().ok();
        }
    }
    begun?;
    statement(connection, "COMMIT").await
}

/// Performs one job, under a savepoint of its own where a refusal could come late. `Err` if the transaction as a whole
/// is lost: a job that broke off without a savepoint has left nobody knows what.
async fn perform(connection: &mut SqliteConnection, job: &mut dyn Pending, database: &str) -> Result<(), sqlx::Error> {
    if !job.may_undo() {
        return match job.perform(&mut Link::Sqlite(connection), database).await {
            Done::Keep | Done::Refused => Ok(()),
            Done::Failed(error) => Err(error),
        };
    }
    statement(connection, "SAVEPOINT job").await?;
    if let Done::Refused | Done::Failed(_) = job.perform(&mut Link::Sqlite(connection), database).await {
        statement(connection, "ROLLBACK TO job").await?;
    }
    statement(connection, "RELEASE job").await
}

async fn statement(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    Link::Sqlite(connection).run(sql, &[]).await.map(drop)
}

/// How many jobs wait before whoever brings another has to.
const QUEUE: usize = 1_024;

/// How many jobs share a commit, at most: so long that the disk is not what limits, so short that the first of them
/// does not wait for long.
const GROUP: usize = 256;
