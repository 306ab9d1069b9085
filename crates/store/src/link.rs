//! One connection to one of the two databases, with what all statements need of it.
//!
//! Both databases take the same SQL text with `$1, $2, …`, and the schemas have the same tables and columns, so nearly
//! everything above this module is written once. The few statements that differ ask [`Link::pick`].

use reeve_base::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{PgConnection, Row as _, SqliteConnection};

use crate::names::Digest;

/// A connection, in or outside a transaction.
pub(crate) enum Link<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// A value for a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'v> {
    Bytes(&'v [u8]),
    Text(&'v str),
    Number(i64),
}

/// A row of an answer.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Link<'_> {
    /// The text for the database at hand.
    pub(crate) const fn pick(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite(_) => sqlite,
            Self::Postgres(_) => postgres,
        }
    }

    /// From here to the end of the transaction, only rows of this tenant are there. SQLite has one process and one
    /// user; there, the statements' own conditions do it alone.
    pub(crate) async fn enter(&mut self, tenant: &Digest) -> Result<(), sqlx::Error> {
        if matches!(self, Self::Postgres(_)) {
            let tenant = hexadecimal(tenant);
            self.rows("SELECT set_config('reeve.tenant', $1, true)", &[Value::Text(&tenant)]).await?;
        }
        Ok(())
    }

    /// Runs a statement; how many rows it touched.
    pub(crate) async fn run(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => {
                let mut query = sqlx::query::<sqlx::Sqlite>(sql);
                for value in values {
                    query = match *value {
                        Value::Bytes(bytes) => query.bind(bytes),
                        Value::Text(text) => query.bind(text),
                        Value::Number(number) => query.bind(number),
                    };
                }
                Ok(query.execute(&mut **connection).await?.rows_affected())
            }
            Self::Postgres(connection) => {
                let mut query = sqlx::query::<sqlx::Postgres>(sql);
                for value in values {
                    query = match *value {
                        Value::Bytes(bytes) => query.bind(bytes),
                        Value::Text(text) => query.bind(text),
                        Value::Number(number) => query.bind(number),
                    };
                }
                Ok(query.execute(&mut **connection).await?.rows_affected())
            }
        }
    }

    /// Runs a statement; the rows of its answer. The statements themselves bound how many there can be.
    pub(crate) async fn rows(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => {
                let mut query = sqlx::query::<sqlx::Sqlite>(sql);
                for value in values {
                    query = match *value {
                        Value::Bytes(bytes) => query.bind(bytes),
                        Value::Text(text) => query.bind(text),
                        Value::Number(number) => query.bind(number),
                    };
                }
                Ok(query.fetch_all(&mut **connection).await?.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres(connection) => {
                let mut query = sqlx::query::<sqlx::Postgres>(sql);
                for value in values {
                    query = match *value {
                        Value::Bytes(bytes) => query.bind(bytes),
                        Value::Text(text) => query.bind(text),
                        Value::Number(number) => query.bind(number),
                    };
                }
                Ok(query.fetch_all(&mut **connection).await?.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn row(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Option<Row>, sqlx::Error> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// A number, where the statement always answers with one.
    pub(crate) async fn number(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<i64, sqlx::Error> {
        self.row(sql, values).await?.ok_or(sqlx::Error::RowNotFound)?.number(0)
    }
}

impl Row {
    pub(crate) fn bytes(&self, column: usize) -> Result<Vec<u8>, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    pub(crate) fn digest(&self, column: usize) -> Result<Digest, sqlx::Error> {
        let bytes = self.bytes(column)?;
        let length = bytes.len();
        bytes.try_into().map_err(|_| sqlx::Error::Protocol(format!("a hash of {length} bytes instead of 32")))
    }

    pub(crate) fn text(&self, column: usize) -> Result<String, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    pub(crate) fn number(&self, column: usize) -> Result<i64, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A version or a count as the caller knows it; the database has no unsigned numbers.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// The same the other way; what does not fit can equal nothing that is kept.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A time as it is kept: milliseconds since 1970.
pub(crate) fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}
