//! Connections kept for the next use: a bounded number, made when needed.
//!
//! Deliberately plainer than the driver's own pool, which asks the server after each use whether it is still there (a
//! second round trip for each read) and hides why it cannot connect.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::{ConnectOptions, Connection};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::error::DatabaseError;

/// Connections of one kind to one database.
pub(crate) struct Pool<C: Connection> {
    options: C::Options,
    /// Not in use, the last used on top. Held for a push or a pop, never across an `.await`.
    idle: Mutex<Vec<C>>,
    turns: Semaphore,
    database: String,
}

/// A connection in use. Dropped, it is closed, because nobody knows what state it is in; [`Turn::done`] keeps it.
pub(crate) struct Turn<'p, C: Connection> {
    pool: &'p Pool<C>,
    connection: Option<C>,
    /// Whether it served before: then it may have died unnoticed.
    used: bool,
    _permit: SemaphorePermit<'p>,
}

impl<C: Connection> Pool<C> {
    pub(crate) fn new(options: C::Options, most: usize, database: String) -> Self {
        Self { options, idle: Mutex::default(), turns: Semaphore::new(most), database }
    }

    /// A connection, as soon as there is one.
    pub(crate) async fn turn(&self) -> Result<Turn<'_, C>, DatabaseError> {
        let permit = match timeout(WAIT, self.turns.acquire()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(DatabaseError::Closed { database: self.database.clone() }),
            Err(_) => return Err(DatabaseError::Busy { database: self.database.clone(), seconds: WAIT.as_secs() }),
        };
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let used = idle.is_some();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(Turn { pool: self, connection: Some(connection), used, _permit: permit })
    }

    /// Forgets connections that are not in use: they are as dead as one that was just found so.
    pub(crate) fn forget(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Gives nothing out any more and closes what is not in use.
    pub(crate) async fn close(&self) {
        self.turns.close();
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for connection in idle {
            // It is going away; how, is of no interest.
            let _ = connection.close().await;
        }
    }

    async fn connect(&self) -> Result<C, DatabaseError> {
        let unreachable = |cause| DatabaseError::Unreachable { database: self.database.clone(), cause };
        match timeout(WAIT, self.options.connect()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(DatabaseError::of(&self.database, &error)),
            Err(_) => Err(unreachable(format!("it does not answer in {} s", WAIT.as_secs()))),
        }
    }
}

impl<C: Connection> Turn<'_, C> {
    /// The connection.
    pub(crate) fn connection(&mut self) -> Result<&mut C, DatabaseError> {
        let closed = DatabaseError::Closed { database: self.pool.database.clone() };
        self.connection.as_mut().ok_or(closed)
    }

    pub(crate) const fn used(&self) -> bool {
        self.used
    }

    /// Keeps the connection: it is outside any transaction.
    pub(crate) fn done(mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

/// How long anybody waits for a connection.
const WAIT: Duration = Duration::from_secs(5);
